"""FAULTS.md part E, what ends a run from outside: one test a row, its id in the name.

E5 to E7 are in tests/cli too (signals reach a process), E8 is in tests/crash, E9 in tests/journal.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import canary
import psutil
import pytest
from attrs import evolve
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
    Rejected,
    RetryPolicy,
    StateError,
)
from asyncimport.attempt import Attempt
from asyncimport.emulator import Emulator
from asyncimport.observer import SourceAbandoned
from benchmarks.virtual import run_virtual

CONFIG = EventImportConfig()
WIDTH = 3
POLICY = DispatchPolicy(batch_size=10, max_in_flight=WIDTH, retry=RetryPolicy(base_s=0.001, cap_s=0.001, floor_s=0.001))
COUNT = 95
BAD = {3, 40, 41}
#: Of the awaits of a run with a journal, every so many are cancelled, the first of them by chance; in a soak all.
STRIDE = 1 if os.environ.get("ASYNCIMPORT_SOAK") else 3


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


def unrefused_ids(transport: ScriptedTransport) -> set[str]:
    """What was sent and not answered by a refusal: the platform has it, or may have it."""
    return {one["uuid"] for index, sent in enumerate(transport.posts) if index not in {2, 4} for one in sent.records}


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


@pytest.mark.breakage("dispatcher: leave what is in flight to be counted as unsent")
@pytest.mark.parametrize(("again_after", "stride"), [(None, 1), (1, 3), (4, 3)], ids=["once", "twice at once", "twice"])
@pytest.mark.parametrize(("make", "width"), [(lambda: list(records()), 1), (arriving, 3)], ids=["full window", "async"])
async def test_e1_e3_a_cancellation_at_any_await_leaves_nothing_uncounted_and_nothing_behind(
    make: Callable[[], Any], width: int, again_after: int | None, stride: int
) -> None:
    policy = evolve(POLICY, max_in_flight=width)
    step, is_there = random.randint(1 - stride, 0), True
    while is_there:
        step += stride
        transport, reports = scripted(), list[ImportReport]()

        async def run(_steps: Steps, transport: ScriptedTransport = transport, reports: Any = reports) -> None:
            async with client_of(transport, policy=policy) as client:
                outcomes = client.stream(EVENTS, make(), CONFIG)
                try:
                    await read_all(outcomes)
                finally:
                    if outcomes._parts is not None:
                        reports.append(outcomes.report)

        is_there = await cancelled_at(step, again_after, run)
        for report in map(adds_up, reports):
            assert report.accepted <= len(accepted_ids(transport))
            assert report.unsent <= report.read - len(unrefused_ids(transport))
        assert transport.is_closed
    assert step > 20
    assert gc.collect() >= 0  # an exception that nobody retrieved would be told now, and warnings are errors


@pytest.mark.breakage("journal: write down as accepted what is given back")
async def test_e2_a_cancellation_at_any_await_of_a_journaled_run_is_made_good_by_a_resume(tmp_path: Path) -> None:
    step, is_there = random.randint(1, STRIDE), True
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
        step += STRIDE
    assert step > 60


@pytest.mark.breakage("reader: leave a pull that blocks behind after 8 s")
def test_e3_e17_a_pull_that_blocks_holds_up_the_end_for_five_seconds_and_is_then_left_behind() -> None:
    is_blocked, hangs, told = threading.Event(), threading.Event(), list[object]()

    def source() -> Iterator[dict[str, Any]]:
        yield from records()
        is_blocked.set()
        hangs.wait(30)

    async def main() -> None:
        transport = ScriptedTransport(otherwise=never, delay_s=0)
        async with client_of(transport, observer=told.append) as client:
            task = asyncio.create_task(client.run(EVENTS, source(), CONFIG))
            while not (transport.in_flight and is_blocked.is_set()):  # noqa: ASYNC110 -- the transport has no event
                await asyncio.sleep(0.001)
            began = asyncio.get_running_loop().time()
            for _ in range(3):
                task.cancel()
                await asyncio.sleep(0.01)
            with canary.raises(asyncio.CancelledError):
                await task
            assert asyncio.get_running_loop().time() - began == pytest.approx(5, abs=0.1)
        hangs.set()
        await nothing_is_left()

    run_virtual(main())
    assert [notice.waited_s for notice in told if isinstance(notice, SourceAbandoned)] == [5]


async def never(_sent: Sent) -> Attempt:
    """The answer of a platform that gives none."""
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.breakage("stream: swallow the cancellation that leaves the block")
async def test_e4_a_timeout_around_an_import_is_a_timeout_outside_of_it_only(tmp_path: Path) -> None:
    is_full = asyncio.Event()

    async def hangs(sent: Sent) -> Attempt:
        if hanging.in_flight == WIDTH:
            is_full.set()
        return await never(sent)

    hanging, journal = ScriptedTransport(script=[OK] * 4, otherwise=hangs, delay_s=0), tmp_path / "a.journal"
    async with client_of(hanging) as client:
        outcomes = client.stream(EVENTS, arriving(), CONFIG, journal=journal)
        with canary.raises(TimeoutError) as timed_out:
            async with asyncio.timeout(None) as limit:
                fires = asyncio.create_task(fire(limit, is_full))
                await read_all(outcomes)
        await fires
        assert (limit.expired(), type(timed_out.value.__cause__)) == (True, asyncio.CancelledError)
        report = adds_up(outcomes.report)
        assert report.unconfirmed == 30
    async with client_of(ScriptedTransport(delay_s=0)) as client:
        report = await client.run(EVENTS, arriving(), CONFIG, journal=journal)
    assert (report.accepted, report.possible_duplicates) == (COUNT - len(BAD), 30)
    await nothing_is_left()


async def fire(limit: asyncio.Timeout, when: asyncio.Event) -> None:
    await when.wait()
    limit.reschedule(asyncio.get_running_loop().time())


@pytest.mark.breakage("stream: cut off at once what is in flight; or never")
@pytest.mark.parametrize("drain_s", [2.0, 10.0])
def test_e5_a_stop_reads_no_more_and_waits_for_what_is_in_flight_as_long_as_it_may(drain_s: float) -> None:
    async def main() -> None:
        transport = ScriptedTransport(otherwise=never, delay_s=0)
        async with client_of(transport, policy=evolve(POLICY, drain_s=drain_s)) as client:
            async with client.stream(EVENTS, endless(), CONFIG) as outcomes:
                while transport.in_flight < WIDTH:  # noqa: ASYNC110 -- the transport has no event
                    await asyncio.sleep(0.001)
                began, read = asyncio.get_running_loop().time(), outcomes.report.read
                outcomes.stop()
                async for _ in outcomes:
                    pass
            assert asyncio.get_running_loop().time() - began == pytest.approx(drain_s, abs=0.1)
        report = adds_up(outcomes.report)
        assert (report.unconfirmed, len(transport.posts)) == (30, WIDTH)
        assert report.read <= read + 1_000  # what was read ahead

    run_virtual(main())


async def endless() -> AsyncIterator[dict[str, Any]]:
    for n in count():
        yield record(n)
        await asyncio.sleep(0)


@pytest.mark.breakage("observer: let what the observer raises through; or tell of it without its traceback")
async def test_e10_an_observer_that_raises_stops_nothing_and_is_told_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def observer(_notice: object) -> None:
        raise ZeroDivisionError

    async with client_of(ScriptedTransport(delay_s=0), observer=observer) as client:
        report = await client.run(EVENTS, arriving(), CONFIG)
    assert report.accepted == COUNT - len(BAD)
    assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


@pytest.mark.breakage("stream: stop nothing when the hook raises")
async def test_e10_a_hook_that_raises_stops_the_run_as_itself_and_a_resume_loses_nothing(tmp_path: Path) -> None:
    def hook(rejected: Rejected) -> None:
        raise ZeroDivisionError(rejected.positions[0])

    journal, first, second = tmp_path / "a.journal", ScriptedTransport(delay_s=0.01), ScriptedTransport(delay_s=0)
    async with client_of(first) as client:
        outcomes = client.stream(EVENTS, arriving(), CONFIG, journal=journal, on_reject=hook)
        with canary.raises(ZeroDivisionError, match="3") as raised:
            await read_all(outcomes)
        assert "hook" in {entry.name for entry in raised.traceback}
        assert adds_up(outcomes.report).unconfirmed == 0
    async with client_of(second) as client:
        report = adds_up(await client.run(EVENTS, arriving(), CONFIG, journal=journal))
    assert (report.accepted, report.rejected) == (COUNT - len(BAD), len(BAD))
    assert set(sent_ids(first, second).values()) == {1}
    await nothing_is_left()


@pytest.mark.breakage("stream: forget what ended the group of tasks")
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


@pytest.mark.breakage("stream: forget what ended the group of tasks")
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


@pytest.mark.breakage("client: break off nothing when it is closed")
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
    import asyncio, gc, json, sys
    from asyncimport import EVENTS, Accepted, DispatchPolicy, EventImportConfig, ImportClient

    async def main(url, journal, records):
        client = ImportClient(url, token="t", policy=DispatchPolicy(batch_size=10, max_in_flight=3))
        outcomes = await client.stream(EVENTS, json.loads(records), EventImportConfig(), journal=journal).__aenter__()
        async for outcome in outcomes:
            if isinstance(outcome, Accepted):
                return

    asyncio.run(main(*sys.argv[1:]))
    gc.collect()
    """
)


@pytest.mark.breakage("journal: write down as accepted what is given back")
async def test_e13_a_program_that_ends_without_closing_is_warned_and_loses_nothing(tmp_path: Path) -> None:
    journal = tmp_path / "a.journal"
    async with Emulator(token="t") as platform:
        arguments = (LEFT_OPEN, platform.url, str(journal), json.dumps(list(records())))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "default", "-c", *arguments), stderr=asyncio.subprocess.PIPE
        )
        _, err = await asyncio.wait_for(process.communicate(), 60)
        assert b"ResourceWarning" in err
        async with ImportClient(platform.url, token="t", policy=POLICY) as client:
            report = adds_up(await client.run(EVENTS, list(records()), CONFIG, journal=journal))
        assert report.accepted == COUNT - len(BAD) == platform.ledger.events.distinct
        assert platform.ledger.events.duplicates <= report.possible_duplicates


@pytest.mark.breakage("session: do not look at the loop")
async def test_e15_a_loop_beside_the_running_one_is_refused_and_disturbs_nothing() -> None:
    async def importing(client: ImportClient) -> None:
        await client.run(EVENTS, list(records()), CONFIG)

    async with (
        client_of(ScriptedTransport(delay_s=0.001)) as client,
        client.stream(EVENTS, arriving(), CONFIG) as outcomes,
    ):
        await anext(outcomes)
        with canary.raises(StateError, match="another event loop: make one inside this loop"):
            await asyncio.to_thread(asyncio.run, importing(client))
        async for _ in outcomes:
            pass
    assert outcomes.report.accepted == COUNT - len(BAD)


@pytest.mark.breakage("reader: close no iterator; or loop_reader: do not cancel a pull")
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


@pytest.mark.breakage("lock: keep the descriptor open")
async def test_i6_ten_runs_with_journals_leave_no_descriptor_behind(tmp_path: Path) -> None:
    process = psutil.Process()

    async def one(number: int) -> None:
        async with client_of(ScriptedTransport(delay_s=0)) as client:
            await client.run(
                EVENTS, arriving(), CONFIG, journal=tmp_path / f"{number}", rejects=tmp_path / f"{number}.r"
            )

    await one(0)
    await nothing_is_left()
    before = process.num_fds()
    for number in range(1, 10):
        await one(number)
    await nothing_is_left()
    assert process.num_fds() == before
    assert {Path(name).suffix for name in os.listdir(tmp_path)} == {"", ".r"}  # noqa: PTH208 -- beside await
