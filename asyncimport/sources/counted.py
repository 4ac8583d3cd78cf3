"""A file with random access that counts what is read of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from attrs import define


@define(eq=False)
class Counted:
    """A binary file opened for reading anywhere in it, as pyarrow takes one. `bytes_read` is for any thread."""

    _file: Any
    size_bytes: int
    #: Called once at the end: closes what was opened here; what was handed over stays open.
    _let_go: Callable[[], object]
    #: The byte of the file with which this begins.
    _base: int = 0
    bytes_read: int = 0
    closed: bool = False
    #: Where the next read begins: it is sought, whoever else has moved the file in between.
    _at: int = 0

    def read(self, size: int = -1, /) -> bytes:
        self._file.seek(self._base + self._at)
        data: bytes = self._file.read(size)
        self._at += len(data)
        self.bytes_read += len(data)
        return data

    def start(self, size: int) -> bytes:
        """The first bytes."""
        self.seek(0)
        return self.read(size)

    def end(self, size: int) -> bytes:
        """The last bytes."""
        self.seek(max(0, self.size_bytes - size))
        return self.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size_bytes}
        self._at = starts[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """Let go of the file. May be repeated."""
        if not self.closed:
            self.closed = True
            self._let_go()
