"""`asyncimport import RESOURCE` and `check RESOURCE`, for every resource; the ledger of the platform is the witness."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import canary
import pytest
from command import ended, ran, started
from typer.testing import CliRunner

from asyncimport import (
    EVENTS_V1,
    GROUPS,
    TAGS,
    USERS_V2,
    ConfigError,
    EventImportConfigV1,
    GroupImportConfig,
    IdentifyWay,
    ImportMode,
    MatchingType,
    OptType,
    Resource,
    TagImportConfig,
    UserImportConfigV2,
)
from asyncimport.cli.commands import app
from asyncimport.cli.options import Matching, Mode, Way
from asyncimport.cli.order import order_of
from asyncimport.cli.parameters import (
    CheckedTagOptions,
    EventV1Options,
    GroupOptions,
    Operation,
    TagOptions,
    UserV2Options,
)
from asyncimport.cli.replaying import config_of
from asyncimport.configs import Config
from asyncimport.emulator import Emulator
from asyncimport.journal.inspection import read_status

WHO = [{"identityType": "phone", "identityValue": canary.PERSON}]
#: By command: its options, a good record, and a bad one.
CASES: dict[str, tuple[list[str], dict[str, Any], dict[str, Any]]] = {
    "users": (["--mode", "full"], {"thirdId": "1"}, {"sex": "x"}),
    "users-v2": (
        ["--mode", "partial", "--matching", "exact"],
        {"identities": WHO, "realName": canary.PERSON},
        {"identities": []},
    ),
    "events": ([], {"identities": WHO, "eventKey": "c", "uuid": "u"}, {"identities": WHO}),
    "events-v1": (
        ["--matching", "fuzzy", "--identify-way", "user-id-first", "--accurate-match-type", "gzh"],
        {"phone": canary.PERSON, "eventKey": "c", "uuid": "u"},
        {"uuid": "u" * 37},
    ),
    "tags": (
        ["--operation", "add"],
        {"identities": WHO, "operateTags": [{"a": [1, None]}]},
        {"identities": WHO, "operateTags": "a"},
    ),
    "groups": (
        ["--operation", "delete", "--matching", "exact"],
        {"identities": WHO, "groups": "a,b", "categoryType": "2", "deptId": 7},
        {"identities": WHO, "groups": "a", "categoryType": "2"},
    ),
}


def written(path: Path, *records: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", ["users", "users-v2", "events-v1", "tags", "groups"])
async def test_a_file_of_any_resource_arrives(tmp_path: Path, name: str) -> None:
    options, good, bad = CASES[name]
    file, journal, rejects = written(tmp_path / "a.jsonl", good, bad), tmp_path / "a.journal", tmp_path / "r.ndjson"
    kept = ("--journal", str(journal), "--rejects", str(rejects))
    async with Emulator(token=canary.TOKEN) as platform:
        result = await ran("import", name, file, *options, *kept, url=platform.url)
        ledger = platform.ledger.of(name.replace("-", "_"))
        assert result.code == 1, result.err
        assert "2 read = 1 accepted + 1 rejected" in result.out
        assert [record | good for record in ledger.records()] == ledger.records()
        assert (ledger.total, platform.ledger.violations) == (1, [])
    order = order_of(read_status(str(journal)))
    assert (order.command, order.config().to_wire()) == (name, read_status(str(journal)).config)
    assert json.loads(rejects.read_text(encoding="utf-8"))["resource"] == ledger.name


async def test_what_was_rejected_is_replayed_once_it_was_repaired(tmp_path: Path) -> None:
    line = {"state": "rejected", "resource": "groups", "params": {"optType": "delete", "matchingType": 1}}
    file = written(tmp_path / "rejects.ndjson", line | {"record": CASES["groups"][1]})
    async with Emulator(token=canary.TOKEN) as platform:
        result = await ran("replay", file, url=platform.url)
        assert (result.code, platform.ledger.groups.total, platform.ledger.violations) == (0, 1, [])


async def test_an_import_that_was_killed_is_resumed_until_it_has_ended(tmp_path: Path) -> None:
    options, good, _ = CASES["users-v2"]
    file, journal = written(tmp_path / "a.jsonl", *([good] * 3_000)), str(tmp_path / "a.journal")
    async with Emulator(token=canary.TOKEN) as platform:
        gate = platform.faults.hold()
        process = await started("import", "users-v2", file, *options, "--journal", journal, url=platform.url)
        await gate.arrived(1)
        process.kill()
        await ended(process)
        platform.faults.clear()
        resumed = await ran("resume", journal, "--json", url=platform.url)
        ended_before = await ran("resume", journal)
        report, ledger = json.loads(resumed.out), platform.ledger.users_v2
        assert (resumed.code, report["accepted"], report["resource"]) == (0, 3_000, "users_v2")
        assert 3_000 <= ledger.total <= 3_000 + report["possible_duplicates"]
        assert platform.ledger.violations == []
    assert (ended_before.code, "nothing is left to be sent" in ended_before.err) == (0, True)


def invoked(*arguments: str) -> Any:
    """The command in this process."""
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.mark.parametrize("name", CASES)
def test_a_dry_run_needs_no_option_that_judges_no_record(tmp_path: Path, name: str) -> None:
    options, good, bad = CASES[name]
    without = options[2:] if options[:1] in (["--mode"], ["--operation"]) else options
    result = invoked("check", name, written(tmp_path / "a.jsonl", good, bad), *without)
    assert result.exit_code == 1, result.stderr
    assert f"{name.replace('-', '_')}: 2 read, 1 with errors; 1 would be sent" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["import", "users-v2", "a.jsonl"], "--mode"),
        (["import", "tags", "a.jsonl"], "--operation"),
        (["import", "groups", "a.jsonl", "--operation", "replace"], "'replace' is not one of 'add', 'delete'"),
        (["import", "events-v1", "a.jsonl", "--matching", "fuzzy"], "--matching fuzzy needs --identify-way"),
        (["import", "coupons", "a.jsonl"], "No such command 'coupons'"),
        (["check", "tags", "a.csv", "--args", "more"], "TagAssignment takes no arguments"),
        (
            ["check", "tags", "a.csv", "--map", "more=operateTags"],
            "takes a list of JSON values, which no cell can hold: use JSON Lines",
        ),
    ],
    ids=["mode", "operation", "another operation", "way", "resource", "arguments", "free values in a cell"],
)
def test_wrong_use_exits_2_with_a_sentence(tmp_path: Path, arguments: list[str], told: str) -> None:
    (tmp_path / "a.csv").write_text("identities.phone,more\n1,2\n", encoding="utf-8")
    written(tmp_path / "a.jsonl", {})
    result = invoked(*(str(tmp_path / part) if part.startswith("a.") else part for part in arguments))
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


@pytest.mark.parametrize(
    ("resource", "config"),
    [
        (USERS_V2, UserImportConfigV2(import_mode=ImportMode.PARTIAL, matching_type=MatchingType.FUZZY)),
        (EVENTS_V1, EventImportConfigV1(is_matching=False, accurate_match_value="add")),
        (TAGS, TagImportConfig(opt_type=OptType.DELETE)),
        (GROUPS, GroupImportConfig(opt_type=OptType.ADD, matching_type=MatchingType.EXACT)),
    ],
    ids=["users-v2", "events-v1", "tags", "groups"],
)
def test_the_config_of_a_journal_or_a_file_of_rejects_is_the_one_it_was(resource: Resource, config: Config) -> None:
    assert config_of(resource, config.to_wire(), "a.journal") == config


def test_another_operation_in_a_file_of_rejects_is_refused() -> None:
    with canary.raises(ConfigError, match="params of its first line are not those of tags: .*opt_type takes a member"):
        config_of(TAGS, {"optType": "replace"}, "rejects.ndjson")


@pytest.mark.parametrize(
    ("options", "config"),
    [
        (UserV2Options(mode=Mode.FULL), UserImportConfigV2(import_mode=ImportMode.FULL)),
        (
            UserV2Options(mode=Mode.PARTIAL, matching=Matching.FUZZY),
            UserImportConfigV2(import_mode=ImportMode.PARTIAL, matching_type=MatchingType.FUZZY),
        ),
        (EventV1Options(), EventImportConfigV1()),
        (
            EventV1Options(
                matching=Matching.FUZZY,
                identify_way=Way.UNIONID,
                accurate_match_type="gzh",
                accurate_match_value="wx1",
            ),
            EventImportConfigV1(
                is_matching=True,
                matching_type=MatchingType.FUZZY,
                identify_way=IdentifyWay.UNIONID_FIRST,
                accurate_match_type="gzh",
                accurate_match_value="wx1",
            ),
        ),
        (TagOptions(operation=Operation.ADD), TagImportConfig(opt_type=OptType.ADD)),
        (CheckedTagOptions(), TagImportConfig(opt_type=OptType.ADD)),
        (
            GroupOptions(operation=Operation.DELETE, matching=Matching.EXACT),
            GroupImportConfig(opt_type=OptType.DELETE, matching_type=MatchingType.EXACT),
        ),
    ],
)
def test_the_options_come_to_the_config_that_they_say(options: Any, config: object) -> None:
    assert options.config() == config


def test_fuzzy_matching_of_events_needs_its_way() -> None:
    with canary.raises(ConfigError, match="--identify-way"):
        EventV1Options(matching=Matching.FUZZY).config()
