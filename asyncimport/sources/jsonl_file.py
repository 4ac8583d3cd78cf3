"""Files of JSON Lines: one JSON object a line, in UTF-8."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import orjson
from attrs import field, frozen

from asyncimport.errors import ConfigError
from asyncimport.mark import Mark
from asyncimport.place import Place
from asyncimport.records import Record
from asyncimport.sources.cells import Refused
from asyncimport.sources.encoding import fault_of, look
from asyncimport.sources.file_source import FileSource
from asyncimport.sources.input import Input
from asyncimport.sources.interruptible import Interruptible
from asyncimport.sources.json_keys import Keys, keys_of
from asyncimport.sources.line_decoding import LineDecoding
from asyncimport.sources.lines import LONG_LINE, not_decodable, size_of, with_text
from asyncimport.sources.mapping import ColumnMapping, reading_of
from asyncimport.sources.origin import File, Origin, opening_of, origin_of
from asyncimport.sources.raw import Damaged, Interrupted
from asyncimport.unreadable import Unreadable

_UTF_8: Final = "utf-8"
_REMEDY: Final = "JSON Lines are UTF-8, convert it from its own encoding"

HUGE: Final = 2**63
_LONG_DIGITS: Final = 19
_PARTS: Final = frozenset({list, dict})
LONG_INTEGER: Final = Unreadable(rule="holds a whole number beyond 64 bits: send it as text")


@frozen(kw_only=True)
class JsonlFile(FileSource):
    """A JSON Lines file as a source of records; each iteration opens it anew.

    Standard input and pipes (`origin.is_stream`) are iterated once.
    """

    KIND: ClassVar[str] = "jsonl"

    keys: Keys | None = field(default=None, repr=False)

    def __iter__(self) -> JsonLines:
        """Open the file.

        Raises:
            ConfigError: it can no longer be opened, or is a stream that was read already.
        """
        lines = self._lines(self.origin.opened())
        if self.start is not None:
            lines.go_to(self.start)
        return lines

    def _lines(self, file: Input) -> JsonLines:
        return PlainJsonLines(file) if self.keys is None else MappedJsonLines(file, self.keys)


class JsonLines(Interruptible):
    """One reading of a JSON Lines file."""

    __slots__ = ("_input", "_line", "_lines", "line_num")

    def __init__(self, file: Input) -> None:
        self._input = file
        self._lines: Iterator[bytes] = file.lines()
        #: The line read last.
        self._line = b""
        self.line_num = 0

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
        """Keys that a mapping names and no record has had so far; none without a mapping. For any thread."""
        return ()

    def __iter__(self) -> JsonLines:
        return self

    def __next__(self) -> Any:
        """The next record.

        Raises:
            SourceError: the file cannot be read on, or `interrupt` was called; what was read before has been returned.
        """
        try:
            for line in self._lines:
                self.line_num += 1
                self._line = line
                try:
                    record = self._read(line)
                except orjson.JSONDecodeError as error:
                    if not line.isspace():
                        return _unreadable(line, error)
                    continue
                if type(record) is dict and _has_huge_part(record) and _holds_long_integer(line):
                    return with_text(LONG_INTEGER, [line], _UTF_8)
                return record
        except (Damaged, OSError, Interrupted) as error:
            failure: Exception = self._input.failed(error, self.line_num)
        else:
            failure = StopIteration()
        self.close()
        raise failure

    def _read(self, line: bytes) -> Any:
        """What a line is in JSON."""
        return orjson.loads(line)

    def go_to(self, mark: Mark) -> None:
        """Go on at a mark; before the first record only."""
        self._input.seek(mark.offset)
        self.line_num = mark.line - 1

    def place(self) -> tuple[int, int] | None:
        """The byte and the line at which the next record begins; None where one cannot tell."""
        offset = self._input.tell()
        return None if offset is None else (offset, self.line_num + 1)

    def where(self) -> Place:
        """The line and the byte at which the record returned last begins; no byte of a pipe and of a packed file."""
        after = self._input.tell()
        return Place(line=self.line_num, offset=None if after is None else after - size_of(self._line))

    def column_of(self, place: str) -> str | None:  # noqa: ARG002 -- a mapping alone can tell
        """The key that filled a place of the record returned last; None without a mapping: the place names it."""
        return None

    def interrupt(self) -> None:
        """Let a read that waits raise SourceError soon, and any further one; by any thread, may be repeated."""
        self._input.interrupt()

    def close(self) -> None:
        """Close the file; the iteration is then at its end."""
        self._lines = iter(())
        self._input.close()


def _undecoded(_line: bytes) -> None:
    """Nobody else reads the lines."""


class PlainJsonLines(JsonLines, LineDecoding):
    """One reading of a JSON Lines file whose objects are records as they stand."""

    __slots__ = ("decode",)

    def __init__(self, file: Input) -> None:
        super().__init__(file)
        self.decode = _undecoded

    def _read(self, line: bytes) -> Any:
        made = self.decode(line)
        return super()._read(line) if made is None else made


class MappedJsonLines(JsonLines):
    """One reading of a JSON Lines file under a mapping of its keys."""

    __slots__ = ("_keys", "_record", "_unseen")

    def __init__(self, file: Input, keys: Keys) -> None:
        super().__init__(file)
        self._keys = keys
        self._record: Mapping[str, Any] = {}
        #: Replaced as a whole, never changed: other threads read it.
        self._unseen = keys.named

    @property
    def unseen(self) -> tuple[str, ...]:
        """Keys that the mapping names and no record so far has had, in its order; null is had, refused records count."""
        return self._unseen

    def __next__(self) -> Any:
        """The next record, with wire names; `Unreadable` when the mapping refuses it."""
        record = super().__next__()
        self._record = record if type(record) is dict else {}
        if type(record) is not dict:
            return record
        if self._unseen:
            self._unseen = tuple(key for key in self._unseen if key not in record)
        try:
            row = self._keys.row(record)
        except Refused as error:
            return with_text(Unreadable(rule=error.rule), [self._line], _UTF_8)
        if _has_huge_part(row) and _holds_long_integer(self._line):
            return with_text(LONG_INTEGER, [self._line], _UTF_8)
        return row

    def column_of(self, place: str) -> str | None:
        """The key that filled a place (`sex`, `eventargs.c_price`) of the record returned last; None if none did."""
        return self._keys.column_of(place, self._record)


def _has_huge_part(record: Mapping[str, Any]) -> bool:
    """Whether one of its lists or objects holds a huge float; of a field of its own admission says what it takes."""
    return any(_holds_huge(part) for part in record.values() if type(part) in _PARTS)


def _holds_huge(value: Any, depth: int = 128) -> bool:
    """Whether a float beyond 64 bits is in there: orjson makes one of a longer integer. Deeper values are refused anyway."""
    if type(value) is dict:
        return depth > 0 and any(_holds_huge(item, depth - 1) for item in value.values())
    if type(value) is list:
        return depth > 0 and any(_holds_huge(item, depth - 1) for item in value)
    return type(value) is float and not -HUGE < value < HUGE


def _holds_long_integer(line: bytes) -> bool:
    """Whether it was an integer, and no number with a point or an exponent."""
    found: list[str] = []
    try:
        json.loads(line, parse_int=found.append)
    except RecursionError:
        return False  # so deep that admission refuses it
    return any(len(digits) >= _LONG_DIGITS and not -HUGE <= int(digits[:400]) < 2 * HUGE for digits in found)


def _unreadable(line: bytes, error: orjson.JSONDecodeError) -> Unreadable:
    if not line:
        return LONG_LINE
    try:
        line.decode()
    except UnicodeDecodeError as damage:
        return with_text(not_decodable(damage), [line], _UTF_8)
    return with_text(Unreadable(rule=f"is no JSON: {error.msg} at column {error.colno}"), [line], _UTF_8)


def read_jsonl(file: File, *, record: type[Record] | None = None, mapping: ColumnMapping | None = None) -> JsonlFile:
    """Read records from a JSON Lines file: one object with wire or Python names a line, UTF-8 with or without BOM.

    Blank lines are skipped. A line that is no JSON, or no UTF-8, is yielded as `Unreadable`; JSON that is no object is
    yielded as it is, for admission to refuse. NaN and infinities are no JSON, and an integer beyond 64 bits is refused
    wherever it stands. As everywhere in JSON, the last of equal keys counts.

    With a `mapping` of keys to the fields of `record`, an object in which two keys fill one field is `Unreadable` too.
    The value of a custom field is then a text that holds values as a cell does, or a list of them.

    What `file` may be, packed files, streams and SourceError are as for `read_csv`.

    Raises:
        ConfigError: at once, when the file cannot be opened or is no UTF-8 text file; when a field of the mapping is
            none, or `record` is not given with it.
    """
    if mapping is not None and record is None:
        raise ConfigError("a mapping needs the record whose fields it names, as in record=Event")
    return jsonl_file_of(origin_of(opening_of(file)), record, mapping)


def jsonl_file_of(origin: Origin, record: type[Record] | None, mapping: ColumnMapping | None) -> JsonlFile:
    """The same for what is open already.

    Raises:
        ConfigError: as `read_jsonl`.
    """
    try:
        keys = None if mapping is None or record is None else keys_of(record, mapping)
    except ConfigError as error:
        fault: str | None = str(error)
        faults = error.faults
    else:
        fault, faults = None, ()
    if fault is None and not origin.is_stream:
        with origin.first_lines() as lines:
            fault = fault_of(look(lines), _UTF_8, _REMEDY)
    if fault is not None:
        raise ConfigError(f"{origin.name}: {fault}", faults)
    reading = reading_of("" if record is None else record.__name__, mapping=mapping)
    return JsonlFile(path=origin.path, keys=keys, origin=origin, reading=reading)
