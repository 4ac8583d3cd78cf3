"""Virtual time: an event loop whose clock jumps to the next timer instead of waiting, so that an hour takes no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Looks for ready sockets without waiting; the wait is added to the clock instead."""

    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.skipped_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at 1000.0 s. Threads live in real time: give a virtual run lists and async iterables."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return 1000.0 + self._jumping.skipped_s

    def block(self, delay_s: float) -> None:
        """Let time go by in which nothing else happens, as `time.sleep` in a callback does."""
        self._jumping.skipped_s += delay_s


class TickingLoop(VirtualLoop):
    """A turn of the loop takes a nanosecond, so that moments an ulp apart do pass."""

    def _run_once(self) -> None:
        self._jumping.skipped_s += 1e-9
        super()._run_once()  # type: ignore[misc]


def run_virtual(main: Coroutine[Any, Any, T], loop: Callable[[], VirtualLoop] = VirtualLoop) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)
