"""SIGKILL at random moments, again and again, and the same call again: ledger and report show no trace of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.crash.conftest import Scale
from tests.crash.events import Job, write_files
from tests.crash.evidence import check_bytes, check_delivery, check_duplicates, check_rejects, check_reported, totals
from tests.crash.lives import Story, killed_at_random, whole_life
from tests.crash.server import MIX, THROTTLED, Server, served

#: Of all requests.
FAULTS = 0.05
#: What a request takes, so that some are always under way.
ANSWER_S = 0.01
#: The kills share this part of the time that an undisturbed run takes, so that few runs end before the last kill.
SHARE = 0.6


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as server:
        yield server


def undisturbed(job: Job, server: Server) -> dict[str, Any]:
    """The report of the same import without faults and kills, by which nothing comes twice."""
    server.set_faults(0.0, MIX, seed=0, delay_s=ANSWER_S)
    write_files(job)
    report = whole_life(job)
    entered = server.ledger(report["run_id"])
    assert entered.duplicates == report["possible_duplicates"] == 0
    check_delivery(job, Story(report=report), entered)
    check_rejects(job, Story(report=report))
    return report


@pytest.mark.breakage("file: note a batch as accepted when it is planned")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["generator", "csv", "jsonl", "spooled"])
def test_e8_f4_h6_killed_at_random_moments_a_run_ends_as_if_nothing_had_been(
    kind: str, scale: Scale, server: Server, tmp_path: Path
) -> None:
    job = Job(
        kind=kind, url=server.url, folder=f"{tmp_path / 'killed'}", count=scale.count, batch_size=scale.batch_size
    )
    alone = undisturbed(evolve(job, folder=f"{tmp_path / 'alone'}"), server)
    since = server.requests()
    server.set_faults(FAULTS, [*MIX, THROTTLED], seed=random.getrandbits(32), delay_s=ANSWER_S)
    write_files(job)
    span_s = 2 * SHARE * alone["elapsed_s"] / scale.kills
    story = killed_at_random(job, random.Random(random.getrandbits(32)), kills=scale.kills, span_s=span_s)
    entered = server.ledger(story.report["run_id"], since)
    check_delivery(job, story, entered)
    check_bytes(story, entered)
    check_duplicates(job, story, entered)
    check_reported(story, entered)
    check_rejects(job, story)
    assert totals(story.report) == totals(alone), story
    again = whole_life(job)
    assert server.requests() == since + entered.requests
    assert (totals(again), again["run_id"]) == (totals(alone), story.report["run_id"])
    check_rejects(job, story)
