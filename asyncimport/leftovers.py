"""What is left of a run when it ends: records that were read and never sent, and those that an earlier process left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

import orjson
from attrs import define, field, frozen

from asyncimport.admission import neighbours
from asyncimport.batch import Positions
from asyncimport.outcome import BatchOutcome, Dropped, Unconfirmed, Unsent
from asyncimport.parts import Parts
from asyncimport.rejects import wires_body
from asyncimport.structs import Wire
from asyncimport.window import MAX_BYTES

#: Bytes of undelivered records that are held for whoever takes them back: as much as a window.
MOST_HELD_BYTES: Final = MAX_BYTES


@frozen(kw_only=True)
class Undelivered:
    """A record that was not delivered, as it was sent or would have been: put again, it has the same `uuid` and `time`.

    `record` is None only where a defect of ours or a lack of memory lost it.
    """

    position: int
    state: Literal["unsent", "unconfirmed"]
    record: dict[str, Any] | None = field(repr=False)


@define
class UndeliveredRecords:
    """Holds the records of outcomes that nobody delivered, as bytes, up to `MOST_HELD_BYTES`."""

    #: Records that were beyond that.
    beyond: int = 0
    _held: list[tuple[Unsent | Unconfirmed, bytes]] = field(factory=list)
    _held_bytes: int = 0

    def keep(self, outcome: BatchOutcome, body: bytes) -> None:
        """Keep the records of an outcome that are in `body`, if it did not deliver them."""
        if not isinstance(outcome, Unsent | Unconfirmed):
            return
        if self._held_bytes + len(body) > MOST_HELD_BYTES:
            self.beyond += outcome.count
            return
        self._held.append((outcome, body))
        self._held_bytes += len(body)

    def __iter__(self) -> Iterator[Undelivered]:
        """The records, in order of positions."""
        for outcome, body in sorted(self._held, key=lambda held: held[0].positions[0]):
            records = orjson.loads(body)["data"] if body else [None] * outcome.count
            state: Literal["unsent", "unconfirmed"] = "unsent" if isinstance(outcome, Unsent) else "unconfirmed"
            for position, record in zip(outcome.positions, records, strict=True):
                yield Undelivered(position=position, state=state, record=record)


def settle_unread(parts: Parts, settle: Callable[[BatchOutcome, bytes], None], *, keeps: bool) -> None:
    """Settle what was read and never became a batch: it is unsent. With `keeps` its records go with it."""

    def unsent(positions: Positions, wires: Sequence[Wire]) -> None:
        settle(Unsent(positions=positions, reason="the run stopped"), wires_body(wires) if keeps else b"")

    for chunk in parts.stages.chunker.flush():
        unsent(chunk.positions, chunk.wires)
    reader = parts.stages.reader
    while reader.position < parts.begins_at and reader.take():
        pass  # of a spooled source that begins anew: counted already
    first = reader.position
    while items := reader.take():
        parts.tally.add_read(len(items))
        if parts.journal is not None and parts.options.spool:
            parts.journal.spool_last(first, items, parts.wall_ms())
        for item in neighbours(items, first):
            if isinstance(item, Dropped):
                settle(item, b"")
            else:
                unsent(Positions((range(item.first, item.first + len(item.wires)),)), item.wires)
        first = reader.position


def give_back_known(parts: Parts) -> None:
    """Count what an earlier process left to be sent, and this one did not come to."""
    if parts.journal is None:
        return
    left, end = parts.tally.in_progress, parts.journal.known.end
    for entry in parts.journal.known.pending:
        parts.tally.give_back(entry.left, entry.first, is_unconfirmed=entry.is_open)
        left -= entry.left
    parts.tally.give_back(left, end)  # spooled, and in no batch yet
