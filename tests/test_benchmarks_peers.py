"""The comparison with peers says what was measured: ratios within a round, the fastest peer, goals, and no silent loss."""

from __future__ import annotations

import orjson
import pytest

from benchmarks.meter import Measurement
from benchmarks.peers import page
from benchmarks.peers.compared import Round, aims, fastest, lacks, standings
from benchmarks.peers.events import call, least_bytes
from benchmarks.peers.field import OURS, OURS_AT_DEFAULT, RUNNERS, Runner
from benchmarks.questions import Spread
from benchmarks.records import event_wire
from benchmarks.server import Counts

PEER = "mixpanel-utils"


def measured(name: str, *, records_per_s: float, cpu_us: float) -> Measurement:
    return Measurement(
        contender=name, records=1, cpu_us_per_record=cpu_us, records_per_s=records_per_s, peak_rss_mib=1.0
    )


def a_round(known: dict[str, tuple[float, float]]) -> Round:
    """Records/s and CPU of some; all others crawl."""
    found = {runner.name: (1.0, 100.0) for runner in RUNNERS} | known
    return {name: measured(name, records_per_s=speed, cpu_us=cpu) for name, (speed, cpu) in found.items()}


def test_a_ratio_is_within_its_round_and_the_median_over_them() -> None:
    rounds = [a_round({OURS: (speed, 2.0), PEER: (10.0, cpu)}) for speed, cpu in ((20, 10), (40, 14), (50, 12))]
    (found,) = (standing for standing in standings(rounds) if standing.runner.name == PEER)
    assert found.speed_ratio == Spread(median=0.25, low=0.2, high=0.5)
    assert found.cpu_ratio == Spread(median=6.0, low=5.0, high=7.0)


def test_the_fastest_stands_first_and_only_a_peer_is_the_fastest_peer() -> None:
    rounds = [a_round({"raw loop, width 8": (99.0, 1.0), OURS: (50.0, 1.0), "Segment": (20.0, 1.0), PEER: (10.0, 1.0)})]
    assert [standing.runner.name for standing in standings(rounds)][:4] == [
        "raw loop, width 8",
        OURS,
        "Segment",
        PEER,
    ]
    assert fastest(rounds) == "Segment"


@pytest.mark.parametrize(
    ("cpu_us", "ours", "at_default", "held"),
    [
        pytest.param(2.0, 28.0, 50.0, [True, True, True], id="all at their bound"),
        pytest.param(2.1, 28.0, 50.0, [False, True, True], id="too dear"),
        pytest.param(2.0, 27.9, 50.0, [True, False, True], id="too slow at equal width"),
        pytest.param(2.0, 28.0, 49.9, [True, True, False], id="too slow at the default width"),
    ],
)
def test_each_goal_is_held_or_missed_by_itself(cpu_us: float, ours: float, at_default: float, held: list[bool]) -> None:
    rounds = [a_round({OURS: (ours, cpu_us), OURS_AT_DEFAULT: (at_default, 9.0), PEER: (10.0, 10.0)})]
    assert [aim.holds for aim in aims(rounds)] == held


@pytest.mark.parametrize(
    ("requests", "body_bytes", "is_compressed", "lack"),
    [
        pytest.param(3, 1_000, False, None, id="all"),
        pytest.param(2, 1_000, False, "2 requests", id="a batch too few"),
        pytest.param(3, 999, False, "999 bytes", id="a byte too few"),
        pytest.param(3, 10, True, None, id="compressed"),
    ],
)
def test_what_did_not_arrive_is_told(requests: int, body_bytes: int, is_compressed: bool, lack: str | None) -> None:
    runner = Runner(name="any", module="any", batch=500, is_compressed=is_compressed)
    arrived = Counts(requests=requests, body_bytes=body_bytes, connections=8)
    said = lacks(runner, arrived, records=1_001, least_body_bytes=1_000)
    assert said is None if lack is None else said is not None and lack in said


def test_a_call_holds_all_that_the_event_holds() -> None:
    def values(of: object) -> set[object]:
        if isinstance(of, dict):
            return set().union(*map(values, of.values()))
        return set().union(*map(values, of)) if isinstance(of, list) else {of}

    given = call(7)
    held = {given.person, given.event, given.time, given.uuid, *given.properties.values()}
    assert values(event_wire(7)) - held == {"phone", "openid"}
    assert 0 < least_bytes(10) < len(orjson.dumps([event_wire(n) for n in range(10)]))


def test_what_is_missed_is_in_bold() -> None:
    found = {"median": 2.75, "low": 2.5, "high": 3.0}
    stored = {"goals": [{"asks": "records/s", "goal": ">= 2.8", "found": found, "holds": False}]}
    assert page.goals(stored).splitlines()[-1] == "| records/s | 2.8 (2.5-3.0) | >= 2.8 | **missed** |"
