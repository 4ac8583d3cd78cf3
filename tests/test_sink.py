"""The live sink, in virtual time over a scripted transport: what a put promises, and how a sink is left."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import canary
import pytest
from scripted import LOST, OK, REFUSED_CONNECTION, ScriptedTransport, Sent, envelope

from asyncimport import (
    USERS,
    Accepted,
    AuthError,
    ConfigError,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    Rejected,
    RetryPolicy,
    StateError,
    TooManyRejected,
    Unconfirmed,
    Unsent,
    UserImportConfig,
    UserProfile,
    ValidationError,
)
from asyncimport.attempt import Answer
from asyncimport.sink import Sink
from benchmarks.virtual import run_virtual

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
BAD = {"thirdId": 7, "realName": canary.PERSON}


def person(number: int) -> UserProfile:
    return UserProfile(third_id=str(number), real_name=canary.PERSON)


def ids(transport: ScriptedTransport) -> list[str]:
    return [record["thirdId"] for record in transport.records()]


def client_of(transport: ScriptedTransport, **arguments: Any) -> ImportClient:
    return ImportClient("https://platform.example/api/open", token=canary.TOKEN, transport=transport, **arguments)


def with_sink(
    transport: ScriptedTransport,
    body: Callable[[Sink], Awaitable[None]],
    *,
    run: Callable[[Coroutine[Any, Any, Sink]], Sink] = run_virtual,
    policy: DispatchPolicy | None = None,
    **options: Any,
) -> Sink:
    """Run `body` inside of a sink; afterwards the counts add up and no task is left."""
    sinks: list[Sink] = []

    async def main() -> Sink:
        try:
            client = client_of(transport, policy=policy)
            async with client, client.open_sink(USERS, CONFIG, **options) as sink:
                sinks.append(sink)
                await body(sink)
        finally:
            await asyncio.sleep(0)
            assert [task.get_name() for task in asyncio.all_tasks() if "asyncimport" in task.get_name()] == []
            adds_up(sinks[0])
        return sink

    return run(main())


def adds_up(sink: Sink) -> None:
    now = sink.statistics()
    assert now.put == now.buffered + now.read
    assert now.read == (now.accepted + now.rejected + now.unconfirmed + now.unsent + now.skipped + now.in_progress)


def test_what_was_put_is_sent_in_order_when_the_block_is_left() -> None:
    transport = ScriptedTransport()

    async def body(sink: Sink) -> None:
        for number in range(1_234):
            await sink.put(person(number))

    sink = with_sink(transport, body)
    assert ids(transport) == [str(number) for number in range(1_234)]
    assert (sink.report.accepted, sink.report.ok, sink.undelivered) == (1_234, True, ())


def test_a_receipt_tells_what_became_of_its_record_as_often_as_it_is_asked() -> None:
    async def body(sink: Sink) -> None:
        receipt = await sink.put(person(1))
        assert receipt.outcome is None
        outcome = await receipt
        assert isinstance(outcome, Accepted)
        assert (receipt.position, list(outcome.positions)) == (0, [0])
        assert await receipt is receipt.outcome is outcome

    with_sink(ScriptedTransport(), body)


def test_receipts_of_one_batch_share_one_outcome_and_cost_no_future_each() -> None:
    async def body(sink: Sink) -> None:
        receipts = [await sink.put(person(number)) for number in range(500)]
        outcomes = {id(await receipt) for receipt in receipts}
        assert len(outcomes) == 1
        assert len({id(receipt._page) for receipt in receipts}) == 1

    with_sink(ScriptedTransport(), body)


def test_a_chunk_leaves_when_its_first_record_has_lingered() -> None:
    transport = ScriptedTransport()

    async def body(sink: Sink) -> None:
        began = asyncio.get_running_loop().time()
        await sink.put(person(1))
        await asyncio.sleep(0.3)
        await sink.put(person(2))
        await asyncio.sleep(0.3)
        assert [len(sent.records) for sent in transport.posts] == [2]
        assert transport.posts[0].at == pytest.approx(began + 0.5, abs=0.01)

    with_sink(transport, body, linger=0.5)


def test_flush_sends_what_lingers_and_returns_when_all_that_was_put_is_settled() -> None:
    transport = ScriptedTransport(delay_s=0.2)

    async def body(sink: Sink) -> None:
        await sink.flush()  # of nothing
        for number in range(700):
            await sink.put(person(number))
        began = asyncio.get_running_loop().time()
        await sink.flush()
        assert (sink.statistics().accepted, sink.statistics().in_progress) == (700, 0)
        assert asyncio.get_running_loop().time() - began < 1
        assert (await sink.put_many(map(person, range(3)))).positions[0] == 700
        await sink.flush()
        assert sink.statistics().accepted == 703

    with_sink(transport, body, linger=3_600.0)


def test_a_put_waits_while_the_platform_is_slow_and_nothing_is_dropped() -> None:
    transport = ScriptedTransport(delay_s=5.0)
    policy = DispatchPolicy(batch_size=10, max_in_flight=1, drain_s=1_000.0)

    async def body(sink: Sink) -> None:
        most = 0
        async with asyncio.TaskGroup() as tasks:
            for number in range(4_000):
                tasks.create_task(_put(sink, number))
            for _ in range(100):
                await asyncio.sleep(10)
                now = sink.statistics()
                most = max(most, now.put - now.accepted)
                assert now.waiting + now.put == 4_000
        assert 1_000 < most < 2_000  # two hops that are buffered, one that is cut, and a window of four batches

    sink = with_sink(transport, body, policy=policy)
    assert ids(transport) == [str(number) for number in range(4_000)]
    assert sink.report.accepted == 4_000


async def _put(sink: Sink, number: int) -> None:
    await sink.put(person(number))


def test_puts_that_wait_go_on_in_the_order_in_which_they_came() -> None:
    transport = ScriptedTransport(delay_s=1.0)
    policy = DispatchPolicy(batch_size=50, max_in_flight=1, drain_s=1_000.0)

    async def body(sink: Sink) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(3_000):
                tasks.create_task(_put(sink, number))

    with_sink(transport, body, policy=policy)
    assert ids(transport) == [str(number) for number in range(3_000)]


def test_a_put_that_is_cancelled_while_it_waits_is_not_taken_and_lets_the_next_one_through() -> None:
    transport = ScriptedTransport(delay_s=1.0)
    policy = DispatchPolicy(batch_size=50, max_in_flight=1, drain_s=1_000.0)

    async def body(sink: Sink) -> None:
        puts = [asyncio.create_task(_put(sink, number)) for number in range(3_000)]
        await asyncio.sleep(0.5)
        waiting = [number for number, put in enumerate(puts) if not put.done()]
        assert len(waiting) > 1_000
        for number in waiting[::2]:
            puts[number].cancel()
        await asyncio.wait(puts)
        gone = {number for number, put in enumerate(puts) if put.cancelled()}
        assert gone == set(waiting[::2])
        await sink.flush()
        assert ids(transport) == [str(number) for number in range(3_000) if number not in gone]

    with_sink(transport, body, policy=policy)


REFUSED = {
    "wrong type": (BAD, r"record 1 was not taken: data\[1\]\.thirdId: got int"),
    "unknown key": ({"thirdId": "1", "surname": "x"}, "surname"),
    "no record": (7, "record"),
    "lone surrogate": ({"thirdId": "\ud800"}, "surrogate"),
    "too large": ({"thirdId": "1", "remark": "x" * 1_100_000}, "too_large"),
}


@pytest.mark.parametrize(("record", "said"), REFUSED.values(), ids=REFUSED)
def test_a_record_that_is_refused_raises_at_its_put_and_counts_as_rejected(record: Any, said: str) -> None:
    transport = ScriptedTransport()

    async def body(sink: Sink) -> None:
        await sink.put(person(0))
        with canary.raises(ValidationError, match=said) as caught:
            await sink.put(record)
        assert caught.value.problems
        await sink.put(person(2))

    sink = with_sink(transport, body)
    assert ids(transport) == ["0", "2"]
    assert (sink.report.read, sink.report.accepted, sink.report.rejected) == (3, 2, 1)


def test_a_refused_record_is_in_the_file_of_rejects_and_told_to_the_hook(tmp_path: Path) -> None:
    told: list[Rejected] = []

    async def body(sink: Sink) -> None:
        with canary.raises(ValidationError):
            await sink.put(BAD)

    with_sink(ScriptedTransport(), body, run=asyncio.run, rejects=tmp_path / "rejects", on_reject=told.append)
    assert len((tmp_path / "rejects").read_text(encoding="utf-8").splitlines()) == len(told) == 1


def test_put_many_takes_any_iterable_and_a_refused_record_costs_its_neighbours_nothing() -> None:
    transport = ScriptedTransport()

    async def later() -> AsyncIterator[Any]:
        for number in (10, 11):
            yield person(number)

    async def body(sink: Sink) -> None:
        receipts = await sink.put_many([person(0), BAD, person(2)])
        assert (len(receipts), list(receipts.positions)) == (3, [0, 1, 2])
        assert [type(outcome) for outcome in await receipts] == [Accepted, Rejected]
        assert [type(await receipt) for receipt in receipts] == [Accepted, Rejected, Accepted]
        assert list((await sink.put_many(later())).positions) == [3, 4]
        assert await (await sink.put_many([])) == ()

    with_sink(transport, body)
    assert ids(transport) == ["0", "2", "10", "11"]


def test_a_generator_whose_records_are_not_taken_any_more_is_closed() -> None:
    closed: list[str] = []

    async def endless() -> AsyncIterator[Any]:
        try:
            while True:
                yield person(1)
                await asyncio.sleep(1)
        finally:
            closed.append("closed")

    async def body(sink: Sink) -> None:
        with canary.raises(StateError, match="closed"):
            await sink.put_many(endless())
        assert closed == ["closed"]

    assert with_sink(ScriptedTransport(), body, deadline=2.5).report.read == 3


def test_put_many_of_two_tasks_at_once_tells_each_its_own_positions() -> None:
    policy = DispatchPolicy(batch_size=5, max_in_flight=1, drain_s=100.0)

    async def body(sink: Sink) -> None:
        first, second = await asyncio.gather(*(sink.put_many(map(person, range(100))) for _ in range(2)))
        assert sorted([*first.positions, *second.positions]) == list(range(200))
        assert (len(first), len(second)) == (100, 100)
        assert {type(outcome) for outcome in await first} == {Accepted}

    with_sink(ScriptedTransport(), body, policy=policy)


def test_a_fatal_error_is_raised_by_every_later_put_and_by_leaving() -> None:
    transport = ScriptedTransport(otherwise=envelope("100200", status=401))

    async def body(sink: Sink) -> None:
        receipt = await sink.put(person(0))
        assert isinstance(await receipt, Unsent)
        with canary.raises(AuthError):
            await sink.put(person(1))
        await asyncio.sleep(1)
        for _ in range(2):
            with canary.raises(AuthError) as caught:
                await sink.put(person(1))
            assert caught.value.report is not None
        with canary.raises(AuthError):
            await sink.flush()

    with canary.raises(AuthError):
        with_sink(transport, body, linger=0.1)


def test_puts_that_wait_for_room_hear_of_the_error_that_ends_the_run() -> None:
    async def refused(sent: Sent) -> Answer:
        await asyncio.sleep(10)
        return envelope("100200", status=401)

    async def body(sink: Sink) -> None:
        puts = [asyncio.create_task(_put(sink, number)) for number in range(3_000)]
        await asyncio.wait(puts)
        kinds = {type(put.exception()) for put in puts}
        assert kinds == {type(None), AuthError}
        taken = sum(put.exception() is None for put in puts)
        assert taken == sink.statistics().put

    with canary.raises(AuthError):
        with_sink(ScriptedTransport(otherwise=refused), body, policy=DispatchPolicy(batch_size=5, max_in_flight=1))


def test_max_rejected_ends_a_sink_too() -> None:
    async def body(sink: Sink) -> None:
        for _ in range(4):
            with canary.raises((ValidationError, TooManyRejected)):
                await sink.put(BAD)
            await asyncio.sleep(0.1)

    with canary.raises(TooManyRejected):
        with_sink(ScriptedTransport(), body, max_rejected=2)


def test_a_sink_that_ends_at_its_deadline_says_so_at_the_next_put() -> None:
    async def body(sink: Sink) -> None:
        await sink.put(person(0))
        await asyncio.sleep(60)
        with canary.raises(StateError, match="closed"):
            await sink.put(person(1))

    sink = with_sink(ScriptedTransport(), body, deadline=10.0)
    assert (sink.report.accepted, sink.report.read) == (1, 1)


def hangs(after: int) -> Callable[[Sent], Awaitable[Answer]]:
    """A platform that takes so many batches and then answers no more."""
    left = [after]

    async def reply(sent: Sent) -> Answer:
        left[0] -= 1
        if left[0] < 0:
            await asyncio.sleep(1e6)
        return OK

    return reply


def test_leaving_drains_up_to_its_deadline_and_hands_back_exactly_what_is_not_delivered() -> None:
    transport = ScriptedTransport(otherwise=hangs(after=2))
    policy = DispatchPolicy(batch_size=10, max_in_flight=2, drain_s=3.0)
    began = [0.0]

    async def body(sink: Sink) -> None:
        await sink.put_many(map(person, range(75)))
        began[0] = asyncio.get_running_loop().time()

    ended: list[float] = []

    def run(main: Coroutine[Any, Any, Sink]) -> Sink:
        async def timed() -> Sink:
            sink = await main
            ended.append(asyncio.get_running_loop().time())
            return sink

        return run_virtual(timed())

    sink = with_sink(transport, body, run=run, policy=policy)
    assert ended[0] - began[0] == pytest.approx(3.0, abs=0.1)
    assert (sink.report.accepted, sink.report.unconfirmed, sink.report.unsent) == (20, 20, 35)
    back = sink.undelivered
    assert [one.position for one in back] == list(range(20, 75))
    assert [one.record["thirdId"] for one in back if one.record] == [str(number) for number in range(20, 75)]
    assert {one.state for one in back[:20]} == {"unconfirmed"}
    assert {one.state for one in back[20:]} == {"unsent"}
    assert canary.PERSON not in repr(back)


def test_what_was_handed_back_can_be_put_again() -> None:
    hung = ScriptedTransport(otherwise=hangs(after=0))
    policy = DispatchPolicy(batch_size=10, max_in_flight=1, drain_s=0.1)

    async def fill(sink: Sink) -> None:
        await sink.put_many(map(person, range(25)))

    back = with_sink(hung, fill, policy=policy).undelivered
    transport = ScriptedTransport()

    async def again(sink: Sink) -> None:
        await sink.put_many(one.record for one in back)

    with_sink(transport, again)
    assert ids(transport) == [str(number) for number in range(25)]


def test_leaving_by_an_exception_does_not_wait_and_hands_back_what_was_in_flight() -> None:
    transport = ScriptedTransport(otherwise=hangs(after=1))
    sinks: list[Sink] = []

    async def body(sink: Sink) -> None:
        sinks.append(sink)
        await sink.put_many(map(person, range(25)))
        await asyncio.sleep(1)
        raise LookupError("the caller's own")

    with canary.raises(LookupError):
        with_sink(transport, body, policy=DispatchPolicy(batch_size=10, max_in_flight=1))
    (sink,) = sinks
    assert (sink.report.accepted, sink.report.unconfirmed, sink.report.unsent) == (10, 10, 5)
    assert [one.position for one in sink.undelivered] == list(range(10, 25))


def test_records_given_up_while_the_sink_was_open_are_handed_back_too() -> None:
    transport = ScriptedTransport(script=[OK], otherwise=LOST)
    policy = DispatchPolicy(batch_size=2, max_in_flight=1, retry=RetryPolicy(max_attempts=2))

    async def body(sink: Sink) -> None:
        receipts = await sink.put_many(map(person, range(4)))
        assert [type(outcome) for outcome in await receipts] == [Accepted, Unconfirmed]

    sink = with_sink(transport, body, policy=policy)
    assert [(one.position, one.state) for one in sink.undelivered] == [(2, "unconfirmed"), (3, "unconfirmed")]


def test_cancelling_the_wait_at_the_end_cuts_off_what_is_in_flight() -> None:
    transport = ScriptedTransport(otherwise=hangs(after=0))

    async def main() -> Sink:
        async with client_of(transport, policy=DispatchPolicy(batch_size=10, max_in_flight=1)) as client:
            opened: list[Sink] = []

            async def import_it() -> None:
                async with client.open_sink(USERS, CONFIG) as sink:
                    opened.append(sink)
                    await sink.put_many(map(person, range(15)))

            task = asyncio.create_task(import_it())
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            return opened[0]

    sink = run_virtual(main())
    adds_up(sink)
    assert [one.position for one in sink.undelivered] == list(range(15))


def test_closing_the_client_ends_its_sinks() -> None:
    async def main() -> None:
        client = client_of(ScriptedTransport(otherwise=hangs(after=0)))
        with canary.raises(StateError, match="the client was closed"):
            async with client.open_sink(USERS, CONFIG, linger=0.1) as sink:
                await sink.put(person(0))
                await asyncio.sleep(1)
                await client.aclose()
                with canary.raises(StateError, match="the client was closed"):
                    await sink.put(person(1))

    run_virtual(main())


def test_a_sink_is_used_inside_its_block_once() -> None:
    async def main() -> None:
        async with client_of(ScriptedTransport()) as client:
            sink = client.open_sink(USERS, CONFIG)
            for use in (sink.put(person(0)), sink.put_many([person(0)]), sink.flush()):
                with canary.raises(StateError, match="closed"):
                    await use
            with canary.raises(StateError):
                sink.statistics()
            async with sink:
                receipt = await sink.put(person(0))
            for use in (sink.put(person(0)), sink.put_many([person(0)]), sink.flush()):
                with canary.raises(StateError, match="closed"):
                    await use
            with canary.raises(StateError, match="closed"):
                sink.in_thread()
            assert isinstance(await receipt, Accepted)
            with canary.raises(StateError, match="used before"):
                await sink.__aenter__()

    run_virtual(main())


def test_a_put_from_another_event_loop_says_what_to_use() -> None:
    async def main() -> None:
        async with client_of(ScriptedTransport()) as client, client.open_sink(USERS, CONFIG) as sink:
            receipt = await sink.put(person(0))

            async def elsewhere() -> None:
                with canary.raises(StateError, match="in_thread"):
                    await sink.put(person(1))
                with canary.raises(StateError, match="in_thread"):
                    await receipt

            await asyncio.to_thread(asyncio.run, elsewhere())
            await sink.flush()
            assert sink.statistics().put == 1

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_put_after_a_fork_says_so() -> None:
    async def main() -> None:
        async with client_of(ScriptedTransport()) as client, client.open_sink(USERS, CONFIG) as sink:
            child = multiprocessing.get_context("fork").Process(target=_put_in_child, args=(sink,))
            child.start()
            await asyncio.to_thread(child.join, 20)
            assert child.exitcode == 0

    asyncio.run(main())


def _put_in_child(sink: Sink) -> None:
    asyncio.set_event_loop(None)
    try:
        sink.put(person(0)).send(None)
    except StateError as error:
        os._exit(0 if "fork" in str(error) else 2)
    os._exit(1)


@pytest.mark.parametrize("linger", [0, -1.0, "1", True, float("nan")])
def test_linger_takes_seconds_above_0(linger: Any) -> None:
    with canary.raises(ConfigError, match="linger takes seconds above 0"):
        client_of(ScriptedTransport()).open_sink(USERS, CONFIG, linger=linger)


def test_a_journal_without_a_spool_is_refused_because_nobody_could_give_the_records_again(tmp_path: Path) -> None:
    with canary.raises(ConfigError, match="spool=True"):
        client_of(ScriptedTransport()).open_sink(USERS, CONFIG, journal=tmp_path / "journal")


def test_a_sink_waits_for_a_platform_that_is_not_there_yet() -> None:
    transport = ScriptedTransport(script=[REFUSED_CONNECTION] * 12)

    async def body(sink: Sink) -> None:
        assert isinstance(await (await sink.put(person(0))), Accepted)

    with_sink(transport, body)


def test_a_spooled_record_is_on_disk_before_its_put_returns_and_the_next_sink_sends_it(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    policy = DispatchPolicy(batch_size=10, max_in_flight=1, drain_s=0.05)
    hung = ScriptedTransport(otherwise=hangs(after=1))

    async def fill(sink: Sink) -> None:
        await sink.put_many(map(person, range(10)))
        await sink.flush()
        with canary.raises(ValidationError):
            await sink.put(BAD)
        for number in range(11, 36):
            await sink.put(person(number))

    first = with_sink(hung, fill, run=asyncio.run, policy=policy, journal=journal, spool=True)
    assert (first.report.accepted, first.report.rejected, first.undelivered) == (10, 1, ())
    assert first.report.read == 36

    transport = ScriptedTransport()

    async def go_on(sink: Sink) -> None:
        assert (await sink.put(person(36))).position == 36

    second = with_sink(transport, go_on, run=asyncio.run, journal=journal, spool=True)
    assert sorted(ids(transport), key=int) == [str(number) for number in range(11, 37)]
    assert (second.report.read, second.report.accepted, second.report.rejected) == (37, 36, 1)
    assert second.report.ok is False  # one was rejected

    third = with_sink(ScriptedTransport(), go_on_from(37), run=asyncio.run, journal=journal, spool=True)
    assert (third.report.read, third.report.accepted, third.statistics().put) == (38, 37, 38)


def test_receipts_and_flush_of_a_sink_that_sends_what_one_before_it_left_wait_for_their_own(tmp_path: Path) -> None:
    journal, policy = tmp_path / "journal", DispatchPolicy(batch_size=10, drain_s=0.05)

    async def leave(sink: Sink) -> None:
        await sink.put_many(map(person, range(100)))

    hung = ScriptedTransport(otherwise=hangs(after=0))
    with_sink(hung, leave, run=asyncio.run, policy=policy, journal=journal, spool=True)

    async def go_on(sink: Sink) -> None:
        receipts = await sink.put_many(map(person, range(100, 500)))
        await sink.flush()
        assert {type(receipt.outcome) for receipt in receipts} == {Accepted}
        assert len(await asyncio.wait_for(receipts, 5)) >= 40

    sink = with_sink(
        ScriptedTransport(delay_s=0.001), go_on, run=asyncio.run, policy=policy, journal=journal, spool=True
    )
    assert sink.report.accepted == 500


def test_statistics_add_up_while_records_are_on_their_way_to_the_disk(tmp_path: Path) -> None:
    async def body(sink: Sink) -> None:
        put = asyncio.create_task(sink.put(person(0)))
        while not put.done():
            adds_up(sink)
            await asyncio.sleep(0)
        assert (await put).position == 0

    with_sink(ScriptedTransport(), body, run=asyncio.run, journal=tmp_path / "journal", spool=True)


def test_a_record_that_the_platform_refuses_is_settled_though_nothing_is_put_after_it() -> None:
    def choosy(sent: Sent) -> Answer:
        return envelope("100999", msg="no") if any(record["thirdId"] == "1" for record in sent.records) else OK

    async def body(sink: Sink) -> None:
        await (await sink.put(person(0)))
        receipt = await sink.put(person(1))
        async with asyncio.timeout(60):
            await sink.flush()
            assert isinstance(await receipt, Rejected)

    with_sink(ScriptedTransport(otherwise=choosy), body)


def go_on_from(position: int) -> Callable[[Sink], Awaitable[None]]:
    async def body(sink: Sink) -> None:
        assert (await sink.put(person(position))).position == position
        await sink.flush()

    return body


def test_a_flush_of_a_sink_that_goes_on_waits_for_all_that_was_put_too(tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    async def fill(sink: Sink) -> None:
        await sink.put_many(map(person, range(36)))

    with_sink(ScriptedTransport(), fill, run=asyncio.run, journal=journal, spool=True)

    async def go_on(sink: Sink) -> None:
        await sink.put_many(map(person, range(36, 600)))
        await sink.flush()
        assert sink.statistics().accepted == 600

    policy = DispatchPolicy(batch_size=20, max_in_flight=1)
    with_sink(ScriptedTransport(delay_s=0.01), go_on, run=asyncio.run, journal=journal, spool=True, policy=policy)


def test_many_spooled_puts_at_once_share_their_way_to_the_disk(tmp_path: Path) -> None:
    transport = ScriptedTransport()

    async def body(sink: Sink) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(2_000):
                tasks.create_task(_put(sink, number))

    sink = with_sink(transport, body, run=asyncio.run, journal=tmp_path / "journal", spool=True)
    assert (sink.report.accepted, sink.report.ok) == (2_000, True)
    assert sorted(ids(transport), key=int) == [str(number) for number in range(2_000)]
