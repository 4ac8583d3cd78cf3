"""Imports with a journal, killed and gone on with: the ledger of the platform is the witness."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import canary
import pytest
from command import Result, ended, ran, started

from asyncimport import USERS, ImportClient, ImportMode, UserImportConfig, UserProfile
from asyncimport.emulator import Emulator, Hang, Ok
from asyncimport.journal.inspection import read_status

HEADER = "thirdId,realName,sex\n"
#: Requests under way when nothing else is said.
WIDTH = 8


def rows(count: int, first: int = 0) -> str:
    return "".join(f"{n},{canary.PERSON},女\n" for n in range(first, first + count))


def people(folder: Path, count: int, bad: int = 0, first: int = 0) -> str:
    path = folder / "people.csv"
    path.write_text(HEADER + rows(count, first) + "".join(f"b{n},x,?\n" for n in range(bad)), encoding="utf-8")
    return str(path)


def relative(path: str) -> str:
    return os.path.relpath(path)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 -- neither a ledger nor a file tells that it has changed
            await asyncio.sleep(0.01)


async def until_stuck(platform: Emulator, accepted: int) -> None:
    """Until so many records were accepted, and every request under way is one that hangs."""
    await until(lambda: platform.ledger.users.distinct == accepted and platform.faults.pending == 0)
    await until(lambda: platform.ledger.in_flight >= WIDTH)


def stuck_after(platform: Emulator, batches: int) -> None:
    platform.faults.script([Ok()] * batches)
    platform.faults.add(Hang())


async def killed(process: asyncio.subprocess.Process) -> None:
    process.kill()
    assert (await ended(process)).code == -signal.SIGKILL


def bytes_of(journal: Path) -> bytes:
    """All that lies on the disk under the journal's name."""
    return b"".join(path.read_bytes() for path in sorted(journal.parent.glob(f"{journal.name}*")))


def report_of(result: Result) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(result.out)
    return report


@pytest.mark.parametrize(
    ("again", "more"), [("resume", ()), ("users", ()), ("resume", ("--spool",))], ids=["resume", "again", "spooled"]
)
async def test_an_import_that_was_killed_goes_on_and_tells_of_all_of_it(
    tmp_path: Path, again: str, more: tuple[str, ...]
) -> None:
    path, journal, rejects = people(tmp_path, 10_000, bad=3), tmp_path / "a.journal", tmp_path / "rejects.ndjson"
    kept = ("--journal", str(journal), "--rejects", str(rejects), *more)
    command = ("users", relative(path), "--mode", "full", *kept)
    async with Emulator(token=canary.TOKEN) as platform:
        stuck_after(platform, 6)
        process = await started(*command, url=platform.url)
        await until_stuck(platform, 3000)
        await killed(process)
        status = read_status(str(journal))
        assert (status.state, status.file, status.next) == ("killed", path, f"asyncimport resume {journal}")
        assert status.accepted <= 3000
        platform.faults.clear()
        arguments = command if again == "users" else ("resume", str(journal))
        result = await ran(*arguments, "--json", url=platform.url if again == "users" else "")
        report, ledger = report_of(result), platform.ledger
        assert (result.code, report["read"], report["accepted"], report["rejected"]) == (1, 10_003, 10_000, 3)
        assert (ledger.users.distinct, ledger.violations) == (10_000, [])
        assert ledger.users.duplicates <= report["possible_duplicates"] <= 4 * WIDTH * 500
        assert len(report["batch_ids"]) == 20
    assert "going on after" in result.err
    assert f"3 rejected records are in {rejects}" in result.err
    assert len(rejects.read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.breakage("journal: write down as pending what was accepted")
async def test_f14_an_import_that_has_ended_sends_nothing_and_needs_no_file(tmp_path: Path) -> None:
    path, journal = people(tmp_path, 1200), tmp_path / "a.journal"
    async with Emulator(token=canary.TOKEN) as platform:
        first = await ran("users", path, "--mode", "full", "--journal", str(journal), "--json", url=platform.url)
        requests = platform.ledger.requests
        (tmp_path / "people.csv").unlink()
        again = await ran("resume", str(journal), "--json")
        assert platform.ledger.requests == requests
    assert (first.code, again.code) == (0, 0)
    one, other = report_of(first), report_of(again)
    timed = {"elapsed_s", "records_per_s", "width_course"}
    assert {name: one[name] for name in one.keys() - timed} == {name: other[name] for name in one.keys() - timed}
    assert "nothing is left to be sent" in again.err


async def test_the_address_is_that_of_the_journal_whatever_the_environment_says(tmp_path: Path) -> None:
    path, journal = people(tmp_path, 9000), tmp_path / "a.journal"
    async with Emulator(token=canary.TOKEN) as platform, Emulator(token=canary.TOKEN) as other:
        stuck_after(platform, 2)
        process = await started("users", path, "--mode", "full", "--journal", str(journal), url=platform.url)
        await until_stuck(platform, 1000)
        await killed(process)
        platform.faults.clear()
        moved = await ran("resume", str(journal), "--base-url", other.url)
        assert (await ran("resume", str(journal), url=other.url)).code == 0
        assert (platform.ledger.users.distinct, other.ledger.requests) == (9000, 0)
    assert moved.code == 3
    assert "belongs to another import: the address differs" in moved.err


async def test_a_wrong_address_is_replaced_while_nothing_was_sent(tmp_path: Path) -> None:
    path, journal = people(tmp_path, 20), tmp_path / "a.journal"
    arguments = ("users", path, "--mode", "full", "--journal", str(journal), "--deadline", "1")
    assert (await ran(*arguments, url="http://127.0.0.1:1/api")).code == 3
    async with Emulator(token=canary.TOKEN) as platform:
        assert (await ran("resume", str(journal), "--base-url", platform.url)).code == 0
        assert platform.ledger.users.distinct == 20
    assert (await ran("resume", str(journal))).code == 0


async def test_an_import_that_did_not_finish_says_how_to_go_on(tmp_path: Path) -> None:
    path, journal = people(tmp_path, 5000), tmp_path / "a b.journal"
    arguments = ("users", path, "--mode", "full", "--deadline", "1")
    without = await ran(*arguments, url="http://127.0.0.1:1/x")
    result = await ran(*arguments, "--journal", str(journal), url="http://127.0.0.1:1/x")
    assert (without.code, result.code) == (3, 3)
    assert "asyncimport resume" not in without.err
    assert result.err.splitlines()[-1] == f"to go on: asyncimport resume '{journal}'"


async def test_a_file_that_was_changed_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    path, journal = people(tmp_path, 9000), tmp_path / "a.journal"
    async with Emulator(token=canary.TOKEN) as platform:
        stuck_after(platform, 2)
        process = await started("users", path, "--mode", "full", "--journal", str(journal), url=platform.url)
        await until_stuck(platform, 1000)
        await killed(process)
        platform.faults.clear()
        people(tmp_path, 9000, first=1)
        requests = platform.ledger.requests
        result = await ran("resume", str(journal), url=platform.url)
        other = await ran("users", path, "--mode", "partial", "--journal", str(journal), url=platform.url)
        assert platform.ledger.requests == requests
    assert (result.code, other.code) == (3, 3)
    assert "the source is not the one" in result.err
    assert "belongs to another import: the config differs" in other.err


@pytest.mark.breakage("schema: look for no empty file")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "does not exist: check the path"),
        (b"thirdId\n1\n", "is no journal: name another file"),
        (b"", "is empty: it has lost what it held"),
    ],
    ids=["missing", "another file", "empty"],
)
async def test_f7_what_is_no_journal_is_refused_with_a_sentence(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    journal = tmp_path / "a.journal"
    if content is not None:
        journal.write_bytes(content)
    result = await ran("resume", str(journal), url="http://127.0.0.1:1/x")
    assert (result.code, result.out) == (3, "")
    assert told in result.err


async def test_a_damaged_journal_is_refused_and_status_says_what_is_damaged(tmp_path: Path) -> None:
    path, journal = people(tmp_path, 3000), tmp_path / "a.journal"
    async with Emulator(token=canary.TOKEN) as platform:
        assert (await ran("users", path, "--mode", "full", "--journal", str(journal), url=platform.url)).code == 0
    whole = journal.read_bytes()
    journal.write_bytes(whole.replace(b'"resource":"users"', b'"resource":"usrrs"'))
    resumed, status = await ran("resume", str(journal)), await ran("status", str(journal))
    assert (resumed.code, status.code) == (3, 3)
    assert "is damaged (what it says of its run): it is not resumed" in resumed.err
    assert "3,000 read = 3,000 accepted" in status.out
    assert "damaged: what it says of its run" in status.out
    assert "is damaged: what it says of its run" in status.err


async def test_a_journal_from_python_is_refused_with_what_to_do(tmp_path: Path) -> None:
    journal, config = tmp_path / "a.journal", UserImportConfig(is_matching=False, import_mode=ImportMode.FULL)
    async with (
        Emulator(token=canary.TOKEN) as platform,
        ImportClient(platform.url, token=canary.TOKEN) as client,
    ):
        await client.run(USERS, [UserProfile(third_id="1")], config, journal=journal)
    result = await ran("resume", str(journal), url=platform.url)
    assert result.code == 3
    assert "was begun from Python, which alone knows its source: make the same call again" in result.err


async def test_no_secret_and_no_record_is_in_the_journal(tmp_path: Path) -> None:
    path, journal, secret = people(tmp_path, 3000), tmp_path / "a.journal", tmp_path / "secret"
    secret.write_text(canary.TOKEN, encoding="ascii")
    secret.chmod(0o600)
    proxy = f"http://me:{canary.TOKEN}@127.0.0.1:1"
    arguments = (
        "users",
        path,
        "--mode",
        "full",
        "--max-in-flight",
        "8",
        "--journal",
        str(journal),
        "--deadline",
        "1",
        "--proxy",
        proxy,
    )
    url = "https://platform.invalid/api"
    result = await ran(*arguments, "--app-id", "app", "--app-secret-file", str(secret), url=url, token=None)
    assert result.code == 3
    assert str(secret).encode() in bytes_of(journal)
    assert b"platform.invalid" in bytes_of(journal)
    assert canary.leaks(bytes_of(journal).decode("utf-8", "replace")) == []
    told = await ran("resume", str(journal), token=None)
    assert told.code == 2
    assert "give --proxy again" in told.err
    bare = tmp_path / "b.journal"
    async with Emulator(token=canary.TOKEN) as platform:
        gate = platform.faults.hold()
        open_handed = (
            "users",
            path,
            "--mode",
            "full",
            "--max-in-flight",
            "8",
            "--journal",
            str(bare),
            "--token",
            canary.TOKEN,
        )
        process = await started(*open_handed, url=platform.url, token=None)
        await gate.arrived(6)
        assert canary.leaks(bytes_of(bare).decode("utf-8", "replace")) == []
        gate.open()
        assert (await ended(process)).code == 0
    assert canary.leaks(bytes_of(bare).decode("utf-8", "replace")) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--journal", "a.journal"), "give --spool too, or save it as a file"),
        (("--spool",), "--spool keeps records in a journal: give --journal too"),
    ],
    ids=["no spool", "no journal"],
)
async def test_standard_input_needs_both(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    given = [str(tmp_path / option) if option.endswith(".journal") else option for option in options]
    async with Emulator(token=canary.TOKEN) as platform:
        result = await ran("users", "-", "--mode", "full", *given, url=platform.url, stdin=HEADER.encode())
        assert platform.ledger.requests == 0
    assert result.code == 2
    assert told in result.err


async def killed_while_it_reads(journal: Path, platform: Emulator) -> None:
    """An import of standard input that had 10,000 records and no end yet, of which 1,000 were accepted."""
    stuck_after(platform, 2)
    process = await started(
        "users", "-", "--mode", "full", "--journal", str(journal), "--spool", url=platform.url, token=canary.TOKEN
    )
    assert process.stdin is not None
    process.stdin.write((HEADER + rows(10_000)).encode())
    await process.stdin.drain()
    await until_stuck(platform, 1000)
    await killed(process)
    platform.faults.clear()


async def test_what_was_spooled_is_sent_and_the_place_to_go_on_is_told(tmp_path: Path) -> None:
    journal = tmp_path / "a.journal"
    async with Emulator(token=canary.TOKEN) as platform:
        await killed_while_it_reads(journal, platform)
        result = await ran("resume", str(journal), "--json", "--quiet", url=platform.url)
        report = report_of(result)
        read = report["read"]
        assert (result.code, report["source_ended"], report["accepted"]) == (3, False, read)
        assert platform.ledger.users.distinct == read < 10_000
        assert {record["thirdId"] for record in platform.ledger.users.records()} == {str(n) for n in range(read)}
        assert f"standard input had not ended: give it again from record {read:,} on" in result.err
        assert "asyncimport resume" not in result.err
        assert f"again from record {read:,} on" in (await ran("status", str(journal))).out
        rest = (HEADER + rows(10_000 - read, first=read)).encode()
        arguments = ("users", "-", "--mode", "full", "--spool", "--journal", str(tmp_path / "b.journal"))
        assert (await ran(*arguments, url=platform.url, stdin=rest)).code == 0
        assert (platform.ledger.users.distinct, platform.ledger.violations) == (10_000, [])


async def test_the_same_command_never_takes_what_comes_then_for_new(tmp_path: Path) -> None:
    journal = tmp_path / "a.journal"
    arguments = ("users", "-", "--mode", "full", "--journal", str(journal), "--spool")
    async with Emulator(token=canary.TOKEN) as platform:
        await killed_while_it_reads(journal, platform)
        others = (HEADER + rows(500, first=50_000)).encode()
        changed = await ran(*arguments, "--map", "x=phone", url=platform.url, stdin=others)
        for stdin in (others, b""):
            result = await ran(*arguments, url=platform.url, stdin=stdin)
            assert result.code == 3
            assert "standard input was not read" in result.err
        found = {int(record["thirdId"]) for record in platform.ledger.users.records()}
        assert found == set(range(len(found)))
    assert changed.code == 3
    assert "its file, or how that is read, differs" in changed.err


async def test_standard_input_that_had_ended_is_done_when_it_is_sent(tmp_path: Path) -> None:
    journal = tmp_path / "a.journal"
    arguments = ("users", "-", "--mode", "full", "--journal", str(journal), "--spool")
    async with Emulator(token=canary.TOKEN) as platform:
        stuck_after(platform, 2)
        process = await started(*arguments, url=platform.url)
        assert process.stdin is not None
        process.stdin.write((HEADER + rows(6000)).encode())
        process.stdin.close()
        await until_stuck(platform, 1000)
        await until(lambda: read_status(str(journal)).source_ended)
        await killed(process)
        platform.faults.clear()
        result = await ran("resume", str(journal), url=platform.url)
        assert result.code == 0
        assert platform.ledger.users.distinct == 6000
        again = await ran(*arguments, url=platform.url, stdin=(HEADER + rows(5, first=50_000)).encode())
        assert platform.ledger.users.distinct == 6000
    assert again.code == 0
    assert "standard input was not read" in again.err


async def test_a_pipe_that_is_gone_is_not_opened_again(tmp_path: Path) -> None:
    journal, pipe = tmp_path / "a.journal", tmp_path / "people.csv"
    os.mkfifo(pipe)
    async with Emulator(token=canary.TOKEN) as platform:
        stuck_after(platform, 2)
        arguments = ("users", str(pipe), "--mode", "full", "--journal", str(journal), "--spool")
        process = await started(*arguments, url=platform.url)
        writer = await asyncio.to_thread(pipe.open, "w", encoding="utf-8")
        await asyncio.to_thread(writer.write, HEADER + rows(6000))
        await asyncio.to_thread(writer.flush)  # all of it: what a killed process did not take is lost with it
        await until_stuck(platform, 1000)
        await killed(process)
        with suppress(BrokenPipeError):
            writer.close()
        pipe.unlink()
        platform.faults.clear()
        for again in (("resume", str(journal)), arguments):
            result = await ran(*again, "--json", "--quiet", url=platform.url)
            read = report_of(result)["read"]
            assert (result.code, platform.ledger.users.distinct) == (3, read)
            assert f"{pipe} had not ended: give it again from record {read:,} on" in result.err
