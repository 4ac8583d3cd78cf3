"""What a person sees on stderr while an import goes on: lines that stay in place on a terminal, plain lines elsewhere.

Nothing in here fails an import: when stderr is gone, its screen falls silent.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Final, Protocol, TextIO

from asyncimport.cli.output import Pen, can_draw, is_terminal
from asyncimport.cli.region import Line, Region, Span, packed
from asyncimport.cli.standing import (
    Pace,
    Point,
    Standing,
    Trouble,
    clock_words,
    failure_words,
    left_s,
    left_words,
    many,
    records_per_s,
)
from asyncimport.observer import AttemptFailed, Notice, Paused, SourceAbandoned, TokenRenewed

#: Often enough that a countdown and a turning sign look alive; a frame costs about half a millisecond.
LIVE_EVERY_S: Final = 0.25
PLAIN_EVERY_S: Final = 5.0
#: Failures told as plain lines, at most one of each reason in this time: an outage is no flood.
FAILURE_EVERY_S: Final = 10.0
MAX_BAR: Final = 40
MIN_BAR: Final = 8
_NEVER_S: Final = 3600.0


class Screen(Protocol):
    """What an import is shown on. After `close` a further `show` begins anew, for the next import."""

    #: How often it wants to be shown a standing.
    every_s: float

    def show(self, standing: Standing) -> None:
        """Show where the import stands."""

    def notice(self, notice: Notice) -> None:
        """Take a notice of the engine; fits `ImportClient(observer=...)`."""

    def note(self, line: str) -> None:
        """Show one line that stays."""

    def close(self, standing: Standing | None) -> None:
        """Leave stderr clean; idempotent. `standing` is the last one."""


def _note_of(notice: Notice) -> str:
    match notice:
        case TokenRenewed(generation=generation) if generation > 1:
            return "the token was renewed"
        case SourceAbandoned(waited_s=waited_s):
            return f"the source was still busy {waited_s:.0f} s after the stop and was left behind"
        case _:
            return ""


def _counts(standing: Standing) -> list[Span]:
    marks = {"rejected": "bold yellow", "unconfirmed": "bold red", "unsent": "bold red", "skipped": ""}
    found = [(name, mark, getattr(standing, name)) for name, mark in marks.items()]
    counted = [(f"{count:,} {name}", mark) for name, mark, count in found if count]
    return [(f"{standing.read:,} read", ""), (f"{standing.accepted:,} accepted", ""), *counted]


def _flow(standing: Standing, points: Sequence[Point]) -> list[Span]:
    retries = [(many(standing.retries, "retry", "retries"), "")] if standing.retries else []
    rate, gone = f"{records_per_s(points):,.0f} records/s", clock_words(standing.elapsed_s)
    return [(rate, ""), (f"{standing.in_flight:,} in flight", ""), *retries, (gone, "dim")]


def plain_line(standing: Standing, points: Sequence[Point] = ()) -> str:
    """Where an import stands, in one line; without points how it ended, its rate the average."""
    parts = [text for text, _ in _counts(standing)]
    parts += [many(standing.retries, "retry", "retries")] if standing.retries else []
    if not points:
        average = standing.accepted / standing.elapsed_s if standing.elapsed_s > 0 else 0.0
        return f"{standing.label}: {', '.join(parts)}, {average:,.0f} records/s"
    wait_s = left_s(points)
    parts.append(f"{records_per_s(points):,.0f} records/s")
    parts += [] if standing.share is None else [f"{int(100 * standing.share)} %"]
    parts += [] if wait_s is None else [f"{left_words(wait_s)} left"]
    return f"{standing.label}: {', '.join(parts)}"


class QuietScreen:
    """Shows nothing but notes, which answer something the person did."""

    every_s: float = _NEVER_S

    def __init__(self, pen: Pen) -> None:
        self._pen = pen

    def show(self, standing: Standing) -> None: ...

    def notice(self, notice: Notice) -> None: ...

    def note(self, line: str) -> None:
        self._pen.line(line)

    def close(self, standing: Standing | None) -> None: ...


class PlainScreen:
    """A line every few seconds, for logs and pipes."""

    every_s: float = PLAIN_EVERY_S

    def __init__(self, pen: Pen, now: Callable[[], float] = time.monotonic) -> None:
        self._pen, self._now = pen, now
        self._pace, self._trouble = Pace(), Trouble(now)
        self._told_at: dict[str, float] = {}
        self._is_closed = False

    def show(self, standing: Standing) -> None:
        self._is_closed = False
        self._pen.line(plain_line(standing, self._pace.at(standing)))

    def notice(self, notice: Notice) -> None:
        self._trouble.notice(notice)
        match notice:
            case Paused(pause_s=pause_s, reason=reason):
                self._pen.line(f"paused for {pause_s:.1f} s: {reason}")
            case AttemptFailed(reason=reason) if not self._trouble.is_paused and self._is_news(reason):
                self._pen.line(failure_words(notice))
            case _ if line := _note_of(notice):
                self._pen.line(line)
            case _:
                pass

    def _is_news(self, reason: str) -> bool:
        now = self._now()
        if now < self._told_at.get(reason, float("-inf")) + FAILURE_EVERY_S:
            return False
        self._told_at[reason] = now
        return True

    def note(self, line: str) -> None:
        self._pen.line(line)

    def close(self, standing: Standing | None) -> None:
        if not self._is_closed and standing is not None:
            self._pen.line(plain_line(standing))
        self._is_closed = True


class LiveScreen:
    """A few lines that stay in place: how far, how fast, how long, and what is wrong."""

    every_s: float = LIVE_EVERY_S

    def __init__(self, stream: TextIO, *, color: bool | None, now: Callable[[], float] = time.monotonic) -> None:
        self._region = Region(stream, color=color)
        self._pace, self._trouble = Pace(), Trouble(now)
        self._signs = cycle(r"-\|/" if self._region.is_ascii else "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
        self._lines: list[Line] = []
        self._is_closed = False

    def show(self, standing: Standing) -> None:
        self._is_closed = False
        points, width = self._pace.at(standing), self._region.width
        self._lines = [self._head(standing, points, width)]
        self._lines += [*packed(_counts(standing), width), *packed(_flow(standing, points), width)]
        if words := self._trouble.words(standing.accepted):
            self._lines.append([("! ", "bold red"), (words, "yellow" if self._trouble.is_paused else "red")])
        self._region.draw(self._lines)

    def _head(self, standing: Standing, points: Sequence[Point], width: int) -> Line:
        sign, share = (f"{next(self._signs)} ", "cyan"), standing.share
        if share is None:
            return [sign, (standing.label, "bold")]
        wait_s = left_s(points)
        tail = f"{int(100 * share):3} %{'' if wait_s is None else f'  {left_words(wait_s)} left'}"
        # Room for the longest words is kept free, or the bar would jump with them.
        cells = min(MAX_BAR, width - len(f"  {standing.label}   ") - max(len("100 %  59 min left"), len(tail)))
        if cells < MIN_BAR:
            return [sign, (standing.label, "bold"), (f"  {tail.strip()}", "")]
        full = int(cells * share)
        done, ahead = ("#", "-") if self._region.is_ascii else ("━", "─")
        return [
            sign,
            (standing.label, "bold"),
            ("  ", ""),
            (done * full, "green"),
            (ahead * (cells - full), "dim"),
            (f" {tail}", ""),
        ]

    def notice(self, notice: Notice) -> None:
        self._trouble.notice(notice)
        if line := _note_of(notice):
            self.note(line)

    def note(self, line: str) -> None:
        self._region.draw(self._lines, above=line)

    def close(self, standing: Standing | None) -> None:
        if not self._is_closed:
            self._lines = []
            self._region.draw(())
            self._trouble.forget_failure()
            if standing is not None and not is_terminal(sys.stdout):
                self._region.pen.line(plain_line(standing))  # the report goes elsewhere
        self._is_closed = True


def open_screen(*, quiet: bool, color: bool | None) -> Screen:
    """The screen for this stderr: live on a terminal that can move its cursor, plain elsewhere.

    `color` None leaves it to the environment (NO_COLOR).
    """
    stream = sys.stderr
    if quiet or stream is None:
        return QuietScreen(Pen(stream))
    return LiveScreen(stream, color=color) if can_draw(stream) else PlainScreen(Pen(stream))
