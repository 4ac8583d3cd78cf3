"""before_send: each record as its source gave it goes through the user's own function, once, in order, and never two at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import canary
import pytest
from journals import CONFIG, adds_up, client_of, counts, imported, stopped, third_ids
from scripted import ScriptedTransport

from asyncimport import USERS, ImportReport, JournalError, SourceError, UserProfile
from asyncimport.outcome import Rejected
from asyncimport.sources import inline, read_csv, read_jsonl


def people(count: int) -> Iterator[dict[str, Any]]:
    for n in range(count):
        yield {"thirdId": f"{n}", "realName": canary.PERSON}


async def in_order(records: Iterable[Any]) -> AsyncIterator[Any]:
    for record in records:
        yield record


SOURCES: dict[str, Callable[[Iterator[Any]], Any]] = {
    "list": list,
    "thread": iter,
    "async": in_order,
    "inline": inline,
}


def odd_only(record: dict[str, Any]) -> dict[str, Any] | None:
    return record | {"remark": "seen"} if int(record["thirdId"]) % 2 else None


async def odd_only_async(record: dict[str, Any]) -> dict[str, Any] | None:
    await asyncio.sleep(0)
    return odd_only(record)


class OddOnly:
    """A hook that is an object."""

    async def __call__(self, record: dict[str, Any]) -> dict[str, Any] | None:
        return odd_only(record)


async def sent(source: Any, hook: Any, transport: ScriptedTransport | None = None, **run: Any) -> ImportReport:
    async with client_of(transport or ScriptedTransport(delay_s=0)) as client:
        return adds_up(await client.run(USERS, source, CONFIG, before_send=hook, **run))


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize(
    "hook", [odd_only, odd_only_async, OddOnly(), partial(odd_only_async)], ids=["plain", "async", "object", "partial"]
)
async def test_what_it_returns_is_sent_and_none_skips_the_record(kind: str, hook: Any) -> None:
    transport = ScriptedTransport(delay_s=0)
    report = await sent(SOURCES[kind](people(100)), hook, transport)
    assert (report.read, report.accepted, report.skipped, report.ok) == (100, 50, 50, True)
    assert sorted(map(int, third_ids(transport))) == list(range(1, 100, 2))
    assert {record["remark"] for record in transport.records()} == {"seen"}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_it_is_called_once_a_record_in_order_and_never_twice_at_a_time(kind: str, is_async: bool) -> None:
    seen: list[int] = []
    under_way: set[int] = set()

    async def slowly(record: dict[str, Any]) -> dict[str, Any]:
        assert not under_way
        under_way.add(1)
        await asyncio.sleep(0)
        under_way.clear()
        return at_once(record)

    def at_once(record: dict[str, Any]) -> dict[str, Any]:
        seen.append(int(record["thirdId"]))
        return record

    await sent(SOURCES[kind](people(60)), slowly if is_async else at_once)
    assert seen == list(range(60))


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_an_exception_in_it_rejects_that_record_by_its_class_alone(kind: str, is_async: bool) -> None:
    def broken(record: dict[str, Any]) -> dict[str, Any]:
        if record["thirdId"] == "7":
            raise KeyError(canary.PERSON)
        return record

    async def broken_async(record: dict[str, Any]) -> dict[str, Any]:
        return broken(record)

    rejected: list[Rejected] = []
    report = await sent(SOURCES[kind](people(20)), broken_async if is_async else broken, on_reject=rejected.append)
    assert (report.accepted, report.rejected_by_reason) == (19, {"before_send raised KeyError": 1})
    assert [(one.positions[0], one.record) for one in rejected] == [(7, {"thirdId": "7", "realName": canary.PERSON})]
    assert canary.leaks(f"{report} {rejected[0]}") == []


@pytest.mark.parametrize(
    ("kind", "is_async"),
    [("list", False), ("thread", False), ("async", False), *((kind, True) for kind in SOURCES)],
)
async def test_what_is_no_exception_ends_the_run_as_from_the_source(kind: str, is_async: bool) -> None:
    def ending(record: dict[str, Any]) -> dict[str, Any]:
        if record["thirdId"] == "7":
            raise asyncio.CancelledError
        return record

    async def ending_async(record: dict[str, Any]) -> dict[str, Any]:
        return ending(record)

    with canary.raises(SourceError) as caught:
        await sent(SOURCES[kind](people(20)), ending_async if is_async else ending)
    assert adds_up(caught.value.report).accepted == 7


async def test_a_plain_function_that_returns_a_coroutine_is_told_how_to_be_declared() -> None:
    def careless(record: dict[str, Any]) -> Any:
        return odd_only_async(record)

    report = await sent(list(people(2)), careless)
    assert report.rejected_by_reason == {"before_send returned an awaitable": 2}
    assert "declare it with `async def`" in report.first_rejections[0].detail


async def test_what_it_returns_is_admitted_like_any_record() -> None:
    answers = iter([UserProfile(third_id="1"), {"third_id": "2"}, {"thirdId": 3}, "no record"])
    transport = ScriptedTransport()
    report = await sent(list(people(4)), lambda _: next(answers), transport)
    assert (third_ids(transport), report.rejected) == (["1", "2"], 2)


@pytest.mark.parametrize("kind", ["list", "thread"])
async def test_a_plain_function_that_takes_its_time_does_not_hold_up_the_loop(kind: str) -> None:
    threads: set[int] = set()

    def where(record: dict[str, Any]) -> dict[str, Any]:
        threads.add(threading.get_ident())
        return record

    await sent(SOURCES[kind](people(20)), where)
    assert threading.get_ident() not in threads


async def test_it_sees_the_lines_of_a_file_as_mappings_and_none_that_could_not_be_read(tmp_path: Path) -> None:
    lines, table, seen = tmp_path / "people.jsonl", tmp_path / "people.csv", list[Any]()
    lines.write_text('{"thirdId": "1"}\n{broken\n{"thirdId": "2"}\n')
    table.write_text("thirdId,phone\n1,2\n3\n")

    def look(record: Any) -> Any:
        seen.append(record)
        if record["thirdId"] == "2":
            raise ValueError
        return record

    rejected: list[Rejected] = []
    report = await sent(read_jsonl(lines), look, on_reject=rejected.append)
    assert (report.accepted, [one.line for one in rejected]) == (1, [2, 3])
    await sent(read_csv(table, UserProfile), look)
    assert seen == [{"thirdId": "1"}, {"thirdId": "2"}, {"thirdId": "1", "phone": "2"}]


@pytest.mark.parametrize("kind", SOURCES)
async def test_a_stop_lets_go_of_an_async_function_that_waits(kind: str) -> None:
    ended = asyncio.Event()

    async def stuck(record: dict[str, Any]) -> dict[str, Any]:
        if record["thirdId"] == "3":
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
        return record

    report = await sent(SOURCES[kind](people(20)), stuck, deadline=0.05)
    assert (report.accepted + report.unsent, report.resume_from is not None) == (3, True)
    await asyncio.wait_for(ended.wait(), 1)
    await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_the_users_source_is_closed_when_its_async_function_stops_the_reading() -> None:
    closed: list[str] = []

    async def source() -> AsyncIterator[dict[str, Any]]:
        try:
            for record in people(1000):
                yield record
                await asyncio.sleep(0)
        finally:
            closed.append("source")

    async with (
        client_of(ScriptedTransport()) as client,
        client.stream(USERS, source(), CONFIG, before_send=odd_only_async) as outcomes,
    ):
        await anext(outcomes)
    assert closed == ["source"]


@pytest.mark.parametrize("spool", [False, True], ids=["journal", "spool"])
@pytest.mark.parametrize("hook", [odd_only, odd_only_async], ids=["plain", "async"])
async def test_a_resumed_run_has_the_totals_of_an_undisturbed_one(tmp_path: Path, hook: Any, spool: bool) -> None:
    transport, run = ScriptedTransport(delay_s=0), {"before_send": hook, "spool": spool}
    await stopped(list(people(200)), tmp_path / "journal", transport, 3, **run)
    report = await imported(list(people(200)), tmp_path / "journal", transport, **run)
    whole = await imported(list(people(200)), tmp_path / "whole", ScriptedTransport(delay_s=0), **run)
    assert (report.accepted, report.skipped) == (counts(whole)["accepted"], counts(whole)["skipped"]) == (100, 100)


async def test_one_that_changes_its_mind_makes_another_source_of_it(tmp_path: Path) -> None:
    journal, transport = tmp_path / "journal", ScriptedTransport(delay_s=0)
    await stopped(list(people(200)), journal, transport, 8, before_send=odd_only)
    assert transport.posts
    with canary.raises(JournalError, match="the source is not the one"):
        await imported(list(people(200)), journal, transport, before_send=lambda record: record)
    with canary.raises(JournalError, match="whether there is a before_send differs"):
        await imported(list(people(200)), journal, transport)


async def test_a_sink_takes_a_plain_one_and_what_was_put_before_is_skipped_there_too() -> None:
    async with client_of(ScriptedTransport(delay_s=0)) as client:
        async with client.open_sink(USERS, CONFIG, before_send=odd_only, deduplicate=["thirdId"]) as sink:
            outcomes = [await (await sink.put(person)) for person in [*people(4), *people(4)]]
        report = sink.report
    assert adds_up(report).accepted == 2
    assert report.skipped == 6
    assert len(outcomes) == 8


async def test_a_sink_awaits_an_async_one_for_as_many_puts_as_there_are() -> None:
    asked, most = 0, 0

    async def slow(person: Any) -> Any:
        nonlocal asked, most
        asked += 1
        most = max(most, asked)
        await asyncio.sleep(0.05)
        asked -= 1
        if person["thirdId"] == "3":
            raise LookupError(canary.PERSON)
        return await odd_only_async(person)

    async with client_of(ScriptedTransport(delay_s=0)) as client:
        async with client.open_sink(USERS, CONFIG, before_send=slow) as sink:
            puts = await asyncio.gather(*map(sink.put, people(8)), return_exceptions=True)
            receipts = await sink.put_many(people(4))
        report = sink.report
    assert most == 8
    assert [type(put).__name__ for put in puts] == [*["Receipt"] * 3, "ValidationError", *["Receipt"] * 4]
    assert len(await receipts) == len(receipts) == 4
    assert (adds_up(report).read, report.accepted, report.rejected, report.skipped) == (12, 4, 2, 6)
