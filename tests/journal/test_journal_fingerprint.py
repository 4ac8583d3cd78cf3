from __future__ import annotations

from typing import Any

import attrs
import books
import canary
import pytest

from asyncimport.errors import JournalError
from asyncimport.journal.fingerprint import PARTS, check_same, is_unchanged
from asyncimport.journal.known import Known, Session

FILE = {"size": 10, "mtime_ns": 5}


def known(**more: Any) -> Known:
    values: dict[str, Any] = {"run": books.run(), "session": Session.STOPPED, "source": FILE} | more
    return Known(**values)


@pytest.mark.parametrize("part", PARTS)
def test_each_part_that_differs_is_named(part: str) -> None:
    other = attrs.evolve(books.run(), fingerprint={**books.run().fingerprint, part: "another"})
    with canary.raises(JournalError, match="belongs to another import") as refused:
        check_same("a.journal", known(), other, FILE)
    assert PARTS[part] in str(refused.value)
    assert "differs" in str(refused.value)


def test_the_same_call_is_the_same_import_whatever_its_run_id() -> None:
    check_same("a.journal", known(), attrs.evolve(books.run(), run_id="x" * 20, started_ms=7), {"size": 11})


def test_a_finished_import_of_a_file_is_of_that_file() -> None:
    check_same("a.journal", known(session=Session.FINISHED), books.run(), FILE)
    with canary.raises(JournalError, match="has ended, and the file has changed since"):
        check_same("a.journal", known(session=Session.FINISHED), books.run(), FILE | {"mtime_ns": 6})


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (FILE, FILE, True),
        (FILE, FILE | {"size": 11}, False),
        (FILE, FILE | {"mtime_ns": 6}, False),
        (FILE, {}, False),
        ({}, {}, False),
        ({"size": 1, "version": "a"}, {"size": 1, "version": "a"}, True),
        ({"size": 1, "version": "a"}, {"size": 1, "version": "b"}, False),
        ({"size": 1}, {"size": 1}, False),
        (FILE, FILE | {"version": "a"}, False),
    ],
)
def test_a_file_is_unchanged_when_size_and_time_or_version_are(before: Any, now: Any, *, same: bool) -> None:
    assert is_unchanged(before, now) == same
