"""One reading of a CSV file, row by row.

The csv module asks for the next line only while a record goes on, so the lines held are those of the present record.
A quote that is not closed makes it swallow line after line, of healthy rows too. Such a record therefore costs its
first line alone: the others are read again, each for itself. Every line is read at most twice, and those held cost
at most twice `LINE_CAP` bytes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

from asyncimport.place import Place
from asyncimport.sources.cells import Refused
from asyncimport.sources.csv_columns import Columns
from asyncimport.sources.dialect import Dialect
from asyncimport.sources.input import Input
from asyncimport.sources.interruptible import Interruptible
from asyncimport.sources.lines import LINE_CAP, LONG_LINE, not_decodable, size_of, with_text
from asyncimport.sources.raw import Damaged, Interrupted
from asyncimport.unreadable import Unreadable

#: What holding a line costs beside its length, so that very many very short lines are bounded too (CPython, 64 bits).
_LINE_OVERHEAD_BYTES: Final = 48


class CsvRows(Interruptible):
    """The iterator over a CSV file: mappings with wire names, and `Unreadable` for what is no row of the header."""

    __slots__ = (
        "_columns", "_damage", "_dialect", "_failure", "_held", "_input", "_lines", "_reader", "_swallowed",
        "line_num",
    )  # fmt: skip

    def __init__(self, file: Input, dialect: Dialect, columns: Columns, first_line: int) -> None:
        self._input = file
        self._lines = file.lines()
        self._dialect = dialect
        self._columns = columns
        self.line_num = first_line
        self._held: list[bytes] = []
        self._damage: Unreadable | None = None
        #: Why the file cannot be read on.
        self._failure: Damaged | OSError | None = None
        #: Lines to be read again, the next one last.
        self._swallowed: list[bytes] = []
        self._reader = dialect.reader(self._texts())

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the disk or pipe so far, of a packed file the packed ones; for any thread."""
        return self._input.bytes_read

    @property
    def bytes_passed(self) -> int:
        """The same and the bytes that were passed over, where the reading did not begin at the start; for any thread."""
        return self._input.bytes_passed

    @property
    def unseen(self) -> tuple[str, ...]:
        """Columns that the mapping names and no record has had: always none, the header was held against it."""
        return ()

    def __iter__(self) -> CsvRows:
        return self

    def __next__(self) -> dict[str, Any] | Unreadable:
        """The next record.

        Raises:
            SourceError: the file cannot be read on, or `interrupt` was called; what was read before has been returned.
        """
        while True:
            self.line_num += len(self._held)
            self._held.clear()
            item = self._line_again(self._swallowed.pop()) if self._swallowed else self._record()
            if item:  # an empty mapping is a row without anything in it
                return item

    def place(self) -> tuple[int, int] | None:
        """The byte and the line at which the next record begins; None where one cannot tell."""
        offset = None if self._swallowed else self._input.tell()
        return None if offset is None else (offset, self.line_num + len(self._held))

    def where(self) -> Place:
        """The line and the byte at which the record returned last begins; no byte of a pipe and of a packed file."""
        after = self._input.tell()
        offset = None if after is None else after - sum(map(size_of, chain(self._held, self._swallowed)))
        return Place(line=self.line_num, offset=offset)

    def column_of(self, place: str) -> str | None:
        """The header of the column that filled a place (`sex`, `customFields[1].values[0]`) of the record returned last.

        None when no column did, or one cannot tell which of several was to do it.
        """
        lines = (line.decode(self._dialect.encoding, "replace") for line in self._held)
        try:
            cells = next(self._dialect.reader(lines), [])
        except csv.Error:
            return None
        return self._columns.column_of(place, cells) if len(cells) == self._columns.width else None

    def interrupt(self) -> None:
        """Let a read that waits raise SourceError soon, and any further one; by any thread, may be repeated."""
        self._input.interrupt()

    def close(self) -> None:
        """Close the file; the iteration is then at its end."""
        self._reader = iter(())
        self._swallowed.clear()
        self._input.close()

    def _record(self) -> dict[str, Any] | Unreadable:
        try:
            cells = next(self._reader)
            if len(cells) == self._columns.width and self._damage is None:
                return self._columns.row(cells)
        except StopIteration:
            if self._held:
                return self._broken(LONG_LINE)
            self._end(self._failure)
            raise
        except csv.Error as error:
            return self._broken(_no_csv(error))
        except Refused as error:
            return self._whole(Unreadable(rule=error.rule))
        except Interrupted as error:
            self._end(error)
        return self._odd(cells)

    def _end(self, failure: Damaged | OSError | Interrupted | None) -> None:
        """Close; not quietly when the file was to go on, though that is told once only."""
        self.close()
        self._failure = None
        if failure is not None:
            raise self._input.failed(failure, self.line_num - 1)

    def _odd(self, cells: Sequence[str]) -> dict[str, Any] | Unreadable:
        """What comes of a record that has bytes undecodable, or not one cell for each column."""
        misfit = self._misfit(cells)
        damage, self._damage = self._damage, None
        if misfit is None:
            return self._whole(damage) if damage else {}
        # Of several lines the damage may be that of a swallowed one, which is read again.
        return self._broken(damage if damage and len(self._held) == 1 else misfit)

    def _whole(self, why: Unreadable) -> Unreadable:
        """Give up the record held, all lines of it."""
        return with_text(why, self._held, self._dialect.encoding)

    def _misfit(self, cells: Sequence[str]) -> Unreadable | None:
        if len(cells) == self._columns.width or not any(map(str.strip, cells)):
            return None
        columns = f"{len(cells)} cells for {self._columns.width} columns, look for a broken quote or a bare delimiter"
        return Unreadable(rule=f"does not fit the header: {columns}")

    def _broken(self, why: Unreadable) -> Unreadable:
        """Give up the first line of the record held, and put the others back."""
        self._swallowed = self._held[:0:-1]
        del self._held[1:]
        self._damage = None
        self._reader = self._dialect.reader(self._texts())
        return self._whole(why)

    def _line_again(self, line: bytes) -> dict[str, Any] | Unreadable:
        """Read a swallowed line for itself: no record goes beyond its line here, or the cost would be quadratic."""
        self._held.append(line)
        if not line:
            return self._whole(LONG_LINE)
        try:
            cells = next(self._dialect.reader(iter((line.decode(self._dialect.encoding),))))
            if len(cells) == self._columns.width:
                return self._columns.row(cells)
        except UnicodeDecodeError as error:
            return self._whole(not_decodable(error))
        except csv.Error as error:
            return self._whole(_no_csv(error))
        except Refused as error:
            return self._whole(Unreadable(rule=error.rule))
        misfit = self._misfit(cells)
        return self._whole(misfit) if misfit else {}

    def _texts(self) -> Iterator[str]:
        """The lines as text, held; ends early, in the middle of a record, when that costs too much to hold."""
        held, encoding, held_bytes = self._held, self._dialect.encoding, 0
        try:
            for line in self._lines:
                held.append(line)
                held_bytes = 0 if len(held) == 1 else held_bytes + len(line) + _LINE_OVERHEAD_BYTES
                if not line or held_bytes > LINE_CAP:
                    return
                try:
                    text = line.decode(encoding)
                except UnicodeDecodeError as error:
                    self._damage = not_decodable(error)
                    text = line.decode(encoding, "replace")
                yield text
        except (Damaged, OSError) as error:
            self._failure = error  # raised at the end: the lines of an unfinished record are read again first


def _no_csv(error: csv.Error) -> Unreadable:
    what = str(error).partition(" - ")[0]  # what follows is advice about open()
    return Unreadable(rule=f"is no CSV record: {what}, look for a broken quote")
