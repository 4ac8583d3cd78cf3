"""Ends of a run that a review found to hang, to lose a count or to say the wrong thing. Each is a case that once failed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from enum import StrEnum
from typing import Any

import canary
import pytest
from scripted import LOST, OK, REFUSED_CONNECTION, ScriptedTransport, Sent, envelope

from asyncimport import (
    USERS,
    AuthError,
    ConfigError,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    ImportReport,
    RetryPolicy,
    SourceError,
    StateError,
    Unsent,
    UploadStalled,
    UserImportConfig,
    UserProfile,
)
from asyncimport.attempt import Answer, Attempt
from asyncimport.observer import NoBatchId, Paused
from benchmarks.virtual import run_virtual

URL = "https://platform.example/api/open"
CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)


def people(count: int) -> list[UserProfile]:
    return [UserProfile(third_id=str(n), real_name=canary.PERSON) for n in range(count)]


def client_of(transport: ScriptedTransport, **arguments: Any) -> ImportClient:
    arguments.setdefault("token", canary.TOKEN)
    arguments.setdefault("policy", DispatchPolicy(batch_size=10, max_in_flight=4))
    return ImportClient(URL, transport=transport, **arguments)


def adds_up(report: ImportReport | None) -> ImportReport:
    assert report is not None
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    assert (report.in_progress, report.read) == (0, settled)
    return report


def test_closing_the_client_before_a_runs_first_step_ends_it() -> None:
    async def main() -> None:
        client = client_of(ScriptedTransport())
        task = asyncio.create_task(client.run(USERS, people(100), CONFIG))
        await asyncio.sleep(0)
        await client.aclose()
        with canary.raises(StateError, match="closed while") as closed:
            await asyncio.wait_for(task, 60)
        assert adds_up(closed.value.report).read == 0

    run_virtual(main())


def test_a_token_callable_that_is_cancelled_by_its_own_does_not_end_a_worker() -> None:
    calls = 0

    async def token() -> str:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise asyncio.CancelledError
        return canary.TOKEN

    async def main() -> None:
        async with client_of(ScriptedTransport(), token=token) as client:
            report = await asyncio.wait_for(client.run(USERS, people(100), CONFIG), 600)
        assert report.accepted == 100

    run_virtual(main())


def test_a_transport_that_cancels_from_inside_ends_the_run_with_an_error() -> None:
    def cancelled(_sent: Sent) -> Attempt:
        raise asyncio.CancelledError

    async def main() -> None:
        async with client_of(ScriptedTransport(script=[OK, cancelled])) as client:
            with canary.raises(StateError, match="cancelled from inside") as ended:
                await asyncio.wait_for(client.run(USERS, people(100), CONFIG), 600)
        adds_up(ended.value.report)

    run_virtual(main())


class CancelsAtItsEnd:
    """An async iterator whose aclose cancels a helper of its own and awaits it."""

    def __init__(self) -> None:
        self.left = 20

    def __aiter__(self) -> CancelsAtItsEnd:
        return self

    async def __anext__(self) -> UserProfile:
        self.left -= 1
        if self.left < 0:
            raise StopAsyncIteration
        return UserProfile(third_id=str(self.left))

    async def aclose(self) -> None:
        helper = asyncio.create_task(asyncio.sleep(100))
        await asyncio.sleep(0)
        helper.cancel()
        await helper


def test_an_async_source_that_is_cancelled_in_its_own_cleanup_ends() -> None:
    async def main() -> None:
        async with client_of(ScriptedTransport()) as client:
            with canary.raises(SourceError) as lost:
                await asyncio.wait_for(client.run(USERS, CancelsAtItsEnd(), CONFIG), 60)
        assert adds_up(lost.value.report).accepted == 20

    run_virtual(main())


def test_an_async_sources_cleanup_is_not_interrupted() -> None:
    ends: list[str] = []

    async def source() -> AsyncIterator[UserProfile]:
        try:
            while True:
                yield UserProfile(third_id="1")
                await asyncio.sleep(0.1)
        finally:
            await asyncio.sleep(0.5)
            ends.append("clean")

    async def main() -> None:
        async with client_of(ScriptedTransport()) as client:
            adds_up(await client.run(USERS, source(), CONFIG, deadline=3))

    run_virtual(main())
    assert ends == ["clean"]


def test_a_pause_of_a_day_ends_every_run_of_the_client() -> None:
    async def main() -> None:
        throttled = Answer(status=503, body=b"", retry_after="86400")
        async with client_of(ScriptedTransport(script=[OK, throttled])) as client:
            first, second = (asyncio.create_task(client.run(USERS, people(500), CONFIG)) for _ in range(2))
            for task in (first, second):
                with canary.raises(UploadStalled) as stalled:
                    await asyncio.wait_for(task, 60)
                assert stalled.value.resume_at is not None
                adds_up(stalled.value.report)
            with canary.raises(UploadStalled):
                await asyncio.wait_for(client.run(USERS, people(5), CONFIG), 60)

    run_virtual(main())


class breaking:  # noqa: N801 -- an iterator
    """Numbers for some batches, and then a failure in the middle of a hop, as a lack of memory is."""

    def __init__(self, kind: type[Exception], good: int) -> None:
        self.kind, self.good, self.number = kind, good, 0

    def __iter__(self) -> breaking:
        return self

    def __next__(self) -> int:
        self.number += 1
        if self.number > self.good:
            raise self.kind
        return self.number


@pytest.mark.parametrize("count", [505, 195], ids=["in a hop", "at the end"])
@pytest.mark.parametrize("kind", [MemoryError, RuntimeError])
def test_a_failure_while_batches_are_made_leaves_every_record_counted(kind: type[Exception], count: int) -> None:
    async def main() -> None:
        unsent = 0
        async with client_of(ScriptedTransport()) as client:
            with canary.raises(kind):
                async with client.stream(USERS, people(count), CONFIG) as outcomes:
                    outcomes._running().stages.encoder.numbers = breaking(kind, count // 10 if count < 500 else 20)
                    async for outcome in outcomes:
                        unsent += outcome.count if isinstance(outcome, Unsent) else 0
            report = adds_up(outcomes.report)
            assert report.unsent == unsent == report.read - report.accepted - report.unconfirmed > 0

    run_virtual(main())


def test_a_source_error_is_told_even_when_the_run_stopped_for_another_reason() -> None:
    def source() -> Iterator[UserProfile]:
        yield from people(60)
        raise ZeroDivisionError

    async def main() -> None:
        async with client_of(ScriptedTransport(delay_s=0.3)) as client:
            with canary.raises(SourceError) as lost:
                await client.run(USERS, source(), CONFIG, deadline=0.5)
        assert isinstance(lost.value.__cause__, ZeroDivisionError)
        assert not adds_up(lost.value.report).ok

    asyncio.run(main())


def test_a_run_that_did_not_read_its_source_to_the_end_is_not_ok() -> None:
    async def source() -> AsyncIterator[UserProfile]:
        for person in people(1000):
            yield person
            await asyncio.sleep(0.1)

    async def main() -> None:
        async with client_of(ScriptedTransport()) as client:
            report = adds_up(await client.run(USERS, source(), CONFIG, deadline=5))
            assert not report.source_ended
            assert not report.ok
            assert report.resume_from == report.accepted >= report.read - 1
            whole = adds_up(await client.run(USERS, people(10), CONFIG))
            assert (whole.source_ended, whole.ok, whole.resume_from) == (True, True, None)

    run_virtual(main())


@pytest.mark.parametrize("steps", range(0, 40, 3))
def test_closing_the_client_while_a_stream_is_left_is_clean(steps: int) -> None:
    async def main() -> None:
        client = client_of(ScriptedTransport(delay_s=0.2))

        async def leaving() -> None:
            async with client.stream(USERS, people(1000), CONFIG) as outcomes:
                async for _ in outcomes:
                    break
            adds_up(outcomes.report)

        task = asyncio.create_task(leaving())
        await asyncio.sleep(0.2)
        for _ in range(steps):
            await asyncio.sleep(0)
        await client.aclose()
        with contextlib.suppress(StateError):
            await asyncio.wait_for(task, 60)

    run_virtual(main())


def test_idle_time_and_earlier_runs_do_not_use_up_the_patience() -> None:
    async def main() -> None:
        quick = DispatchPolicy(batch_size=10, max_in_flight=1, retry=RetryPolicy(max_attempts=1))
        transport = ScriptedTransport(script=[OK, LOST, envelope("500", status=500), OK])
        async with client_of(transport, policy=quick) as client:
            assert adds_up(await client.run(USERS, people(20), CONFIG)).unconfirmed == 10
            await asyncio.sleep(3600)
            assert adds_up(await client.run(USERS, people(20), CONFIG)).unconfirmed == 10

    run_virtual(main())


def test_a_first_contact_is_waited_for_anew_in_each_run() -> None:
    async def main() -> None:
        transport = ScriptedTransport(otherwise=REFUSED_CONNECTION)
        async with client_of(transport) as client:
            for _ in range(2):
                began = asyncio.get_running_loop().time()
                with canary.raises(ConfigError, match="never answered"):
                    await client.run(USERS, people(20), CONFIG)
                waited_s = asyncio.get_running_loop().time() - began
                assert 14.9 <= waited_s <= 15.5

    run_virtual(main())


def test_a_small_run_beside_a_large_one_gets_its_turn() -> None:
    async def main() -> None:
        async with client_of(ScriptedTransport(delay_s=0.1)) as client, asyncio.TaskGroup() as tasks:
            large = tasks.create_task(client.run(USERS, people(20_000), CONFIG))
            await asyncio.sleep(1)
            small = await client.run(USERS, people(40), CONFIG)
            assert small.elapsed_s < 1
            assert not large.done()

    run_virtual(main())


def test_a_token_that_cannot_be_had_is_named_as_such() -> None:
    async def token() -> str:
        raise LookupError

    async def main() -> None:
        async with client_of(ScriptedTransport(), token=token) as client:
            with canary.raises(ConfigError, match="no token could be had in 15 s.*LookupError"):
                await client.run(USERS, people(20), CONFIG)

    run_virtual(main())


def test_a_slow_renewal_ahead_holds_nobody_up() -> None:
    calls = 0

    async def token() -> str:
        nonlocal calls
        calls += 1
        if calls > 1:
            await asyncio.sleep(100)
        return f"{canary.TOKEN}-{calls}"

    async def main() -> None:
        transport = ScriptedTransport()
        async with client_of(transport, token=token) as client:
            await client.run(USERS, people(10), CONFIG)
            await asyncio.sleep(7200 * 0.9)
            began = asyncio.get_running_loop().time()
            report = await client.run(USERS, people(1000), CONFIG)
            assert report.accepted == 1000
            early = [sent for sent in transport.posts[1:] if sent.at < began + 50]
            assert len(early) >= 90

    run_virtual(main())


def test_a_missing_batch_id_is_told_once() -> None:
    heard: list[Any] = []

    async def main() -> None:
        async with client_of(ScriptedTransport(otherwise=envelope()), observer=heard.append) as client:
            report = await client.run(USERS, people(100), CONFIG)
        assert (report.accepted, len(report.batch_ids)) == (100, 0)

    run_virtual(main())
    assert len([notice for notice in heard if isinstance(notice, NoBatchId)]) == 1


def test_what_was_cut_off_is_said_to_be() -> None:
    async def main() -> None:
        client = client_of(ScriptedTransport(delay_s=1000))
        async with client, client.stream(USERS, people(20), CONFIG, deadline=1) as outcomes:
            reasons = {outcome.reason async for outcome in outcomes}
        assert reasons == {"cut off"}

    run_virtual(main())


def test_a_slow_source_in_a_thread_is_heard_at_each_record() -> None:
    """The thread may be held up between its look at the buffer and its word to the loop: then it speaks all the same."""
    asked = threading.Semaphore(0)

    def source() -> Iterator[UserProfile]:
        for person in people(30):
            assert asked.acquire(timeout=30)
            yield person

    async def main() -> None:
        policy = DispatchPolicy(batch_size=1, max_in_flight=1)
        async with client_of(ScriptedTransport(delay_s=0), policy=policy) as client:
            asked.release()
            async with client.stream(USERS, source(), CONFIG) as outcomes:
                async for _ in outcomes:
                    asked.release()
        assert outcomes.report.accepted == 30

    asyncio.run(main())


def test_large_records_are_cut_and_pulled_in_smaller_numbers() -> None:
    async def main() -> None:
        big = [UserProfile(third_id=str(n), remark="x" * 100_000) for n in range(1500)]
        transport = ScriptedTransport()
        client = client_of(transport, policy=DispatchPolicy())
        async with client, client.stream(USERS, big, CONFIG) as outcomes:
            settled = sum([outcome.count async for outcome in outcomes])
        parts = outcomes._running()
        assert settled == 1500
        assert all(len(sent.body) <= 1_000_000 for sent in transport.posts)
        assert parts.stages.chunker.size <= 9
        assert parts.stages.reader.hop <= 9
        assert sum(len(sent.records) for sent in transport.posts) == 1500

    run_virtual(main())


def test_pauses_are_told_and_a_refused_app_is_an_auth_error() -> None:
    heard: list[Any] = []

    async def main() -> None:
        script = [Answer(status=429, body=b"", retry_after="2")]
        async with client_of(ScriptedTransport(script=script), observer=heard.append) as client:
            await client.run(USERS, people(10), CONFIG)
        denied = envelope("100300", status=403)
        async with client_of(ScriptedTransport(otherwise=denied)) as client:
            with canary.raises(AuthError, match="permissions"):
                await client.run(USERS, people(10), CONFIG)

    run_virtual(main())
    assert [notice.pause_s for notice in heard if isinstance(notice, Paused)] == [2.0]


def test_an_async_source_that_makes_an_end_of_its_cancellation_was_not_read_to_its_end() -> None:
    async def polite() -> AsyncIterator[UserProfile]:
        try:
            for person in people(1000):
                yield person
                await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            return

    async def main() -> None:
        async with client_of(ScriptedTransport()) as client:
            report = adds_up(await client.run(USERS, polite(), CONFIG, deadline=5))
        assert (report.source_ended, report.ok) == (False, False)

    run_virtual(main())


class Key(StrEnum):
    """Names of columns, as some code bases keep them."""

    THIRD_ID = "thirdId"
    REAL_NAME = "real_name"


def test_keys_that_are_members_of_an_enum_are_names_like_others() -> None:
    source = [{Key.THIRD_ID: str(n), Key.REAL_NAME: "x"} for n in range(20)]
    transport = ScriptedTransport()

    async def main() -> None:
        async with client_of(transport) as client:
            assert (await client.run(USERS, source, CONFIG)).accepted == 20

    run_virtual(main())
    assert {"thirdId": "7", "realName": "x"} in transport.records()


def test_late_runs_get_their_turn_at_a_small_width() -> None:
    async def main() -> None:
        narrow = DispatchPolicy(batch_size=1, max_in_flight=2)
        async with client_of(ScriptedTransport(delay_s=0.1), policy=narrow) as client, asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(client.run(USERS, people(100), CONFIG))
            await asyncio.sleep(1)
            late = [tasks.create_task(client.run(USERS, people(4), CONFIG)) for _ in range(2)]
        assert all(run.result().elapsed_s < 2 for run in late)

    run_virtual(main())


def test_a_run_that_meets_a_shut_gate_ends_at_once() -> None:
    async def main() -> None:
        throttled = Answer(status=503, body=b"", retry_after="86400")
        async with client_of(ScriptedTransport(script=[OK, throttled])) as client:
            for count in (500, 5):
                began = asyncio.get_running_loop().time()
                with canary.raises(UploadStalled):
                    await client.run(USERS, people(count), CONFIG)
                assert asyncio.get_running_loop().time() - began < 1

    run_virtual(main())


def test_quiet_time_beside_another_open_run_uses_up_no_patience() -> None:
    async def main() -> None:
        one_try = DispatchPolicy(batch_size=1, max_in_flight=1, linger_s=0.1, retry=RetryPolicy(max_attempts=1))

        async def now_and_then(first_s: float) -> AsyncIterator[UserProfile]:
            await asyncio.sleep(first_s)
            for person in people(3):
                yield person
                await asyncio.sleep(1200)

        failing = envelope("500", status=500)
        transport = ScriptedTransport(script=[OK, failing, OK, failing, failing, failing])
        async with client_of(transport, policy=one_try) as client, asyncio.TaskGroup() as tasks:
            runs = [tasks.create_task(client.run(USERS, now_and_then(s), CONFIG)) for s in (0, 10)]
        assert sum(adds_up(run.result()).unconfirmed for run in runs) == 4

    run_virtual(main())


def test_an_admission_that_breaks_leaves_the_source_unread() -> None:
    class BreakingList(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            raise MemoryError

    async def main() -> None:
        async with client_of(ScriptedTransport()) as client:
            with canary.raises(MemoryError):
                async with client.stream(USERS, BreakingList([1]), CONFIG) as outcomes:
                    async for _ in outcomes:
                        pass
            assert (outcomes.report.ok, outcomes.report.source_ended) == (False, False)

    run_virtual(main())
