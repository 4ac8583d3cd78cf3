"""One reading of a table, row by row: record batches come in pieces, each of which is made Python values as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pyarrow as pa
from attrs import frozen

from asyncimport.errors import SourceError
from asyncimport.place import Place
from asyncimport.sources.arrow_columns import ArrowColumns, Taken
from asyncimport.sources.counted import Counted

#: Rows that are Python values at the same time: few megabytes, and many enough that calls into Arrow cost nothing.
PIECE_ROWS: Final = 2_000


@frozen(kw_only=True)
class Piece:
    """Neighbouring rows of one group, be that a row group or a record batch; the first of them has this number in it."""

    group: int
    first: int
    batch: Any
    is_last: bool


def pieces_of(batch: Any, group: int, skipped: int = 0) -> Iterator[Piece]:
    """A record batch in pieces, without its first rows."""
    for first in range(skipped, batch.num_rows, PIECE_ROWS):
        is_last = first + PIECE_ROWS >= batch.num_rows
        yield Piece(group=group, first=first, batch=batch.slice(first, PIECE_ROWS), is_last=is_last)


class ArrowRows:
    """The iterator over a table: mappings with wire names, and `Unreadable` for rows that the mapping refuses."""

    __slots__ = ("_columns", "_piece", "_pieces", "_rows", "_taken")

    def __init__(self, pieces: Iterator[Piece], columns: ArrowColumns) -> None:
        self._pieces = pieces
        self._columns = columns
        self._piece: Piece | None = None
        self._taken: Taken | None = None
        self._rows: Iterator[Any] = iter(())

    def __iter__(self) -> ArrowRows:
        return self

    def __next__(self) -> Any:
        """The next record."""
        for row in self._rows:
            return row
        while self._advanced():
            for row in self._rows:
                return row
        self.close()
        raise StopIteration

    def _advanced(self) -> bool:
        """Go on to the next piece; False at the end."""
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._taken = self._columns.taken(piece.batch)
        self._piece = piece
        self._rows = self._taken.rows()
        return True

    def _index(self) -> int:
        """How many records of this piece have been returned."""
        return 0 if self._taken is None else self._taken.given

    def where(self) -> Place:
        """Where the record returned last stands."""
        return Place() if self._piece is None else Place(row=self._piece.first + self._index() - 1)

    def column_of(self, place: str) -> str | None:
        """The column that filled a place (`sex`, `customFields[1].values[0]`) of the record returned last.

        None when no column did, or one cannot tell which of several was to do it.
        """
        return None if self._taken is None else self._taken.column_of(place)

    def close(self) -> None:
        """Let go of the table; the iteration is then at its end. May be repeated."""
        self._pieces = iter(())
        self._rows = iter(())
        self._taken = self._piece = None


class GroupedRows(ArrowRows):
    """The same over a file of row groups or record batches, read from `start` on; `group` is how messages call one."""

    __slots__ = ("_file", "_group", "_name", "_passed", "_share", "_start")

    def __init__(
        self,
        pieces: Iterator[Piece],
        columns: ArrowColumns,
        *,
        file: Counted,
        name: str,
        group: str,
        start: tuple[int, int],
        share: Callable[[int, int], float | None],
    ) -> None:
        super().__init__(pieces, columns)
        self._share = share
        self._passed = share(*start)
        self._file = file
        self._name = name
        self._group = group
        self._start = start

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the file so far, the footer among them; for any thread."""
        return self._file.bytes_read

    @property
    def bytes_passed(self) -> int:
        """So much of the file as its rows that were passed, whatever columns of them were read; for any thread."""
        passed, size_bytes = self._passed, self._file.size_bytes
        return min(self.bytes_read, size_bytes) if passed is None else int(passed * size_bytes)

    @property
    def unseen(self) -> tuple[str, ...]:
        """Columns that the mapping names and no record has had: always none, the schema was held against it."""
        return ()

    def where(self) -> Place:
        """The row group or record batch of the record returned last, and the row in it."""
        if self._piece is None:
            return Place()
        return Place(row_group=self._piece.group, row=self._piece.first + self._index() - 1)

    def place(self) -> tuple[int, int]:
        """The row group or record batch, and the row in it, of the next record."""
        if self._piece is None:
            return self._start
        if self._piece.is_last and self._index() == self._piece.batch.num_rows:
            return self._piece.group + 1, 0
        return self._piece.group, self._piece.first + self._index()

    def _advanced(self) -> bool:
        """The same.

        Raises:
            SourceError: the file cannot be read on; what was read before has been returned.
        """
        try:
            is_there = super()._advanced()
        except (pa.ArrowException, OSError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
        else:
            self._passed = self._share(*self.place()) if is_there else self._passed and 1.0
            return is_there
        group, row = self.place()
        self.close()
        raise SourceError(
            f"{self._name}: cannot be read on from row {row:,} of {self._group} {group:,} ({why}): make it anew, or copy it again"
        )

    def close(self) -> None:
        """Close the file; the iteration is then at its end. May be repeated."""
        self._start = self.place()
        super().close()
        self._file.close()
