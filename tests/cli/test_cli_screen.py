from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from math import ceil

import pyte
import pytest
from attrs import astuple, define, evolve
from terminal import Terminal

from asyncimport.cli.output import Pen, printable
from asyncimport.cli.region import packed
from asyncimport.cli.screen import LiveScreen, PlainScreen, QuietScreen, plain_line
from asyncimport.cli.standing import (
    LEFT_OVER_S,
    Course,
    Pace,
    Point,
    Standing,
    Trouble,
    clock_words,
    left_s,
    left_words,
    records_per_s,
)
from asyncimport.observer import AttemptFailed, Paused, SourceAbandoned, TokenRenewed

START = Standing(
    label="users",
    read=0,
    accepted=0,
    rejected=0,
    unconfirmed=0,
    unsent=0,
    skipped=0,
    in_flight=8,
    retries=0,
    elapsed_s=0.0,
)
HALF = evolve(START, read=1000, accepted=800, bytes_passed=60_000, size_bytes=100_000, elapsed_s=4.0)
CHECK = evolve(HALF, label="checking users", accepted=0, rejected=1000, in_flight=0, bytes_passed=50_000, is_check=True)
REFUSED = AttemptFailed(batch=1, attempt=1, reason="auth", detail="HTTP 401", message="", retry_in_s=0.0)
LOST = AttemptFailed(
    batch=1, attempt=1, reason="connection_lost", detail="the connection was lost", message="", retry_in_s=3.0
)
BUSY = Paused(pause_s=2.0, reason="429 Too Many Requests")


@define
class Time:
    """A clock that a test sets."""

    s: float = 100.0

    def __call__(self) -> float:
        return self.s


class Glass:
    """A live screen in this process, and what a terminal would show of it."""

    def __init__(self, columns: int = 80, rows: int = 24, encoding: str = "utf-8", color: bool | None = None) -> None:
        self.time = Time()
        self._bytes = io.BytesIO()
        self.live = LiveScreen(io.TextIOWrapper(self._bytes, encoding), color=color, now=self.time)
        self._terminal = pyte.Screen(columns, rows)
        self._terminal.set_mode(pyte.modes.LNM)  # what the driver of a terminal does to line ends
        self._stream = pyte.ByteStream(self._terminal)
        self.written = b""

    def read(self) -> list[str]:
        self._bytes.seek(len(self.written))
        new = self._bytes.read()
        self.written += new
        self._stream.feed(new)
        return [line.rstrip() for line in self._terminal.display if line.strip()]

    @property
    def is_cursor_visible(self) -> bool:
        return not self._terminal.cursor.hidden


@pytest.mark.parametrize(
    ("standing", "share"),
    [
        (START, None),
        (evolve(HALF, size_bytes=None), None),
        (evolve(HALF, bytes_passed=None), None),
        (evolve(HALF, size_bytes=0), None),
        (evolve(HALF, read=0, accepted=0), 0.0),
        (HALF, 0.6 * 0.8),
        (evolve(HALF, rejected=100, skipped=50, unconfirmed=50), 0.6),
        (evolve(HALF, accepted=0, rejected=100, unsent=900), 0.06),
        (evolve(HALF, accepted=1000, bytes_passed=100_001), 1.0),
    ],
    ids=["nothing", "a pipe", "no count", "empty", "unread", "in progress", "all done", "unsent", "it grew"],
)
def test_the_share_counts_what_is_done_of_what_was_read(standing: Standing, share: float | None) -> None:
    assert standing.share == (None if share is None else pytest.approx(share))


def steady(*moments: float, per_s: float = 100.0, share_per_s: float | None = 0.01) -> list[Point]:
    return [Point(s, int(s * per_s), None if share_per_s is None else s * share_per_s) for s in moments]


@pytest.mark.parametrize(
    ("points", "rate"),
    [
        (steady(0.0), 0.0),
        (steady(0.0, 1.0, 2.0), 100.0),
        ([Point(0.0, 0, None), Point(10.0, 9000, None), Point(15.0, 9100, None)], 20.0),
        ([Point(0.0, 0, None), Point(5.1, 510, None)], 100.0),
        ([Point(0.0, 0, None), Point(30.0, 300, None), Point(60.0, 900, None)], 20.0),
        ([*steady(0.0, 1.0), Point(9.0, 100, None)], 0.0),
    ],
    ids=["begin", "steady", "the last seconds", "one old point", "far apart", "standing still"],
)
def test_the_rate_is_of_the_last_seconds(points: Sequence[Point], rate: float) -> None:
    assert records_per_s(points) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (steady(0.0, 1.9), None),
        (steady(0.0, 4.0, share_per_s=0.002), None),
        (steady(0.0, 4.0, share_per_s=None), None),
        (steady(0.0, 20.0), 80.0),
        ([Point(0.0, 0, 0.0), Point(100.0, 0, 0.5), Point(160.0, 0, 0.8)], 40.0),
        ([Point(0.0, 0, 0.5), Point(60.0, 0, 0.5)], None),
        (steady(0.0, 100.0), None),
    ],
    ids=["too early", "too little", "no size", "steady", "the pace of the last minute", "standing still", "done"],
)
def test_the_time_left_is_told_when_there_is_something_to_tell(points: list[Point], expected: float | None) -> None:
    assert left_s(points) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 s"),
        (0.2, "1 s"),
        (10.0, "10 s"),
        (10.1, "15 s"),
        (55.0, "55 s"),
        (56.0, "1 min"),
        (61.0, "2 min"),
        (3540.0, "59 min"),
        (3541.0, "1 h 00 min"),
        (7500.0, "2 h 05 min"),
        (5_000_000.0, "1,388 h 54 min"),
    ],
)
def test_time_left_in_words(seconds: float, words: str) -> None:
    assert left_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.9, "0:00"), (65.0, "1:05"), (3600.0, "1:00:00"), (90_061.0, "25:01:01")]
)
def test_time_gone_by_in_words(seconds: float, words: str) -> None:
    assert clock_words(seconds) == words


def test_a_pace_keeps_a_minute_of_points_whatever_the_import() -> None:
    pace = Pace()
    for tick in range(40_000):
        course = pace.at(evolve(START, elapsed_s=tick / 4, accepted=tick * 25), paused_s=tick / 8)
        assert not tick or course.records_per_s == pytest.approx(100.0)
    kept = max(astuple(pace, recurse=False), key=len)
    assert kept[-1].at_s - kept[0].at_s >= LEFT_OVER_S
    assert len(kept) <= 2 * LEFT_OVER_S + 3


def test_a_pace_begins_anew_with_another_import() -> None:
    pace = Pace()
    pace.at(evolve(START, elapsed_s=50.0, accepted=90_000))
    assert pace.at(evolve(START, elapsed_s=1.0)) == Course(records_per_s=0.0, left_s=None)


def test_a_first_look_already_has_a_pace() -> None:
    first = Pace().at(evolve(HALF, elapsed_s=8.0, accepted=500, bytes_passed=100_000))
    assert first == Course(records_per_s=62.5, left_s=8.0)


def test_the_rate_counts_what_is_refused_and_never_what_is_unsent() -> None:
    pace = Pace()
    pace.at(evolve(START, elapsed_s=0.0))
    assert pace.at(evolve(START, elapsed_s=2.0, accepted=20, rejected=180)).records_per_s == 100.0
    assert pace.at(evolve(START, elapsed_s=4.0, accepted=20, rejected=380, unsent=9000)).records_per_s == 100.0


def shown_left(screen: LiveScreen, glass: Glass, second: int, share: float) -> str:
    """The time left that a screen shows at a second of the import with so much of it done."""
    glass.time.s = 100.0 + second
    screen.show(evolve(HALF, read=1000, accepted=round(1000 * share), bytes_passed=100_000, elapsed_s=float(second)))
    return glass.read()[0].rpartition("%")[2].strip()


def test_the_time_left_holds_what_is_left_of_a_pause_and_is_not_thrown_about_by_it() -> None:
    glass = Glass()
    for second in range(21):
        left = shown_left(glass.live, glass, second, second / 50)
    assert left == "30 s left"
    glass.live.notice(Paused(pause_s=60.0, reason="429"))
    assert [shown_left(glass.live, glass, second, 0.4) for second in (20, 35, 65, 79)] == [
        "2 min left",
        "2 min left",
        "45 s left",
        "35 s left",
    ]
    assert [shown_left(glass.live, glass, 80 + more, (20 + more) / 50) for more in (1, 10, 25)] == [
        "30 s left",
        "20 s left",
        "5 s left",
    ]


def test_short_pauses_that_come_again_are_part_of_the_pace() -> None:
    glass = Glass()
    for second in range(0, 40, 4):
        shown_left(glass.live, glass, second, second / 80)
        shown_left(glass.live, glass, second + 2, (second + 4) / 80)
        glass.live.notice(Paused(pause_s=2.0, reason="429"))
    assert shown_left(glass.live, glass, 40, 0.5) == "40 s left"


def test_what_long_pauses_took_is_counted_once() -> None:
    now = Time()
    trouble = Trouble(now)
    taken = []
    for second, pause_s in ((0, 2.0), (10, 60.0), (20, 50.0), (68, 2.0), (69, 10.0), (100, 3.0)):
        now.s = 100.0 + second
        trouble.notice(Paused(pause_s=pause_s, reason="429"))
        taken.append(trouble.paused_s)
    assert taken == pytest.approx([0.0, 0.0, 10.0, 58.0, 59.0, 69.0])


@pytest.mark.parametrize("ending", [evolve(HALF, is_stopping=True), evolve(HALF, unsent=100)], ids=["Ctrl-C", "failed"])
def test_an_import_that_ends_early_has_no_time_left_and_says_so(ending: Standing) -> None:
    glass, out = Glass(), io.StringIO()
    plain = PlainScreen(Pen(out))
    for screen in (glass.live, plain):
        screen.show(evolve(HALF, read=0, accepted=0, bytes_passed=0, elapsed_s=0.0))
        screen.show(ending)
    assert glass.read()[0].endswith("  48 %  stopping")
    assert out.getvalue().endswith("records/s, 48 %, stopping\n")
    glass.live.show(evolve(ending, size_bytes=None))
    assert glass.read()[0] == "⠹ users  stopping"


def test_a_check_shows_what_it_reads_and_nothing_of_a_platform() -> None:
    glass, out = Glass(), io.StringIO()
    plain = PlainScreen(Pen(out))
    for screen in (glass.live, plain):
        screen.show(evolve(CHECK, read=0, rejected=0, bytes_passed=0, elapsed_s=0.0))
        screen.show(CHECK)
    assert glass.read()[1:] == ["  1,000 read  1,000 with errors", "  250 records/s  0:04"]
    assert glass.read()[0].endswith("  50 %  4 s left")
    assert out.getvalue().splitlines() == [
        "checking users: 0 read, 0 with errors, 0 records/s, 0 %",
        "checking users: 1,000 read, 1,000 with errors, 250 records/s, 50 %, 4 s left",
    ]


def test_a_pause_is_counted_down_and_then_forgotten() -> None:
    now = Time()
    trouble = Trouble(now)
    trouble.notice(BUSY)
    assert trouble.words(0) == "paused, 2.0 s left: 429 Too Many Requests"
    now.s += 1.5
    assert trouble.words(0) == "paused, 0.5 s left: 429 Too Many Requests"
    now.s += 0.6
    assert trouble.words(0) == ""


def test_a_pause_is_only_lengthened_and_hides_failures() -> None:
    now = Time()
    trouble = Trouble(now)
    trouble.notice(Paused(pause_s=30.0, reason="503"))
    trouble.notice(BUSY)
    trouble.notice(LOST)
    assert trouble.words(0).startswith("paused, 30 s left")


def test_a_failure_stands_until_something_is_accepted_again() -> None:
    now = Time()
    trouble = Trouble(now)
    trouble.notice(LOST)
    assert trouble.words(500) == "a request failed, again in 3.0 s: the connection was lost"
    now.s += 4.0
    assert trouble.words(500) == "a request failed, again now: the connection was lost"
    assert trouble.words(501) == ""
    assert trouble.words(501) == ""


def test_a_failure_stays_long_enough_to_be_read() -> None:
    now = Time()
    trouble = Trouble(now)
    trouble.notice(LOST)
    trouble.words(500)
    now.s += 1.0
    assert trouble.words(1000) != ""
    now.s += 1.0
    assert trouble.words(1000) == ""


def test_a_token_that_is_refused_is_told_by_what_follows() -> None:
    trouble, out = Trouble(Time()), io.StringIO()
    screen = PlainScreen(Pen(out))
    trouble.notice(REFUSED)
    assert trouble.words(0) == ""
    screen.notice(REFUSED)
    screen.notice(TokenRenewed(generation=2))
    assert out.getvalue() == "the token was renewed\n"


def test_a_failure_for_good_names_what_the_platform_said() -> None:
    trouble = Trouble(Time())
    trouble.notice(evolve(LOST, detail="HTTP 200, code 400", message="data[3] is refused", retry_in_s=None))
    assert trouble.words(0) == "a request failed for good: HTTP 200, code 400: data[3] is refused"


@pytest.mark.parametrize(
    ("standing", "course", "line"),
    [
        (
            evolve(START, elapsed_s=2.0, read=1200, accepted=1200),
            None,
            "users: 1,200 read, 1,200 accepted, 600 records/s",
        ),
        (START, None, "users: 0 read, 0 accepted, 0 records/s"),
        (
            evolve(HALF, rejected=12, unconfirmed=5, unsent=1, skipped=2, retries=1),
            None,
            "users: 1,000 read, 800 accepted, 12 rejected, 5 unconfirmed, 1 unsent, 2 skipped, 1 retry, 205 records/s",
        ),
        (
            HALF,
            Course(records_per_s=100.4, left_s=61.0),
            "users: 1,000 read, 800 accepted, 100 records/s, 48 %, 2 min left",
        ),
        (HALF, Course(records_per_s=100.4, left_s=None), "users: 1,000 read, 800 accepted, 100 records/s, 48 %"),
        (START, Course(records_per_s=100.4, left_s=None), "users: 0 read, 0 accepted, 100 records/s"),
    ],
    ids=["ended", "nothing", "all counts", "under way", "early", "no size"],
)
def test_a_plain_line(standing: Standing, course: Course | None, line: str) -> None:
    assert plain_line(standing, course) == line


def test_a_plain_screen_tells_notices_as_lines_and_no_flood_of_failures() -> None:
    out, now = io.StringIO(), Time()
    screen = PlainScreen(Pen(out), now)
    screen.notice(TokenRenewed(generation=1))
    screen.notice(LOST)
    for _ in range(100):
        screen.notice(LOST)
    screen.notice(evolve(LOST, reason="server_error", detail="HTTP 500", retry_in_s=0.0))
    now.s += 11
    screen.notice(LOST)
    screen.notice(BUSY)
    screen.notice(evolve(LOST, reason="throttled"))
    screen.notice(TokenRenewed(generation=2))
    screen.notice(SourceAbandoned(waited_s=5.0))
    screen.note("interrupted: waiting")
    screen.show(evolve(START, elapsed_s=5.0))
    screen.close(evolve(START, elapsed_s=6.0, read=2, accepted=2))
    screen.close(evolve(START, elapsed_s=6.0, read=2, accepted=2))
    assert out.getvalue().splitlines() == [
        "a request failed, again in 3.0 s: the connection was lost",
        "a request failed, again now: HTTP 500",
        "a request failed, again in 3.0 s: the connection was lost",
        "paused for 2.0 s: 429 Too Many Requests",
        "the token was renewed",
        "the source was still busy 5 s after the stop and was left behind",
        "interrupted: waiting",
        "users: 0 read, 0 accepted, 0 records/s",
        "users: 2 read, 2 accepted, 0 records/s",
    ]


def test_a_quiet_screen_shows_notes_alone() -> None:
    out = io.StringIO()
    screen = QuietScreen(Pen(out))
    screen.show(HALF)
    screen.notice(BUSY)
    screen.note("interrupted")
    screen.close(HALF)
    assert out.getvalue() == "interrupted\n"


def test_the_live_lines_say_how_far_how_fast_and_how_long() -> None:
    glass = Glass()
    glass.live.show(evolve(HALF, read=0, accepted=0, bytes_passed=0, elapsed_s=0.0))
    glass.live.show(evolve(HALF, rejected=10, retries=2))
    assert glass.read() == [
        f"⠙ users  {'━' * 19}{'─' * 21}  48 %  5 s left",
        "  1,000 read  800 accepted  10 rejected",
        "  202 records/s  8 in flight  2 retries  0:04",
    ]
    assert glass.is_cursor_visible


def test_without_a_size_a_sign_turns_and_no_time_left_is_claimed() -> None:
    glass = Glass()
    heads = []
    for tick in range(3):
        glass.live.show(evolve(START, elapsed_s=tick / 4))
        heads.append(glass.read()[0])
    assert heads == ["⠋ users", "⠙ users", "⠹ users"]


def test_trouble_stands_below_and_goes_away_without_a_trace() -> None:
    glass = Glass()
    glass.live.notice(BUSY)
    glass.live.show(HALF)
    assert glass.read()[3] == "! paused, 2.0 s left: 429 Too Many Requests"
    glass.time.s += 3
    glass.live.show(HALF)
    assert len(glass.read()) == 3


def test_a_note_stays_above_the_live_lines() -> None:
    glass = Glass()
    glass.live.show(START)
    glass.live.notice(TokenRenewed(generation=2))
    glass.live.note("interrupted: waiting")
    glass.live.show(START)
    assert glass.read()[:2] == ["the token was renewed", "interrupted: waiting"]
    assert glass.read()[2].endswith("users")


def test_closing_leaves_nothing_but_notes_and_an_end_that_goes_elsewhere() -> None:
    glass = Glass()
    glass.live.note("to be seen: faults")
    glass.live.show(HALF)
    for _ in range(2):  # the tests' stdout is no terminal, so the report is not seen there
        glass.live.close(HALF)
    assert glass.read() == ["to be seen: faults", "users: 1,000 read, 800 accepted, 200 records/s"]
    assert glass.is_cursor_visible


def test_a_screen_serves_a_second_import_without_the_failure_of_the_first() -> None:
    glass = Glass()
    glass.live.show(HALF)
    glass.live.notice(LOST)
    glass.live.show(HALF)
    glass.live.close(None)
    glass.live.show(evolve(START, label="events"))
    assert glass.read() == ["⠹ events", "  0 read  0 accepted", "  0 records/s  8 in flight  0:00"]


def test_what_stands_above_is_never_touched() -> None:
    glass = Glass(rows=10)
    for number in range(20):
        glass.live.note(f"line {number}")
        glass.live.notice(LOST)
        glass.live.show(HALF)
        glass.time.s += 5
        glass.live.show(evolve(HALF, accepted=801 + number))
    assert [line for line in glass.read() if line.startswith("line")] == [f"line {number}" for number in range(15, 20)]


def test_words_from_outside_are_neither_markup_nor_control_characters() -> None:
    glass = Glass()
    glass.live.notice(Paused(pause_s=2.0, reason="[red]busy[/red] :smile: \x1b[2J\x07 \u202eevil 操作频繁"))
    glass.live.show(START)
    assert glass.read()[3] == "! paused, 2.0 s left: [red]busy[/red] :smile: ?[2J? ?evil 操作频繁"
    assert b"\x1b[2J" not in glass.written


@pytest.mark.parametrize(
    ("text", "fit"), [("a\nb\tc", "a b c"), ("\x1b[31m", "?[31m"), ("张三\u3000丰", "张三 丰"), ("a\x00", "a?")]
)
def test_text_is_made_printable(text: str, fit: str) -> None:
    assert printable(text) == fit


def test_a_terminal_without_the_signs_gets_others() -> None:
    glass = Glass(encoding="ascii")
    glass.live.notice(Paused(pause_s=2.0, reason="操作频繁"))
    glass.live.show(HALF)
    assert glass.read()[0] == f"- users  {'#' * 19}{'-' * 21}  48 %  7 s left"
    assert glass.read()[3] == "! paused, 2.0 s left: ????"


@pytest.mark.parametrize(("color", "colored"), [(None, True), (False, False)])
def test_color_is_left_out_when_asked(color: bool | None, colored: bool) -> None:
    environment = {name: os.environ.pop(name, None) for name in ("NO_COLOR", "TERM", "COLORTERM")}
    os.environ["TERM"] = "xterm-256color"
    try:
        glass = Glass(color=color)
        glass.live.show(evolve(HALF, rejected=1))
        glass.read()
    finally:
        del os.environ["TERM"]
        os.environ.update({name: value for name, value in environment.items() if value is not None})
    assert (b"\x1b[32m" in glass.written) is colored


@pytest.mark.parametrize("width", [10, 25, 40, 80])
def test_packed_spans_keep_to_the_width(width: int) -> None:
    spans = [("1,000 read", ""), ("800 accepted", "bold"), ("12 in flight", ""), ("3", "")]
    lines = packed(spans, width)
    texts = ["".join(text for text, _ in line) for line in lines]
    assert [word for text in texts for word in text.split()] == [word for text, _ in spans for word in text.split()]
    assert all(len(text) <= max(width, 14) for text in texts)


def test_packed_spans_are_measured_in_cells() -> None:
    lines = packed([("张三丰" * 3, ""), ("张三丰" * 2, ""), ("a", "")], 33)
    assert ["".join(text for text, _ in line) for line in lines] == [
        "  张三丰张三丰张三丰",
        "  张三丰张三丰  a",
    ]


class Broken(io.StringIO):
    """A stream whose reader has gone."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, _text: str) -> int:
        self.writes += 1
        raise BrokenPipeError


@pytest.mark.parametrize("kind", ["plain", "live"])
def test_a_gone_stderr_silences_a_screen_for_good(kind: str) -> None:
    stream = Broken()
    screen = PlainScreen(Pen(stream)) if kind == "plain" else LiveScreen(stream, color=None)
    for _ in range(3):
        screen.show(HALF)
        screen.notice(BUSY)
        screen.note("a note")
    screen.close(HALF)
    assert stream.writes <= 2  # a live screen has its own pen


def test_a_closed_stream_silences_a_pen() -> None:
    stream = io.StringIO()
    stream.close()
    pen = Pen(stream)
    pen.line("unheard")
    assert pen == Pen(stream, is_dry=True)


SCRIPT = """
import sys, time
from attrs import evolve
from asyncimport.cli.screen import Standing, open_screen
from asyncimport.observer import Paused
screen = open_screen(quiet="quiet" in sys.argv, color=False if "bare" in sys.argv else None)
standing = Standing(label="users", read=1000, accepted=800, rejected=12, unconfirmed=0, unsent=0, skipped=0,
    in_flight=8, retries=2, elapsed_s=4.0, bytes_passed=60_000, size_bytes=100_000)
print(type(screen).__name__)
screen.note("a note")
screen.notice(Paused(pause_s=60.0, reason="429 Too Many Requests"))
screen.show(standing)
for number, _ in enumerate(sys.stdin, 801):
    screen.show(evolve(standing, accepted=number, elapsed_s=standing.elapsed_s + 1))
screen.close(None)
print("the report")
"""
COMMAND = (sys.executable, "-c", SCRIPT)


@pytest.mark.parametrize("columns", [40, 80, 100])
async def test_the_live_lines_fit_the_terminal_and_leave_no_trace(columns: int) -> None:
    async with Terminal(*COMMAND, columns=columns) as terminal:
        text = await terminal.shows("429")
        assert "800 accepted" in text
        assert all(len(line) < columns for line in terminal.lines)
        assert "\n".join(terminal.lines).count("users") == 1
        terminal.send("\x04")
        assert await terminal.ended() == 0
        assert terminal.lines == ["LiveScreen", "a note", "the report"]
        assert not terminal.screen.cursor.hidden


async def test_a_terminal_that_changes_its_size_is_followed() -> None:
    async with Terminal(*COMMAND, columns=100) as terminal:
        await terminal.shows("429")
        before, live = len(terminal.raw), terminal.lines[-4:]
        terminal.resize(40, 12)
        terminal.send("\n")
        await terminal.shows("801 accepted")
        up = re.search(rb"\x1b\[(\d+)A", terminal.raw[before:])
        assert up is not None
        assert int(up[1]) == sum(ceil(len(line) / 40) for line in live)  # it has broken the former lines in two
        assert all(len(line) < 40 for line in terminal.lines)
        terminal.send("\x04")
        assert await terminal.ended() == 0


async def test_a_terminal_that_becomes_narrower_and_lower_keeps_no_trace() -> None:
    async with Terminal(*COMMAND, columns=100) as terminal:
        await terminal.shows("800 accepted")
        terminal.resize(20, 4)
        for number in range(801, 805):
            terminal.send("\n")
            await terminal.shows(f"{number} accepted")
        assert [line.split()[1] for line in terminal.lines] == ["users", "read", "accepted"]
        assert all(len(line) < 20 for line in terminal.lines)
        terminal.send("\x04")
        assert await terminal.ended() == 0
        assert terminal.lines == ["the report"]


FOLDED = """
import sys
from asyncimport.cli.output import say, tell
words = " ".join(["操作频繁请稍后再试"] * 9)
say("  indented " + words, is_prose=True)
tell("error: " + words + "\\n  - " + words)
"""


@pytest.mark.parametrize("columns", [40, 60, 80])
async def test_prose_is_folded_between_words_by_the_cells_they_take(columns: int) -> None:
    async with Terminal(sys.executable, "-c", FOLDED, columns=columns) as terminal:
        assert await terminal.ended() == 0
        lines = [
            "".join(cell.data for _, cell in sorted(row.items())).rstrip() for row in terminal.screen.buffer.values()
        ]
        words = [word for line in lines for word in line.split()]
        assert set(words) == {"indented", "error:", "-", "操作频繁请稍后再试"}
        assert len(words) == 30


async def test_a_dumb_terminal_gets_plain_lines() -> None:
    async with Terminal(*COMMAND, env={"TERM": "dumb"}) as terminal:
        await terminal.shows("1,000 read, 800 accepted, 12 rejected")
        assert "paused for 60.0 s: 429 Too Many Requests" in terminal.text
        assert b"\x1b" not in terminal.raw


@pytest.mark.parametrize(
    ("arguments", "env", "colored"),
    [([], {}, True), (["bare"], {}, False), ([], {"NO_COLOR": "1"}, False)],
    ids=["by default", "--no-color", "NO_COLOR"],
)
async def test_color_on_a_terminal(arguments: list[str], env: dict[str, str], colored: bool) -> None:
    async with Terminal(*COMMAND, *arguments, env=env) as terminal:
        await terminal.shows("429")
        assert (b"\x1b[32m" in terminal.raw or b"\x1b[1;33m" in terminal.raw) is colored


@pytest.mark.parametrize(("arguments", "kind"), [([], "PlainScreen"), (["quiet"], "QuietScreen")])
def test_elsewhere_lines_are_plain_or_none(arguments: list[str], kind: str) -> None:
    ended = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    assert ended.stdout == f"{kind}\nthe report\n"
    assert "\x1b" not in ended.stderr
    assert ended.stderr.startswith("a note\n")


@pytest.mark.parametrize("redirection", ["2>&-", "2> >(exec true)"])
def test_without_a_reader_of_stderr_the_work_goes_on(redirection: str) -> None:
    lines = "sleep 0.3; printf '\\n%.0s' {1..50}"
    command = f'({lines}) | "$0" -c "$1" {redirection}'
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}", sys.executable, SCRIPT],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "the report")


def test_rich_is_loaded_by_a_live_screen_alone() -> None:
    code = "import sys, asyncimport.cli.screen; print([name for name in sys.modules if name.startswith('rich')])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
