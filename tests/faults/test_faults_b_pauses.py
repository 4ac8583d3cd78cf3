"""FAULTS.md part B, answers that ask for a pause: B1 to B5, B23, B25. One test a row, its id in the name."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import canary
import pytest
from attrs import evolve
from faulted import (
    CONFIG,
    URL,
    Ended,
    Takes,
    VirtualPlatform,
    counts,
    holds,
    ids_of,
    ledger_witness,
    over_tcp,
    people,
    run_out,
    spacious,
    virtually,
)
from leftovers import back_to, resources
from scripted import OK, ScriptedTransport, Sent, envelope
from wire import http, says

from asyncimport import USERS, DispatchPolicy, ImportClient, UploadStalled
from asyncimport.attempt import Answer, Attempt
from asyncimport.emulator import Emulator, Ok, Status
from asyncimport.policy import Meaning
from benchmarks.virtual import TickingLoop, run_virtual

TOO_FREQUENT = "操作频繁,请稍后重试"
PAGE = b"<html><body>We are improving our service.</body></html>"


def throttled(retry_after: str | None = None, *, status: int = 429, date: str | None = None) -> Answer:
    return Answer(status=status, body=PAGE, retry_after=retry_after, date=date)


async def side_by_side(platform: VirtualPlatform, prefixes: str, count: int, policy: DispatchPolicy) -> list[Ended]:
    """Imports of one client at the same time, told apart by the first letter of their records."""
    client = ImportClient(URL, token=canary.TOKEN, policy=policy, transport=platform.transport)
    async with client, asyncio.timeout(600):
        return list(await asyncio.gather(*(run_out(client, count, prefix=prefix) for prefix in prefixes)))


def waited_s(platform: VirtualPlatform, index: int = 0) -> float:
    """From the answer to a request until the next request left."""
    told = platform.times[index] + platform.delay_s
    return min(at - told for at in platform.times if at > told)


@pytest.mark.breakage("gate: let a request that comes to the closed gate pass at once")
@pytest.mark.parametrize("status", [429, 503])
def test_b1_nobody_of_two_imports_sends_before_retry_after_is_over_and_they_come_back_one_by_one(status: int) -> None:
    platform = VirtualPlatform(script=[*[OK] * 20, throttled("7", status=status)], delay_s=0.5)
    both = run_virtual(side_by_side(platform, "ab", 400, spacious(max_in_flight=8)))
    told = platform.times[20] + 0.5
    later = [at - told for at in platform.times if at > told]
    assert min(later) >= 7
    assert later[7] <= 7 * 1.2
    assert len(set(later[:8])) == 8
    assert max(later[:8]) - min(later[:8]) > 0.05
    resumed = [ids_of(body)[0][0] for body in platform.witness.bodies[-len(later) :]]
    assert set(resumed[:16]) == {"a", "b"}
    for ended in both:
        holds(evolve(ended, witness=platform.witness))
        assert (counts(ended), ended.report.possible_duplicates) == ((400, 0, 0, 0), 0)
    assert len(platform.times) == 81


@pytest.mark.breakage("limit: cut for every answer of a burst")
@pytest.mark.breakage("limit: nothing cuts the width")
def test_b1_a_burst_of_429s_halves_the_width_that_was_found_once() -> None:
    widths: list[tuple[float, int]] = []
    burst = list[float]()

    def answer(sent: Sent) -> Attempt:
        at, width = sent.at - 1000, client._lane.limit.width
        widths.append((at, width))
        if 2.0 <= at < 2.5:
            burst.append(at)
            return throttled("7")
        return OK

    transport = ScriptedTransport(otherwise=answer, delay_s=0.5)
    client = ImportClient(URL, token=canary.TOKEN, policy=spacious(max_in_flight=None), transport=transport)

    async def both() -> list[Ended]:
        async with client:
            return list(await asyncio.gather(run_out(client, 2_000, prefix="a"), run_out(client, 2_000, prefix="b")))

    ends = run_virtual(both(), TickingLoop)
    assert [counts(ended) for ended in ends] == [(2_000, 0, 0, 0)] * 2
    before = max(width for at, width in widths if at < 2.5)
    after = next(width for at, width in widths if at > 2.5)
    assert len(burst) > before / 2 > 4
    assert after == before // 2


NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.mark.breakage("verdict: compare the date of Retry-After with the local clock")
@pytest.mark.parametrize("off", [timedelta(0), timedelta(days=1), timedelta(days=-1)], ids=["same", "ahead", "behind"])
@pytest.mark.parametrize("zone_h", [0, 8, -5])
def test_b2_a_date_is_waited_for_by_the_servers_own_clock(off: timedelta, zone_h: int) -> None:
    until = (NOW + off + timedelta(seconds=7)).astimezone(timezone(timedelta(hours=zone_h)))
    date = format_datetime(NOW + off, usegmt=True)
    platform = VirtualPlatform(script=[throttled(format_datetime(until), date=date)])
    ended = virtually(platform, 20)
    assert ended.pauses == [7.0]
    assert 7 <= waited_s(platform) <= 7 * 1.2
    assert counts(ended) == (20, 0, 0, 0)


@pytest.mark.breakage("verdict: without a Date of the answer compare with the local clock")
def test_b2_a_date_without_a_clock_to_read_it_by_is_ignored() -> None:
    platform = VirtualPlatform(script=[throttled(format_datetime(NOW + timedelta(minutes=4), usegmt=True))])
    ended = virtually(platform, 20)
    assert (ended.pauses, counts(ended)) == ([0.5], (20, 0, 0, 0))


DATE = "Mon, 16 Nov 2020 01:00:00 GMT"
NO_WAIT = {
    "negative": "-5",
    "zero": "0",
    "exponent": "1e3",
    "NaN": "NaN",
    "inf": "inf",
    "arabic digit": "٣",
    "full-width digit": "７",
    "20 zeros": "1" + "0" * 20,
    "underscore": "1_0",
    "hexadecimal": "0x10",
    "garbage": "soon",
    "two values": "7, 9",
    "fraction": "7.5",
    "past date": "Mon, 16 Nov 2020 00:59:59 GMT",
    "year 100000": "Mon, 16 Nov 100000 01:00:07 GMT",
    "year 9999": "Fri, 31 Dec 9999 23:59:59 GMT",
    "no such date": "Mon, 31 Feb 2020 01:00:07 GMT",
}


@pytest.mark.breakage("verdict: read Retry-After with float()")
@pytest.mark.parametrize("value", NO_WAIT.values(), ids=NO_WAIT)
def test_b3_a_retry_after_that_is_none_is_ignored_and_the_own_pause_kept(value: str) -> None:
    platform = VirtualPlatform(script=[OK, throttled(value, date=DATE)])
    ended = virtually(platform, 40, spacious(max_in_flight=1), within_s=30)
    assert ended.pauses == [0.5]
    assert 0.5 <= waited_s(platform, 1) <= 0.5 * 1.2
    assert (counts(ended), ended.report.possible_duplicates) == ((40, 0, 0, 0), 0)


@pytest.mark.breakage("verdict: take any 503 with a Retry-After for a throttled answer")
@pytest.mark.parametrize("value", NO_WAIT.values(), ids=NO_WAIT)
def test_b3_a_503_with_such_a_header_is_no_pause_but_unanswered(value: str) -> None:
    platform = VirtualPlatform(script=[OK, Takes(throttled(value, status=503, date=DATE))])
    ended = virtually(platform, 40, spacious(max_in_flight=1), within_s=30)
    assert (counts(ended), ended.report.possible_duplicates, ended.pauses) == ((40, 0, 0, 0), 10, [])


@pytest.mark.breakage("transport: hand over the first of several Retry-After headers")
@pytest.mark.parametrize(
    "headers",
    [("Retry-After: ٣",), ("Retry-After: 7", "Retry-After: 9"), ("Retry-After: -0",)],
    ids=["utf-8", "two", "-0"],
)
async def test_b3_over_a_real_connection_too(headers: tuple[str, ...]) -> None:
    ended = await over_tcp(Takes(says(http())), says(http(PAGE, *headers, status="429 Slow down")))
    assert (ended.pauses, counts(ended)) == ([0.5], (40, 0, 0, 0))


async def stops_and_is_resumed(fault: Status, wait_s: int, journal: Path) -> None:
    """The run ends at once, later ones of the client ask nothing, and a resume delivers what is left, once."""
    before = resources()
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script([Ok(), Ok(), fault])
        began = datetime.now(UTC)
        async with ImportClient(platform.url, token=canary.TOKEN, policy=spacious(max_in_flight=2)) as client:
            async with asyncio.timeout(20):
                ended = await run_out(client, 200, journal=journal)
            asked = platform.ledger.requests
            again = await run_out(client, 30)
        holds(evolve(ended, witness=ledger_witness(platform)))
        for stopped in (ended, again):
            assert isinstance(stopped.failure, UploadStalled)
            assert stopped.failure.resume_at is not None
            wait = stopped.failure.resume_at - began
            assert timedelta(seconds=wait_s - 1) < wait < timedelta(seconds=wait_s + 60)
        assert asked == platform.ledger.requests <= 4
        assert counts(again) == (0, 0, 0, again.report.read)
        assert ended.report.unsent > 0
        assert (ended.report.rejected, ended.report.unconfirmed) == (0, 0)
        async with ImportClient(platform.url, token=canary.TOKEN, policy=spacious(max_in_flight=2)) as client:
            report = await client.run(USERS, people(200), CONFIG, journal=journal)
        assert (report.read, report.accepted, report.possible_duplicates) == (200, 200, 0)
        assert (platform.ledger.users.distinct, platform.ledger.users.duplicates) == (200, 0)
    await back_to(before)


@pytest.mark.breakage("course: wait any pause out")
async def test_b4_a_pause_of_a_day_ends_the_run_which_says_when_to_resume(tmp_path: Path) -> None:
    await stops_and_is_resumed(Status(status=429, headers={"Retry-After": "86400"}), 86_400, tmp_path / "a.journal")


@pytest.mark.breakage("verdict: take a 503 for unanswered whatever its Retry-After says")
async def test_b23_a_maintenance_page_of_an_hour_ends_the_run_too(tmp_path: Path) -> None:
    page = Status(status=503, headers={"Retry-After": "3600"}, body=PAGE, content_type="text/html")
    await stops_and_is_resumed(page, 3_600, tmp_path / "a.journal")


def quota(per_s: int) -> Callable[[Sent], Attempt]:
    """Takes what is within the quota of any one second; what is thrown back does not count."""
    taken: deque[float] = deque()

    def answer(sent: Sent) -> Attempt:
        while taken and taken[0] <= sent.at - 1:
            taken.popleft()
        if len(taken) >= per_s:
            return throttled()
        taken.append(sent.at)
        return OK

    return answer


async def apart(platform: VirtualPlatform, clients: int, count: int, policy: DispatchPolicy) -> list[Ended]:
    """Clients that know nothing of each other, as processes of one account do."""

    async def one(prefix: str) -> Ended:
        async with ImportClient(URL, token=canary.TOKEN, policy=policy, transport=platform.transport) as client:
            return await run_out(client, count, prefix=prefix)

    async with asyncio.timeout(1_000):
        return list(await asyncio.gather(*(one(chr(ord("a") + n)) for n in range(clients))))


def amplification(width: int | None) -> float:
    """Requests per batch of 16 clients with 125 batches each, that share 20 requests a second."""
    platform = VirtualPlatform(otherwise=quota(20), delay_s=0.2)
    for ended in run_virtual(apart(platform, 16, 125, spacious(batch_size=1, max_in_flight=width)), TickingLoop):
        assert (counts(ended), ended.report.possible_duplicates) == ((125, 0, 0, 0), 0)
    assert len(platform.witness.taken) == sum(platform.witness.taken.values()) == 16 * 125
    return len(platform.times) / (16 * 125)


@pytest.mark.breakage("rate: learn no pace")
@pytest.mark.parametrize("width", [2, 8, None])
def test_b5_sixteen_clients_share_a_quota_without_a_header_and_ask_little_more_than_they_must(
    width: int | None,
) -> None:
    assert amplification(width) <= 1.5


@pytest.mark.breakage("verdict: judge by the code alone, whatever the message says")
@pytest.mark.parametrize(
    ("answer", "policy"),
    [
        pytest.param(envelope("1", msg=TOO_FREQUENT), {}, id="message"),
        pytest.param(envelope("200", msg=f"抱歉,{TOO_FREQUENT}"), {}, id="message-with-the-success-code"),
        pytest.param(envelope("100200", msg=TOO_FREQUENT), {}, id="message-with-the-token-code"),
        pytest.param(envelope("1", msg=TOO_FREQUENT, status=500), {}, id="message-with-500"),
        pytest.param(envelope("1", msg="slow down, please"), {"throttle_messages": ("slow down",)}, id="own-message"),
        pytest.param(envelope("40029", msg="no"), {"codes": {"40029": Meaning.THROTTLED}}, id="own-code"),
    ],
)
def test_b25_an_answer_that_says_too_frequent_holds_everybody_back_and_is_neither_success_nor_refusal(
    answer: Answer, policy: dict[str, Any]
) -> None:
    platform = VirtualPlatform(script=[*[OK] * 8, answer])
    ended = virtually(platform, 400, spacious(max_in_flight=8, **policy))
    assert (counts(ended), ended.report.possible_duplicates) == ((400, 0, 0, 0), 0)
    assert ended.pauses == [0.5]
    assert 0.5 <= waited_s(platform, 8) <= 0.5 * 1.2
    assert len(platform.times) == 41


@pytest.mark.breakage("gate: no pause is longer than the first")
def test_b25_pauses_in_a_row_double_up_to_the_cap() -> None:
    again = envelope("1", msg=TOO_FREQUENT)
    platform = VirtualPlatform(script=[OK, *[again] * 8])
    ended = virtually(platform, 20, spacious(max_in_flight=1))
    assert ended.pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    waits = [later - earlier - 0.01 for earlier, later in pairwise(platform.times[1:])]
    assert all(pause <= wait <= pause * 1.2 + 0.001 for pause, wait in zip(ended.pauses, waits, strict=True))
    assert counts(ended) == (20, 0, 0, 0)
