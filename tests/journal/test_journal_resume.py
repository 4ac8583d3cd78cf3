"""A run that goes on where it was acknowledged: the same ids, the same bytes, and the totals of an undisturbed run."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import books
import canary
import orjson
import pytest
from scripted import LOST, OK, ScriptedTransport, Sent, envelope

from asyncimport import (
    EVENTS,
    Accepted,
    AuthError,
    ConfigError,
    DispatchPolicy,
    EventImportConfig,
    ImportClient,
    ImportReport,
    JournalError,
    MatchingType,
    Rejected,
    RetryPolicy,
    TooManyRejected,
)
from asyncimport.attempt import Attempt
from asyncimport.records import Event
from asyncimport.sources import ColumnMapping, read_csv, read_jsonl, replay

CONFIG = EventImportConfig()
POLICY = DispatchPolicy(batch_size=100, max_in_flight=2, retry=RetryPolicy(base_s=0.001, cap_s=0.002, floor_s=0.001))
COUNT = 2_345
#: Records that are refused here: the first, one alone, neighbours, and the last before a cut.
BAD = {0, 33, 34, 99, 160, 700, 1_800, 2_344}


def client_of(transport: ScriptedTransport, **arguments: Any) -> ImportClient:
    values: dict[str, Any] = {"policy": POLICY, "token": canary.TOKEN} | arguments
    return ImportClient("https://platform.example/api/open", transport=transport, **values)


def record(n: int) -> dict[str, Any]:
    phone = {"identityType": "phone", "identityValue": f"138{n:08}"}
    return {"identities": [phone], "eventKey": "" if n in BAD else "c_buy", "eventargs": {"c_price": n / 10}}


def refuses(*culprits: int) -> Any:
    """Answers of a platform that refuses these records, and takes all others."""
    refused, bad = envelope("100999", msg="no"), {n / 10 for n in culprits}
    return lambda sent: refused if any(one["eventargs"]["c_price"] in bad for one in sent.records) else OK


def generator(_folder: Path, count: int = COUNT) -> Iterator[dict[str, Any]]:
    yield from map(record, range(count))


async def async_generator(_folder: Path) -> AsyncIterator[dict[str, Any]]:
    for n in range(COUNT):
        yield record(n)
        await asyncio.sleep(0)


def as_list(_folder: Path) -> list[dict[str, Any]]:
    return [record(n) for n in range(COUNT)]


def jsonl(folder: Path) -> Any:
    path = folder / "events.jsonl"
    if not path.exists():
        lines = [json.dumps(record(n)) + "\n" * (1 + n % 3) for n in range(COUNT)]
        path.write_text("\ufeff" + "".join(lines), encoding="utf-8")
    return read_jsonl(path)


def packed(folder: Path) -> Any:
    path = folder / "events.jsonl.gz"
    if not path.exists():
        path.write_bytes(gzip.compress("".join(json.dumps(record(n)) + "\n" for n in range(COUNT)).encode()))
    return read_jsonl(path)


def csv(folder: Path) -> Any:
    path = folder / "events.csv"
    if not path.exists():
        rows = [f'138{n:08},{"" if n in BAD else "c_buy"},"a\n{n}"' for n in range(COUNT)]
        path.write_text("\n".join(["identities.phone,eventKey,eventargs.note", *rows]), encoding="utf-8")
    return read_csv(path, Event, mapping=ColumnMapping())


SOURCES = [as_list, generator, async_generator, jsonl, packed, csv]
Make = Callable[[Path], Any]


def totals(report: ImportReport) -> dict[str, Any]:
    """What must be as if nothing had happened."""
    names = ("run_id", "attempts", "retries", "possible_duplicates", "bytes_sent", "elapsed_s", "records_per_s")
    plain = {name: value for name, value in report.to_dict().items() if name not in names}
    plain["first_rejections"] = [one["position"] for one in plain["first_rejections"]]
    return plain | {"batch_ids": sorted(plain["batch_ids"])}


def uuids(posts: list[Sent]) -> Counter[str]:
    return Counter(one["uuid"] for sent in posts for one in sent.records)


def adds_up(report: ImportReport) -> ImportReport:
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    assert (report.in_progress, report.read) == (0, settled)
    return report


async def run(make: Make, folder: Path, transport: ScriptedTransport, **options: Any) -> ImportReport:
    async with client_of(transport) as client:
        return adds_up(await client.run(EVENTS, make(folder), CONFIG, **options))


async def left_after(batches: int, make: Make, folder: Path, transport: ScriptedTransport, **options: Any) -> Any:
    """A run that is left after so many batches were accepted."""
    async with client_of(transport) as client, client.stream(EVENTS, make(folder), CONFIG, **options) as outcomes:
        async for outcome in outcomes:
            batches -= isinstance(outcome, Accepted)
            if not batches:
                break
    return adds_up(outcomes.report)


async def undisturbed(make: Make, folder: Path) -> ImportReport:
    report = await run(make, folder, ScriptedTransport(delay_s=0))
    assert (report.read, report.accepted, report.rejected) == (COUNT, COUNT - len(BAD), len(BAD))
    return report


@pytest.mark.parametrize("make", SOURCES)
async def test_the_same_call_after_a_stop_sends_the_rest_once(tmp_path: Path, make: Make) -> None:
    whole, journal = await undisturbed(make, tmp_path), tmp_path / "a.journal"
    first, second, third = (ScriptedTransport(delay_s=0.001) for _ in range(3))
    stopped = await left_after(4, make, tmp_path, first, journal=journal)
    assert stopped.unsent
    report = await run(make, tmp_path, second, journal=journal)
    assert totals(report) == totals(whole)
    assert report.run_id == stopped.run_id
    assert set(uuids(first.posts + second.posts).values()) == {1}
    assert uuids(first.posts + second.posts).keys() == {
        f"{report.run_id}{n:016x}" for n in range(COUNT) if n not in BAD
    }
    assert (report.attempts, report.possible_duplicates) == (len(first.posts) + len(second.posts), 0)
    assert len({one["time"] for sent in first.posts + second.posts for one in sent.records}) == 1
    again = await run(make, tmp_path, third, journal=journal)
    assert third.posts == []
    assert totals(again) == totals(whole)
    assert again.ok is report.ok is False  # some were rejected


class Crashing:
    """Copies a journal as a process that was killed would leave it, while a post is on its way."""

    def __init__(self, journal: Path, copies: Path) -> None:
        self.journal, self.copies = journal, copies
        self.copied: list[Path] = []

    def __call__(self, sent: Sent) -> Attempt:
        self.copied.append(books.crashed(self.journal, self.copies / f"{len(self.copied)}"))
        return OK


@pytest.mark.parametrize("make", [generator, jsonl, csv])
async def test_h6_a_process_killed_at_any_request_goes_on_with_the_same_ids_and_bytes(
    tmp_path: Path, make: Make
) -> None:
    whole, journal = await undisturbed(make, tmp_path), tmp_path / "a.journal"
    (tmp_path / "copies").mkdir()
    crashing = Crashing(journal, tmp_path / "copies")
    first = ScriptedTransport(otherwise=crashing, delay_s=0.001)
    run_id = (await run(make, tmp_path, first, journal=journal)).run_id
    bodies = {sent.body for sent in first.posts}
    expected = uuids(first.posts).keys()
    assert len(crashing.copied) == 24
    for number, copy in list(enumerate(crashing.copied))[::3]:
        known = books.looked_at(copy)
        second = ScriptedTransport(delay_s=0)
        report = await run(make, tmp_path, second, journal=copy)
        assert report.run_id == run_id
        assert totals(report) == totals(whole)
        assert {sent.body for sent in second.posts} <= bodies
        assert known.sums.accepted + sum(uuids(second.posts).values()) == COUNT - len(BAD)
        assert uuids(second.posts).keys() <= expected
        # What had arrived and was not acknowledged on disk comes again, and is counted.
        again = uuids(first.posts[: number + 1]) & uuids(second.posts)
        assert sum(again.values()) <= report.possible_duplicates <= 100 * 8  # a window of 4 x 2 batches


async def test_a_file_that_is_as_it_was_is_sought_and_not_read_again(tmp_path: Path) -> None:
    journal, seen = tmp_path / "a.journal", list[int]()
    await left_after(14, jsonl, tmp_path, ScriptedTransport(delay_s=0.001), journal=journal)
    source = jsonl(tmp_path)

    class Watched:
        """The same source, whose iterations tell where they begin."""

        is_stream = False
        identity = staticmethod(source.identity)

        def starting_at(self, mark: Any) -> Any:
            seen.append(mark.position)
            return source.starting_at(mark)

    report = await run(lambda _: Watched(), tmp_path, ScriptedTransport(delay_s=0), journal=journal)
    assert (report.read, report.accepted) == (COUNT, COUNT - len(BAD))
    assert len(seen) == 1
    assert seen[0] >= 500


def add_a_line(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record(COUNT)) + "\n")


@pytest.mark.parametrize("change", [os.utime, add_a_line])
async def test_a_file_that_was_touched_or_has_grown_is_compared_and_goes_on(tmp_path: Path, change: Any) -> None:
    journal = tmp_path / "a.journal"
    await left_after(4, jsonl, tmp_path, ScriptedTransport(delay_s=0.001), journal=journal)
    change(tmp_path / "events.jsonl")
    report = await run(jsonl, tmp_path, ScriptedTransport(delay_s=0), journal=journal)
    assert report.accepted >= COUNT - len(BAD)
    assert report.source_ended


async def test_a_source_that_differs_is_refused_before_anything_is_sent_and_the_next_call_compares_again(
    tmp_path: Path,
) -> None:
    journal, transport = tmp_path / "a.journal", ScriptedTransport(delay_s=0)
    stopped = await left_after(14, jsonl, tmp_path, ScriptedTransport(delay_s=0.001), journal=journal)
    path = tmp_path / "events.jsonl"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("c_buy", "c_cut", 1), encoding="utf-8")
    async with client_of(transport) as client:
        for _ in range(2):  # the first refusal must not make the changed file the known one
            with canary.raises(JournalError, match="positions 1 to 10. differ") as refused:
                await client.run(EVENTS, jsonl(tmp_path), CONFIG, journal=journal)
            assert refused.value.report is not None
            report = adds_up(refused.value.report)
            assert (report.accepted, report.unsent > 0) == (stopped.accepted, True)
    assert transport.posts == []
    path.write_text(text, encoding="utf-8")
    report = await run(jsonl, tmp_path, ScriptedTransport(delay_s=0), journal=journal)
    assert report.accepted == COUNT - len(BAD)


async def test_a_run_stopped_while_it_catches_up_tells_what_the_journal_knows(tmp_path: Path) -> None:
    journal, ready = tmp_path / "a.journal", asyncio.Event()
    stopped = await left_after(14, generator, tmp_path, ScriptedTransport(delay_s=0.001), journal=journal)

    async def slow(_folder: Path) -> AsyncIterator[dict[str, Any]]:
        for n in range(COUNT):
            if n == 700:
                ready.set()
                await asyncio.Event().wait()
            yield record(n)

    transport = ScriptedTransport(delay_s=0)
    async with (
        client_of(transport) as client,
        client.stream(EVENTS, slow(tmp_path), CONFIG, journal=journal) as outcomes,
    ):
        await ready.wait()
    report = adds_up(outcomes.report)
    assert transport.posts == []
    assert (report.accepted, report.rejected) == (stopped.accepted, report.rejected)
    assert (report.unsent, report.unconfirmed, report.source_ended) == (
        report.read - report.accepted - report.rejected,
        0,
        False,
    )
    assert report.resume_from is not None
    whole = await run(generator, tmp_path, ScriptedTransport(delay_s=0), journal=journal)
    assert whole.accepted == COUNT - len(BAD)


async def test_counts_of_a_run_that_was_resumed_are_of_all_processes(tmp_path: Path) -> None:
    journal = tmp_path / "a.journal"
    first = ScriptedTransport(script=[LOST, envelope("500"), OK], delay_s=0.003)
    stopped = await left_after(12, generator, tmp_path, first, journal=journal)
    second = ScriptedTransport(script=[LOST], delay_s=0)
    report = await run(generator, tmp_path, second, journal=journal)
    assert report.attempts == len(first.posts) + len(second.posts)
    assert report.retries == stopped.retries + 1 == 3
    assert report.possible_duplicates == stopped.possible_duplicates + 100
    assert report.bytes_sent == sum(len(sent.body) for sent in first.posts + second.posts)
    assert report.elapsed_s > stopped.elapsed_s


async def test_what_may_have_been_sent_is_not_sent_again_when_the_user_parks_it(tmp_path: Path) -> None:
    journal = tmp_path / "a.journal"
    (tmp_path / "copies").mkdir()
    crashing = Crashing(journal, tmp_path / "copies")
    first = ScriptedTransport(otherwise=crashing, delay_s=0.001)
    await run(generator, tmp_path, first, journal=journal, on_unknown="park")
    for copy in crashing.copied[::5]:
        known = books.looked_at(copy)
        in_flight = [entry for entry in known.pending if entry.is_open]
        assert 1 <= len(in_flight) <= 2
        second = ScriptedTransport(delay_s=0)
        report = await run(generator, tmp_path, second, journal=copy, on_unknown="park")
        assert report.unconfirmed == sum(entry.count for entry in in_flight)
        assert report.accepted + report.unconfirmed == COUNT - len(BAD)
        assert report.possible_duplicates == 0
        third = ScriptedTransport(delay_s=0)
        again = await run(generator, tmp_path, third, journal=copy, on_unknown="park")
        assert (third.posts, again.unconfirmed) == ([], report.unconfirmed)


async def test_a_batch_the_platform_refused_stays_refused(tmp_path: Path) -> None:
    journal, rejects = tmp_path / "a.journal", tmp_path / "rejects"
    first = ScriptedTransport(otherwise=refuses(101, 150), delay_s=0.001)
    await left_after(40, generator, tmp_path, first, journal=journal, rejects=rejects)
    report = await run(generator, tmp_path, ScriptedTransport(delay_s=0), journal=journal, rejects=rejects)
    assert report.rejected == len(BAD) + 2
    assert report.rejected_by_reason == {"eventKey: must not be empty": len(BAD), "refused: code 100999": 2}
    lines = [json.loads(line) for line in rejects.read_text(encoding="utf-8").splitlines()]
    assert [line["position"] for line in lines] == sorted({line["position"] for line in lines})
    assert Counter(line["state"] for line in lines) == {"rejected": report.rejected}
    assert {line["code"] for line in lines} == {None, "100999"}


async def test_the_rejects_file_has_what_was_left_until_it_was_sent(tmp_path: Path) -> None:
    journal, rejects = tmp_path / "a.journal", tmp_path / "rejects"
    stopped = await left_after(
        4, generator, tmp_path, ScriptedTransport(delay_s=0.001), journal=journal, rejects=rejects
    )
    lines = [json.loads(line) for line in rejects.read_text(encoding="utf-8").splitlines()]
    assert Counter(line["state"] for line in lines) == {"rejected": stopped.rejected, "unsent": stopped.unsent}
    assert {line["uuid"] for line in lines} == {f"{stopped.run_id}{line['position']:016x}" for line in lines}
    await run(generator, tmp_path, ScriptedTransport(delay_s=0), journal=journal, rejects=rejects)
    lines = [json.loads(line) for line in rejects.read_text(encoding="utf-8").splitlines()]
    assert [(line["position"], line["state"]) for line in lines] == [(n, "rejected") for n in sorted(BAD)]


async def test_a_rejects_file_that_somebody_repaired_is_not_written_over(tmp_path: Path) -> None:
    journal, rejects, transport = tmp_path / "a.journal", tmp_path / "rejects", ScriptedTransport(delay_s=0)
    await left_after(4, generator, tmp_path, ScriptedTransport(delay_s=0.001), journal=journal, rejects=rejects)
    rejects.write_text(rejects.read_text(encoding="utf-8").replace('""', '"c_buy"'), encoding="utf-8")
    async with client_of(transport) as client:
        with canary.raises(ConfigError, match="was changed since this import wrote it"):
            await client.run(EVENTS, generator(tmp_path), CONFIG, journal=journal, rejects=rejects)
    assert transport.posts == []
    assert (await run(generator, tmp_path, transport, journal=journal)).accepted == COUNT - len(BAD)


async def test_replaying_the_rejects_of_a_run_completes_it_with_the_ids_it_would_have_had(tmp_path: Path) -> None:
    journal, rejects, transport = tmp_path / "a.journal", tmp_path / "rejects", ScriptedTransport(delay_s=0)
    report = await run(generator, tmp_path, transport, journal=journal, rejects=rejects)
    repaired = [
        orjson.dumps(line | {"record": line["record"] | {"eventKey": "c_buy"}}).decode()
        for line in map(orjson.loads, rejects.read_bytes().splitlines())
    ]
    rejects.write_text("\n".join(repaired), encoding="utf-8")
    again = await run(lambda _: replay(rejects), tmp_path, transport)
    assert again.accepted == len(BAD)
    assert uuids(transport.posts) == Counter({f"{report.run_id}{n:016x}": 1 for n in range(COUNT)})
    assert len({one["time"] for sent in transport.posts for one in sent.records}) == 1


async def test_an_import_that_sent_nothing_may_be_begun_anew_with_another_address(tmp_path: Path) -> None:
    journal = tmp_path / "a.journal"
    refusing = ScriptedTransport(otherwise=envelope("100200"))
    async with client_of(refusing) as client:
        with canary.raises(AuthError):
            await client.run(EVENTS, generator(tmp_path), CONFIG, journal=journal)
        report = None
    async with client_of(ScriptedTransport(delay_s=0)) as client:
        other = EventImportConfig(matching_type=MatchingType.EXACT)
        report = await client.run(EVENTS, generator(tmp_path), other, journal=journal)
        assert report.accepted == COUNT - len(BAD)
        with canary.raises(JournalError, match="belongs to another import: the config differs"):
            await client.run(EVENTS, generator(tmp_path), CONFIG, journal=journal)


async def test_too_many_rejections_count_over_all_processes(tmp_path: Path) -> None:
    journal = tmp_path / "a.journal"
    await left_after(4, generator, tmp_path, ScriptedTransport(delay_s=0.001), journal=journal)
    async with client_of(ScriptedTransport(delay_s=0)) as client:
        with canary.raises(TooManyRejected) as caught:
            await client.run(EVENTS, generator(tmp_path), CONFIG, journal=journal, max_rejected=len(BAD) - 1)
    assert caught.value.report is not None
    assert caught.value.report.rejected == len(BAD)


async def test_the_hook_is_told_each_rejected_record_with_its_reason(tmp_path: Path) -> None:
    told: list[Rejected] = []
    transport = ScriptedTransport(otherwise=refuses(101, 150), delay_s=0)
    report = await run(generator, tmp_path, transport, on_reject=told.append)
    assert report.rejected == len(told) == len(BAD) + 2
    refused = [one for one in told if one.code is not None]
    assert sorted(one.record["eventargs"]["c_price"] for one in refused) == [10.1, 15.0]
    assert all(one.record in list(transport.records()) for one in refused)
    assert all(one.count == 1 for one in told)
    assert {one.record["eventKey"] for one in told if one.code is None} == {""}


async def test_what_the_hook_raises_stops_the_run_and_comes_out_as_it_is(tmp_path: Path) -> None:
    class Full(Exception):
        pass

    def hook(_rejected: Rejected) -> None:
        raise Full

    journal = tmp_path / "a.journal"
    async with client_of(ScriptedTransport(delay_s=0)) as client:
        outcomes = client.stream(EVENTS, generator(tmp_path), CONFIG, journal=journal, on_reject=hook)
        with canary.raises(Full) as raised:
            async with outcomes:
                async for _ in outcomes:
                    pass
    assert raised.value.__traceback__ is not None
    adds_up(outcomes.report)
    assert (await run(generator, tmp_path, ScriptedTransport(delay_s=0), journal=journal)).accepted == COUNT - len(BAD)
