"""One import under way: its parts, its one task, how it ends, and its outcomes as the user reads them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from attrs import define, field, frozen

from asyncimport.admission import neighbours
from asyncimport.batch import Positions
from asyncimport.clock import Bell, Clock
from asyncimport.dispatcher import Dispatcher
from asyncimport.errors import AsyncImportError, JournalError, StateError, TooManyRejected
from asyncimport.observer import Notifier, RunEnded, RunStarted, SourceAbandoned
from asyncimport.options import Options
from asyncimport.outcome import BatchOutcome, ImportReport, Rejected, Tally, Unsent
from asyncimport.policy import allowed_rejections
from asyncimport.rejects import Rejection
from asyncimport.rejects_file import PATIENCE_S, RejectsFile
from asyncimport.stages import Stages
from asyncimport.window import Window


@define
class Unread:
    """Outcomes settled and not yet read by the user. They count in the window, so the run waits for a slow reader."""

    window: Window
    bell: Bell
    outcomes: deque[BatchOutcome] = field(factory=deque)

    def put(self, outcome: BatchOutcome) -> None:
        self.outcomes.append(outcome)
        self.window.unread += 1
        self.bell.ring()

    def take(self) -> BatchOutcome:
        self.window.unread -= 1
        return self.outcomes.popleft()


@frozen(kw_only=True)
class Parts:
    """The stages of one run, in the order of the flow."""

    stages: Stages
    dispatcher: Dispatcher
    unread: Unread
    tally: Tally
    options: Options
    clock: Clock
    notify: Notifier
    #: Wall clock in milliseconds since 1970.
    wall_ms: Callable[[], int]
    rejects: RejectsFile | None = None


class OutcomeStream:
    """An import under way: `async with` runs it, `async for` yields one outcome per settled piece, `report` adds them up.

    Leaving the block early stops the import: nothing more is read or started, what is in flight may finish within
    `drain_s`, the rest is unsent. Leaving it by an exception or cancellation does not wait for what is in flight: its
    batches are unconfirmed, and the source and all tasks are closed within 5 s.
    """

    def __init__(
        self,
        build: Callable[[OutcomeStream], Parts],
        flow: Callable[[Parts], Awaitable[None]],
        ended: Callable[[OutcomeStream], None],
    ) -> None:
        self._build = build
        self._flow = flow
        self._ended = ended
        self._parts: Parts | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._is_source_left = False
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

    def _running(self) -> Parts:
        if self._parts is None:
            raise StateError("the stream is not open: use it in `async with client.stream(...) as outcomes`")
        return self._parts

    async def __aenter__(self) -> Self:
        """Start the import.

        Raises:
            ConfigError: a source, config or option that cannot work.
            StateError: the client is closed or belongs elsewhere, or the stream was used before.
        """
        if self._parts is not None:
            raise StateError("the stream was used before: call client.stream(...) for another import")
        self._parts = parts = self._build(self)
        parts.notify(RunStarted(resource=parts.tally.resource, run_id=parts.tally.run_id))
        self._task = asyncio.create_task(self._run(parts), name="asyncimport-run")
        return self

    def settled(self, outcome: BatchOutcome, body: bytes = b"") -> None:
        """Count an outcome, keep what was rejected, and hand it to the user; too many rejections stop the run."""
        parts = self._running()
        parts.tally.settle(outcome)
        if parts.rejects is not None and isinstance(outcome, Rejected):
            parts.rejects.put(Rejection(outcome=outcome, body=body, settled_ms=parts.wall_ms()))
        parts.unread.put(outcome)
        if isinstance(outcome, Rejected):
            self._check_rejections(parts, at_end=False)

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

    def stop(self, failure: Exception | None = None) -> None:
        """Read and start nothing more; let what is in flight finish within `drain_s`. The first reason stays."""
        if self._failure is None:
            self._failure = failure
        elif isinstance(failure, JournalError):
            self._failure.add_note(f"{failure}")  # that lines are missing must be told beside whatever came first
        if self._is_stopping or self._final is not None:
            return
        self._is_stopping = True
        parts = self._running()
        parts.stages.reader.stop()
        parts.dispatcher.stop()
        self._drain_until = parts.clock.now() + parts.options.policy.drain_s
        if self._watch is not None:
            self._watch.ring()

    async def _run(self, parts: Parts) -> None:
        """The run's one task: it owns all others, and leaves nothing uncounted however it ends."""
        self._watch = Bell(parts.clock)
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send(parts, self._watch), name="asyncimport-dispatcher")
                tasks.create_task(self._keep_time(parts, sending, self._watch), name="asyncimport-timekeeper")
                await self._flow(parts)
                parts.dispatcher.close()
        except BaseExceptionGroup as group:
            self._failure = self._failure or _only(group)
        finally:
            await self._wind_up(parts)

    @staticmethod
    async def _send(parts: Parts, watch: Bell) -> None:
        try:
            await parts.dispatcher.run()
        finally:
            watch.ring()

    async def _keep_time(self, parts: Parts, sending: asyncio.Task[None], watch: Bell) -> None:
        """Stop the run at its deadline, and cut off what hangs when the drain is over."""
        deadline = parts.options.deadline
        deadline_at = None if deadline is None else parts.tally.started_at + deadline
        while not sending.done():
            until = self._drain_until if self._is_stopping else deadline_at
            if until is None or parts.clock.now() < until:
                await watch.wait(until)
            elif self._is_stopping:
                sending.cancel()
                return
            else:
                self.stop()

    async def _wind_up(self, parts: Parts) -> None:
        rejects_until = parts.clock.now() + PATIENCE_S
        try:
            waited_s = await parts.stages.reader.aclose()
            if waited_s is not None:
                self._is_source_left = True
                parts.notify(SourceAbandoned(waited_s=waited_s))
        finally:
            await self._close_books(parts, rejects_until)

    async def _close_books(self, parts: Parts, rejects_until: float) -> None:
        """Settle whatever is left, put the rejects on the disk, and fix the report, whatever is cancelled meanwhile."""
        parts.dispatcher.abandon()
        self._settle_unsent(parts)
        try:
            if parts.rejects is not None:
                await parts.rejects.aclose(rejects_until)
        finally:
            self._conclude(parts)

    def _settle_unsent(self, parts: Parts) -> None:
        """What was read and never became a batch is unsent."""
        for chunk in parts.stages.chunker.flush():
            self.settled(Unsent(positions=chunk.positions, reason="the run stopped"))
        while items := parts.stages.reader.take():
            first = parts.tally.read
            parts.tally.add_read(len(items))
            for item in neighbours(items, first):
                if isinstance(item, Rejected):
                    self.settled(item)
                else:
                    positions = Positions((range(item.first, item.first + len(item.wires)),))
                    self.settled(Unsent(positions=positions, reason="the run stopped"))

    def _conclude(self, parts: Parts) -> None:
        """Fix the report and the failure."""
        lost = parts.stages.reader.failure(parts.tally.read, "; the report says what became of them")
        self._failure = self._failure or lost
        parts.tally.source_ended = parts.stages.reader.is_exhausted and not self._is_source_left
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

    async def abort(self, failure: Exception) -> None:
        """End the run now, without draining: the client is closing."""
        self._failure = self._failure or failure
        await self._finish(abort=True)

    async def _finish(self, *, abort: bool) -> None:
        """Wait for the run's task to end. Cancelling this wait cuts off what is in flight, and the wait goes on."""
        task = self._task
        cancelled: asyncio.CancelledError | None = None
        if task is None:
            return
        if abort:
            task.cancel()
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                if not abort and cancelled is None:
                    task.cancel()
                cancelled = error
        if self._final is None:  # cancelled before its first step
            await self._wind_up(self._running())
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or _as_failure(task.exception())
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
