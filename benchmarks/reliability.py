"""The table of `docs/reliability.md`, made from `results/refusals.json`: `python -m benchmarks.reliability` writes it."""

import json
from pathlib import Path
from typing import Any, Final

from benchmarks import pages
from benchmarks.refusals import RESULTS

PAGE: Final = Path(__file__).parent.parent / "docs" / "reliability.md"


def table() -> str:
    """One line for each case."""
    cases = json.loads(RESULTS.read_text(encoding="utf-8"))["cases"]
    head = [
        "| what the platform refuses or breaks on | records | requests | at most | innocent rejected | ended by |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *map(_row, cases), ""])


def _row(case: dict[str, Any]) -> str:
    bound = "" if case["at_most"] is None else f"{case['at_most']:,}"
    ended_by = "" if case["ended_by"] is None else f"`{case['ended_by']}`"
    counts = f"{case['requests']:,} | {bound} | {case['innocent_rejected']}"
    return f"| {case['name']} | {case['records']:,} | {counts} | {ended_by} |"


def filled(text: str) -> str:
    """The page with the table between its marks."""
    return pages.filled(text, "refusals", table())


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
