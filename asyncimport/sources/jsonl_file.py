"""Files of JSON Lines: one JSON object a line, in UTF-8."""

from __future__ import annotations

import json
import os
from codecs import BOM_UTF8
from collections.abc import Iterator
from io import BufferedReader
from typing import Any, Final

import orjson
from attrs import frozen

from asyncimport.sources.lines import LONG_LINE, lines_of, not_decodable, opened, path_of
from asyncimport.unreadable import Unreadable

HUGE: Final = 2**63
_LONG_DIGITS: Final = 19
LONG_INTEGER: Final = Unreadable(rule="holds a whole number beyond 64 bits: send it as text")


@frozen(kw_only=True)
class JsonlFile:
    """A JSON Lines file as a source of records; each iteration opens it anew."""

    path: str

    def __iter__(self) -> JsonLines:
        """Open the file; raises ConfigError when it can no longer be opened."""
        return JsonLines(opened(self.path))


class JsonLines:
    """One reading of a JSON Lines file."""

    __slots__ = ("_file", "_lines", "line_num")

    def __init__(self, file: BufferedReader) -> None:
        if file.peek(len(BOM_UTF8)).startswith(BOM_UTF8):
            file.read(len(BOM_UTF8))
        self._file = file
        self._lines: Iterator[bytes] = lines_of(file)
        self.line_num = 0

    def __iter__(self) -> JsonLines:
        return self

    def __next__(self) -> Any:
        for line in self._lines:
            self.line_num += 1
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                if not line.isspace():
                    return _unreadable(line, error)
                continue
            if type(record) is dict and _holds_huge(record.get("eventargs")) and _holds_long_integer(line):
                return LONG_INTEGER
            return record
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Close the file; the iteration is then at its end."""
        self._lines = iter(())
        self._file.close()


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
        return not_decodable(damage)
    return Unreadable(rule=f"is no JSON: {error.msg} at column {error.colno}")


def read_jsonl(path: str | os.PathLike[str]) -> JsonlFile:
    """Read records from a JSON Lines file: one object with wire or Python names a line, UTF-8 with or without BOM.

    Blank lines are skipped. A line that is no JSON, or no UTF-8, is yielded as `Unreadable`; JSON that is no object is
    yielded as it is, for admission to refuse. NaN and infinities are no JSON, and an integer beyond 64 bits is refused
    wherever it stands. As everywhere in JSON, the last of equal keys counts.

    Raises:
        ConfigError: at once, when the file cannot be opened or is no UTF-8 text file.
    """
    name = path_of(path)
    opened(name).close()
    return JsonlFile(path=name)
