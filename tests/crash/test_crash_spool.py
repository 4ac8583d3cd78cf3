"""A source that gives each record once, and is killed again and again: what was on disk arrives, what was not is told."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.crash.conftest import Scale
from tests.crash.events import Job, is_bad, write_files
from tests.crash.evidence import check_bytes, check_duplicates, check_reported
from tests.crash.lives import PATIENCE_S, Story, life, short_life, strace, whole_life
from tests.crash.once import Queue, once, own_uuid
from tests.crash.server import MIX, THROTTLED, Server, served

#: What an undisturbed run takes at least, by its requests alone, which are answered after this time.
ANSWER_S = 0.02


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as server:
        yield server


def lost_of(job: Job, queue: Queue, delivered: set[str]) -> set[int]:
    """Events that were handed out, and neither arrived nor are in the file of rejects."""
    lines = [orjson.loads(line) for line in Path(job.rejects).read_bytes().splitlines()]
    rejected = [line["record"]["eventargs"]["c_number"] for line in lines]
    assert len(rejected) == len(set(rejected))
    assert all(is_bad(number) for number in rejected)
    return {number for number in range(queue.handed) if own_uuid(number) not in delivered} - set(rejected)


def check_lost(lost: set[int], handed: list[int], possibly: int, story: Story) -> None:
    """Each kill took at most the last that had been handed out before it, and no more of them than the report says."""
    for before, after in zip([0, *handed], handed, strict=False):
        missing = [number for number in range(before, after) if number in lost]
        assert missing == list(range(after - len(missing), after)), story
        assert len(missing) <= possibly, story
    assert all(number < handed[-1] for number in lost), story


def stuck_life(job: Job, story: Story, queue: Queue, server: Server) -> None:
    """Kill a process that took some of its source, whose platform then stops to answer, when it takes no more."""
    until = time.monotonic() + PATIENCE_S
    before, taken = queue.handed, -1
    server.script()
    with life(job) as process:
        while queue.handed < before + 1_000 or taken != queue.handed:
            is_stuck = queue.handed >= before + 1_000
            if is_stuck and taken < 0:
                server.hang()
            taken = queue.handed if is_stuck else -1
            time.sleep(0.3 if is_stuck else 0.02)
            assert process.poll() is None, story
            assert time.monotonic() < until, story
        process.kill()
        process.communicate()
    story.kills.append(f"after {queue.handed - before} were taken")


@pytest.mark.breakage("file: note a batch as accepted when it is planned")
@pytest.mark.timeout(600)
def test_e8_h6_of_a_source_that_comes_once_a_kill_takes_only_what_was_not_yet_on_disk(
    scale: Scale, server: Server, tmp_path: Path
) -> None:
    with once(scale.count) as queue:
        folder, size = f"{tmp_path / 'run'}", scale.batch_size
        job = Job(kind="queue", url=server.url, folder=folder, count=scale.count, batch_size=size, port=queue.port)
        write_files(job)
        server.set_faults(0.05, [*MIX, THROTTLED], seed=random.getrandbits(32), delay_s=ANSWER_S)
        story, handed = Story(), []
        span_s = scale.count / size / job.width * ANSWER_S / scale.kills
        for _ in range(scale.kills):
            assert short_life(job, story, random.uniform(0, 2 * span_s)), "the source is too short for so many kills"
            handed.append(queue.handed_to_the_dead())
        story.report = whole_life(job)
        entered = server.ledger()
        lost = lost_of(job, queue, set(entered.keys))
        report = story.report
        check_lost(lost, handed, report["possibly_lost"], story)
        check_bytes(story, entered)
        check_duplicates(job, story, entered)
        check_reported(story, entered)
        assert queue.handed == scale.count
        assert report["read"] == report["accepted"] + report["rejected"] == scale.count - len(lost), story
        assert report["source_ended"]


@pytest.mark.breakage("opening: do not tell what a kill may have cost")
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(1, id="one kill"),
        pytest.param(4, id="four kills"),
    ],
)
def test_e8_all_that_kills_took_of_a_source_that_comes_once_is_told_at_the_end(
    kills: int, server: Server, tmp_path: Path
) -> None:
    with once(20_000) as queue:
        folder = f"{tmp_path / 'run'}"
        job = Job(kind="queue", url=server.url, folder=folder, count=20_000, batch_size=20, port=queue.port)
        write_files(job)
        story, handed = Story(), []
        for _ in range(kills):
            stuck_life(job, story, queue, server)
            handed.append(queue.handed_to_the_dead())
        server.script()
        story.report = report = whole_life(job)
        lost = lost_of(job, queue, set(server.ledger().keys))
        check_lost(lost, handed, report["possibly_lost"], story)
        assert kills * 400 < len(lost) <= report["possibly_lost"], (len(lost), report["possibly_lost"])
        assert whole_life(job)["possibly_lost"] == report["possibly_lost"]


@pytest.mark.breakage("opening: do not tell what a kill may have cost")
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: it makes the disk slow")
def test_e8_f18_a_slow_disk_lets_a_source_that_comes_once_wait_so_that_no_more_is_lost(
    server: Server, tmp_path: Path
) -> None:
    with once(6_000) as queue:
        folder = f"{tmp_path / 'run'}"
        job = Job(kind="queue", url=server.url, folder=folder, count=6_000, batch_size=500, port=queue.port)
        write_files(job)
        slow = [*strace(job, "fdatasync"), "-e", "inject=fdatasync:delay_enter=200000"]
        story = Story()
        with life(job, under=slow) as process:
            until = time.monotonic() + PATIENCE_S
            while queue.handed < 3_500:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        story.kills.append("with a slow disk")
        handed = [queue.handed_to_the_dead()]
        story.report = whole_life(job)
        lost = lost_of(job, queue, set(server.ledger().keys))
        check_lost(lost, handed, story.report["possibly_lost"], story)
        assert story.report["read"] == 6_000 - len(lost)
