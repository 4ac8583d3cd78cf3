"""The dispatcher: workers send batches, at most `width` at a time; what must wait goes into a heap, not to sleep.

A worker looks at the plan (`_next`), which decides without awaiting: send this batch, look again at that moment, or
wait for a change. A batch that is to be repeated later lies in a heap of due times while its worker takes the next one,
so a slow back-off never holds a slot. An expected failure of a batch is a value; only the end of the run is an error,
and it is handed to `fail`, once.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import assert_never

from attrs import define, field

from asyncimport.attempt import Attempt, NoAnswer
from asyncimport.batch import Batch, Positions, State
from asyncimport.clock import Bell, Clock, is_being_cancelled
from asyncimport.credentials import Grant
from asyncimport.errors import AsyncImportError, AuthError, StateError, UploadStalled
from asyncimport.gate import MAX_PAUSE_S
from asyncimport.journal.journal import Journal
from asyncimport.lane import Lane
from asyncimport.observer import AttemptFailed, NoBatchId, Notifier, Paused
from asyncimport.outcome import Accepted, BatchOutcome, Rejected, Tally, Unconfirmed, Unsent
from asyncimport.policy import DispatchPolicy, OnUnknown
from asyncimport.redaction import shown
from asyncimport.resources import Resource
from asyncimport.retry import Accept, GiveUp, Reject, Renew, Step, Wait, count_attempt, decide
from asyncimport.session import SessionManager
from asyncimport.verdict import Happened, Verdict, judge
from asyncimport.window import Window


@define
class _Place:
    """Where one worker stands before the gate: its own moment after the pause that it has seen."""

    pause_end: float = 0.0
    moment: float = 0.0


@define(kw_only=True)
class Dispatcher:
    """Sends the batches of one run. Belongs to one `run()`."""

    resource: Resource
    policy: DispatchPolicy
    on_unknown: OnUnknown
    session: SessionManager
    lane: Lane
    window: Window
    tally: Tally
    clock: Clock
    notify: Notifier
    #: Told each outcome as it is settled, with its batch where there was one.
    settle: Callable[[BatchOutcome, Batch | None], None]
    #: Told the one error that ends the run.
    fail: Callable[[AsyncImportError], None]
    #: Has each batch on disk before it is sent for the first time.
    journal: Journal | None = None
    #: What the last call of `submit` took in.
    entered: list[Positions] = field(factory=list)
    #: Rung for workers when there may be something to do, and for the producer when there may be room.
    _work: Bell = field(init=False)
    _room: Bell = field(init=False)
    _planned: dict[int, Batch] = field(factory=dict)
    _ready: deque[Batch] = field(factory=deque)
    _waiting: list[tuple[float, int, Batch]] = field(factory=list)
    _in_flight: set[Batch] = field(factory=set)
    _is_closed: bool = False
    _missed_id: bool = False
    _is_stopped: bool = False

    def __attrs_post_init__(self) -> None:
        """Hang up the bells."""
        self._work = Bell(self.clock)
        self._room = Bell(self.clock)

    async def submit(self, pieces: Iterator[Batch | Rejected]) -> None:
        """Take batches and rejections in, each as soon as the window has room. After `stop` batches are settled at once.

        Cancellation: all pieces are taken in all the same, as if stopped, so that none of their records goes uncounted.
        """
        self.entered.clear()
        for piece in pieces:
            size = len(piece.body) if isinstance(piece, Batch) else 0
            try:
                while not self._is_stopped and not self.window.has_room(size):
                    await self._room.wait()
            except asyncio.CancelledError:
                self.stop()
                self._enter(piece)
                for left in pieces:
                    self._enter(left)
                raise
            self._enter(piece)

    def _enter(self, piece: Batch | Rejected) -> None:
        self.entered.append(piece.positions)
        if isinstance(piece, Rejected):
            self.settle(piece, None)
            return
        self.window.enter(len(piece.body))
        self.lane.batches += 1
        self.tally.batches += not piece.is_resumed
        is_parked = piece.unanswered > 0 and self.on_unknown == "park"
        waits = self.journal is not None and not is_parked and self.journal.plan(piece)
        if self._is_stopped or is_parked:
            self._give_back(piece)
        elif waits:
            self._planned[piece.number] = piece
        else:
            self._make_ready(piece)

    def _make_ready(self, batch: Batch) -> None:
        batch.move(State.READY)
        self._ready.append(batch)
        self._work.ring(1)

    def planned(self, numbers: Iterable[int]) -> None:
        """The journal has these batches on disk: they may be sent."""
        for number in numbers:
            batch = self._planned.pop(number, None)  # None when the run has stopped meanwhile
            if batch is not None:
                self._make_ready(batch)

    def made_room(self) -> None:
        """Somebody read an outcome."""
        self._room.ring()

    def close(self) -> None:
        """No more batches will come: `run` returns when all are settled."""
        self._is_closed = True
        self._work.ring()

    def stop(self) -> None:
        """Start nothing more. What is not in flight is settled now; `run` returns when the rest is."""
        self._is_stopped = True
        self._give_back_waiting()
        self._work.ring()
        self._room.ring()

    def abandon(self) -> None:
        """Settle everything that is left, after `run` was cancelled: what was in flight is unconfirmed."""
        self.stop()
        for batch in list(self._in_flight):
            self._give_back(batch)

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return len(self._in_flight)

    async def run(self) -> None:
        """Send until closed and empty, or stopped.

        Cancellation: requests in flight are cut off; `abandon` settles their batches as unconfirmed.
        """
        width = self.policy.width
        self.lane.join(self._work, width)
        try:
            async with asyncio.TaskGroup() as workers:
                for number in range(width):
                    workers.create_task(self._worker(), name=f"asyncimport-worker-{number}")
        finally:
            self.lane.leave(self._work, width)

    async def _worker(self) -> None:
        place = _Place()
        while not self._is_done():
            following = self._next(self.clock.now(), place)
            if isinstance(following, Batch):
                await self._send_or_fail(following)
                if self.lane.is_shared:
                    await asyncio.sleep(0)  # the place just freed is another run's turn
            else:
                await self._work.wait(following)

    async def _send_or_fail(self, batch: Batch) -> None:
        """A cancellation that comes up from below, and not from the run, must not end a worker in silence."""
        try:
            await self._send(batch)
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            inside = True
        else:
            inside = False
        if inside:
            raise StateError("a request was cancelled from inside the transport or the token's source")

    def _is_done(self) -> bool:
        if self._is_stopped:
            return True
        return self._is_closed and not (self._planned or self._ready or self._waiting or self._in_flight)

    def _next(self, now: float, place: _Place) -> Batch | float | None:
        """The batch to send now, or when to look again, or None: wait for a change."""
        while self._waiting and self._waiting[0][0] <= now:
            due = heapq.heappop(self._waiting)[2]
            due.move(State.READY)
            self._ready.appendleft(due)
        if not self._ready:
            return self._waiting[0][0] if self._waiting else None
        gate = self.lane.gate
        if gate.opens_at - now > MAX_PAUSE_S:
            self.fail(self._stalled(gate.opens_at - now))
            return now  # the bell has rung already: look again
        if now < gate.opens_at != place.pause_end:
            place.pause_end, place.moment = gate.opens_at, gate.passes_at(now, random.random())  # noqa: S311 -- jitter
        if now < place.moment:
            return place.moment
        return self._ready.popleft() if self.lane.limit.has_room() else None

    async def _send(self, batch: Batch) -> None:
        """One attempt and what follows from it. In here the batch holds a place in the lane."""
        batch.move(State.IN_FLIGHT)
        self._in_flight.add(batch)
        started_at = self.clock.now()
        self.lane.start(started_at)
        try:
            grant = await self.session.grant()
            if not (self.journal is None or await self.journal.start(batch)):
                self._wait(batch, started_at)  # the journal has failed, which stops the run
                return
            attempt = grant if isinstance(grant, NoAnswer) else await self._attempt(batch, grant)
        except AuthError as error:
            self._wait(batch, started_at)
            self.fail(error)
            return
        finally:
            self.lane.finish()
        verdict = judge(attempt, self.policy)
        self._conclude(batch, verdict, started_at, grant if isinstance(grant, Grant) else None)

    async def _attempt(self, batch: Batch, grant: Grant) -> Attempt:
        tally = self.tally
        tally.attempts += 1
        tally.retries += batch.attempts > 0
        tally.possible_duplicates += batch.count * batch.unrepeated
        batch.duplicates += batch.count * batch.unrepeated
        batch.unrepeated = 0
        batch.attempts += 1
        try:
            attempt = await self.session.post(self.resource, batch.body, grant, self.policy.timeouts)
        except BaseException:
            batch.unanswered += 1  # nobody knows
            batch.last_fault = "cut off"
            raise
        if not isinstance(attempt, NoAnswer) or attempt.sent:
            tally.bytes_sent += len(batch.body)
            batch.sent_bytes += len(batch.body)
        return attempt

    def _conclude(self, batch: Batch, verdict: Verdict, started_at: float, grant: Grant | None) -> None:
        """Book an attempt everywhere it counts, and carry out what is decided. Nothing in here awaits."""
        now = self.clock.now()
        free = count_attempt(batch, verdict)
        failure = self.lane.contact.judge(verdict, now, self.policy)
        step = decide(batch, verdict, self.policy.retry, self.on_unknown, free=free)
        message = self._words(batch, verdict, grant)
        if grant is not None and verdict.is_contact and verdict.happened is not Happened.AUTH:
            self.session.keeper.accepted(grant.generation)
        if verdict.happened is Happened.THROTTLED:
            failure = self._close_gate(verdict, message, now, started_at) or failure
        match step:
            case Accept():
                self.lane.gate.accepted()
                self._look_for_batch_id(batch, verdict)
                self._settle(
                    batch, Accepted(positions=batch.positions, batch_id=verdict.batch_id, attempts=batch.attempts)
                )
            case Reject():
                self._settle(batch, self._rejected(batch, verdict, message))
            case GiveUp():
                self._settle(batch, self._unconfirmed(batch))
            case Wait(delay_s=delay_s):
                patience_s = self.lane.contact.patience_s(now, self.policy)
                self._wait(batch, now + (delay_s if patience_s is None else min(delay_s, patience_s)))
            case Renew():
                failure = self._renew(grant, verdict) or failure
                self._wait(batch, now)
            case _:
                assert_never(step)
        self._tell(batch, verdict, message, step, now)
        if failure is not None:
            self.fail(failure)

    def _look_for_batch_id(self, batch: Batch, verdict: Verdict) -> None:
        """Tell once when a resource that has batch ids gave none that can be used (FAULTS.md C8, C9)."""
        if self.resource.has_batch_id and verdict.batch_id is None and not self._missed_id:
            self._missed_id = True
            self.notify(NoBatchId(batch=batch.number))

    @staticmethod
    def _words(batch: Batch, verdict: Verdict, grant: Grant | None) -> str:
        """The platform's words about a batch it did not accept, fit to be shown."""
        if verdict.happened is Happened.ACCEPTED:
            return ""
        return shown(verdict.message, batch.body, None if grant is None else grant.token)

    def _renew(self, grant: Grant | None, verdict: Verdict) -> AuthError | None:
        return None if grant is None else self.session.keeper.refused(grant.generation, verdict)

    def _close_gate(self, verdict: Verdict, message: str, now: float, started_at: float) -> UploadStalled | None:
        pause_s = self.lane.gate.throttled(now, started_at, verdict.retry_after_s)
        if pause_s is None:
            return None
        self.notify(Paused(pause_s=pause_s, reason=f"{verdict.detail}: {message}" if message else verdict.detail))
        if pause_s <= MAX_PAUSE_S:
            return None
        self.lane.ring()  # every run of the client finds out
        return self._stalled(pause_s)

    @staticmethod
    def _stalled(pause_s: float) -> UploadStalled:
        resume_at = datetime.now(UTC) + timedelta(seconds=pause_s)
        return UploadStalled(
            f"the platform asks to wait {pause_s:,.0f} s, longer than the {MAX_PAUSE_S:.0f} s a run waits: "
            f"run the import again after {resume_at:%Y-%m-%d %H:%M:%S} UTC",
            resume_at,
        )

    def _wait(self, batch: Batch, due: float) -> None:
        self._in_flight.discard(batch)
        batch.move(State.WAITING)
        if self._is_stopped:
            self._give_back(batch)
        else:
            heapq.heappush(self._waiting, (due, batch.number, batch))
            self._work.ring(1)

    def _settle(self, batch: Batch, outcome: BatchOutcome) -> None:
        batch.move(State.SETTLED)
        self._in_flight.discard(batch)
        self.window.leave(len(batch.body))
        self.lane.batches -= 1
        self.settle(outcome, batch)
        if not self.lane.batches:
            self.lane.contact.rest()
        if self._is_done():
            self._work.ring()
        self._room.ring()

    def _rejected(self, batch: Batch, verdict: Verdict, message: str) -> Rejected:
        reason = verdict.reason if verdict.code is None else f"{verdict.reason}: code {shown(verdict.code)}"
        return Rejected(
            positions=batch.positions,
            attempts=batch.attempts,
            reason=reason,
            code=verdict.code,
            message=message,
        )

    def _unconfirmed(self, batch: Batch) -> Unconfirmed:
        return Unconfirmed(positions=batch.positions, attempts=batch.attempts, reason=batch.last_fault)

    def _give_back_waiting(self) -> None:
        left = [*self._planned.values(), *self._ready, *(batch for _, _, batch in self._waiting)]
        self._planned.clear()
        self._ready.clear()
        self._waiting.clear()
        for batch in sorted(left, key=lambda batch: batch.number):
            self._give_back(batch)

    def _give_back(self, batch: Batch) -> None:
        """Settle a batch because the run stops: unconfirmed when an attempt went unanswered, else unsent."""
        batch.is_given_back = True
        if batch.unanswered:
            self._settle(batch, self._unconfirmed(batch))
        else:
            self._settle(batch, Unsent(positions=batch.positions, attempts=batch.attempts, reason="the run stopped"))

    def _tell(self, batch: Batch, verdict: Verdict, message: str, step: Step, now: float) -> None:
        if verdict.happened is Happened.ACCEPTED:
            return
        delay_s = step.delay_s if isinstance(step, Wait) else 0.0
        self.notify(
            AttemptFailed(
                batch=batch.number,
                attempt=batch.attempts,
                reason=verdict.reason,
                detail=verdict.detail,
                message=message,
                retry_in_s=None if batch.state is State.SETTLED else max(delay_s, self.lane.gate.opens_at - now),
            )
        )
