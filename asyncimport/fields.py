"""The kinds of field a record can have: what each takes, how it goes onto the wire, what it says when it refuses.

This is the reference that explains. `structs.py` and `guard.py` take the common record, by the same declarations;
whatever they doubt comes here. Nothing is coerced, and no message holds a value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import attrs
from attrs import define, frozen

from asyncimport.redaction import pattern_of

#: JSON deeper than this is refused. orjson stops at 254 levels including ours; documents show one level of eventargs.
MAX_DEPTH: Final = 128
#: Values in one record's free part; a request of 1 MB holds at most half a million.
MAX_VALUES: Final = 500_000
#: Every documented integer is signed (E). What orjson writes above it, up to 2^64 - 1, a platform may round or refuse (I).
INT64: Final = range(-(2**63), 2**63)
#: 1973-03-03 to 5138-11-16 in milliseconds. Seconds of today (10 digits) lie below, microseconds (16 digits) above.
MILLISECONDS: Final = range(10**11, 10**14)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ABSENT: Final = object()

_PLAIN_KEY = re.compile(r"\w{1,40}")


@frozen(kw_only=True)
class Problem:
    """One breach of the contract: `place` (`identities[0].mpid`), `field` (`identities[].mpid`), `got`, `rule`."""

    place: str
    field: str
    got: str
    rule: str
    #: The value's pattern (`pattern_of`), empty where there is none to show; no part of what is wrong.
    example: str = attrs.field(default="", eq=False)
    #: The column of the source that the value came from, where the source has columns.
    column: str | None = attrs.field(default=None, eq=False)

    def place_in(self, position: int) -> str:
        """The place within the record at this position of the data; empty where it is the record itself."""
        return self.place.removeprefix(f"data[{position}]").removeprefix(".")

    @property
    def reason(self) -> str:
        """The same for every record with this fault: fit for counting."""
        return f"{self.field or 'record'}: {self.rule}"

    def __str__(self) -> str:
        column = f" (column {self.column[:40]!r})" if self.column and self.column != self.field else ""
        return f"{self.place or 'record'}{column}: got {self.got}; {self.rule}"


@frozen
class At:
    """A place in a record, as the reader finds it and as faults are counted."""

    place: str = ""
    field: str = ""

    def key(self, name: str) -> At:
        return At(_joined(self.place, name), _joined(self.field, name))

    def free_key(self, name: str) -> At:
        """A key of the user's own: shown in the place, escaped and cut; one `*` for counting."""
        return At(_joined(self.place, _shown(name)), _joined(self.field, "*"))

    def unknown_key(self, name: str) -> At:
        """A key that is no field: shown in both, since its name is what is wrong."""
        return At(_joined(self.place, _shown(name)), _joined(self.field, _shown(name)))

    def item(self, index: int) -> At:
        return At(f"{self.place}[{index}]", f"{self.field}[]")

    def problem(self, value: object, rule: str) -> Problem:
        return self.named(kind_of(value), rule, value)

    def named(self, got: str, rule: str, value: object = None) -> Problem:
        return Problem(place=self.place, field=self.field, got=got, rule=rule, example=pattern_of(value))


def _shown(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key[:40])}]"


def _joined(path: str, name: str) -> str:
    return path + name if not path or name.startswith("[") else f"{path}.{name}"


def kind_of(value: object) -> str:
    """The kind of a value in the user's words, never the value."""
    match value:
        case None:
            return "nothing"
        case str() if type(value) is str:
            return "an empty string" if not value else "text"
        case _:
            return type(value).__name__


class Kind(Protocol):
    """What one field takes."""

    def copy(self, value: Any, at: At, problems: list[Problem]) -> Any:
        """Return the wire form, sharing nothing mutable with `value`; on a breach append to `problems`."""


@frozen(kw_only=True)
class Text:
    """A string of valid Unicode. `str` subclasses (enums too) count as the text they hold."""

    non_empty: bool = False
    max_chars: int | None = None
    choices: tuple[str, ...] = ()

    def copy(self, value: Any, at: At, problems: list[Problem]) -> Any:
        if not isinstance(value, str):
            problems.append(at.problem(value, _not_text(value)))
            return ABSENT
        if self.non_empty and not value:
            problems.append(at.problem(value, "must not be empty"))
        if self.max_chars is not None and len(value) > self.max_chars:
            got = f"{len(value)} characters"
            rule = f"takes at most {self.max_chars} characters"
            problems.append(at.named(got, rule, value))
        if self.choices and value not in self.choices:
            problems.append(at.named("another text", self._one_of(), value))
        if not is_unicode(value):
            problems.append(at.problem(value, "holds a lone surrogate, which UTF-8 cannot carry"))
        return str.__str__(value)

    def _one_of(self) -> str:
        return f"takes one of {', '.join(self.choices)}"


@frozen
class Flag:
    """True or False; no number and no text stands for them."""

    def copy(self, value: Any, at: At, problems: list[Problem]) -> Any:
        if type(value) is not bool:
            problems.append(at.problem(value, "takes True or False"))
        return value


@frozen
class Int64:
    """A whole number of 64 bits, signed."""

    def copy(self, value: Any, at: At, problems: list[Problem]) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            problems.append(at.problem(value, "takes a whole number (int)"))
            return ABSENT
        number = int(value)  # `in` on a range walks it for a subclass of int
        if number not in INT64:
            problems.append(at.problem(value, "takes a whole number of 64 bits"))
        return number


@frozen
class Millis:
    """A moment in milliseconds since 1970 (UTC): an int, or an aware datetime, which is converted (rounded down)."""

    def copy(self, value: Any, at: At, problems: list[Problem]) -> Any:
        if isinstance(value, datetime):
            if value.utcoffset() is None:
                rule = "takes an aware datetime: give it a time zone, as in value.replace(tzinfo=...)"
                problems.append(at.named("a naive datetime", rule))
                return ABSENT
            moment = millis_of(value)
            if moment not in MILLISECONDS:
                problems.append(at.problem(value, "takes a moment from 1973-03-03 to 5138-11-16"))
            return moment
        if not isinstance(value, int) or isinstance(value, bool):
            problems.append(at.problem(value, "takes milliseconds since 1970 (int) or an aware datetime"))
            return ABSENT
        moment = int(value)
        if moment not in MILLISECONDS:
            problems.append(at.problem(value, _not_millis(moment)))
        return moment


@frozen(kw_only=True)
class ListOf:
    """A list or tuple whose items are all of one kind."""

    item: Kind
    min_items: int = 0

    def copy(self, value: Any, at: At, problems: list[Problem]) -> Any:
        if not isinstance(value, list | tuple):
            problems.append(at.problem(value, "takes a list"))
            return ABSENT
        if len(value) < self.min_items:
            rule = f"takes at least {self.min_items}"
            problems.append(at.named(f"{len(value)} items", rule))
        return [self.item.copy(item, at.item(index), problems) for index, item in enumerate(value)]


@frozen
class JsonObject:
    """A mapping of the user's own keys to any JSON values, nested too. A key whose value is None is absent."""

    def copy(self, value: Any, at: At, problems: list[Problem]) -> Any:
        if not isinstance(value, Mapping):
            problems.append(at.problem(value, "takes a mapping of names to JSON values"))
            return ABSENT
        return copy_json(value, at, problems, MAX_DEPTH)


@frozen
class JsonList:
    """A list or tuple of any JSON values, nested too, for items that no document describes: passed on as they are given."""

    def copy(self, value: Any, at: At, problems: list[Problem]) -> Any:
        if not isinstance(value, list | tuple):
            problems.append(at.problem(value, "takes a list of JSON values"))
            return ABSENT
        return copy_json(value, at, problems, MAX_DEPTH)


def copy_json(value: Any, at: At, problems: list[Problem], depth: int) -> Any:
    """Copy any JSON value; tuples become lists; floats must be finite, integers of 64 bits, signed, keys text.

    At most `depth` levels and `MAX_VALUES` values are followed: a list may hold itself, twice.
    """
    return _JsonCopy(problems, MAX_VALUES).copy(value, at, depth)


@define
class _JsonCopy:
    """One copy on its way."""

    problems: list[Problem]
    values_left: int

    def copy(self, value: Any, at: At, depth: int) -> Any:
        self.values_left -= 1
        match value:
            case None | bool():
                return value
            case str():
                return Text().copy(value, at, self.problems)
            case int() if int(value) in INT64:
                return int(value)
            case float() if math.isfinite(value):
                return float(value)
            case list() | tuple() if depth > 0 and self.values_left > 0:
                return [self.copy(item, at.item(index), depth - 1) for index, item in enumerate(value)]
            case Mapping() if depth > 0 and self.values_left > 0:
                return dict(self._items(value, at, depth - 1))
        if self.values_left > 0 or not self.problems:
            self.problems.append(at.problem(value, _not_json(value)))
        if isinstance(value, list | tuple | Mapping):
            self.values_left = 0  # said once: a list that holds itself twice has no end of places that are too deep
        return ABSENT

    def _items(self, value: Mapping[Any, Any], at: At, depth: int) -> Iterator[tuple[str, Any]]:
        for key, item in value.items():
            if item is None:
                continue
            if not isinstance(key, str):
                self.problems.append(at.problem(key, "takes text keys only"))
            elif not is_unicode(key):
                self.problems.append(at.problem(key, "has a key with a lone surrogate, which UTF-8 cannot carry"))
            else:
                yield str.__str__(key), self.copy(item, at.free_key(key), depth)


def _not_json(value: object) -> str:
    match value:
        case int():
            return "takes whole numbers within signed 64 bits: send longer ones as text"
        case float():
            return "takes finite numbers: NaN and infinities have no JSON form"
        case list() | tuple() | Mapping():
            return f"is nested deeper than {MAX_DEPTH} levels, or holds more than {MAX_VALUES:,} values"
        case datetime():
            return "takes JSON values only; write a date as text or as milliseconds"
        case _:
            return "takes JSON values only; convert it to text or a number first"


def _not_text(value: object) -> str:
    if isinstance(value, bytes):
        return "takes text: decode the bytes first"
    if isinstance(value, int | float):
        return "takes text: write the number as a string"
    return "takes text (str)"


def _not_millis(value: int) -> str:
    if value < MILLISECONDS.start:
        return "takes milliseconds since 1970: this looks like seconds, multiply by 1000"
    return "takes milliseconds since 1970: this looks like microseconds or nanoseconds, divide first"


def is_unicode(value: str) -> bool:
    """Whether UTF-8 can carry the string: false with a lone surrogate in it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def millis_of(moment: datetime) -> int:
    """Whole milliseconds since 1970 of an aware datetime, rounded down, without going through a float."""
    return (moment - EPOCH) // timedelta(milliseconds=1)
