"""`docs/reliability.md` is true: its table is made from the stored results, which keep their bounds and name every case."""

from __future__ import annotations

import json

from benchmarks.refusals import CASES, RESULTS
from benchmarks.reliability import PAGE, filled

FOUND = json.loads(RESULTS.read_text(encoding="utf-8"))["cases"]


def test_its_table_is_made_from_the_stored_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text) == text, "run `python -m benchmarks.reliability`"


def test_every_case_was_measured() -> None:
    assert [(one["name"], one["records"], one["at_most"]) for one in FOUND] == [
        (case.name, case.records, case.at_most) for case in CASES
    ]


def test_every_case_kept_its_bound_and_rejected_nobody_innocent() -> None:
    assert [one["name"] for one in FOUND if one["at_most"] is not None and one["requests"] > one["at_most"]] == []
    assert {one["innocent_rejected"] for one in FOUND} == {0}
    for one in FOUND:
        assert one["ended_by"] or one["accepted"] + one["rejected"] + one["unconfirmed"] == one["records"]
