"""What a review found to lose records, to count wrongly or to say the wrong thing. Each is a case that once failed."""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import books
import canary
import pytest
from scripted import OK, ScriptedTransport, envelope
from stepping import Steps

from asyncimport import (
    USERS,
    Accepted,
    ConfigError,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    ImportReport,
    JournalError,
    RetryPolicy,
    TooManyRejected,
    UserImportConfig,
)
from asyncimport.journal.known import Session
from asyncimport.sources import read_jsonl

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
POLICY = DispatchPolicy(
    batch_size=10, max_in_flight=2, linger_s=0.05, retry=RetryPolicy(base_s=0.001, cap_s=0.001, floor_s=0.001)
)


def person(n: int) -> dict[str, Any]:
    return {"thirdId": f"a{n}"}


def people(count: int, first: int = 0) -> Iterator[dict[str, Any]]:
    yield from map(person, range(first, count))


def client_of(transport: ScriptedTransport, **arguments: Any) -> ImportClient:
    values: dict[str, Any] = {"policy": POLICY, "token": canary.TOKEN} | arguments
    return ImportClient("https://platform.example/api/open", transport=transport, **values)


def adds_up(report: ImportReport | None) -> ImportReport:
    assert report is not None
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    assert (report.in_progress, report.read) == (0, settled)
    return report


async def run(source: Any, transport: ScriptedTransport, **options: Any) -> ImportReport:
    async with client_of(transport) as client:
        return adds_up(await client.run(USERS, source, CONFIG, **options))


async def left_after(batches: int, source: Any, transport: ScriptedTransport, **options: Any) -> ImportReport:
    async with client_of(transport) as client, client.stream(USERS, source, CONFIG, **options) as outcomes:
        async for outcome in outcomes:
            batches -= isinstance(outcome, Accepted)
            if not batches:
                break
    return adds_up(outcomes.report)


def sent(*transports: ScriptedTransport) -> list[str]:
    return [one["thirdId"] for transport in transports for one in transport.records()]


class Broker:
    """Hands each record out once."""

    def __init__(self, count: int) -> None:
        self.left = deque(range(count))

    async def records(self) -> AsyncIterator[dict[str, Any]]:
        while self.left:
            yield person(self.left.popleft())
            await asyncio.sleep(0)


async def test_a_spooled_run_cancelled_at_any_await_loses_nothing_that_its_source_gave(
    tmp_path: Path,
) -> None:
    step, is_there = 0, True
    while is_there:
        step += 2
        broker, journal, steps = Broker(25), tmp_path / f"{step}", Steps()
        first, second = ScriptedTransport(delay_s=0), ScriptedTransport(delay_s=0)
        steps.install()
        task = asyncio.create_task(run(broker.records(), first, journal=journal, spool=True))
        steps.acts[step] = task.cancel
        await asyncio.wait([task])
        asyncio.get_running_loop().set_task_factory(None)
        is_there = steps.taken >= step
        given = 25 - len(broker.left)
        report = await run(broker.records(), second, journal=journal, spool=True)
        assert set(sent(first, second)) == {f"a{n}" for n in range(25)}, (step, given)
        assert (report.accepted, report.possibly_lost) == (25, 0)
    assert step > 40


async def test_a_resume_cancelled_at_any_await_keeps_what_is_spooled(tmp_path: Path) -> None:
    step, is_there = 0, True
    while is_there:
        step += 1
        broker, journal, steps = Broker(60), tmp_path / f"{step}", Steps()
        transports = [ScriptedTransport(delay_s=0) for _ in range(3)]
        await left_after(1, broker.records(), transports[0], journal=journal, spool=True)
        steps.install()
        task = asyncio.create_task(run(broker.records(), transports[1], journal=journal, spool=True))
        steps.acts[step] = task.cancel
        await asyncio.wait([task])
        asyncio.get_running_loop().set_task_factory(None)
        is_there = steps.taken >= step
        report = await run(broker.records(), transports[2], journal=journal, spool=True)
        assert set(sent(*transports)) == {f"a{n}" for n in range(60)}, step
        assert (report.accepted, report.read) == (60, 60)
    assert step > 10


async def test_a_damaged_row_of_the_spool_is_refused_each_time_and_ends_nothing(tmp_path: Path) -> None:
    broker, journal = Broker(200), tmp_path / "a.journal"
    await left_after(2, broker.records(), ScriptedTransport(delay_s=0.001), journal=journal, spool=True)
    connection = books.writable(journal)
    connection.execute("UPDATE spool SET checksum = checksum + 1")
    connection.close()
    for _ in range(2):
        transport = ScriptedTransport()
        with canary.raises(JournalError, match="a spooled record is not as it was written"):
            await run(broker.records(), transport, journal=journal, spool=True)
        assert transport.posts == []


async def test_a_source_has_ended_only_once_all_it_gave_is_spooled(tmp_path: Path) -> None:
    """A stop while records lie in buffers, and a kill while what is in flight is waited for."""
    journal, copies, broker = tmp_path / "a.journal", tmp_path / "copy", Broker(180)
    hanging = ScriptedTransport(delay_s=1_000)
    policy = DispatchPolicy(batch_size=10, max_in_flight=1, linger_s=0.05, drain_s=0.5)
    async with (
        client_of(hanging, policy=policy) as client,
        client.stream(USERS, broker.records(), CONFIG, journal=journal, spool=True) as outcomes,
    ):
        while broker.left or not hanging.in_flight:  # noqa: ASYNC110 -- neither has an event
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        outcomes.stop()
        await asyncio.sleep(0.1)
        copy = books.crashed(journal, copies)
    assert not books.looked_at(copy).has_source_ended
    second = ScriptedTransport(delay_s=0)
    report = await run(Broker(0).records(), second, journal=copy, spool=True)
    assert report.possibly_lost >= 180 - report.read


@pytest.mark.parametrize("bad", [{"realName": "\ud800"}, {"remark": "x" * 2_000_000}], ids=["surrogate", "too large"])
async def test_a_record_that_cannot_be_sent_is_rejected_alone_and_once_from_a_spool_too(
    tmp_path: Path, bad: dict[str, Any]
) -> None:
    journal, waits = tmp_path / "a.journal", asyncio.Event()

    async def records() -> AsyncIterator[dict[str, Any]]:
        for n in range(5):
            yield person(n) | (bad if n == 2 else {})
        await waits.wait()

    transport = ScriptedTransport(delay_s=0)
    async with (
        client_of(transport) as client,
        client.stream(USERS, records(), CONFIG, journal=journal, spool=True) as outcomes,
    ):
        async for _ in outcomes:
            if outcomes.report.rejected and outcomes.report.accepted == 4:
                break
        copy = books.crashed(journal, tmp_path / "copy")
    second = ScriptedTransport(delay_s=0)
    report = await run(iter(()), second, journal=copy, spool=True)
    assert (report.read, report.accepted, report.rejected) == (5, 4, 1)
    assert set(sent(transport, second)) == {"a0", "a1", "a3", "a4"}


@pytest.mark.parametrize("batches", [2, 40], ids=["some pending", "many settled"])
async def test_marks_of_a_file_as_it_was_are_not_used_in_the_file_as_it_is(tmp_path: Path, batches: int) -> None:
    path, journal, count = tmp_path / "people.jsonl", tmp_path / "a.journal", 3_000
    lines = [json.dumps(person(n)) for n in range(count)]
    path.write_text("\r\n\r\n".join(lines), encoding="utf-8")
    transports = [ScriptedTransport(delay_s=0.0005) for _ in range(3)]
    policy = DispatchPolicy(batch_size=50, max_in_flight=2)

    async def go(transport: ScriptedTransport, deadline: float | None) -> ImportReport:
        async with client_of(transport, policy=policy) as client:
            options: dict[str, Any] = {} if deadline is None else {"deadline": deadline}
            return adds_up(await client.run(USERS, read_jsonl(path), CONFIG, journal=journal, **options))

    async with (
        client_of(transports[0], policy=policy) as client,
        client.stream(USERS, read_jsonl(path), CONFIG, journal=journal) as outcomes,
    ):
        async for outcome in outcomes:
            batches -= isinstance(outcome, Accepted)
            if not batches:
                break
    path.write_text("\n".join(lines), encoding="utf-8")  # the same records elsewhere
    await go(transports[1], 0.01)
    report = await go(transports[2], None)
    assert report.accepted == count
    assert sorted(sent(*transports)) == sorted(f"a{n}" for n in range(count))


async def test_a_limit_of_rejections_that_was_passed_stops_the_same_call_again_before_it_sends(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "a.journal"
    bad = {f"a{n}" for n in range(3, 2_000, 100)}
    refusing = ScriptedTransport(
        otherwise=lambda sent: envelope("100999") if bad & {one["thirdId"] for one in sent.records} else OK, delay_s=0
    )
    with canary.raises(TooManyRejected) as first:
        await run(people(2_000), refusing, journal=journal, max_rejected=5)
    again = ScriptedTransport(delay_s=0)
    with canary.raises(TooManyRejected) as second:
        await run(people(2_000), again, journal=journal, max_rejected=5)
    assert again.posts == []
    assert adds_up(second.value.report).rejected == adds_up(first.value.report).rejected
    report = await run(people(2_000), again, journal=journal)
    assert report.accepted + report.rejected == 2_000


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (lambda: people(60, 10), "positions 0 to 9 differ"),
        (lambda: [person(n) for n in range(31)], "has ended after 30 records, and the source gives more"),
        (lambda: people(20), "ended after 20 records"),
    ],
    ids=["another", "a longer one", "a shorter one"],
)
async def test_a_run_that_has_ended_is_not_taken_for_that_of_another_source(
    tmp_path: Path, source: Any, told: str
) -> None:
    journal, transport = tmp_path / "a.journal", ScriptedTransport(delay_s=0)
    whole = await run(people(30), transport, journal=journal)
    posts = len(transport.posts)
    for same in (people(30), [person(n) for n in range(30)], iter(())):
        assert (await run(same, transport, journal=journal)).to_dict() == whole.to_dict() | {
            "elapsed_s": pytest.approx(whole.elapsed_s, abs=60),
            "records_per_s": pytest.approx(0, abs=1e9),
        }
    with canary.raises(JournalError, match=told):
        await run(source(), transport, journal=journal)
    assert len(transport.posts) == posts
    assert books.looked_at(journal).session is Session.FINISHED


async def test_a_spooled_file_that_was_replaced_is_refused(tmp_path: Path) -> None:
    path, journal = tmp_path / "people.jsonl", tmp_path / "a.journal"
    path.write_text("\n".join(json.dumps(person(n)) for n in range(2_000)), encoding="utf-8")
    await left_after(2, read_jsonl(path), ScriptedTransport(delay_s=0.001), journal=journal, spool=True)
    path.write_text("\n".join(json.dumps(person(n)) for n in range(5_000, 9_000)), encoding="utf-8")
    transport = ScriptedTransport()
    with canary.raises(JournalError, match="which has changed since"):
        await run(read_jsonl(path), transport, journal=journal, spool=True)
    assert transport.posts == []


async def test_a_stop_while_a_spooled_list_is_passed_over_counts_nothing_twice(tmp_path: Path) -> None:
    path, journal = tmp_path / "people.jsonl", tmp_path / "a.journal"
    path.write_text("\n".join(json.dumps(person(n)) for n in range(30_000)), encoding="utf-8")
    first = await left_after(100, read_jsonl(path), ScriptedTransport(delay_s=0), journal=journal, spool=True)
    async with client_of(ScriptedTransport(delay_s=0)) as client:
        stream = client.stream(USERS, read_jsonl(path), CONFIG, journal=journal, spool=True)
        async with stream as outcomes:
            await asyncio.sleep(0)
    assert adds_up(outcomes.report).read >= first.read
    third = ScriptedTransport(delay_s=0)
    report = await run(read_jsonl(path), third, journal=journal, spool=True)
    assert (report.read, report.accepted) == (30_000, 30_000)


async def test_a_changed_byte_in_a_rejected_record_is_told_without_the_record(tmp_path: Path) -> None:
    journal = tmp_path / "a.journal"
    bad = [{"thirdId": 7, "realName": canary.PERSON}, *people(30)]
    await left_after(1, bad, ScriptedTransport(delay_s=0.001), journal=journal)
    connection = books.writable(journal)
    connection.execute("UPDATE rejects SET line = CAST(substr(line, 3) AS BLOB)")
    connection.close()
    with canary.raises(JournalError, match="a rejected record is not as it was written"):
        await run(bad, ScriptedTransport(), journal=journal)


async def test_paths_are_meant_where_the_program_was_when_it_gave_them(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    before = os.getcwd()  # noqa: PTH109 -- beside chdir
    transport = ScriptedTransport(delay_s=0.001)
    try:
        os.chdir(tmp_path / "here")
        async with (
            client_of(transport) as client,
            client.stream(USERS, [{"thirdId": 7}, *people(300)], CONFIG, journal="a", rejects="r") as outcomes,
        ):
            os.chdir(tmp_path / "there")
            async for _ in outcomes:
                pass
    finally:
        os.chdir(before)
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"a", "r"}
    assert list((tmp_path / "there").iterdir()) == []


async def test_files_of_somebody_else_beside_ours_stay(tmp_path: Path) -> None:
    for name in ("a.new", "r.new"):
        (tmp_path / name).write_text("of value", encoding="utf-8")
    await run(
        [{"thirdId": 7}, *people(30)], ScriptedTransport(delay_s=0), journal=tmp_path / "a", rejects=tmp_path / "r"
    )
    assert {(tmp_path / name).read_text(encoding="utf-8") for name in ("a.new", "r.new")} == {"of value"}


async def test_nothing_is_said_to_be_lost_of_what_is_read_again(tmp_path: Path) -> None:
    journal, records = tmp_path / "a.journal", [person(n) for n in range(500)]
    copies: list[Path] = []

    def crash(_sent: object) -> Any:
        if not copies:
            copies.append(books.crashed(journal, tmp_path / "copy"))
        return envelope()

    await run(records, ScriptedTransport(otherwise=crash, delay_s=0.001), journal=journal, spool=True)
    report = await run(records, ScriptedTransport(delay_s=0), journal=copies[0], spool=True)
    assert (report.read, report.possibly_lost) == (500, 0)


@pytest.mark.parametrize("name", ["journal", "rejects"])
async def test_a_path_that_is_no_text_is_refused(tmp_path: Path, name: str) -> None:
    async with client_of(ScriptedTransport()) as client:
        with canary.raises(ConfigError, match=f"{name} takes the path of a file"):
            await client.run(USERS, people(1), CONFIG, **{name: os.fsdecode(b"\xff")})  # type: ignore[arg-type]
