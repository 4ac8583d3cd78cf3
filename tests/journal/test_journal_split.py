"""A journal and batches that were split: what is settled in pieces stays so, whenever the process is killed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import canary
import journals
import pytest
from attrs import evolve
from scripted import OK, ScriptedTransport, Sent, envelope

from asyncimport import USERS, DispatchPolicy, ImportReport, PlatformRefused, UploadStalled
from asyncimport.attempt import Answer, Attempt
from asyncimport.journal.entry import GROUP

CULPRITS = {3, 40, 41, 77}
COUNT = 90
REFUSED = envelope("1001", msg="no")
POLICY = evolve(journals.POLICY, batch_size=30, max_in_flight=2)
EXPECTED = sorted(set(range(COUNT)) - CULPRITS)


def platform(taken: Counter[str]) -> Any:
    """Refuses what holds a culprit, and counts what it takes."""

    def reply(sent: Sent) -> Attempt:
        ids = [record["thirdId"] for record in sent.records]
        if CULPRITS & set(map(int, ids)):
            return REFUSED
        taken.update(ids)
        return OK

    return reply


async def imported(journal: Path, transport: ScriptedTransport, **run: Any) -> ImportReport:
    async with journals.client_of(transport, policy=POLICY) as client:
        return await client.run(USERS, journals.people(COUNT), journals.CONFIG, journal=journal, **run)


def numbers(ids: Counter[str]) -> list[int]:
    return sorted(map(int, ids))


@pytest.mark.parametrize("spool", [False, True], ids=["read again", "spooled"])
async def test_a_process_killed_at_any_answer_goes_on_with_what_is_in_no_settled_piece(
    tmp_path: Path, spool: bool
) -> None:
    journal, taken = tmp_path / "journal", Counter[str]()
    copies: list[tuple[Path, Counter[str]]] = []

    def reply(sent: Sent) -> Attempt:
        copy = journals.copied(journal, tmp_path / f"{len(copies)}" / "journal")
        copies.append((copy, Counter(taken)))
        answer: Attempt = platform(taken)(sent)
        return answer

    rejects = tmp_path / "rejects"
    first = await imported(journal, ScriptedTransport(otherwise=reply, delay_s=0.001), spool=spool, rejects=rejects)
    assert (first.accepted, first.rejected) == (len(EXPECTED), len(CULPRITS))
    assert len(copies) > 30
    for copy, before in copies[::4]:
        again = Counter(before)
        transport = ScriptedTransport(otherwise=platform(again), delay_s=0)
        report = await imported(copy, transport, spool=spool, rejects=copy.with_name("rejects"))
        assert journals.adds_up(report).accepted == len(EXPECTED)
        assert (report.rejected, report.unconfirmed) == (len(CULPRITS), 0)
        assert numbers(again) == EXPECTED
        twice = sum(count - 1 for count in again.values())
        assert twice <= report.possible_duplicates
        assert twice <= 2 * 30
        lines = copy.with_name("rejects").read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(CULPRITS)
        resumed = await imported(copy, ScriptedTransport(delay_s=0), spool=spool, rejects=copy.with_name("rejects"))
        assert journals.counts(resumed)["accepted"] == report.accepted


async def test_a_run_that_ends_in_the_middle_of_a_split_gives_back_the_pieces_that_are_left(tmp_path: Path) -> None:
    journal, taken = tmp_path / "journal", Counter[str]()
    transport = ScriptedTransport(otherwise=platform(taken), delay_s=0.001)
    stopped = None
    async with journals.client_of(transport, policy=POLICY) as client:
        outcomes = client.stream(
            USERS, journals.people(COUNT), journals.CONFIG, journal=journal, rejects=tmp_path / "rejects"
        )
        async with outcomes:
            async for _ in outcomes:
                if len(transport.posts) > 12:
                    break
        stopped = outcomes.report
    assert journals.adds_up(stopped).unsent > 0
    known = journals.look(journal)
    assert any(entry.pieces for entry in known.pending)
    assert (
        known.sums.pending == stopped.unsent - (COUNT - stopped.read) + (COUNT - stopped.read) or known.sums.pending > 0
    )
    report = await imported(
        journal, ScriptedTransport(otherwise=platform(taken), delay_s=0), rejects=tmp_path / "rejects"
    )
    assert (report.accepted, report.rejected, report.possible_duplicates) == (len(EXPECTED), len(CULPRITS), 0)
    assert numbers(taken) == EXPECTED
    assert max(taken.values()) == 1


async def test_a_platform_that_refused_everything_is_asked_again_about_all_of_it(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with canary.raises(PlatformRefused):
        await imported(journal, ScriptedTransport(otherwise=REFUSED, delay_s=0))
    report = await imported(journal, ScriptedTransport(delay_s=0))
    assert (report.accepted, report.rejected, report.possible_duplicates) == (COUNT, 0, 0)


async def test_split_batches_are_folded_with_their_groups_and_count_the_same_afterwards(tmp_path: Path) -> None:
    journal, count = tmp_path / "journal", 3 * GROUP
    policy = DispatchPolicy(batch_size=2, max_in_flight=4)
    bad = {str(n) for n in range(1, 2 * count, 50)}

    def reply(sent: Sent) -> Attempt:
        return REFUSED if bad & {record["thirdId"] for record in sent.records} else OK

    async with journals.client_of(ScriptedTransport(otherwise=reply, delay_s=0), policy=policy) as client:
        first = await client.run(USERS, journals.people(2 * count), journals.CONFIG, journal=journal)
    assert first.rejected == len(bad)
    known = journals.look(journal)
    assert (known.sums.accepted, known.sums.rejected) == (2 * count - len(bad), len(bad))
    assert sorted(known.sums.batch_ids) == sorted(first.batch_ids)
    assert known.sums.batches == first.batches == count
    again = ScriptedTransport()
    async with journals.client_of(again, policy=policy) as client:
        second = await client.run(USERS, journals.people(2 * count), journals.CONFIG, journal=journal)
    assert again.posts == []
    assert (second.accepted, second.attempts, second.retries) == (first.accepted, first.attempts, first.retries)


@pytest.mark.parametrize("in_doubt", [False, True], ids=["well", "in doubt"])
async def test_a_run_that_was_asked_to_come_back_in_an_hour_goes_on_with_its_journal(
    tmp_path: Path, in_doubt: bool
) -> None:
    journal, taken = tmp_path / "journal", Counter[str]()
    later = Answer(status=429, body=b"", retry_after="3600")
    script: list[Any] = [OK, REFUSED, later] if in_doubt else [OK, later]
    transport = ScriptedTransport(script=script, otherwise=later, delay_s=0.01)
    with canary.raises(UploadStalled) as stalled:
        await imported(journal, transport)
    assert stalled.value.resume_at is not None
    wait_s = (stalled.value.resume_at - datetime.now(UTC)).total_seconds()
    assert 3500 < wait_s <= 3600
    assert journals.adds_up(stalled.value.report).accepted == 30
    taken.update(record["thirdId"] for record in transport.posts[0].records)
    report = await imported(journal, ScriptedTransport(otherwise=platform(taken), delay_s=0))
    first = {int(record["thirdId"]) for record in transport.posts[0].records}
    assert (report.accepted, report.possible_duplicates) == (len(set(EXPECTED) | first), 0)
    assert max(taken.values()) == 1


@pytest.mark.parametrize("culprits", [{29}, {28, 29}], ids=["one", "two"])
async def test_a_resumed_run_that_has_only_culprits_left_rejects_them(tmp_path: Path, culprits: set[int]) -> None:
    journal = tmp_path / "journal"

    def reply(sent: Sent) -> Attempt:
        return REFUSED if any(int(record["thirdId"]) in culprits for record in sent.records) else OK

    transport = ScriptedTransport(otherwise=reply, delay_s=0)
    async with journals.client_of(transport, policy=POLICY) as client:
        outcomes = client.stream(USERS, journals.people(30), journals.CONFIG, journal=journal)
        async with outcomes:
            async for _ in outcomes:
                if outcomes.report.accepted == 30 - len(culprits):
                    break
    assert outcomes.report.unsent > 0
    again = ScriptedTransport(otherwise=reply, delay_s=0)
    async with journals.client_of(again, policy=POLICY) as client:
        report = await client.run(USERS, journals.people(30), journals.CONFIG, journal=journal)
    assert (report.accepted, report.rejected, report.unsent) == (30 - len(culprits), len(culprits), 0)
    assert len(again.posts) <= 6
