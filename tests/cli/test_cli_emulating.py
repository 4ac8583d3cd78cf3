from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import canary
import pytest
from terminal import CTRL_C, Terminal

from asyncimport import DispatchPolicy, ImportClient, ImportMode, UserImportConfig
from asyncimport.cli.emulating import Arrivals, Arrived, run_emulator
from asyncimport.emulator import Emulator, Ledger, LoggedRequest
from asyncimport.errors import ConfigError

SCRIPT = """
import asyncio, sys
from pathlib import Path
from asyncimport.cli.emulating import run_emulator
faults = Path(sys.argv[1]) if sys.argv[1] else None
sys.exit(asyncio.run(run_emulator(port=0, faults=faults, token=sys.argv[2] or None, quiet="quiet" in sys.argv)))
"""
COMMAND = (sys.executable, "-c", SCRIPT)
CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)


async def sent(url: str, records: int) -> None:
    policy = DispatchPolicy(batch_size=50, max_in_flight=2)
    async with ImportClient(url, token=canary.TOKEN, policy=policy) as client:
        await client.import_users([{"thirdId": f"{number}"} for number in range(records)], CONFIG)


def fault_file(folder: Path) -> str:
    path = folder / "faults.json"
    path.write_text(json.dumps({"script": [{"kind": "ok"}, {"kind": "status", "status": 503}]}), encoding="utf-8")
    return str(path)


def announced(text: str) -> str:
    url: str = json.loads(text.replace("\n", "").partition("}")[0] + "}")["url"]
    return url


def without_token() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ASYNCIMPORT_")}


@pytest.mark.parametrize("columns", [80, 40])
async def test_a_terminal_shows_what_arrives_and_ctrl_c_ends_with_totals(tmp_path: Path, columns: int) -> None:
    async with Terminal(*COMMAND, fault_file(tmp_path), canary.TOKEN, columns=columns) as terminal:
        url = announced(await terminal.shows("waiting for requests"))
        await sent(url, 500)
        await terminal.shows("500 records committed")
        assert "users" in terminal.text
        assert "11 requests" in terminal.text
        assert "faults: status 1" in terminal.text
        await terminal.shows("last answer 200")
        terminal.send(CTRL_C)
        assert await terminal.ended() == 130
        totals = "the emulator has ended users: 11 requests, 500 records committed faults: status 1"
        assert " ".join(terminal.text.split()).endswith(totals)
        assert "waiting for requests" not in terminal.text
        assert "Traceback" not in terminal.text
        assert not terminal.screen.cursor.hidden
        assert canary.leaks(terminal.text) == []


async def test_nothing_is_drawn_while_nothing_arrives() -> None:
    async with Terminal(*COMMAND, "", "") as terminal:
        await terminal.shows("waiting for requests")
        before = len(terminal.raw)
        with canary.raises(AssertionError, match="not within"):
            await terminal.shows("something else", within_s=1.0)
        assert len(terminal.raw) == before
        terminal.send(CTRL_C)
        assert await terminal.ended() == 130
        assert terminal.lines[-1] == "  no request arrived"


async def started(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    pipe, env = asyncio.subprocess.PIPE, without_token() | environment
    return await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdout=pipe, stderr=pipe, env=env)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_without_a_terminal_lines_are_plain_and_stdout_is_one_line_of_json(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = await started(fault_file(tmp_path), canary.TOKEN)
    assert process.stdout is not None
    url = announced((await process.stdout.readline()).decode())
    await sent(url, 100)
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (code, b"")
    assert err.decode().splitlines() == [
        f"export ASYNCIMPORT_BASE_URL={url}",
        "waiting for requests; Ctrl-C ends it",
        "the emulator has ended",
        "  users: 3 requests, 100 records committed",
        "  faults: status 1",
    ]


async def test_quiet_leaves_the_hint_with_the_token_that_was_made_up() -> None:
    process = await started("", "", "quiet")
    assert process.stdout is not None
    url = announced((await process.stdout.readline()).decode())
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert err.decode().startswith(f"export ASYNCIMPORT_BASE_URL={url} ASYNCIMPORT_TOKEN=")
    assert err.count(b"\n") == 1


async def test_the_token_of_the_environment_is_accepted_and_not_printed() -> None:
    process = await started("", "", "quiet", ASYNCIMPORT_TOKEN=canary.TOKEN)
    assert process.stdout is not None
    url = announced((await process.stdout.readline()).decode())
    await sent(url, 100)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (out, err.decode()) == (b"", f"export ASYNCIMPORT_BASE_URL={url}\n")


async def test_an_empty_token_in_the_environment_is_none() -> None:
    process = await started("", "", "quiet", ASYNCIMPORT_TOKEN="")
    assert process.stdout is not None
    url = announced((await process.stdout.readline()).decode())
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert len(err.decode().removeprefix(f"export ASYNCIMPORT_BASE_URL={url} ASYNCIMPORT_TOKEN=").strip()) > 20


async def test_a_port_that_is_taken_is_the_users_to_change() -> None:
    async with Emulator() as other:
        taken = f"^the emulator cannot start: port {other.port} is taken: choose another with --port$"
        with canary.raises(ConfigError, match=taken):
            await run_emulator(port=other.port, faults=None, token=None)


async def test_a_fault_file_that_is_not_there_is_named() -> None:
    missing = r"^the emulator cannot start: --faults missing.json cannot be read \(No such file or directory\)$"
    with canary.raises(ConfigError, match=missing):
        await run_emulator(port=0, faults=Path("missing.json"), token=None)


async def test_a_cancellation_from_elsewhere_is_passed_on() -> None:
    serving = asyncio.create_task(run_emulator(port=0, faults=None, token="made-up", quiet=True))
    await asyncio.sleep(0)
    serving.cancel()
    with canary.raises(asyncio.CancelledError):
        await serving


def request(**values: Any) -> LoggedRequest:
    defaults = {"resource": "users", "arrived_s": 0.0, "body_digest": "", "records": 1, "token_generation": 1}
    return LoggedRequest(**{**defaults, **values})


def test_arrivals_add_up_as_the_ledger_grows() -> None:
    ledger = Ledger()
    arrivals = Arrivals(ledger=ledger)
    assert arrivals.standing(0.0).resources == {}
    waiting = request(arrived_s=3.0)
    ledger.users.batches += [request(status=200, arrived_s=1.0), request(fault="reset_after", arrived_s=2.0), waiting]
    ledger.events.batches.append(request(resource="events", status=429, fault="status", arrived_s=2.5))
    first = arrivals.standing(2.0)
    assert first.resources == {"users": (3, 0), "events": (1, 0)}
    assert first.faults == {"reset_after": 1, "status": 1}
    assert (first.last_status, first.requests_per_s) == (429, 2.0)
    waiting.fault, waiting.status = "status", 503
    second = arrivals.standing(4.0)
    assert second.faults == {"reset_after": 1, "status": 2}
    assert (second.last_status, second.requests_per_s) == (503, 1.0)
    assert arrivals.standing(100.0).requests_per_s == 0.0


def test_an_emulator_in_plain_words() -> None:
    arrived = Arrived(
        resources={"users": (1, 1), "events": (1200, 60_000)},
        faults={"status": 3},
        violations=2,
        open_requests=4,
        last_status=200,
        requests_per_s=41.6,
    )
    assert arrived.plain() == (
        "users: 1 request, 1 record committed; events: 1,200 requests, 60,000 records committed; faults: status 3; "
        "2 violations; last answer 200; 42 requests/s"
    )
    texts = ["".join(text for text, _ in line) for line in arrived.lines(79)]
    assert texts == [
        "users   1 request  1 record committed",
        "events  1,200 requests  60,000 records committed",
        "  last answer 200  4 open  42 requests/s",
        "  faults: status 3",
        "! 2 violations of the contract",
    ]
