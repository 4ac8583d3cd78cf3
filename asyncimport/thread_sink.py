"""A sink as other threads see it: every call is made on the sink's event loop, and blocks until it is done there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future, wait
from typing import Any, Final, TypeVar

from asyncimport.errors import StateError
from asyncimport.receipt import Receipt, Receipts

Found = TypeVar("Found")
Call = Callable[..., Coroutine[Any, Any, Any]]

#: How often a thread that waits looks whether the loop is still there.
_LOOK_S: Final = 0.5


class ThreadSink:
    """`put`, `put_many` and `flush` of a sink for other threads than its event loop's; they wait as the sink's own do.

    What they raise is what the sink raises, and StateError on the loop's own thread, where waiting would never end, and
    when the loop has ended, or in a forked process. A receipt is awaited on the loop; `receipt.outcome` may be looked at anywhere.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, put: Call, put_many: Call, flush: Call) -> None:
        self._loop = loop
        self._put = put
        self._put_many = put_many
        self._flush = flush
        self._pid = os.getpid()

    def put(self, record: Any) -> Receipt:
        """`Sink.put`. The record must not be changed by others until this returns."""
        return self._done(self._put, record)  # type: ignore[no-any-return] # what the sink returns

    def put_many(self, records: Iterable[Any]) -> Receipts:
        """`Sink.put_many`, in one step on the loop for many records: `records` is a list or other iterable in memory."""
        return self._done(self._put_many, list(records))  # type: ignore[no-any-return] # what the sink returns

    def flush(self) -> None:
        """`Sink.flush`."""
        self._done(self._flush)

    def _done(self, call: Call, *arguments: Any) -> Any:
        self._check_thread()
        coroutine = call(*arguments)
        try:
            future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise _no_loop() from None
        while not wait([future], _LOOK_S).done:
            if self._loop.is_closed():
                future.cancel()
                raise _no_loop()
        return future.result()

    def _check_thread(self) -> None:
        if os.getpid() != self._pid:
            raise StateError("the sink was opened in another process: it does not survive a fork; open one here")
        try:
            is_own = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_own = False
        if is_own:
            raise StateError("this is the sink's own event loop: await the sink's own methods here")


def _no_loop() -> StateError:
    return StateError("the event loop of the sink has ended")
