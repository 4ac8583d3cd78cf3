"""The journal as the event loop sees it: what happened is handed over, and what must be on disk first is waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from asyncimport.batch import Batch
from asyncimport.clock import Clock
from asyncimport.disk import DiskWriter
from asyncimport.errors import JournalError
from asyncimport.journal.change import (
    CHANGE_BYTES,
    Begun,
    Change,
    Kept,
    Noted,
    Omitted,
    Pieced,
    Planned,
    Settled,
    Spooled,
    Started,
)
from asyncimport.journal.entry import Entry, EntryState, Piece, digest_of
from asyncimport.journal.file import JournalFile
from asyncimport.journal.known import Known, Session
from asyncimport.mark import Mark
from asyncimport.outcome import Accepted, BatchOutcome, Rejected, Skipped, Unconfirmed, Unsent
from asyncimport.policy import OnUnknown
from asyncimport.reader import Reader
from asyncimport.rejects import Rejection
from asyncimport.rejects_file import check_replaceable, write_whole

_STATES: Final = {
    Accepted: EntryState.ACCEPTED,
    Rejected: EntryState.REJECTED,
    Unconfirmed: EntryState.UNCONFIRMED,
    Unsent: EntryState.PENDING,
}


class Journal:
    """The journal of one run. Its file belongs to a thread (`disk.py`)."""

    def __init__(
        self,
        file: JournalFile,
        clock: Clock,
        *,
        on_unknown: OnUnknown,
        rejects: str | None,
        planned: Callable[[Sequence[int]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._file = file
        self._on_unknown = on_unknown
        #: The path of the file of rejects, where one is wanted.
        self._rejects = rejects
        #: Told the numbers of batches that may be sent now.
        self._planned = planned
        self._writer: DiskWriter[Change] = DiskWriter("journal", file, clock, failed=failed, written=self._on_disk)
        self._marks: deque[Mark] = deque()
        self._mark: Mark | None = None
        self._has_pending = False
        self._is_handed_over = False
        #: Whether everything the journal knows is accounted for in this process too.
        self.is_caught_up = False

    async def open(self) -> None:
        """Open the file, or make it.

        Raises:
            JournalError: it cannot be used; ConfigError: the file of rejects cannot be written.

        Cancellation: the file is closed again.
        """
        await self._writer.open()
        if self._rejects is not None:
            path, before = self._rejects, self.known.rejects_file
            try:
                await self._writer.ask(lambda: check_replaceable(path, before))
            except BaseException:
                await self._writer.aclose(0.0)
                raise

    @property
    def known(self) -> Known:
        """What it knew when it was opened."""
        return self._file.known

    def caught_up(self, possibly_lost: int) -> bool:
        """Note that everything the journal knows is accounted for, and that the run goes on from there; True."""
        self.is_caught_up = True
        if not self.known.is_finished:
            self._put(Begun())
            if possibly_lost:
                self._put(Noted("possibly_lost", possibly_lost))
        return True

    async def write_down(self, reader: Reader, first: int, items: Sequence[Any], settled_ms: int) -> bool:
        """Know of a hop what must be known before it counts as read; False when it cannot be written.

        `is_spooled` records are then on disk, and survive the machine; of others only their places in the file are kept.

        Cancellation: they are written all the same.
        """
        while reader.marks:  # one by one: the reader's thread adds more
            self._marks.append(reader.marks.popleft())
        if not self.known.run.is_spooled:
            return True
        if items:
            self.spool_last(first, items, settled_ms)
        return not items or await self._is_on_disk()

    def plan(self, batch: Batch) -> bool:
        """Write a new batch down before it is sent; `planned` is told when that is done. False of one that it has."""
        if batch.is_resumed:
            return False
        first = batch.positions[0]
        while self._marks and self._marks[0].position <= first:
            self._mark = self._marks.popleft()
        self._put(
            Planned(
                number=batch.number,
                positions=batch.positions,
                # Here and not in the thread: hashing gives Python's lock away, and the thread gets it back 5 ms later.
                digest=digest_of(batch.body),
                is_open=self._on_unknown == "resend",
                mark=self._mark,
            )
        )
        return True

    def _on_disk(self, changes: Sequence[Change]) -> None:
        numbers = [change.number for change in changes if isinstance(change, Planned)]
        if numbers:
            self._planned(numbers)

    async def start(self, batch: Batch) -> bool:
        """Write down that a batch is about to be sent; False when it cannot be written.

        That a new batch may be sent was written with it, unless it must not be sent twice. Every repeat is written down before
        it is made: after a crash it counts as a possible duplicate.

        Cancellation: it may be written down, and the batch then counts as sent.
        """
        if self._on_unknown == "resend" and not (batch.unrepeated or batch.is_resumed):
            return True
        duplicates = batch.whole.duplicates + batch.count * batch.unrepeated
        self._put(Started(number=batch.number, attempts=batch.whole.attempts + 1, duplicates=duplicates))
        return await self._is_on_disk()

    def settle(
        self, outcome: BatchOutcome, batch: Batch | None, *, body: bytes, settled_ms: int, elapsed_s: float
    ) -> None:
        """Write down what became of records; `body` has them where they were no batch."""
        if isinstance(outcome, Skipped):
            if not self.known.run.is_spooled:  # else it was written with the others of its hop
                self._put(Omitted(outcome.positions))
            return
        is_pending = isinstance(outcome, Unsent) or (
            isinstance(outcome, Unconfirmed)
            and batch is not None
            and batch.is_given_back
            and self._on_unknown == "resend"
        )
        self._has_pending |= is_pending
        kept = self._kept(outcome, body if batch is None else batch.body, settled_ms, is_pending=is_pending)
        if batch is None:
            if kept is not None:
                self._put(Kept(kept), kept.size)
            return
        whole, state = batch.whole, EntryState.PENDING if is_pending else _STATES[type(outcome)]
        whole.has_pending |= is_pending
        whole.is_open |= is_pending and batch.unanswered > 0
        if whole.is_split:
            self._settle_piece(batch, outcome, state, kept)
            state, kept = EntryState.PENDING if whole.has_pending else EntryState.SPLIT, None
        if whole.open:
            return
        self._put(
            Settled(
                number=batch.number,
                state=state,
                is_open=whole.is_open,
                batch_id=None if whole.is_split else outcome.batch_id,
                attempts=whole.attempts,
                duplicates=whole.duplicates,
                sent_bytes=whole.sent_bytes,
                elapsed_s=elapsed_s,
                kept=kept,
            ),
            kept.size if kept else 0,
        )

    def _settle_piece(self, batch: Batch, outcome: BatchOutcome, state: EntryState, kept: Rejection | None) -> None:
        size, whole, positions = kept.size if kept else 0, batch.whole, batch.positions
        if state is not EntryState.PENDING:
            piece = Piece(
                number=batch.number,
                first=positions[0],
                end=positions[-1] + 1,
                count=len(positions),
                state=state,
                batch_id=outcome.batch_id,
            )
            counts = {"attempts": whole.attempts, "duplicates": whole.duplicates, "sent_bytes": whole.sent_bytes}
            self._put(Pieced(piece=piece, kept=kept, **counts), size)
        elif kept is not None:
            self._put(Kept(kept), size)

    def _kept(self, outcome: BatchOutcome, body: bytes, settled_ms: int, *, is_pending: bool) -> Rejection | None:
        """What is not accepted is kept; what a resumed run sends only where there is a file to write it to."""
        if not isinstance(outcome, Rejected | Unconfirmed | Unsent) or (is_pending and self._rejects is None):
            return None
        return Rejection(outcome=outcome, body=body, settled_ms=settled_ms, is_pending=is_pending)

    def end_source(self) -> None:
        """Write down that a spooled source came to its end, and that all it gave was spooled before."""
        if self.known.run.is_spooled:
            self._put(Noted("source_ended", True))  # noqa: FBT003 -- the value noted

    def all_handed_over(self) -> None:
        """Note that whatever the source and the spool had is in batches or rejected: the run ends when these are settled."""
        self._is_handed_over = True

    def spool_last(self, first: int, items: Sequence[Any], settled_ms: int) -> None:
        """Write admitted records down without waiting, the first at this position."""
        self._put(Spooled(first=first, items=items, settled_ms=settled_ms))

    async def _is_on_disk(self) -> bool:
        try:
            await self._writer.ask(lambda: None)
        except JournalError:
            return False
        return True

    def _put(self, change: Change, size: int = 0) -> None:
        self._writer.put(change, CHANGE_BYTES + size)

    async def room(self) -> None:
        """Wait while much is on its way to the disk.

        Cancellation: safe.
        """
        await self._writer.room()

    async def entries_after(self, number: int) -> list[Entry]:
        """The next batches that the journal knew of, in order; none at the end.

        Raises:
            JournalError: the journal is damaged, or closed.
        """
        return await self._writer.ask(lambda: self._file.entries_after(number))

    async def spooled_from(self, position: int) -> list[tuple[int, list[dict[str, Any] | None]]]:
        """The next records that the spool holds, null where one was rejected; none at the end.

        Raises:
            JournalError: the journal is damaged, or closed.
        """
        return await self._writer.ask(lambda: self._file.spooled_from(position))

    async def abandon(self) -> None:
        """Close the file without a word: nothing was begun."""
        await self._writer.abandon()
        self._file.release()

    async def aclose(self, until: float | None, *, changed_ms: int) -> bool:
        """Write what is left, the file of rejects too, and close; False when the disk takes longer than `until`.

        None waits for as long as the disk goes on.

        Cancellation: what is left is still written unless the process ends.
        """
        if self.is_caught_up and not self.known.is_finished:
            is_finished = self._is_handed_over and not self._has_pending
            self._put(Noted("session", Session.FINISHED if is_finished else Session.STOPPED))
            self._put(Noted("changed_ms", changed_ms))
        if self._rejects is not None:
            self._writer.call(self._write_rejects)
        is_written = await self._writer.aclose(until)
        if is_written:
            self._file.release()
        return is_written

    def _write_rejects(self) -> None:
        """In the thread, after all that was put before."""
        if self._rejects is not None:
            lines = self._writer.moving(self._file.reject_lines())
            write_whole(self._rejects, lines, self.known.rejects_file, self._file.note_rejects)
