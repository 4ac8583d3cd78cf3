"""stdout, which carries the report and nothing else, and stderr. Neither fails an import: whoever reads may go away."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, TextIO

from attrs import define

#: Blanks and the word after them.
_WORDS: Final = re.compile(r"(\s*)(\S+)")


def say(text: str, *, is_prose: bool = False) -> None:
    """A text and a line end on stdout. That its reader is gone, as after `| head`, is no failure.

    Prose is folded between words at the edge of a terminal, and what follows is indented.

    Raises:
        OSError: it cannot be written for another reason, such as a full disk.
    """
    width = _width(sys.stdout) if is_prose else None
    say_pieces([text if width is None else _folded(text, width)])


def say_pieces(pieces: Iterable[str]) -> None:
    """The same of a text that comes in pieces: the rest is not even asked for when the reader is gone.

    Raises:
        OSError: as of `say`.
    """
    if sys.stdout is None:
        return
    try:
        for piece in pieces:
            sys.stdout.write(piece)
        sys.stdout.write("\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)


def _folded(text: str, width: int) -> str:
    return "\n".join(part for line in text.splitlines() for part in _parts(line, width, hang=2))


def _parts(line: str, width: int, hang: int = 0) -> list[str]:
    """A line in parts of at most `width` cells, two for a Chinese sign; no word is cut, and what follows is indented."""
    from rich.cells import cell_len  # noqa: PLC0415 -- an extra, and only a terminal has an edge

    indent = " " * (len(line) - len(line.lstrip()) + hang)
    parts: list[str] = []
    part, room = "", 0
    for blanks, word in _WORDS.findall(line.rstrip()):
        room -= len(blanks) + cell_len(word)
        if part and room < 0:
            parts.append(part)
            part, room = f"{indent}{word}", width - len(indent) - cell_len(word)
        elif part:
            part += f"{blanks}{word}"
        else:
            part, room = f"{blanks}{word}", width + room
    return [*parts, part]


def let_go() -> None:
    """Write what the streams still hold. What cannot be written goes nowhere: Python itself would complain, and exit 120.

    That a disk is full was told by whoever wrote: every write is flushed, and fails then.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            try:
                stream.flush()
            except OSError:
                silence(stream)


def silence(stream: TextIO) -> None:
    """Let what a stream still holds, and whatever follows, go nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@define
class Pen:
    """Writes to a stream of text until that fails; then it is dry for good, and says nothing of it."""

    stream: TextIO | None
    _is_dry: bool = False

    def write(self, text: str) -> None:
        """Write, with `?` for what the stream's encoding does not have."""
        if self._is_dry or self.stream is None:
            return
        encoding = self.stream.encoding or "utf-8"
        try:
            self.stream.write(text.encode(encoding, "replace").decode(encoding))
            self.stream.flush()
        except (OSError, ValueError):  # gone, or closed on our side
            self._is_dry = True
            silence(self.stream)

    def line(self, text: str) -> None:
        self.write(f"{printable(text)}\n")


def tell(text: str) -> None:
    """A line on stderr, or several; outside of a screen. On a terminal no word is cut in two at its edge."""
    pen, width = Pen(sys.stderr), _width(sys.stderr)
    for line in text.splitlines():
        for part in _parts(printable(line), width) if width else (line,):
            pen.line(part)


def _width(stream: TextIO | None) -> int | None:
    """The columns of a terminal; None of anything else."""
    if stream is None or not is_terminal(stream):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def printable(text: str) -> str:
    """One line without control characters, bidirectional marks and the like."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " if char.isspace() else "?" for char in text)


def can_draw(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor."""
    return is_terminal(stream) and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; one that is closed or missing is none."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
