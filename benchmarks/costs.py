"""The tables of `docs/performance.md` that say what an import costs, made from `results/<question>.json`."""

import json
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.questions import QUESTIONS
from benchmarks.results import FOLDER

#: Metrics in a reader's words.
_UNITS: Final = {
    "cpu_us_per_record": "CPU, µs a record",
    "records_per_s": "records/s",
    "busy_stall_ms": "stall, ms",
    "stall_ms": "stall, ms",
    "rss_growth_mib": "growth, MiB",
    "connections": "connections",
    "import_ms": "ms",
    "journal_kb": "kB",
    "open_s": "s",
}


def tables() -> str:
    """One table for each question that has been asked; what misses its goal is in bold."""
    there = [question.name for question in QUESTIONS if (FOLDER / f"{question.name}.json").exists()]
    return "\n".join(
        line for name in there for line in _table(json.loads((FOLDER / f"{name}.json").read_text("utf-8")))
    )


def _table(stored: dict[str, Any]) -> Iterator[str]:
    metric, how = stored["metric"], "difference" if "difference" in stored["rows"][0] else "ratio"
    yield f"**{stored['asks']}** ({stored['records']:,} records, {stored['rounds']} rounds)"
    yield ""
    yield f"| contender | {_UNITS[metric]} (range) | {how} (range) | to | peak MiB | goal |"
    yield "|---|---|---|---|---|---|"
    for row in stored["rows"]:
        compared = row[how]
        cells = [f"`{row['contender']}`", _spread(row[metric]), "" if compared is None else _spread(compared)]
        cells += [f"`{row['compared_with']}`" if row["compared_with"] else "", f"{row['peak_rss_mib']['median']:.0f}"]
        goals = ", ".join(filter(None, [row["goal"], row["peak_rss_goal_mib"] and f"{row['peak_rss_goal_mib']} MiB"]))
        cells.append(f"**{goals}, missed**" if row["holds"] is False else goals)
        yield f"| {' | '.join(cells)} |"
    yield ""


def _spread(found: dict[str, float]) -> str:
    median, low, high = (_number(found[name]) for name in ("median", "low", "high"))
    return median if low == high else f"{median} ({low} to {high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"  # noqa: PLR2004 -- from here on the fraction says nothing
