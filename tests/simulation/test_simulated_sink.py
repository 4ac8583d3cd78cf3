"""A sink under random faults, in virtual time: whatever happens, every record that was put is accounted for."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import canary
import orjson
import pytest
from attrs import define, field
from scripted import LOST, OK, REFUSED_CONNECTION, ScriptedTransport, Sent, envelope

from asyncimport import (
    USERS,
    Accepted,
    AsyncImportError,
    BatchOutcome,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    Receipt,
    Rejected,
    Sink,
    UserImportConfig,
    ValidationError,
)
from asyncimport.attempt import Attempt
from benchmarks.virtual import run_virtual

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
SEEDS = range(24)
TASKS = 12


@define
class Platform:
    """Commits what it accepts, and some of what it loses the answer to; refuses batches with a poisoned user."""

    chance: random.Random
    stored: Counter[str] = field(factory=Counter)
    hung: bool = False

    async def answer(self, sent: Sent) -> Attempt:
        await asyncio.sleep(self.chance.random() * 0.5)
        if self.hung:
            await asyncio.sleep(1e6)
        what = self.chance.random()
        if what < 0.05:
            return envelope("500", status=429, retry_after="1")
        if what < 0.1:
            return REFUSED_CONNECTION
        names = [record["thirdId"] for record in orjson.loads(sent.body)["data"]]
        is_poisoned = any(name.endswith("poison") for name in names)
        if what < 0.15:
            self.stored.update(names if self.chance.random() < 0.5 and not is_poisoned else [])
            return LOST
        if is_poisoned:
            return envelope("100999", msg="bad record")
        self.stored.update(names)
        return OK


@define
class Puts:
    """What the tasks put, and what they were told."""

    chance: random.Random
    receipts: dict[str, Receipt] = field(factory=dict)
    refused: int = 0
    #: Put and never told: cancelled, or the sink had ended.
    untold: set[str] = field(factory=set)

    async def work(self, sink: Sink, name: str) -> None:
        for number in range(self.chance.randint(1, 120)):
            user = f"{name}-{number}" + ("-poison" if self.chance.random() < 0.003 else "")
            self.untold.add(user)
            try:
                receipt = await sink.put({"thirdId": user} if self.chance.random() > 0.02 else {"thirdId": 7})
            except ValidationError:
                self.refused += 1
            else:
                self.receipts[user] = receipt
            self.untold.discard(user)
            if self.chance.random() < 0.1:
                await asyncio.sleep(self.chance.random())
            if self.chance.random() < 0.01:
                await sink.flush()


async def live(seed: int) -> tuple[Sink, Puts, Platform, dict[str, BatchOutcome]]:
    chance = random.Random(seed)
    platform, puts = Platform(chance), Puts(chance)
    transport = ScriptedTransport(otherwise=platform.answer)
    policy = DispatchPolicy(
        batch_size=chance.choice([3, 20, 100]), max_in_flight=chance.choice([None, 1, 4]), drain_s=60.0
    )
    client = ImportClient("https://platform.example/api/open", token=canary.TOKEN, transport=transport, policy=policy)
    sinks: list[Sink] = []
    try:
        async with client, client.open_sink(USERS, CONFIG, linger=0.5) as sink:
            sinks.append(sink)
            tasks = [asyncio.create_task(puts.work(sink, str(number))) for number in range(TASKS)]
            match seed % 4:
                case 0 | 1:
                    await asyncio.wait(tasks)
                case 2:
                    await asyncio.sleep(chance.random() * 3)
                    tasks[chance.randrange(TASKS)].cancel()
                    platform.hung = chance.random() < 0.5
                    await asyncio.wait(tasks, timeout=5)
                case _:
                    await asyncio.sleep(chance.random() * 3)
                    await _fails()
    except (AsyncImportError, LookupError):
        pass
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    settled = {user: await receipt for user, receipt in puts.receipts.items()}
    return sinks[0], puts, platform, settled


async def _fails() -> None:
    raise LookupError("the caller's own")


@pytest.mark.parametrize("seed", SEEDS)
def test_every_put_is_accounted_for_and_what_is_not_delivered_is_handed_back(seed: int) -> None:
    sink, puts, platform, settled = run_virtual(live(seed))
    report, now = sink.report, sink.statistics()
    assert (report.in_progress, now.buffered, now.waiting) == (0, 0, 0)
    assert now.put == report.read == report.accepted + report.rejected + report.unconfirmed + report.unsent
    told = len(puts.receipts) + puts.refused
    assert told <= now.put <= told + len(puts.untold)
    accepted = {user for user, outcome in settled.items() if isinstance(outcome, Accepted)}
    rejected = {user for user, outcome in settled.items() if isinstance(outcome, Rejected)}
    assert accepted <= set(platform.stored)
    assert not rejected & set(platform.stored)
    back = {one.record["thirdId"] for one in sink.undelivered if one.record is not None}
    assert set(settled) - accepted - rejected == back - puts.untold
    assert len(sink.undelivered) == report.unconfirmed + report.unsent
    assert sum(platform.stored.values()) - len(platform.stored) <= report.possible_duplicates


def test_the_seeds_are_of_all_ends() -> None:
    ends: Counter[str] = Counter()
    for seed in list(SEEDS)[:8]:
        report: Any = run_virtual(live(seed))[0].report
        ends.update(name for name in ("accepted", "rejected", "unconfirmed", "unsent") if getattr(report, name))
    assert min(ends.values()) > 1
    assert len(ends) == 4
