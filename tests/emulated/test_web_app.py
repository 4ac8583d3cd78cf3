"""The example with a web framework, served by a real server: an event a request, and its shutdown in the middle of them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import canary

from asyncimport.emulator import Emulator
from asyncimport.emulator.faults import Delay, Envelope

ROOT = Path(__file__).parents[2]
REQUESTS = 5_000
CALLERS = 50


@contextmanager
def served(platform: Emulator, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The application under uvicorn, and where it listens."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", "examples", "--port", "0", "web_app:app"]
    known = {"ASYNCIMPORT_BASE_URL": platform.url, "ASYNCIMPORT_TOKEN": platform.token, **environment}
    with subprocess.Popen(
        [*command, "--no-access-log"], cwd=ROOT, env=os.environ | known, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            said = ""
            while (found := re.search(r"running on (http://\S+)", said)) is None:
                said = process.stderr.readline()
                assert said, "the server has ended"
            yield process, found[1]
        finally:
            process.kill()


def event(number: int) -> dict[str, Any]:
    identity = {"identityType": "phone", "identityValue": canary.PERSON}
    return {"identities": [identity], "eventKey": "c_view", "uuid": f"event-{number}"}


async def request_all(url: str, count: int, answered: dict[int, int]) -> None:
    """Ask for each number once, by some callers at the same time; nobody asks again once the server is gone."""
    numbers = iter(range(count))

    async def ask(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            try:
                async with session.post(f"{url}/track", json=event(number)) as answer:
                    answered[number] = answer.status
            except aiohttp.ClientError:
                return

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session, asyncio.TaskGroup() as callers:
        for _ in range(CALLERS):
            callers.create_task(ask(session))


async def test_5_000_requests_are_5_000_events_at_the_platform() -> None:
    answered: dict[int, int] = {}
    async with Emulator() as platform:
        with served(platform) as (process, url):
            await request_all(url, REQUESTS, answered)
            async with aiohttp.ClientSession() as session:
                async with session.post(f"{url}/track", json={"eventKey": 7}) as refused:
                    said = await refused.json()
                async with session.post(f"{url}/track", data=b'{"eventKey": "c_') as cut_off:
                    pass
                async with session.get(f"{url}/health") as health:
                    counts = await health.json()
            process.send_signal(signal.SIGTERM)
            _, told = await asyncio.to_thread(process.communicate, timeout=20)
        assert set(answered.values()) == {202}
        assert (refused.status, len(said["problems"]), cut_off.status) == (422, 2, 400)
        assert (counts["put"], counts["waiting"]) == (REQUESTS + 1, 0)
        ledger = platform.ledger.events
        assert (ledger.distinct, ledger.duplicates, len(answered)) == (REQUESTS, 0, REQUESTS)
        assert f"{REQUESTS + 1:,} read = {REQUESTS:,} accepted + 1 rejected" in told
        assert "not delivered" not in told


async def test_a_shutdown_in_the_middle_delivers_every_event_that_was_answered() -> None:
    answered: dict[int, int] = {}
    async with Emulator() as platform:
        platform.faults.add(Delay(seconds=0.2))
        with served(platform) as (process, url):
            asking = asyncio.create_task(request_all(url, REQUESTS, answered))
            while len(answered) < REQUESTS // 3:  # noqa: ASYNC110 -- in the middle of them
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            await asking
            _, told = await asyncio.to_thread(process.communicate, timeout=20)
        taken = {f"event-{number}" for number, status in answered.items() if status == 202}
        stored = {record["uuid"] for record in platform.ledger.events.records()}
        assert REQUESTS // 3 <= len(taken) < REQUESTS
        assert taken <= stored
        assert "not delivered" not in told


async def test_events_of_a_platform_that_refuses_the_token_are_told_of_as_the_server_stops() -> None:
    answered: dict[int, int] = {}
    async with Emulator() as platform:
        platform.faults.add(Envelope(code="100200", msg="no"))
        with served(platform) as (process, url):
            await request_all(url, 50, answered)
            process.send_signal(signal.SIGTERM)
            _, told = await asyncio.to_thread(process.communicate, timeout=20)
    assert told.count("not delivered") == sum(status == 202 for status in answered.values()) > 0


async def test_what_a_killed_server_had_answered_is_delivered_by_the_next_one_with_its_spool(tmp_path: Path) -> None:
    answered: dict[int, int] = {}
    spool = str(tmp_path / "events.journal")
    async with Emulator() as platform:
        platform.faults.add(Delay(seconds=0.2))
        with served(platform, SPOOL=spool) as (process, url):
            asking = asyncio.create_task(request_all(url, 1_000, answered))
            while len(answered) < 300:  # noqa: ASYNC110 -- in the middle of them
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            await asking
        taken = {f"event-{number}" for number, status in answered.items() if status == 202}
        with served(platform, SPOOL=spool) as (process, url):
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.communicate, timeout=20)
        stored = {record["uuid"] for record in platform.ledger.events.records()}
        assert 300 <= len(taken) < 1_000
        assert taken <= stored
