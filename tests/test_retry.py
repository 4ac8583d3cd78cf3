from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.batch import Batch, Positions
from asyncimport.policy import OnUnknown, RetryPolicy
from asyncimport.retry import Accept, GiveUp, Judgement, Renew, Step, Wait, count_attempt, decide, is_free, jittered_s
from asyncimport.split import Refusals, Split
from asyncimport.verdict import Happened, Verdict

RETRY = RetryPolicy()


def verdict(happened: Happened, **further: Any) -> Verdict:
    return Verdict(happened=happened, reason=happened.name.lower(), **further)


UNKNOWN, NOT_SENT = verdict(Happened.UNKNOWN), verdict(Happened.NOT_SENT)
THROTTLED, AUTH = verdict(Happened.THROTTLED), verdict(Happened.AUTH)
STALE = verdict(Happened.UNKNOWN, is_stale=True)


def new_batch(count: int = 2) -> Batch:
    return Batch(number=0, positions=Positions((range(count),)), body=b"{}")


def attempted(
    batch: Batch,
    *verdicts: Verdict,
    on_unknown: OnUnknown = "resend",
    retry: RetryPolicy = RETRY,
    is_outage: bool = False,
    is_alone: bool = False,
) -> Step:
    """The step after the last of these verdicts."""
    step: Step = Accept()
    for one in verdicts:
        free = is_free(batch, one)
        count_attempt(batch, one, 0.0, free=free, is_outage=is_outage)
        by = Judgement(
            retry=retry, on_unknown=on_unknown, refusals=Refusals(), started_at=0.0, ended_at=0.0, is_alone=is_alone
        )
        step = decide(batch, one, by, free=free)
    return step


@pytest.mark.parametrize(
    ("happened", "step"),
    [
        (Happened.ACCEPTED, Accept()),
        (Happened.REFUSED, Split()),
        (Happened.AUTH, Renew()),
        (Happened.THROTTLED, Wait(delay_s=0.0)),
    ],
)
@pytest.mark.parametrize("on_unknown", ["resend", "park"])
def test_what_is_clear_is_decided_at_once(happened: Happened, step: Step, on_unknown: OnUnknown) -> None:
    assert attempted(new_batch(), verdict(happened), on_unknown=on_unknown) == step


@given(st.integers(1, 10_000))
def test_a_wait_lies_between_the_floor_and_a_doubling_bound(step: int) -> None:
    bound_s = min(30.0, 0.5 * 2 ** min(step - 1, 20))
    assert 0.05 <= jittered_s(step, RETRY) <= bound_s


seconds = st.floats(0.001, 1000)


@given(st.integers(1, 50), seconds, seconds, seconds)
def test_any_policy_keeps_its_floor_and_its_cap(step: int, base_s: float, cap_s: float, floor_s: float) -> None:
    retry = RetryPolicy(base_s=base_s, cap_s=cap_s, floor_s=floor_s)
    assert floor_s <= jittered_s(step, retry) <= max(floor_s, min(cap_s, base_s * 2 ** (step - 1)))


@pytest.mark.parametrize(("step", "bound_s"), [(1, 0.5), (3, 2.0), (7, 30.0), (100, 30.0)])
def test_jitter_is_full_over_the_whole_bound(step: int, bound_s: float) -> None:
    waits = [jittered_s(step, RETRY) for _ in range(2000)]
    assert min(waits) < 0.2 * bound_s
    assert max(waits) > 0.9 * bound_s
    assert 0.4 * bound_s < sum(waits) / len(waits) < 0.65 * bound_s


def test_the_eighth_counted_attempt_is_the_last() -> None:
    batch = new_batch()
    for attempt in range(1, 8):
        step = attempted(batch, UNKNOWN)
        assert isinstance(step, Wait)
        assert 0.05 <= step.delay_s <= min(30.0, 0.5 * 2 ** (attempt - 1))
    assert attempted(batch, UNKNOWN) == GiveUp()
    assert (batch.counted, batch.unanswered, batch.last_fault) == (8, 8, "unknown")


def test_the_number_of_attempts_is_the_policys() -> None:
    assert attempted(new_batch(), UNKNOWN, retry=attrs.evolve(RETRY, max_attempts=1)) == GiveUp()


@pytest.mark.parametrize("uncounted", [THROTTLED, NOT_SENT, AUTH], ids=lambda one: one.reason)
def test_what_is_not_the_batchs_fault_is_not_counted(uncounted: Verdict) -> None:
    batch = new_batch()
    assert not isinstance(attempted(batch, *[uncounted] * 100), GiveUp)
    assert (batch.counted, batch.unanswered, batch.unrepeated) == (0, 0, 0)
    assert isinstance(attempted(batch, *[UNKNOWN] * 7), Wait)
    assert attempted(batch, UNKNOWN) == GiveUp()


def test_attempts_that_never_left_wait_longer_each_time_until_one_leaves() -> None:
    batch = new_batch()
    for attempt in range(1, 30):
        step = attempted(batch, NOT_SENT)
        assert isinstance(step, Wait)
        assert 0.05 <= step.delay_s <= min(30.0, 0.5 * 2 ** (attempt - 1))
    assert batch.not_sent == 29
    for other in (UNKNOWN, THROTTLED):
        attempted(batch, NOT_SENT, other)
        assert batch.not_sent == 0


def test_a10_a_stale_connection_is_retried_at_once_and_free_a_single_time() -> None:
    batch = new_batch()
    assert attempted(batch, STALE) == Wait(delay_s=0.0)
    assert (batch.counted, batch.unanswered, batch.unrepeated, batch.free_retry_used) == (0, 1, 1, True)
    again = attempted(batch, STALE)
    assert isinstance(again, Wait)
    assert again.delay_s >= 0.05
    assert (batch.counted, batch.unanswered) == (1, 2)


def test_a8_with_park_nothing_unanswered_is_sent_again_not_even_for_free() -> None:
    assert attempted(new_batch(), UNKNOWN, on_unknown="park") == GiveUp()
    assert attempted(new_batch(), STALE, on_unknown="park") == GiveUp()
    assert isinstance(attempted(new_batch(), NOT_SENT, on_unknown="park"), Wait)


@given(st.lists(st.sampled_from([UNKNOWN, STALE, NOT_SENT, THROTTLED, AUTH]), max_size=40))
def test_every_unanswered_attempt_is_booked_and_eight_counted_ones_end_it(verdicts: list[Verdict]) -> None:
    batch = new_batch()
    for one in verdicts:
        step = attempted(batch, one)
        assert isinstance(step, GiveUp) == (one.happened is Happened.UNKNOWN and batch.counted >= 8)
    unknown = [one for one in verdicts if one.happened is Happened.UNKNOWN]
    assert batch.unanswered == batch.unrepeated == len(unknown)
    assert batch.counted == len(unknown) - (STALE in unknown)


BROKEN = verdict(Happened.UNKNOWN, is_server_broken=True)


def test_attempts_of_an_outage_are_not_counted_and_give_up_nothing() -> None:
    batch = new_batch()
    assert isinstance(attempted(batch, *[BROKEN] * 100, is_outage=True, is_alone=True), Wait)
    assert (batch.counted, batch.server_faults, batch.unanswered) == (0, 0, 100)


def test_a_batch_that_a_server_breaks_on_three_times_is_split_and_a_record_given_up() -> None:
    assert isinstance(attempted(new_batch(), *[BROKEN] * 2, is_alone=True), Wait)
    assert attempted(new_batch(), *[BROKEN] * 3, is_alone=True) == Split()
    piece = new_batch(1)
    piece.is_poisoned = True
    assert isinstance(attempted(piece, *[BROKEN] * 3, is_alone=True), Wait), "nothing was accepted since"
    piece.whole.broken_at = float("-inf")
    assert attempted(piece, BROKEN, is_alone=True) == GiveUp()
    assert isinstance(attempted(new_batch(), *[BROKEN] * 3), Wait)
    assert isinstance(attempted(new_batch(1), *[BROKEN] * 3, is_alone=True), Wait)


def test_with_park_a_batch_that_a_server_breaks_on_is_not_sent_again_in_pieces_either() -> None:
    assert attempted(new_batch(), *[BROKEN] * 3, on_unknown="park", is_alone=True) == GiveUp()


def test_an_unanswered_attempt_that_is_no_fault_of_the_server_splits_nothing() -> None:
    assert isinstance(attempted(new_batch(), *[UNKNOWN] * 7, is_alone=True), Wait)
