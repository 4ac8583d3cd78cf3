"""Sources that come only once: what counts as read is on disk, and what a crash took with it is said."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import books
import canary
import pytest
from attrs import define, evolve, field
from scripted import LOST, OK, ScriptedTransport, Sent

from asyncimport import (
    EVENTS,
    Accepted,
    ConfigError,
    DispatchPolicy,
    EventImportConfig,
    ImportClient,
    ImportReport,
    RetryPolicy,
)
from asyncimport.attempt import Attempt
from asyncimport.reader import MAX_AHEAD
from asyncimport.records import Event
from asyncimport.sources import open_source

CONFIG = EventImportConfig()
POLICY = DispatchPolicy(
    batch_size=100, max_in_flight=2, linger_s=0.05, retry=RetryPolicy(base_s=0.001, cap_s=0.002, floor_s=0.001)
)
COUNT = 2_345
BAD = {0, 33, 34, 99, 160, 700, 1_800, 2_344}


def record(n: int) -> dict[str, Any]:
    phone = {"identityType": "phone", "identityValue": f"138{n:08}"}
    return {"identities": [phone], "eventKey": "" if n in BAD else "c_buy", "eventargs": {"n": n, "price": n / 7}}


@define
class Queue:
    """Hands each record out once, whoever asks, as a message broker does."""

    left: deque[int] = field(factory=lambda: deque(range(COUNT)))

    async def records(self) -> AsyncIterator[dict[str, Any]]:
        while self.left:
            yield record(self.left.popleft())
            await asyncio.sleep(0)

    def blocking(self) -> Iterator[dict[str, Any]]:
        while self.left:
            yield record(self.left.popleft())


def client_of(transport: ScriptedTransport, **arguments: Any) -> ImportClient:
    values: dict[str, Any] = {"policy": POLICY, "token": canary.TOKEN} | arguments
    return ImportClient("https://platform.example/api/open", transport=transport, **values)


def adds_up(report: ImportReport) -> ImportReport:
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    assert (report.in_progress, report.read) == (0, settled)
    return report


async def run(source: Any, transport: ScriptedTransport, **options: Any) -> ImportReport:
    async with client_of(transport) as client:
        return adds_up(await client.run(EVENTS, source, CONFIG, spool=True, **options))


async def left_after(batches: int, source: Any, transport: ScriptedTransport, **options: Any) -> ImportReport:
    async with (
        client_of(transport) as client,
        client.stream(EVENTS, source, CONFIG, spool=True, **options) as outcomes,
    ):
        async for outcome in outcomes:
            batches -= isinstance(outcome, Accepted)
            if not batches:
                break
    return adds_up(outcomes.report)


def numbers(*transports: ScriptedTransport) -> Counter[int]:
    return Counter(one["eventargs"]["n"] for transport in transports for one in transport.records())


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "blocking"])
async def test_a_queue_goes_on_after_a_stop_and_nothing_it_gave_is_lost(tmp_path: Path, *, is_async: bool) -> None:
    queue, journal = Queue(), tmp_path / "a.journal"
    first, second = ScriptedTransport(delay_s=0.001), ScriptedTransport(delay_s=0)
    stopped = await left_after(5, queue.records() if is_async else queue.blocking(), first, journal=journal)
    given = COUNT - len(queue.left)
    assert stopped.read == given < COUNT or not queue.left
    assert stopped.unsent > 0
    report = await run(queue.records() if is_async else queue.blocking(), second, journal=journal)
    assert (report.read, report.accepted, report.rejected) == (COUNT, COUNT - len(BAD), len(BAD))
    assert (report.possibly_lost, report.possible_duplicates, report.source_ended) == (0, 0, True)
    assert numbers(first, second) == Counter({n: 1 for n in range(COUNT) if n not in BAD})
    ids = {one["uuid"] for transport in (first, second) for one in transport.records()}
    assert ids == {f"{report.run_id}{n:016x}" for n in range(COUNT) if n not in BAD}


class Crashing:
    """Copies the journal as a process that was killed would leave it, and how much the queue had given."""

    def __init__(self, journal: Path, queue: Queue, copies: Path) -> None:
        self.journal, self.queue, self.copies = journal, queue, copies
        self.copied: list[tuple[Path, int]] = []

    def __call__(self, sent: Sent) -> Attempt:
        copy = books.crashed(self.journal, self.copies / f"{len(self.copied)}")
        self.copied.append((copy, COUNT - len(self.queue.left)))
        return OK


async def test_what_counted_as_read_survives_a_crash_and_what_did_not_is_said(tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()
    queue, journal = Queue(), tmp_path / "a.journal"
    crashing = Crashing(journal, queue, tmp_path / "copies")
    first = ScriptedTransport(otherwise=crashing, delay_s=0.001)
    await run(queue.records(), first, journal=journal)
    bodies = {sent.body for sent in first.posts}
    for copy, given in crashing.copied[::4]:
        known = books.looked_at(copy)
        second = ScriptedTransport(delay_s=0)
        report = await run(Queue(deque(range(given, COUNT))).records(), second, journal=copy)
        lost = given - known.sums.read
        assert 0 <= lost <= report.possibly_lost == (0 if known.has_source_ended else MAX_AHEAD)
        assert report.read == COUNT - lost
        assert report.accepted + report.rejected == report.read
        assert (f"up to {MAX_AHEAD:,} records" in str(report)) != known.has_source_ended
        planned_before = {sent.body for sent in second.posts} & bodies
        assert len(planned_before) >= len(known.pending)
        assert {one["uuid"] for one in second.records()} <= {f"{report.run_id}{n:016x}" for n in range(COUNT)}


async def test_times_of_spooled_events_are_those_of_their_reading_and_stay(tmp_path: Path) -> None:
    queue, journal = Queue(), tmp_path / "a.journal"
    first = ScriptedTransport(script=[LOST] * 2, delay_s=0.001)
    await left_after(3, queue.records(), first, journal=journal)
    second = ScriptedTransport(delay_s=0)
    await run(queue.records(), second, journal=journal)
    times: dict[str, set[int]] = {}
    for one in (*first.records(), *second.records()):
        times.setdefault(one["uuid"], set()).add(one["time"])
    assert {len(each) for each in times.values()} == {1}
    assert len({time for each in times.values() for time in each}) > 1


async def test_what_was_accepted_leaves_the_spool(tmp_path: Path) -> None:
    queue, journal = Queue(), tmp_path / "a.journal"
    await run(queue.records(), ScriptedTransport(delay_s=0), journal=journal)
    connection = books.connected(journal)
    assert connection.execute("SELECT COUNT(*) FROM spool").fetchone() == (0,)
    connection.close()
    assert b"13800000123" not in journal.read_bytes()


async def test_a_list_is_read_on_where_it_was_left_and_not_sent_twice(tmp_path: Path) -> None:
    records, journal = [record(n) for n in range(COUNT)], tmp_path / "a.journal"
    first, second = ScriptedTransport(delay_s=0.001), ScriptedTransport(delay_s=0)
    await left_after(5, records, first, journal=journal)
    report = await run(records, second, journal=journal)
    assert (report.read, report.accepted) == (COUNT, COUNT - len(BAD))
    assert numbers(first, second) == Counter({n: 1 for n in range(COUNT) if n not in BAD})


async def test_a_journal_of_a_pipe_needs_the_spool(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.jsonl"
    os.mkfifo(fifo)
    text = "".join(json.dumps(record(n)) + "\n" for n in range(200))
    writing = asyncio.create_task(asyncio.to_thread(fifo.write_text, text))
    source = await asyncio.to_thread(open_source, fifo, Event)
    async with client_of(ScriptedTransport(delay_s=0)) as client:
        with canary.raises(ConfigError, match="cannot be read again after a crash: give spool=True"):
            await client.run(EVENTS, source, CONFIG, journal=tmp_path / "a.journal")
        report = await client.run(EVENTS, source, CONFIG, journal=tmp_path / "a.journal", spool=True)
    await writing
    assert report.accepted == 200 - len([n for n in BAD if n < 200])


async def test_a_pipe_is_not_taken_for_the_rest_of_another(tmp_path: Path) -> None:
    """What comes through it now may be what came before: it is not read, and the report says that something is missing."""
    journal, second = tmp_path / "a.journal", ScriptedTransport(delay_s=0)
    text = "".join(json.dumps(record(n)) + "\n" for n in range(20_000))

    async def piped(name: str) -> tuple[Any, asyncio.Task[int]]:
        fifo = tmp_path / name
        os.mkfifo(fifo)
        writing = asyncio.create_task(asyncio.to_thread(_written, fifo, text))
        return await asyncio.to_thread(open_source, fifo, Event), writing

    source, writing = await piped("one.jsonl")
    first = ScriptedTransport(delay_s=0.001)
    stopped = await left_after(5, source, first, journal=journal)
    await writing
    again, writing = await piped("two.jsonl")
    report = await run(again, second, journal=journal)
    again.origin.opened().close()
    await writing
    assert (report.read, report.unsent) == (stopped.read, 0)
    assert numbers(first, second) == Counter({n: 1 for n in range(stopped.read) if n not in BAD})
    assert (report.source_ended, report.resume_from) == (False, stopped.read)


def _written(fifo: Path, text: str) -> int:
    try:
        return fifo.write_text(text, encoding="utf-8")
    except BrokenPipeError:
        return 0


async def test_a_source_that_had_ended_is_not_read_again(tmp_path: Path) -> None:
    queue, journal = Queue(deque(range(700))), tmp_path / "a.journal"
    hanging = ScriptedTransport(script=[OK] * 3, otherwise=LOST, delay_s=0.001)
    patient = evolve(POLICY, retry=RetryPolicy(max_attempts=10_000, base_s=0.001, cap_s=0.002, floor_s=0.001))
    async with client_of(hanging, policy=patient) as client:
        report = await client.run(EVENTS, queue.records(), CONFIG, journal=journal, spool=True, deadline=1.0)
    assert (report.read, report.source_ended) == (700, True)
    assert report.unconfirmed + report.unsent > 0
    second = ScriptedTransport(delay_s=0)
    report = await run(Queue().records(), second, journal=journal)  # a queue that begins anew
    assert (report.read, report.source_ended) == (700, True)
    assert set(numbers(second).values()) == {1}
