"""stdout, which carries the report and nothing else, and stderr. Neither fails an import: whoever reads may go away."""

from __future__ import annotations

import os
import sys
import textwrap
from contextlib import suppress
from typing import TextIO

from attrs import define


def say(text: str, *, is_prose: bool = False) -> None:
    """A text and a line end on stdout. That its reader is gone, as after `| head`, is no failure.

    Prose is folded between words at the edge of a terminal, and what follows is indented.

    Raises:
        OSError: it cannot be written for another reason, such as a full disk.
    """
    if sys.stdout is None:
        return
    width = _width(sys.stdout) if is_prose else None
    try:
        sys.stdout.write(f"{text if width is None else _folded(text, width)}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)


def _folded(text: str, width: int) -> str:
    return "\n".join(part for line in text.splitlines() for part in _parts(line, width))


def _parts(line: str, width: int) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    fold = textwrap.TextWrapper(width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return fold.wrap(line) or [""]


def let_go() -> None:
    """Write what the streams still hold; what nobody reads goes nowhere. Python itself would complain, and exit 120."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            try:
                stream.flush()
            except BrokenPipeError:
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
        for part in textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) if width else (line,):
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
