from __future__ import annotations

import asyncio

import pytest
from virtual import run_virtual

from asyncimport.breaker import FAILURES, Breaker, Circuit
from asyncimport.clock import Bell, SystemClock
from asyncimport.contact import Contact
from asyncimport.gate import Place
from asyncimport.lane import Lane
from asyncimport.policy import DispatchPolicy
from asyncimport.verdict import Happened, Verdict


def new_lane() -> Lane:
    return Lane(Contact(host="platform.example"))


def test_runs_share_the_widest_width_and_what_is_in_flight() -> None:
    lane, clock = new_lane(), SystemClock()
    one, two = Bell(clock), Bell(clock)
    lane.join(one, 2)
    lane.join(two, 8)
    lane.start(5.0)
    lane.start(6.0)
    assert (lane.limit.width, lane.limit.in_flight, lane.contact.first_tried_at) == (8, 2, 5.0)
    lane.finish(7.0, is_probe=False)
    lane.leave(two, 8)
    assert (lane.limit.width, lane.limit.in_flight) == (2, 1)


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
            lane.join(bell, 1)
        await asyncio.sleep(1)
        lane.start(0.0)
        if leave:
            lane.leave(bells[0], 1)
        else:
            lane.finish(1.0, is_probe=False)
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
    lane.join(bell, 8)
    lane.breaker = Breaker(circuit=circuit, failures=failures)
    return lane


def test_a_probe_that_ends_wakes_everybody_since_another_may_start() -> None:
    bell = Heard()
    lane = wide_lane(bell, Circuit.OPEN)
    assert lane.start(100.0)
    lane.finish(101.0, is_probe=True)
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
    lane.judged(Verdict(happened=happened, reason="r"), 100.0, is_probe=before is PROBING)
    assert (lane.breaker.circuit, lane.limit.width, bell.rings) == (after, width, rings)


@pytest.mark.parametrize("happened", [Happened.UNKNOWN, Happened.NOT_SENT])
def test_the_last_failure_of_a_row_wakes_everybody_and_the_ones_before_nobody(happened: Happened) -> None:
    bell = Heard()
    lane = wide_lane(bell, CLOSED, failures=FAILURES - 2)
    told = []
    for _ in range(2):
        lane.judged(Verdict(happened=happened, reason="r"), 100.0, is_probe=False)
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
    lane.judged(Verdict(happened=happened, reason="r"), 100.0, is_probe=False)
    assert (lane.limit.width, bell.rings) == (width, rings)
