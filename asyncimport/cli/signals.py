"""Signals while the event loop runs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

#: What is raised where no loop, or no thread but the main one, takes signals.
_REFUSED: Final = (NotImplementedError, RuntimeError, ValueError)


@contextmanager
def caught(handler: Callable[[signal.Signals], None], *numbers: signal.Signals) -> Iterator[None]:
    """Call `handler` with each of these signals, on the loop; afterwards they do what they did before.

    On Windows, or outside the main thread, no loop takes signals: Ctrl-C then cancels, as Python has it.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in numbers}
    with suppress(*_REFUSED):
        for number in numbers:
            loop.add_signal_handler(number, handler, number)
    try:
        yield
    finally:
        with suppress(*_REFUSED):
            for number, kept in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, kept or signal.SIG_DFL)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, as Ctrl-C does, wherever nothing else takes it.

    Not outside the main thread, where no signal can be taken.
    """
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
