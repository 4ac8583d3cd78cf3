"""The benchmarks measure what they say: the file's rows are the other contenders' records, and a goal missed is told."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import canary
import pytest
from attrs import evolve

from asyncimport.sources import read_csv
from benchmarks import questions, readme, records, table
from benchmarks.meter import Measurement
from benchmarks.questions import QUESTIONS, Answer, Question, Result, Spread, answer, commands
from benchmarks.results import show
from benchmarks.server import Served, served

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals and wait4")

COMMAND = next(question for question in QUESTIONS if question.name == "command")
SMALL = evolve(COMMAND, records=1_200)


def answered(*, ratio: float, peak_rss_mib: float) -> Answer:
    def spread(value: float) -> Spread:
        return Spread.of([value])

    result = partial(Result, records_per_s=spread(1.0), peak_rss_mib=spread(peak_rss_mib), frames=spread(1.0))
    quiet, live = COMMAND.rows
    results = (
        result(row=quiet, value=spread(10.0), ratio=None),
        result(row=live, value=spread(10.0 * ratio), ratio=spread(ratio)),
    )
    return Answer(question=COMMAND, rounds=1, results=results)


def test_rows_of_the_file_are_the_records_of_the_other_contenders(tmp_path: Path) -> None:
    table.write(tmp_path / "users.csv", 25)
    assert list(read_csv(tmp_path / "users.csv")) == [records.user_wire(n) for n in range(25)]


def test_quiet_and_live_send_the_same_and_only_live_draws() -> None:
    quiet, live = answer(SMALL, rounds=1).results
    assert quiet.frames == Spread(median=0, low=0, high=0)
    assert live.frames is not None
    assert live.frames.median >= 1
    assert live.ratio is not None
    assert live.value.median > 0
    assert quiet.peak_rss_mib.median > 0


def test_the_peak_memory_is_that_of_the_command_and_not_of_who_measures_it() -> None:
    ballast = b"x" * 200 * 2**20
    quiet, live = answer(SMALL, rounds=1).results
    assert max(quiet.peak_rss_mib.high, live.peak_rss_mib.high) < len(ballast) / 2**20


def test_a_command_that_fails_is_told_with_what_it_wrote() -> None:
    nowhere = Served(99_999)
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
    said = "Progress on a terminal costs 2 % CPU (-3 to 5) on 1,000,000 CSV rows; peak RSS 58 MiB."
    assert readme._live_lines(stored) == said
