"""The dispatcher: workers send batches, at most `width` at a time; what must wait goes into a heap, not to sleep.

A worker asks `_next`, which decides without awaiting: send this batch, look again at that moment, or wait for a change. A
batch that is to be repeated later lies in the plan (`plan.py`) while its worker takes the next one, so a slow back-off
never holds a slot. An expected failure of a batch is a value; only the end of the run is an error, and it is handed to
`fail`, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from attrs import define, field

from asyncimport.attempt import Attempt, NoAnswer
from asyncimport.batch import Batch, Positions
from asyncimport.clock import Bell, Clock, is_being_cancelled
from asyncimport.course import Course, Trial
from asyncimport.credentials import Grant
from asyncimport.ending import stalled, unvouched_for
from asyncimport.errors import AsyncImportError, AuthError, StateError
from asyncimport.gate import MAX_PAUSE_S, Place
from asyncimport.journal.journal import Journal
from asyncimport.lane import Lane
from asyncimport.limit import MOST
from asyncimport.observer import Notifier
from asyncimport.order import Piece, Turn
from asyncimport.outcome import BatchOutcome, Dropped, Tally
from asyncimport.policy import DispatchPolicy, OnUnknown
from asyncimport.resources import Resource
from asyncimport.session import SessionManager
from asyncimport.split import Refusals
from asyncimport.verdict import TOO_LARGE, judge
from asyncimport.window import Window


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
    #: Whether nobody knows if a further record comes, and somebody may wait for those that came: what is held then has its last try.
    comes_on: bool = False
    #: What the last call of `submit` took in.
    entered: list[Positions] = field(factory=list)
    #: Rung for workers when there may be something to do, and for the producer when there may be room.
    _work: Bell = field(init=False)
    _room: Bell = field(init=False)
    _course: Course = field(init=False)
    _is_closed: bool = False
    #: Whether what comes next waits for the turn of a record, and may not go on past the one before it.
    _is_held_up: bool = False
    #: Workers there are, and those of them that wait. One always looks or waits, as long as there may be more.
    _workers: int = 0
    _idle: int = 0

    def __attrs_post_init__(self) -> None:
        """Hang up the bells."""
        self._work = Bell(self.clock)
        self._room = Bell(self.clock)
        self._course = Course(
            resource=self.resource,
            policy=self.policy,
            on_unknown=self.on_unknown,
            session=self.session,
            lane=self.lane,
            window=self.window,
            notify=self.notify,
            settle=self.settle,
            fail=self.fail,
            work=self._work,
            room=self._room,
            refusals=Refusals(has_accepted=self.tally.accepted > 0),
        )

    async def submit(self, pieces: Iterator[Piece]) -> None:
        """Take batches and what is none in, each as soon as the window has room. After `stop` batches are settled at once.

        Cancellation: all pieces are taken in all the same, as if stopped, so that none of their records goes uncounted.
        """
        self.entered.clear()
        for piece in pieces:
            try:
                await self._room_for(piece)
            except asyncio.CancelledError:
                self.stop()
                self._enter(piece)
                for left in pieces:
                    self._enter(left)
                raise
            self._enter(piece)

    async def _room_for(self, piece: Piece) -> None:
        """Wait until a piece may come in, or, where the next record must wait for another, until its turn has come."""
        if isinstance(piece, Turn):
            self._is_held_up = True
            self._work.ring(
                1
            )  # where only single records are left that were refused, nothing more comes to vouch for them
            try:
                while self._is_held_up and not (self._course.is_stopped or piece.has_come()):
                    await self._room.wait()
            finally:
                self._is_held_up = False
            return
        size = len(piece.body) if isinstance(piece, Batch) else 0
        while not (self._course.is_stopped or self.window.has_room(size) or self._course.lacks_witness):
            await self._room.wait()

    def _enter(self, piece: Piece) -> None:
        if isinstance(piece, Turn):
            return
        self.entered.append(piece.positions)
        if isinstance(piece, Dropped):
            self.settle(piece, None)
            return
        piece.whole.size = len(piece.body)
        self.window.enter(piece.whole.size)
        self.lane.batches += 1
        self.tally.batches += not piece.is_resumed
        is_parked = piece.unanswered > 0 and self.on_unknown == "park"
        waits = self.journal is not None and not is_parked and self.journal.plan(piece)
        if self._course.is_stopped or is_parked:
            self._course.give_back(piece)
        elif waits:
            self._course.plan.keep(piece)
        else:
            self._course.plan.make_ready(piece)
            self._work.ring(1)

    def planned(self, numbers: Iterable[int]) -> None:
        """The journal has these batches on disk: they may be sent, unless the run has stopped meanwhile."""
        self._work.ring(self._course.plan.planned(numbers))

    def made_room(self) -> None:
        """Somebody read an outcome."""
        self._room.ring()

    def close(self) -> None:
        """No more batches will come: `run` returns when all are settled."""
        self._is_closed = True
        self._work.ring()

    def stop(self) -> None:
        """Start nothing more. What is not in flight is settled now; `run` returns when the rest is."""
        self._course.is_stopped = True
        self._course.give_back_waiting()
        self._work.ring()
        self._room.ring()

    def abandon(self) -> None:
        """Settle everything that is left, after `run` was cancelled: what was in flight is unconfirmed."""
        self.stop()
        for batch in list(self._course.in_flight):
            self._course.give_back(batch)

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return len(self._course.in_flight)

    @property
    def fits(self) -> int | None:
        """Bytes that a body should not exceed, as far as the platform has taught it; None while it took every size."""
        return self._course.refusals.fits

    async def run(self) -> None:
        """Send until closed and empty, or stopped.

        Cancellation: requests in flight are cut off; `abandon` settles their batches as unconfirmed.
        """
        policy = self.policy
        self.lane.join(self._work, policy, self.clock.now())
        try:
            async with asyncio.TaskGroup() as workers:
                self._hire(workers)
        finally:
            self.lane.leave(self._work, policy, self.clock.now())

    def _hire(self, workers: asyncio.TaskGroup) -> None:
        """Have another worker look for work, unless there are as many as can ever be busy.

        Of an adaptive width one more, who looks for what is overdue while all others are busy.
        """
        if self._workers < (self.policy.max_in_flight or MOST + 1):
            self._workers += 1
            workers.create_task(self._worker(workers), name=f"asyncimport-worker-{self._workers}")

    async def _worker(self, workers: asyncio.TaskGroup) -> None:
        place = Place()
        while not self._is_done():
            now = self.clock.now()
            following = self._next(now, place)
            if self.policy.max_in_flight is None:
                self.tally.width.book(now, self.lane.limit.width)
            if isinstance(following, Batch):
                if not self._idle:
                    self._hire(workers)
                await self._send_or_fail(following)
                if self.lane.is_shared:
                    await asyncio.sleep(0)  # the place just freed is another run's turn
            else:
                self._idle += 1
                try:
                    await self._work.wait(following)
                finally:
                    self._idle -= 1

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
        if self._course.is_stopped:
            return True
        return self._is_closed and self._course.is_empty

    def _next(self, now: float, place: Place) -> Batch | float | None:
        """The batch to send now, or when to look again, or None: wait for a change."""
        course, plan, refusals = self._course, self._course.plan, self._course.refusals
        plan.look(now)
        if not plan.has_ready:
            is_at_end = self._is_closed or self._is_held_up or self.comes_on
            return self._last_tries(now) if is_at_end and course.lacks_witness else plan.due_at
        pause_s = self.lane.gate.opens_at - now
        if pause_s > MAX_PAUSE_S:
            self.fail(stalled(pause_s))
            return now  # the bell has rung already: look again
        opens_at = self.lane.opens_at(now, place, self.policy)
        if opens_at is None or opens_at > now:
            return opens_at
        if refusals.is_in_doubt and course.in_flight:
            return None
        if now < refusals.not_before:
            return refusals.not_before
        opens_at = self.lane.limit.has_room_at(now)
        return plan.pop() if opens_at == now else opens_at

    def _last_tries(self, now: float) -> float | None:
        moment = self._course.plan.last_tries(now)
        if moment is not None or self._course.last_refusal is None:
            return moment
        if self._is_held_up:
            self._course.plan.let_pass()
            self._is_held_up = False
            self._room.ring()
            return None
        if not self._is_closed:  # a sink's next record may vouch for the platform
            return None
        self.fail(unvouched_for(self._course.plan.held, *self._course.last_refusal))
        return now  # the bell has rung already: look again

    async def _send(self, batch: Batch) -> None:
        """One attempt and what follows from it. In here the batch holds a place in the lane."""
        course, started_at = self._course, self.clock.now()
        if batch.count > 1 and course.refusals.is_too_large(len(batch.body)):
            course.split(batch, TOO_LARGE, started_at, is_sent=False)
            return
        course.start(batch)
        entry = self.lane.start(started_at, batch.count)
        try:
            grant = await self.session.grant()
            is_written = self.journal is None or await self.journal.start(batch)
            if course.is_stopped or not is_written:  # while it waited for the token, or for a journal that has failed
                course.wait(batch, started_at)
                return
            attempt = grant if isinstance(grant, NoAnswer) else await self._attempt(batch, grant)
        except AuthError as error:
            course.wait(batch, started_at)
            self.fail(error)
            return
        finally:
            self.lane.finish(self.clock.now(), entry)
        course.conclude(
            Trial(
                batch=batch,
                verdict=judge(attempt, self.policy),
                grant=grant if isinstance(grant, Grant) else None,
                started_at=started_at,
                ended_at=self.clock.now(),
                is_probe=entry.is_probe,
            )
        )

    async def _attempt(self, batch: Batch, grant: Grant) -> Attempt:
        tally, whole = self.tally, batch.whole
        tally.attempts += 1
        tally.retries += whole.attempts > 0
        tally.possible_duplicates += batch.count * batch.unrepeated
        whole.duplicates += batch.count * batch.unrepeated
        batch.unrepeated = 0
        whole.attempts += 1
        batch.attempts += 1
        try:
            attempt = await self.session.post(self.resource, batch.body, grant, self.policy.timeouts)
        except BaseException:
            batch.unanswered += 1  # nobody knows
            batch.last_fault = "cut off"
            raise
        if not isinstance(attempt, NoAnswer) or attempt.sent:
            tally.bytes_sent += len(batch.body)
            whole.sent_bytes += len(batch.body)
        return attempt
