"""A file source that tells how much of the file has been read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from asyncimport.cli.output import tell
from asyncimport.mark import Mark
from asyncimport.sources import CsvFile, JsonlFile

if TYPE_CHECKING:
    from asyncimport.sources.arrow_file import ArrowFile
    from asyncimport.sources.parquet_file import ParquetFile


class Reading(Iterator[Any], Protocol):
    """The iterator of a file source."""

    @property
    def bytes_passed(self) -> int:
        """Taken from the disk or the pipe so far, and passed over where the reading did not begin at the start."""

    @property
    def unseen(self) -> tuple[str, ...]:
        """Keys that a mapping names and no record has had so far."""


class Metered:
    """Iterates a file source and remembers the iterator, which counts the bytes that lie behind."""

    def __init__(self, source: CsvFile | JsonlFile | ParquetFile | ArrowFile) -> None:
        #: None where the input is a pipe.
        self.size_bytes = source.size_bytes
        self._source = source
        #: Then a person's answer to a question would be taken for a line of it, or the other way round.
        self.is_stdin = source.path == "-"
        #: As a sentence names it.
        self.name = source.origin.name
        self._reading: Reading | None = None

    def __iter__(self) -> Iterator[Any]:
        self._reading = reading = self._source.__iter__()
        return reading

    @property
    def is_stream(self) -> bool:
        """Whether it can be read once only."""
        return self._source.is_stream

    def identity(self) -> dict[str, str | int]:
        """What tells it from other sources.

        Raises:
            ConfigError: the file is not there any more.
        """
        return self._source.identity()

    def starting_at(self, mark: Mark) -> Metered:
        """The same from a mark on; it stays this one, which counts the bytes."""
        self._source = self._source.starting_at(mark)
        return self

    @property
    def bytes_passed(self) -> int:
        """How far into its input it has come, with what lies in buffers and what a resumed import passes over."""
        return 0 if self._reading is None else self._reading.bytes_passed

    def warn(self) -> None:
        """Tell of keys that the mapping names and no line had: they may be misspelt."""
        for name in () if self._reading is None else self._reading.unseen:
            tell(f"warning: no line has the key {name[:40]!r} that the mapping names")
