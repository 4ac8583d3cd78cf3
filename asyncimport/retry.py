"""What to do after an attempt: wait, renew the token, split, or settle the batch. Pure decisions."""

from __future__ import annotations

from itertools import islice
from typing import Final, assert_never

import backoff
from attrs import frozen

from asyncimport.batch import Batch
from asyncimport.policy import OnUnknown, RetryPolicy
from asyncimport.split import Hold, Refusals, Reject, Split
from asyncimport.verdict import TOO_LARGE, Happened, Verdict

#: The bound has long reached its cap by then; it only keeps the sum short for an outage of days.
_MAX_STEPS: Final = 16


@frozen(kw_only=True)
class Wait:
    """Send the same bytes again after `delay_s`; the shared pause may make it longer."""

    delay_s: float


@frozen
class Renew:
    """Have the token renewed, then send again."""


@frozen
class GiveUp:
    """The attempts are used up, or the user parks what is unknown: the batch ends unconfirmed."""


@frozen
class Accept:
    """Done."""


Step = Accept | Wait | Renew | Split | Hold | Reject | GiveUp


def is_free(batch: Batch, verdict: Verdict) -> bool:
    """Whether an attempt counts for nothing: over a stale connection, once a batch."""
    return verdict.is_stale and not batch.free_retry_used


def count_attempt(batch: Batch, verdict: Verdict, now: float, *, free: bool, is_outage: bool = False) -> None:
    """Book an attempt on its batch. Those of an outage are not counted: no batch is given up because the platform is away."""
    batch.last_fault = verdict.reason
    match verdict.happened:
        case Happened.UNKNOWN:
            batch.unanswered += 1
            batch.unrepeated += 1
            batch.counted += not (free or is_outage)
            if verdict.is_server_broken and not is_outage:
                batch.server_faults += 1
                batch.broken_at = min(batch.broken_at, now)
                batch.whole.broken_at = min(batch.whole.broken_at, now)
            batch.not_sent = 0
        case Happened.NOT_SENT:
            batch.not_sent += 1
        case _:
            batch.not_sent = 0
    batch.free_retry_used |= free


@frozen(kw_only=True)
class Judgement:
    """What a decision goes by besides the batch: the policy, and how the run and the platform stand."""

    retry: RetryPolicy
    on_unknown: OnUnknown
    refusals: Refusals
    #: When the attempt began and ended.
    started_at: float
    ended_at: float
    #: Whether nothing else of the run is under way.
    is_alone: bool


def decide(batch: Batch, verdict: Verdict, by: Judgement, *, free: bool) -> Step:
    """What to do with a batch after an attempt already booked by `count_attempt`."""
    match verdict.happened:
        case Happened.ACCEPTED:
            return Accept()
        case Happened.REFUSED:
            return by.refusals.refused(batch, by.started_at, by.ended_at, is_too_large=verdict.reason == TOO_LARGE)
        case Happened.AUTH:
            return Renew()
        case Happened.THROTTLED:
            return Wait(delay_s=0.0)  # the gate keeps everybody back
        case Happened.NOT_SENT:
            return Wait(delay_s=jittered_s(batch.not_sent, by.retry))
        case Happened.UNKNOWN if by.on_unknown == "park":
            return GiveUp()
        case Happened.UNKNOWN if verdict.is_server_broken and by.refusals.breaks(batch, is_alone=by.is_alone):
            return Split() if batch.count > 1 else GiveUp()
        case Happened.UNKNOWN if batch.counted >= by.retry.max_attempts:
            return GiveUp()
        case Happened.UNKNOWN:
            return Wait(delay_s=0.0 if free else jittered_s(max(1, batch.counted), by.retry))
        case unnamed:
            assert_never(unnamed)


def jittered_s(step: int, retry: RetryPolicy) -> float:
    """The wait before the repeat number `step` (from 1): full jitter, so that no two clients wake together."""
    bounds = backoff.expo(base=2, factor=retry.base_s, max_value=retry.cap_s)
    next(bounds)  # the first yield primes the generator
    bound_s = next(islice(bounds, min(step, _MAX_STEPS) - 1, None))
    return max(retry.floor_s, backoff.full_jitter(bound_s))
