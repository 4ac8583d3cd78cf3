"""How the contenders are run, round by round, and what comes of it: ratios within a round, medians over the rounds, three goals."""

import json
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from statistics import median
from typing import Final

from attrs import frozen

from benchmarks.meter import Measurement
from benchmarks.peers.events import least_bytes
from benchmarks.peers.field import OURS, OURS_AT_DEFAULT, RUNNERS, Runner
from benchmarks.questions import Goal, Spread, printed
from benchmarks.server import Counts, served

DELAY_MS: Final = 20.0

#: What each contender measured, by its name.
Round = Mapping[str, Measurement]


@frozen(kw_only=True)
class Standing:
    """A contender over all rounds; a ratio is over asyncimport at width 8 in the same round."""

    runner: Runner
    records_per_s: Spread
    speed_ratio: Spread
    cpu_us_per_record: Spread
    cpu_ratio: Spread
    peak_rss_mib: Spread


@frozen(kw_only=True)
class Aim:
    """A goal, and what was found."""

    asks: str
    goal: Goal
    found: Spread

    @property
    def holds(self) -> bool:
        return self.goal.holds(self.found.median)


def run_round(number: int, records: int) -> Round:
    """Run every contender once, in another order each time, each with a server of its own.

    Raises:
        RuntimeError: a contender failed, or less arrived than it was given.
    """
    least = least_bytes(records)
    turn = number % len(RUNNERS)
    measured = {}
    for runner in RUNNERS[turn:] + RUNNERS[:turn]:
        with served(DELAY_MS, runner.answer, runner.header) as server:
            given = [runner.module, runner.send, "--url", server.url, "--records", f"{records}"]
            told = json.loads(printed("benchmarks.peers.contender", *given))
            if (lack := lacks(runner, server.counts(), records=records, least_body_bytes=least)) is not None:
                raise RuntimeError(lack)
        measured[runner.name] = Measurement(**told | {"contender": runner.name})
    return measured


def lacks(runner: Runner, arrived: Counts, *, records: int, least_body_bytes: int) -> str | None:
    """In what way too little arrived; bodies that are compressed are not looked at."""
    if arrived.requests < (fewest := ceil(records / runner.batch)):
        return f"of {runner.name} arrived {arrived.requests} requests: {records} events take at least {fewest}"
    if not runner.is_compressed and arrived.body_bytes < least_body_bytes:
        return f"of {runner.name} arrived {arrived.body_bytes} bytes: {records} events take at least {least_body_bytes}"
    return None


def standings(rounds: Sequence[Round]) -> tuple[Standing, ...]:
    """The contenders, the fastest first."""
    found = [
        Standing(
            runner=runner,
            records_per_s=Spread.of([_speed(run[runner.name]) for run in rounds]),
            speed_ratio=_ratio(rounds, runner.name, OURS, _speed),
            cpu_us_per_record=Spread.of([_cpu(run[runner.name]) for run in rounds]),
            cpu_ratio=_ratio(rounds, runner.name, OURS, _cpu),
            peak_rss_mib=Spread.of([run[runner.name].peak_rss_mib for run in rounds]),
        )
        for runner in RUNNERS
    ]
    return tuple(sorted(found, key=lambda standing: -standing.records_per_s.median))


def fastest(rounds: Sequence[Round]) -> str:
    """The peer that sent the most events a second, by the median."""
    peers = [runner.name for runner in RUNNERS if runner.package is not None]
    return max(peers, key=lambda name: median(_speed(run[name]) for run in rounds))


def aims(rounds: Sequence[Round]) -> tuple[Aim, ...]:
    """The goals against the fastest peer."""
    peer = fastest(rounds)
    return (
        Aim(
            asks=f"CPU a record, {peer} over {OURS}",
            goal=Goal(at_least=5.0),
            found=_ratio(rounds, peer, OURS, _cpu),
        ),
        Aim(
            asks=f"records/s, {OURS} over {peer}",
            goal=Goal(at_least=2.8),
            found=_ratio(rounds, OURS, peer, _speed),
        ),
        Aim(
            asks=f"records/s, {OURS_AT_DEFAULT} over {peer}",
            goal=Goal(at_least=5.0),
            found=_ratio(rounds, OURS_AT_DEFAULT, peer, _speed),
        ),
    )


def _speed(measured: Measurement) -> float:
    return measured.records_per_s


def _cpu(measured: Measurement) -> float:
    return measured.cpu_us_per_record


def _ratio(rounds: Sequence[Round], name: str, over: str, of: Callable[[Measurement], float]) -> Spread:
    return Spread.of([of(run[name]) / of(run[over]) for run in rounds])
