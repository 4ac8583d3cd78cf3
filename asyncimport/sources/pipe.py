"""What others write while it is read: standard input and named pipes."""

from __future__ import annotations

import os
import select
import threading

from asyncimport.sources.raw import Interrupted, Raw


class Pipe(Raw):
    """A pipe, terminal or socket by its descriptor. A read that waits can be interrupted.

    On Windows, where a pipe cannot be polled, a read that waits goes on until something comes.
    """

    def __init__(self, descriptor: int, *, is_ours: bool) -> None:
        super().__init__()
        self._descriptor = descriptor
        #: Whether the descriptor is closed with this: standard input belongs to the process.
        self._is_ours = is_ours
        self._has_ended = False
        self._is_interrupted = False
        self._lock = threading.Lock()
        self._wake, self._alarm = os.pipe()

    def _take(self, view: memoryview) -> int:
        while not self._has_ended and len(view):
            self._wait()
            if self._is_interrupted:
                raise Interrupted
            try:
                taken = os.read(self._descriptor, len(view))
            except BlockingIOError:  # somebody set it to not block, and another process was quicker
                continue
            view[: len(taken)] = taken
            self._has_ended = not taken  # a terminal would ask for another Ctrl-D
            return len(taken)
        return 0

    def _wait(self) -> None:
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self._descriptor, select.POLLIN)
            poll.register(self._wake, select.POLLIN)
            poll.poll()

    def interrupt(self) -> None:
        """Let a read that waits, and any further one, raise `Interrupted`; at any time, by any thread, again."""
        with self._lock:
            is_news, self._is_interrupted = not self._is_interrupted, True  # before the alarm, which is looked at later
            if is_news and not self.closed:
                os.write(self._alarm, b"\0")

    def close(self) -> None:
        with self._lock:
            if not self.closed:
                os.close(self._wake)
                os.close(self._alarm)
                if self._is_ours:
                    os.close(self._descriptor)
            super().close()
