from __future__ import annotations

import asyncio

from virtual import run_virtual

from asyncimport.clock import Bell, SystemClock
from asyncimport.contact import Contact
from asyncimport.lane import Lane


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
