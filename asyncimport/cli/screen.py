"""What a person sees on stderr while an import goes on: lines that stay in place on a terminal, plain lines elsewhere.

Nothing in here fails an import: when stderr is gone, its screen falls silent.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import cycle
from typing import Final, Protocol, TextIO

from asyncimport.cli.output import Pen, can_draw, is_terminal
from asyncimport.cli.region import Line, Region, Span, packed
from asyncimport.cli.standing import (
    Course,
    Pace,
    Standing,
    Trouble,
    clock_words,
    failure_words,
    is_about_the_token,
    left_words,
)
from asyncimport.observer import AttemptFailed, Notice, Paused, SourceAbandoned, TokenRenewed
from asyncimport.outcome import many

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
    if standing.is_check:
        mark = "bold yellow" if standing.rejected else ""
        return [(f"{standing.read:,} read", ""), (f"{standing.rejected:,} with errors", mark)]
    marks = {"rejected": "bold yellow", "unconfirmed": "bold red", "unsent": "bold red", "skipped": ""}
    found = [(name, mark, getattr(standing, name)) for name, mark in marks.items()]
    counted = [(f"{count:,} {name}", mark) for name, mark, count in found if count]
    return [(f"{standing.read:,} read", ""), (f"{standing.accepted:,} accepted", ""), *counted]


def _flow(standing: Standing, course: Course) -> list[Span]:
    rate, gone = f"{course.records_per_s:,.0f} records/s", clock_words(standing.elapsed_s)
    flying = [] if standing.is_check else [(f"{standing.in_flight:,} in flight", "")]
    return [(rate, ""), *flying, *((words, "") for words in _retries(standing)), (gone, "dim")]


def _retries(standing: Standing) -> list[str]:
    return [many(standing.retries, "retry", "retries")] if standing.retries else []


def _ahead(standing: Standing, course: Course) -> list[str]:
    """How much is done, and what is still to come."""
    done = [] if standing.share is None else [f"{int(100 * standing.share)} %"]
    if standing.is_ending:
        return [*done, "stopping"]
    return done if course.left_s is None else [*done, f"{left_words(course.left_s)} left"]


def plain_line(standing: Standing, course: Course | None = None) -> str:
    """Where an import stands, in one line; without a course how it ended, its rate the average."""
    parts = [text for text, _ in _counts(standing)] + _retries(standing)
    if course is None:
        average = standing.done / standing.elapsed_s if standing.elapsed_s > 0 else 0.0
        return f"{standing.label}: {', '.join(parts)}, {average:,.0f} records/s"
    parts += [f"{course.records_per_s:,.0f} records/s", *_ahead(standing, course)]
    return f"{standing.label}: {', '.join(parts)}"


def _course(pace: Pace, standing: Standing, trouble: Trouble) -> Course:
    return pace.at(standing, pause_s=trouble.pause_s, paused_s=trouble.paused_s)


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
        self._pen.line(plain_line(standing, _course(self._pace, standing, self._trouble)))

    def notice(self, notice: Notice) -> None:
        self._trouble.notice(notice)
        match notice:
            case Paused(pause_s=pause_s, reason=reason):
                self._pen.line(f"paused for {pause_s:.1f} s: {reason}")
            case AttemptFailed() if is_about_the_token(notice) or self._trouble.is_paused:
                pass
            case AttemptFailed(reason=reason) if self._is_news(reason):
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
        course, width = _course(self._pace, standing, self._trouble), self._region.width
        self._lines = [self._head(standing, course, width)]
        self._lines += [*packed(_counts(standing), width), *packed(_flow(standing, course), width)]
        if words := self._trouble.words(standing.accepted):
            self._lines.append([("! ", "bold red"), (words, "yellow" if self._trouble.is_paused else "red")])
        self._region.draw(self._lines)

    def _head(self, standing: Standing, course: Course, width: int) -> Line:
        sign, share = (f"{next(self._signs)} ", "cyan"), standing.share
        tail = "  ".join(_ahead(standing, course))
        if share is None:
            return [sign, (standing.label, "bold"), (f"  {tail}" if tail else "", "")]
        tail = tail.rjust(len(tail) + len("100") - len(f"{int(100 * share)}"))  # the digits stay in their columns
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
