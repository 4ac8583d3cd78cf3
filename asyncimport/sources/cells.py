"""How the text of one cell fills the part of a record that its column names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from asyncimport.fields import INT64, MILLISECONDS, Flag, Text, millis_of
from asyncimport.sources.mapping import quoted
from asyncimport.sources.target import WHOLE_NUMBER, Argument, Moment, OneCustomField, OneIdentity, Target, Whole

Row = dict[str, Any]
#: Fills a row with a cell that is not empty.
Put = Callable[[Row, str], None]
#: Fills a row with a value.
PutValue = Callable[[Row, Any], None]

_NUMBER = re.compile(r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)(\.)[0-9]+")
#: A double carries 15 digits exactly (IEEE 754); longer runs of digits are identifiers.
_NUMBER_DIGITS: Final = 15
#: What is asked to be a number may be written in any of the usual ways, however long: no run of digits matches in two
#: ways, so a mismatch costs linear time.
_ANY_WHOLE = re.compile(r"[+-]?[0-9]+")
_ANY_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
#: Longer ones are beyond 64 bits unread (CPython's `int` refuses 4,300 digits).
_WHOLE_DIGITS: Final = 400
#: Seconds or milliseconds; what is finer than a millisecond is cut off.
_SINCE_1970 = re.compile(r"([0-9]{1,20})(?:\.([0-9]+))?")
_WRITTEN: Final = {
    "iso": "write it as ISO 8601, such as 2025-03-01T10:00:00+08:00",
    "s": "write it as seconds since 1970",
    "ms": "write it as milliseconds since 1970",
}
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
            return _as_it_is(wire)
        case Whole(wire, Flag()):
            return _flag(wire)
        case Whole(wire):
            return _whole_number(wire)
        case Moment():
            return _moment(target)
        case Argument():
            return _argument(target)
        case OneIdentity():
            return _identity(target)
        case OneCustomField():
            return _custom_field(target, separator)


def put_value_of(target: Target) -> PutValue:
    """What puts a value in a row as it is, with the type it has."""
    match target:
        case Whole(wire) | Moment(wire):
            return _as_it_is(wire)
        case OneIdentity():
            return _identity(target)
        case Argument(wire, name):

            def put(row: Row, value: Any) -> None:
                row.setdefault(wire, {})[name] = value

        case OneCustomField(wire):

            def put(row: Row, value: Any) -> None:
                row.setdefault(wire, []).append({**target.named, "values": [value]})

    return put


def put_empty_of(target: Target) -> Put | None:
    """What puts an empty text in a row; None where no empty text can be."""
    match target:
        case Whole(wire, Text(non_empty=False, choices=())):
            return _as_it_is(wire)
        case Argument(type="auto" | "text"):
            return _argument(target)
        case OneCustomField():
            return put_value_of(target)
        case _:
            return None


def is_text(target: Target) -> bool:
    """Whether a cell goes into the row as it is."""
    return isinstance(target, Whole) and isinstance(target.kind, Text)


def _as_it_is(wire: str) -> PutValue:
    def put(row: Row, value: Any) -> None:
        row[wire] = value

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


def _moment(target: Moment) -> Put:
    wire, moment_in = target.wire, moment_for(target)

    def put(row: Row, cell: str) -> None:
        row[wire] = moment_in(cell)

    return put


def _identity(target: OneIdentity) -> PutValue:
    wire, named = target.wire, target.named

    def put(row: Row, value: Any) -> None:
        row.setdefault(wire, []).append({**named, "identityValue": value})

    return put


def _custom_field(target: OneCustomField, separator: str) -> Put:
    wire, named, parts_at = target.wire, target.named, target.separator or separator

    def put(row: Row, cell: str) -> None:
        values = [value for value in cell.split(parts_at) if value]
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


def moment_for(target: Moment) -> Callable[[Any], int]:
    """What reads the moment of a field, in milliseconds since 1970, from text, a number or a datetime.

    It refuses the record whose value is none in this format, has no zone and is given none, or lies in the hour that
    the clocks of its zone show twice or leave out. A text may have blanks around it.
    """

    def moment_in(value: Any) -> int:
        if target.format == "iso" or isinstance(value, datetime):
            millis = millis_of(_aware(_datetime(value, target), target))
        else:
            millis = _since_1970(value, target)
        if millis not in MILLISECONDS:
            raise _refused("has a moment outside 1973-03-03 to 5138-11-16", target, "look at its format")
        return millis

    return moment_in


def _refused(what: str, target: Moment, advice: str) -> Refused:
    return Refused(f"{what} in column {quoted(target.column)}: {advice}")


def _datetime(value: Any, target: Moment) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value.strip())
    except (AttributeError, ValueError):  # no text, or another one
        raise _refused("has no moment", target, _WRITTEN["iso"]) from None


def _aware(moment: datetime, target: Moment) -> datetime:
    if moment.utcoffset() is not None:
        return moment
    if target.zone is None:
        raise _refused("has a time without a zone", target, "write its offset, or name the zone of such times")
    early, late = (moment.replace(tzinfo=target.zone, fold=fold) for fold in (0, 1))
    if early.utcoffset() != late.utcoffset():
        what = f"has a time that the clocks of {target.zone} show twice or leave out"
        raise _refused(what, target, "write its offset")
    return early


def _since_1970(value: Any, target: Moment) -> int:
    is_number_or_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    found = _SINCE_1970.fullmatch(str(value).strip()) if is_number_or_text else None
    if found is None:
        raise _refused("has no moment", target, _WRITTEN[target.format])
    if target.format == "ms":
        return int(found[1])
    return int(found[1]) * 1000 + int((found[2] or "")[:3].ljust(3, "0"))
