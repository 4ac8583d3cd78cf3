"""The README's table of numbers, made from `benchmarks/results/*.json`: `python -m benchmarks.readme` writes it."""

import json
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
README: Final = HERE.parent / "README.md"
BEGIN, END = "<!-- numbers -->\n", "<!-- /numbers -->"

#: What a contender is, in a reader's words.
NAMES: Final = {
    "raw": "raw loop: aiohttp and `orjson.dumps` of ready dicts, nothing checked",
    "typed": "asyncimport, `UserProfile`",
    "mapping_wire": "asyncimport, dicts with the platform's names",
    "mapping_python": "asyncimport, dicts with Python's names",
    "raw_events": "raw loop, events",
    "events_typed": "asyncimport, `Event`",
}


def table() -> str:
    """The numbers and how they were measured."""
    cpu, latency, loop, command = (_results(name) for name in ("cpu", "latency", "loop", "command"))
    versions = cpu["environment"]
    lines = [
        f"Records of about 400 bytes, width {cpu['width']}, a stub server in another process, medians of {cpu['rounds']} runs",
        f"each in a fresh process; Python {versions['python']}, aiohttp {versions['aiohttp']}, {versions['cpus']} shared cores.",
        "Compare ratios, not figures. `make bench` measures them.",
        "",
        "| contender | CPU a record | ratio to the raw loop |",
        "|---|---|---|",
        *(_row(row) for row in cpu["rows"]),
        "",
        _at_20_ms(latency),
        _stall(loop),
        _live_lines(command),
    ]
    return "\n".join(lines) + "\n"


def _results(question: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((HERE / "results" / f"{question}.json").read_text(encoding="utf-8"))
    return results


def _row(row: dict[str, Any]) -> str:
    ratio = (
        ""
        if row["ratio"] is None
        else f"{row['ratio']['median']:.1f} ({row['ratio']['low']:.1f}-{row['ratio']['high']:.1f})"
    )
    return f"| {NAMES[row['contender']]} | {row['cpu_us_per_record']['median']:.1f} µs | {ratio} |"


def _at_20_ms(latency: dict[str, Any]) -> str:
    (ours,) = (row for row in latency["rows"] if row["contender"] == "typed")
    return (
        f"Against a server that takes {latency['server_delay_ms']:.0f} ms it reaches {ours['ratio']['median']:.2f} x the raw "
        f"loop's records/s ({ours['records_per_s']['median']:,.0f})."
    )


def _stall(loop: dict[str, Any]) -> str:
    (ours,) = (row for row in loop["rows"] if row["contender"] == "typed")
    return f"The longest it kept the event loop from others was {ours['busy_stall_ms']['median']:.0f} ms."


def _live_lines(command: dict[str, Any]) -> str:
    """One line, with the larger of both peaks. The range stays: rounds differ by more than the lines may cost."""
    (live,) = (row for row in command["rows"] if row["contender"] == "live")
    costs = {name: f"{100 * (ratio - 1):.0f}" for name, ratio in live["ratio"].items()}
    peak_mib = max(row["peak_rss_mib"]["median"] for row in command["rows"])
    return (
        f"Progress on a terminal costs {costs['median']} % CPU ({costs['low']} to {costs['high']}) on "
        f"{command['records']:,} CSV rows; peak RSS {peak_mib:.0f} MiB."
    )


def filled(text: str) -> str:
    """A README with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
