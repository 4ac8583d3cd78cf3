"""SECURITY.md is true: the tests that hold its promises are there, and it names all that a file of rejects keeps."""

from __future__ import annotations

import json
import re
from pathlib import Path

import orjson
import pytest

from asyncimport.batch import Positions
from asyncimport.outcome import Rejected
from asyncimport.rejects import Lines, Rejection

TESTS = Path(__file__).parent
TEXT = (TESTS.parent / "SECURITY.md").read_text(encoding="utf-8")
PROMISES = TEXT.partition("| promise | held by |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()
HOLDERS = [re.findall(r"`(test_\w+\.py)::(test_\w+)`", row) for row in PROMISES]


@pytest.mark.breakage("SECURITY.md: rename a test; leave a promise without one")
def test_each_promise_is_held_by_tests_that_exist() -> None:
    assert len(PROMISES) > 25
    assert [row for row, holders in zip(PROMISES, HOLDERS, strict=True) if not holders] == []
    files = {path.name: path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py")}
    named = {holder for holders in HOLDERS for holder in holders}
    assert [f"{file}::{name}" for file, name in named if f"def {name}(" not in files.get(file, "")] == []


@pytest.mark.breakage("rejects: write one more key into each line")
def test_all_that_a_line_of_the_file_of_rejects_holds_is_named() -> None:
    outcome = Rejected(positions=Positions.of([0]), reason="r", content=orjson.dumps({"phone": "1"}))
    lines = Lines(resource="users", run_id="r", params={}, is_stamped=False)
    (line,) = lines.of(Rejection(outcome=outcome, body=b"", settled_ms=0))
    described = next(row for row in TEXT.splitlines() if row.startswith("| `rejects=` |"))
    assert set(json.loads(line.text)) == set(re.findall(r"`(\w+)`", described))
