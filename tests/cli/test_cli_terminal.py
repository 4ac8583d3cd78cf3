"""The command on a terminal: what a person sees of each error, of a prompt, of a pause and of Ctrl-C."""

from __future__ import annotations

import sys
from pathlib import Path

import canary
import pytest
from terminal import CTRL_C, Terminal

from asyncimport.emulator import Delay, Emulator, Hang, Status

COMMAND = (sys.executable, "-c", "from asyncimport.cli import main; main()")
ENVIRONMENT = {"ASYNCIMPORT_TOKEN": canary.TOKEN, "ASYNCIMPORT_BASE_URL": "", "NO_COLOR": "1"}


def on_terminal(*arguments: str, url: str = "", columns: int = 100, **environment: str) -> Terminal:
    env = ENVIRONMENT | {"ASYNCIMPORT_BASE_URL": url} | environment
    return Terminal(*COMMAND, *arguments, columns=columns, rows=30, env=env)


def people(folder: Path, rows: int = 3, header: str = "thirdId,realName") -> str:
    path = folder / "people.csv"
    path.write_text(header + "\n" + "".join(f"{n},x\n" for n in range(rows)), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("header", "arguments", "told"),
    [
        (
            "thirdId,fone",
            [],
            "column 'fone' is no field of UserProfile: did you mean phone? Else map it to a field (--map), or ignore it (--ignore-unknown)",
        ),
        (
            "thirdId,Town,City",
            [],
            "columns 'Town', 'City' are no fields of UserProfile: map them to fields (--map, --args), or ignore them (--ignore-unknown)",
        ),
        ("thirdId,third_id", [], "columns 'thirdId' and 'third_id' fill the same field: remove one"),
        ("thirdId,x", ["--map", "y=phone"], "'y'"),
        ("thirdId,x", ["--map", "x"], "--map 'x' cannot be read: write it as COLUMN=FIELD"),
        ("thirdId,x", ["--map", "x=phone", "--map", "x=sex"], "the same name is given twice"),
        ("thirdId,x", ["--custom", "x=level:12"], "write it as COLUMN=configId:configName"),
        ("thirdId,x", ["--const", "phone"], "--const 'phone' cannot be read: write it as FIELD=VALUE"),
        ("thirdId,x", ["--const", "fone=1", "--ignore-unknown"], "'fone'"),
        ("thirdId,x", ["--args", "x"], "UserProfile takes no arguments"),
        ("thirdId,realName", ["--encoding", "utf-99"], "encoding"),
        (
            "thirdId,realName",
            ["--max-rejected", "few"],
            "--max-rejected takes a count or a share up to 100%, as in 100 or 1%",
        ),
        ("thirdId,realName", ["--token", "a", "--token-file", "b"], "--token and --token-file are given"),
        ("thirdId,realName", ["--ca-file", "nowhere.pem"], "--ca-file nowhere.pem cannot be read"),
        ("thirdId,realName", ["--rejects", "/nowhere/rejects"], "its folder does not exist"),
        ("thirdId,realName", ["--endpoint", "users"], "write it as NAME=PATH"),
        ("thirdId,realName", ["--matching", "fuzzy"], "--matching fuzzy needs --identify-way"),
        ("thirdId,realName", ["--custom", "x=:"], "write it as COLUMN=configId:configName"),
        ("thirdId,realName", ["--max-rejected", "150%"], "a count or a share up to 100%"),
        ("thirdId,realName", ["--max-in-flight", "0"], "--max-in-flight takes"),
        ("thirdId,realName", ["--requests-per-s", "0"], "--requests-per-s takes a number above 0"),
        ("thirdId,realName", ["--records-per-s", "-5"], "--records-per-s takes a number above 0"),
        ("thirdId,realName", ["--deadline", "-1"], "--deadline takes seconds above 0"),
        ("thirdId,realName", ["--proxy", "x"], "--proxy takes a URL"),
        ("thirdId,realName", ["--base-url", "http://example.com/x"], "or give --allow-insecure-http"),
        ("thirdId,realName", ["--endpoint", "users=/a", "--endpoint", "users=/b"], "the same name is given twice"),
        ("thirdId,realName", ["--delimiter", ""], "--delimiter takes one character"),
        ("thirdId,realName", ["--args", "*:number"], "--args '*' takes no type"),
        ("thirdId,realName", ["--args", "x:number,x:text"], "--args: the same name is given twice"),
        ("thirdId,realName", ["--app-secret", "x"], "given without its id"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_wrong_use_is_one_sentence_before_anything_is_sent(
    tmp_path: Path, header: str, arguments: list[str], told: str
) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        path = people(tmp_path, header=header)
        async with on_terminal("users", path, "--mode", "full", *arguments, url=platform.url) as terminal:
            assert await terminal.ended() == 2
            assert told in " ".join(" ".join(terminal.lines).split())
            assert sum(line.startswith("error:") for line in terminal.lines) == 1
            assert canary.leaks(terminal.raw.decode()) == []
        assert platform.ledger.requests == 0


async def test_a_file_that_is_not_there_or_in_another_encoding_says_what_to_do(tmp_path: Path) -> None:
    async with on_terminal("users", "missing.csv", "--mode", "full", url="http://127.0.0.1:9/x") as terminal:
        assert await terminal.ended() == 2
        assert terminal.lines == ["error: missing.csv does not exist: check the path"]
    path = tmp_path / "people.csv"
    path.write_bytes(b"thirdId,realName\n" + "".join(f"{n},张伟\n" for n in range(9)).encode("gb18030"))
    async with on_terminal("users", str(path), "--mode", "full", url="http://127.0.0.1:9/x") as terminal:
        assert await terminal.ended() == 2
        assert "gb18030" in terminal.text


async def test_a_missing_address_is_asked_for_by_name(tmp_path: Path) -> None:
    async with on_terminal("users", people(tmp_path), "--mode", "full") as terminal:
        assert await terminal.ended() == 2
        assert terminal.lines == ["error: no base URL: give --base-url or set ASYNCIMPORT_BASE_URL"]


async def test_a_missing_mode_is_asked_for_by_name(tmp_path: Path) -> None:
    async with on_terminal("users", people(tmp_path)) as terminal:
        assert await terminal.ended() == 2
        assert "Missing option '--mode'" in terminal.text


async def test_the_token_is_asked_for_and_not_shown(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        arguments = ("users", people(tmp_path), "--mode", "full")
        async with on_terminal(*arguments, url=platform.url, ASYNCIMPORT_TOKEN="") as terminal:
            await terminal.shows("Token of the platform (not shown):")
            terminal.send(f"{canary.TOKEN}\n")
            assert await terminal.ended() == 0
            assert "users: 3 read = 3 accepted" in terminal.text
            assert canary.leaks(terminal.raw.decode()) == []


async def test_the_secret_of_an_app_is_asked_for(tmp_path: Path) -> None:
    async with Emulator() as platform:
        arguments = ("users", people(tmp_path), "--mode", "full", "--app-id", platform.app_id)
        async with on_terminal(*arguments, url=platform.url, ASYNCIMPORT_TOKEN="") as terminal:
            await terminal.shows("Secret of the app (not shown):")
            terminal.send(f"{platform.app_secret}\n")
            assert await terminal.ended() == 0
            assert platform.app_secret not in terminal.raw.decode()


async def test_an_app_id_alone_asks_for_its_secret(tmp_path: Path) -> None:
    async with Emulator() as platform:
        arguments = ("users", people(tmp_path), "--mode", "full")
        app = platform.app_id
        async with on_terminal(*arguments, url=platform.url, ASYNCIMPORT_TOKEN="", ASYNCIMPORT_APP_ID=app) as terminal:
            await terminal.shows("Secret of the app (not shown):")
            terminal.send(f"{platform.app_secret}\n")
            assert await terminal.ended() == 0


async def test_what_is_typed_into_standard_input_is_never_taken_for_a_token() -> None:
    async with on_terminal(
        "users", "-", "--mode", "full", url="http://127.0.0.1:9/x", ASYNCIMPORT_TOKEN=""
    ) as terminal:
        terminal.send("thirdId,phone\nalice,1\n")
        assert await terminal.ended() == 2
        assert "no token: give --token-file or --app-id, or set ASYNCIMPORT_TOKEN" in " ".join(terminal.text.split())


async def test_a_prompt_that_gets_no_text_says_so(tmp_path: Path) -> None:
    arguments = ("users", people(tmp_path), "--mode", "full")
    async with on_terminal(*arguments, url="http://127.0.0.1:9/x", ASYNCIMPORT_TOKEN="", PYTHONUTF8="1") as terminal:
        await terminal.shows("Token of the platform")
        terminal.send(b"\xff\xfe\xd5\n")
        assert await terminal.ended() == 2
        assert "error: what was typed is no text" in terminal.text


async def test_a_token_given_as_a_file_name_is_not_shown(tmp_path: Path) -> None:
    arguments = ("users", people(tmp_path), "--mode", "full", "--token-file", canary.TOKEN)
    async with on_terminal(*arguments, url="http://127.0.0.1:9/x") as terminal:
        assert await terminal.ended() == 2
        assert "--token-file names no file" in terminal.text
        assert canary.leaks(terminal.raw.decode()) == []


async def test_ctrl_c_outweighs_what_then_goes_wrong(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        gate = platform.faults.hold()
        arguments = ("users", people(tmp_path, rows=20_000), "--mode", "full", "--max-in-flight", "8")
        async with on_terminal(*arguments, url=platform.url) as terminal:
            await gate.arrived(8)
            terminal.send(CTRL_C)
            await terminal.shows("interrupted")
            platform.faults.add(Status(status=401))
            gate.open()
            assert await terminal.ended() == 130
            assert "error: the platform refuses the token" in terminal.text


async def test_ctrl_c_at_the_prompt_ends_quietly(tmp_path: Path) -> None:
    arguments = ("users", people(tmp_path), "--mode", "full")
    async with on_terminal(*arguments, url="http://127.0.0.1:9/x", ASYNCIMPORT_TOKEN="") as terminal:
        await terminal.shows("Token of the platform")
        terminal.send(CTRL_C)
        assert await terminal.ended() == 130
        assert "Traceback" not in terminal.text


async def test_a_token_on_the_command_line_is_warned_of(tmp_path: Path) -> None:
    async with Emulator(token="told") as platform:
        arguments = ("users", people(tmp_path), "--mode", "full", "--token", "told")
        async with on_terminal(*arguments, url=platform.url) as terminal:
            assert await terminal.ended() == 0
            assert "warning: others can read --token in the list of processes" in terminal.text


async def test_a_token_file_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(canary.TOKEN, encoding="ascii")
    token.chmod(0o644)
    async with Emulator(token=canary.TOKEN) as platform:
        arguments = ("users", people(tmp_path), "--mode", "full", "--token-file", str(token))
        async with on_terminal(*arguments, url=platform.url, ASYNCIMPORT_TOKEN="") as terminal:
            assert await terminal.ended() == 0
            assert "warning: others can read" in terminal.text


async def test_a_person_sees_how_far_it_is_and_why_it_waits(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.add(Delay(seconds=0.3))
        platform.faults.script([Status(status=429, headers={"Retry-After": "2"})])
        arguments = ("users", people(tmp_path, rows=20_000), "--mode", "full", "--max-in-flight", "2")
        async with on_terminal(*arguments, url=platform.url) as terminal:
            screen = await terminal.shows("paused, ")
            assert "HTTP 429" in screen
            await terminal.until(lambda text: "accepted" in text and "in flight" in text and "%" in text)
            await terminal.until(lambda text: " left" in text and "paused" not in text)
            assert await terminal.ended() == 0
            assert "20,000 read = 20,000 accepted" in terminal.text
            assert "in flight" not in terminal.text  # the live lines are gone, the report stays
        assert platform.ledger.users.distinct == 20_000


async def test_ctrl_c_once_drains_and_reports(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        gate = platform.faults.hold()
        arguments = ("users", people(tmp_path, rows=20_000), "--mode", "full", "--max-in-flight", "8")
        async with on_terminal(*arguments, url=platform.url) as terminal:
            await gate.arrived(8)
            terminal.send(CTRL_C)
            await terminal.shows("interrupted: waiting for what is in flight; once more to stop at once")
            gate.open()
            assert await terminal.ended() == 130
            assert "4,000 accepted" in terminal.text
            assert "^C" not in terminal.lines[-1]
        assert platform.ledger.users.distinct == 4_000


async def test_ctrl_c_twice_stops_at_once(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.add(Hang())
        gate = platform.faults.hold()
        arguments = ("users", people(tmp_path, rows=20_000), "--mode", "full", "--max-in-flight", "8")
        async with on_terminal(*arguments, url=platform.url) as terminal:
            await gate.arrived(8)
            terminal.send(CTRL_C)
            await terminal.shows("interrupted")
            terminal.send(CTRL_C)
            assert await terminal.ended() == 130
            assert "4,000 unconfirmed" in terminal.text


async def test_colors_are_there_and_can_be_refused(tmp_path: Path) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.add(Delay(seconds=0.6))
        arguments = ("users", people(tmp_path, rows=2_000), "--mode", "full", "--max-in-flight", "1")
        colors = []
        for more, color in (((), ""), (("--no-color",), ""), ((), "1")):
            async with on_terminal(*arguments, *more, url=platform.url, NO_COLOR=color) as terminal:
                assert await terminal.ended() == 0
                colors.append(any(f"\x1b[{code}m".encode() in terminal.raw for code in ("32", "36", "1;36")))
        assert colors == [True, False, False]


async def test_check_lists_every_error_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("thirdId,sex\n1,男\n2,x\n3,yy\n", encoding="utf-8")
    async with on_terminal("check", "users", str(path)) as terminal:
        assert await terminal.ended() == 1
        assert terminal.lines[:4] == [
            "users: 3 read, 2 with errors; 1 would be sent in 1 batch of 89 bytes",
            "  2 x sex: takes one of 男, 女",
            "      line 3, column 'sex': got another text like 'x'",
            "      line 4, column 'sex': got another text like 'xx'",
        ]
        assert '  "thirdId": "1",' in terminal.lines


async def test_the_doctor_says_what_to_do_where_it_is_red() -> None:
    async with Emulator() as platform, on_terminal("doctor", url=platform.url) as terminal:
        assert await terminal.ended() == 2
        assert "BAD  users" in terminal.text
        assert "-> get a new token" in terminal.text


async def test_a_report_that_goes_elsewhere_leaves_one_line_on_the_terminal(tmp_path: Path) -> None:
    with (tmp_path / "report.json").open("wb") as report:
        async with Emulator(token=canary.TOKEN) as platform:
            env = ENVIRONMENT | {"ASYNCIMPORT_BASE_URL": platform.url}
            arguments = (*COMMAND, "users", people(tmp_path), "--mode", "full", "--json")
            async with Terminal(*arguments, env=env, stdout=report.fileno()) as terminal:
                assert await terminal.ended() == 0
                assert len(terminal.lines) == 1
                assert terminal.lines[0].startswith("users: 3 read, 3 accepted")
    assert (tmp_path / "report.json").stat().st_size > 100
