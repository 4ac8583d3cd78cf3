"""Parquet files: row groups, read one after the other, in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, ClassVar, Final

import pyarrow as pa
import pyarrow.parquet as pq
from attrs import field, frozen

from asyncimport.sources.arrow_rows import PIECE_ROWS, Piece
from asyncimport.sources.counted import Counted
from asyncimport.sources.table_file import Table, TableFile

_MAGIC: Final = b"PAR1"
#: In the place of the other where the footer is encrypted.
_ENCRYPTED: Final = b"PARE"
#: What is read of a column at once: the more it is, the more of each column is held.
_BUFFER_BYTES: Final = 2**16
_DAMAGED: Final = "has a footer that cannot be read: make it anew, or copy it again"
_NO_KEY: Final = "is encrypted: write it without encryption, no key can be given"


@frozen(kw_only=True)
class ParquetFile(TableFile):
    """A Parquet file as a source of records."""

    KIND: ClassVar[str] = "parquet"
    FORMAT: ClassVar[str] = "Parquet"
    GROUP: ClassVar[str] = "row group"

    @staticmethod
    def table_in(file: Counted) -> Table | str:
        fault = _fault(file)
        if fault is not None:
            return fault
        try:
            return ParquetTable(pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER_BYTES))
        except (pa.ArrowException, OSError) as error:
            return _NO_KEY if "crypt" in f"{error}" else _DAMAGED


def _fault(file: Counted) -> str | None:
    """What is wrong with both ends of a file."""
    if not file.size_bytes:
        return "is empty: a Parquet file has a footer even without rows"
    start, end = file.start(len(_MAGIC)), file.end(len(_MAGIC))
    if _ENCRYPTED in {start, end}:
        return _NO_KEY
    if start != _MAGIC:
        return "is no Parquet file: give the format that it has"
    return None if end == _MAGIC else "is cut off, its footer is missing: copy it again, or wait until it is written"


@frozen
class ParquetTable:
    """One opening of a Parquet file, its footer read."""

    file: Any
    #: Rows before each row group, and of all of them.
    before: tuple[int, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Look at the footer."""
        metadata = self.file.metadata
        counts = (metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
        object.__setattr__(self, "before", tuple(accumulate(counts, initial=0)))

    @property
    def schema(self) -> Any:
        return self.file.schema_arrow

    def pieces(self, names: Sequence[str], group: int, row: int) -> Iterator[Piece]:
        """The rows from there on; nothing of the row groups before is read."""
        for number in range(group, self.file.num_row_groups):
            yield from self._pieces_of(number, list(names), row if number == group else 0)

    def share(self, group: int, row: int) -> float | None:
        """By rows, which the footer counts."""
        rows = self.before[-1]
        return (self.before[group] + row) / rows if rows else 1.0

    def _pieces_of(self, group: int, names: list[str], skipped: int) -> Iterator[Piece]:
        rows, end = self.file.metadata.row_group(group).num_rows, 0
        for batch in self.file.iter_batches(PIECE_ROWS, row_groups=[group], columns=names, use_threads=False):
            begin, end = end, end + batch.num_rows
            if end > skipped:
                first = max(begin, skipped)
                yield Piece(group=group, first=first, batch=batch.slice(first - begin), is_last=end == rows)
