"""Signals while the event loop runs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def caught(handler: Callable[[signal.Signals], None], *numbers: signal.Signals) -> Iterator[None]:
    """Call `handler` with each of these signals, on the loop.

    On Windows, or outside the main thread, no loop takes signals: Ctrl-C then cancels, as Python has it.
    """
    loop = asyncio.get_running_loop()
    refused = (NotImplementedError, RuntimeError, ValueError)
    with suppress(*refused):
        for number in numbers:
            loop.add_signal_handler(number, handler, number)
    try:
        yield
    finally:
        with suppress(*refused):
            for number in numbers:
                loop.remove_signal_handler(number)
