"""FAULTS.md part D, load and limits: whole imports over simulated servers in virtual time, at a width that is given and one that is found.

The controller alone, over more servers and by more clients, is in tests/simulation; what breaker and gate do for a width that a
server does not take, and that nothing cuts, is held here.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final

import canary
import pytest
from capacity import BUSY, DROPPED, REFUSAL_S, SERVICE_S, Server, imports
from faulted import CONFIG, URL
from scripted import LOST, OK, ScriptedTransport

from asyncimport import USERS, DispatchPolicy, ImportClient, UserProfile
from asyncimport.attempt import Answer, Attempt
from asyncimport.limit import FIRST, MOST
from benchmarks.virtual import TickingLoop, run_virtual

BATCHES: Final = 400
#: What eight workers need for them, and a quota of 20 a second.
IDEAL_S: Final = BATCHES * SERVICE_S / 8
QUOTA_S: Final = BATCHES / 20


@pytest.mark.breakage("dispatcher: one worker less")
@pytest.mark.breakage("limit: never more than one in flight")
@pytest.mark.parametrize(("clients", "width"), [(1, 8), (1, 16), (4, 4)])
def test_d1_eight_workers_with_a_queue_are_kept_busy_and_nobody_waits_long(clients: int, width: int) -> None:
    server = Server(workers=8)
    imports(server, BATCHES, clients=clients, width=width)
    assert server.took_s <= IDEAL_S / 0.95
    took = sorted(one.took_s for one in server.served)
    assert took[int(0.99 * len(took))] <= 3 * SERVICE_S
    assert server.waste == 1


@pytest.mark.breakage("limit and dispatcher: one request more than the width")
@pytest.mark.breakage("breaker: never open it")
@pytest.mark.breakage("limit: stay wide after an outage")
@pytest.mark.parametrize(
    ("clients", "width", "waste"),
    [(1, 16, 1.0), (4, 4, 1.0), (16, 1, 1.0), (1, 32, 1.7)],
    ids=["1 x 16", "4 x 4", "16 x 1", "1 x 32: the breaker's share"],
)
def test_d2_a_hard_503_above_sixteen_costs_no_time_and_requests_within_bounds(
    clients: int, width: int, waste: float
) -> None:
    server = Server(workers=8, above=16)
    imports(server, BATCHES, clients=clients, width=width)
    assert server.took_s <= 1.1 * IDEAL_S
    assert server.waste <= waste


@pytest.mark.breakage("limit: nothing cuts the width")
@pytest.mark.parametrize(("clients", "waste"), [(1, 1.02), (4, 1.05)])
def test_d2_a_width_that_is_looked_for_stays_at_what_the_server_takes(clients: int, waste: float) -> None:
    server = Server(workers=8, above=16)
    imports(server, BATCHES, clients=clients, width=None)
    assert server.took_s <= 1.1 * IDEAL_S
    assert server.waste <= waste


@pytest.mark.breakage("limit and dispatcher: one request more than the width")
@pytest.mark.parametrize(("clients", "width"), [(1, 16), (4, 4), (16, 1)])
def test_d3_silence_above_sixteen_is_not_met_at_a_width_that_fits(clients: int, width: int) -> None:
    server = Server(workers=8, above=16, excess=DROPPED)
    imports(server, BATCHES, clients=clients, width=width)
    assert server.took_s <= 1.4 * IDEAL_S
    assert server.waste == 1


def shrinks(server: Server, now: float) -> None:
    """32 workers, 4 of them from second 2 to second 10; twice as many requests are taken."""
    server.workers = 4 if 2 <= now < 10 else 32
    server.above = 2 * server.workers


@pytest.mark.breakage("breaker: never open it")
@pytest.mark.breakage("limit: stay at one request after an outage")
def test_d4_a_capacity_that_falls_to_an_eighth_and_comes_back_is_followed_without_a_storm() -> None:
    server = Server(changes=shrinks)
    imports(server, 1_200, width=32)
    done = Counter(int(one.ended) for one in server.accepted)
    failed = Counter(int(one.ended) for one in server.served if one.attempt is BUSY)
    assert all(done[second] >= 0.9 * 4 / SERVICE_S for second in range(4, 10))
    assert all(failed[second] <= 1.5 * 4 / SERVICE_S for second in range(4, 10))
    assert server.waste <= 1.25
    assert done[12] >= 0.9 * 32 / SERVICE_S  # FAULTS.md gives it ten seconds


@pytest.mark.breakage("lane: what is throttled closes no gate and teaches no pace")
@pytest.mark.breakage("limit: half the width")
@pytest.mark.parametrize("retry_after", [None, "1"])
@pytest.mark.parametrize("width", [4, 8])
def test_d5_a_quota_is_used_to_nine_tenths_and_hardly_anything_is_sent_in_vain(
    width: int, retry_after: str | None
) -> None:
    server = Server(quota_per_s=20, burst=20, retry_after=retry_after)
    imports(server, BATCHES, width=width)
    assert server.took_s <= QUOTA_S / 0.9
    assert server.waste <= 1.15


@pytest.mark.breakage("rate: learn no pace")
@pytest.mark.parametrize("retry_after", [None, "1"])
@pytest.mark.parametrize("width", [8, None])
def test_d5_a_quota_that_saves_nothing_up_is_used_to_two_fifths_and_hardly_anything_is_sent_in_vain(
    width: int | None, retry_after: str | None
) -> None:
    """Every request that comes too early costs a pause, and without one nobody knows the quota: nine tenths it cannot be."""
    server = Server(quota_per_s=20, burst=1, retry_after=retry_after)
    imports(server, BATCHES, width=width)
    assert server.took_s <= QUOTA_S / 0.35
    assert server.waste <= 1.1


@pytest.mark.breakage("limit: half the width")
@pytest.mark.parametrize("width", [8, 32])
def test_d6_latency_that_jitters_costs_at_most_a_fifth_of_the_throughput(width: int) -> None:
    draw = random.Random(6)
    server = Server(latency_s=lambda: draw.expovariate(1 / SERVICE_S))
    imports(server, 3 * BATCHES, width=width)
    assert server.took_s <= 3 * BATCHES * SERVICE_S / width / 0.8


@pytest.mark.breakage("limit: take a width for used that is not")
@pytest.mark.parametrize(("every_s", "most"), [(0.1, FIRST), (0.0, MOST)], ids=["slow", "fast"])
def test_d7_a_slow_producer_lets_no_limit_grow(every_s: float, most: int) -> None:
    widths: list[int] = []

    async def records(client: ImportClient) -> AsyncIterator[UserProfile]:
        for number in range(300):
            await asyncio.sleep(every_s)
            widths.append(client._lane.limit.width)
            yield UserProfile(third_id=f"{number}")

    async def imported() -> None:
        one = DispatchPolicy(batch_size=1)
        async with ImportClient(
            URL, token=canary.TOKEN, policy=one, transport=ScriptedTransport(delay_s=SERVICE_S)
        ) as client:
            assert (await client.run(USERS, records(client), CONFIG)).ok
            widths.append(int(client._lane.limit.adaptive.width))

    run_virtual(imported(), TickingLoop)
    assert max(widths) == most


@pytest.mark.breakage("gate: never close it")
@pytest.mark.parametrize("retry_after", [None, "1"])
@pytest.mark.parametrize(("clients", "width"), [(4, 2), (16, 1)])
def test_d10_clients_that_share_a_quota_send_little_in_vain_and_deliver_everything(
    clients: int, width: int, retry_after: str | None
) -> None:
    server = Server(quota_per_s=20, burst=20, retry_after=retry_after)
    imports(server, BATCHES, clients=clients, width=width)
    assert server.took_s <= 1.6 * QUOTA_S
    assert server.waste <= 1.4


@pytest.mark.breakage("rate: learn no pace")
@pytest.mark.parametrize(("clients", "times"), [(4, 2.0), (16, 2.5)])
def test_d10_clients_that_share_a_quota_have_like_shares_of_it(clients: int, times: float) -> None:
    server = Server(quota_per_s=20, burst=20)
    ends = imports(server, 2 * BATCHES, clients=clients, width=None)
    took = [ended.report.elapsed_s for ended in ends]
    assert max(took) <= times * min(took)


def fails_at_once(server: Server, now: float) -> None:
    """What comes in the first moment fails, all together; nothing does later."""
    server.above = 0 if now < REFUSAL_S else float("inf")


ASKS_TO_WAIT = Answer(status=429, body=b"", retry_after="7")


@pytest.mark.breakage("retry: no jitter")
@pytest.mark.breakage("gate: no spread")
@pytest.mark.breakage("breaker: no spread")
@pytest.mark.parametrize(
    ("excess", "width", "window"),
    [(LOST, 1, (0.05, 0.5)), (ASKS_TO_WAIT, 1, (7.0, 8.4)), (BUSY, 8, (0.75, 1.25))],
    ids=["back-off", "a pause that is asked for", "the breaker's probes"],
)
def test_d14_requests_that_failed_together_do_not_wake_together(
    excess: Attempt, width: int, window: tuple[float, float]
) -> None:
    clients, slow = 60, 5.0  # so slow that nothing else begins before all have woken
    latency: Callable[[], float] = lambda: slow  # noqa: E731
    server = Server(changes=fails_at_once, excess=excess, latency_s=latency)
    imports(server, clients * width, clients=clients, width=width)
    first, last = (REFUSAL_S + moment for moment in window)
    woken = [one.at for one in server.served if one.at > REFUSAL_S and one.at < first + slow]
    assert len(woken) == clients
    assert all(first - 1e-6 <= at <= last + 1e-6 for at in woken)
    bins = Counter(int((at - first) / 0.1) for at in woken)
    assert max(bins.values()) <= 3 * clients * 0.1 / (last - first)
    assert sum(one.attempt is OK for one in server.served) == clients * width
