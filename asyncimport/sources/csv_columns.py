"""The columns of a CSV file: what its header names, and how a row of cells becomes a mapping with wire names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import frozen

from asyncimport.errors import ConfigError
from asyncimport.fields import Flag, Int64, JsonObject, Kind, ListOf, Millis, Text
from asyncimport.records import CustomField, Identity, Record
from asyncimport.shape import ObjectOf, Shape, shape_of

#: Parts the values of one cell of a custom field.
VALUE_SEPARATOR: Final = "|"

_Row = dict[str, Any]
_Put = Callable[[_Row, str], None]

#: 30 digits: admission says what is wrong above 64 bits, and `int` never meets thousands of digits.
_WHOLE = re.compile(r"-?[0-9]{1,30}")
_NUMBER = re.compile(r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)(\.)[0-9]+")
#: A double carries 15 digits exactly (IEEE 754); longer runs of digits are identifiers.
_NUMBER_DIGITS: Final = 15
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


@frozen(kw_only=True)
class Columns:
    """What a header means: text columns as (index, wire name), the others as (index, what puts the cell in a row)."""

    width: int
    texts: tuple[tuple[int, str], ...]
    others: tuple[tuple[int, _Put], ...]

    def row(self, cells: Sequence[str]) -> _Row:
        """The mapping of one row of `width` cells; an empty cell is absent."""
        row: _Row = {name: cells[index] for index, name in self.texts if cells[index]}
        for index, put in self.others:
            if cells[index]:
                put(row, cells[index])
        return row


def columns_of(header: Sequence[str], record: type[Record]) -> Columns:
    """Read a header.

    Raises:
        ConfigError: a column that is unknown, doubled, without a name or without a part that it needs. A header of
            which no column is known is not quoted: it may be the first row of a file without header.
    """
    shape = shape_of(record)
    names = [name.strip() for name in header]
    if not any(name.partition(".")[0] in shape.by_name for name in names):
        raise ConfigError(
            f"its first line names no field of {record.__name__}: give it a header line of {_known(shape)}, "
            "or the delimiter that its cells are parted by"
        )
    texts: list[tuple[int, str]] = []
    others: list[tuple[int, _Put]] = []
    seen: dict[str, str] = {}
    for index, name in enumerate(names):
        column, put = _column(name, index, shape)
        if column in seen:
            raise ConfigError(f"columns {_quoted(seen[column])} and {_quoted(name)} fill the same field: remove one")
        seen[column] = name
        if put is None:
            texts.append((index, column))
        else:
            others.append((index, put))
    return Columns(width=len(names), texts=tuple(texts), others=tuple(others))


def _column(name: str, index: int, shape: Shape) -> tuple[str, _Put | None]:
    """The full wire name of a column, and what puts its cell in a row unless it is plain text."""
    head, dot, part = name.partition(".")
    field = shape.by_name.get(head)
    if not name:
        raise ConfigError(f"column {index + 1} has no name: name it or remove it")
    if field is None:
        raise ConfigError(f"column {_quoted(name)} is no field of {shape.record.__name__}: {_hint(head, shape)}")
    if not dot and isinstance(field.kind, Text):
        return field.wire, None
    if not dot and isinstance(field.kind, Int64 | Millis):
        return field.wire, _whole_number(field.wire)
    if not dot and isinstance(field.kind, Flag):
        return field.wire, _flag(field.wire)
    if part and isinstance(field.kind, JsonObject):
        return f"{field.wire}.{part}", _argument(field.wire, part)
    if dot and _items(field.kind) is CustomField:
        return _custom_field(field.wire, part, name)
    if part and "." not in part and _items(field.kind) is Identity:
        return f"{field.wire}.{part}", _identity(field.wire, part)
    form = _form(field.wire, field.kind)
    raise ConfigError(
        f"column {_quoted(name)} cannot be read: " + (f"write it as {form}" if form else "use JSON Lines")
    )


def _items(kind: Kind) -> type[Any] | None:
    if isinstance(kind, ListOf) and isinstance(kind.item, ObjectOf):
        return kind.item.record
    return None


def _form(wire: str, kind: Kind) -> str:
    """How a column of this kind is written; empty when CSV has no form for it."""
    if isinstance(kind, Text | Int64 | Millis | Flag):
        return wire
    if isinstance(kind, JsonObject):
        return f"{wire}.<key>"
    forms = {CustomField: f"{wire}.<configId>.<configName>", Identity: f"{wire}.<identityType>"}
    items = _items(kind)
    return forms.get(items, "") if items else ""


def _known(shape: Shape) -> str:
    return ", ".join(filter(None, (_form(field.wire, field.kind) for field in shape.fields)))


def _hint(head: str, shape: Shape) -> str:
    lowered = {name.lower(): name for name in shape.by_name}
    near = difflib.get_close_matches(head.lower(), lowered, n=1)
    return f"did you mean {lowered[near[0]]}?" if near else f"it takes {_known(shape)}"


def _quoted(name: str) -> str:
    return repr(name[:40])


def _whole_number(wire: str) -> _Put:
    def put(row: _Row, cell: str) -> None:
        row[wire] = int(cell) if _WHOLE.fullmatch(cell) else cell

    return put


def _flag(wire: str) -> _Put:
    def put(row: _Row, cell: str) -> None:
        row[wire] = _FLAGS.get(cell.lower(), cell)

    return put


def _argument(wire: str, key: str) -> _Put:
    def put(row: _Row, cell: str) -> None:
        row.setdefault(wire, {})[key] = number_or_text(cell)

    return put


def number_or_text(cell: str) -> int | float | str:
    """A number when the cell is written as one plainly: at most 15 digits, no leading zero, plus sign or exponent.

    All else stays text, as do 013800000000, +1, 1e5 and the 18 digits of an identity card.
    """
    number = _NUMBER.fullmatch(cell)
    if number is None or len(cell) - cell.count(".") - cell.count("-") > _NUMBER_DIGITS:
        return cell
    return float(cell) if number[1] else int(cell)


def _identity(wire: str, identity_type: str) -> _Put:
    def put(row: _Row, cell: str) -> None:
        row.setdefault(wire, []).append({"identityType": identity_type, "identityValue": cell})

    return put


def _custom_field(wire: str, part: str, name: str) -> tuple[str, _Put]:
    config_id, _, config_name = part.partition(".")
    named: _Row = {}
    if config_id:
        if not _WHOLE.fullmatch(config_id):
            rule = f"configId is a whole number; with a name alone write {wire}..<configName>"
            raise ConfigError(f"column {_quoted(name)} cannot be read: {rule}")
        named["configId"] = int(config_id)
    if config_name:
        named["configName"] = config_name
    if not named:
        raise ConfigError(f"column {_quoted(name)} cannot be read: write it as {wire}.<configId>.<configName>")

    def put(row: _Row, cell: str) -> None:
        values = [value for value in cell.split(VALUE_SEPARATOR) if value]
        if values:
            row.setdefault(wire, []).append({**named, "values": values})

    return f"{wire}.{named.get('configId', '')}.{config_name}", put
