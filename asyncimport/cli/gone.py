"""A source of which nothing more is read: what it gave is in a journal, and it may be gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from asyncimport.errors import SourceError
from asyncimport.journal.status import JournalStatus
from asyncimport.mark import Mark


class Gone:
    """Stands for the source of a journal, as far as the journal knows it; for the rest as `Metered`."""

    size_bytes: int | None = None
    bytes_passed = 0
    #: Nothing of it is read, so a person may be asked for a token.
    is_stdin = False

    def __init__(self, status: JournalStatus) -> None:
        #: Whether it came only once.
        self.is_stream = status.is_stream
        #: As a sentence names it.
        self.name = status.source_name
        self._identity = status.identity

    def identity(self) -> Mapping[str, Any]:
        """What told it from other sources."""
        return self._identity

    def starting_at(self, mark: Mark) -> Gone:  # noqa: ARG002 -- it has no places
        """Itself."""
        return self

    def __iter__(self) -> Iterator[Any]:
        """Refuse.

        Raises:
            SourceError: always.
        """
        raise SourceError(f"{self.name} is not read again: its journal has what it gave")

    def warn(self) -> None:
        """Nothing was read, so there is nothing to warn of."""
