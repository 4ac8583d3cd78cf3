"""A run from its source to its report, in virtual time over a scripted transport: how it goes and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import canary
import pytest
from scripted import LOST, OK, REFUSED_CONNECTION, ScriptedTransport, Sent, envelope

from asyncimport import (
    USERS,
    Accepted,
    AsyncImportError,
    AuthError,
    ConfigError,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    ImportReport,
    Rejected,
    RetryPolicy,
    Share,
    SourceError,
    StateError,
    TooManyRejected,
    Unconfirmed,
    Unsent,
    UploadStalled,
    UserImportConfig,
    UserProfile,
)
from asyncimport.attempt import Answer, Attempt, Fault, NoAnswer
from asyncimport.limit import MOST
from benchmarks.virtual import run_virtual

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
BAD = {"thirdId": 7, "realName": canary.PERSON}


def people(count: int) -> list[UserProfile]:
    return [UserProfile(third_id=str(n), real_name=canary.PERSON) for n in range(count)]


def client_of(transport: ScriptedTransport, **arguments: Any) -> ImportClient:
    return ImportClient("https://platform.example/api/open", token=canary.TOKEN, transport=transport, **arguments)


def imported(
    transport: ScriptedTransport, source: Any, policy: DispatchPolicy | None = None, **run: Any
) -> ImportReport:
    """Run an import to its end in virtual time; whatever ends it, the counts add up and no task is left."""

    async def main() -> ImportReport:
        async with client_of(transport, policy=policy) as client:
            try:
                report = await client.run(USERS, source, CONFIG, **run)
            finally:
                await asyncio.sleep(0)
                assert [task.get_name() for task in asyncio.all_tasks() if "asyncimport" in task.get_name()] == []
        return report

    report = run_virtual(main())
    adds_up(report)
    return report


def adds_up(report: ImportReport) -> None:
    parts = (report.accepted, report.rejected, report.unconfirmed, report.unsent, report.skipped)
    assert report.in_progress == 0
    assert report.read == sum(parts)


def failed(error: AsyncImportError) -> ImportReport:
    assert error.report is not None
    adds_up(error.report)
    return error.report


def fast(**changes: Any) -> DispatchPolicy:
    return DispatchPolicy(**{"batch_size": 10, "max_in_flight": 4, **changes})


class TestTheWholeWay:
    @pytest.mark.parametrize(
        ("count", "sizes"),
        [(0, []), (1, [1]), (499, [499]), (500, [500]), (501, [500, 1]), (1500, [500, 500, 500])],
    )
    def test_records_travel_in_batches_of_at_most_500(self, count: int, sizes: list[int]) -> None:
        transport = ScriptedTransport()
        report = imported(transport, people(count))
        assert sorted((len(sent.records) for sent in transport.posts), reverse=True) == sizes
        assert sorted(int(record["thirdId"]) for record in transport.records()) == list(range(count))
        assert (report.read, report.accepted, report.batches, report.attempts) == (count, count, len(sizes), len(sizes))
        assert report.ok
        assert report.retries == 0

    def test_the_report_tells_ids_bytes_and_time(self) -> None:
        transport = ScriptedTransport()
        report = imported(transport, people(25), fast())
        assert report.batch_ids.tolist() == [15314513451345123] * 3
        assert report.bytes_sent == sum(len(sent.body) for sent in transport.posts)
        assert report.elapsed_s == pytest.approx(0.01)
        assert report.records_per_s == pytest.approx(2500)

    @pytest.mark.parametrize("width", [1, 3, 8])
    def test_no_more_requests_than_the_width_are_in_flight(self, width: int) -> None:
        transport = ScriptedTransport()
        imported(transport, people(500), DispatchPolicy(batch_size=10, max_in_flight=width))
        assert transport.most_in_flight == width

    def test_a_width_that_is_not_given_is_looked_for(self) -> None:
        transport = ScriptedTransport()
        imported(transport, people(3_000), DispatchPolicy(batch_size=10))
        assert transport.most_in_flight == MOST

    def test_a_full_window_makes_the_source_wait_and_drops_nothing(self) -> None:
        transport = ScriptedTransport()
        report = imported(transport, people(100), fast(batch_size=1, max_in_flight=1))
        assert (report.read, report.accepted) == (100, 100)
        assert [record["thirdId"] for record in transport.records()] == [str(n) for n in range(100)]

    def test_the_report_has_the_course_of_a_width_that_was_found_and_none_of_one_that_was_given(self) -> None:
        report = imported(ScriptedTransport(delay_s=1.0), people(2000), fast(max_in_flight=None))
        assert report.width_course[0] == (0.0, 4)
        assert (1.0, 8) in report.width_course
        assert [width for _, width in report.width_course] == sorted({width for _, width in report.width_course})
        assert report.width_course[-1][1] == 32
        assert "width 4 to 32, 32 at the end" in str(report)
        fixed = imported(ScriptedTransport(delay_s=1.0), people(2000), fast())
        assert (fixed.width_course, "width" in str(fixed)) == ((), False)

    def test_bad_records_are_rejected_with_position_and_reason_and_the_rest_goes_on(self) -> None:
        source = [*people(3), BAD, *people(2), None]
        transport = ScriptedTransport()
        report = imported(transport, source)
        assert (report.accepted, report.rejected) == (5, 2)
        assert [first.position for first in report.first_rejections] == [3, 6]
        assert sum(report.rejected_by_reason.values()) == 2
        assert canary.leaks(str(report) + repr(report)) == []

    def test_outcomes_arrive_one_per_batch_and_one_per_rejection(self) -> None:
        async def main() -> None:
            async with client_of(ScriptedTransport(), policy=fast()) as client:
                async with client.stream(USERS, [*people(15), BAD, *people(10)], CONFIG) as outcomes:
                    seen = [outcome async for outcome in outcomes]
                assert outcomes.report.read == 26
            rejected = [outcome for outcome in seen if isinstance(outcome, Rejected)]
            accepted = [outcome for outcome in seen if isinstance(outcome, Accepted)]
            assert [list(outcome.positions) for outcome in rejected] == [[15]]
            assert sorted(list(outcome.positions) for outcome in accepted) == [
                list(range(10)),
                [10, 11, 12, 13, 14, 16, 17, 18, 19, 20],
                list(range(21, 26)),
            ]
            assert all(outcome.batch_id == 15314513451345123 and outcome.attempts == 1 for outcome in accepted)

        run_virtual(main())

    def test_a_chunk_lingers_no_longer_than_it_should_and_its_source_is_left_alone(self) -> None:
        async def trickle() -> AsyncIterator[UserProfile]:
            for person in people(4):
                yield person
                await asyncio.sleep(3)

        transport = ScriptedTransport()
        report = imported(transport, trickle(), DispatchPolicy(linger_s=5))
        assert report.accepted == 4
        assert [len(sent.records) for sent in transport.posts] == [2, 2]
        assert [sent.at - 1000 for sent in transport.posts] == pytest.approx([5, 11])

    def test_counts_add_up_at_every_moment(self) -> None:
        async def main() -> None:
            client = client_of(ScriptedTransport(script=[LOST, envelope("100999"), OK, LOST]), policy=fast())
            async with client, client.stream(USERS, [*people(95), BAD], CONFIG) as outcomes:
                async for _ in outcomes:
                    now = outcomes.report
                    settled = now.accepted + now.rejected + now.unconfirmed + now.unsent + now.skipped
                    assert now.read == settled + now.in_progress

        run_virtual(main())

    def test_two_imports_of_one_client_share_its_width(self) -> None:
        async def main() -> None:
            transport = ScriptedTransport()
            async with client_of(transport, policy=fast()) as client, asyncio.TaskGroup() as tasks:
                runs = [tasks.create_task(client.run(USERS, people(300), CONFIG)) for _ in range(3)]
            assert [run.result().accepted for run in runs] == [300] * 3
            assert transport.most_in_flight == 4

        run_virtual(main())


class TestRetries:
    def test_an_unanswered_batch_is_sent_again_with_the_same_bytes(self) -> None:
        transport = ScriptedTransport(script=[LOST, LOST])
        report = imported(transport, people(5), fast())
        assert (report.accepted, report.attempts, report.retries, report.possible_duplicates) == (5, 3, 2, 10)
        assert len({sent.body for sent in transport.posts}) == 1

    def test_a_batch_that_stays_unanswered_ends_unconfirmed_after_its_attempts(self) -> None:
        transport = ScriptedTransport(script=[OK], otherwise=LOST)
        report = imported(transport, people(20), fast(max_in_flight=1, retry=RetryPolicy(max_attempts=3)))
        assert (report.accepted, report.unconfirmed, report.attempts) == (10, 10, 4)
        assert report.resume_from == 10
        assert not report.ok

    def test_parking_sends_nothing_twice(self) -> None:
        transport = ScriptedTransport(script=[OK, LOST])
        report = imported(transport, people(30), fast(max_in_flight=1), on_unknown="park")
        assert (report.accepted, report.unconfirmed, report.retries, report.possible_duplicates) == (20, 10, 0, 0)

    def test_a_stale_connection_is_retried_at_once_and_counts_as_unanswered(self) -> None:
        stale = NoAnswer(fault=Fault.CONNECTION_LOST, sent=True, stale=True)
        transport = ScriptedTransport(script=[stale])
        report = imported(transport, people(5), fast(retry=RetryPolicy(max_attempts=1)))
        assert (report.accepted, report.retries, report.possible_duplicates) == (5, 1, 5)
        assert transport.posts[1].at - transport.posts[0].at == pytest.approx(0.01)

    def test_a_batch_that_waits_holds_no_place(self) -> None:
        slow = RetryPolicy(base_s=20, floor_s=10)
        transport = ScriptedTransport(script=[OK, LOST])
        report = imported(transport, people(100), fast(max_in_flight=1, retry=slow))
        assert report.accepted == 100
        assert transport.posts[-1].body == transport.posts[1].body
        assert transport.posts[-2].at - 1000 < 1

    def test_refused_connections_are_not_counted_as_attempts_of_the_batch(self) -> None:
        transport = ScriptedTransport(script=[OK, *[REFUSED_CONNECTION] * 20])
        report = imported(transport, people(20), fast(max_in_flight=1, retry=RetryPolicy(max_attempts=2)))
        assert (report.accepted, report.possible_duplicates) == (20, 0)

    def test_a_refused_record_ends_rejected_alone_with_its_code(self) -> None:
        refused = envelope("100999", msg=f"bad {canary.PERSON} {canary.TOKEN}")
        transport = ScriptedTransport(
            otherwise=lambda sent: refused if any(one["thirdId"] == "13" for one in sent.records) else OK
        )
        report = imported(transport, people(20), fast(max_in_flight=1))
        assert (report.accepted, report.rejected) == (19, 1)
        assert dict(report.rejected_by_reason) == {"refused: code 100999": 1}
        assert canary.leaks(str(report)) == []


class TestPauses:
    def test_nobody_sends_before_retry_after_is_over(self) -> None:
        throttled = Answer(status=429, body=b"", retry_after="7")
        transport = ScriptedTransport(script=[OK] * 8 + [throttled])
        report = imported(transport, people(400), fast(max_in_flight=8))
        assert report.accepted == 400
        told = transport.posts[8].at + transport.delay_s
        later = [sent.at - told for sent in transport.posts[16:]]
        assert min(later) >= 7
        assert max(later[:8]) <= 7 * 1.2 + 0.1
        assert len({round(at, 3) for at in later[:8]}) == 8

    def test_a_pause_longer_than_the_policy_stops_the_run_and_says_when_to_resume(self) -> None:
        transport = ScriptedTransport(script=[OK, Answer(status=503, body=b"", retry_after="86400")])
        with canary.raises(UploadStalled, match="86,400 s") as stalled:
            imported(transport, people(100), fast(max_in_flight=1))
        assert stalled.value.resume_at is not None
        assert stalled.value.resume_at.tzinfo is not None
        report = failed(stalled.value)
        assert (report.accepted, report.unsent) == (10, report.read - 10)
        assert len(transport.posts) == 2

    def test_a_platform_gone_for_good_stops_the_run_within_its_patience(self) -> None:
        transport = ScriptedTransport(script=[OK], otherwise=REFUSED_CONNECTION)
        with canary.raises(UploadStalled, match="accepted nothing for 9") as stalled:
            imported(transport, people(100), fast())
        assert failed(stalled.value).unsent > 0


class TestFirstContact:
    @pytest.mark.parametrize(
        "answer",
        [
            Answer(status=404, body=b"nginx"),
            Answer(status=302, body=b""),
            NoAnswer(fault=Fault.CERTIFICATE, sent=False),
        ],
        ids=["404", "302", "certificate"],
    )
    def test_an_address_that_cannot_be_right_is_said_at_once(self, answer: Attempt) -> None:
        transport = ScriptedTransport(otherwise=answer)
        with canary.raises(ConfigError, match="platform.example has never answered") as wrong:
            imported(transport, people(100), fast())
        assert len(transport.posts) <= 4
        assert failed(wrong.value).accepted == 0

    def test_an_address_that_may_be_right_is_given_its_time(self) -> None:
        transport = ScriptedTransport(otherwise=REFUSED_CONNECTION)
        with canary.raises(ConfigError, match="in 1[5-9]|in 2[0-9]"):
            imported(transport, people(100), fast())
        assert transport.posts[-1].at - transport.posts[0].at >= 14

    def test_a_platform_that_comes_up_in_time_is_waited_for(self) -> None:
        transport = ScriptedTransport(script=[REFUSED_CONNECTION] * 6)
        assert imported(transport, people(100), fast()).accepted == 100


class TestTokens:
    def test_a_token_refused_from_the_start_ends_the_run(self) -> None:
        transport = ScriptedTransport(otherwise=envelope("100200"))
        with canary.raises(AuthError, match="refuses the token") as refused:
            imported(transport, people(100), fast())
        report = failed(refused.value)
        assert report.unsent == report.read > 0
        assert len(transport.posts) <= 4

    def test_a_token_that_expires_is_renewed_once_for_all_in_flight(self) -> None:
        fetched: list[str] = []

        async def token() -> str:
            fetched.append(canary.TOKEN)
            return f"{canary.TOKEN}-{len(fetched)}"

        expired = envelope("100200", status=401)
        transport = ScriptedTransport(script=[OK] * 4 + [expired] * 4)

        async def main() -> ImportReport:
            async with ImportClient(
                "https://platform.example/api", token=token, transport=transport, policy=fast()
            ) as client:
                return await client.run(USERS, people(200), CONFIG)

        report = run_virtual(main())
        assert (report.accepted, report.possible_duplicates) == (200, 0)
        assert len(fetched) == 2


class Broken(Exception):
    """What the user's own code raises."""


class TestEnds:
    def test_a_source_that_raises_is_told_after_what_it_gave_was_sent(self) -> None:
        def source() -> Iterator[UserProfile]:
            yield from people(25)
            raise Broken

        transport = ScriptedTransport()

        async def main() -> None:
            async with client_of(transport, policy=fast()) as client:
                await client.run(USERS, source(), CONFIG)

        with canary.raises(SourceError, match="after 25 records") as lost:
            asyncio.run(main())
        assert isinstance(lost.value.__cause__, Broken)
        assert lost.value.position == 25
        assert failed(lost.value).accepted == 25

    @pytest.mark.parametrize(("limit", "bad", "stops"), [(0, 1, True), (3, 3, False), (3, 4, True)])
    def test_more_rejections_than_allowed_stop_the_run(self, limit: int, bad: int, stops: bool) -> None:
        source = [*[BAD] * bad, *people(2000)]
        if not stops:
            assert imported(ScriptedTransport(), source, fast(), max_rejected=limit).accepted == 2000
            return
        with canary.raises(TooManyRejected, match="thirdId") as many:
            imported(ScriptedTransport(), source, fast(), max_rejected=limit)
        report = failed(many.value)
        assert report.rejected >= limit + 1
        assert report.read < 2000

    def test_a_share_of_rejections_is_judged_at_the_end_too(self) -> None:
        with canary.raises(TooManyRejected):
            imported(ScriptedTransport(), [BAD, *people(9)], fast(), max_rejected=Share(0.05))
        assert imported(ScriptedTransport(), [BAD, *people(99)], fast(), max_rejected=Share(0.05)).rejected == 1

    def test_a_deadline_returns_the_report(self) -> None:
        async def endless() -> AsyncIterator[UserProfile]:
            while True:
                for person in people(10):
                    yield person
                await asyncio.sleep(1)

        report = imported(ScriptedTransport(), endless(), fast(), deadline=10.5)
        assert (report.accepted, report.unsent) == (110, 0)
        assert report.elapsed_s == pytest.approx(10.5, abs=0.1)

    def test_a_deadline_drains_and_gives_up_on_what_hangs(self) -> None:
        async def hang(_sent: Sent) -> Attempt:
            await asyncio.sleep(10_000)
            return OK

        transport = ScriptedTransport(script=[OK, hang, hang])
        report = imported(transport, people(30), fast(), deadline=5)
        assert (report.accepted, report.unconfirmed, report.unsent) == (10, 20, 0)
        assert report.elapsed_s == pytest.approx(15, abs=0.1)

    def test_leaving_a_stream_early_drains_and_leaves_nothing_behind(self) -> None:
        async def main() -> None:
            transport = ScriptedTransport()
            async with client_of(transport, policy=fast()) as client:
                async with client.stream(USERS, people(100_000), CONFIG) as outcomes:
                    async for _ in outcomes:
                        break
                report = outcomes.report
                adds_up(report)
                assert 0 < report.accepted == len(transport.posts) * 10
                assert report.unsent == report.read - report.accepted
                assert transport.in_flight == 0

        run_virtual(main())

    def test_an_exception_of_the_users_leaves_as_itself(self) -> None:
        async def main() -> None:
            transport = ScriptedTransport(delay_s=100)
            async with client_of(transport, policy=fast()) as client:
                with canary.raises(Broken):
                    async with client.stream(USERS, people(1000), CONFIG) as outcomes:
                        await asyncio.sleep(1)
                        raise Broken
                report = outcomes.report
                adds_up(report)
                assert report.unconfirmed == 40
                assert report.elapsed_s == pytest.approx(1)

        run_virtual(main())

    @pytest.mark.parametrize("after_s", [0, 0.005, 0.01, 0.5, 3.0])
    def test_cancelling_a_run_leaves_nothing_behind(self, after_s: float) -> None:
        async def main() -> None:
            transport = ScriptedTransport(delay_s=0.3, script=[LOST, Answer(status=429, body=b"")])
            reports: list[Any] = []
            client = client_of(transport, policy=fast(), observer=reports.append)
            task = asyncio.create_task(client.run(USERS, people(100_000), CONFIG))
            await asyncio.sleep(after_s)
            task.cancel()
            with canary.raises(asyncio.CancelledError):
                await task
            await client.aclose()
            await asyncio.sleep(0)
            assert transport.in_flight == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}
            if reports:
                adds_up(reports[-1].report)

        run_virtual(main())

    def test_a_timeout_around_a_run_is_a_timeout_of_the_outer_scope(self) -> None:
        async def main() -> None:
            async with client_of(ScriptedTransport(delay_s=100), policy=fast()) as client:
                with canary.raises(TimeoutError):
                    async with asyncio.timeout(3):
                        await client.run(USERS, people(1000), CONFIG)

        run_virtual(main())

    def test_cancelling_twice_still_cleans_up(self) -> None:
        async def main() -> None:
            transport = ScriptedTransport(delay_s=100)
            client = client_of(transport, policy=fast())
            task = asyncio.create_task(client.run(USERS, people(1000), CONFIG))
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with canary.raises(asyncio.CancelledError):
                await task
            assert transport.in_flight == 0
            await client.aclose()

        run_virtual(main())

    def test_closing_the_client_ends_its_imports_with_a_clear_error(self) -> None:
        async def main() -> None:
            client = client_of(ScriptedTransport(delay_s=100), policy=fast())
            task = asyncio.create_task(client.run(USERS, people(1000), CONFIG))
            await asyncio.sleep(1)
            await client.aclose()
            await client.aclose()
            with canary.raises(StateError, match="closed while this import was running") as closed:
                await task
            assert failed(closed.value).unconfirmed == 40

        run_virtual(main())

    def test_a_slow_reader_of_outcomes_holds_the_source_back(self) -> None:
        pulled = []

        async def source() -> AsyncIterator[UserProfile]:
            for person in people(100_000):
                pulled.append(person)
                yield person

        async def main() -> None:
            client = client_of(ScriptedTransport(), policy=fast())
            async with client, client.stream(USERS, source(), CONFIG) as outcomes:
                await asyncio.sleep(1000)
                assert len(pulled) <= 4 * 4 * 10 + 1000 + 500 + 10
                assert sum([outcome.count async for outcome in outcomes]) == 100_000

        run_virtual(main())

    def test_an_observer_that_raises_does_not_stop_the_import(self, caplog: pytest.LogCaptureFixture) -> None:
        def observer(_notice: object) -> None:
            raise Broken

        async def main() -> ImportReport:
            async with client_of(ScriptedTransport(), observer=observer) as client:
                return await client.run(USERS, people(10), CONFIG)

        assert run_virtual(main()).accepted == 10
        assert "the observer raised" in caplog.text

    def test_an_unread_batch_is_unsent_and_an_unanswered_one_unconfirmed(self) -> None:
        async def main() -> None:
            slow = RetryPolicy(base_s=20, floor_s=10)
            transport = ScriptedTransport(script=[OK, LOST], delay_s=0.5)
            async with client_of(transport, policy=fast(max_in_flight=1, retry=slow)) as client:
                async with client.stream(USERS, people(1000), CONFIG) as outcomes:
                    await asyncio.sleep(1.2)
                kinds = {type(outcome) async for outcome in outcomes}
                assert kinds == {Accepted, Unconfirmed, Unsent}

        run_virtual(main())
