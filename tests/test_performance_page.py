"""`docs/performance.md` is true: its table is made from the stored results, all of which keep their bounds but those that are named."""

from __future__ import annotations

import json
import re

from attrs import asdict

from benchmarks.performance import PAGE, filled
from benchmarks.simulated import CASES, CLIENTS, RESULTS, missed, named

FOUND = json.loads(RESULTS.read_text(encoding="utf-8"))["cases"]
#: What does not keep a bound yet: server, clients, what; the page has it in bold.
MISSED = [
    ("8 workers, silence above 16", 4, "seconds"),
    ("quota 20/s", 1, "seconds"),
    ("quota 20/s", 4, "seconds"),
    ("quota 20/s, Retry-After 1", 4, "seconds"),
    ("quota 20/s, Retry-After 1", 16, "seconds"),
    ("8 workers, an outage from second 10 to 70", 16, "requests"),
    ("32 workers, 4 from second 5 to 35, 503 above twice as many", 1, "seconds"),
    ("32 workers, 4 from second 5 to 35, 503 above twice as many", 4, "seconds"),
    ("32 workers, 4 from second 5 to 35, 503 above twice as many", 16, "seconds"),
    ("32 workers, 4 from second 5 to 35, 503 above twice as many", 16, "requests"),
    ("quota 3/s", 16, "requests"),
    ("quota 20/s, nothing saved up", 1, "seconds"),
    ("quota 20/s, nothing saved up", 4, "seconds"),
    ("quota 20/s, nothing saved up", 16, "seconds"),
]


def test_its_table_is_made_from_the_stored_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text) == text, "run `python -m benchmarks.performance`"


def test_every_server_was_measured_by_its_bounds() -> None:
    assert [one["name"] for one in FOUND] == [case.name for case in CASES]
    for one in FOUND:
        assert [run["clients"] for run in one["runs"]] == list(CLIENTS)
        bounds = [asdict(named(one["name"]).at_most(clients)) for clients in CLIENTS]
        assert [run["at_most"] for run in one["runs"]] == bounds


def test_every_bound_is_kept_but_those_that_are_named() -> None:
    assert [
        (one["name"], run["clients"], what) for one in FOUND for run in one["runs"] for what in missed(run)
    ] == MISSED


def test_every_picture_is_there_and_small() -> None:
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8"))
    there = sorted(file.relative_to(PAGE.parent).as_posix() for file in PAGE.parent.glob("performance/*"))
    assert sorted(shown) == there
    assert all((PAGE.parent / file).stat().st_size < 60_000 for file in there)
