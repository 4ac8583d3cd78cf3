"""Acts at the k-th suspension of anything on the loop: every await of every task is a place where a cancellation may come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any

from attrs import define, field


@define
class Steps:
    """Counts the suspensions of all tasks made under it, and calls `acts[k]` at the k-th."""

    acts: dict[int, Callable[[], object]] = field(factory=dict)
    taken: int = 0

    def install(self) -> None:
        """Watch every task that is made on the running loop from now on."""
        asyncio.get_running_loop().set_task_factory(self._task)

    def _task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(_Watched(coro, self), loop=loop, **options)

    def step(self) -> None:
        self.taken += 1
        act = self.acts.get(self.taken)
        if act is not None:
            act()


class _Watched(Coroutine[Any, Any, Any]):
    """A coroutine that tells each of its suspensions."""

    def __init__(self, coro: Coroutine[Any, Any, Any], steps: Steps) -> None:
        self._coro, self._steps = coro, steps

    def send(self, value: Any) -> Any:
        yielded = self._coro.send(value)
        self._steps.step()
        return yielded

    def throw(self, kind: Any, value: Any = None, trace: TracebackType | None = None) -> Any:
        yielded = self._coro.throw(kind) if value is None else self._coro.throw(kind, value, trace)
        self._steps.step()
        return yielded

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coro.__await__()
