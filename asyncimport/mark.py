"""A place in a file at which its reading can go on."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from attrs import frozen


@frozen(kw_only=True)
class Mark:
    """Before the record at `position` (from 0): the byte its line begins at, and the number of that line (from 1)."""

    position: int
    offset: int
    line: int


@runtime_checkable
class Markable(Protocol):
    """An iterator over a file that knows where it is; asked between two records, by the thread that pulls them."""

    def place(self) -> tuple[int, int] | None:
        """Byte and line at which the next record begins; None where one cannot tell."""


@runtime_checkable
class Identified(Protocol):
    """A source that can say what it reads, and begin at a mark."""

    #: Whether it can be read once only.
    is_stream: bool

    def identity(self) -> dict[str, str | int]:
        """What is read (`size`, `mtime_ns` of the file as it is now) and how (`reading`), in plain values."""

    def starting_at(self, mark: Mark) -> Any:
        """The source from there on. The file must be the one in which the mark was set."""
