"""A place in a file at which its reading can go on."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from attrs import frozen


@frozen(kw_only=True)
class Mark:
    """Before the record at `position` (from 0): where its source can go on.

    `offset` and `line` are the source's own: of a file of lines the byte at which the next line begins and its number
    (from 1), of a file of row groups or record batches the number of one and of the row in it (each from 0).
    """

    position: int
    offset: int
    line: int


@runtime_checkable
class Markable(Protocol):
    """An iterator over a file that knows where it is; asked between two records, by the thread that pulls them."""

    def place(self) -> tuple[int, int] | None:
        """`offset` and `line` of a mark before the next record; None where one cannot tell."""


@runtime_checkable
class Identified(Protocol):
    """A source that can say what it reads, and begin at a mark."""

    #: Whether it can be read once only.
    is_stream: bool

    def identity(self) -> dict[str, str | int]:
        """What is read (`size`, and `mtime_ns` or `version` of the file as it is now) and how (`reading`), in plain values."""

    def starting_at(self, mark: Mark) -> Any:
        """The source from there on. The file must be the one in which the mark was set."""
