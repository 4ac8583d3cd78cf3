"""Files of every form through the command into the platform: what arrived is what the file and the mapping say."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import canary
import pytest
from command import ended, ran, started
from packers import zstd

import asyncimport
from asyncimport.cli import errors
from asyncimport.emulator import Emulator, Envelope, Gate, Ok, Status

ROWS = "thirdId,realName\n1,张伟\n2,李娜\n"
USERS = [{"thirdId": "1", "realName": "张伟"}, {"thirdId": "2", "realName": "李娜"}]
JSONL = "".join(json.dumps(user) + "\n" for user in USERS)
ORDERS = "openid,when,sku,price,count,note\no1,1735689600000,007,9.5,2,\no2,,8,x,3,late\n"


def written(folder: Path, name: str, data: str | bytes) -> str:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


@pytest.mark.parametrize(
    ("name", "data", "arguments"),
    [
        ("people.csv", ROWS, []),
        ("people.tsv", ROWS.replace(",", "\t"), []),
        ("people.jsonl", JSONL, []),
        ("people.ndjson", JSONL, []),
        ("people.csv.gz", gzip.compress(ROWS.encode()), []),
        ("people.jsonl.gz", gzip.compress(JSONL.encode()), []),
        ("people.csv", gzip.compress(ROWS.encode()), []),
        ("people.csv", ROWS.encode("utf-8-sig").replace(b"\n", b"\r\n"), []),
        ("people.csv", ROWS.encode("gb18030"), ["--encoding", "gb18030"]),
        ("people.csv", ROWS.replace(",", "#"), ["--delimiter", "#"]),
        ("people.csv.zst", zstd.compress(ROWS.encode()), []),
        ("people.csv", ROWS.replace("张伟", "'张,伟'").replace("张,伟", "张伟"), ["--quote", "'"]),
        ("people.csv", '"thirdId","realName"\n"1","张\\伟"\n"2","李娜"\n', ["--escape", "\\"]),
        ("people.csv", "1,张伟\n2,李娜\n", ["--header", "thirdId,realName", "--quote", ""]),
        ("people.txt", ROWS, ["--format", "csv"]),
        ("people.txt", JSONL, ["--format", "jsonl"]),
    ],
    ids=[
        "csv", "tsv", "jsonl", "ndjson", "csv.gz", "jsonl.gz", "gzip by its content", "BOM and CRLF", "gb18030",
        "delimiter", "zstd", "quote", "escape", "header", "csv by format", "jsonl by format",
    ],
)  # fmt: skip
async def test_a_file_of_any_form_arrives(tmp_path: Path, name: str, data: str | bytes, arguments: list[str]) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        result = await ran("users", written(tmp_path, name, data), "--mode", "full", *arguments, url=platform.url)
        assert (result.code, platform.ledger.users.records()) == (0, USERS)
        assert platform.ledger.violations == []


async def test_a_url_is_opened_by_fsspec_and_gone_on_with_by_its_journal(tmp_path: Path) -> None:
    url = f"file://{written(tmp_path, 'people.csv', ROWS)}"
    journal = str(tmp_path / "journal")
    async with Emulator(token=canary.TOKEN) as platform:
        first = await ran("users", url, "--mode", "full", "--journal", journal, url=platform.url)
        again = await ran("users", url, "--mode", "full", "--journal", journal, url=platform.url)
        assert (first.code, again.code, platform.ledger.users.records()) == (0, 0, USERS)
        signed = f"file://{written(tmp_path, f'people.csv?sign={canary.TOKEN}', ROWS)}"
        secret = await ran("users", signed, "--mode", "full", "--journal", f"{journal}2", url=platform.url)
    assert (secret.code, "keeps no URL that may hold a password" in secret.err) == (2, True)


@pytest.mark.parametrize(
    ("data", "arguments"),
    [
        (ROWS.encode(), []),
        (JSONL.encode(), []),
        (gzip.compress(ROWS.encode()), []),
        (ROWS.replace(",", "\t").encode(), ["--format", "tsv"]),
    ],
    ids=["csv", "jsonl", "gzip", "tsv"],
)
async def test_standard_input_arrives(data: bytes, arguments: list[str]) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        result = await ran("users", "-", "--mode", "full", *arguments, url=platform.url, stdin=data)
        assert (result.code, platform.ledger.users.records()) == (0, USERS)


async def test_what_comes_slowly_is_sent_before_the_pipe_ends() -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        gate: Gate = platform.faults.hold()
        process = await started("users", "-", "--mode", "full", url=platform.url)
        assert process.stdin is not None
        process.stdin.write(ROWS.encode())
        await asyncio.wait_for(gate.arrived(1), 20)  # the linger of 5 s, and no end of the input
        gate.open()
        result = await ended(process, b"3,\n")
        assert (result.code, platform.ledger.users.distinct) == (0, 3)


async def test_ctrl_c_ends_an_import_that_waits_for_its_input() -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        process = await started("users", "-", "--mode", "full", "--quiet", url=platform.url)
        assert process.stdin is not None
        process.stdin.write(ROWS.encode() * 300)
        gate: Gate = platform.faults.hold()
        await gate.arrived(1)
        gate.open()
        process.send_signal(2)
        code = await asyncio.wait_for(process.wait(), 4)  # far below the 5 s after which a source is left behind
        assert code == 130
        assert process.stdout is not None
        assert b"500 accepted" in await process.stdout.read()


async def test_columns_become_fields_as_the_options_say(tmp_path: Path) -> None:
    path = written(tmp_path, "crm.csv", "Nr,Mobile,Tier,Tags,Junk\n7,138,gold,a;b,x\n")
    arguments = ("--map", "Nr=third_id", "--map", "Mobile=phone", "--custom", "Tier=12:Level", "--custom", "Tags=:Tags")
    more = ("--separator", ";", "--const", "identityType=phone", "--const", "remark=imported", "--ignore-unknown")
    async with Emulator(token=canary.TOKEN) as platform:
        await ran("users", path, "--mode", "full", "--matching", "exact", *arguments, *more, url=platform.url)
        assert platform.ledger.users.records() == [
            {
                "thirdId": "7",
                "phone": "138",
                "identityType": "phone",
                "remark": "imported",
                "customFields": [
                    {"configId": 12, "configName": "Level", "values": ["gold"]},
                    {"configName": "Tags", "values": ["a", "b"]},
                ],
            }
        ]
        assert platform.ledger.violations == []


@pytest.mark.parametrize(
    ("arguments", "eventargs"),
    [
        (["--args", "sku,price,count,note"], [{"sku": "007", "price": 9.5, "count": 2}, {"sku": 8, "price": "x", "count": 3, "note": "late"}]),
        (["--args", "*"], [{"sku": "007", "price": 9.5, "count": 2}, {"sku": 8, "price": "x", "count": 3, "note": "late"}]),
        (["--args", "sku:text,count:text", "--ignore-unknown"], [{"sku": "007", "count": "2"}, {"sku": "8", "count": "3"}]),
        (["--args", "price:number", "--ignore-unknown"], [{"price": 9.5}]),
        (["--map", "price=eventargs.c_price", "--ignore-unknown"], [{"c_price": 9.5}, {"c_price": "x"}]),
        (["--args", "note", "--ignore-unknown", "--empty", "keep"], [{"note": ""}, {"note": "late"}]),
    ],
    ids=["named", "all others", "text", "number", "renamed", "empty kept"],
)  # fmt: skip
async def test_columns_become_arguments_of_events(
    tmp_path: Path, arguments: list[str], eventargs: list[dict[str, Any]]
) -> None:
    path = written(tmp_path, "orders.csv", ORDERS)
    given = ("--map", "openid=identities.openid", "--map", "when=time", "--const", "eventKey=c_buy")
    async with Emulator(token=canary.TOKEN) as platform:
        result = await ran("events", path, *given, *arguments, url=platform.url)
        arrived = platform.ledger.events.records()
        assert [event["eventargs"] for event in arrived] == eventargs
        assert arrived[0]["identities"] == [{"identityType": "openid", "identityValue": "o1"}]
        assert arrived[0]["time"] == 1_735_689_600_000
        assert result.code == (0 if len(eventargs) == 2 else 1)
        assert platform.ledger.violations == []


async def test_a_mapping_holds_for_json_lines_too(tmp_path: Path) -> None:
    path = written(tmp_path, "people.jsonl", '{"Nr": "7", "Junk": 1}\n')
    async with Emulator(token=canary.TOKEN) as platform:
        await ran("users", path, "--mode", "full", "--map", "Nr=thirdId", "--ignore-unknown", url=platform.url)
        assert platform.ledger.users.records() == [{"thirdId": "7"}]


async def test_rejects_are_kept_in_a_file_of_ones_own(tmp_path: Path) -> None:
    path, rejects = written(tmp_path, "people.csv", "thirdId,sex\n1,男\n2,x\n"), tmp_path / "rejects.ndjson"
    async with Emulator(token=canary.TOKEN) as platform:
        arguments = ("users", path, "--mode", "full", "--rejects", str(rejects))
        result = await ran(*arguments, url=platform.url)
        (line,) = map(json.loads, rejects.read_text(encoding="utf-8").splitlines())
        assert (line["record"], line["line"], line["state"]) == ({"thirdId": "2", "sex": "x"}, 3, "rejected")
        assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
        assert f"1 rejected record is in {rejects}" in result.err
        before = platform.ledger.requests
        again = await ran(*arguments, url=platform.url)
        assert (again.code, platform.ledger.requests) == (2, before)
        assert "exists already: name another file, or move it away" in again.err


async def test_rejects_that_the_disk_did_not_take_are_told_even_after_ctrl_c_twice(tmp_path: Path) -> None:
    rows = "".join(f"{n},{'x' if 4_000 <= n < 4_040 else '男'}\n" for n in range(20_000))
    path = written(tmp_path, "people.csv", "thirdId,sex\n" + rows)
    async with Emulator(token=canary.TOKEN) as platform:
        gate = platform.faults.hold()
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            f'ulimit -f 1; exec {sys.executable} -c "from asyncimport.cli import main; main()" "$@"',
            "asyncimport", "users", path, "--mode", "full", "--quiet", "--rejects", str(tmp_path / "rejects"),
            env=os.environ | {"ASYNCIMPORT_TOKEN": canary.TOKEN, "ASYNCIMPORT_BASE_URL": platform.url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await gate.arrived(1)
        while not (tmp_path / "rejects").stat().st_size:  # noqa: ASYNC110 -- a file has no event
            await asyncio.sleep(0.01)
        process.send_signal(2)
        assert process.stderr is not None
        assert b"interrupted" in await process.stderr.readline()  # two signals at once may become one
        process.send_signal(2)
        result = await ended(process)
    assert result.code == 130
    assert "the rejects file" in result.err
    assert "cannot be written" in result.err
    assert "rejected records are in" not in result.err


async def test_a_mapped_key_that_no_line_has_is_warned_of(tmp_path: Path) -> None:
    path = written(tmp_path, "people.jsonl", '{"thirdId": "1", "Mobile": "138"}\n')
    async with Emulator(token=canary.TOKEN) as platform:
        arguments = ("users", path, "--mode", "full", "--map", "Mobil=phone", "--ignore-unknown")
        result = await ran(*arguments, url=platform.url)
    assert "warning: no line has the key 'Mobil' that the mapping names" in result.err
    assert result.code == 0
    assert "no line has the key 'Mobil'" in (await ran("check", *arguments[:2], *arguments[4:])).err


def test_the_words_that_the_command_replaces_are_those_of_the_code() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in Path(asyncimport.__file__).parent.rglob("*.py"))
    elsewhere = code.replace(inspect.getsource(errors), "")
    for theirs, ours in errors.OPTIONS_FOR.items():
        # The fields of a policy are named by the attribute: a terminal test holds that one.
        assert theirs in elsewhere or theirs.startswith(("DispatchPolicy.", "Rate.")), theirs
        assert errors.in_options(theirs) == ours


async def test_a_file_that_breaks_off_is_told_and_what_came_before_was_sent(tmp_path: Path) -> None:
    rows = "thirdId\n" + "".join(f"{n}-{n * n}\n" for n in range(50_000))
    path = written(tmp_path, "people.csv.gz", gzip.compress(rows.encode())[:-20_000])
    async with Emulator(token=canary.TOKEN) as platform:
        result = await ran("users", path, "--mode", "full", url=platform.url)
        assert result.code == 3
        assert "people.csv.gz" in result.err
        assert 0 < platform.ledger.users.distinct < 50_000
        assert f"{platform.ledger.users.distinct:,} accepted" in result.out
    checked = await ran("check", "users", path)
    assert checked.code == 3
    assert "the source was not read to its end" in checked.out


@pytest.mark.parametrize(
    ("arguments", "faults", "code", "told"),
    [
        (["--max-rejected", "0"], [], 3, "more than --max-rejected allows"),
        (["--max-rejected", "50%"], [], 1, ""),
        (["--deadline", "0.3"], [Status(status=429, headers={"Retry-After": "2"})], 3, ""),
        (["--on-unknown", "park"], [Status(status=500)], 3, ""),
        ([], [Ok(), Envelope(code="100999")], 1, ""),
        ([], [Status(status=429, headers={"Retry-After": "900"})], 3, "run the import again after"),
    ],
    ids=["too many rejected", "few enough", "deadline", "parked", "refused", "stalled"],
)
async def test_each_end_has_its_exit_code(
    tmp_path: Path, arguments: list[str], faults: list[Any], code: int, told: str
) -> None:
    path = written(tmp_path, "people.csv", "thirdId,sex\n" + "".join(f"{n},男\n" for n in range(998)) + "x,x\ny,y\n")
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script(faults)
        result = await ran("users", path, "--mode", "full", "--max-in-flight", "1", *arguments, url=platform.url)
    assert result.code == code
    assert told in result.err
    assert result.out.startswith("users: ")


async def test_json_is_one_document_whatever_happens(tmp_path: Path) -> None:
    path = written(tmp_path, "people.csv", "thirdId,sex\nx,x\n")
    async with Emulator(token=canary.TOKEN) as platform:
        arguments = ("users", path, "--mode", "full", "--json", "--max-rejected", "0")
        assert json.loads((await ran(*arguments, url=platform.url)).out)["rejected"] == 1
    assert json.loads((await ran("check", "users", path, "--json")).out)["errors"][0]["lines"] == [2]


async def shell(line: str, folder: Path, url: str) -> tuple[str, str]:
    """What a pipeline prints; `asyncimport` in it is the command."""
    binary = folder / "asyncimport"
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from asyncimport.cli import main; main()" "$@"\n')
    binary.chmod(0o700)
    environment = os.environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "ASYNCIMPORT_TOKEN": canary.TOKEN,
        "ASYNCIMPORT_BASE_URL": url,
    }
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", line, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return out.decode(), err.decode()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{run} | head -c 5; echo ${{PIPESTATUS[0]}}", "users1\n"),
        ("{run} 2>&1 | true; echo ${{PIPESTATUS[0]}}", "1\n"),
        ("{run} | true; echo ${{PIPESTATUS[0]}}", "1\n"),
        ("{run} >&-; echo $?", "1\n"),
        ("{run} 2>&- >&-; echo $?", "1\n"),
        ("asyncimport users --help | head -c 1 | wc -c; echo ok", "1\nok\n"),
        ("asyncimport --help > /dev/full; echo $?", "3\n"),
        ("asyncimport --nope 2>&-; echo $?", "2\n"),
    ],
    ids=["head", "both closed", "stdout closed", "no stdout", "no stdout, no stderr", "help", "full disk", "no stderr"],
)
async def test_whoever_reads_may_go_away(tmp_path: Path, line: str, said: str) -> None:
    path = written(tmp_path, "people.csv", "thirdId,sex\n" + "".join(f"{n},男\n" for n in range(5_000)) + "x,x\n")
    async with Emulator(token=canary.TOKEN) as platform:
        run = f"asyncimport users {path} --mode full"
        out, err = await shell(line.format(run=run), tmp_path, platform.url)
        assert out == said
        assert "Traceback" not in err
        assert "Exception ignored" not in err
        if "{run}" in line:
            assert platform.ledger.users.distinct == 5_000


async def test_a_full_disk_under_the_report_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "people.csv", "thirdId\n1\n")
    async with Emulator(token=canary.TOKEN) as platform:
        run = f"asyncimport users {path} --mode full > /dev/full; echo $?"
        out, err = await shell(run, tmp_path, platform.url)
    assert out == "3\n"
    assert "error: the output cannot be written (No space left on device)" in err


async def test_help_needs_neither_network_nor_loop(tmp_path: Path) -> None:
    script = "import sys\nfrom asyncimport.cli import main\ntry:\n    main()\nfinally:\n    print('seen', *sys.modules)"
    for arguments in (["--help"], ["users", "--help"], ["check", "events", "--help"], ["doctor", "-h"], ["--version"]):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, *arguments, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        modules = out.decode().rpartition("seen ")[2].split()
        assert not {"aiohttp", "cattrs", "asyncimport.client"} & set(modules)


@pytest.mark.parametrize("command", ["users", "events", "check users", "check events", "doctor", "emulate"])
async def test_each_help_has_examples(command: str) -> None:
    result = await ran(*command.split(), "--help")
    assert result.code == 0
    assert "Examples" in result.out
    assert f"asyncimport {command} " in result.out or f"asyncimport {command}\n" in result.out


@pytest.mark.parametrize("missing", ["typer", "rich"])
async def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    script = f"import sys; sys.modules[{missing!r}] = None\nfrom asyncimport.cli import main\nmain()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert err.decode() == f'the command needs {missing}: pip install "asyncimport[cli]"\n'


@pytest.mark.parametrize(
    ("words", "offered"), [("asyncimport us", "users"), ("asyncimport check ev", "events"), ("asyncimport users --mo", "--mode")]
)  # fmt: skip
async def test_a_shell_completes_commands_and_options(words: str, offered: str) -> None:
    environment = os.environ | {
        "_ASYNCIMPORT_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from asyncimport.cli import main; main()",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert offered in out.decode().split()
