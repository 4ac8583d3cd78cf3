"""The tables of `docs/performance.md`, made from `results/*.json`: `python -m benchmarks.performance` writes it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks import costs, pages
from benchmarks.simulated import CLIENTS, RESULTS, Load, missed, named

PAGE: Final = Path(__file__).parent.parent / "docs" / "performance.md"


def table() -> str:
    """One line for each server; what is beyond a bound is in bold."""
    counts = " / ".join(map(str, CLIENTS))
    head = [
        f"| server | ideal, s | asyncimport, s (requests a batch): {counts} clients | first sketch | fixed width 10 |",
        "|---|---|---|---|---|",
    ]
    cases = json.loads(RESULTS.read_text(encoding="utf-8"))["cases"]
    return "\n".join([*head, *map(_row, cases), ""])


def _row(found: dict[str, Any]) -> str:
    case = named(found["name"])
    cells = [case.name, _ideal(found["ideal_s"]), " / ".join(map(_cell, found["runs"]))]
    cells += [_known(loads) for loads in (case.sketch, case.fixed)]
    return f"| {' | '.join(cells)} |"


def _ideal(ideal_s: list[float]) -> str:
    return " / ".join(f"{one:.1f}" for one in (ideal_s if len(set(ideal_s)) > 1 else ideal_s[:1]))


def _cell(run: dict[str, Any]) -> str:
    beyond = missed(run)
    seconds, requests = (
        f"**{text}**" if name in beyond else text
        for name, text in (("seconds", f"{run['seconds']:.1f}"), ("requests", f"{run['requests']:.2f}"))
    )
    return f"{seconds} ({requests})"


def _known(loads: tuple[Load, ...] | None) -> str:
    return " / ".join(_words(load) for load in loads or ())


def _words(load: Load) -> str:
    return " ".join(_given(load))


def _given(load: Load) -> Iterator[str]:
    if load.seconds is not None:
        yield f"{load.seconds:g}"
    if load.requests is not None:
        yield f"({load.requests:g})"


def filled(text: str) -> str:
    """The page with the tables between their marks."""
    return pages.filled(pages.filled(text, "simulated", table()), "costs", costs.tables())


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
