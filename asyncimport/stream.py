"""One import under way: its parts, its one task, how it ends, and its outcomes as the user reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from asyncimport.batch import Batch
from asyncimport.clock import Bell
from asyncimport.disk import LEAST_S, PATIENCE_S
from asyncimport.errors import AsyncImportError, JournalError, StateError, TooManyRejected
from asyncimport.leftovers import UndeliveredRecords, give_back_known, settle_unread
from asyncimport.observer import RunEnded, RunStarted, SourceAbandoned
from asyncimport.outcome import BatchOutcome, ImportReport, Rejected, Unconfirmed, Unsent
from asyncimport.parts import Parts
from asyncimport.policy import allowed_rejections
from asyncimport.pulse import tell_if_blocked
from asyncimport.reader import ABANDON_AFTER_S
from asyncimport.rejects import Rejection, each_rejected

#: Of the time in which a stopped run must end: for the source and the disk, and for the disk alone.
_FOR_CLOSING_S: Final = 2.5
_FOR_DISK_S: Final = 1.5


class OutcomeStream:
    """An import under way: `async with` runs it, `async for` yields one outcome per settled piece, `report` adds them up.

    Leaving the block early stops the import: nothing more is read or started, what is in flight may finish within
    `drain_s`, the rest is unsent. Leaving it by an exception or cancellation does not wait for what is in flight: its
    batches are unconfirmed, and the source and all tasks are closed within 5 s.
    """

    def __init__(
        self,
        build: Callable[[OutcomeStream], Awaitable[Parts]],
        flow: Callable[[Parts], Awaitable[None]],
        ended: Callable[[OutcomeStream], None],
        undelivered: UndeliveredRecords | None = None,
    ) -> None:
        self._build = build
        self._flow = flow
        self._ended = ended
        #: Where records are held that are not delivered, for whoever takes them back.
        self._undelivered = undelivered
        self._parts: Parts | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_opening = False
        self._is_stopping = False
        self._is_source_left = False
        self._has_hook_failed = False
        #: By an exception, a cancellation or the closing of the client: then the disk is not waited for without end.
        self._is_cut_off = False
        #: When everything must be over, where the stop said so.
        self._end_by = float("inf")
        #: When the run stops by itself, once it is known; and how long a stop then waits for what is in flight.
        self._stop_at = float("inf")
        self._drain_s: float | None = None
        #: When the drain after a stop is over; rung together with the end of sending.
        self._drain_until = 0.0
        self._watch: Bell | None = None
        self._failure: Exception | None = None
        self._final: ImportReport | None = None

    @property
    def report(self) -> ImportReport:
        """The report as of now; final once the block was left or the last outcome was read.

        Raises:
            StateError: the import was never started.
        """
        if self._final is not None:
            return self._final
        return self._running().tally.report(self._running().clock.now())

    @property
    def failure(self) -> Exception | None:
        """What ended the import, once it has ended and while nobody was told: after leaving by an exception of one's own."""
        return self._failure

    @property
    def in_flight(self) -> int:
        """Requests of this import that are under way now."""
        return 0 if self._parts is None else self._parts.dispatcher.in_flight

    @property
    def parts(self) -> Parts:
        """The stages of the run, once it has begun; for the package's own."""
        return self._running()

    def _running(self) -> Parts:
        if self._parts is None:
            raise StateError("the stream is not open: use it in `async with client.stream(...) as outcomes`")
        return self._parts

    async def __aenter__(self) -> Self:
        """Start the import.

        Raises:
            ConfigError: a source, config or option that cannot work.
            StateError: the client is closed or belongs elsewhere, or the stream was used before.
            JournalError: the journal cannot be used, or is of another import.

        Cancellation: nothing was started.
        """
        if self._is_opening:
            raise StateError("the stream was used before: call client.stream(...) for another import")
        self._is_opening = True
        self._parts = parts = await self._build(self)
        parts.notify(RunStarted(resource=parts.tally.resource, run_id=parts.tally.run_id))
        self._task = asyncio.create_task(self._run(parts), name="asyncimport-run")
        return self

    def settled(self, outcome: BatchOutcome, batch: Batch | None = None, *, body: bytes = b"") -> None:
        """Count an outcome, keep what was not accepted, and hand it to the user; too many rejections stop the run.

        `body` has the records that never were a batch, where they are kept.
        """
        parts = self._running()
        parts.tally.settle(outcome)
        self._keep(parts, outcome, batch, body)
        if self._undelivered is not None:
            self._undelivered.keep(outcome, body if batch is None else batch.body)
        parts.unread.put(outcome)
        if isinstance(outcome, Rejected):
            self._tell_rejected(parts, outcome, batch)
            self._check_rejections(parts, at_end=False)

    @staticmethod
    def _keep(parts: Parts, outcome: BatchOutcome, batch: Batch | None, body: bytes) -> None:
        settled_ms = parts.wall_ms()
        if parts.journal is not None:
            elapsed_s = parts.clock.now() - parts.tally.started_at
            parts.journal.settle(outcome, batch, body=body, settled_ms=settled_ms, elapsed_s=elapsed_s)
        elif parts.rejects is not None and isinstance(outcome, Rejected | Unconfirmed | Unsent):
            rejection = Rejection(outcome=outcome, body=body if batch is None else batch.body, settled_ms=settled_ms)
            parts.rejects.put(rejection, rejection.size)

    def _tell_rejected(self, parts: Parts, outcome: Rejected, batch: Batch | None) -> None:
        """Call the user's hook for each record; one that raises is not called again, and stops the run."""
        hook = parts.options.on_reject
        if hook is None or self._has_hook_failed:
            return
        try:
            for rejected in each_rejected(outcome, b"" if batch is None else batch.body):
                hook(rejected)
        except Exception as error:  # noqa: BLE001 -- the user's own, which leaves as it is
            self._has_hook_failed = True
            self.stop(error)

    def planned(self, numbers: Sequence[int]) -> None:
        """The journal has batches on disk."""
        if self._parts is not None:
            self._parts.dispatcher.planned(numbers)

    def _check_rejections(self, parts: Parts, *, at_end: bool) -> None:
        tally = parts.tally
        if self._is_stopping and not at_end:
            return
        if tally.rejected > allowed_rejections(parts.options.max_rejected, tally.read, at_end=at_end):
            most = max(tally.report(0.0).rejected_by_reason.items(), key=lambda item: item[1])
            self.stop(
                TooManyRejected(
                    f"{tally.rejected:,} of {tally.read:,} records were rejected, more than max_rejected allows; "
                    f"most often ({most[1]:,} x): {most[0]}"
                )
            )

    def stop(self, failure: Exception | None = None, *, within_s: float | None = None) -> None:
        """Read and start nothing more; let what is in flight finish within `drain_s`. The first reason stays.

        `within_s` bounds the whole end of the run, the cleanup of the source and of the disk included.
        """
        if self._failure is None:
            self._failure = failure
        elif isinstance(failure, JournalError):
            self._failure.add_note(f"{failure}")  # that lines are missing must be told beside whatever came first
        if self._is_stopping or self._final is not None:
            return
        self._is_stopping = True
        parts = self._running()
        now = parts.clock.now()
        if within_s is not None:
            self._end_by = now + within_s
        parts.stages.reader.stop()
        parts.dispatcher.stop()
        drain_s = parts.options.policy.drain_s if self._drain_s is None else self._drain_s
        self._drain_until = max(now, min(now + drain_s, self._end_by - _FOR_CLOSING_S))
        if self._watch is not None:
            self._watch.ring()

    def end_within(self, seconds: float) -> None:
        """Stop when that time is over, in flight or not: what is not settled by then is given back."""
        self._drain_s = 0.0
        self._stop_at = min(self._stop_at, self._running().clock.now() + seconds)
        if self._watch is not None:
            self._watch.ring()

    async def _run(self, parts: Parts) -> None:
        """The run's one task: it owns all others, and leaves nothing uncounted however it ends."""
        self._watch = Bell(parts.clock)
        self._check_rejections(parts, at_end=False)  # those of earlier processes
        try:
            async with asyncio.TaskGroup() as tasks:
                pulse = tasks.create_task(tell_if_blocked(parts.clock, parts.notify), name="asyncimport-pulse")
                sending = tasks.create_task(self._send(parts, self._watch, pulse), name="asyncimport-dispatcher")
                tasks.create_task(self._keep_time(parts, sending, self._watch), name="asyncimport-timekeeper")
                await self._flow(parts)
                parts.dispatcher.close()
        except BaseExceptionGroup as group:
            self._failure = self._failure or _only(group)
        finally:
            await self._wind_up(parts)

    @staticmethod
    async def _send(parts: Parts, watch: Bell, pulse: asyncio.Task[None]) -> None:
        try:
            await parts.dispatcher.run()
        finally:
            pulse.cancel()
            watch.ring()

    async def _keep_time(self, parts: Parts, sending: asyncio.Task[None], watch: Bell) -> None:
        """Stop the run at its deadline, and cut off what hangs when the drain is over."""
        if parts.options.deadline is not None:
            self._stop_at = min(self._stop_at, parts.started_at + parts.options.deadline)
        while not sending.done():
            until = self._drain_until if self._is_stopping else self._stop_at
            if parts.clock.now() < until:
                await watch.wait(until if until < float("inf") else None)
            elif self._is_stopping:
                sending.cancel()
                return
            else:
                self.stop()

    async def _wind_up(self, parts: Parts) -> None:
        now = parts.clock.now()
        is_hurried = self._is_cut_off or self._end_by < float("inf")
        disk_until = min(now + PATIENCE_S, self._end_by - LEAST_S) if is_hurried else None
        patience_s = max(0.0, min(ABANDON_AFTER_S, self._end_by - _FOR_DISK_S - now))
        try:
            waited_s = await self._close_source(parts, patience_s)
            if waited_s is not None:
                self._is_source_left = True
                parts.notify(SourceAbandoned(waited_s=waited_s))
        finally:
            await self._close_books(parts, disk_until)

    @staticmethod
    async def _close_source(parts: Parts, patience_s: float) -> float | None:
        """Let the source clean up, whatever is cancelled meanwhile: it has not much time."""
        closing = asyncio.create_task(parts.stages.reader.aclose(patience_s), name="asyncimport-closing")
        while not closing.done():
            with suppress(asyncio.CancelledError):  # of the run's own task, which is ending
                await asyncio.wait({closing})
        return closing.result()

    async def _close_books(self, parts: Parts, until: float | None) -> None:
        """Settle whatever is left, have it on the disk, and fix the report, whatever is cancelled meanwhile."""
        parts.dispatcher.abandon()
        if parts.is_behind:
            give_back_known(parts)
        else:
            keeps = parts.options.rejects is not None or self._undelivered is not None
            settle_unread(parts, lambda outcome, body: self.settled(outcome, body=body), keeps=keeps)
            parts.end_source()
            parts.tally.give_back(parts.tally.in_progress, parts.begins_at)  # spooled, and not handed over again
        parts.tally.source_ended |= parts.stages.reader.is_exhausted and not self._is_source_left
        try:
            await self._close_disk(parts, until)
        finally:
            self._conclude(parts)

    async def _close_disk(self, parts: Parts, until: float | None) -> None:
        is_written, what = True, ""
        if parts.journal is not None:
            what = f"journal {parts.options.journal}"
            is_written = await parts.journal.aclose(until, changed_ms=parts.wall_ms())
        elif parts.rejects is not None:
            what = f"rejects file {parts.options.rejects}"
            is_written = await parts.rejects.aclose(until)
        if not is_written:
            self.stop(JournalError(f"the disk does not take the {what} in time: what was last written may be missing"))

    def _conclude(self, parts: Parts) -> None:
        """Fix the report and the failure."""
        lost = parts.stages.reader.failure(parts.tally.read, "; the report says what became of them")
        self._failure = self._failure or lost
        self._check_rejections(parts, at_end=True)
        self._final = parts.tally.report(parts.clock.now())
        if isinstance(self._failure, AsyncImportError):
            self._failure.report = self._final
        failed = None if self._failure is None else type(self._failure).__name__
        parts.notify(RunEnded(report=self._final, failure=failed))
        self._ended(self)
        parts.unread.bell.ring()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BatchOutcome:
        """The next outcome, in the order in which they are settled.

        Raises:
            AsyncImportError: after the last outcome, the one error that ended the run.

        Cancellation: safe; no outcome is lost.
        """
        parts = self._running()
        while not parts.unread.outcomes:
            if self._final is not None:
                self._raise_failure()
                raise StopAsyncIteration
            await parts.unread.bell.wait()
        outcome = parts.unread.take()
        parts.dispatcher.made_room()
        return outcome

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        await self._finish(abort=error is not None)
        if error is None:
            self._raise_failure()

    def break_off(self, failure: Exception) -> None:
        """Cut the run off now, without draining: the client is closing. `ended` waits for its end."""
        self._failure = self._failure or failure
        self._cut_off()

    async def ended(self) -> None:
        """Return when nothing of the run is left. Cancelling this wait cuts off what is in flight, and the wait goes on."""
        await self._finish(abort=False)

    def _cut_off(self) -> None:
        if self._task is not None and not self._is_cut_off:
            self._is_cut_off = True
            self._task.cancel()

    async def _finish(self, *, abort: bool) -> None:
        """Wait for the run's task to end. Cancelling this wait cuts off what is in flight, and the wait goes on."""
        cancelled: asyncio.CancelledError | None = None
        if abort:
            self._cut_off()
        while (task := self._task) is not None:
            while not task.done():
                try:
                    await asyncio.wait({task})
                except asyncio.CancelledError as error:
                    self._cut_off()
                    cancelled = error
            if not task.cancelled() and task.exception() is not None:
                self._failure = self._failure or _as_failure(task.exception())
            if self._final is not None:
                break
            if task is self._task:  # cancelled before its first step
                self._task = asyncio.create_task(self._wind_up(self._running()), name="asyncimport-run")
        if cancelled is not None:
            raise cancelled


def _as_failure(error: BaseException | None) -> Exception:
    return error if isinstance(error, Exception) else AsyncImportError(f"the run was ended by {type(error).__name__}")


def _only(group: BaseExceptionGroup[BaseException]) -> Exception:
    """The first of the errors that a group holds: no group leaves the package."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return _as_failure(error)
