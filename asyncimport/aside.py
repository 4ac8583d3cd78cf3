"""A blocking call beside the event loop: in a daemon thread that nobody waits for when the program ends."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def aside(call: Callable[[], T], name: str) -> T:
    """What a call returns that may block for long, made in a daemon thread of this name, in a copy of the context.

    asyncio's own threads are waited for at the end of the loop, and a resolver or a named pipe may hang without end.

    Raises:
        BaseException: what the call raises.

    Cancellation: the thread is left behind; what it finds is dropped.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[T] = loop.create_future()

    def make() -> None:
        try:
            made = call()
        except BaseException as error:  # noqa: BLE001 -- raised where it is waited for
            tell(found.set_exception, error)
        else:
            tell(found.set_result, made)

    def tell(settle: Callable[[Any], None], what: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if found.done() else settle(what))

    threading.Thread(target=contextvars.copy_context().run, args=(make,), name=name, daemon=True).start()
    return await found
