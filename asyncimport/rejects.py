"""Rejected records as lines of a file: one JSON object a line, with the record, so that it can be repaired and sent again.

    {"record": {…}, "state": "rejected", "reason": …, "code": …, "detail": …, "resource": …, "run_id": …,
     "position": 12, "line": 14, "time": "2026-01-31T12:00:00.000Z"}

`record` is the record as it was sent, or as it came when it was refused here; text when it could not be read at all (the
lines themselves), null when that was longer than is kept. `position` counts from 0, `line` from 1; `line` is
null where the source has none. `time` is when it was settled, UTC. These lines hold people's data: the file is for its
owner alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Final

import orjson
from attrs import define, frozen

from asyncimport.fields import JSON_INTEGERS, MAX_DEPTH, MAX_VALUES, is_unicode
from asyncimport.outcome import Rejected
from asyncimport.records import Record
from asyncimport.shape import shape_of
from asyncimport.unreadable import Unreadable

#: What an outcome and its problems take in memory besides the record (measured, CPython 3.11: 4.5 KB with one problem).
_OUTCOME_BYTES: Final = 5_000


def not_kept(_record: object) -> bytes:
    """What a run keeps of a refused record when it has nowhere to put it."""
    return b""


def json_of(record: object) -> bytes:
    """A record as JSON, whatever is wrong with it: what JSON cannot carry becomes text."""
    return orjson.dumps(_Plain(MAX_VALUES).of(record, MAX_DEPTH))


@define
class _Plain:
    """One record on its way to JSON values; at most so many of them, since a list may hold itself."""

    values_left: int

    def of(self, value: Any, depth: int) -> Any:
        self.values_left -= 1
        match value:
            case None | bool():
                return value
            case str():
                return str.__str__(value) if is_unicode(value) else value.encode(errors="backslashreplace").decode()
            case int():
                return int(value) if int(value) in JSON_INTEGERS else _in_words(value)
            case float():
                return float(value) if math.isfinite(value) else _in_words(value)
            case bytes() | bytearray():
                return value.decode(errors="backslashreplace")
            case datetime() | date() | time():
                return value.isoformat()
            case Unreadable():
                return value.text
        if depth <= 0 or self.values_left <= 0:
            return f"<{type(value).__name__}>"
        return self._of_many(value, depth - 1)

    def _of_many(self, value: Any, depth: int) -> Any:
        try:
            if isinstance(value, Record):
                fields = ((field.wire, getattr(value, field.name)) for field in shape_of(type(value)).fields)
                return {name: self.of(item, depth) for name, item in fields if item is not None}
            if isinstance(value, Mapping):
                return {self.of(str(key), 0): self.of(item, depth) for key, item in value.items()}
            if isinstance(value, list | tuple | set | frozenset):
                return [self.of(item, depth) for item in value]
            return self.of(str(value), 0)
        except Exception:  # noqa: BLE001 -- a mapping of the user's may raise anything, also while it is refused
            return f"<{type(value).__name__}>"


def _in_words(number: float) -> str:
    """A number JSON has no form for; Python refuses to write out thousands of digits."""
    try:
        return str(number)
    except ValueError:
        return f"<{type(number).__name__}>"


@frozen(kw_only=True)
class Rejection:
    """An outcome on its way to the file: the records it is about are in `body`, a batch as it was sent, or in itself."""

    outcome: Rejected
    body: bytes
    settled_ms: int

    @property
    def size(self) -> int:
        """Bytes it holds in memory, about."""
        return len(self.body) + len(self.outcome.content) + _OUTCOME_BYTES


@frozen(kw_only=True)
class Lines:
    """Writes rejections as lines."""

    resource: str
    run_id: str

    def of(self, rejection: Rejection) -> Iterator[bytes]:
        """One line for each record, with its line end."""
        outcome = rejection.outcome
        for position, record in zip(outcome.positions, _contents(rejection), strict=True):
            line = {
                "record": orjson.Fragment(record),
                "state": "rejected",
                "reason": outcome.reason,
                "code": outcome.code,
                "detail": outcome.detail,
                "resource": self.resource,
                "run_id": self.run_id,
                "position": position,
                "line": outcome.line,
                "time": _moment(rejection.settled_ms),
            }
            yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _moment(since_1970_ms: int) -> str:
    seconds, milliseconds = divmod(since_1970_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


def _contents(rejection: Rejection) -> list[bytes]:
    if rejection.body:
        return [orjson.dumps(record) for record in orjson.loads(rejection.body)["data"]]
    return [rejection.outcome.content]
