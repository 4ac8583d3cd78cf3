"""FAULTS.md part G, how a source behaves: G1, G12 to G17, G21. One test a row, its id in the name.

Values of records are in test_faults_g_values.py, files in test_faults_g_files.py; G20, paths, in tests/test_address.py.
The platform's ledger is the witness.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import canary
import pytest
from faulted import QUICK, VirtualPlatform, people, spacious
from scripted import LOST, ScriptedTransport
from sourced import CONFIGS, WAYS, Ended, counts, event, holds, imported, sourced

from asyncimport import EVENTS, USERS, DispatchPolicy, Event, Identity, ImportClient, SourceError
from asyncimport.emulator import Emulator, Ok, ResetAfter, ResetBefore, Status
from asyncimport.outcome import Unsent
from asyncimport.sources import inline
from benchmarks.virtual import run_virtual


class Broken(Exception):
    """What the user's generator raises."""


def breaking(at: int) -> Iterator[dict[str, Any]]:
    for number in range(95):
        if number == at:
            raise Broken(f"no record {at}")
        yield event(number)


@pytest.mark.breakage("reader: drop what was read and not yet handed over when the source raises")
@pytest.mark.parametrize("at", [0, 45, 94])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_g1_what_a_source_gave_before_it_raised_is_sent_and_journaled_and_its_error_told(
    tmp_path: Path, way: Callable[[Any], Any], at: int
) -> None:
    journal = tmp_path / "journal"
    async with Emulator(token=canary.TOKEN) as platform:
        lost = holds(await imported(platform, way(breaking(at)), journal=journal))
        assert isinstance(lost.failure, SourceError)
        assert (lost.failure.position, lost.failure.report) == (at, lost.report)
        assert isinstance(lost.failure.__cause__, Broken)
        assert (counts(lost.report), lost.ledger.total, lost.report.ok) == ((at, 0, 0, 0), at, False)
        again = await imported(platform, way(breaking(95)), journal=journal)
        assert (again.failure, counts(again.report)) == (None, (95, 0, 0, 0))
        assert (platform.ledger.events.distinct, platform.ledger.events.duplicates) == (95, 0)


def reusing(records: int) -> Iterator[dict[str, Any]]:
    """One dict for all records, as database cursors and parsers do; changed deep inside."""
    row = event(0, eventargs={"c_list": [{"n": 0}], "c_deep": {"a": {"b": [0]}}})
    for number in range(records):
        row["intid"] = str(number)
        row["identities"][0]["identityValue"] = f"138{number}"
        row["eventargs"]["c_list"][0]["n"] = number
        row["eventargs"]["c_deep"]["a"]["b"][0] = number
        yield row


@pytest.mark.breakage("guard: let lists within eventargs pass as they are")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_g12_a_source_that_gives_the_same_dict_again_mixes_nothing_up_and_repeats_are_the_same_bytes(
    way: Callable[[Any], Any],
) -> None:
    ended = await sourced(way(reusing(60)), script=[Ok(), ResetAfter(), ResetBefore(), Status(status=500)])
    assert counts(ended.report) == (60, 0, 0, 0)
    assert ended.report.retries >= 3
    for number, record in ((int(name), record) for name, record in ended.stored.items()):
        assert record["identities"][0]["identityValue"] == f"138{number}"
        assert record["eventargs"] == {"c_list": [{"n": number}], "c_deep": {"a": {"b": [number]}}}
    assert len(ended.stored) == 60


@pytest.mark.breakage("chunker: leave out a record that is the one before it again")
@pytest.mark.parametrize("way", [list, *WAYS.values()], ids=["list", *WAYS])
async def test_g13_a_record_that_the_source_gives_twice_is_delivered_twice(way: Callable[[Any], Any]) -> None:
    twice = (record for number in range(20) for record in [{"thirdId": str(number)}] * 2)
    ended = await sourced(way(twice), resource=USERS, copies_are_meant=True)
    assert (counts(ended.report), ended.report.possible_duplicates) == ((40, 0, 0, 0), 0)
    assert (ended.ledger.distinct, set(ended.ledger.by_key.values())) == (20, {2})


@pytest.mark.breakage("dispatcher: a batch that waits for its repeat holds up those behind it")
@pytest.mark.parametrize("width", [1, 4])
def test_g14_a_user_in_two_batches_is_as_the_last_to_arrive_has_him(width: int) -> None:
    """Without `order_by` batches arrive in no certain order."""
    platform = VirtualPlatform(script=[LOST])
    source = [*people(10), *people(10)]

    async def main() -> None:
        async with ImportClient(
            "https://platform.example",
            token=canary.TOKEN,
            policy=spacious(max_in_flight=width),
            transport=platform.transport,
        ) as client:
            report = await client.run(USERS, source, CONFIGS["users"])
        assert (counts(report), report.possible_duplicates) == ((20, 0, 0, 0), 10)

    run_virtual(main())
    assert set(platform.witness.taken.values()) == {2}
    first, second, repeated = (sent.at for sent in platform.transport.posts)
    assert first <= second < repeated
    assert second - first < 0.05
    assert platform.witness.bodies[0] == platform.witness.bodies[2]


@pytest.mark.breakage("order: a key is free as soon as its batch is cut")
def test_g14_ordered_a_user_in_two_batches_is_as_the_source_gave_him_last() -> None:
    platform = VirtualPlatform(script=[LOST])

    async def main() -> None:
        async with ImportClient(
            "https://platform.example",
            token=canary.TOKEN,
            policy=spacious(max_in_flight=4),
            transport=platform.transport,
        ) as client:
            source = [*people(10), *people(10)]
            report = await client.run(USERS, source, CONFIGS["users"], order_by=["thirdId"])
        assert (counts(report), report.possible_duplicates) == ((20, 0, 0, 0), 10)

    run_virtual(main())
    first, repeated, second = platform.transport.posts
    assert first.body == repeated.body
    assert second.at >= repeated.at + platform.transport.delay_s


def endless(ends: list[str]) -> Iterator[dict[str, Any]]:
    try:
        yield from map(event, count())
    finally:
        ends.append("closed")


async def endless_later(ends: list[str]) -> AsyncIterator[dict[str, Any]]:
    try:
        for number in count():
            yield event(number)
            await asyncio.sleep(0)
    finally:
        ends.append("closed")


ENDLESS: dict[str, Callable[[list[str]], Any]] = {
    "generator": endless,
    "inline": lambda ends: inline(endless(ends)),
    "async": endless_later,
}


@pytest.mark.breakage("stream: give up at once on what is in flight at a stop")
@pytest.mark.parametrize("make", ENDLESS.values(), ids=ENDLESS)
async def test_g15_a_source_without_end_is_read_in_bounds_and_a_stop_drains_what_is_in_flight(
    make: Callable[[list[str]], Any],
) -> None:
    ends: list[str] = []
    async with Emulator(token=canary.TOKEN) as platform:
        gate = platform.faults.hold()
        policy = DispatchPolicy(batch_size=10, max_in_flight=4, retry=QUICK)
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy) as client:
            stream = client.stream(EVENTS, make(ends), CONFIGS["events"])
            async with stream:
                await gate.arrived(4)
                stream.stop()
                gate.open()
                outcomes = [outcome async for outcome in stream]
        ended = holds(
            Ended(report=stream.report, outcomes=tuple(outcomes), failure=None, ledger=platform.ledger.events)
        )
    assert counts(ended.report)[:3] == (40, 0, 0)
    assert ended.ledger.total == 40
    assert ended.report.unsent < 5_000
    assert all(outcome.reason for outcome in outcomes if isinstance(outcome, Unsent))
    assert (ends, ended.report.ok) == (["closed"], False)


@pytest.mark.breakage("client: wait for the next record however long a chunk is open")
def test_g16_a_record_a_minute_leaves_five_seconds_after_it_came_and_its_source_is_not_cancelled() -> None:
    cancelled: list[int] = []

    async def slowly() -> AsyncIterator[dict[str, Any]]:
        for number in range(5):
            yield {"thirdId": str(number)}
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(number)
                raise

    transport = ScriptedTransport()

    async def main() -> None:
        async with ImportClient("https://platform.example", token=canary.TOKEN, transport=transport) as client:
            report = await client.run(USERS, slowly(), CONFIGS["users"])
        assert (counts(report), report.batches, report.elapsed_s) == ((5, 0, 0, 0), 5, 300)

    run_virtual(main())
    assert [sent.at - 1000 for sent in transport.posts] == pytest.approx([5, 65, 125, 185, 245])
    assert cancelled == []


@pytest.mark.breakage("stages: pull a blocking source on the event loop")
async def test_g17_a_source_that_blocks_is_pulled_in_a_thread_of_its_own_and_the_loop_goes_on() -> None:
    """Each record comes only when the loop has turned meanwhile, ten times."""
    turned, threads, turns = threading.Semaphore(0), set[str](), 0

    def blocking() -> Iterator[dict[str, Any]]:
        for number in range(30):
            threads.add(threading.current_thread().name)
            for _ in range(10):
                assert turned.acquire(timeout=10), "the loop stands still while the source blocks"
            yield event(number)

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            turned.release()
            await asyncio.sleep(0.001)

    turning = asyncio.create_task(turn())
    ended = await sourced(blocking())
    turning.cancel()
    assert (ended.failure, counts(ended.report)) == (None, (30, 0, 0, 0))
    assert turns >= 300
    assert threads == {"asyncimport-source"}


def unstamped(number: int) -> Event:
    identity = Identity(identity_type="phone", identity_value=canary.PERSON)
    return Event(identities=[identity], event_key="c_buy", intid=str(number))


@pytest.mark.breakage("client: stamp events with the time of this process's start, and with a run id of its own")
@pytest.mark.parametrize("way", [list, *WAYS.values()], ids=["list", *WAYS])
async def test_g21_events_without_uuid_and_time_have_the_same_on_every_repeat_and_after_a_resume(
    tmp_path: Path, way: Callable[[Any], Any]
) -> None:
    def source() -> Any:
        return way(unstamped(number) if number % 2 else event(number) for number in range(200))

    journal, policy = tmp_path / "journal", DispatchPolicy(batch_size=10, max_in_flight=1, retry=QUICK)
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script([ResetAfter(), Ok(), ResetAfter(), ResetAfter()])
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy) as client:
            async with client.stream(EVENTS, source(), CONFIGS["events"], journal=journal) as outcomes:
                await anext(outcomes)
            cut = outcomes.report
        assert 0 < cut.accepted < 200
        await asyncio.sleep(0.01)  # until the clock shows another millisecond than at the first run's start
        platform.faults.script([ResetAfter(), ResetAfter()])
        again = await imported(platform, source(), journal=journal, policy=policy)
        ledger = platform.ledger.events
        forms = {(record["uuid"], record["time"], record["intid"]) for record in ledger.records()}
    assert (again.failure, again.report.accepted, again.report.run_id) == (None, 200, cut.run_id)
    assert {uuid for uuid, _, _ in forms} == {f"{cut.run_id}{n:016x}" for n in range(200)}
    assert len(forms) == 200
    assert 30 <= ledger.duplicates <= again.report.possible_duplicates
