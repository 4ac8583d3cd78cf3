"""Answers on disk and on the screen: `results/<question>.json`, and a table with pass or fail."""

import json
import os
import platform
import sqlite3
import sys
import sysconfig
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from attrs import asdict

from benchmarks.questions import WIDTH, Answer, Question, Result, Row, Spread

FOLDER: Final = Path(__file__).parent / "results"
_PACKAGES: Final = ("asyncimport", "aiohttp", "attrs", "msgspec", "orjson", "rich", "typer", "uvloop")
_VERDICTS: Final = {True: "pass", False: "FAIL", None: ""}


def store(answer: Answer) -> None:
    """Write the answer to a question; it names versions and the kind of machine, never the machine."""
    question = answer.question
    stored = {
        "question": question.name,
        "asks": question.asks,
        "metric": question.metric,
        "records": question.records,
        "rounds": answer.rounds,
        "width": WIDTH,
        "server_delay_ms": question.delay_ms,
        "environment": environment(),
        "rows": [_row(result, question) for result in answer.results],
    }
    write(question.name, stored)


def write(name: str, stored: dict[str, Any]) -> None:
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(stored, indent=2, ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def environment(packages: Iterable[str] = _PACKAGES) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{package: version(package) for package in packages},
        "system": sys.platform,
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        #: Whether the interpreter was built by its own profile: one that was not takes about twice the CPU for Python code.
        "optimized_python": "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
    }


def _row(result: Result, question: Question) -> dict[str, Any]:
    goal = result.row.goal
    spreads = {
        question.metric: result.value,
        "records_per_s": result.records_per_s,
        "peak_rss_mib": result.peak_rss_mib,
    }
    spreads |= {} if result.frames is None else {"frames": result.frames}
    spreads |= {} if result.connections is None else {"connections": result.connections}
    rss_goal = result.row.peak_rss_goal_mib
    return {
        "contender": result.row.contender,
        **{name: rounded(spread) for name, spread in spreads.items()},
        "compared_with": result.row.raw,
        question.compares: None if result.compared is None else rounded(result.compared),
        "goal": None if goal is None else str(goal),
        "peak_rss_goal_mib": None if rss_goal is None else str(rss_goal),
        "holds": result.holds,
    }


def rounded(spread: Spread) -> dict[str, float]:
    """Four digits: more would be noise in every comparison of two commits."""
    return {name: float(f"{value:.4g}") for name, value in asdict(spread).items()}


def show(answer: Answer) -> None:
    """Print the answer to a question."""
    question = answer.question
    print(f"\n{question.name}: {question.asks} ({answer.rounds} rounds)")
    print(f"  {'contender':<16}{question.metric:>32}{question.compares:>24}{'records/s':>12}{'MiB':>7}{'goals':>18}")
    for result in answer.results:
        compared = "" if result.compared is None else shown(result.compared)
        goals = _goals(result.row)
        frames = "" if result.frames is None else f"  {result.frames.median:.0f} frames"
        print(
            f"  {result.row.contender:<16}{shown(result.value):>32}{compared:>24}"
            f"{result.records_per_s.median:>12,.0f}{result.peak_rss_mib.median:>7.0f}{goals:>18}  {_VERDICTS[result.holds]}{frames}"
        )


def _goals(row: Row) -> str:
    rss = "" if row.peak_rss_goal_mib is None else f"{row.peak_rss_goal_mib} MiB"
    return ", ".join(filter(None, ["" if row.goal is None else str(row.goal), rss]))


def shown(spread: Spread) -> str:
    digits = 0 if spread.median >= 1_000 else 2  # noqa: PLR2004 -- from here on the fraction says nothing
    return f"{spread.median:,.{digits}f} ({spread.low:,.{digits}f}-{spread.high:,.{digits}f})"
