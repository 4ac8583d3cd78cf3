"""CSV files: a header of field names, then one record a row."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from itertools import chain, islice
from typing import ClassVar, Final

from attrs import field, frozen

from asyncimport.errors import ConfigError
from asyncimport.records import Record, UserProfile
from asyncimport.sources.csv_columns import Columns, columns_of
from asyncimport.sources.csv_rows import CsvRows, Dialect
from asyncimport.sources.encoding import codec_of, decodes, fault_of, look, suggested
from asyncimport.sources.file_source import FileSource
from asyncimport.sources.input import path_of
from asyncimport.sources.lines import TOO_LONG
from asyncimport.sources.mapping import ColumnMapping, reading_of
from asyncimport.sources.origin import Origin, origin_of
from asyncimport.sources.raw import Damaged

#: What parts cells when nothing is said: the one that stands most often in the header, the first of equals.
_DELIMITERS: Final = (",", "\t", ";")
#: Blank lines are skipped until the header, though no more of them than a spreadsheet's margin could have.
_HEAD_LINES: Final = 100
_REMEDY: Final = "save the file as UTF-8 or give its encoding"


@frozen(kw_only=True)
class CsvFile(FileSource):
    """A CSV file as a source of records; each iteration opens it anew and expects the same header.

    Standard input and pipes (`origin.is_stream`) are iterated once.
    """

    KIND: ClassVar[str] = "csv"

    dialect: Dialect
    columns: Columns = field(repr=False)
    #: The lines up to and with the header, as bytes.
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
    path: str | os.PathLike[str],
    record: type[Record] = UserProfile,
    *,
    encoding: str = "utf-8-sig",
    delimiter: str | None = None,
    mapping: ColumnMapping | None = None,
) -> CsvFile:
    """Read records from a CSV file whose header names the fields of `record` by wire or by Python name.

    Columns of lists and mappings are written `customFields.<configId>.<configName>` (either part may be empty; the
    cell holds the values, parted by `|`), `identities.<identityType>` and `eventargs.<key>` (see `number_or_text` for
    which cells become numbers). Whole-number fields take decimal digits, flags true, false, 1 or 0. An empty cell is
    absent; what cannot be converted stays text, for admission to refuse. A `mapping` says otherwise.

    A line with nothing in it, or nothing but delimiters, is skipped. A row with more or fewer cells than the header,
    with a broken quote or with undecodable bytes is yielded as `Unreadable`; the lines that a broken quote swallowed
    are read again, each for itself. `delimiter=None` finds comma, tab or semicolon in the header. `encoding` is any
    whose line feed is one byte, such as gb18030; a BOM is ignored.

    A file packed by gzip is unpacked, whatever its name. The path `-` is standard input, which like a named pipe is
    iterated once; this call waits until its header has come. A file that cannot be read to its end ends the iteration
    with SourceError.

    Raises:
        ConfigError: at once, when the file cannot be opened, has no header, or the header has an unknown, doubled or
            unnamed column; when a column or field of the mapping is none; when none of the lines in the first 64 KiB
            that go beyond ASCII (of three at least) is text of the encoding.
    """
    codec = codec_of(encoding)
    check_delimiter(delimiter)
    return csv_file_of(origin_of(path_of(path)), record, codec, delimiter, mapping)


def check_delimiter(delimiter: str | None) -> None:
    """Refuse what the csv module takes for no delimiter.

    Raises:
        ConfigError: it is no single character, or one that has a meaning of its own.
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ConfigError("delimiter takes one character that is no quote and no line end, or None to find it")


def csv_file_of(
    origin: Origin, record: type[Record], codec: str, delimiter: str | None, mapping: ColumnMapping | None
) -> CsvFile:
    """The same for what is open already, with a codec for single lines.

    Raises:
        ConfigError: as `read_csv`.
    """
    fault: str | None = None
    faults: tuple[str, ...] = ()
    with origin.first_lines() as lines:
        try:
            head, text = _head(lines, codec)
            parted = delimiter or max(_DELIMITERS, key=text.count)
            columns = columns_of(_cells(text, parted), record, mapping)
        except ConfigError as error:
            fault, faults = str(error), error.faults
        if not fault and not origin.is_stream:
            fault = fault_of(look(chain(head, lines)), codec, _REMEDY)
    if fault:
        raise ConfigError(f"{origin.name}: {fault}", faults)
    dialect = Dialect(encoding=codec, delimiter=parted)
    reading = reading_of(record.__name__, codec, parted, *head, mapping=mapping)
    return CsvFile(path=origin.path, dialect=dialect, columns=columns, head=head, origin=origin, reading=reading)


def _head(lines: Iterable[bytes], codec: str) -> tuple[tuple[bytes, ...], str]:
    """The lines up to and with the header, which is the first that is not blank, and the header's text."""
    head: list[bytes] = []
    for line in islice(lines, _HEAD_LINES):
        head.append(line)
        text = line.decode(codec, "replace").removeprefix("\ufeff").rstrip("\r\n")
        if not decodes(line, codec):
            raise ConfigError(f"its header is no {codec} text: {suggested(_REMEDY, [line], codec)}")
        if line == TOO_LONG or "\r" in text:
            raise ConfigError("its header line does not end: save it with line feeds, as CSV UTF-8")
        if text.strip():
            return tuple(head), text
    raise ConfigError("it begins with nothing: its first line must be a header that names the fields")


def _cells(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter, strict=True))
    except csv.Error:
        pass
    raise ConfigError("its header is no CSV: look for a quote that is not closed")
