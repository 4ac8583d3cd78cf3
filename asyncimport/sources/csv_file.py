"""CSV files: a header of field names, then one record a row."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from itertools import chain, islice
from typing import ClassVar, Final, Unpack

from attrs import evolve, field, frozen

from asyncimport.errors import ConfigError
from asyncimport.records import Record, UserProfile
from asyncimport.sources.csv_columns import Columns, columns_of
from asyncimport.sources.csv_rows import CsvRows
from asyncimport.sources.dialect import CsvOptions, Dialect
from asyncimport.sources.encoding import decodes, fault_of, look, suggested
from asyncimport.sources.file_source import FileSource
from asyncimport.sources.lines import TOO_LONG
from asyncimport.sources.mapping import ColumnMapping, reading_of
from asyncimport.sources.origin import File, Origin, opening_of, origin_of
from asyncimport.sources.raw import Damaged

#: What parts cells when nothing is said: the one that stands most often in the header, the first of equals.
_DELIMITERS: Final = (",", "\t", ";")
#: Blank lines are skipped until the header, though no more of them than a spreadsheet's margin could have.
_HEAD_LINES: Final = 100
_REMEDY: Final = "save the file as UTF-8 or give its encoding"
#: A first line that names the delimiter, as Excel reads it.
_SEPARATOR: Final = re.compile(r'("?)sep=(.)\1', re.IGNORECASE)


@frozen(kw_only=True)
class CsvFile(FileSource):
    """A CSV file as a source of records; each iteration opens it anew and expects the same header.

    Standard input and pipes (`origin.is_stream`) are iterated once.
    """

    KIND: ClassVar[str] = "csv"

    dialect: Dialect
    columns: Columns = field(repr=False)
    #: The lines before the first record, the header among them, as bytes.
    head: tuple[bytes, ...] = field(repr=False)

    def __iter__(self) -> CsvRows:
        """Open the file.

        Raises:
            ConfigError: it can no longer be opened, its header is another one, or it is a stream that was read already.
        """
        file = self.origin.opened()
        lines = file.lines()
        try:
            head = tuple(islice(lines, len(self.head)))
        except (Damaged, OSError):
            head = ()
        if head != self.head:
            file.close()
            raise ConfigError(f"{self.origin.name} has another header than when it was first read: read it again")
        first_line = len(self.head) + 1
        if self.start is not None:
            file.seek(self.start.offset)
            first_line = self.start.line
        return CsvRows(file, self.dialect, self.columns, first_line=first_line)


def read_csv(
    file: File,
    record: type[Record] = UserProfile,
    *,
    mapping: ColumnMapping | None = None,
    **dialect: Unpack[CsvOptions],
) -> CsvFile:
    """Read records from a CSV file whose header names the fields of `record` by wire or by Python name.

    Columns of lists and mappings are written `customFields.<configId>.<configName>` (either part may be empty; the
    cell holds the values, parted by `|`), `identities.<identityType>` and `eventargs.<key>` (see `number_or_text` for
    which cells become numbers). Whole-number fields take decimal digits, flags true, false, 1 or 0. An empty cell is
    absent; what cannot be converted stays text, for admission to refuse. A `mapping` says otherwise.

    A line with nothing in it, or nothing but delimiters, is skipped. A row with more or fewer cells than the header,
    with a broken quote or with undecodable bytes is yielded as `Unreadable`; the lines that a broken quote swallowed
    are read again, each for itself. How cells are written is found or said (`CsvOptions`: encoding, delimiter,
    quotechar, escapechar, doublequote); a first line `sep=;` names the delimiter. A file without header takes the names
    of its columns as `header`.

    `file` is a path, a URL that fsspec opens (s3://…), what `fsspec.open` returned, or a binary file object that is
    open. Such an object is read from where it stands, in the thread of the run, and stays open; one that cannot be sought
    in is iterated once, as standard input (the path `-`) and named pipes are: this call waits until their header has come.
    A file packed by gzip or zstd is unpacked, whatever its name. What cannot be read to its end ends the iteration with
    SourceError.

    Raises:
        ConfigError: at once, when the file cannot be opened, has no header, or the header has an unknown, doubled or
            unnamed column; when a column or field of the mapping is none; when none of the lines in the first 64 KiB
            that go beyond ASCII (of three at least) is text of the encoding; when parts of the dialect do not go together.
    """
    asked = Dialect(**dialect)  # before the file is opened
    return csv_file_of(origin_of(opening_of(file)), record, asked, mapping)


def csv_file_of(origin: Origin, record: type[Record], asked: Dialect, mapping: ColumnMapping | None) -> CsvFile:
    """The same for what is open already.

    Raises:
        ConfigError: as `read_csv`.
    """
    fault: str | None = None
    faults: tuple[str, ...] = ()
    with origin.first_lines() as lines:
        try:
            head, dialect, names = _read_head(lines, asked)
            columns = columns_of(names, record, mapping, is_given=asked.header is not None)
        except ConfigError as error:
            fault, faults = str(error), error.faults
        if not fault and not origin.is_stream:
            fault = fault_of(look(chain(head, lines)), dialect.encoding, _REMEDY)
    if fault:
        raise ConfigError(f"{origin.name}: {fault}", faults)
    parted = dialect.delimiter or ""
    more = [f"{name}={value!r}" for name, value in dialect.particulars.items() if name != "delimiter"]
    reading = reading_of(record.__name__, dialect.encoding, parted, *head, *more, mapping=mapping)
    return CsvFile(path=origin.path, dialect=dialect, columns=columns, head=head, origin=origin, reading=reading)


def _read_head(lines: Iterable[bytes], asked: Dialect) -> tuple[tuple[bytes, ...], Dialect, tuple[str, ...]]:
    """The lines before the first record, the dialect with a delimiter, and the names of the columns."""
    taken: list[bytes] = []
    before: list[bytes] = []
    dialect = asked
    for line in islice(lines, _HEAD_LINES):
        taken.append(line)
        text = _text_of(line, asked)
        named = None if before else _SEPARATOR.fullmatch(text)
        if named is not None:
            before = taken[:]
            dialect = evolve(asked, delimiter=asked.delimiter or named[2])
        elif text.strip():
            break
    else:
        if asked.header is None:
            raise ConfigError("it begins with nothing: its first line must be a header that names the fields")
        text = ""
    if dialect.delimiter is None:
        dialect = evolve(dialect, delimiter=_delimiter_in(text, dialect))
    if asked.header is None:
        return tuple(taken), dialect, tuple(_cells(text, dialect))
    _check_no_header(text, dialect, asked.header)
    return tuple(before), dialect, asked.header


def _text_of(line: bytes, asked: Dialect) -> str:
    """The text of a line that may be the header."""
    codec = asked.encoding
    text = line.decode(codec, "replace").rstrip("\r\n")
    if asked.header is not None:
        return text  # what is wrong with a record is told with its line
    if not decodes(line, codec):
        raise ConfigError(f"its header is no {codec} text: {suggested(_REMEDY, [line], codec)}")
    if line == TOO_LONG or "\r" in text:
        raise ConfigError("its header line does not end: save it with line feeds, as CSV UTF-8")
    return text


def _delimiter_in(text: str, dialect: Dialect) -> str:
    """What parts the cells of a line: where it is known how many there must be, what makes as many."""
    possible = [one for one in _DELIMITERS if one not in (dialect.quotechar, dialect.escapechar)]
    if dialect.header is not None:
        wanted = len(dialect.header) - 1
        return max(possible, key=lambda one: (text.count(one) == wanted, text.count(one)))
    return max(possible, key=text.count)


def _check_no_header(text: str, dialect: Dialect, header: tuple[str, ...]) -> None:
    """Look at the first line of a file that is said to have no header."""
    try:
        cells = [cell.strip() for cell in next(dialect.reader(iter([text])), [])]
    except csv.Error:
        cells = []
        if "\r" in text:
            raise ConfigError("its first line does not end: save it with line feeds, as CSV UTF-8") from None
    if cells == [name.strip() for name in header]:
        raise ConfigError("its first line is the header that is given: leave header out")


def _cells(header: str, dialect: Dialect) -> list[str]:
    try:
        return next(dialect.reader(iter([header])))
    except csv.Error:
        pass
    raise ConfigError("its header is no CSV: look for a quote that is not closed")
