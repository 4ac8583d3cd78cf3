from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import canary
import pytest

from asyncimport.errors import ConfigError
from asyncimport.sources import replay
from asyncimport.unreadable import Unreadable

LINE = {
    "record": {"eventKey": "c_buy"},
    "state": "rejected",
    "uuid": "0123456789abcdefghij0000000000000007",
    "time": 1_769_860_800_000,
    "resource": "events",
    "params": {"matchingType": 1},
}


def written(tmp_path: Path, *lines: Any) -> Path:
    path = tmp_path / "rejects.ndjson"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return path


def test_a_record_comes_with_the_id_and_the_time_it_would_have_had(tmp_path: Path) -> None:
    mine = LINE | {"record": {"eventKey": "c_buy", "uuid": "mine", "time": 1_700_000_000_000}}
    assert list(replay(written(tmp_path, LINE, mine))) == [
        {"eventKey": "c_buy", "uuid": LINE["uuid"], "time": LINE["time"]},
        {"eventKey": "c_buy", "uuid": "mine", "time": 1_700_000_000_000},
    ]


def test_what_has_no_id_of_its_own_gets_none(tmp_path: Path) -> None:
    user = LINE | {"record": {"thirdId": "1"}, "uuid": None, "time": None, "resource": "users"}
    assert list(replay(written(tmp_path, user))) == [{"thirdId": "1"}]


@pytest.mark.parametrize(
    ("states", "numbers"),
    [(None, [0, 1, 2]), (["unsent"], [2]), ("unconfirmed", [1]), (["rejected", "unsent"], [0, 2])],
)
def test_lines_of_other_states_are_passed_over(tmp_path: Path, states: Any, numbers: list[int]) -> None:
    lines = [
        LINE | {"state": state, "record": {"n": n}} for n, state in enumerate(["rejected", "unconfirmed", "unsent"])
    ]
    file = written(tmp_path, *lines)
    found = replay(file) if states is None else replay(file, states=states)
    assert [record["n"] for record in found] == numbers


@pytest.mark.parametrize("states", [["lost"], [], "lost"])
def test_a_state_that_is_none_is_refused(tmp_path: Path, states: Any) -> None:
    with canary.raises(ConfigError, match="some of rejected, unconfirmed, unsent"):
        replay(written(tmp_path, LINE), states=states)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("no json", "is no JSON"),
        ("[1]", "is no line of a rejects file"),
        ({"record": {}}, "is no line of a rejects file"),
        (LINE | {"state": "odd"}, "is no line of a rejects file"),
        (LINE | {"record": '3,"too many'}, "holds no record to send"),
        (LINE | {"record": None}, "holds no record to send"),
        (LINE | {"resource": "users"}, "is of another import"),
        (LINE | {"params": {}}, "is of another import"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_line_that_cannot_be_sent_is_rejected_alone_and_by_its_number(tmp_path: Path, line: Any, rule: str) -> None:
    lines = iter(replay(written(tmp_path, LINE, line, LINE)))
    found = [(lines.line_num, one) for one in lines]
    assert [number for number, _ in found] == [1, 2, 3]
    assert isinstance(found[1][1], Unreadable)
    assert found[1][1].rule.startswith(rule)


def test_the_first_line_says_of_which_import_it_is(tmp_path: Path) -> None:
    source = replay(written(tmp_path, "", LINE))
    assert (source.resource, source.params) == ("events", {"matchingType": 1})
    empty = replay(written(tmp_path))
    assert (empty.resource, empty.params, list(empty)) == ("", {}, [])


def test_its_readings_are_those_of_a_file(tmp_path: Path) -> None:
    path = written(tmp_path, LINE, LINE)
    source, other = replay(path), replay(path, states=["unsent"])
    assert source.identity() != other.identity()
    assert source.identity()["size"] == path.stat().st_size
    assert list(source) == list(source)
