"""`asyncimport replay`: what was not accepted, repaired and sent again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import canary
import pytest
from command import ended, ran, started

from asyncimport import EVENTS, USERS, ConfigError, EventImportConfig, IdentifyWay, ImportMode, MatchingType
from asyncimport import UserImportConfig as Users
from asyncimport.cli.replaying import config_of
from asyncimport.emulator import Emulator, Hang, Ok


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


async def test_a_repaired_line_arrives_as_the_import_would_have_sent_it(tmp_path: Path) -> None:
    people, rejects, again = tmp_path / "people.csv", tmp_path / "rejects.ndjson", tmp_path / "again.ndjson"
    people.write_text(f"thirdId,realName,sex\n1,{canary.PERSON},女\n2,李娜,x\n3,王芳,y\n", encoding="utf-8")
    async with Emulator(token=canary.TOKEN) as platform:
        arguments = ("--mode", "partial", "--matching", "fuzzy", "--identify-way", "user-id-first")
        first = await ran("users", str(people), *arguments, "--rejects", str(rejects), url=platform.url)
        assert f"2 rejected records are in {rejects}" in first.err
        lines = lines_of(rejects)
        lines[0]["record"]["sex"] = "女"
        write(rejects, lines)
        result = await ran("replay", str(rejects), "--rejects", str(again), url=platform.url)
        assert result.code == 1
        assert [record["thirdId"] for record in platform.ledger.users.records()] == ["1", "2"]
    assert "record 1 (line 2)" in result.out
    assert lines_of(again)[0]["params"] == lines[0]["params"]
    assert lines_of(again)[0]["record"]["thirdId"] == "3"


def events(folder: Path, count: int) -> str:
    path = folder / "events.jsonl"
    write(path, [{"identities": [{"identityType": "phone", "identityValue": "1"}], "eventKey": "c_x"}] * count)
    return str(path)


async def test_what_was_not_sent_is_counted_and_replayed_once_by_its_state(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script([Ok()] * 2)
        platform.faults.add(Hang(committed=True))
        arguments = (
            "events",
            events(tmp_path, 9000),
            "--rejects",
            str(rejects),
            "--deadline",
            "2",
            "--max-in-flight",
            "2",
        )
        stopped = await ran(*arguments, "--json", url=platform.url)
        report = json.loads(stopped.out)
        states = Counter(line["state"] for line in lines_of(rejects))
        assert states == {"unconfirmed": report["unconfirmed"], "unsent": report["unsent"]}
        assert states["unconfirmed"] == 1000
        assert f"{states.total():,} records that were not accepted are in {rejects}" in stopped.err
        platform.faults.clear()
        before = platform.ledger.events.distinct
        unsent = await ran("replay", str(rejects), "--state", "unsent", url=platform.url)
        assert (unsent.code, platform.ledger.events.distinct) == (0, before + states["unsent"])
        rest = await ran("replay", str(rejects), "--state", "unconfirmed", url=platform.url)
        assert (rest.code, platform.ledger.events.duplicates) == (0, 1000)  # the same uuids as they had
        assert platform.ledger.events.distinct == report["read"]


async def test_a_replay_with_a_journal_that_was_killed_goes_on(tmp_path: Path) -> None:
    rejects, journal = tmp_path / "rejects.ndjson", str(tmp_path / "a.journal")
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.add(Hang())
        first = (
            "events",
            events(tmp_path, 9000),
            "--rejects",
            str(rejects),
            "--deadline",
            "1",
            "--max-in-flight",
            "16",
        )
        await ran(*first, url=platform.url)
        count = len(lines_of(rejects))
        platform.faults.clear()
        gate = platform.faults.hold()
        process = await started("replay", str(rejects), "--journal", journal, "--state", "unsent", url=platform.url)
        await gate.arrived(1)
        process.kill()
        await ended(process)
        gate.open()
        unsent = [line for line in lines_of(rejects) if line["state"] == "unsent"]
        result = await ran("resume", journal, url=platform.url)
        assert 0 < len(unsent) < count
        assert (result.code, platform.ledger.events.distinct) == (0, len(unsent))
        assert {record["uuid"] for record in platform.ledger.events.records()} == {line["uuid"] for line in unsent}


LINE: dict[str, Any] = {"record": {"thirdId": "1"}, "state": "rejected", "resource": "users"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "this one is empty"),
        ('{"thirdId": "1"}\n', "has lines with record, state, resource and params; this one has none"),
        ("thirdId\n1\n", "this one has none"),
        (json.dumps(LINE | {"params": {}}), "params of its first line are not those of users: isMatching is missing"),
        (
            json.dumps(LINE | {"params": {"isMatching": True, "importMode": 9}}),
            "import_mode takes a member of ImportMode",
        ),
        (json.dumps(LINE | {"params": {"isMatching": "yes", "importMode": 1}}), "is_matching takes bool, got str"),
        (json.dumps(LINE | {"params": {"isMatching": True, "importMode": 1, "x": 1}}), "'x' is not known"),
        (
            json.dumps(LINE | {"resource": "cars", "params": {}}),
            "names the resource 'cars': known are users, users_v2, events, events_v1, tags, groups",
        ),
    ],
    ids=["empty", "records", "csv", "no params", "no mode", "no flag", "unknown", "no resource"],
)
async def test_what_is_no_file_of_rejects_is_refused_with_a_sentence(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "rejects.ndjson"
    path.write_text(content, encoding="utf-8")
    result = await ran("replay", str(path), url="http://127.0.0.1:1/x")
    assert (result.code, result.out) == (2, "")
    assert told in result.err


@pytest.mark.parametrize(
    ("resource", "config"),
    [
        (USERS, Users(is_matching=False, import_mode=ImportMode.FULL)),
        (
            USERS,
            Users(
                is_matching=True,
                import_mode=ImportMode.PARTIAL,
                matching_type=MatchingType.FUZZY,
                identify_way=IdentifyWay.USER_ID_FIRST,
                accurate_match_type="gzh",
                accurate_match_value="1",
            ),
        ),
        (EVENTS, EventImportConfig()),
        (EVENTS, EventImportConfig(matching_type=MatchingType.EXACT, is_matching=True)),
    ],
    ids=["users", "users with all", "events", "events with all"],
)
def test_a_config_comes_back_from_its_wire_form(resource: Any, config: Any) -> None:
    assert config_of(resource, config.to_wire(), "x") == config


def test_true_is_no_mode() -> None:
    with canary.raises(ConfigError, match="import_mode takes"):
        config_of(USERS, {"isMatching": True, "importMode": True}, "x")
