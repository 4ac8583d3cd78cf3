"""deduplicate: what is the same as an earlier record is skipped and counted, within a bounded window."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import canary
import pytest
from journals import CONFIG, adds_up, client_of, counts, imported, look, stopped, third_ids
from scripted import ScriptedTransport

from asyncimport import EVENTS, USERS, EventImportConfig, ImportReport, JournalError, Skipped, UserProfile
from asyncimport.batch import Positions
from asyncimport.duplicates import REASON, Unrepeated
from asyncimport.journal.inspection import read_status
from asyncimport.keys import parts_of
from asyncimport.sources import read_csv


def person(third_id: str | None, **more: Any) -> dict[str, Any]:
    return {"thirdId": third_id, "realName": canary.PERSON, **more}


#: Of each hundred 60 differ.
def people(count: int) -> list[dict[str, Any]]:
    return [person(f"{n if n % 100 < 60 else n - 40}") for n in range(count)]


async def in_order(records: Iterable[Any]) -> AsyncIterator[Any]:
    for record in records:
        yield record


SOURCES: dict[str, Any] = {"list": list, "thread": iter, "async": in_order}


@pytest.mark.parametrize("kind", SOURCES)
async def test_what_was_admitted_before_is_skipped_and_counted(kind: str) -> None:
    transport = ScriptedTransport(delay_s=0)
    async with client_of(transport) as client:
        report = await client.run(USERS, SOURCES[kind](people(500)), CONFIG, deduplicate=["third_id"])
    assert (adds_up(report).accepted, report.skipped, report.ok) == (300, 200, True)
    assert sorted(third_ids(transport)) == sorted({*third_ids(transport)})


async def test_outcomes_say_which_records_were_skipped_and_why() -> None:
    source = [person("a"), person("b"), person("a"), person("a"), person("c"), person("b")]
    async with (
        client_of(ScriptedTransport()) as client,
        client.stream(USERS, source, CONFIG, deduplicate=["thirdId"]) as outcomes,
    ):
        found = [outcome async for outcome in outcomes]
    assert Skipped(positions=Positions.of([2, 3, 5]), reason=REASON) in found


async def test_a_record_that_is_rejected_does_not_count_as_seen() -> None:
    source = [
        person("a", sex="?"),
        person("a", address="\ud800"),
        person("a", remark="x" * 1_100_000),
        person("a"),
        person("a"),
    ]
    async with client_of(ScriptedTransport()) as client:
        report = await client.run(USERS, source, CONFIG, deduplicate=["thirdId"])
    assert (report.rejected, report.accepted, report.skipped) == (3, 1, 1)


async def test_records_without_any_of_the_fields_are_the_same_as_no_other() -> None:
    async with client_of(ScriptedTransport()) as client:
        report = await client.run(USERS, [person(None)] * 3, CONFIG, deduplicate=["thirdId", "phone"])
    assert report.accepted == 3


async def test_identities_are_the_same_in_whatever_order_and_only_when_all_are() -> None:
    def event(*values: str) -> dict[str, Any]:
        return {"eventKey": "c", "identities": [{"identityType": "phone", "identityValue": one} for one in values]}

    async with client_of(ScriptedTransport()) as client:
        source = [event("1", "2"), event("2", "1"), event("1"), event("1", "2", "3")]
        report = await client.run(EVENTS, source, EventImportConfig(), deduplicate=["identities"])
    assert (report.accepted, report.skipped) == (3, 1)


class Passing:
    """An admission that takes everything."""

    def admit(self, record: Any, position: int, origin: Any = None) -> Any:
        return record

    def admit_all(self, records: Any, first: int) -> list[Any]:
        return list(records)

    def of_line(self, line: bytes) -> Any:
        return None


def test_so_many_keys_are_remembered_and_no_more() -> None:
    once = Unrepeated(Passing(), parts_of(UserProfile, ["thirdId"], "deduplicate"), lambda wire, _: wire, 100)
    for n in range(100):
        once.admit({"thirdId": f"{n}"}, n)
    assert isinstance(once.admit({"thirdId": "0"}, 0), Skipped)
    assert not isinstance(once.admit({"thirdId": "new"}, 0), Skipped)
    assert not isinstance(once.admit({"thirdId": "0"}, 0), Skipped)
    assert isinstance(once.admit({"thirdId": "2"}, 0), Skipped)


@pytest.mark.parametrize("after", [1, 2, 7])
@pytest.mark.parametrize("spool", [False, True], ids=["journal", "spool"])
async def test_a_resumed_run_has_the_totals_of_an_undisturbed_one(tmp_path: Path, after: int, spool: bool) -> None:
    journal = tmp_path / "journal"
    transport = ScriptedTransport(delay_s=0)
    run: Any = {"deduplicate": ["thirdId"], "spool": spool}
    source = [*people(300), person("x", sex="?")]
    await stopped(source, journal, transport, after, **run)
    second = await imported(source, journal, transport, **run)
    assert (adds_up(second).read, second.accepted, second.skipped, second.rejected) == (301, 180, 120, 1)
    assert sorted({*third_ids(transport)}) == sorted({record["thirdId"] for record in source} - {"x"})
    assert counts(await imported(source, journal, ScriptedTransport(), **run))["skipped"] == 120
    status = read_status(str(journal))
    assert (status.skipped, status.pending) == (120, 0)
    assert "120 skipped" in f"{status}"


async def test_a_killed_run_counts_what_it_skipped_once(tmp_path: Path) -> None:
    journal, whole = tmp_path / "journal", tmp_path / "whole"
    run: Any = {"deduplicate": ["thirdId"]}
    transport = ScriptedTransport(delay_s=0)
    reports: list[ImportReport] = []
    for after in (1, 3, 5):
        reports.append(await stopped(people(400), journal, transport, after, **run))
        known = look(journal)
        assert known.sums.read == known.sums.accepted + known.sums.skipped + known.sums.pending
    last = await imported(people(400), journal, transport, **run)
    expected = await imported(people(400), whole, ScriptedTransport(), **run)
    assert (last.skipped, last.accepted) == (expected.skipped, expected.accepted) == (160, 240)


async def test_what_was_skipped_after_the_last_batch_counts_as_it_comes_again(tmp_path: Path) -> None:
    async def unending() -> AsyncIterator[Any]:
        for record in [*people(10), *people(5)]:
            yield record
        await asyncio.Event().wait()

    journal, transport = tmp_path / "journal", ScriptedTransport(delay_s=0)
    first = await stopped(unending(), journal, transport, 2, deduplicate=["thirdId"])
    assert (first.accepted, first.skipped) == (10, 5)
    second = await imported(people(15), journal, transport, deduplicate=["thirdId"])  # what comes now differs there
    assert (second.accepted, second.skipped) == (15, 0)
    assert look(journal).sums.skipped == 0


async def test_a_file_is_read_from_its_beginning_so_that_what_was_seen_is_known(tmp_path: Path) -> None:
    file, journal = tmp_path / "people.csv", tmp_path / "journal"
    ids = [f"{n}" for n in range(700)]
    file.write_text("thirdId\n" + "\n".join([*ids, *ids]) + "\n")
    transport = ScriptedTransport(delay_s=0)
    await stopped(read_csv(file, UserProfile), journal, transport, 62, deduplicate=["thirdId"])
    known = look(journal)
    assert known.mark is not None
    assert known.mark.position == 500
    report = await imported(read_csv(file, UserProfile), journal, transport, deduplicate=["thirdId"])
    assert (report.accepted, report.skipped) == (700, 700)


async def test_a_journal_belongs_to_what_it_was_begun_with(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    await imported(people(100), journal, ScriptedTransport(), deduplicate=["thirdId"])
    with canary.raises(JournalError, match="order_by and deduplicate differ"):
        await imported(people(100), journal, ScriptedTransport(), order_by=["phone"])


async def test_a_check_counts_what_would_be_skipped() -> None:
    async with client_of(ScriptedTransport()) as client:
        report = await client.check(USERS, people(100), CONFIG, deduplicate=["thirdId"], before_send=lambda one: one)
    assert (report.read, report.skipped, report.rejected, report.ok) == (100, 40, 0, True)
    assert "100 read, 0 with errors, 40 skipped; 60 would be sent" in f"{report}"


def test_a_line_is_decoded_by_whoever_admits_it() -> None:
    class Lines:
        def of_line(self, line: bytes) -> Any:
            return {"thirdId": line.decode()}

    admission: Any = Lines()
    unrepeated = Unrepeated(admission, parts_of(UserProfile, ["thirdId"], "deduplicate"), lambda wire, _: wire)
    assert unrepeated.of_line(b"1") == {"thirdId": "1"}
