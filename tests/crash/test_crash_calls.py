"""SIGKILL at single system calls: while the journal is made, at its commits, as it is folded and closed, on the network.

strace ends the process just before the call is made; the calls are counted in a run that is watched and not killed.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.crash.conftest import Scale
from tests.crash.events import Job, write_files
from tests.crash.evidence import (
    check_bytes,
    check_delivery,
    check_duplicates,
    check_rejects,
    check_reported,
    totals,
)
from tests.crash.lives import Story, traced_life, watched_life, whole_life
from tests.crash.server import MIX, Server, served

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: it kills at a call")

ON_DISK = ("openat", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "rename", "unlink")
ON_THE_NETWORK = ("sendto", "recvfrom")
#: The order in which they are taken; most of what is written is written by pwrite64.
TURNS = ("pwrite64", *ON_DISK, "pwrite64", *ON_THE_NETWORK)
BATCH_SIZE = 5
#: Some batches; and enough for one group to be folded and another to stay open.
FEW, MANY = 100, 1_350
FAULTS = 0.05
#: Of all kills, those that are followed by another one, in the process that goes on.
TWICE = 0.4


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as server:
        yield server


def job_in(folder: Path, kind: str, server: Server, count: int = FEW) -> Job:
    return Job(kind=kind, url=server.url, folder=f"{folder}", count=count, batch_size=BATCH_SIZE)


def calls_of(job: Job) -> list[tuple[str, int]]:
    """Every call that a process makes: its name, and its number among those of this name in its thread."""
    counted: Counter[tuple[str, str]] = Counter()
    for calls in (ON_DISK, ON_THE_NETWORK):
        alone = evolve(job, folder=f"{job.folder}-{calls[0]}")
        write_files(alone)
        counted.update(watched_life(alone, *calls))
    most: Counter[str] = Counter()
    for (_, call), count in counted.items():
        most[call] = max(most[call], count)
    return [(call, number) for call, count in most.items() for number in range(1, count + 1)]


def late(calls: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The calls of a run's last part, in which its first group is folded."""
    most = Counter(name for name, _ in calls)
    return [(name, number) for name, number in calls if number > 0.65 * most[name]]


def chosen(
    calls: list[tuple[str, int]], names: Sequence[str], limit: int, chance: random.Random
) -> list[tuple[str, int]]:
    """So many of the calls, with these names in turn."""
    by_name = {name: [call for call in calls if call[0] == name] for name in names}
    for of_one in by_name.values():
        chance.shuffle(of_one)
    turns = [name for name in names if by_name[name]] * limit
    return [by_name[name].pop() for name in turns if by_name[name]][:limit]


def points_of(calls: list[tuple[str, int]], count: int, scale: Scale, chance: random.Random) -> list[tuple[str, int]]:
    """Where to kill: of few batches anywhere, of many among the writes that fold a group; in a soak everywhere."""
    if scale.calls is None:
        return calls if count == FEW else late(calls)
    few, many = scale.calls
    return chosen(calls, TURNS, few, chance) if count == FEW else chosen(late(calls), ["pwrite64"], many, chance)


def story_of(job: Job, first: tuple[str, int], second: tuple[str, int] | None) -> Story:
    story = Story()
    if traced_life(job, story, *first) and not (second and not traced_life(job, story, *second)):
        story.report = whole_life(job)
    return story


def check(job: Job, story: Story, expected: dict[str, Any], server: Server, since: int) -> None:
    entered = server.ledger(story.report["run_id"], since)
    check_delivery(job, story, entered)
    check_bytes(story, entered)
    check_duplicates(job, story, entered)
    check_reported(story, entered)
    check_rejects(job, story)
    assert totals(story.report) == expected, story


@pytest.mark.breakage("file: note a batch as accepted when it is planned")
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("kind", ["generator", "spooled"])
@pytest.mark.parametrize("count", [FEW, MANY], ids=["few batches", "a folded group"])
def test_e8_f4_f12_h6_killed_at_any_system_call_a_run_ends_as_if_nothing_had_been(
    kind: str, count: int, scale: Scale, server: Server, tmp_path: Path
) -> None:
    chance = random.Random(random.getrandbits(32))
    job = job_in(tmp_path / "run", kind, server, count)
    server.set_faults(0.0, MIX, seed=0)
    calls = calls_of(job)
    alone = evolve(job, folder=f"{job.folder}-alone")
    write_files(alone)
    expected = totals(whole_life(alone))
    server.set_faults(FAULTS, MIX, seed=chance.getrandbits(32))
    points = points_of(calls, count, scale, chance)
    struck = 0
    for number, call in enumerate(points):
        again = chance.choice(calls) if chance.random() < TWICE else None
        one = evolve(job, folder=f"{job.folder}-{number}")
        write_files(one)
        since = server.requests()
        story = story_of(one, call, again)
        check(one, story, expected, server, since)
        struck += bool(story.kills)
        shutil.rmtree(one.folder)
    assert struck  # not each time: a run makes some writes more or fewer, as its threads take turns
