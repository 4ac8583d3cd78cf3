from __future__ import annotations

import asyncio

import canary

from asyncimport.clock import Bell, SystemClock
from benchmarks.virtual import run_virtual


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_bell_wakes_as_many_as_it_is_told_the_longest_waiting_first() -> None:
    async def main() -> None:
        bell, woken = Bell(SystemClock()), []

        async def waiter(number: int) -> None:
            await bell.wait()
            woken.append(number)

        async with asyncio.TaskGroup() as tasks:
            for number in range(5):
                tasks.create_task(waiter(number))
            await settle()
            bell.ring(2)
            await settle()
            assert woken == [0, 1]
            bell.ring()
        assert woken == [0, 1, 2, 3, 4]

    run_virtual(main())


def test_waiting_ends_at_its_time_and_not_before() -> None:
    async def main() -> None:
        clock = SystemClock()
        began = clock.now()
        await Bell(clock).wait(began + 60)
        assert clock.now() - began == 60
        await Bell(clock).wait(began)  # already over

    run_virtual(main())


def test_a_ring_ends_a_timed_wait_early() -> None:
    async def main() -> None:
        clock = SystemClock()
        bell, began = Bell(clock), clock.now()
        asyncio.get_running_loop().call_later(5, bell.ring)
        await bell.wait(began + 60)
        assert clock.now() - began == 5
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())


def test_a_cancelled_wait_is_forgotten_and_takes_nobodys_ring() -> None:
    async def main() -> None:
        bell = Bell(SystemClock())
        gone, stays = asyncio.create_task(bell.wait()), asyncio.create_task(bell.wait())
        await settle()
        gone.cancel()
        with canary.raises(asyncio.CancelledError):
            await gone
        bell.ring(1)
        await stays

    run_virtual(main())
