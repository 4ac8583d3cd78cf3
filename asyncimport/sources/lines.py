"""The lines of a file as bytes, of bounded length, and what is said of those that are no text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from io import BufferedReader
from typing import Final

from attrs import evolve

from asyncimport.unreadable import Unreadable

#: The longest line that is read, in bytes. No request takes as much (DESIGN.md: 1 MB a batch): such a line is damage.
LINE_CAP: Final = 16 * 2**20
#: What a line above the cap, which is skipped, is equal to; no line of a file is empty, each but the last has its end.
TOO_LONG: Final = b""
LONG_LINE: Final = Unreadable(rule=f"is longer than {LINE_CAP // 2**20} MiB: look for a missing line end or quote")

_BUFFER_BYTES: Final = 2**18
#: The longest text of an unreadable record that is kept, in bytes as they were read.
_TEXT_CAP: Final = 2**16


class SkippedLine(bytes):
    """Stands for a line above the cap: empty, and knows how long that was."""

    size_bytes = 0


def size_of(line: bytes) -> int:
    """How many bytes of its file a line takes."""
    return line.size_bytes if isinstance(line, SkippedLine) else len(line)


def lines_of(file: BufferedReader) -> Iterator[bytes]:
    """The lines with their ends, in order; `TOO_LONG` for each above `LINE_CAP`. Never holds more than one."""
    for line in iter(partial(file.readline, LINE_CAP + 1), b""):
        if len(line) <= LINE_CAP:
            yield line
        else:
            skipped = SkippedLine()
            skipped.size_bytes = len(line) + (0 if line.endswith(b"\n") else _rest_of_line(file))
            yield skipped


def _rest_of_line(file: BufferedReader) -> int:
    """Read on to the end of a line; how many bytes that were."""
    count = 0
    for piece in iter(partial(file.readline, _BUFFER_BYTES), b""):
        count += len(piece)
        if piece.endswith(b"\n"):
            break
    return count


def not_decodable(error: UnicodeDecodeError) -> Unreadable:
    """The rule for a line whose bytes are no text of its encoding."""
    return Unreadable(rule=f"is no {error.encoding} text: byte {error.start + 1} of the line cannot be decoded")


def with_text(unreadable: Unreadable, lines: Sequence[bytes], encoding: str) -> Unreadable:
    """The same with the lines that could not be read, unless they are too long to keep or were never held."""
    if TOO_LONG in lines or sum(map(len, lines)) > _TEXT_CAP:
        return unreadable
    text = b"".join(lines).decode(encoding, "backslashreplace")
    return evolve(unreadable, text=text.removesuffix("\n").removesuffix("\r"))
