"""Time as a seam: what the shell knows of it, so that tests can bring a clock of their own and no clock is patched."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol


class Clock(Protocol):
    """Monotonic time and sleeping."""

    def now(self) -> float:
        """Seconds since any fixed moment; never goes back."""

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s` seconds of this clock. Cancelling is safe."""


class SystemClock:
    """The event loop's own time."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


class Bell:
    """Wakes those who wait for a change; who is woken looks for himself what changed.

    It keeps no state: look first, and wait only when there was nothing to do, without awaiting in between.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiters: deque[asyncio.Future[None]] = deque()

    def ring(self, count: int | None = None) -> None:
        """Wake the longest waiting `count`, or all."""
        left = len(self._waiters) if count is None else count
        while left > 0 and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                left -= 1

    async def wait(self, until: float | None = None) -> None:
        """Return when rung, or when the clock shows `until`.

        Cancellation: safe; the waiter is forgotten.
        """
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            if until is None:
                await waiter
            else:
                await self._race(waiter, until)
        finally:
            if not waiter.done():
                waiter.cancel()
                self._waiters.remove(waiter)

    async def _race(self, waiter: asyncio.Future[None], until: float) -> None:
        sleeper = asyncio.create_task(self._clock.sleep(max(0.0, until - self._clock.now())), name="asyncimport-sleep")
        try:
            await asyncio.wait({waiter, sleeper}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()


def is_being_cancelled() -> bool:
    """Whether a CancelledError just caught was meant for this task, and did not come up from what it awaited."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def wall_ms() -> int:
    """Wall-clock time in milliseconds since 1970: to fill a missing `time` and to date what is written, never to wait by."""
    return time.time_ns() // 1_000_000
