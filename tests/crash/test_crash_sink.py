"""A spooled sink that is killed again and again: every record whose put had returned arrives.

This file is also the program that puts: `python test_crash_sink.py URL JOURNAL FIRST COUNT`, a line for each put that has
returned. It imports no pytest.
"""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path

from asyncimport import EVENTS, DispatchPolicy, EventImportConfig, ImportClient
from asyncimport.emulator import Emulator
from asyncimport.emulator.faults import Delay, ResetAfter

TOKEN = "canary-token-7f3qzk"
LIVES = 4
TASKS = 20


async def test_every_record_whose_put_had_returned_arrives_whenever_the_process_is_killed(tmp_path: Path) -> None:
    chance, journal = random.Random(7), str(tmp_path / "journal")
    returned: list[int] = []
    first = 0
    async with Emulator(token=TOKEN) as platform:
        platform.faults.add(Delay(seconds=0.02))
        platform.faults.rate(0.1, [ResetAfter()], seed=7)
        for life in range(LIVES + 1):
            is_last = life == LIVES
            lines = await asyncio.to_thread(
                lived,
                platform.url,
                journal,
                first,
                50 if is_last else 3_000,
                None if is_last else chance.randint(1, 1_500),
            )
            assert lines
            returned += lines
            first += 3_000
        stored = {record["uuid"] for record in platform.ledger.events.records()}
        assert len(returned) == len(set(returned)) > LIVES
        assert {f"event-{number}" for number in returned} <= stored


def lived(url: str, journal: str, first: int, count: int, lines: int | None) -> list[int]:
    """The puts that had returned when a process was killed after so many; all where it is not."""
    command = [sys.executable, "-W", "error", __file__, url, journal, str(first), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(int(line))
            if len(seen) == lines:
                process.send_signal(signal.SIGKILL)
                lines = None
        process.wait(30)
    return seen


async def put_all(url: str, journal: str, first: int, count: int) -> None:
    policy = DispatchPolicy(batch_size=50, max_in_flight=4)
    numbers = iter(range(first, first + count))
    client = ImportClient(url, token=TOKEN, policy=policy)
    async with client, client.open_sink(EVENTS, EventImportConfig(), journal=journal, spool=True) as sink:

        async def put_some() -> None:
            for number in numbers:
                identity = {"identityType": "phone", "identityValue": "canary-person-张三丰"}
                await sink.put({"identities": [identity], "eventKey": "c_buy", "uuid": f"event-{number}"})
                sys.stdout.write(f"{number}\n")
                sys.stdout.flush()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(TASKS):
                tasks.create_task(put_some())


if __name__ == "__main__":
    asyncio.run(put_all(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
