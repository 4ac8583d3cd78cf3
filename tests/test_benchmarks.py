"""The benchmarks measure what they say: the file's rows are the other contenders' records, and a goal missed is told."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import canary
import pytest
from attrs import evolve

from asyncimport.sources import read_csv, read_jsonl, read_parquet
from benchmarks import costs, questions, readme, records, table
from benchmarks.__main__ import is_asked
from benchmarks.meter import Measurement
from benchmarks.questions import QUESTIONS, Answer, Question, Result, Spread, answer, commands
from benchmarks.results import show
from benchmarks.server import Served, lacks, served

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals and wait4")
needs_server = pytest.mark.skipif(lacks() is not None, reason=f"{lacks()} is missing")

NAMED = {question.name: question for question in QUESTIONS}
COMMAND = NAMED["command"]
SMALL = evolve(COMMAND, records=1_200)


def answered(*, ratio: float, peak_rss_mib: float) -> Answer:
    def spread(value: float) -> Spread:
        return Spread.of([value])

    result = partial(
        Result, records_per_s=spread(1.0), peak_rss_mib=spread(peak_rss_mib), frames=spread(1.0), connections=None
    )
    quiet, live = COMMAND.rows
    results = (
        result(row=quiet, value=spread(10.0), compared=None),
        result(row=live, value=spread(10.0 * ratio), compared=spread(ratio)),
    )
    return Answer(question=COMMAND, rounds=1, results=results)


def test_rows_of_the_file_are_the_records_of_the_other_contenders(tmp_path: Path) -> None:
    table.write(tmp_path / "users.csv", 25)
    table.write(tmp_path / "users.jsonl", 25)
    table.write(tmp_path / "users.parquet", 25)
    expected = [records.user_wire(n) for n in range(25)]
    assert list(read_csv(tmp_path / "users.csv")) == list(read_jsonl(tmp_path / "users.jsonl")) == expected
    assert list(read_parquet(tmp_path / "users.parquet")) == expected


@needs_server
def test_quiet_and_live_send_the_same_and_only_live_draws() -> None:
    quiet, live = answer(SMALL, rounds=1).results
    assert quiet.frames == Spread(median=0, low=0, high=0)
    assert live.frames is not None
    assert live.frames.median >= 1
    assert live.compared is not None
    assert live.value.median > 0
    assert quiet.peak_rss_mib.median > 0


@needs_server
def test_the_peak_memory_is_that_of_the_command_and_not_of_who_measures_it() -> None:
    ballast = b"x" * 200 * 2**20
    quiet, live = answer(SMALL, rounds=1).results
    assert max(quiet.peak_rss_mib.high, live.peak_rss_mib.high) < len(ballast) / 2**20


def test_a_command_that_fails_is_told_with_what_it_wrote() -> None:
    nowhere = Served(99_999, Path())
    with commands(10, nowhere) as run, canary.raises(RuntimeError, match="quiet ended with 2:(.|\n)*the base URL"):
        run("quiet")


@pytest.mark.parametrize(
    ("ratio", "peak_rss_mib", "holds"),
    [
        pytest.param(1.1, 80.0, [True, True], id="both at their bound"),
        pytest.param(1.11, 60.0, [True, False], id="live is too dear"),
        pytest.param(0.9, 81.0, [False, False], id="too much memory"),
    ],
)
def test_either_goal_missed_is_a_miss(ratio: float, peak_rss_mib: float, holds: list[bool]) -> None:
    assert [result.holds for result in answered(ratio=ratio, peak_rss_mib=peak_rss_mib).results] == holds


def test_the_table_shows_goals_and_frames(capsys: pytest.CaptureFixture[str]) -> None:
    show(answered(ratio=1.25, peak_rss_mib=60.0))
    *_, live = capsys.readouterr().out.splitlines()
    assert "<= 1.1, <= 80 MiB  FAIL  1 frames" in live


@needs_server
def test_no_round_is_begun_that_would_end_too_late() -> None:
    def measured(name: str) -> Measurement:
        return Measurement(contender=name, records=1, cpu_us_per_record=1.0, records_per_s=1.0, peak_rss_mib=1.0)

    def rounds(question: Question) -> int:
        with served(0.0) as server:
            return len(list(questions._rounds(question, server, measured, 3)))

    assert rounds(evolve(COMMAND, at_most_s=0.0)) == 1
    assert rounds(COMMAND) == 3


def test_the_readme_tells_the_range_and_the_larger_peak() -> None:
    ratio = {"median": 1.02, "low": 0.97, "high": 1.05}
    stored = {
        "records": 1_000_000,
        "rows": [
            {"contender": "quiet", "peak_rss_mib": {"median": 58.0}, "ratio": None},
            {"contender": "live", "peak_rss_mib": {"median": 57.0}, "ratio": ratio},
        ],
    }
    said = "Live lines cost 2 % CPU (-3 to 5) on 1,000,000 CSV rows; peak RSS 58 MiB."
    assert readme._live_lines(stored) == said


@needs_server
def test_with_and_without_a_journal_the_same_is_sent() -> None:
    asked = answer(evolve(NAMED["journal"], records=1_200), rounds=1)
    compared = {result.row.contender: result.compared for result in asked.results}
    assert [name for name, ratio in compared.items() if ratio is not None] == [
        "typed_journal",
        "events_journal",
    ]


@needs_server
def test_a_journal_is_no_larger_when_it_is_closed() -> None:
    closed, still_open = answer(evolve(NAMED["journal_size"], records=300), rounds=1).results
    assert 0 < closed.value.median <= still_open.value.median


@needs_server
def test_a_journal_that_is_opened_has_the_batches_it_was_made_of() -> None:
    (known,) = answer(evolve(NAMED["journal_open"], records=300), rounds=2).results
    assert 0 < known.value.low <= known.value.high
    assert known.holds


def test_a_difference_is_held_against_its_goal() -> None:
    def measured(stall_ms: float) -> Measurement:
        return Measurement(
            contender="any", records=1, cpu_us_per_record=1.0, records_per_s=1.0, peak_rss_mib=1.0, stall_ms=stall_ms
        )

    lag = NAMED["journal_lag"]
    rounds = [
        {"events_typed": measured(90.0), "events_slow_disk": measured(90.0 + more)} for more in (-5.0, 19.0, 21.0)
    ]
    slow = questions._result(lag.rows[1], lag, rounds)
    assert slow.compared == Spread(median=19.0, low=-5.0, high=21.0)
    assert slow.holds


def test_a_name_stands_for_the_questions_named_after_it() -> None:
    assert [name for name in NAMED if is_asked(name, "journal_size")] == ["journal_size"]
    assert len([name for name in NAMED if is_asked(name, "journal")]) == 6
    assert [name for name in NAMED if is_asked(name, "latency")] == ["latency", "latency_100"]


def test_what_is_not_installed_is_named() -> None:
    assert evolve(COMMAND, needs="no-such-program").lacks == "no-such-program"
    assert COMMAND.lacks == lacks()


@needs_server
@pytest.mark.parametrize("name", ["cpu", "generator", "latency", "connections", "loop", "uvloop"])
def test_all_contenders_of_a_question_send_the_same(name: str) -> None:
    asked = answer(evolve(NAMED[name], records=3_000), rounds=1)
    assert all(result.value.median > 0 for result in asked.results)
    assert all(result.connections is not None for result in asked.results)


@needs_server
def test_connections_are_counted_by_the_server() -> None:
    raw, typed = answer(evolve(NAMED["connections"], records=12_000), rounds=1).results
    assert raw.value.median == typed.value.median == questions.WIDTH


@needs_server
def test_memory_is_looked_at_from_record_200_000_on() -> None:
    (watched,) = answer(evolve(NAMED["memory"], records=310_000), rounds=1).results
    assert watched.value.median >= 0


@needs_server
def test_an_import_takes_longer_than_none() -> None:
    aiohttp, *ours = answer(NAMED["start"], rounds=1).results
    assert aiohttp.value.median > 10
    assert [result.compared is not None for result in ours] == [True, True, True]


def test_the_readme_tells_of_the_dearer_journal() -> None:
    def spread(median: float) -> dict[str, float]:
        return {"median": median, "low": median - 0.05, "high": median + 0.05}

    journal = {
        "rows": [
            {"contender": "typed_journal", "ratio": spread(1.08)},
            {"contender": "events_journal", "ratio": spread(1.12)},
        ]
    }
    assert readme._journal_line(journal) == "A journal costs 12 % CPU (7 to 17)."


def test_a_cost_that_misses_its_goal_is_bold() -> None:
    spread = {"median": 3.4, "low": 2.0, "high": 4.0}
    row: dict[str, Any] = {"contender": "typed", "cpu_us_per_record": spread, "ratio": spread, "compared_with": "raw"}
    row |= {"peak_rss_mib": spread, "goal": "<= 3", "peak_rss_goal_mib": None, "holds": False}
    stored = {"asks": "How?", "metric": "cpu_us_per_record", "records": 1_000, "rounds": 3, "rows": [row]}
    *_, line, _ = costs._table(stored)
    assert line == "| `typed` | 3.4 (2 to 4) | 3.4 (2 to 4) | `raw` | 3 | **<= 3, missed** |"
