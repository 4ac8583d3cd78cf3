"""What an import must not leave behind: descriptors, threads and tasks, counted before and after it (FAULTS.md I6)."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil


def resources() -> tuple[int, int, int]:
    """Descriptors, threads and tasks of this process."""
    return psutil.Process().num_fds(), threading.active_count(), len(asyncio.all_tasks())


async def back_to(before: tuple[int, int, int], *, within_s: float = 1) -> None:
    """There is no more of anything than there was; sockets that are closing are given a moment."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while more := _more_than(before):
        if loop.time() >= end:
            gc.collect()  # an exception with its frames may hold a socket in a circle
            assert _more_than(before) == [], more
        await asyncio.sleep(0.01)


def _more_than(before: tuple[int, int, int]) -> list[int]:
    return [now - then for now, then in zip(resources(), before, strict=True) if now > then]


@asynccontextmanager
async def nothing_left_behind(within_s: float = 3) -> AsyncIterator[None]:
    """Descriptors, threads and tasks are back where they were, and no exception went unretrieved."""
    loop, told = asyncio.get_running_loop(), list[Any]()
    loop.set_exception_handler(lambda _loop, context: told.append(context))
    before = resources()
    yield
    gc.collect()  # what nobody retrieved is told when it goes
    await back_to(before, within_s=within_s)
    assert told == []
    loop.set_exception_handler(None)
