"""Records that come again, cut into the batches they were: the same positions, the same bytes, or an error.

A resumed run must send the bytes that it may have sent before. Where the cuts fell depended on time and on sizes, so they
are taken from the journal, and a digest tells whether the records are the same. Everything is compared before anything
is sent. Records outside of those batches were rejected before, or belong to batches that are settled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from attrs import define, evolve, field

from asyncimport.admission import Wire
from asyncimport.batch import Batch, Positions
from asyncimport.chunker import Chunk
from asyncimport.codec import Encoder
from asyncimport.errors import JournalError
from asyncimport.journal.entry import Entry, EntryState, digest_of
from asyncimport.outcome import Rejected


@define
class Recut:
    """Takes records in order, and gives the batches that are still to be sent. `expected` are the next batches, in order."""

    path: str
    encoder: Encoder
    expected: deque[Entry] = field(factory=deque)
    _wires: list[Wire] = field(factory=list)
    _positions: list[int] = field(factory=list)

    def feed(self, first: int, items: Sequence[Wire | Rejected | None]) -> Iterator[Batch]:
        """Take records, the first of them at this position; what was rejected is no record.

        Raises:
            JournalError: a batch is not what it was.
        """
        for position, item in enumerate(items, first):
            if not self.expected:
                return
            entry = self.expected[0]
            if position >= entry.first and isinstance(item, dict):
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
        return resumed(entry, batch) if entry.state is EntryState.PENDING else None


def resumed(entry: Entry, batch: Batch) -> Batch:
    """A batch as it goes on: its attempts count on, and one that may have been sent counts as unanswered."""
    return evolve(
        batch,
        number=entry.number,
        is_resumed=True,
        attempts=entry.attempts,
        unanswered=int(entry.is_open),
        unrepeated=int(entry.is_open),
        duplicates=entry.duplicates,
        sent_bytes=entry.sent_bytes,
        last_fault="the process ended before an answer came" if entry.is_open else "",
    )
