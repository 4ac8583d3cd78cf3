from __future__ import annotations

import asyncio
from itertools import pairwise

import canary
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from scripted import OK, REFUSED_CONNECTION, ScriptedTransport, envelope

from asyncimport import ClientStats, DispatchPolicy, ImportClient, ImportMode, UserImportConfig, UserProfile
from asyncimport.attempt import Answer
from asyncimport.limit import FIRST
from asyncimport.stats import MOST_POINTS, WidthCourse
from benchmarks.virtual import run_virtual

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
IDLE = ClientStats(runs=0, width=0, in_flight=0, batches=0, paused_s=0.0, pace_per_s=None, is_breaker_open=False)
moments = st.lists(st.tuples(st.floats(0.001, 10), st.integers(1, 32)), min_size=1, max_size=400)


def course_of(*widths: int) -> WidthCourse:
    """A course that is looked at once a second."""
    course = WidthCourse(began_at=100.0)
    for second, width in enumerate(widths):
        course.book(100.0 + second, width)
    return course


def test_a_course_has_the_seconds_since_it_began_and_the_changes_only() -> None:
    assert course_of(4, 4, 5, 5, 5, 2, 4).points == ((0.0, 4), (2.0, 5), (5.0, 2), (6.0, 4))
    assert WidthCourse(began_at=100.0).points == ()


def test_of_a_long_course_the_widths_that_lasted_the_least_are_left_out() -> None:
    course, now = WidthCourse(began_at=0.0), 0.0
    for number in range(MOST_POINTS):
        course.book(now, 8 if number % 2 else 4)
        now += 0.1 if number == 50 else 1.0
    course.book(now, 16)
    left = course.points
    assert len(left) == MOST_POINTS - 1  # the width before it was that after it
    assert (50.0, 4) not in left
    assert [width for _, width in left] == [8 if number % 2 else 4 for number in range(MOST_POINTS - 2)] + [16]


def test_the_widest_and_the_narrowest_are_kept_however_short_they_were() -> None:
    course, now = WidthCourse(began_at=0.0), 0.0
    for number in range(10 * MOST_POINTS):
        width = {10: 32, 20: 1}.get(number, 8 if number % 2 else 4)
        course.book(now, width)
        now += 0.01 if number in (10, 20) else 1.0
    assert {32, 1} < {width for _, width in course.points}
    assert len(course.points) <= MOST_POINTS


@given(moments)
def test_a_course_stays_small_and_keeps_the_first_the_last_and_the_extremes(booked: list[tuple[float, int]]) -> None:
    course, now, widths = WidthCourse(began_at=0.0), 0.0, list[int]()
    for later_s, width in booked:
        now += later_s
        course.book(now, width)
        widths.append(width)
        left = [width for _, width in course.points]
        assert len(left) <= MOST_POINTS
        assert (left[0], left[-1], min(left), max(left)) == (widths[0], width, min(widths), max(widths))
    assert all(one[0] < other[0] and one[1] != other[1] for one, other in pairwise(course.points))


def client_of(transport: ScriptedTransport, **policy: object) -> ImportClient:
    arguments = {"batch_size": 10, "first_contact_s": None, **policy}
    return ImportClient(
        "https://platform.example/api/open",
        token=canary.TOKEN,
        transport=transport,
        policy=DispatchPolicy(**arguments),  # type: ignore[arg-type] # the tests' own
    )


def stats_during(transport: ScriptedTransport, after_s: float) -> ClientStats:
    """What a client of 40 batches says so long after the beginning."""

    async def main() -> ClientStats:
        async with client_of(transport) as client:
            source = [UserProfile(third_id=str(n)) for n in range(400)]
            running = asyncio.create_task(client.import_users(source, CONFIG), name="running")
            await asyncio.sleep(after_s)
            found = client.stats()
            running.cancel()
            await asyncio.wait({running})
            return found

    return run_virtual(main())


def test_a_client_tells_its_stats_before_the_first_import_and_after_it_is_closed() -> None:
    client = client_of(ScriptedTransport())
    assert client.stats() == IDLE  # without an event loop too

    async def main() -> ClientStats:
        async with client:
            await client.import_users([UserProfile(third_id="1")], CONFIG)
            return client.stats()

    assert run_virtual(main()) == IDLE
    assert client.stats() == IDLE


def test_the_stats_of_a_client_at_work_tell_its_width_and_what_there_is_to_do() -> None:
    found = stats_during(ScriptedTransport(delay_s=1.0), 0.5)
    batches = 4 * FIRST  # a window
    assert found == evolve(IDLE, runs=1, width=FIRST, in_flight=FIRST, batches=batches)
    assert stats_during(ScriptedTransport(delay_s=1.0), 1.5).width == 2 * FIRST


def throttled(retry_after: str) -> Answer:
    return envelope("429", status=429, retry_after=retry_after)


def test_the_stats_tell_how_long_a_pause_still_lasts() -> None:
    found = stats_during(ScriptedTransport(script=[OK] * 4, otherwise=throttled("7"), delay_s=0.5), 3.0)
    assert (found.in_flight, found.paused_s, found.width) == (0, 5.0, FIRST)
    assert found.pace_per_s is None  # one throttling teaches nothing


def test_the_stats_tell_the_rate_that_throttling_has_taught() -> None:
    script = [*[throttled("1")] * 4, *[OK] * 20]
    found = stats_during(ScriptedTransport(script=script, otherwise=throttled("7"), delay_s=0.5), 8.0)
    assert 0 < found.paused_s < 7
    assert found.pace_per_s is not None
    assert 2 < found.pace_per_s < 10  # twenty in some seconds


def test_the_stats_tell_that_the_platform_is_away() -> None:
    away = ScriptedTransport(script=[OK], otherwise=REFUSED_CONNECTION)
    assert stats_during(away, 20.0).is_breaker_open
    assert not stats_during(ScriptedTransport(delay_s=1.0), 0.5).is_breaker_open


def test_the_runs_of_a_client_are_counted_until_they_have_ended() -> None:
    async def main() -> None:
        source = [UserProfile(third_id=str(n)) for n in range(400)]
        async with client_of(ScriptedTransport(delay_s=1.0)) as client:
            async with asyncio.TaskGroup() as group:
                for number in range(2):
                    group.create_task(client.import_users(source, CONFIG), name=f"run-{number}")
                await asyncio.sleep(0.5)
                assert (client.stats().runs, client.stats().in_flight) == (2, FIRST)
            assert client.stats() == IDLE

    run_virtual(main())
