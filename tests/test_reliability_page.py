"""`docs/reliability.md` is true: its tables are made from the stored results, which keep their bounds, and from the tests."""

from __future__ import annotations

import json

import pytest

from benchmarks.refusals import CASES, RESULTS
from benchmarks.reliability import PAGE, filled
from docs import fault_table

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


@pytest.fixture(scope="module")
def held() -> list[fault_table.Test]:
    return fault_table.tests()


def test_its_table_of_faults_is_made_from_the_tests() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert fault_table.filled(text) == text, "run `python docs/fault_table.py`"


def test_every_fault_has_a_test_that_was_seen_red(held: list[fault_table.Test]) -> None:
    tested = {fault for test in held for fault in test.faults}
    seen_red = {fault for test in held for fault in test.faults if test.breakages}
    ids = list(fault_table.known().values())
    assert [fault for fault in ids if fault not in tested] == []
    assert [fault for fault in ids if fault in tested - seen_red] == []


def test_the_tests_that_it_reads_are_those_that_are_collected(
    request: pytest.FixtureRequest, held: list[fault_table.Test]
) -> None:
    """As far as they are collected in this run: their marks, those of parameters too, are all in the table."""
    read = {test.name: test for test in held}
    words = fault_table.known()
    for item in request.session.items:
        name = item.nodeid.partition("[")[0]
        if words.keys() & set(name.rpartition("::")[2].split("_")):
            assert {mark.args[0] for mark in item.iter_markers("breakage")} <= set(read[name].breakages), name
            reasons = {mark.kwargs["reason"] for kind in ("skipif", "xfail") for mark in item.iter_markers(kind)}
            assert reasons <= set(read[name].reasons), name
