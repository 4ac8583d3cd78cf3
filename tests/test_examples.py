"""The example files are what their script makes, and hold exactly the bad rows it says."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from asyncimport.configs import EventImportConfig, ImportMode, MatchingType, UserImportConfig
from asyncimport.fields import At, Problem
from asyncimport.records import Event, UserProfile
from asyncimport.shape import copy_record, shape_of
from asyncimport.sources import CsvFile, JsonlFile, read_csv, read_jsonl
from asyncimport.unreadable import Unreadable

EXAMPLES = Path(__file__).parents[1] / "examples"
PLAIN = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
EXACT = UserImportConfig(is_matching=True, import_mode=ImportMode.PARTIAL, matching_type=MatchingType.EXACT)


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / "make_examples.py"))


def refusals(source: CsvFile | JsonlFile, record: type[Any], config: object) -> tuple[int, list[str]]:
    """How many records the file has, and why some of them are refused."""
    read = 0
    reasons: list[str] = []
    for item in source:
        read += 1
        problems: list[Problem] = []
        if isinstance(item, Unreadable):
            reasons.append(item.reason)
        else:
            copy_record(shape_of(record), item, At(), problems, config)
            reasons.extend("; ".join(problem.reason for problem in problems) for _ in problems[:1])
    return read, reasons


def test_the_files_are_what_the_script_makes_byte_for_byte(script: dict[str, Any]) -> None:
    users, people = script["make_users"]()
    assert (EXAMPLES / "users.csv").read_bytes() == users
    assert (EXAMPLES / "events.jsonl").read_bytes() == script["make_events"](people)


@pytest.mark.parametrize("config", [PLAIN, EXACT], ids=["plain", "exact"])
def test_as_many_users_are_refused_as_the_script_says(script: dict[str, Any], config: UserImportConfig) -> None:
    read, reasons = refusals(read_csv(EXAMPLES / "users.csv"), UserProfile, config)
    assert (read, len(reasons)) == (script["USERS"], script["BAD_USERS"])
    assert sorted(reasons) == [
        "does not fit the header",
        "does not fit the header",
        "does not fit the header",
        "is no CSV record",
        "sex: takes one of 男, 女",
        "sex: takes one of 男, 女",
        "sex: takes one of 男, 女",
    ]


def test_as_many_events_are_refused_as_the_script_says(script: dict[str, Any]) -> None:
    read, reasons = refusals(read_jsonl(EXAMPLES / "events.jsonl"), Event, EventImportConfig())
    assert (read, len(reasons)) == (script["EVENTS"], script["BAD_EVENTS"])
    assert len(set(reasons)) == script["BAD_EVENTS"], "each is bad in another way"


def test_the_files_are_small_enough_to_carry_along() -> None:
    assert (EXAMPLES / "users.csv").stat().st_size < 1_000_000
    assert (EXAMPLES / "events.jsonl").stat().st_size < 8_000_000


def test_about_two_thirds_of_the_events_have_a_uuid_of_their_own(script: dict[str, Any]) -> None:
    given = sum(isinstance(item, dict) and "uuid" in item for item in read_jsonl(EXAMPLES / "events.jsonl"))
    assert 0.64 < given / script["EVENTS"] < 0.70
