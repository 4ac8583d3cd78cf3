"""A million users from a generator, and put by a thousand tasks, to the emulator, all in processes of their own, so that
nothing else is measured.

This file is also the program that imports: `python test_million.py URL DOOR`, one JSON line on stdout. It imports no
pytest, whose memory would count.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

import psutil

from asyncimport import DispatchPolicy, ImportClient, ImportMode, ImportReport, UserImportConfig, UserProfile, resources

USERS = 1_000_000
TASKS = 1_000
TOKEN = "canary-token-7f3qzk"
MIB = 1024 * 1024
SAMPLE_EVERY = 10_000
#: Memory has found its level between these records; from then on it may not grow.
SETTLED = range(100_000, 200_001)


def test_d12_a_million_users_arrive_once_each_in_bounded_memory_and_leave_nothing_behind() -> None:
    arrive(by="generator")


def test_a_million_puts_of_a_thousand_tasks_arrive_once_each_in_bounded_memory_and_leave_nothing_behind() -> None:
    arrive(by="sink")


def arrive(by: str) -> None:
    with emulator() as where:
        done = subprocess.run(
            [sys.executable, "-W", "error", __file__, where["url"], by],
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        with urlopen(f"{where['control']}/ledger") as answer:
            ledger = json.load(answer)
    assert (done.returncode, done.stderr) == (0, "")
    seen = json.loads(done.stdout)

    batches = USERS // 500
    counts = ("read", "accepted", "rejected", "unconfirmed", "unsent", "skipped", "in_progress")
    assert [seen["report"][name] for name in counts] == [USERS, USERS, 0, 0, 0, 0, 0]
    assert [seen["report"][name] for name in ("batches", "attempts", "retries")] == [batches, batches, 0]

    # No violation: each request had the documented form, and at most 500 records.
    assert (ledger["violations"], ledger["broken_off"]) == (0, 0)
    # Users differ in thirdId alone, so that as many distinct records are as many distinct thirdIds.
    assert ledger["users"] == {"distinct": USERS, "total": USERS, "duplicates": 0, "requests": batches}

    assert seen["growth_mib"] < 4
    assert seen["peak_mib"] < 80
    assert seen["left"] == {"tasks": [], "threads": [], "fds": 0}


@contextmanager
def emulator() -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "asyncimport.emulator", "--port", "0", "--token", TOKEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


class Memory:
    """Resident bytes, sampled while the records are made."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._samples: dict[int, int] = {}

    def sample(self, position: int) -> None:
        self._samples[position] = self._process.memory_info().rss

    @property
    def peak(self) -> int:
        return max(self._samples.values())

    @property
    def growth(self) -> int:
        """How far the level rose after it had settled, high water against high water."""
        before = max(rss for position, rss in self._samples.items() if position in SETTLED)
        return max(rss for position, rss in self._samples.items() if position >= SETTLED.stop) - before


def users(memory: Memory) -> Iterator[UserProfile]:
    for number in range(USERS):
        if number % SAMPLE_EVERY == 0:
            memory.sample(number)
        yield UserProfile(third_id=f"user-{number:07}", phone="13800000000", real_name="canary-person-张三丰")


async def put_all(client: ImportClient, config: UserImportConfig, memory: Memory) -> ImportReport:
    """By tasks that take the next user whenever the last one was taken in."""
    everybody = users(memory)
    async with client.open_sink(resources.USERS, config) as sink:

        async def put_some() -> None:
            for person in everybody:
                await sink.put(person)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(TASKS):
                tasks.create_task(put_some())
    assert sink.undelivered == ()
    return sink.report


async def import_all(url: str, by: str, memory: Memory) -> dict[str, Any]:
    own_task = asyncio.current_task()
    config = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
    async with ImportClient(url, token=TOKEN, policy=DispatchPolicy(max_in_flight=8)) as client:
        if by == "sink":
            report = await put_all(client, config, memory)
        else:
            report = await client.import_users(users(memory), config)
    memory.sample(USERS)
    left = [task.get_name() for task in asyncio.all_tasks() if task is not own_task]
    return {"report": report.to_dict() | {"batch_ids": len(report.batch_ids)}, "tasks": left}


def main(url: str, by: str) -> None:
    memory, process = Memory(), psutil.Process()
    fds_before = process.num_fds()
    seen = asyncio.run(import_all(url, by, memory))
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(5)  # the source's thread has said its last word, and may still be returning
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
    left = {"tasks": seen["tasks"], "threads": threads, "fds": process.num_fds() - fds_before}
    growth_mib, peak_mib = memory.growth / MIB, memory.peak / MIB
    sys.stdout.write(
        json.dumps({"report": seen["report"], "growth_mib": growth_mib, "peak_mib": peak_mib, "left": left})
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
