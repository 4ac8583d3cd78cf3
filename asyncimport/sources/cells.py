"""How the text of one cell fills the part of a record that its column names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from asyncimport.fields import INT64, Flag, Text
from asyncimport.sources.mapping import quoted
from asyncimport.sources.target import WHOLE_NUMBER, Argument, OneCustomField, OneIdentity, Target, Whole

Row = dict[str, Any]
#: Fills a row with a cell that is not empty.
Put = Callable[[Row, str], None]

_NUMBER = re.compile(r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)(\.)[0-9]+")
#: A double carries 15 digits exactly (IEEE 754); longer runs of digits are identifiers.
_NUMBER_DIGITS: Final = 15
#: What is asked to be a number may be written in any of the usual ways, however long: no run of digits matches in two
#: ways, so a mismatch costs linear time.
_ANY_WHOLE = re.compile(r"[+-]?[0-9]+")
_ANY_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
#: Longer ones are beyond 64 bits unread (CPython's `int` refuses 4,300 digits).
_WHOLE_DIGITS: Final = 400
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


class Refused(Exception):
    """A record that its mapping refuses, by the rule of an `Unreadable`; raised while a row is filled, never beyond."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def put_of(target: Target, separator: str) -> Put:
    """What puts a cell of this target in a row; what cannot be converted stays text, for admission to refuse."""
    match target:
        case Whole(wire, Text()):
            return _text(wire)
        case Whole(wire, Flag()):
            return _flag(wire)
        case Whole(wire):
            return _whole_number(wire)
        case Argument():
            return _argument(target)
        case OneIdentity():
            return _identity(target)
        case OneCustomField():
            return _custom_field(target, separator)


def put_empty_of(target: Target) -> Put | None:
    """What puts an empty text in a row; None where no empty text can be."""
    match target:
        case Whole(wire, Text(non_empty=False, choices=())):
            return _text(wire)
        case Argument(type="auto" | "text"):
            return _argument(target)
        case OneCustomField(wire):

            def put(row: Row, cell: str) -> None:
                row.setdefault(wire, []).append({**target.named, "values": [cell]})

            return put
        case _:
            return None


def is_text(target: Target) -> bool:
    """Whether a cell goes into the row as it is."""
    return isinstance(target, Whole) and isinstance(target.kind, Text)


def _text(wire: str) -> Put:
    def put(row: Row, cell: str) -> None:
        row[wire] = cell

    return put


def _whole_number(wire: str) -> Put:
    def put(row: Row, cell: str) -> None:
        row[wire] = int(cell) if WHOLE_NUMBER.fullmatch(cell) else cell

    return put


def _flag(wire: str) -> Put:
    def put(row: Row, cell: str) -> None:
        row[wire] = _FLAGS.get(cell.lower(), cell)

    return put


def _argument(target: Argument) -> Put:
    wire, key = target.wire, target.name
    converters: dict[str, Callable[[str], Any]] = {"auto": number_or_text, "text": str, "number": number_for(target)}
    convert = converters[target.type]

    def put(row: Row, cell: str) -> None:
        row.setdefault(wire, {})[key] = convert(cell)

    return put


def _identity(target: OneIdentity) -> Put:
    wire, identity_type = target.wire, target.identity_type

    def put(row: Row, cell: str) -> None:
        row.setdefault(wire, []).append({"identityType": identity_type, "identityValue": cell})

    return put


def _custom_field(target: OneCustomField, separator: str) -> Put:
    wire, named = target.wire, target.named

    def put(row: Row, cell: str) -> None:
        values = [value for value in cell.split(separator) if value]
        if values:
            row.setdefault(wire, []).append({**named, "values": values})

    return put


def number_or_text(cell: str) -> int | float | str:
    """A number when the cell is written as one plainly: at most 15 digits, no leading zero, plus sign or exponent.

    All else stays text, as do 013800000000, +1, 1e5 and the 18 digits of an identity card.
    """
    number = _NUMBER.fullmatch(cell)
    if number is None or len(cell) - cell.count(".") - cell.count("-") > _NUMBER_DIGITS:
        return cell
    return float(cell) if number[1] else int(cell)


def number_for(target: Argument) -> Callable[[str], int | float]:
    """What reads the number of an argument; it refuses the record whose text is none, or is beyond 64 bits."""
    name = quoted(target.name)
    no_number = f"has no number in argument {name}: write digits without separators, or take it as text"
    too_large = f"has a whole number beyond 64 bits in argument {name}: take it as text"
    not_finite = f"has no finite number in argument {name}: it is too large for a double of 64 bits, take it as text"

    def number_in(text: str) -> int | float:
        digits = text.strip()
        if _ANY_WHOLE.fullmatch(digits):
            if len(digits) <= _WHOLE_DIGITS and int(digits) in INT64:
                return int(digits)
            raise Refused(too_large)  # a double would round its digits
        if not _ANY_NUMBER.fullmatch(digits):
            raise Refused(no_number)
        number = float(digits)
        if math.isinf(number):
            raise Refused(not_finite)
        return number

    return number_in
