"""CSV files: a header of field names, then one record a row."""

from __future__ import annotations

import codecs
import csv
import os
from itertools import islice
from typing import Final

from attrs import field, frozen

from asyncimport.errors import ConfigError
from asyncimport.records import Record, UserProfile
from asyncimport.sources.csv_columns import Columns, columns_of
from asyncimport.sources.csv_rows import CsvRows, Dialect
from asyncimport.sources.lines import TOO_LONG, lines_of, opened, path_of

#: What parts cells when nothing is said: the one that stands most often in the header, the first of equals.
_DELIMITERS: Final = (",", "\t", ";")
#: Blank lines are skipped until the header, though no more of them than a spreadsheet's margin could have.
_HEAD_LINES: Final = 100


@frozen(kw_only=True)
class CsvFile:
    """A CSV file as a source of records; each iteration opens it anew and expects the same header."""

    path: str
    dialect: Dialect
    columns: Columns = field(repr=False)
    #: The lines up to and with the header, as bytes.
    head: tuple[bytes, ...] = field(repr=False)

    def __iter__(self) -> CsvRows:
        """Open the file; raises ConfigError when it can no longer be opened or its header is another one."""
        file = opened(self.path)
        lines = lines_of(file)
        if tuple(line for _, line in zip(self.head, lines, strict=False)) != self.head:
            file.close()
            raise ConfigError(f"{self.path} has another header than when it was first read: read it again")
        return CsvRows(file, lines, self.dialect, self.columns, first_line=len(self.head) + 1)


def read_csv(
    path: str | os.PathLike[str],
    record: type[Record] = UserProfile,
    *,
    encoding: str = "utf-8-sig",
    delimiter: str | None = None,
) -> CsvFile:
    """Read records from a CSV file whose header names the fields of `record` by wire or by Python name.

    Columns of lists and mappings are written `customFields.<configId>.<configName>` (either part may be empty; the
    cell holds the values, parted by `|`), `identities.<identityType>` and `eventargs.<key>` (see `number_or_text` for
    which cells become numbers). Whole-number fields take decimal digits, flags true, false, 1 or 0. An empty cell is
    absent; what cannot be converted stays text, for admission to refuse.

    A line with nothing in it, or nothing but delimiters, is skipped. A row with more or fewer cells than the header,
    with a broken quote or with undecodable bytes is yielded as `Unreadable`; the lines that a broken quote swallowed
    are read again, each for itself. `delimiter=None` finds comma, tab or semicolon in the header. `encoding` is any
    whose line feed is one byte, such as gb18030; a BOM is ignored.

    Raises:
        ConfigError: at once, when the file cannot be opened, has no header, or the header has an unknown, doubled or
            unnamed column.
    """
    name = path_of(path)
    codec = _codec(encoding)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ConfigError("delimiter takes one character that is no quote and no line end, or None to find it")
    head, text = _head(name, codec)
    parted = delimiter or max(_DELIMITERS, key=text.count)
    try:
        columns = columns_of(_cells(text, parted), record)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None
    return CsvFile(path=name, dialect=Dialect(encoding=codec, delimiter=parted), columns=columns, head=head)


def _codec(encoding: str) -> str:
    """The codec for single lines: of UTF-8 the plain one, since a BOM stands at the start of a file only."""
    try:
        name = codecs.lookup(encoding).name
        per_line = "a\n".encode(name).endswith(b"a\n") and b"a\n".decode(name, "replace").endswith("a\n")
    except (LookupError, ValueError):
        raise ConfigError("encoding is no text encoding that Python knows: utf-8 and gb18030 are") from None
    if not per_line:
        raise ConfigError(f"encoding {name} cannot be read line by line: save the file as UTF-8")
    return "utf-8" if name == "utf-8-sig" else name


def _head(path: str, encoding: str) -> tuple[tuple[bytes, ...], str]:
    """The lines up to and with the header, which is the first that is not blank, and the header's text."""
    head: list[bytes] = []
    with opened(path) as file:
        for line in islice(lines_of(file), _HEAD_LINES):
            head.append(line)
            try:
                text = line.decode(encoding).removeprefix("\ufeff").rstrip("\r\n")
            except UnicodeDecodeError as error:
                advice = "save the file as UTF-8 or give its encoding, as in encoding='gb18030'"
                raise ConfigError(f"{path}: its header is no {error.encoding} text: {advice}") from None
            if line == TOO_LONG or "\r" in text:
                raise ConfigError(f"{path}: its header line does not end: save it with line feeds, as CSV UTF-8")
            if text.strip():
                return tuple(head), text
    raise ConfigError(f"{path} begins with nothing: its first line must be a header that names the fields")


def _cells(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter, strict=True))
    except csv.Error:
        raise ConfigError("its header is no CSV: look for a quote that is not closed") from None
