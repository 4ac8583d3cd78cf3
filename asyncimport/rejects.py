"""Records that were not accepted, as lines of a file: one JSON object a line, to be repaired and sent again.

    {"record": {…}, "state": "rejected", "uuid": …, "time": …, "reason": …, "code": …, "detail": …, "resource": …,
     "params": {…}, "run_id": …, "position": 12, "line": 14, "offset": 980,
     "row_group": null, "row": null, "settled_at": "2026-01-31T12:00:00.000Z"}

`record` is the record as it was sent, or as it came when it was refused here; text when it could not be read at all (the
lines themselves), null when that was longer than is kept. `state` is rejected, unconfirmed or unsent. `uuid` and `time`
are an event's as it was sent, or would have been; null of what has none. `params` are the `publicParams`. `position`
counts from 0; `line`, `offset`, `row_group` and `row` are where the source has it (`place.py`), null where it has none. `settled_at` is UTC. These lines hold people's
data: the file is for its owner alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final

import orjson
from attrs import define, evolve, field, frozen

from asyncimport.batch import Positions
from asyncimport.fields import INT64, MAX_DEPTH, MAX_VALUES, is_unicode
from asyncimport.outcome import Rejected, Unconfirmed, Unsent
from asyncimport.place import NOWHERE
from asyncimport.records import Record
from asyncimport.shape import shape_of
from asyncimport.structs import UNENCODABLE, Wire, json_bytes, plain
from asyncimport.unreadable import Unreadable

#: What an outcome and its problems take in memory besides the record (measured, CPython 3.11: 4.5 KB with one problem).
_OUTCOME_BYTES: Final = 5_000
_STATES: Final = {Rejected: "rejected", Unconfirmed: "unconfirmed", Unsent: "unsent"}
#: The states of a line.
STATES: Final = tuple(_STATES.values())


def made_uuid(run_id: str, position: int) -> str:
    """The `uuid` of an event that has none: 20 characters of the run and 16 hex digits of the position (DESIGN.md, section 1)."""
    return f"{run_id}{position:016x}"


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
                return int(value) if int(value) in INT64 else _in_words(value)
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

    outcome: Rejected | Unconfirmed | Unsent
    body: bytes = field(repr=False)
    settled_ms: int
    #: Whether a resumed run sends its records, so that they are in the file only until then.
    is_pending: bool = False

    @property
    def size(self) -> int:
        """Bytes it holds in memory, about."""
        content = self.outcome.content if isinstance(self.outcome, Rejected) else b""
        return len(self.body) + len(content) + _OUTCOME_BYTES


@frozen(kw_only=True)
class Line:
    """One line, with its end, and what it is sorted and counted by."""

    position: int
    state: str
    reason: str
    text: bytes = field(repr=False)


@frozen(kw_only=True)
class Lines:
    """Writes what was not accepted as lines."""

    resource: str
    run_id: str
    params: Mapping[str, Any]
    #: Whether records have a `uuid` and a `time` of their own.
    is_stamped: bool
    #: The `time` of a record that has none, in milliseconds since 1970; None is the time of its rejection.
    time_ms: int | None = None
    #: Whether a record without a `uuid` gets one of the run and its position.
    makes_uuid: bool = True

    def of(self, rejection: Rejection) -> Iterator[Line]:
        """One line for each record."""
        outcome = rejection.outcome
        state = _STATES[type(outcome)]
        refused = outcome if isinstance(outcome, Rejected) else None
        for position, record in zip(outcome.positions, _contents(rejection), strict=True):
            uuid, time = self._stamps(record, position, rejection.settled_ms)
            line = {
                "record": orjson.Fragment(record),
                "state": state,
                "uuid": uuid,
                "time": time,
                "reason": outcome.reason,
                "code": refused.code if refused else None,
                "detail": refused.detail if refused else outcome.reason,
                "resource": self.resource,
                "params": self.params,
                "run_id": self.run_id,
                "position": position,
                **(refused.place if refused else NOWHERE).to_dict(),
                "settled_at": _moment(rejection.settled_ms),
            }
            text = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
            yield Line(position=position, state=state, reason=outcome.reason, text=text)

    def _stamps(self, content: bytes, position: int, settled_ms: int) -> tuple[str | None, int | None]:
        """The `uuid` and `time` of a record as it was sent, or would have been."""
        if not self.is_stamped:
            return None, None
        record = orjson.loads(content) if content else None
        given = record if isinstance(record, dict) else {}
        uuid, time = given.get("uuid"), given.get("time")
        return (
            uuid if isinstance(uuid, str) and uuid else made_uuid(self.run_id, position) if self.makes_uuid else None,
            time if type(time) is int else settled_ms if self.time_ms is None else self.time_ms,
        )


def _moment(since_1970_ms: int) -> str:
    seconds, milliseconds = divmod(since_1970_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


def _contents(rejection: Rejection) -> list[bytes]:
    if rejection.body:
        return [json_bytes(record) for record in orjson.loads(rejection.body)["data"]]
    if isinstance(rejection.outcome, Rejected):
        return [rejection.outcome.content or b"null"]
    return [b"null"] * rejection.outcome.count  # lost by a defect of ours: their places are all that is known


def each_rejected(outcome: Rejected, body: bytes) -> Iterator[Rejected]:
    """A rejection for each record of an outcome, with the record; `body` is the batch as it was sent, where there was one."""
    if not body:
        yield outcome
        return
    for position, record in zip(outcome.positions, orjson.loads(body)["data"], strict=True):
        yield evolve(outcome, positions=Positions((range(position, position + 1),)), content=json_bytes(record))


def wires_body(wires: Sequence[Wire]) -> bytes:
    """Records that never were a batch, in the form in which a rejection holds one; those that cannot be encoded as text."""
    try:
        return json_bytes({"data": wires})
    except UNENCODABLE:
        return orjson.dumps({"data": [orjson.Fragment(json_of(plain(wire))) for wire in wires]})
