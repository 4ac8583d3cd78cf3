"""What must hold after any number of kills, by the ledger's word (FAULTS.md, I1 to I3 and I10)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from tests.crash.events import Job, is_bad
from tests.crash.lives import Story
from tests.crash.server import UNANSWERED, Entered

#: What must be as in a run that nobody disturbed.
TOTALS = (
    "read",
    "accepted",
    "rejected",
    "unconfirmed",
    "unsent",
    "in_progress",
    "rejected_by_reason",
    "first_rejections",
    "source_ended",
    "resume_from",
)


def totals(report: dict[str, Any]) -> dict[str, Any]:
    return {name: report[name] for name in TOTALS}


def check_delivery(job: Job, story: Story, entered: Entered) -> None:
    """Nothing lost, and every event under the one id that it had from the beginning."""
    run_id = story.report["run_id"]
    good = {f"{run_id}{number:016x}" for number in range(job.count) if not is_bad(number)}
    assert entered.keys.keys() == good, story
    assert story.report["accepted"] == len(good), story
    assert entered.violations == []


def check_bytes(story: Story, entered: Entered) -> None:
    """Each batch was cut once for ever, and sent with the same bytes whenever it was sent."""
    assert len(entered.bodies) == story.report["batches"], story
    assert sum(requests[0]["records"] for requests in entered.bodies.values()) == story.report["accepted"], story
    of_bodies: Counter[int] = Counter()
    for requests in entered.bodies.values():
        of_bodies[_copies(requests)] += requests[0]["records"]
    assert of_bodies == Counter(entered.keys.values()), story


def check_duplicates(job: Job, story: Story, entered: Entered) -> None:
    """No more than faults and kills explain, and reported."""
    by_kills = 0
    for requests in entered.bodies.values():
        unanswered = sum(request["fault"] in UNANSWERED for request in requests)
        spare = _copies(requests) - 1
        assert spare <= unanswered + len(story.kills), story
        by_kills += max(0, spare - sum(_is_committed_fault(request) for request in requests))
    assert by_kills <= len(story.kills) * 4 * job.width, story


def check_reported(story: Story, entered: Entered) -> None:
    """Whoever reads the report knows of at least as many duplicates as there are."""
    assert entered.duplicates <= story.report["possible_duplicates"], story


def check_rejects(job: Job, story: Story) -> None:
    """Each record that was refused is in the file once, and no other."""
    path = Path(job.rejects)
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [line["position"] for line in lines] == [number for number in range(job.count) if is_bad(number)], story
    assert {line["state"] for line in lines} == {"rejected"}, story
    assert path.stat().st_mode & 0o777 == 0o600
    left = sorted(entry.name for entry in Path(job.folder).iterdir() if not entry.name.startswith("events."))
    assert left == ["rejects.ndjson", "run.journal"], story


def _copies(requests: list[dict[str, Any]]) -> int:
    return sum(request["committed"] > 0 for request in requests)


def _is_committed_fault(request: dict[str, Any]) -> bool:
    return request["fault"] in UNANSWERED and request["committed"] > 0
