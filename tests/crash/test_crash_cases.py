"""Kills at chosen moments: each case was a defect, or could be one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.events import Job, write_files
from tests.crash.evidence import check_bytes, check_delivery, check_duplicates, check_rejects, totals
from tests.crash.lives import Story, hung_life, strace, traced_life, whole_life
from tests.crash.server import Server, served

HANG: dict[str, Any] = {"kind": "hang", "committed": True}
RESET: dict[str, Any] = {"kind": "reset_after"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as server:
        yield server


@pytest.fixture
def job(server: Server, tmp_path: Path) -> Job:
    job = Job(kind="generator", url=server.url, folder=f"{tmp_path / 'run'}", count=20, batch_size=20)
    write_files(job)
    return job


@pytest.mark.parametrize(
    "lives",
    [
        pytest.param([[HANG]], id="one kill, one copy more"),
        pytest.param([[HANG], [HANG]], id="two kills, two copies more"),
        pytest.param([[RESET, HANG]], id="a retry before the kill"),
        pytest.param([[RESET, RESET, HANG], [RESET, HANG]], id="retries before each kill"),
    ],
)
def test_every_copy_that_kills_and_retries_leave_is_reported_as_a_possible_duplicate_h6_i3(
    lives: list[list[dict[str, Any]]], server: Server, job: Job
) -> None:
    story, since = Story(), server.requests()
    for faults in lives:
        server.script(*faults)
        hung_life(job, story, server, len(faults))
    server.script()
    story.report = whole_life(job)
    entered = server.ledger(story.report["run_id"], since)
    check_delivery(job, story, entered)
    check_bytes(story, entered)
    check_duplicates(job, story, entered)
    assert entered.duplicates == story.report["accepted"] * sum(map(len, lives))
    assert story.report["possible_duplicates"] >= entered.duplicates


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: it kills at a call")
def test_killed_while_the_rejects_file_is_written_again_it_is_still_known_as_ours(server: Server, job: Job) -> None:
    server.script()
    first = whole_life(job)
    check_rejects(job, Story(report=first))
    story = Story()
    assert traced_life(job, story, "rename", 1)
    assert totals(whole_life(job)) == totals(first)
    check_rejects(job, story)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: it makes the disk slow")
def test_a_batch_that_arrives_while_the_disk_is_slow_is_in_the_journal_already_h6_i3(server: Server, job: Job) -> None:
    slow = [*strace(job, "pwrite64"), "-e", "inject=pwrite64:delay_enter=60000"]
    story, since = Story(), server.requests()
    server.script(HANG)
    hung_life(job, story, server, 1, under=slow)
    server.script()
    story.report = whole_life(job)
    entered = server.ledger(story.report["run_id"], since)
    check_delivery(job, story, entered)
    check_bytes(story, entered)
    assert entered.duplicates == story.report["accepted"]
    assert story.report["possible_duplicates"] >= entered.duplicates
