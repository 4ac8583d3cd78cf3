"""The columns of a CSV file: what its header names, and how a row of cells becomes a mapping with wire names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from attrs import field, frozen

from asyncimport.errors import ConfigError
from asyncimport.records import Record
from asyncimport.shape import Shape, shape_of
from asyncimport.sources.cells import Put, Refused, Row, is_text, put_empty_of, put_of
from asyncimport.sources.filled import Step, column_that_filled
from asyncimport.sources.mapping import ARGUMENT_TYPES, ColumnMapping, quoted
from asyncimport.sources.target import Target, argument_of, known_forms, near_miss, target_of

_PLAIN = ColumnMapping()
#: Columns that an error lists at most.
_SHOWN_COLUMNS = 12


@frozen(kw_only=True)
class Columns:
    """What a header means: text columns as (index, wire name), the others as (index, what puts the cell in a row)."""

    #: Of each column the name in the header, and the wire name of what it fills (empty when it is ignored).
    names: tuple[str, ...]
    wires: tuple[str, ...]
    texts: tuple[tuple[int, str], ...]
    others: tuple[tuple[int, Put], ...]
    width: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Count the columns."""
        object.__setattr__(self, "width", len(self.names))

    def row(self, cells: Sequence[str]) -> Row:
        """The mapping of one row of `width` cells; an empty cell is absent, a row without anything is empty."""
        row: Row = {name: cells[index] for index, name in self.texts if cells[index]}
        for index, put in self.others:
            if cells[index]:
                put(row, cells[index])
        return row

    def column_of(self, place: str, cells: Sequence[str]) -> str | None:
        """The column that filled a place of the record made of these cells; None when it was no column."""
        return column_that_filled(place, self._steps(cells))

    def _steps(self, cells: Sequence[str]) -> Iterator[Step]:
        """Each column's part in `row`, in the same order."""
        for index, name in self.texts:
            yield self._step(index, partial(_put_text, name, cells[index]))
        for index, put in self.others:
            yield self._step(index, partial(_put_cell, put, cells[index]))

    def _step(self, index: int, fill: partial[None]) -> Step:
        return Step(self.names[index], self.wires[index], fill)


def _put_text(wire: str, cell: str, row: Row) -> None:
    if cell:
        row[wire] = cell


def _put_cell(put: Put, cell: str, row: Row) -> None:
    if cell:
        put(row, cell)


@frozen(kw_only=True)
class MappedColumns(Columns):
    """The columns of a mapping that does more than rename: it keeps empty cells, adds constants or ignores columns."""

    #: What puts an empty cell in a row.
    when_empty: tuple[tuple[int, Put], ...]
    #: Of each constant its wire name, its text and what puts it in a row.
    constants: tuple[tuple[str, str, Put], ...] = field(repr=False)

    def row(self, cells: Sequence[str]) -> Row:
        """The mapping of one row; still empty when all of its cells are.

        Raises:
            Refused: what is in the row stands in none of the columns that are read.
        """
        row = super().row(cells)
        if not row and not any(cells):
            return row
        for index, put in self.when_empty:
            if not cells[index]:
                put(row, "")
        if not row:
            raise Refused("has nothing in any column that is read: see which columns are ignored")
        for _, text, put in self.constants:
            put(row, text)
        return row

    def _steps(self, cells: Sequence[str]) -> Iterator[Step]:
        yield from super()._steps(cells)
        for index, put in self.when_empty:
            if not cells[index]:
                yield self._step(index, partial(_put_empty, put))
        for wire, text, put in self.constants:
            yield Step(None, wire, partial(_put_cell, put, text))


def _put_empty(put: Put, row: Row) -> None:
    put(row, "")


def columns_of(header: Sequence[str], record: type[Record], mapping: ColumnMapping | None = None) -> Columns:
    """Read a header.

    Raises:
        ConfigError: a column that is unknown, doubled, without a name or without a part that it needs; a column or
            field of the mapping that is none. A header of which no column is known is not quoted: it may be the first
            row of a file without header.
    """
    shape, rules = shape_of(record), mapping or _PLAIN
    names = tuple(name.strip() for name in header)
    _check_names(names, shape, rules)
    targets = [_target(name, index, shape, rules) for index, name in enumerate(names)]
    constants = [(target_of(name, shape, f"constant {quoted(name)}"), text) for name, text in rules.constants.items()]
    check_once(
        [
            *((quoted(name), target) for name, target in zip(names, targets, strict=True) if target is not None),
            *(
                (f"(constant) {quoted(name)}", target)
                for name, (target, _) in zip(rules.constants, constants, strict=True)
            ),
        ]
    )
    filled = [(index, target) for index, target in enumerate(targets) if target is not None]
    plain = Columns(
        names=names,
        wires=tuple("" if target is None else target.wire for target in targets),
        texts=tuple((index, target.wire) for index, target in filled if is_text(target)),
        others=tuple((index, put_of(target, rules.separator)) for index, target in filled if not is_text(target)),
    )
    if len(filled) == len(names) and not constants and rules.empty == "absent":
        return plain
    empty = [(index, put_empty_of(target)) for index, target in filled] if rules.empty == "keep" else []
    return MappedColumns(
        names=plain.names,
        wires=plain.wires,
        texts=plain.texts,
        others=plain.others,
        when_empty=tuple((index, put) for index, put in empty if put is not None),
        constants=tuple(constant_of(target, text, rules) for target, text in constants),
    )


def constant_of(target: Target, text: str, rules: ColumnMapping) -> tuple[str, str, Put]:
    """The wire name of a constant, its text, and what puts it in a row.

    Raises:
        ConfigError: it is empty where no empty text can be.
    """
    put = put_of(target, rules.separator) if text else put_empty_of(target)
    if put is None:
        raise ConfigError(f"constant {quoted(target.key)} cannot be an empty text: give it a value, or leave it out")
    return target.wire, text, put


def _check_names(names: Sequence[str], shape: Shape, rules: ColumnMapping) -> None:
    mapped = [*rules.columns, *rules.arguments]
    if not any(name in mapped or name.partition(".")[0] in shape.by_name for name in names):
        nothing = "has none of the columns mapped, and names" if mapped else "names"
        raise ConfigError(
            f"its first line {nothing} no field of {shape.record.__name__}: give it a header line of "
            f"{known_forms(shape)}, or the delimiter that its cells are parted by"
        )
    for column in mapped:
        if column not in names:
            raise ConfigError(_missing(column, names, rules))
    unknown = [name for name in names if name and name not in mapped and name.partition(".")[0] not in shape.by_name]
    if len(unknown) > 1 and rules.rest == "refuse":
        told = ", ".join(map(quoted, unknown[:_SHOWN_COLUMNS])) + (", ..." if len(unknown) > _SHOWN_COLUMNS else "")
        raise ConfigError(
            f"columns {told} are no fields of {shape.record.__name__}: map them to fields, or ignore them"
        )


def _missing(column: str, names: Sequence[str], rules: ColumnMapping) -> str:
    """What to say of a column that the mapping names and the header does not."""
    name, _, kind = column.rpartition(":")
    if column in rules.arguments and name in names:  # price:float, which the command takes for a name
        known = ", ".join(ARGUMENT_TYPES)
        return f"argument {quoted(name)} has the type {quoted(kind)}, which is not known: give one of {known}"
    near = near_miss(column, names)
    columns = ", ".join(names[:_SHOWN_COLUMNS]) + (", ..." if len(names) > _SHOWN_COLUMNS else "")
    hint = f"did you mean {quoted(near)}?" if near else f"it has {columns}"
    return f"it has no column {quoted(column)} to be mapped: {hint}"


def _target(name: str, index: int, shape: Shape, rules: ColumnMapping) -> Target | None:
    """What a column fills; None when it is ignored."""
    if name in rules.columns:
        field_name = rules.columns[name]
        return target_of(field_name, shape, f"{quoted(field_name)}, to which column {quoted(name)} is mapped,")
    if name in rules.arguments:
        return argument_of(name, shape, rules.arguments[name])
    if rules.rest != "refuse" and name.partition(".")[0] not in shape.by_name:
        if rules.rest == "ignore":
            return None
        if name:
            return argument_of(name, shape)
    if not name:
        raise ConfigError(f"column {index + 1} has no name: name it or remove it")
    if name.partition(".")[0] not in shape.by_name:
        near = near_miss(name, shape.by_name)
        hint = (
            f"did you mean {near}? Else map it to a field" if near else f"it takes {known_forms(shape)}; map it to one"
        )
        raise ConfigError(f"column {quoted(name)} is no field of {shape.record.__name__}: {hint}, or ignore it")
    return target_of(name, shape, f"column {quoted(name)}")


def check_once(named: Iterable[tuple[str, Target]]) -> None:
    """Refuse a target that two of the columns and constants fill.

    Raises:
        ConfigError: with the names of both.
    """
    seen: dict[str, str] = {}
    for name, target in named:
        if target.key in seen:
            raise ConfigError(f"columns {seen[target.key]} and {name} fill the same field: remove one")
        seen[target.key] = name
