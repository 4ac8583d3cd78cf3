"""A file source that tells how much of the file has been read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from asyncimport.sources import CsvFile, JsonlFile


class Reading(Iterator[Any], Protocol):
    """The iterator of a file source."""

    @property
    def bytes_read(self) -> int:
        """Taken from the disk or the pipe so far; some of it lies in buffers."""


class Metered:
    """Iterates a file source and remembers the iterator, which counts the bytes it takes."""

    def __init__(self, source: CsvFile | JsonlFile) -> None:
        #: None where the input is a pipe.
        self.size_bytes = source.size_bytes
        self._source = source
        self._reading: Reading | None = None

    def __iter__(self) -> Iterator[Any]:
        self._reading = reading = self._source.__iter__()
        return reading

    @property
    def bytes_read(self) -> int:
        """Taken from the disk or the pipe so far; some of it lies in buffers."""
        return 0 if self._reading is None else self._reading.bytes_read
