"""Records that come again, cut into the batches they were: the same positions, the same bytes, or an error.

A resumed run must send the bytes that it may have sent before. Where the cuts fell depended on time and on sizes, so they
are taken from the journal, and a digest tells whether the records are the same. Everything is compared before anything
is sent. Records outside of those batches were rejected or skipped before, or belong to batches that are settled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from attrs import define, evolve, field

from asyncimport.admission import Item
from asyncimport.batch import Batch, Positions, Whole
from asyncimport.chunker import Chunk
from asyncimport.codec import Encoder
from asyncimport.errors import JournalError
from asyncimport.journal.entry import Entry, EntryState, digest_of
from asyncimport.outcome import Dropped
from asyncimport.structs import Wire


@define
class Recut:
    """Takes records in order, and gives the batches that are still to be sent. `expected` are the next batches, in order."""

    path: str
    encoder: Encoder
    expected: deque[Entry] = field(factory=deque)
    _wires: list[Wire] = field(factory=list)
    _positions: list[int] = field(factory=list)

    def feed(self, first: int, items: Sequence[Item | None]) -> Iterator[Batch]:
        """Take records, the first of them at this position; what was rejected or skipped is no record.

        Raises:
            JournalError: a batch is not what it was.
        """
        for position, item in enumerate(items, first):
            if not self.expected:
                return
            entry = self.expected[0]
            if position >= entry.first and item is not None and not isinstance(item, Dropped):
                self._wires.append(item)
                self._positions.append(position)
            if position == entry.end - 1:
                batch = self._close(self.expected.popleft())
                if batch is not None:
                    yield batch

    def _close(self, entry: Entry) -> Batch | None:
        chunk = Chunk(wires=self._wires, positions=Positions.of(self._positions))
        self._wires, self._positions = [], []
        batch = self.encoder.encode_whole(chunk) if chunk.wires else None
        if batch is None or batch.count != entry.count or digest_of(batch.body) != entry.digest:
            raise JournalError(
                f"the source is not the one that the journal {self.path} is of: the records at positions {entry.first:,} "
                f"to {entry.end - 1:,} differ from those that were read before. Nothing was sent. Give the source as it "
                "was, or name another journal"
            )
        if entry.state is not EntryState.PENDING:
            return None
        rest = self.encoder.encode_whole(_left(chunk, entry)) if entry.pieces else batch
        return None if rest is None else resumed(entry, rest)


def _left(chunk: Chunk, entry: Entry) -> Chunk:
    """The records of a split batch that are in no settled piece: they go on together, as a piece."""
    left = [
        index
        for index, position in enumerate(chunk.positions)
        if not any(piece.first <= position < piece.end for piece in entry.pieces)
    ]
    positions = Positions.of([chunk.positions[index] for index in left])
    return Chunk(wires=[chunk.wires[index] for index in left], positions=positions)


def resumed(entry: Entry, batch: Batch) -> Batch:
    """A batch as it goes on: its attempts count on, and one that may have been sent counts as unanswered."""
    return evolve(
        batch,
        number=entry.number,
        is_resumed=True,
        whole=Whole(
            attempts=entry.attempts,
            duplicates=entry.duplicates,
            sent_bytes=entry.sent_bytes,
            is_split=bool(entry.pieces),
        ),
        attempts=entry.attempts,
        unanswered=int(entry.is_open),
        unrepeated=int(entry.is_open),
        last_fault="the process ended before an answer came" if entry.is_open else "",
    )
