from __future__ import annotations

from collections.abc import Sequence

import canary
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.limit import (
    DOUBT,
    ECHOES,
    FIRST,
    GRACE_S,
    MOST,
    MOST_PATIENCE,
    OVERDUE_AT_FIRST_S,
    PATIENCE,
    Adaptive,
    Limit,
)

QUICK_S, QUEUED_S = 0.2, 0.4


def windows(adaptive: Adaptive, count: int, latency_s: float = QUICK_S, *, now: float = 100.0) -> list[int]:
    """The widths at the ends of windows in each of which all of the width was in use."""
    widths = []
    for number in range(count):
        for _ in range(max(1, int(adaptive.width))):
            adaptive.was_full = True
            adaptive.answered(latency_s, now + number)
        widths.append(int(adaptive.width))
    return widths


def cut(adaptive: Adaptive, at: float, *, is_silent: bool = False) -> None:
    adaptive.overloaded(at, at, is_silent=is_silent)


class TestSlowStart:
    def test_the_width_doubles_to_sixteen_and_then_grows_by_half_every_round_trip(self) -> None:
        widths = [FIRST, *windows(Adaptive(), 4)]
        assert widths == [4, 8, 16, 24, 32]

    def test_a_width_that_is_not_used_does_not_grow(self) -> None:
        adaptive = Adaptive()
        for _ in range(100):
            adaptive.answered(QUICK_S, 100.0)
        assert adaptive.width == FIRST

    def test_a_queue_at_the_platform_ends_it(self) -> None:
        adaptive = Adaptive()
        windows(adaptive, 2)
        windows(adaptive, 2, QUEUED_S)
        width = int(adaptive.width)
        assert not adaptive.is_slow_start
        assert windows(adaptive, 10, QUEUED_S) == [width] * 10

    def test_latency_that_only_varies_does_not(self) -> None:
        adaptive = Adaptive()
        for number in range(400):
            adaptive.was_full = True
            adaptive.answered((0.05, 0.3, 0.1, 0.9, 0.2)[number % 5], 100.0)
        assert adaptive.width == MOST


class TestACut:
    def test_halves_the_width_once_for_all_that_was_under_way(self) -> None:
        adaptive = Adaptive(width=16.0)
        told = [adaptive.overloaded(99.0, 100.0 + n / 100, is_silent=False) for n in range(ECHOES + 2)]
        assert adaptive.width == 8.0
        assert told == [False] * ECHOES + [True] * 2, "whoever counts failures in a row counts half of them at most"

    def test_a_request_begun_since_is_another_message(self) -> None:
        adaptive = Adaptive(width=16.0)
        cut(adaptive, 100.0)
        cut(adaptive, 101.0)
        assert adaptive.width == 4.0

    def test_never_below_one(self) -> None:
        adaptive = Adaptive()
        for at in range(100, 110):
            cut(adaptive, at)
        assert adaptive.width == 1.0

    def test_is_followed_by_one_more_in_a_window_up_to_its_place_which_is_passed_with_patience(self) -> None:
        adaptive = Adaptive(width=8.0)
        cut(adaptive, 100.0)
        assert windows(adaptive, 3) == [5, 6, 7]
        below = windows(adaptive, PATIENCE)
        assert below[: PATIENCE - 4] == [7] * (PATIENCE - 4)
        assert below[-1] > 8
        assert windows(adaptive, 6)[-1] == MOST, "in steps that double, since nothing happened"

    def test_at_the_same_place_again_is_passed_with_more_patience(self) -> None:
        adaptive = Adaptive(width=8.0)
        patience = []
        for at in range(100, 105):
            adaptive.width = 8.0
            cut(adaptive, at)
            patience.append(adaptive.patience)
        assert patience == [PATIENCE, 16, MOST_PATIENCE, MOST_PATIENCE, MOST_PATIENCE]

    def test_far_below_the_last_one_begins_with_little_patience(self) -> None:
        adaptive = Adaptive(width=32.0)
        for at in (100.0, 101.0, 102.0):
            cut(adaptive, at)
        assert adaptive.patience == PATIENCE

    def test_by_silence_is_followed_by_growth_that_waits_to_see_what_came_of_it(self) -> None:
        adaptive = Adaptive(width=16.0)
        windows(adaptive, 1)
        cut(adaptive, 100.0, is_silent=True)
        width = int(adaptive.width)
        assert windows(adaptive, 1, now=100.1) == [width]
        assert windows(adaptive, 1, now=100.6) == [width + 1]


class TestABestLatency:
    def test_that_was_long_ago_is_measured_anew_at_half_the_width(self) -> None:
        adaptive = Adaptive()
        windows(adaptive, 2)
        windows(adaptive, 3, QUEUED_S)
        width = int(adaptive.width)
        widths = windows(adaptive, DOUBT, QUEUED_S)
        assert width // 2 in widths
        assert adaptive.best_s == QUEUED_S, "the platform has become slower for good"
        assert windows(adaptive, 2, QUEUED_S)[-1] > width

    def test_a_cut_in_the_middle_of_it_halves_the_width_that_there_was(self) -> None:
        adaptive = Adaptive()
        windows(adaptive, 3)
        width = adaptive.width
        while not adaptive._anew:
            windows(adaptive, 1, QUEUED_S)
            width = max(width, adaptive.width)
        cut(adaptive, 500.0)
        assert adaptive.width == width / 2


def test_after_an_outage_it_begins_with_one_request_and_doubles() -> None:
    adaptive = Adaptive(width=32.0, is_slow_start=False)
    adaptive.begin_anew()
    assert [int(adaptive.width), *windows(adaptive, 3)] == [1, 2, 4, 8]


@given(st.lists(st.tuples(st.sampled_from(["answer", "cut", "silence", "anew"]), st.floats(0.01, 5)), max_size=300))
def test_the_width_stays_within_its_bounds(events: Sequence[tuple[str, float]]) -> None:
    adaptive, now = Adaptive(), 100.0
    for event, latency_s in events:
        now += 0.05
        match event:
            case "answer":
                adaptive.was_full = True
                adaptive.answered(latency_s, now)
            case "cut" | "silence":
                adaptive.overloaded(now - latency_s, now, is_silent=event == "silence")
            case _:
                adaptive.begin_anew()
        assert 1 <= adaptive.width <= MOST


def full(width: int | None, count: int, at: float = 100.0) -> Limit:
    """A limit with so many requests under way since a moment."""
    limit = Limit()
    limit.join(width)
    for _ in range(count):
        limit.start(at)
    return limit


class TestRoom:
    def test_nobody_starts_while_no_run_goes_on(self) -> None:
        assert (Limit().width, Limit().has_room_at(100.0)) == (0, None)

    def test_is_there_until_the_width_is_in_flight(self) -> None:
        limit = full(2, 0)
        room = []
        for _ in range(3):
            room.append(limit.has_room_at(100.0))
            limit.start(100.0)
        assert room == [100.0, 100.0, None]

    def test_comes_back_with_the_end_of_a_request(self) -> None:
        limit = full(1, 0)
        number = limit.start(100.0)
        limit.finish(number)
        assert limit.has_room_at(101.0) == 101.0

    def test_of_a_fixed_width_is_not_lent(self) -> None:
        assert full(4, 4).has_room_at(10_000.0) is None

    def test_as_long_as_nothing_was_answered_one_more_may_go_when_all_are_overdue(self) -> None:
        limit = full(None, FIRST)
        due_at = 100.0 + OVERDUE_AT_FIRST_S
        assert limit.has_room_at(100.0) == due_at
        assert limit.has_room_at(due_at) == due_at
        limit.start(due_at)
        assert limit.has_room_at(due_at) == due_at + OVERDUE_AT_FIRST_S
        assert limit.width == FIRST, "nobody knows how long an answer takes here"

    def test_what_is_overdue_leaves_its_place_to_another(self) -> None:
        limit = full(None, 0)
        windows(limit.adaptive, 1)
        old = limit.start(100.0)
        for _ in range(limit.width - 1):
            limit.start(100.3)
        assert limit.has_room_at(100.3) == 100.5
        assert limit.has_room_at(100.5) == 100.5
        limit.start(100.5)
        assert limit.has_room_at(100.5) == pytest.approx(100.8)
        limit.finish(old)
        assert limit.width == 8

    def test_a_quarter_overdue_is_silence(self) -> None:
        limit = full(None, 0)
        windows(limit.adaptive, 1)
        for number in range(limit.width):
            limit.start(100.0 + (number > 1) / 10)
        limit.has_room_at(100.0)
        limit.has_room_at(100.5)
        assert (limit.width, limit.adaptive.was_silent) == (4, True)

    def test_what_looks_overdue_because_the_loop_stood_still_has_a_little_longer(self) -> None:
        limit = full(None, 0)
        windows(limit.adaptive, 1)
        for _ in range(limit.width):
            limit.start(100.0)
        assert limit.has_room_at(100.0) == 100.5
        assert limit.has_room_at(102.0) == 102.0 + GRACE_S
        assert limit.width == 8

    def test_never_more_than_the_most_are_under_way(self) -> None:
        limit = full(None, MOST, at=0.0)
        assert limit.has_room_at(10_000.0) is None


@given(st.lists(st.integers(1, 32), min_size=1))
def test_the_width_is_the_widest_of_the_runs_that_go_on(widths: list[int]) -> None:
    limit = Limit()
    for width in widths:
        limit.join(width)
    for gone, width in enumerate(widths):
        assert limit.width == max(widths[gone:])
        limit.leave(width)
    assert limit.width == 0


def test_a_run_that_leaves_it_to_the_client_gets_at_least_what_another_has_fixed() -> None:
    limit = full(2, 0)
    limit.join(None)
    assert limit.width == FIRST
    limit.join(10)
    assert limit.width == 10


def test_batches_are_held_for_the_width_that_is_asked_for_or_found_and_not_for_less_than_at_first() -> None:
    limit = full(None, 0)
    assert [limit.planned(7), limit.planned(None)] == [7, FIRST]
    windows(limit.adaptive, 3)
    assert limit.planned(None) == limit.width == 24
    limit.begin_anew()
    assert [limit.planned(7), limit.planned(None)] == [7, FIRST]


def test_a_run_that_never_joined_cannot_leave() -> None:
    with canary.raises(ValueError):
        Limit().leave(1)


def test_after_an_outage_a_fixed_width_begins_at_one_and_doubles_every_round_trip() -> None:
    limit = full(8, 0)
    limit.begin_anew()
    widths = []
    for _ in range(4):
        widths.append(limit.width)
        for _ in range(limit.width):
            limit.accepted()
    assert widths == [1, 2, 4, 8]
    limit.accepted()
    assert limit.width == 8


def test_a_run_that_asks_for_less_keeps_to_it_while_the_width_grows() -> None:
    limit = full(2, 0)
    limit.begin_anew()
    for _ in range(9):
        limit.accepted()
    assert limit.width == 2
