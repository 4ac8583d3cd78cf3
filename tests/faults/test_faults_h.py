"""FAULTS.md part H, half-applied and repeated batches: one test a row, its id in the name. H2 and H7 are in test_course.py."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import canary
import journals
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import LOST, OK, REFUSED_CONNECTION, ScriptedTransport, Sent, envelope
from wire import http, says, tcp_server

from asyncimport import (
    EVENTS,
    USERS,
    Accepted,
    BatchOutcome,
    DispatchPolicy,
    Event,
    EventImportConfig,
    Identity,
    ImportClient,
    ImportMode,
    ImportReport,
    PlatformRefused,
    RetryPolicy,
    Timeouts,
    UserImportConfig,
    UserProfile,
)
from asyncimport.attempt import Answer, Attempt
from asyncimport.emulator import Emulator, PartialCommit
from benchmarks.virtual import run_virtual

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
QUICK = RetryPolicy(base_s=0.01, cap_s=0.05, floor_s=0.001)
REFUSED = envelope("40001", msg="known already")
BROKEN = Answer(status=500, body=b"")


def people(count: int) -> list[UserProfile]:
    return [UserProfile(third_id=f"{n}", real_name=canary.PERSON) for n in range(count)]


def adds_up(report: ImportReport) -> ImportReport:
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    assert (report.in_progress, report.read) == (0, settled)
    return report


def imported(transport: ScriptedTransport, count: int, **policy: Any) -> tuple[ImportReport, list[BatchOutcome]]:
    """An import in virtual time, and its outcomes."""
    outcomes: list[BatchOutcome] = []

    async def main() -> ImportReport:
        given = DispatchPolicy(**{"batch_size": 10, "max_in_flight": 4, **policy})
        client = ImportClient("https://p.example/api", token=canary.TOKEN, transport=transport, policy=given)
        async with client, client.stream(USERS, people(count), CONFIG) as stream:
            outcomes.extend([outcome async for outcome in stream])
        return stream.report

    return adds_up(run_virtual(main())), outcomes


@pytest.mark.breakage("course: change the bytes of a batch that waits")
async def test_h1_a_half_applied_batch_is_sent_again_whole_with_the_same_keys_and_counted() -> None:
    phone = [Identity(identity_type="phone", identity_value=f"138{n:08}") for n in range(500)]
    source = [Event(identities=[one], event_key="c_buy") for one in phone]
    async with Emulator() as platform:
        platform.faults.script([PartialCommit(first=250)])
        async with ImportClient(platform.url, token=platform.token, policy=DispatchPolicy(retry=QUICK)) as client:
            report = adds_up(await client.run(EVENTS, source, EventImportConfig()))
        ledger = platform.ledger.events
        assert (report.accepted, ledger.distinct, ledger.duplicates) == (500, 500, 250)
        assert report.possible_duplicates == 500
        assert len({request.body_digest for request in ledger.batches}) == 1


Answers = st.lists(st.sampled_from([OK, LOST, BROKEN, REFUSED_CONNECTION, REFUSED]), max_size=60)


@pytest.mark.breakage("plan: leave a batch twice among the ready ones")
@settings(max_examples=60)
@given(answers=Answers, width=st.integers(1, 6), count=st.integers(1, 120))
def test_h3_no_record_is_ever_in_two_requests_at_the_same_time_or_in_two_outcomes(
    answers: list[Attempt], width: int, count: int
) -> None:
    under_way, script = Counter[str](), iter(answers)

    async def reply(sent: Sent) -> Attempt:
        ids = [record["thirdId"] for record in sent.records]
        under_way.update(ids)
        assert max(under_way.values()) == 1
        await asyncio.sleep(0.3)
        under_way.subtract(ids)
        return next(script, OK)

    outcomes: list[BatchOutcome] = []
    try:
        _, outcomes = imported(ScriptedTransport(otherwise=reply), count, max_in_flight=width, first_contact_s=None)
    except PlatformRefused:
        return
    seen = Counter(position for outcome in outcomes for position in outcome.positions)
    assert seen == Counter(range(count))


@pytest.mark.breakage("retry: send an accepted batch again")
async def test_h4_an_answer_that_comes_after_the_timeout_is_ignored_and_one_outcome_is_told() -> None:
    late = asyncio.Event()

    async def too_late(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: bytes) -> None:
        await asyncio.sleep(0.5)
        writer.write(http(b'{"code":"200","errorCode":"SUCCESS","msg":"ok","data":1}'))
        late.set()

    policy = DispatchPolicy(retry=QUICK, timeouts=Timeouts(read_s=0.2))
    in_time = says(http(b'{"code":"200","errorCode":"SUCCESS","msg":"ok","data":2}'))
    async with tcp_server(too_late, in_time) as server:
        async with ImportClient(server.url, token=canary.TOKEN, policy=policy) as client:
            outcomes = [one async for one in _streamed(client, 10)]
            await late.wait()
        assert [(type(one), one.batch_id, one.attempts) for one in outcomes] == [(Accepted, 2, 2)]
        assert server.connections == len(server.requests) == 2


async def _streamed(client: ImportClient, count: int) -> Any:
    async with client.stream(USERS, people(count), CONFIG) as stream:
        async for outcome in stream:
            yield outcome


@pytest.mark.breakage("retry: send an accepted batch again")
def test_h5_the_first_answer_that_can_be_trusted_counts() -> None:
    script: list[Attempt] = [LOST, envelope(data=1), envelope(data=2)]
    report, outcomes = imported(ScriptedTransport(script=script), 20, max_in_flight=1)
    assert sorted(report.batch_ids) == [1, 2]
    assert [type(outcome) for outcome in outcomes] == [Accepted, Accepted]
    assert report.possible_duplicates == 10


@pytest.mark.breakage("retry: take a refusal after an unanswered attempt as accepted")
def test_h5_a_repeated_batch_that_is_refused_is_refused() -> None:
    answers = iter([LOST])

    def reply(sent: Sent) -> Attempt:
        if any(int(record["thirdId"]) < 2 for record in sent.records):
            return next(answers, REFUSED)
        return OK

    report, _ = imported(ScriptedTransport(otherwise=reply), 40)
    assert (report.rejected, report.accepted, report.possible_duplicates) == (2, 38, 10)


@pytest.mark.breakage("recut: count nothing of what may have been sent")
async def test_h6_a_crash_between_commit_and_acknowledgement_costs_one_copy_of_each_batch_in_flight(
    tmp_path: Path,
) -> None:
    journal, taken = tmp_path / "journal", Counter[str]()
    copies: list[tuple[Path, Counter[str]]] = []

    def reply(sent: Sent) -> Attempt:
        taken.update(record["thirdId"] for record in sent.records)
        copies.append((journals.copied(journal, tmp_path / f"{len(copies)}" / "journal"), Counter(taken)))
        return OK

    await journals.imported(journals.people(200), journal, ScriptedTransport(otherwise=reply, delay_s=0.03))
    for copy, before in copies[::3]:
        transport = ScriptedTransport(delay_s=0)
        report = await journals.imported(journals.people(200), copy, transport)
        again = before + Counter(journals.third_ids(transport))
        assert journals.adds_up(report).accepted == len(again) == 200
        assert max(again.values()) <= 2
        assert again.total() - 200 <= 2 * 4 * 10  # in flight, and answered but not yet on disk
        assert again.total() - 200 <= report.possible_duplicates
