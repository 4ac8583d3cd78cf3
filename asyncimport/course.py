"""The course of a run's batches: what follows for each from an attempt, and how it ends. Nothing in here awaits.

The decisions are made elsewhere (`verdict.py`, `retry.py`, `split.py`, `contact.py`); here they are booked everywhere they count
and carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import assert_never

from attrs import define, field, frozen

from asyncimport.batch import Batch, State
from asyncimport.clock import Bell
from asyncimport.codec import halved
from asyncimport.credentials import Grant
from asyncimport.ending import accepted, given_back, refused_everything, rejected, stalled, unconfirmed
from asyncimport.errors import AsyncImportError, UploadStalled
from asyncimport.gate import MAX_PAUSE_S
from asyncimport.lane import Lane
from asyncimport.observer import AttemptFailed, BatchSplit, NoBatchId, Notifier, Paused
from asyncimport.outcome import BatchOutcome
from asyncimport.plan import Plan
from asyncimport.policy import DispatchPolicy, OnUnknown
from asyncimport.redaction import shown
from asyncimport.resources import Resource
from asyncimport.retry import Accept, GiveUp, Judgement, Renew, Step, Wait, count_attempt, decide, is_free
from asyncimport.session import SessionManager
from asyncimport.split import Hold, Refusals, Reject, Split
from asyncimport.verdict import Happened, Verdict
from asyncimport.window import Window


@frozen(kw_only=True)
class Trial:
    """One attempt that is over."""

    batch: Batch
    verdict: Verdict
    #: The token it was made with; None when none could be had, and nothing was sent.
    grant: Grant | None
    started_at: float
    ended_at: float
    #: Whether it was the breaker's probe.
    is_probe: bool

    @property
    def message(self) -> str:
        """The platform's words about a batch it did not accept, fit to be shown."""
        if self.verdict.happened is Happened.ACCEPTED:
            return ""
        return shown(self.verdict.message, self.batch.body, None if self.grant is None else self.grant.token)


@define(kw_only=True)
class Course:
    """Where the batches of one run stand, and where each goes next."""

    resource: Resource
    policy: DispatchPolicy
    on_unknown: OnUnknown
    session: SessionManager
    lane: Lane
    window: Window
    notify: Notifier
    #: Told each outcome as it is settled, with its batch.
    settle: Callable[[BatchOutcome, Batch | None], None]
    #: Told the one error that ends the run.
    fail: Callable[[AsyncImportError], None]
    #: Rung for workers when there may be something to do, and for the producer when there may be room.
    work: Bell
    room: Bell
    refusals: Refusals = field(factory=Refusals)
    plan: Plan = field(init=False)
    in_flight: set[Batch] = field(factory=set)
    is_stopped: bool = False
    #: The last refusal, and what the platform said with it.
    last_refusal: tuple[Verdict, str] | None = None
    #: What becomes of each record that is held, if it is not sent again.
    _refused: dict[Batch, BatchOutcome] = field(factory=dict)
    #: Numbers of splits: the two pieces of one share theirs.
    _pairs: Iterator[int] = field(factory=lambda: count(1))
    _missed_id: bool = False

    def __attrs_post_init__(self) -> None:
        """Begin with nothing planned."""
        self.plan = Plan(self.refusals)

    @property
    def is_empty(self) -> bool:
        """Whether every batch is settled."""
        return self.plan.is_empty and not self.in_flight

    @property
    def lacks_witness(self) -> bool:
        """Whether only single records are left that were refused: a further batch must come, or they are tried a last time."""
        return self.plan.has_only_held and not self.in_flight

    def start(self, batch: Batch) -> None:
        """Book a batch that goes out."""
        batch.move(State.IN_FLIGHT)
        self.in_flight.add(batch)

    def conclude(self, trial: Trial) -> None:
        """Book an attempt everywhere it counts, and carry out what is decided."""
        batch, verdict = trial.batch, trial.verdict
        message = trial.message
        failure = self.lane.contact.judge(verdict, trial.ended_at, self.policy)
        free = is_free(batch, verdict)
        self._tell_lane(trial, free=free)
        # The failure that opens the breaker is the outage's too, so a batch that is alone is not given up with it.
        count_attempt(batch, verdict, trial.ended_at, free=free, is_outage=not self.lane.breaker.is_closed)
        step = decide(batch, verdict, self._judgement(trial), free=free)
        failure = self._tell_keeper(trial, step) or self._close_gate(trial, message) or failure
        self._carry_out(trial, step, message)
        if verdict.happened is Happened.REFUSED:
            self.last_refusal = verdict, message
            if self.refusals.is_hopeless and not self.plan.ask_another():
                failure = refused_everything(self.refusals, verdict, message)
        self._tell(trial, step, message)
        if failure is not None:
            self.fail(failure)

    def _judgement(self, trial: Trial) -> Judgement:
        return Judgement(
            retry=self.policy.retry,
            on_unknown=self.on_unknown,
            refusals=self.refusals,
            started_at=trial.started_at,
            ended_at=trial.ended_at,
            is_alone=self.window.batches == 1,
        )

    def _tell_lane(self, trial: Trial, *, free: bool) -> None:
        """Book an attempt on breaker and width, unless it says nothing of the platform.

        Such are a token that could not be had, the free retry of a stale connection, and a server that is well otherwise and
        broke over a batch that is known for it.
        """
        batch, verdict = trial.batch, trial.verdict
        is_batchs_doing = verdict.is_server_broken and self.refusals.is_known_for(batch)
        if trial.grant is not None and not free and not is_batchs_doing:
            self.lane.judged(verdict, trial.started_at, trial.ended_at, is_probe=trial.is_probe)

    def _tell_keeper(self, trial: Trial, step: Step) -> AsyncImportError | None:
        """Book on the token what the platform said to it."""
        keeper, grant = self.session.keeper, trial.grant
        if grant is None:
            return None
        if isinstance(step, Renew):
            return keeper.refused(grant.generation, trial.verdict)
        if trial.verdict.is_contact:
            keeper.accepted(grant.generation)
        return None

    def _close_gate(self, trial: Trial, message: str) -> UploadStalled | None:
        verdict = trial.verdict
        if verdict.happened is not Happened.THROTTLED:
            return None
        pause_s = self.lane.throttled(trial.started_at, trial.ended_at, verdict.retry_after_s)
        if pause_s is None:
            return None
        self.notify(Paused(pause_s=pause_s, reason=f"{verdict.detail}: {message}" if message else verdict.detail))
        if pause_s <= MAX_PAUSE_S:
            return None
        self.lane.ring()  # every run of the client finds out
        return stalled(pause_s)

    def _carry_out(self, trial: Trial, step: Step, message: str) -> None:
        batch, now = trial.batch, trial.ended_at
        match step:
            case Accept():
                self._accept(trial)
            case Reject():
                self.end(batch, rejected(batch, trial.verdict, message))
            case GiveUp():
                self.end(batch, unconfirmed(batch))
            case Split():
                batch.is_poisoned |= trial.verdict.is_server_broken
                self.split(batch, trial.verdict.reason, now)
            case Hold():
                self._refused[batch] = rejected(batch, trial.verdict, message)
                self._set_aside(batch, lambda: self.plan.hold(batch))
                self.room.ring()  # a further batch may be a witness
            case Renew():
                self.wait(batch, now)
            case Wait(delay_s=delay_s):
                patience_s = self.lane.contact.patience_s(now, self.policy)
                self.wait(batch, now + (delay_s if patience_s is None else min(delay_s, patience_s)))
            case _:
                assert_never(step)

    def _accept(self, trial: Trial) -> None:
        batch = trial.batch
        self.lane.gate.accepted()
        was_in_doubt = self.refusals.is_in_doubt
        self.refusals.accepted(len(batch.body), trial.started_at, trial.ended_at)
        freed = self.plan.accepted()
        self.work.ring(None if was_in_doubt else freed)
        if self.resource.has_batch_id and trial.verdict.batch_id is None and not self._missed_id:
            self._missed_id = True  # told once (FAULTS.md C8, C9)
            self.notify(NoBatchId(batch=batch.number))
        self.end(batch, accepted(batch, trial.verdict))
        for one in self.plan.condemned():
            self.end(one, self._refused[one])

    def split(self, batch: Batch, reason: str, now: float, *, is_sent: bool = True) -> None:
        """Let the records of a batch go on in two pieces; of one that was sent, after its other half."""
        self.in_flight.discard(batch)
        batch.move(State.SPLIT)
        pieces = halved(batch, next(self._pairs))
        for piece in pieces:
            if piece.is_poisoned and piece.count > 1:
                piece.broken_at = now  # what is accepted from now on tells whether it is this half
        self.notify(BatchSplit(batch=batch.number, records=batch.count, reason=reason))
        self.plan.insert(pieces, batch.pair if is_sent else 0)
        if self.is_stopped:
            self.give_back_waiting()
        else:
            self.work.ring(2)

    def wait(self, batch: Batch, due: float) -> None:
        """Let a batch wait for its time, or give it back when the run has stopped."""
        self._set_aside(batch, lambda: self.plan.wait(batch, due))
        self.work.ring(1)

    def _set_aside(self, batch: Batch, keep: Callable[[], None]) -> None:
        self.in_flight.discard(batch)
        batch.move(State.WAITING)
        if self.is_stopped:
            self.give_back(batch)
        else:
            keep()

    def end(self, batch: Batch, outcome: BatchOutcome) -> None:
        """Settle a batch or a piece of one."""
        batch.move(State.SETTLED)
        self._refused.pop(batch, None)
        self.in_flight.discard(batch)
        batch.whole.open -= 1
        if not batch.whole.open:
            self.window.leave(batch.whole.size)
            self.lane.batches -= 1
        self.settle(outcome, batch)
        if not self.lane.batches:
            self.lane.contact.rest()
        if self.is_empty:
            self.work.ring()
        self.room.ring()

    def give_back_waiting(self) -> None:
        """Settle whatever is not in flight, because the run stops."""
        for batch in self.plan.clear():
            self.give_back(batch)

    def give_back(self, batch: Batch) -> None:
        """Settle a batch because the run stops."""
        batch.is_given_back = True
        self.end(batch, given_back(batch))

    def _tell(self, trial: Trial, step: Step, message: str) -> None:
        batch, verdict = trial.batch, trial.verdict
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
                retry_in_s=None
                if batch.state is State.SETTLED
                else max(delay_s, self.lane.gate.opens_at - trial.ended_at),
            )
        )
