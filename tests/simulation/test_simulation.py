"""A simulation of everything at once: the real engine in virtual time over a platform with seeded faults.

Each seed is a plan (tests/support/chaos.py); after each the invariants are asked of the platform's own log. A failing
seed tells how to run it again. `ASYNCIMPORT_SOAK=1` runs many more seeds, `ASYNCIMPORT_SEED=n` exactly one.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from chaos import Plan, plan_of
from simulated_checks import check
from simulation import Course, carry_out, simulate

ONE = os.environ.get("ASYNCIMPORT_SEED")
SEEDS = 10_000 if os.environ.get("ASYNCIMPORT_SOAK") == "1" else 300
A_GROUP = SEEDS // 30
LAST_REQUESTS = 30


def groups() -> Iterator[range]:
    if ONE is not None:
        yield range(int(ONE), int(ONE) + 1)
        return
    for first in range(0, SEEDS, A_GROUP):
        yield range(first, min(first + A_GROUP, SEEDS))


def again(plan: Plan, course: Course | None) -> str:
    """All that is needed to run a seed again, and what it looked like."""
    last = [] if course is None else course.platform.requests[-LAST_REQUESTS:]
    command = f"ASYNCIMPORT_SEED={plan.seed} python -m pytest tests/simulation/test_simulation.py"
    ends = [] if course is None else [f"run {one.run.number}: {one.error!r}\n{one.report}" for one in course.endings]
    return "\n".join(
        [f"seed {plan.seed}; again: {command}", plan.words(), *ends, "the last requests:", *map(str, last)]
    )


def run_seed(seed: int) -> None:
    plan, course = plan_of(seed), None
    try:
        course = carry_out(plan)
        check(course)
    except BaseException as error:
        error.add_note(again(plan, course))
        raise


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seeds", list(groups()), ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_whatever_the_platform_does_every_record_is_accounted_for(seeds: range) -> None:
    for seed in seeds:
        run_seed(seed)
    gc.collect()  # an exception or coroutine that nobody looked at would be told now, and warnings are errors


@pytest.mark.parametrize("seed", [1, 7, 20, 33, 58, 91] if ONE is None else [int(ONE)])
def test_a_seed_gives_the_same_requests_whenever_it_is_run(seed: int) -> None:
    assert simulate(seed).trace() == simulate(seed).trace()
