"""The last lines of a terminal, drawn over and over: where what is live stands."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from math import ceil
from typing import TextIO

from asyncimport.cli.output import Pen, printable

Span = tuple[str, str]
Line = Sequence[Span]


class Region:
    """The last lines of a terminal, drawn over and over; what is above them stays. Imports rich.

    The cursor rests on the line below, in the first column, and is hidden only within a frame: whatever ends the
    process, the terminal is left usable.
    """

    def __init__(self, stream: TextIO, *, color: bool | None) -> None:
        from rich.console import Console  # noqa: PLC0415 -- an extra, and 50 ms

        self.pen, self._stream = Pen(stream), stream
        self._console = Console(
            file=io.StringIO(),  # it only styles: a console that meets a broken pipe ends the process
            force_terminal=True,
            no_color=None if color is None else not color,
            highlight=False,
            soft_wrap=True,
        )
        #: The widths of the lines that stand there now.
        self._drawn: list[int] = []
        self.is_ascii = not (stream.encoding or "").lower().startswith("utf")

    @property
    def width(self) -> int:
        """Columns that a line may fill: the last one stays free, where terminals differ."""
        return max(1, self._size().columns - 1)

    def _size(self) -> os.terminal_size:
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            size = os.terminal_size((0, 0))
        return size if size.columns and size.lines else os.terminal_size((80, 24))

    def draw(self, lines: Iterable[Line], above: str | None = None) -> None:
        """Put these lines in the place of the former ones, in one write; `above` is a line that stays over them."""
        from rich.text import Text  # noqa: PLC0415 -- loaded with the console

        size = self._size()
        # A terminal that has become narrower has broken the former lines in two.
        rows = sum(max(1, ceil(width / size.columns)) for width in self._drawn)
        texts = [Text.assemble(*((printable(text), style) for text, style in line)) for line in lines][: size.lines - 1]
        with self._console.capture() as frame:
            for text in texts:
                text.truncate(max(1, size.columns - 1), overflow="crop" if self.is_ascii else "ellipsis")
                self._console.print(text, end="\x1b[K\n")
        kept = "" if above is None else f"{printable(above)}\x1b[K\n"
        up = f"\x1b[{rows}A" if rows else ""  # a cursor that is sent too far stays in the first row
        self.pen.write(f"\x1b[?25l\r{up}{kept}{frame.get()}\x1b[J\x1b[?25h")
        self._drawn = [text.cell_len for text in texts]


def packed(spans: Iterable[Span], width: int, indent: str = "  ") -> list[Line]:
    """Spans side by side, two blanks apart, on as many lines of `width` cells as they need."""
    from rich.cells import cell_len  # noqa: PLC0415 -- an extra

    lines: list[Line] = []
    line: list[Span] = []
    room = 0
    for text, style in spans:
        room -= 2 + cell_len(text)
        if room < 0:
            line = [(indent, ""), (text, style)]
            lines.append(line)
            room = width - cell_len(indent + text)
        else:
            line += [("  ", ""), (text, style)]
    return lines
