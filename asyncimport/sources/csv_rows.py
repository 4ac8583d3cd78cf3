"""One reading of a CSV file, row by row.

The csv module asks for the next line only while a record goes on, so the lines held are those of the present record.
A quote that is not closed makes it swallow line after line, of healthy rows too. Such a record therefore costs its
first line alone: the others are read again, each for itself. Every line is read at most twice, and those held cost
at most twice `LINE_CAP` bytes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import BufferedReader
from typing import Any, Final

from attrs import frozen

from asyncimport.sources.csv_columns import Columns
from asyncimport.sources.lines import LINE_CAP, LONG_LINE, not_decodable
from asyncimport.unreadable import Unreadable

#: What holding a line costs beside its length, so that very many very short lines are bounded too (CPython, 64 bits).
_LINE_OVERHEAD_BYTES: Final = 48


@frozen(kw_only=True)
class Dialect:
    """How the bytes of a file become cells."""

    encoding: str
    delimiter: str

    def reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """The csv module's reader; strict, for a quote inside a quoted cell is the first sign of a broken one."""
        return csv.reader(lines, delimiter=self.delimiter, strict=True)


class CsvRows:
    """The iterator over a CSV file: mappings with wire names, and `Unreadable` for what is no row of the header."""

    __slots__ = ("_columns", "_damage", "_dialect", "_file", "_held", "_lines", "_reader", "_swallowed", "line_num")

    def __init__(
        self, file: BufferedReader, lines: Iterator[bytes], dialect: Dialect, columns: Columns, first_line: int
    ) -> None:
        self._file = file
        self._lines = lines
        self._dialect = dialect
        self._columns = columns
        self.line_num = first_line
        self._held: list[bytes] = []
        self._damage: Unreadable | None = None
        #: Lines to be read again, the next one last.
        self._swallowed: list[bytes] = []
        self._reader = dialect.reader(self._texts())

    def __iter__(self) -> CsvRows:
        return self

    def __next__(self) -> dict[str, Any] | Unreadable:
        while True:
            self.line_num += len(self._held)
            self._held.clear()
            item = self._line_again(self._swallowed.pop()) if self._swallowed else self._record()
            if item:  # an empty mapping is a row without anything in it
                return item

    def close(self) -> None:
        """Close the file; the iteration is then at its end."""
        self._reader = iter(())
        self._swallowed.clear()
        self._file.close()

    def _record(self) -> dict[str, Any] | Unreadable:
        try:
            cells = next(self._reader)
        except StopIteration:
            if self._held:
                return self._broken(LONG_LINE)
            self.close()
            raise
        except csv.Error as error:
            return self._broken(_no_csv(error))
        if len(cells) == self._columns.width and self._damage is None:
            return self._columns.row(cells)
        return self._odd(cells)

    def _odd(self, cells: Sequence[str]) -> dict[str, Any] | Unreadable:
        """What comes of a record that has bytes undecodable, or not one cell for each column."""
        misfit = self._misfit(cells)
        damage, self._damage = self._damage, None
        if misfit is None:
            return damage or {}
        # Of several lines the damage may be that of a swallowed one, which is read again.
        return self._broken(damage if damage and len(self._held) == 1 else misfit)

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
        return why

    def _line_again(self, line: bytes) -> dict[str, Any] | Unreadable:
        """Read a swallowed line for itself: no record goes beyond its line here, or the cost would be quadratic."""
        self._held.append(line)
        if not line:
            return LONG_LINE
        try:
            cells = next(self._dialect.reader(iter((line.decode(self._dialect.encoding),))))
        except UnicodeDecodeError as error:
            return not_decodable(error)
        except csv.Error as error:
            return _no_csv(error)
        if len(cells) == self._columns.width:
            return self._columns.row(cells)
        return self._misfit(cells) or {}

    def _texts(self) -> Iterator[str]:
        """The lines as text, held; ends early, in the middle of a record, when that costs too much to hold."""
        held, encoding, held_bytes = self._held, self._dialect.encoding, 0
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


def _no_csv(error: csv.Error) -> Unreadable:
    what = str(error).partition(" - ")[0]  # what follows is advice about open()
    return Unreadable(rule=f"is no CSV record: {what}, look for a broken quote")
