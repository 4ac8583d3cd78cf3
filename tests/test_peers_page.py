"""`docs/peers.md` is true: its tables are made from the stored results, of the pinned peers, and a goal that is missed is named here."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks.peers.field import OURS, OURS_AT_DEFAULT, RUNNERS
from benchmarks.peers.page import PAGE, RESULTS, filled

FOUND = json.loads(RESULTS.read_text(encoding="utf-8"))
PINNED = dict(
    re.findall(
        r"^([\w.-]+)==(\S+)$",
        (Path(__file__).parents[1] / "requirements" / "peers.txt").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)
#: What is not reached yet; the page has it in bold.
MISSED = [
    f"CPU a record, mixpanel-utils over {OURS}",
    f"records/s, {OURS} over mixpanel-utils",
    f"records/s, {OURS_AT_DEFAULT} over mixpanel-utils",
]


def test_its_tables_are_made_from_the_stored_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text) == text, "run `python -m benchmarks.peers.page`"


def test_every_contender_was_measured_as_it_is_set_now_and_every_peer_as_it_is_pinned() -> None:
    measured = {row["contender"]: (row["settings"], row["version"]) for row in FOUND["rows"]}
    assert measured == {
        runner.name: (runner.settings, None if runner.package is None else PINNED[runner.package]) for runner in RUNNERS
    }


def test_every_goal_is_reached_but_those_that_are_named() -> None:
    assert [goal["asks"] for goal in FOUND["goals"] if not goal["holds"]] == MISSED
