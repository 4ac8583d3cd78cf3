"""The tables of `docs/peers.md`, made from `results/peers.json`: `python -m benchmarks.peers.page` writes them."""

import json
from pathlib import Path
from typing import Any, Final

from benchmarks import pages
from benchmarks.results import FOLDER

RESULTS: Final = FOLDER / "peers.json"
PAGE: Final = Path(__file__).parents[2] / "docs" / "peers.md"


def table(stored: dict[str, Any]) -> str:
    """One line for each contender: medians, and the range of the records/s."""
    head = [
        "| contender | records/s (range) | × | CPU µs a record | × | peak RSS, MiB | set to |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *map(_row, stored["rows"]), ""])


def _row(row: dict[str, Any]) -> str:
    name = row["contender"] if row["version"] is None else f"{row['contender']} {row['version']}"
    speed = row["records_per_s"]
    cells = (
        name,
        f"{speed['median']:,.0f} ({speed['low']:,.0f}-{speed['high']:,.0f})",
        f"{row['speed_ratio']['median']:.2f}",
        f"{row['cpu_us_per_record']['median']:.1f}",
        f"{row['cpu_ratio']['median']:.2f}",
        f"{row['peak_rss_mib']['median']:.0f}",
        row["settings"],
    )
    return f"| {' | '.join(cells)} |"


def goals(stored: dict[str, Any]) -> str:
    """One line for each goal; what is missed is in bold."""
    head = ["| ratio within a round | median (range) | goal | |", "|---|---|---|---|"]
    return "\n".join([*head, *map(_goal, stored["goals"]), ""])


def _goal(goal: dict[str, Any]) -> str:
    found = goal["found"]
    verdict = "held" if goal["holds"] else "**missed**"
    return f"| {goal['asks']} | {found['median']:.1f} ({found['low']:.1f}-{found['high']:.1f}) | {goal['goal']} | {verdict} |"


def filled(text: str) -> str:
    """The page with the tables between their marks."""
    stored = json.loads(RESULTS.read_text(encoding="utf-8"))
    return pages.filled(pages.filled(text, "peers", table(stored)), "goals", goals(stored))


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
