"""The bytes of a file as they lie on the disk or come down a pipe, counted, and cut off when nobody wants them."""

from __future__ import annotations

import os
import select
import threading
from abc import abstractmethod
from io import FileIO, RawIOBase
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Enough to tell what a file is; the first read gives no fewer unless a line or the file ends before.
START_BYTES: Final = 4


class Damaged(Exception):
    """The bytes do not go on as they must: `what` is wrong, and the advice. Never holds any of them."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}: {advice}")
        self.what = what
        self.advice = advice


class Interrupted(Exception):
    """The reading was interrupted by the program itself."""


class Raw(RawIOBase):
    """Bytes to be buffered. `bytes_read` may be read from any thread."""

    def __init__(self) -> None:
        self.bytes_read = 0
        self._is_interrupted = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what is there, waiting only while nothing is.

        Raises:
            Interrupted: `interrupt` was called.
        """
        view = memoryview(buffer)
        count = taken = self._take(view)
        while taken and self.bytes_read + count < START_BYTES and b"\n" not in view[:count].tobytes():
            taken = self._take(view[count:])
            count += taken
        self.bytes_read += count
        return count

    def interrupt(self) -> None:
        """Read nothing more; may be called at any time, by any thread, again."""
        self._is_interrupted = True

    @abstractmethod
    def _take(self, view: memoryview) -> int:
        """Read once; 0 at the end."""


class Disk(Raw):
    """A file on a disk."""

    def __init__(self, file: FileIO) -> None:
        super().__init__()
        self._file = file

    def _take(self, view: memoryview) -> int:
        if self._is_interrupted:
            raise Interrupted
        return self._file.readinto(view) or 0

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class Pipe(Raw):
    """What others write while it is read: standard input, a named pipe. A read that waits can be interrupted.

    On Windows, where a pipe cannot be polled, a read that waits goes on until something comes.
    """

    def __init__(self, descriptor: int, *, is_ours: bool) -> None:
        super().__init__()
        self._descriptor = descriptor
        #: Whether the descriptor is closed with this: standard input belongs to the process.
        self._is_ours = is_ours
        self._has_ended = False
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
        with self._lock:
            if not self._is_interrupted and not self.closed:
                os.write(self._alarm, b"\0")
            super().interrupt()

    def close(self) -> None:
        with self._lock:
            if not self.closed:
                os.close(self._wake)
                os.close(self._alarm)
                if self._is_ours:
                    os.close(self._descriptor)
            super().close()
