"""The questions, as a table, and how one is answered: rounds of fresh processes, ratios within a round, medians over them."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from operator import sub, truediv
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, Literal

from attrs import evolve, frozen

from benchmarks import server as servers
from benchmarks.meter import Measurement
from benchmarks.server import Served, served

_ROOT: Final = Path(__file__).parent.parent
#: A contender takes about two seconds, a command fifteen, ten million records two minutes; this bounds one that hangs.
_TIMEOUT_S: Final = 300
WIDTH: Final = 8
#: Each takes 5 s longer before it begins, as on a disk that hangs.
_SLOW_SYNC: Final = ("-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:delay_enter=5000000")

#: Runs a contender by its name, in a fresh process.
Run = Callable[[str], Measurement]


@frozen(kw_only=True)
class Goal:
    """A bound on the median of a row: of how it compares where it is compared, else of its value."""

    at_most: float | None = None
    at_least: float | None = None

    def holds(self, value: float) -> bool:
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def __str__(self) -> str:
        return f"<= {self.at_most:g}" if self.at_most is not None else f">= {self.at_least:g}"


@frozen(kw_only=True)
class Row:
    """A contender, the one it is compared with (None: with nobody), and what is asked of it (None: nothing)."""

    contender: str
    raw: str | None = None
    goal: Goal | None = None
    peak_rss_goal_mib: Goal | None = None
    #: Whether it writes JSON its own way: then only requests are compared.
    has_own_json: bool = False


@contextmanager
def contenders(records: int, server: Served, *, heartbeat: bool = False, files: Sequence[str] = ()) -> Iterator[Run]:
    """What runs a contender of `contender.py`; the files of so many users are there for the length of the block."""
    given = ["--url", server.url, "--records", str(records), "--width", str(WIDTH), *["--heartbeat"] * heartbeat]
    with TemporaryDirectory() as folder:
        for file in files:
            printed("benchmarks.table", f"{folder}/{file}", "--records", str(records))
        given += ["--folder", folder]
        yield lambda name: Measurement(**json.loads(printed("benchmarks.contender", name, *given)))


@contextmanager
def imports(_records: int, _server: Served) -> Iterator[Run]:
    """What times an import statement of `importing.py`."""
    yield lambda name: Measurement(**json.loads(printed("benchmarks.importing", name)))


@contextmanager
def commands(records: int, server: Served) -> Iterator[Run]:
    """What runs a command of `command.py`, on a file that is there for the length of the block."""
    with TemporaryDirectory() as folder:
        file = f"{folder}/users.csv"
        printed("benchmarks.table", file, "--records", str(records))
        given = ["--url", server.url, "--file", file, "--records", str(records)]
        yield lambda name: Measurement(**json.loads(printed("benchmarks.command", name, *given)))


@contextmanager
def on_slow_disk(records: int, server: Served) -> Iterator[Run]:
    """The same with a heartbeat, where each fsync takes 5 s; the contender in whose name there is a disk must ask for some."""
    given = ["--url", server.url, "--records", str(records), "--width", str(WIDTH), "--heartbeat"]
    with TemporaryDirectory() as folder:
        calls = Path(folder) / "calls"
        within = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "signal=none", "-o", f"{calls}", *_SLOW_SYNC]

        def run(name: str) -> Measurement:
            measured = Measurement(**json.loads(printed("benchmarks.contender", name, *given, within=within)))
            if ("DELAYED" in calls.read_text(encoding="utf-8")) != ("disk" in name):
                raise RuntimeError(
                    f"{name} waited for no disk, or for one it should not know: the comparison says nothing"
                )
            return measured

        yield run


@contextmanager
def journals(records: int, server: Served) -> Iterator[Run]:
    """What runs an import of `journal.py` and looks at the size of its journal."""
    given = ["--url", server.url, "--records", str(records), "--width", str(WIDTH)]
    yield lambda name: Measurement(**json.loads(printed("benchmarks.journal", name, *given)))


@contextmanager
def known_journals(batches: int, _server: Served) -> Iterator[Run]:
    """What opens a journal of so many batches, which is there for the length of the block."""
    with TemporaryDirectory() as folder:
        given = ["--file", f"{folder}/journal", "--batches", str(batches)]
        printed("benchmarks.journal", "made", *given)
        yield lambda name: Measurement(**json.loads(printed("benchmarks.journal", name, *given)))


def printed(module: str, *arguments: str, within: Sequence[str] = ()) -> str:
    """What a module prints that runs in a fresh process, inside another command or by itself.

    Raises:
        RuntimeError: it failed.
    """
    command = [*within, sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{module} {arguments[0]} failed:\n{done.stderr}")
    return done.stdout


@frozen(kw_only=True)
class Question:
    """What is asked, of whom, and under which circumstances. `metric` is a field of `Measurement`.

    `runner` takes the number of records (of batches, where a journal is only opened) and the server. Rounds beyond
    `at_most_s` are not begun.
    """

    name: str
    asks: str
    metric: str
    records: int
    rows: tuple[Row, ...]
    delay_ms: float = 0.0
    runner: Callable[[int, Served], AbstractContextManager[Run]] = contenders
    at_most_s: float = float("inf")
    rounds: int = 5
    #: Whether it is asked only by name, or with `--all`.
    is_long: bool = False
    #: How a row compares with the one it names.
    compares: Literal["ratio", "difference"] = "ratio"
    #: A program without which there is no answer.
    needs: str | None = None

    @property
    def lacks(self) -> str | None:
        """What it needs and is not installed."""
        needed = self.needs if self.needs is not None and shutil.which(self.needs) is None else None
        return needed or servers.lacks()


@frozen(kw_only=True)
class Spread:
    """One number over all rounds."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> "Spread":
        return Spread(median=median(values), low=min(values), high=max(values))

    @staticmethod
    def over(values: Sequence[float | None]) -> "Spread | None":
        """The same of what some contenders do not have."""
        there = [value for value in values if value is not None]
        return Spread.of(there) if there else None


@frozen(kw_only=True)
class Result:
    """A row answered. `compared` is over runs of the same round; `holds` is None where nothing is asked."""

    row: Row
    value: Spread
    compared: Spread | None
    records_per_s: Spread
    peak_rss_mib: Spread
    frames: Spread | None
    connections: Spread | None

    @property
    def holds(self) -> bool | None:
        asked = (
            (self.row.goal, (self.compared or self.value).median),
            (self.row.peak_rss_goal_mib, self.peak_rss_mib.median),
        )
        held = [goal.holds(value) for goal, value in asked if goal is not None]
        return all(held) if held else None


@frozen(kw_only=True)
class Answer:
    """A question answered, over so many rounds."""

    question: Question
    rounds: int
    results: tuple[Result, ...]


_PEAK_RSS_MIB: Final = Goal(at_most=80.0)
QUESTIONS: Final = (
    Question(
        name="cpu",
        asks="How much CPU does an import take per record, against a raw loop?",
        metric="cpu_us_per_record",
        records=40_000,
        rounds=4,
        runner=partial(contenders, files=("users.csv", "users.jsonl", "users.parquet")),
        rows=(
            Row(contender="raw"),
            Row(contender="naive", raw="raw", has_own_json=True),
            Row(contender="typed", raw="raw", goal=Goal(at_most=3.0)),
            Row(contender="mapping_wire", raw="raw", goal=Goal(at_most=3.0)),
            Row(contender="mapping_python", raw="raw", goal=Goal(at_most=3.5)),
            Row(contender="csv", raw="raw"),
            Row(contender="jsonl", raw="raw"),
            Row(contender="parquet", raw="raw"),
            Row(contender="pandas", raw="raw"),
            Row(contender="raw_events"),
            Row(contender="events_typed", raw="raw_events", goal=Goal(at_most=3.0)),
            Row(contender="events_wire", raw="raw_events", goal=Goal(at_most=3.0)),
        ),
    ),
    Question(
        name="generator",
        asks="And when a generator makes the records meanwhile, the making counted in?",
        metric="cpu_us_per_record",
        records=40_000,
        rounds=2,
        rows=(
            Row(contender="raw_generator"),
            Row(contender="mapping_generator", raw="raw_generator"),
            Row(contender="typed_generator", raw="raw_generator"),
            Row(contender="build_mapping", raw="raw_generator"),
            Row(contender="build_typed", raw="raw_generator"),
        ),
    ),
    Question(
        name="latency",
        asks="How many records a second reach a server that takes 20 ms, against a raw loop of width 8?",
        metric="records_per_s",
        records=200_000,
        rounds=3,
        delay_ms=20.0,
        rows=(
            Row(contender="raw"),
            Row(contender="naive", raw="raw", has_own_json=True),
            Row(contender="typed", raw="raw", goal=Goal(at_least=0.95)),
            Row(contender="typed_default", raw="raw"),
        ),
    ),
    Question(
        name="latency_100",
        asks="And one that takes 100 ms?",
        metric="records_per_s",
        records=100_000,
        rounds=2,
        delay_ms=100.0,
        rows=(
            Row(contender="raw"),
            Row(contender="typed", raw="raw", goal=Goal(at_least=0.95)),
            Row(contender="typed_default", raw="raw"),
        ),
    ),
    Question(
        name="connections",
        asks="How many connections does an import of 400 batches at width 8 open?",
        metric="connections",
        records=200_000,
        rounds=1,
        rows=(Row(contender="raw"), Row(contender="typed", goal=Goal(at_most=float(WIDTH)))),
    ),
    Question(
        name="loop",
        asks="How long does an import keep the event loop from others at worst, in milliseconds?",
        metric="busy_stall_ms",
        records=100_000,
        rounds=3,
        runner=partial(contenders, heartbeat=True),
        rows=(Row(contender="raw"), Row(contender="naive"), Row(contender="typed", goal=Goal(at_most=20.0))),
    ),
    Question(
        name="uvloop",
        asks="How much CPU does an import take per record on uvloop, against the same on asyncio's own loop?",
        metric="cpu_us_per_record",
        records=40_000,
        rounds=2,
        rows=(
            Row(contender="raw"),
            Row(contender="raw_uvloop", raw="raw"),
            Row(contender="typed"),
            Row(contender="typed_uvloop", raw="typed"),
        ),
    ),
    Question(
        name="start",
        asks="How many milliseconds does the import of asyncimport take, against that of aiohttp alone?",
        metric="import_ms",
        records=1,
        rounds=1,
        runner=imports,
        rows=(
            Row(contender="aiohttp"),
            Row(contender="asyncimport", raw="aiohttp", goal=Goal(at_most=1.3)),
            Row(contender="client", raw="aiohttp"),
            Row(contender="help", raw="aiohttp"),
        ),
    ),
    Question(
        name="memory",
        asks="How many MiB more are resident at worst from record 200,000 to 2,000,000 than at record 200,000?",
        metric="rss_growth_mib",
        records=2_000_000,
        rounds=1,
        delay_ms=50.0,
        rows=(Row(contender="watched", goal=Goal(at_most=4.0), peak_rss_goal_mib=_PEAK_RSS_MIB),),
    ),
    Question(
        name="files",
        is_long=True,
        asks="How much CPU does an import of 1,000,000 rows take per record, and how many MiB are resident at most?",
        metric="cpu_us_per_record",
        records=1_000_000,
        rounds=1,
        runner=partial(contenders, files=("users.csv", "users.jsonl", "users.parquet")),
        rows=(
            Row(contender="csv", peak_rss_goal_mib=_PEAK_RSS_MIB),
            Row(contender="jsonl", peak_rss_goal_mib=_PEAK_RSS_MIB),
            Row(contender="parquet", raw="csv", peak_rss_goal_mib=Goal(at_most=300.0)),
            Row(contender="pandas", raw="csv"),
        ),
    ),
    Question(
        name="memory_long",
        is_long=True,
        asks="And to record 10,000,000?",
        metric="rss_growth_mib",
        records=10_000_000,
        rounds=1,
        rows=(Row(contender="watched", goal=Goal(at_most=4.0), peak_rss_goal_mib=_PEAK_RSS_MIB),),
    ),
    Question(
        name="journal_spool",
        is_long=True,
        asks="And with a spool, which has every record on disk before it counts as read?",
        metric="cpu_us_per_record",
        records=40_000,
        rounds=3,
        rows=(Row(contender="events_typed"), Row(contender="events_spool", raw="events_typed")),
    ),
    Question(
        name="command",
        is_long=True,
        asks="How much CPU do the command's live lines cost on a CSV file, against --quiet?",
        metric="cpu_us_per_record",
        records=1_000_000,
        runner=commands,
        at_most_s=180.0,
        rows=(
            Row(contender="quiet", peak_rss_goal_mib=_PEAK_RSS_MIB),
            Row(contender="live", raw="quiet", goal=Goal(at_most=1.1), peak_rss_goal_mib=_PEAK_RSS_MIB),
        ),
    ),
    Question(
        name="journal",
        asks="How much CPU does an import with a journal take per record, against the same without?",
        metric="cpu_us_per_record",
        rounds=3,
        records=40_000,
        rows=(
            Row(contender="typed"),
            Row(contender="typed_journal", raw="typed", goal=Goal(at_most=1.15)),
            Row(contender="events_typed"),
            Row(contender="events_journal", raw="events_typed", goal=Goal(at_most=1.15)),
        ),
    ),
    Question(
        name="journal_latency",
        is_long=True,
        asks="How many records a second reach a server that takes 20 ms with a journal, against the same without?",
        metric="records_per_s",
        records=100_000,
        delay_ms=20.0,
        rows=(
            Row(contender="events_typed"),
            Row(contender="events_journal", raw="events_typed"),
            Row(contender="events_spool", raw="events_typed"),
        ),
    ),
    Question(
        name="journal_size",
        is_long=True,
        asks="How many kilobytes does a journal of 2,000 batches take, when it is closed and at most while it is open?",
        metric="journal_kb",
        records=20_000,
        runner=journals,
        rows=(Row(contender="closed", goal=Goal(at_most=1_000.0)), Row(contender="open")),
    ),
    Question(
        name="journal_open",
        is_long=True,
        asks="How many seconds does it take to open a journal of 1,000,000 batches?",
        metric="open_s",
        records=1_000_000,
        runner=known_journals,
        rows=(Row(contender="known", goal=Goal(at_most=2.0)),),
    ),
    Question(
        name="journal_lag",
        is_long=True,
        asks="How many milliseconds later is the event loop at worst, when each fsync of its journal takes 5 s?",
        metric="stall_ms",
        records=100_000,
        runner=on_slow_disk,
        at_most_s=500.0,
        compares="difference",
        needs="strace",
        rows=(
            Row(contender="events_typed"),
            Row(contender="events_slow_disk", raw="events_typed", goal=Goal(at_most=20.0)),
        ),
    ),
)


def answer(question: Question, rounds: int) -> Answer:
    """Run every contender once a round, in another order each time, so that the machine's noise falls on all.

    Raises:
        RuntimeError: a contender failed, or two that are compared did not send the same.
    """
    with served(question.delay_ms) as server, question.runner(question.records, server) as run:
        runs = list(_rounds(question, server, run, rounds))
    results = tuple(_result(row, question, runs) for row in question.rows)
    return Answer(question=question, rounds=len(runs), results=results)


def _rounds(question: Question, server: Served, run: Run, rounds: int) -> Iterator[dict[str, Measurement]]:
    """At least one round; no further one when the last says that it would end too late."""
    ends_at = time.monotonic() + question.at_most_s
    for number in range(rounds):
        started_at = time.monotonic()
        yield dict(_round(question, server, run, number))
        now = time.monotonic()
        if now + (now - started_at) > ends_at:
            return


def _round(question: Question, server: Served, run: Run, number: int) -> Iterator[tuple[str, Measurement]]:
    sent = {}
    turn = number % len(question.rows)
    for row in question.rows[turn:] + question.rows[:turn]:
        measured = run(row.contender)
        sent[row.contender] = server.counts()
        yield row.contender, evolve(measured, connections=sent[row.contender].connections)
    for row in question.rows:
        if row.raw is None or not sent[row.contender].requests:
            continue
        ours, theirs = sent[row.contender], sent[row.raw]
        if ours.requests != theirs.requests or (ours != theirs and not row.has_own_json):
            raise RuntimeError(f"{row.contender} sent {ours}, {row.raw} {theirs}")


def _result(row: Row, question: Question, runs: Sequence[dict[str, Measurement]]) -> Result:
    def over_rounds(contender: str, name: str) -> list[float]:
        return [getattr(run[contender], name) for run in runs]

    values = over_rounds(row.contender, question.metric)
    compared = None
    if row.raw is not None:
        compare = truediv if question.compares == "ratio" else sub
        compared = Spread.of(list(map(compare, values, over_rounds(row.raw, question.metric))))
    return Result(
        row=row,
        value=Spread.of(values),
        compared=compared,
        records_per_s=Spread.of(over_rounds(row.contender, "records_per_s")),
        peak_rss_mib=Spread.of(over_rounds(row.contender, "peak_rss_mib")),
        frames=Spread.over([run[row.contender].frames for run in runs]),
        connections=Spread.over([run[row.contender].connections for run in runs]),
    )
