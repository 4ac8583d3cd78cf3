"""Ends of runs that the simulation found wanting, each as the smallest plan that shows it."""

from __future__ import annotations

import pytest
from chaos import Plan, RunPlan
from simulation import Course, carry_out

from asyncimport import EVENTS


def run_plan(number: int = 0, **more: object) -> RunPlan:
    values: dict[str, object] = {"number": number, "resource": EVENTS, "count": 400, "source": "list"}
    return RunPlan(**(values | more))  # type: ignore[arg-type]


def begun_later_than(course: Course, at: float) -> list[str]:
    return [str(request) for request in course.platform.requests if request.began > at]


@pytest.mark.parametrize("slow", [0, 1])
def test_closing_a_client_stops_all_its_runs_at_once(slow: int) -> None:
    runs = tuple(
        run_plan(number, source="async", closing_s=2.0 if number == slow else 0.0, leaves_at=0.25, leave=leave)
        for number, leave in ((0, "closes"), (1, None))
    )
    course = carry_out(Plan(seed=1, batch_size=5, width=4, latency_s=0.1, runs=runs))
    left_at = course.endings[0].left_at
    assert left_at is not None
    assert begun_later_than(course, left_at) == []


def test_a_batch_that_waits_for_its_token_is_not_sent_after_the_deadline() -> None:
    plan = Plan(
        seed=1, batch_size=50, width=2, latency_s=1.0, credentials="app", runs=(run_plan(deadline=0.5, count=90),)
    )
    course = carry_out(plan)
    assert begun_later_than(course, course.endings[0].began + 0.5) == []


def test_a_run_that_is_cancelled_while_it_winds_up_waits_for_its_source() -> None:
    run = run_plan(
        source="async", count=200, invalid=frozenset({3}), max_rejected=0, closing_s=2.0, leave="cancels", leaves_at=0.5
    )
    course = carry_out(Plan(seed=1, batch_size=5, width=2, runs=(run,)))
    assert course.left_tasks == []
