"""What lies under a buffer when it is no plain file: the first read, the same for a pipe and for what is unpacked."""

from __future__ import annotations

from abc import abstractmethod
from io import RawIOBase
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Enough to tell what a file is.
START_BYTES: Final = 4


class Damaged(Exception):
    """The bytes do not go on as they must, or cannot be had: `what` is wrong, and the advice. Never holds any of them."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}: {advice}")
        self.what = what
        self.advice = advice


class Interrupted(Exception):
    """The reading was interrupted by the program itself."""


class Raw(RawIOBase):
    """Bytes to be buffered, each handed over as soon as it is there."""

    def __init__(self) -> None:
        #: Given so far; for any thread.
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what is there; the first time at least `START_BYTES`, a line or all there will be."""
        view = memoryview(buffer)
        count = taken = self._take(view)
        while taken and self.bytes_read + count < START_BYTES and b"\n" not in view[:count].tobytes():
            taken = self._take(view[count:])
            count += taken
        self.bytes_read += count
        return count

    @abstractmethod
    def _take(self, view: memoryview) -> int:
        """Read once, waiting only while nothing is there; 0 at the end."""
