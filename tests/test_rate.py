from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.policy import Rate
from asyncimport.rate import CUT, DOUBLING_S, FEW, Allowance, Pace


def begun(pace: Pace, now: float, until: float) -> list[float]:
    """The moments at which requests begin that are always there."""
    moments = []
    while (now := pace.opens_at(now)) < until:
        pace.started(now)
        moments.append(now)
        if len(moments) >= 10_000:
            break
    return moments


def throttle(
    pace: Pace, now: float, *, started_at: float, pause_s: float = 0.5, retry_after_s: float | None = None
) -> None:
    pace.throttled(started_at, now, pause_s=pause_s, retry_after_s=retry_after_s, share=0.0)


def taught(
    accepted: int = 100, seconds: float = 10.0, *, pause_s: float = 0.5, retry_after_s: float | None = None
) -> Pace:
    """A pace that was throttled a second time at 100 s, after so much was accepted in so many seconds."""
    pace = Pace()
    throttle(pace, 100.0 - seconds, started_at=100.0 - seconds - 0.1)
    pace.started(100.0 - seconds + 0.5)
    pace.accepted = accepted
    throttle(pace, 100.0, started_at=99.9, pause_s=pause_s, retry_after_s=retry_after_s)
    return pace


class TestPace:
    def test_holds_nobody_back_before_anything_was_throttled(self) -> None:
        pace = Pace()
        for _ in range(1_000):
            pace.started(100.0)
        assert pace.opens_at(100.0) == 100.0

    def test_a_single_throttling_teaches_nothing(self) -> None:
        pace = Pace()
        pace.accepted = 1_000
        throttle(pace, 100.0, started_at=99.0, pause_s=7.0, retry_after_s=7.0)
        pace.started(107.0)
        assert (pace.per_s, pace.opens_at(107.0)) == (None, 107.0)

    def test_a_cycle_begins_a_little_below_what_the_last_one_took_and_grows(self) -> None:
        pace = taught(accepted=100, seconds=10.0)
        first, later = begun(pace, 100.5, 101.5), begun(pace, 112.0, 113.0)
        assert len(first) == pytest.approx(10, abs=1)
        assert len(later) == pytest.approx(9.5 * 2 ** (12.5 / DOUBLING_S), rel=0.1)

    def test_over_a_cycle_as_much_is_begun_as_the_rate_grows_to(self) -> None:
        pace = taught()
        count = len(begun(pace, 100.5, 100.0 + DOUBLING_S))
        assert count == pytest.approx(9.5 * (2 - 2 ** (0.5 / DOUBLING_S)) * DOUBLING_S / log(2), rel=0.03)

    def test_nobody_begins_before_the_pause_is_over_and_then_each_at_a_moment_of_its_own(self) -> None:
        moments = []
        for share in (0.0, 0.5, 1.0):
            pace = taught(accepted=20, seconds=10.0)
            pace.throttled(101.0, 102.0, pause_s=0.5, retry_after_s=None, share=share)
            moments.append(pace.opens_at(102.0))
        assert moments == pytest.approx([102.5, 102.5 + 0.5 / (0.95 * 1.4), 102.5 + 1 / (0.95 * 1.4)])

    def test_the_answers_to_one_burst_are_one_message(self) -> None:
        pace = taught()
        for n in range(5):
            throttle(pace, 100.0 + n / 100, started_at=99.95)
        assert pace.per_s == 10.0

    def test_a_cycle_of_few_only_cuts_and_goes_on(self) -> None:
        pace = taught(accepted=100)
        pace.accepted = FEW - 1
        throttle(pace, 102.0, started_at=101.0)
        assert pace.per_s == CUT * 10.0
        pace.accepted = 40
        throttle(pace, 108.0, started_at=107.0)
        assert pace.per_s == 40 / 8

    def test_as_long_as_few_were_accepted_nothing_is_known(self) -> None:
        pace = Pace()
        for at in range(100, 110):
            throttle(pace, at, started_at=at - 0.5)
        assert pace.per_s is None

    def test_long_pauses_make_it_grow_as_much_more_slowly(self) -> None:
        short, long = taught(pause_s=1.0, retry_after_s=1.0), taught(pause_s=5.0, retry_after_s=5.0)
        assert len(begun(short, 125.0, 126.0)) > 1.5 * len(begun(long, 129.0, 130.0))

    def test_a_pause_counts_as_a_second_in_which_something_is_saved_up(self) -> None:
        pace = taught(pause_s=5.0)
        pace.accepted = 60
        throttle(pace, 109.0, started_at=108.0)
        assert pace.per_s == 60 / 5

    def test_the_time_between_imports_measures_nothing(self) -> None:
        pace = taught(accepted=100)
        pace.rest()
        pace.accepted = 50
        throttle(pace, 110.0, started_at=109.0)
        assert pace.per_s is None

    def test_a_minute_without_any_is_the_end_of_it(self) -> None:
        pace = taught()
        pace.started(161.0)
        assert (pace.per_s, pace.opens_at(161.0)) == (None, 161.0)
        pace = taught()
        pace.accepted = 1_000
        throttle(pace, 161.0, started_at=160.0)
        assert pace.per_s is None


class TestAllowance:
    def test_nothing_is_bounded_when_nobody_asks(self) -> None:
        allowance = Allowance()
        allowance.join(None, 100.0)
        for _ in range(100):
            assert allowance.opens_at(100.0) == 100.0
            allowance.started(100.0, 500)
        allowance.leave(None, 100.0)

    def test_requests_of_one_second_may_begin_at_once_and_then_one_by_one(self) -> None:
        allowance = Allowance()
        allowance.join(Rate(requests_per_s=4), 100.0)
        moments, now = [], 100.0
        for _ in range(8):
            now = allowance.opens_at(now)
            allowance.started(now, 500)
            moments.append(now)
        assert moments == pytest.approx([100, 100, 100, 100, 100.25, 100.5, 100.75, 101], abs=1e-6)

    def test_records_are_paid_for_afterwards_so_that_a_batch_larger_than_a_second_may_go(self) -> None:
        allowance = Allowance()
        allowance.join(Rate(records_per_s=100), 100.0)
        moments, now = [], 100.0
        for _ in range(3):
            now = allowance.opens_at(now)
            allowance.started(now, 500)
            moments.append(now)
        assert moments == pytest.approx([100, 104.01, 109.01], abs=1e-6)

    def test_the_strictest_of_what_runs_ask_for_is_shared_by_them(self) -> None:
        allowance = Allowance()
        slow, quick = Rate(requests_per_s=1), Rate(requests_per_s=10, records_per_s=5)
        allowance.join(quick, 100.0)
        allowance.join(slow, 100.0)
        allowance.started(100.0, 1)
        assert allowance.opens_at(100.0) == pytest.approx(101.0)
        allowance.leave(slow, 100.0)
        assert allowance.opens_at(100.0) == 100.0
        allowance.started(100.0, 4)
        assert allowance.opens_at(100.0) == pytest.approx(100.2)

    def test_a_run_that_joins_saves_nothing_up_anew(self) -> None:
        allowance, rate = Allowance(), Rate(requests_per_s=2)
        allowance.join(rate, 100.0)
        for _ in range(2):
            allowance.started(100.0, 1)
        allowance.join(None, 100.0)
        allowance.join(rate, 100.0)
        assert allowance.opens_at(100.0) > 100.0

    @given(st.floats(0.1, 50), st.lists(st.tuples(st.floats(0, 3), st.integers(1, 500)), min_size=1, max_size=60))
    def test_in_no_stretch_of_time_more_begins_than_allowed(
        self, per_s: float, demand: list[tuple[float, int]]
    ) -> None:
        allowance, now, moments = Allowance(), 100.0, list[float]()
        allowance.join(Rate(requests_per_s=per_s), now)
        for later_s, records in demand:
            now = allowance.opens_at(now + later_s)
            allowance.started(now, records)
            moments.append(now)
        for first in range(len(moments)):
            for last in range(first, len(moments)):
                span_s = moments[last] - moments[first]
                assert last - first + 1 <= per_s * (span_s + 1) + 1.001
