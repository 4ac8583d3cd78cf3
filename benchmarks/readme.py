"""The README's table of numbers, made from `benchmarks/results/*.json`: `python -m benchmarks.readme` writes it."""

import json
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

from benchmarks import pages

HERE: Final = Path(__file__).parent
README: Final = HERE.parent / "README.md"

#: What a contender is, in a reader's words.
NAMES: Final = {
    "typed": "`UserProfile`",
    "mapping_wire": "users, dicts with the platform's names",
    "mapping_python": "users, dicts with Python's names",
    "csv": "users from a CSV file",
    "jsonl": "users from a JSON Lines file",
    "parquet": "users from a Parquet file",
    "pandas": "users from a pandas frame",
    "events_typed": "`Event`",
    "events_wire": "events, dicts with the platform's names",
}
_WIDTH: Final = 146


def table() -> str:
    """The numbers and how they were measured."""
    cpu, latency, far, loop, memory, files, command, journal = (
        _results(name)
        for name in ("cpu", "latency", "latency_100", "loop", "memory_long", "files", "command", "journal")
    )
    versions = cpu["environment"]
    how = (
        f"Records of about 400 bytes, width {cpu['width']}, nginx in another process, medians of {cpu['rounds']} processes each; "
        f"Python {versions['python']}, aiohttp {versions['aiohttp']}, {versions['cpus']} shared cores. The raw loop is aiohttp and "
        "`orjson.dumps` of ready dicts, nothing checked. Compare ratios (`make bench`); [more](docs/performance.md), [peers](docs/peers.md)."
    )
    lines = [
        *_folded(how),
        "",
        "| records | CPU a record | of the raw loop | ratio |",
        "|---|---|---|---|",
        *_rows(cpu["rows"]),
        "",
        *_folded(
            _at(latency, far),
            _stall(loop),
            _memory(memory),
            _files(files),
            _live_lines(command),
            _journal_line(journal),
        ),
    ]
    return "\n".join(lines) + "\n"


def _folded(*sentences: str) -> list[str]:
    return wrap(" ".join(sentences), _WIDTH, break_long_words=False, break_on_hyphens=False)


def _results(question: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((HERE / "results" / f"{question}.json").read_text(encoding="utf-8"))
    return results


def _rows(rows: list[dict[str, Any]]) -> Iterator[str]:
    """One line for each of ours, beside the raw loop that it is compared with."""
    by_name = {row["contender"]: row for row in rows}
    for row in rows:
        if row["contender"] in NAMES:
            costs, raw = (found["cpu_us_per_record"]["median"] for found in (row, by_name[row["compared_with"]]))
            ratio = "{median:.1f} ({low:.1f}-{high:.1f})".format(**row["ratio"])
            yield f"| {NAMES[row['contender']]} | {costs:.1f} µs | {raw:.1f} µs | {ratio} |"


def _at(*latencies: dict[str, Any]) -> str:
    """How it keeps up with the raw loop, at the same width and at the width that is found."""
    told = []
    for latency in latencies:
        ratios = {row["contender"]: row["ratio"]["median"] for row in latency["rows"] if row["ratio"] is not None}
        told.append(
            f"{ratios['typed']:.2f} x at {latency['server_delay_ms']:.0f} ms ({ratios['typed_default']:.2f} x at the width found)"
        )
    return f"Of the raw loop's records/s it reaches {', '.join(told)}."


def _stall(loop: dict[str, Any]) -> str:
    (ours,) = (row for row in loop["rows"] if row["contender"] == "typed")
    return f"It kept the event loop for {ours['busy_stall_ms']['median']:.0f} ms at most."


def _memory(memory: dict[str, Any]) -> str:
    (row,) = memory["rows"]
    return f"Memory grew by {row['rss_growth_mib']['median']:.1f} MiB from record 200,000 to {memory['records']:,}."


def _files(files: dict[str, Any]) -> str:
    """What an import of so many rows holds at most; of a frame most of it is the frame."""
    peaks = {row["contender"]: f"{row['peak_rss_mib']['median']:.0f}" for row in files["rows"]}
    return (
        f"{files['records']:,} rows took {peaks['csv']} MiB at most from CSV, {peaks['jsonl']} from JSON Lines and "
        f"{peaks['parquet']} from Parquet."
    )


def _live_lines(command: dict[str, Any]) -> str:
    """One line, with the larger of both peaks. The range stays: rounds differ by more than the lines may cost."""
    (live,) = (row for row in command["rows"] if row["contender"] == "live")
    costs = {name: f"{100 * (ratio - 1):.0f}" for name, ratio in live["ratio"].items()}
    peak_mib = max(row["peak_rss_mib"]["median"] for row in command["rows"])
    return (
        f"Live lines cost {costs['median']} % CPU ({costs['low']} to {costs['high']}) on "
        f"{command['records']:,} CSV rows; peak RSS {peak_mib:.0f} MiB."
    )


def _journal_line(journal: dict[str, Any]) -> str:
    """The dearer of users and events. The range stays: rounds differ by more than what is measured."""
    costs = max(_compared(journal, "ratio", "typed_journal", "events_journal"), key=itemgetter("median"))
    return (
        f"A journal costs {100 * (costs['median'] - 1):.0f} % CPU ({100 * (costs['low'] - 1):.0f} to "
        f"{100 * (costs['high'] - 1):.0f})."
    )


def _compared(results: dict[str, Any], how: str, *contenders: str) -> list[dict[str, float]]:
    return [row[how] for row in results["rows"] if row["contender"] in contenders]


def filled(text: str) -> str:
    """A README with the table between its marks."""
    return pages.filled(text, "numbers", table())


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
