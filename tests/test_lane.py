from __future__ import annotations

import asyncio

import pytest

from asyncimport.breaker import FAILURES, Breaker, Circuit
from asyncimport.clock import Bell, SystemClock
from asyncimport.contact import Contact
from asyncimport.gate import Place
from asyncimport.lane import Lane
from asyncimport.limit import FIRST
from asyncimport.policy import DispatchPolicy, Rate
from asyncimport.verdict import Happened, Verdict
from benchmarks.virtual import run_virtual


def new_lane() -> Lane:
    return Lane(Contact(host="platform.example"))


def test_runs_share_the_widest_width_and_what_is_in_flight() -> None:
    lane, clock = new_lane(), SystemClock()
    one, two = Bell(clock), Bell(clock)
    lane.join(one, of_width(2), 4.0)
    lane.join(two, of_width(8), 4.0)
    entry = lane.start(5.0, 500)
    lane.start(6.0, 500)
    assert (lane.limit.width, lane.limit.in_flight, lane.contact.first_tried_at) == (8, 2, 5.0)
    lane.finish(7.0, entry)
    lane.leave(two, of_width(8), 7.0)
    assert (lane.limit.width, lane.limit.in_flight) == (2, 1)


def of_width(width: int | None) -> DispatchPolicy:
    return DispatchPolicy(max_in_flight=width)


async def woken(bells_in_lane: int, leave: bool) -> list[int]:
    """Which of the runs that wait are woken when a request ends, or when another run leaves."""
    lane, clock, woken_runs = new_lane(), SystemClock(), list[int]()
    bells = [Bell(clock) for _ in range(bells_in_lane)]

    async def wait(number: int) -> None:
        await bells[number].wait()
        woken_runs.append(number)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wait(number), name=f"run-{number}") for number in range(bells_in_lane)]
        for bell in bells:
            lane.join(bell, of_width(1), 0.0)
        await asyncio.sleep(1)
        entry = lane.start(0.0, 500)
        if leave:
            lane.leave(bells[0], of_width(1), 1.0)
        else:
            lane.finish(1.0, entry)
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
    return woken_runs


def test_a_place_that_becomes_free_is_offered_to_every_run() -> None:
    assert run_virtual(woken(3, leave=False)) == [0, 1, 2]


def test_a_run_alone_is_not_woken_by_its_own_requests() -> None:
    assert run_virtual(woken(1, leave=False)) == []


def test_a_run_that_leaves_wakes_the_others_only() -> None:
    assert run_virtual(woken(3, leave=True)) == [1, 2]


@pytest.mark.parametrize(
    ("circuit", "is_made", "opens_at"),
    [
        pytest.param(Circuit.CLOSED, True, 100.0, id="closed"),
        pytest.param(Circuit.OPEN, True, 130.0, id="open"),
        pytest.param(Circuit.OPEN, False, 105.0, id="open-before-first-contact"),
        pytest.param(Circuit.PROBING, False, None, id="probing"),
    ],
)
def test_a_request_waits_for_the_breaker_and_no_longer_than_first_contact(
    circuit: Circuit, is_made: bool, opens_at: float | None
) -> None:
    contact = Contact(host="platform.example", is_made=is_made, first_tried_at=90.0)
    lane = Lane(contact, breaker=Breaker(circuit=circuit, retry_at=130.0))
    assert lane.opens_at(100.0, Place(), DispatchPolicy(first_contact_s=15.0)) == opens_at


def test_a_request_waits_for_the_gate_at_a_moment_of_its_own() -> None:
    lane, place = new_lane(), Place()
    lane.gate.throttled(100.0, 99.0, 10.0)
    moment = lane.opens_at(100.0, place, DispatchPolicy())
    assert moment is not None
    assert 110.0 <= moment <= 112.0
    assert lane.opens_at(105.0, place, DispatchPolicy()) == moment
    assert lane.opens_at(112.0, place, DispatchPolicy()) == 112.0


class Heard(Bell):
    """A bell that tells how it was rung."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.rings = list[int | None]()

    def ring(self, count: int | None = None) -> None:
        self.rings.append(count)


def wide_lane(bell: Bell, circuit: Circuit, failures: int = 0) -> Lane:
    lane = new_lane()
    lane.join(bell, of_width(8), 100.0)
    lane.breaker = Breaker(circuit=circuit, failures=failures)
    return lane


def test_a_probe_that_ends_wakes_everybody_since_another_may_start() -> None:
    bell = Heard()
    lane = wide_lane(bell, Circuit.OPEN)
    entry = lane.start(100.0, 500)
    assert entry.is_probe
    lane.finish(101.0, entry)
    assert (lane.breaker.circuit, lane.breaker.opens_at(101.0), bell.rings) == (Circuit.OPEN, 101.0, [None])


CLOSED, OPEN, PROBING = Circuit


@pytest.mark.parametrize(
    ("happened", "before", "after", "width", "rings"),
    [
        pytest.param(Happened.ACCEPTED, CLOSED, CLOSED, 8, [], id="accepted"),
        pytest.param(Happened.REFUSED, CLOSED, CLOSED, 8, [], id="refused"),
        pytest.param(Happened.THROTTLED, CLOSED, CLOSED, 8, [], id="throttled"),
        pytest.param(Happened.AUTH, CLOSED, CLOSED, 8, [], id="auth"),
        pytest.param(Happened.ACCEPTED, OPEN, CLOSED, 1, [None], id="accepted-after-an-outage"),
        pytest.param(Happened.REFUSED, PROBING, CLOSED, 1, [None], id="refused-after-an-outage"),
        pytest.param(Happened.THROTTLED, PROBING, CLOSED, 1, [None], id="throttled-after-an-outage"),
        pytest.param(Happened.AUTH, PROBING, CLOSED, 1, [None], id="auth-after-an-outage"),
        pytest.param(Happened.UNKNOWN, PROBING, OPEN, 8, [None], id="a-probe-unanswered"),
        pytest.param(Happened.NOT_SENT, PROBING, OPEN, 8, [None], id="a-probe-not-sent"),
    ],
)
def test_what_becomes_of_a_request_moves_breaker_and_width_and_wakes_whom_it_concerns(
    happened: Happened, before: Circuit, after: Circuit, width: int, rings: list[int | None]
) -> None:
    bell = Heard()
    lane = wide_lane(bell, before)
    lane.judged(Verdict(happened=happened, reason="r"), 99.0, 100.0, is_probe=before is PROBING)
    assert (lane.breaker.circuit, lane.limit.width, bell.rings) == (after, width, rings)


@pytest.mark.parametrize("happened", [Happened.UNKNOWN, Happened.NOT_SENT])
def test_the_last_failure_of_a_row_wakes_everybody_and_the_ones_before_nobody(happened: Happened) -> None:
    bell = Heard()
    lane = wide_lane(bell, CLOSED, failures=FAILURES - 2)
    told = []
    for _ in range(2):
        lane.judged(Verdict(happened=happened, reason="r"), 99.0, 100.0, is_probe=False)
        told.append((lane.breaker.circuit, list(bell.rings)))
    assert told == [(CLOSED, []), (OPEN, [None])]


@pytest.mark.parametrize(
    ("happened", "width", "rings"),
    [(Happened.ACCEPTED, 2, [1]), (Happened.REFUSED, 1, []), (Happened.THROTTLED, 1, [])],
    ids=["accepted", "refused", "throttled"],
)
def test_after_an_outage_only_what_is_accepted_lets_one_more_in(
    happened: Happened, width: int, rings: list[int | None]
) -> None:
    bell = Heard()
    lane = wide_lane(bell, CLOSED)
    lane.limit.begin_anew()
    lane.judged(Verdict(happened=happened, reason="r"), 99.0, 100.0, is_probe=False)
    assert (lane.limit.width, bell.rings) == (width, rings)


class TestAWidthThatIsLookedFor:
    def lane(self, bell: Heard) -> Lane:
        lane = new_lane()
        lane.join(bell, of_width(None), 100.0)
        return lane

    def test_grows_with_what_is_accepted_and_wakes_as_many_as_may_start(self) -> None:
        bell = Heard()
        lane = self.lane(bell)
        for _ in range(FIRST):
            lane.start(100.0, 500)
        lane.judged(Verdict(happened=Happened.ACCEPTED, reason=""), 100.0, 100.2, is_probe=False)
        assert (lane.limit.width, bell.rings) == (FIRST + 1, [1])

    @pytest.mark.parametrize("happened", [Happened.UNKNOWN, Happened.THROTTLED])
    def test_is_halved_by_what_was_too_much(self, happened: Happened) -> None:
        lane = self.lane(Heard())
        lane.judged(Verdict(happened=happened, reason="r", is_overload=True), 99.0, 100.0, is_probe=False)
        assert lane.limit.width == FIRST // 2

    def test_a_burst_that_was_too_much_is_no_outage(self) -> None:
        lane = self.lane(Heard())
        busy = Verdict(happened=Happened.UNKNOWN, reason="server_error", is_overload=True)
        for _ in range(3 * FAILURES):
            lane.judged(busy, 99.0, 100.0, is_probe=False)
        assert lane.breaker.circuit is CLOSED
        for at in range(101, 101 + FAILURES):
            lane.judged(busy, at, at + 0.5, is_probe=False)
        assert lane.breaker.circuit is OPEN

    def test_a_probe_that_is_too_much_is_one_all_the_same(self) -> None:
        lane = self.lane(Heard())
        lane.breaker = Breaker(circuit=OPEN, retry_at=0.0)
        busy = Verdict(happened=Happened.UNKNOWN, reason="server_error", is_overload=True)
        for _ in range(3 * FAILURES):
            lane.judged(busy, 99.0, 100.0, is_probe=False)
        lane.start(100.0, 500)
        lane.judged(busy, 99.0, 100.0, is_probe=True)
        assert lane.breaker.opens_at(100.0) != 100.0


def test_what_was_throttled_teaches_the_pace_of_all_runs() -> None:
    lane = new_lane()
    lane.join(Bell(SystemClock()), of_width(8), 90.0)
    lane.throttled(89.0, 90.0, None)
    for _ in range(20):
        lane.judged(Verdict(happened=Happened.ACCEPTED, reason=""), 90.0, 91.0, is_probe=False)
    assert lane.throttled(91.0, 100.0, None) == 1.0
    assert lane.pace.per_s == 2.0


def test_the_rate_that_the_user_allows_holds_a_request_back() -> None:
    lane = new_lane()
    lane.join(Bell(SystemClock()), DispatchPolicy(max_rate=Rate(requests_per_s=1)), 100.0)
    lane.start(100.0, 500)
    assert lane.opens_at(100.0, Place(), DispatchPolicy()) == 101.0
