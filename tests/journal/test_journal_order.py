"""order_by over a stop, a kill and a resume: what an earlier process left holds its keys in the next one too."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from journals import CONFIG, POLICY, adds_up, copied, look
from ordered import Watcher

from asyncimport import USERS, ImportClient, ImportReport, UserProfile


def watcher(seed: int) -> Watcher:
    return Watcher(lambda record: [record["thirdId"]], Random(seed), faults=0.04, delays_s=(0.0, 0.005))


def people(count: int, keys: int) -> list[UserProfile]:
    return [UserProfile(third_id=f"{n * n % keys}", remark=f"{n}") for n in range(count)]


async def run(platform: Watcher, journal: Path, **options: Any) -> ImportReport:
    async with ImportClient("https://platform.example", token="t", transport=platform, policy=POLICY) as client:
        report = await client.run(USERS, people(150, 13), CONFIG, order_by=["third_id"], journal=journal, **options)
    return adds_up(report)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spool", [False, True], ids=["journal", "spool"])
async def test_a_run_in_several_goes_keeps_the_order_of_each_key(tmp_path: Path, seed: int, spool: bool) -> None:
    platform, journal = watcher(seed), tmp_path / "journal"
    for deadline in (0.03, 0.03):
        await run(platform, journal, deadline=deadline, spool=spool)
    report = await run(platform, journal, spool=spool)
    assert (report.accepted, platform.breaches()) == (150, [])
    assert [last for last, wanted in platform.winners() if last != wanted] == []


async def test_what_a_killed_process_left_is_sent_again_before_the_next_of_its_key(tmp_path: Path) -> None:
    platform, journal, left = watcher(1), tmp_path / "journal", tmp_path / "left" / "journal"
    async with ImportClient("https://platform.example", token="t", transport=platform, policy=POLICY) as client:
        stream = client.stream(USERS, people(150, 13), CONFIG, order_by=["third_id"], journal=journal)
        async with stream as outcomes:
            for _ in range(6):
                await anext(outcomes)
            copied(journal, left)  # as a kill leaves it
    known = look(left)
    assert known.sums.accepted < 150
    later = watcher(2)
    report = await run(later, left)
    assert (report.accepted, later.breaches()) == (150, [])
