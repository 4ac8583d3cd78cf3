"""FAULTS.md part E, what ends a run from outside: one test a row, its id in the name.

E5 to E7 are in tests/cli (signals reach a process), E8 in tests/crash, E9 in tests/journal.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import canary
import psutil
import pytest
from scripted import LOST, OK, ScriptedTransport, Sent, envelope
from stepping import Steps

from asyncimport import (
    EVENTS,
    Accepted,
    DispatchPolicy,
    EventImportConfig,
    ImportClient,
    ImportReport,
    OutcomeStream,
    RetryPolicy,
    StateError,
)
from asyncimport.attempt import Attempt
from asyncimport.emulator import Emulator

CONFIG = EventImportConfig()
POLICY = DispatchPolicy(batch_size=10, max_in_flight=3, retry=RetryPolicy(base_s=0.001, cap_s=0.001, floor_s=0.001))
COUNT = 95
BAD = {3, 40, 41}


def record(n: int) -> dict[str, Any]:
    phone = {"identityType": "phone", "identityValue": f"138{n:08}"}
    return {"identities": [phone], "eventKey": "" if n in BAD else "c_buy"}


def records() -> Iterator[dict[str, Any]]:
    yield from map(record, range(COUNT))


async def arriving() -> AsyncIterator[dict[str, Any]]:
    for n in range(COUNT):
        yield record(n)
        if n % 10 == 0:
            await asyncio.sleep(0)


def client_of(transport: ScriptedTransport, **arguments: Any) -> ImportClient:
    values: dict[str, Any] = {"policy": POLICY, "token": canary.TOKEN} | arguments
    return ImportClient("https://platform.example/api/open", transport=transport, **values)


def adds_up(report: ImportReport) -> ImportReport:
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    assert (report.in_progress, report.read) == (0, settled)
    return report


def scripted() -> ScriptedTransport:
    return ScriptedTransport(script=[OK, LOST, envelope("500"), OK, envelope("100999")], delay_s=0)


async def read_all(outcomes: OutcomeStream) -> None:
    async with outcomes:
        async for _ in outcomes:
            pass


def sent_ids(*transports: ScriptedTransport) -> Counter[str]:
    return Counter(one["uuid"] for transport in transports for sent in transport.posts for one in sent.records)


def accepted_ids(transport: ScriptedTransport) -> set[str]:
    """What the platform took: the answers of the script that were no refusal."""
    taken = [sent for index, sent in enumerate(transport.posts) if index not in {1, 2, 4}]
    return {one["uuid"] for sent in taken for one in sent.records}


async def nothing_is_left() -> None:
    """No task, and within a moment no thread, of the package is there any more (I6)."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert others == []
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("asyncimport")]
    for thread in ours:
        await asyncio.to_thread(thread.join, 5)
    assert [thread.name for thread in ours if thread.is_alive()] == []


async def cancelled_at(step: int, again_after: int | None, run: Callable[[Steps], Any]) -> bool:
    """Run to the end with a cancellation at a suspension, and perhaps another one; False when there is no such."""
    steps = Steps()
    steps.install()
    task = asyncio.create_task(run(steps))
    for at in (step, step + (again_after or 0)):
        steps.acts[at] = task.cancel
    try:
        await task
    except asyncio.CancelledError:
        was_cancelled = True
    else:
        was_cancelled = False
    asyncio.get_running_loop().set_task_factory(None)
    await nothing_is_left()
    assert was_cancelled == (steps.taken >= step) or steps.taken == step
    return steps.taken >= step


@pytest.mark.parametrize("again_after", [None, 1, 4], ids=["once", "twice at once", "twice"])
@pytest.mark.parametrize("make", [lambda: list(records()), arriving], ids=["list", "async"])
async def test_e1_e3_a_cancellation_at_any_await_leaves_nothing_uncounted_and_nothing_behind(
    make: Callable[[], Any], again_after: int | None
) -> None:
    step, is_there = 0, True
    while is_there:
        step += 1
        transport, reports = scripted(), list[ImportReport]()

        async def run(_steps: Steps, transport: ScriptedTransport = transport, reports: Any = reports) -> None:
            async with client_of(transport) as client:
                outcomes = client.stream(EVENTS, make(), CONFIG)
                try:
                    await read_all(outcomes)
                finally:
                    if outcomes._parts is not None:
                        reports.append(outcomes.report)

        is_there = await cancelled_at(step, again_after, run)
        for report in map(adds_up, reports):
            assert report.accepted <= len(accepted_ids(transport))
        assert transport.is_closed
    assert step > 20
    assert gc.collect() >= 0  # an exception that nobody retrieved would be told now, and warnings are errors


@pytest.mark.parametrize("offset", range(3))
async def test_e2_a_cancellation_at_any_await_of_a_journaled_run_is_made_good_by_a_resume(
    tmp_path: Path, offset: int
) -> None:
    step, is_there = 1 + offset, True
    while is_there:
        journal, first = tmp_path / f"{step}.journal", scripted()

        async def run(_steps: Steps, journal: Path = journal, first: ScriptedTransport = first) -> None:
            async with client_of(first) as client:
                await client.run(EVENTS, arriving(), CONFIG, journal=journal, rejects=f"{journal}.rejects")

        is_there = await cancelled_at(step, None, run)
        second = ScriptedTransport(delay_s=0)
        async with client_of(second) as client:
            report = adds_up(await client.run(EVENTS, arriving(), CONFIG, journal=journal))
        assert (report.read, report.unsent, report.unconfirmed) == (COUNT, 0, 0)
        ids = {f"{report.run_id}{n:016x}" for n in range(COUNT) if n not in BAD}
        assert sent_ids(first, second).keys() == ids
        # Nothing that is called accepted was only sent: it was answered, here or there.
        assert report.accepted <= len(accepted_ids(first) | sent_ids(second).keys())
        assert report.accepted + report.rejected == COUNT
        step += 3
    assert step > 60


async def test_e3_cleaning_up_takes_at_most_five_seconds_whatever_hangs() -> None:
    hangs = threading.Event()

    def source() -> Iterator[dict[str, Any]]:
        yield from records()
        hangs.wait(30)

    transport = ScriptedTransport(delay_s=1_000)
    async with client_of(transport) as client:
        task = asyncio.create_task(client.run(EVENTS, source(), CONFIG))
        while not transport.in_flight:  # noqa: ASYNC110 -- the transport has no event
            await asyncio.sleep(0.001)
        began = time.monotonic()
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.01)
        with canary.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 6.5
    hangs.set()
    await nothing_is_left()


async def test_e4_a_timeout_around_an_import_is_a_timeout_outside_of_it_only(tmp_path: Path) -> None:
    hanging = ScriptedTransport(script=[OK] * 4, otherwise=lambda _: asyncio.Event().wait(), delay_s=0)  # type: ignore[arg-type, return-value]
    journal = tmp_path / "a.journal"
    async with client_of(hanging) as client:
        outcomes = client.stream(EVENTS, arriving(), CONFIG, journal=journal)
        with canary.raises(TimeoutError) as timed_out:
            async with asyncio.timeout(0.5):
                await read_all(outcomes)
        assert timed_out.value.__cause__.__class__ in {asyncio.CancelledError, type(None)}
        report = adds_up(outcomes.report)
        assert report.unconfirmed == 30
    async with client_of(ScriptedTransport(delay_s=0)) as client:
        report = await client.run(EVENTS, arriving(), CONFIG, journal=journal)
    assert (report.accepted, report.possible_duplicates) == (COUNT - len(BAD), 30)


async def test_e10_an_observer_that_raises_stops_nothing_and_is_told_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def observer(_notice: object) -> None:
        raise ZeroDivisionError

    async with client_of(ScriptedTransport(delay_s=0), observer=observer) as client:
        report = await client.run(EVENTS, arriving(), CONFIG)
    assert report.accepted == COUNT - len(BAD)
    assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


@pytest.mark.parametrize("kind", [RuntimeError, AssertionError, MemoryError])
async def test_e11_e16_a_defect_in_a_worker_ends_the_run_loudly_and_leaves_the_journal_whole(
    tmp_path: Path, kind: type[Exception]
) -> None:
    def broken(_sent: Sent) -> Attempt:
        raise kind("a defect of ours")

    journal = tmp_path / "a.journal"
    first = ScriptedTransport(script=[OK, OK, broken], delay_s=0)
    async with client_of(first) as client:
        outcomes = client.stream(EVENTS, arriving(), CONFIG, journal=journal)
        with canary.raises(kind, match="a defect of ours"):
            await asyncio.wait_for(read_all(outcomes), 10)
        adds_up(outcomes.report)
    second = ScriptedTransport(delay_s=0)
    async with client_of(second) as client:
        report = await client.run(EVENTS, arriving(), CONFIG, journal=journal)
    assert report.accepted == COUNT - len(BAD)
    assert sent_ids(first, second).keys() == {f"{report.run_id}{n:016x}" for n in range(COUNT) if n not in BAD}
    await nothing_is_left()


async def test_e16_a_lack_of_memory_while_a_batch_is_encoded_leaves_it_to_a_resume(tmp_path: Path) -> None:
    def breaking(numbers: Iterator[int]) -> Iterator[int]:
        yield from islice(numbers, 2)
        raise MemoryError

    is_breaking = asyncio.Event()

    async def slowly() -> AsyncIterator[dict[str, Any]]:
        for n in range(COUNT):
            if n == 30:
                await is_breaking.wait()
            yield record(n)

    journal, first, second = tmp_path / "a.journal", ScriptedTransport(delay_s=0), ScriptedTransport(delay_s=0)
    async with client_of(first) as client:
        outcomes = client.stream(EVENTS, slowly(), CONFIG, journal=journal)
        with canary.raises(MemoryError):
            async with outcomes:
                async for outcome in outcomes:
                    encoder = outcomes._running().stages.encoder
                    if isinstance(outcome, Accepted) and not isinstance(encoder.numbers, Generator):
                        encoder.numbers = breaking(encoder.numbers)
                        is_breaking.set()
        assert 0 < adds_up(outcomes.report).accepted < COUNT - len(BAD)
    async with client_of(second) as client:
        report = await client.run(EVENTS, arriving(), CONFIG, journal=journal)
    assert report.accepted == COUNT - len(BAD)


async def test_e12_a_client_that_is_closed_in_the_middle_says_so_and_keeps_what_is_left(tmp_path: Path) -> None:
    journal, first = tmp_path / "a.journal", ScriptedTransport(delay_s=0.01)
    client = client_of(first)
    outcomes = client.stream(EVENTS, arriving(), CONFIG, journal=journal)
    with canary.raises(StateError, match="closed while this import was running") as closed:
        async with outcomes:
            async for outcome in outcomes:
                if isinstance(outcome, Accepted):
                    await client.aclose()
    assert closed.value.report is not None
    assert adds_up(closed.value.report).accepted < COUNT - len(BAD)
    second = ScriptedTransport(delay_s=0)
    async with client_of(second) as client:
        report = await client.run(EVENTS, arriving(), CONFIG, journal=journal)
    assert report.accepted == COUNT - len(BAD)
    await nothing_is_left()


LEFT_OPEN = textwrap.dedent(
    """
    import asyncio, gc, sys
    from asyncimport import EVENTS, Accepted, DispatchPolicy, EventImportConfig, ImportClient
    from test_faults_e import arriving, POLICY

    async def main():
        client = ImportClient(sys.argv[1], token="t", policy=POLICY)
        outcomes = await client.stream(EVENTS, arriving(), EventImportConfig(), journal=sys.argv[2]).__aenter__()
        async for outcome in outcomes:
            if isinstance(outcome, Accepted):
                return

    asyncio.run(main())
    gc.collect()
    """
)


async def test_e13_a_program_that_ends_without_closing_is_warned_and_loses_nothing(tmp_path: Path) -> None:
    tests = Path(__file__).parent
    async with Emulator(token="t") as platform:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "default", "-c", LEFT_OPEN, platform.url, str(tmp_path / "a.journal")),
            env=os.environ | {"PYTHONPATH": f"{tests}:{tests / 'support'}"},
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await asyncio.wait_for(process.communicate(), 60)
        assert b"ResourceWarning" in err
        async with ImportClient(platform.url, token="t", policy=POLICY) as client:
            report = adds_up(await client.run(EVENTS, arriving(), CONFIG, journal=tmp_path / "a.journal"))
        assert report.accepted == COUNT - len(BAD) == platform.ledger.events.distinct
        assert platform.ledger.events.duplicates <= report.possible_duplicates


@pytest.mark.parametrize("is_async", [True, False])
async def test_e17_a_generators_finally_runs_once_when_the_import_is_cancelled(*, is_async: bool) -> None:
    ends: list[str] = []

    def blocking() -> Iterator[dict[str, Any]]:
        try:
            yield from records()
            yield from records()
        finally:
            ends.append("closed")

    async def waiting() -> AsyncIterator[dict[str, Any]]:
        try:
            async for one in arriving():
                yield one
            await asyncio.Event().wait()
        finally:
            ends.append("closed")

    transport = ScriptedTransport(delay_s=1_000)
    async with client_of(transport) as client:
        task = asyncio.create_task(client.run(EVENTS, waiting() if is_async else blocking(), CONFIG))
        while not transport.in_flight:  # noqa: ASYNC110 -- the transport has no event
            await asyncio.sleep(0.001)
        task.cancel()
        with canary.raises(asyncio.CancelledError):
            await task
    await nothing_is_left()
    assert ends == ["closed"]


async def test_i6_a_hundred_runs_with_journals_leave_no_descriptor_behind(tmp_path: Path) -> None:
    process = psutil.Process()

    async def one(number: int) -> None:
        async with client_of(ScriptedTransport(delay_s=0)) as client:
            await client.run(
                EVENTS, arriving(), CONFIG, journal=tmp_path / f"{number}", rejects=tmp_path / f"{number}.r"
            )

    await one(0)
    await nothing_is_left()
    before = process.num_fds()
    for number in range(1, 100):
        await one(number)
    await nothing_is_left()
    assert process.num_fds() == before
    assert {Path(name).suffix for name in os.listdir(tmp_path)} == {"", ".r"}  # noqa: PTH208 -- beside await
