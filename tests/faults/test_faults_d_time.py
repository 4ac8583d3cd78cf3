"""FAULTS.md part D, time and size: a loop that stands still, a wall clock that jumps, a user who does not read, exact counts.

D12's records are in tests/emulated/test_million.py.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from itertools import chain, cycle
from pathlib import Path
from typing import Any, Final

import canary
import journals
import pytest
from capacity import Server, imports
from faulted import CONFIG, URL, VirtualPlatform, virtually
from netruns import BATCH, Run, adds_up, policy
from netruns import people as people_from
from scripted import LOST, OK, REFUSED_CONNECTION, Reply, ScriptedTransport, envelope

from asyncimport import USERS, AppCredentials, DispatchPolicy, ImportClient, OutcomeStream, UserProfile
from asyncimport.attempt import Answer, Attempt
from asyncimport.emulator import Delay, Emulator
from asyncimport.observer import LoopBlocked
from benchmarks.virtual import VirtualLoop, run_virtual


@contextmanager
def serving_in_a_thread(platform: Emulator) -> Iterator[None]:
    """An emulator that goes on while the loop of the test stands still."""
    is_up, is_over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with platform:
            is_up.set()
            await asyncio.to_thread(is_over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    is_up.wait(10)
    try:
        yield
    finally:
        is_over.set()
        thread.join(5)


#: Shorter than the loop stands still.
SHORT: Final = policy(timeouts={"read_s": 0.8, "attempt_s": 0.8})
STILL_S: Final = 1.0


def came_at_the_first_attempt(run: Run, platform: Emulator) -> None:
    assert run.failures == []
    assert (run.report.accepted, run.report.attempts) == (8 * BATCH, 8)
    adds_up(run, platform)


@pytest.mark.breakage("transport: bound an attempt by aiohttp's total")
async def test_d8_answers_that_come_while_the_loop_stands_still_are_no_timeouts() -> None:
    platform, run = Emulator(token=canary.TOKEN), Run()
    platform.faults.add(Delay(seconds=0.2))
    with serving_in_a_thread(platform):
        going = asyncio.create_task(run.go(platform.url, people_from(8 * BATCH), policy=SHORT))
        while platform.ledger.in_flight < 4:  # noqa: ASYNC110 -- the ledger rings no bell
            await asyncio.sleep(0.005)
        time.sleep(STILL_S)  # noqa: ASYNC251 -- that is the fault
        await going
    came_at_the_first_attempt(run, platform)


@pytest.mark.breakage("transport: no second chance for a deadline that comes late")
async def test_d8_a_request_that_could_not_leave_while_the_loop_stood_still_is_not_given_up() -> None:
    platform, run = Emulator(token=canary.TOKEN), Run()

    async def token() -> str:
        asyncio.get_running_loop().call_soon(
            time.sleep, STILL_S
        )  # by then the attempt has begun, and not yet connected
        return canary.TOKEN

    with serving_in_a_thread(platform):
        await run.go(platform.url, people_from(8 * BATCH), policy=SHORT, token=token)
    came_at_the_first_attempt(run, platform)


def blocks_again_and_again(every_s: float = 5.0, for_s: float = 2.0) -> Callable[[Server, float], None]:
    """Stops the loop for some of the seconds, whatever else is to be done."""
    times = 0

    def block(_server: Server, now: float) -> None:
        nonlocal times
        if now >= every_s * (times + 1):
            times += 1
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.block(for_s)

    return block


@pytest.mark.breakage("dispatcher: bound an attempt by asyncio.timeout")
def test_d8_a_loop_that_stands_still_for_two_of_five_seconds_costs_these_and_nothing_else() -> None:
    server = Server(workers=8, changes=blocks_again_and_again())
    imports(server, 800)
    assert server.waste == 1
    assert 20.0 + 4 * 2.0 <= server.took_s <= 1.05 * (20.0 + 2.0 * (server.took_s // 5))


@pytest.mark.breakage("limit: a slow window cuts the width")
@pytest.mark.breakage("pulse: tell of it each time")
@pytest.mark.breakage("pulse: look at nothing")
def test_d8_latency_of_our_own_making_cuts_no_width_and_is_told_once() -> None:
    widths: list[int] = []
    block = blocks_again_and_again()

    def blocks(server: Server, now: float) -> None:
        block(server, now)
        widths.extend(server.widths)

    server = Server(changes=blocks)
    (ended,) = imports(server, 3_000, width=None)
    assert server.took_s > 4 * 5
    assert server.waste == 1
    assert widths == sorted(widths)
    assert max(widths) > 16
    (told,) = [notice for notice in ended.notices if isinstance(notice, LoopBlocked)]
    assert 1.0 < told.blocked_s <= 2.0


WALL_NS: Final = 1_769_860_800 * 10**9
#: Off by a day either way, summer time, and a slew.
JUMPS_S: Final = (86_400.0, -86_400.0, 3_600.0, -0.5)


def asks_to_wait(wait_s: int) -> Answer:
    date, until = (formatdate(WALL_NS // 10**9 + s, usegmt=True) for s in (0, wait_s))
    return Answer(status=429, body=b"", retry_after=until, date=date)


async def arriving() -> AsyncIterator[UserProfile]:
    """Records of which some are followed by more than the linger."""
    for number in range(4_000):
        yield UserProfile(third_id=f"{number}")
        if number % 1_300 == 7:
            await asyncio.sleep(20.0)


def course_with(walls_s: tuple[float, ...]) -> tuple[list[tuple[float, bytes]], int]:
    """What is sent when, in two hours of faults, while the wall clock of each look is off by so much."""
    tokens: list[Attempt] = [envelope(data={"orgAccessToken": canary.TOKEN, "expire": 7200})]
    script: list[Reply] = [
        OK,
        LOST,
        asks_to_wait(50),
        OK,
        *[REFUSED_CONNECTION] * 12,
        LOST,
        Answer(status=429, body=b""),
        LOST,
    ]
    transport = ScriptedTransport(script=script, tokens=tokens, delay_s=30.0)
    walls, chosen = cycle(walls_s), DispatchPolicy(batch_size=10, max_in_flight=2)

    async def imported() -> None:
        app = AppCredentials(app_id="app", app_secret=canary.TOKEN)
        async with ImportClient(URL, app=app, policy=chosen, transport=transport) as client:
            assert (await client.run(USERS, arriving(), CONFIG)).ok

    random.seed(9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: WALL_NS + int(next(walls) * 10**9))
        patch.setattr(time, "time", lambda: WALL_NS / 10**9 + next(walls))
        run_virtual(imported())
    return [(sent.at, sent.body) for sent in transport.posts], transport.token_calls


@pytest.mark.breakage("verdict: measure the date of a Retry-After by the local clock")
@pytest.mark.breakage("credentials: end a token by the wall clock")
def test_d9_a_wall_clock_that_jumps_changes_no_moment_of_any_wait() -> None:
    state = random.getstate()
    try:
        straight, jumping = course_with((0.0,)), course_with(JUMPS_S)
    finally:
        random.setstate(state)
    assert straight == jumping
    posts, token_calls = straight
    assert posts[-1][0] - posts[0][0] > 0.8 * 7200
    assert token_calls == 2


class Tap:
    """A source without end in sight, and how far it was drunk."""

    given = 0

    async def records(self, count: int) -> AsyncIterator[UserProfile]:
        for number in range(count):
            self.given += 1
            yield UserProfile(third_id=f"{number}")


#: Batches of 10, two at a time, four times as many in the window.
WIDTH, IN_WINDOW = 2, 4 * 2 * 10
#: Records that are read ahead, and a hop of them on its way into the window.
AHEAD = 1_000 + 500
MANY = 3_000


def with_outcomes(use: Any, count: int = MANY) -> None:
    async def imported() -> None:
        tap, chosen = Tap(), DispatchPolicy(batch_size=10, max_in_flight=WIDTH)
        async with ImportClient(URL, token=canary.TOKEN, policy=chosen, transport=ScriptedTransport()) as client:
            outcomes = client.stream(USERS, tap.records(count), CONFIG)
            async with outcomes:
                await use(outcomes, tap)
            assert (outcomes.report.accepted, tap.given) == (count, count)

    run_virtual(imported())


@pytest.mark.breakage("window: outcomes that nobody has read take no room")
def test_d11_outcomes_that_nobody_reads_hold_the_source_back() -> None:
    async def never_reads(outcomes: OutcomeStream, tap: Tap) -> None:
        await asyncio.sleep(1.0)
        held = tap.given
        await asyncio.sleep(3_600.0)
        assert held == tap.given <= IN_WINDOW + AHEAD
        assert sum([outcome.count async for outcome in outcomes]) == MANY  # who reads at last has them all

    with_outcomes(never_reads)


@pytest.mark.breakage("window: outcomes that nobody has read take no room")
def test_d11_a_slow_reader_of_outcomes_is_never_far_behind_the_source() -> None:
    async def reads_slowly(outcomes: OutcomeStream, tap: Tap) -> None:
        read = 0
        async for outcome in outcomes:
            read += outcome.count
            assert tap.given - read <= IN_WINDOW + AHEAD
            await asyncio.sleep(10.0)
        assert read == MANY

    with_outcomes(reads_slowly)


@pytest.mark.breakage("journal: pack no groups")
async def test_d12_a_journal_packs_what_is_settled_into_less_than_a_hundred_bytes_a_batch(tmp_path: Path) -> None:
    batches, journal = 1_024, tmp_path / "journal"
    singly = DispatchPolicy(batch_size=1, max_in_flight=64)
    people = [UserProfile(third_id=f"{number}") for number in range(batches)]
    report = await journals.imported(people, journal, ScriptedTransport(delay_s=0.0), policy=singly)
    assert report.batches == batches
    assert journals.beside(journal) == [""]
    kept = journals.rows(journal, "SELECT (SELECT COUNT(*) FROM batches), (SELECT COUNT(*) FROM segments)")
    assert kept == [(0, batches // 256)]
    assert journal.stat().st_size < 50_000 + 100 * batches


@pytest.mark.breakage("chunker: one record more in a batch")
@pytest.mark.parametrize("count", [0, 1, 500, 501])
@pytest.mark.parametrize("batch_size", [1, 500])
def test_d13_one_at_a_time_gives_exactly_so_many_batches_and_a_clean_result(count: int, batch_size: int) -> None:
    platform = VirtualPlatform()
    ended = virtually(platform, count, DispatchPolicy(batch_size=batch_size, max_in_flight=1))
    batches = -(-count // batch_size)
    report = ended.report
    assert (report.batches, report.attempts, report.retries, len(platform.times)) == (batches, batches, 0, batches)
    assert (report.accepted, report.ok, ended.failure) == (count, True, None)
    assert platform.transport.most_in_flight == min(1, batches)
    assert list(chain.from_iterable(outcome.positions for outcome in ended.outcomes)) == list(range(count))
