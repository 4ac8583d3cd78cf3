"""SIGTERM and Ctrl-C: an import and a check end in time, whatever the source and the platform do."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import canary
import pytest
from command import Result, ended, ran, started

from asyncimport.emulator import Emulator, Hang

HEADER = "thirdId,realName\n"
#: What SIGTERM leaves, and what a busy machine may take on top.
WITHIN_S = 8.0
SLACK_S = 1.0


def rows(count: int) -> str:
    return "".join(f"{n},{canary.PERSON}\n" for n in range(count))


def people(folder: Path, count: int) -> str:
    path = folder / "people.csv"
    path.write_text(HEADER + rows(count), encoding="utf-8")
    return str(path)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 -- neither a ledger nor a process tells that it has changed
            await asyncio.sleep(0.01)


async def signalled(process: asyncio.subprocess.Process, number: signal.Signals) -> Result:
    """End a command by a signal, in time."""
    began = time.monotonic()
    process.send_signal(number)
    result = await ended(process)
    assert time.monotonic() - began < WITHIN_S + SLACK_S
    return result


def waits_for_a_writer(process: asyncio.subprocess.Process) -> bool:
    """Whether a process is at opening a pipe that nobody writes to; Linux names the place."""
    return Path(f"/proc/{process.pid}/wchan").read_text(encoding="ascii") == "wait_for_partner"


@pytest.mark.breakage("signals: leave SIGTERM to the system")
@pytest.mark.skipif(not Path("/proc/self/wchan").exists(), reason="the system does not tell where a process waits")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", [("users", "{path}", "--mode", "full"), ("check", "users", "{path}")], ids=str)
async def test_e5_e7_a_pipe_that_nobody_opens_holds_up_no_end(
    tmp_path: Path, command: tuple[str, ...], number: signal.Signals
) -> None:
    pipe = tmp_path / "people.csv"
    os.mkfifo(pipe)
    process = await started(*(part.format(path=pipe) for part in command), url="http://127.0.0.1:1/x")
    await until(lambda: waits_for_a_writer(process))
    result = await signalled(process, number)
    assert (result.code, result.out, result.err) == (130, "", "")


@pytest.mark.breakage("importing: leave SIGTERM to the system")
@pytest.mark.parametrize("journal", [True, False], ids=["journal", "no journal"])
async def test_e7_a_pipe_in_which_nothing_comes_holds_up_no_end(tmp_path: Path, journal: bool) -> None:
    pipe, path = tmp_path / "people.csv", tmp_path / "a.journal"
    os.mkfifo(pipe)
    kept = ("--journal", str(path), "--spool") if journal else ()
    async with Emulator(token=canary.TOKEN) as platform:
        process = await started("users", str(pipe), "--mode", "full", *kept, url=platform.url)
        with await asyncio.to_thread(pipe.open, "w", encoding="utf-8") as writer:
            writer.write(HEADER + rows(500))
            writer.flush()
            await until(lambda: platform.ledger.users.distinct == 500)
            result = await signalled(process, signal.SIGTERM)
    assert result.code == 130
    assert "users: 500 read = 500 accepted" in result.out
    assert "terminated: what is in flight has a few seconds" in result.err
    assert (f"{pipe} had not ended: give it again from record 500 on" in result.err) is journal
    assert "asyncimport resume" not in result.err  # nothing is left to be sent


async def test_a_check_ends_with_what_it_has_found(tmp_path: Path) -> None:
    pipe = tmp_path / "people.csv"
    os.mkfifo(pipe)
    process = await started("check", "users", str(pipe))
    with await asyncio.to_thread(pipe.open, "w", encoding="utf-8") as writer:
        await asyncio.to_thread(writer.write, "thirdId\n" + "12345\n" * 200_000)  # more than is taken before it is read
        await asyncio.to_thread(writer.flush)
        result = await signalled(process, signal.SIGTERM)
    assert result.code == 130
    assert "the source was not read to its end" in result.out
    assert "0 with errors" in result.out


@pytest.mark.breakage("importing: let SIGTERM drain as long as Ctrl-C does")
async def test_e7_a_platform_that_never_answers_holds_up_no_end(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.add(Hang())
        gate = platform.faults.hold()
        command = ("users", people(tmp_path, 20_000), "--mode", "full", "--max-in-flight", "8")
        both = [await started(*command, *kept, url=platform.url) for kept in ((), ("--journal", str(path)))]
        await gate.arrived(16)
        gate.open()
        alone, kept = await asyncio.gather(*(signalled(process, signal.SIGTERM) for process in both))
        assert platform.ledger.requests == 16
    for result in (alone, kept):
        assert result.code == 130
        assert "4,000 unconfirmed" in result.out
    assert "asyncimport resume" not in alone.err
    assert f"to go on: asyncimport resume {path}" in kept.err


@pytest.mark.breakage("importing: take the second signal as the first")
@pytest.mark.parametrize(
    ("first", "second"),
    [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)],
)
async def test_e6_a_second_signal_of_either_kind_stops_at_once_and_leaves_the_journal_whole(
    tmp_path: Path, first: signal.Signals, second: signal.Signals
) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.add(Hang())
        gate = platform.faults.hold()
        path = str(tmp_path / "a.journal")
        arguments = ("users", people(tmp_path, 6_000), "--mode", "full", "--max-in-flight", "8", "--journal", path)
        process = await started(*arguments, url=platform.url)
        await gate.arrived(8)
        gate.open()
        process.send_signal(first)
        assert process.stderr is not None
        assert b"once more to stop at once" in await process.stderr.readline()
        began = time.monotonic()
        process.send_signal(second)
        result = await ended(process)
        took_s = time.monotonic() - began
        platform.faults.clear()
        resumed = await ran("resume", path, url=platform.url)
        assert platform.ledger.users.distinct == 6_000
    assert took_s < 3
    assert result.code == 130
    assert "4,000 unconfirmed" in result.out
    assert resumed.code == 0, resumed.err


@pytest.mark.breakage("importing: do not tell how to go on")
async def test_e5_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    async with Emulator(token=canary.TOKEN) as platform:
        gate = platform.faults.hold()
        arguments = (
            "users",
            people(tmp_path, 20_000),
            "--mode",
            "full",
            "--max-in-flight",
            "8",
            "--journal",
            str(path),
        )
        process = await started(*arguments, url=platform.url)
        await gate.arrived(8)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert b"interrupted" in await process.stderr.readline()
        gate.open()
        result = await ended(process)
        assert platform.ledger.users.distinct == 4000
    assert result.code == 130
    assert result.err.splitlines()[-1] == f"to go on: asyncimport resume {path}"
