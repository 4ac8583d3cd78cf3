"""The command as a user runs it: in a process of its own, by what it prints and its exit code."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import canary
import pytest
from command import ended, ran, started
from wire import http, says, tcp_server

from asyncimport import DispatchPolicy, Rate, __version__
from asyncimport.cli.choices import RunChoices
from asyncimport.emulator import Emulator, Envelope, Hang, Poison, Status

HEADER = "thirdId,realName,sex\n"


def users_csv(folder: Path, rows: int, bad: int = 0) -> str:
    path = folder / "users.csv"
    good = "".join(f"{n},{canary.PERSON},女\n" for n in range(rows))
    path.write_text(HEADER + good + "".join(f"b{n},{canary.PERSON},x\n" for n in range(bad)), encoding="utf-8")
    return str(path)


def events_jsonl(folder: Path, rows: int) -> str:
    path = folder / "events.jsonl"
    identity = {"identityType": "phone", "identityValue": canary.PERSON}
    lines = (json.dumps({"identities": [identity], "eventKey": "c_buy", "uuid": str(n)}) for n in range(rows))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ({}, None),
        ({"requests_per_s": 0.5}, Rate(requests_per_s=0.5)),
        ({"records_per_s": 5000.0}, Rate(records_per_s=5000.0)),
        ({"requests_per_s": 20.0, "records_per_s": 5000.0}, Rate(requests_per_s=20.0, records_per_s=5000.0)),
    ],
    ids=["none", "requests", "records", "both"],
)
def test_the_options_of_speed_are_those_of_the_policy(given: dict[str, Any], rate: Rate | None) -> None:
    assert RunChoices(**given, max_in_flight=3).policy() == DispatchPolicy(max_in_flight=3, max_rate=rate)


async def test_users_of_a_csv_file_arrive_and_the_report_is_on_stdout(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        result = await ran("users", users_csv(tmp_path, 1200), "--mode", "partial", url=platform.url)
        assert result.code == 0
        assert platform.ledger.users.distinct == 1200
        assert platform.ledger.violations == []
    assert result.out.startswith("users: 1,200 read = 1,200 accepted")
    assert "1,200 accepted" in result.err


async def test_events_of_a_json_lines_file_arrive_and_json_is_one_document(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        result = await ran("events", events_jsonl(tmp_path, 700), "--json", "--quiet", url=platform.url)
        assert platform.ledger.events.distinct == 700
    report: dict[str, Any] = json.loads(result.out)
    assert (result.code, report["accepted"], report["ok"]) == (0, 700, True)
    assert result.err == ""


async def test_rejected_rows_are_named_by_their_line_and_the_exit_code_is_1(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        result = await ran("users", users_csv(tmp_path, 3, bad=2), "--mode", "full", url=platform.url)
    assert result.code == 1
    assert "record 3 (line 5): data[3].sex: got another text; takes one of 男, 女" in result.out


@pytest.mark.parametrize(
    ("matching", "expected"),
    [
        (["--matching", "none"], {"isMatching": False, "importMode": 2}),
        (["--matching", "exact"], {"isMatching": True, "importMode": 2, "matchingType": 1}),
        (
            ["--matching", "fuzzy", "--identify-way", "user-id-first"],
            {"isMatching": True, "importMode": 2, "matchingType": 2, "identifyWay": 2},
        ),
    ],
    ids=["none", "exact", "fuzzy"],
)
async def test_matching_is_set_as_asked(tmp_path: Path, matching: list[str], expected: dict[str, Any]) -> None:
    path = tmp_path / "users.csv"
    path.write_text("identityType,thirdId\nid,1\n", encoding="utf-8")
    async with tcp_server(says(http())) as server:
        result = await ran("users", str(path), "--mode", "partial", *matching, url=server.url)
    assert result.code == 0
    body = server.requests[0].partition(b"\r\n\r\n")[2]
    assert json.loads(body)["publicParams"] == expected


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["users", "{users}"], "--mode"),
        (["users", "{users}", "--mode", "partial", "--matching", "fuzzy"], "--matching fuzzy needs --identify-way"),
        (["users", "missing.csv", "--mode", "full"], "missing.csv"),
        (["users", "{folder}/users.xlsx", "--mode", "full"], ".xlsx is not known"),
        (["events", "{users}"], "names no field of Event"),
        (["users", "{users}", "--mode", "full", "--base-url", "ftp://x"], "the base URL must look like"),
        (["users", "{users}", "--mode", "full", "--token-file", "nowhere"], "--token-file names no file"),
        (["emulate", "--port", "99999"], "Invalid value"),
        (["emulate", "--faults", "{users}"], "the fault file is no JSON"),
    ],
)
async def test_wrong_use_exits_2_with_a_sentence_before_anything_is_sent(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    users = users_csv(tmp_path, 3)
    async with Emulator(token=canary.TOKEN) as platform:
        filled = [argument.format(users=users, folder=tmp_path) for argument in arguments]
        result = await ran(*filled, url=platform.url)
        assert platform.ledger.requests == 0
    assert result.code == 2
    assert told in result.err
    assert result.out == ""


async def test_without_a_token_the_command_says_where_it_looks(tmp_path: Path) -> None:
    result = await ran("users", users_csv(tmp_path, 1), "--mode", "full", url="http://127.0.0.1:1/x", token=None)
    assert result.code == 2
    assert "ASYNCIMPORT_TOKEN" in result.err


async def test_a_token_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{canary.TOKEN}\n", encoding="ascii")
    async with Emulator(token=canary.TOKEN) as platform:
        arguments = ["users", users_csv(tmp_path, 5), "--mode", "full", "--token-file", str(tmp_path / "token")]
        assert (await ran(*arguments, url=platform.url, token=None)).code == 0


async def test_a_refused_token_exits_2_with_the_report(tmp_path: Path) -> None:
    async with Emulator() as platform:
        result = await ran("users", users_csv(tmp_path, 5), "--mode", "full", url=platform.url)
    assert result.code == 3  # what was not delivered weighs more than wrong use
    assert "the platform refuses the token" in result.err
    assert "5 unsent" in result.out


async def test_refused_batches_exit_1(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.add(Poison(where={"thirdId": "700"}))
        result = await ran("users", users_csv(tmp_path, 1000), "--mode", "full", url=platform.url)
        assert platform.ledger.users.distinct == 999
    assert result.code == 1
    assert "999 accepted + 1 rejected" in result.out
    assert "refused: code" in result.out


async def test_a_platform_that_refuses_everything_leaves_it_unsent_and_says_what_to_check(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.add(Envelope(code="100999", msg="no permission"))
        result = await ran("users", users_csv(tmp_path, 3), "--mode", "full", url=platform.url)
    assert result.code == 3
    assert "3 read = 3 unsent" in result.out
    assert "no permission" in result.err
    assert "check the app's permissions" in result.err


async def test_ctrl_c_drains_reports_and_exits_130(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        gate = platform.faults.hold()
        process = await started(
            "users", users_csv(tmp_path, 20_000), "--mode", "full", "--max-in-flight", "8", url=platform.url
        )
        await gate.arrived(8)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert b"interrupted" in await process.stderr.readline()
        gate.open()
        result = await ended(process)
        assert result.code == 130
        assert "4,000 accepted" in result.out
        assert platform.ledger.users.distinct == 4000


async def test_ctrl_c_twice_stops_at_once(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.add(Hang())
        gate = platform.faults.hold()
        process = await started(
            "users", users_csv(tmp_path, 20_000), "--mode", "full", "--max-in-flight", "8", url=platform.url
        )
        await gate.arrived(8)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        result = await ended(process)
        assert result.code == 130
        assert "4,000 unconfirmed" in result.out


async def test_pauses_are_told(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script([Status(status=429, headers={"Retry-After": "1"})])
        result = await ran("users", users_csv(tmp_path, 5), "--mode", "full", url=platform.url)
    assert result.code == 0
    assert "paused for 1.0 s" in result.err


async def test_the_demo_agrees_with_its_platform() -> None:
    result = await ran("demo", token=None)
    assert result.code == 0
    last = json.loads(result.out.splitlines()[-1])
    assert last["agree"] is True
    assert last["report"]["users"]["accepted"] == last["ledger"]["users"]["distinct"] == 4993
    assert last["report"]["events"]["accepted"] == last["ledger"]["events"]["distinct"] == 19_992
    assert last["report"]["read"] == 25_000


async def test_the_emulator_serves_until_it_is_interrupted() -> None:
    process = await started("emulate", "--port", "0")
    assert process.stdout is not None
    announced = json.loads(await process.stdout.readline())
    assert announced["url"].startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    assert (await ended(process)).code in (0, 130)


async def test_help_names_every_command() -> None:
    result = await ran("--help")
    assert result.code == 0
    for command in ("users", "events", "resume", "status", "replay", "check", "doctor", "demo", "emulate"):
        assert command in result.out


async def test_the_version_is_told() -> None:
    result = await ran("--version")
    assert (result.code, result.out) == (0, f"{__version__}\n")


async def test_a_terminal_without_chinese_still_gets_the_report(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        arguments = ["users", users_csv(tmp_path, 3, bad=1), "--mode", "full"]
        process = await started(*arguments, url=platform.url, PYTHONIOENCODING="latin-1")
        result = await ended(process)
    assert result.code == 1
    assert r"takes one of \u7537, \u5973" in result.out
