"""A sink in other threads: real threads and a real loop."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import canary
import pytest
from scripted import ScriptedTransport

from asyncimport import (
    USERS,
    Accepted,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    StateError,
    UserImportConfig,
    ValidationError,
)
from asyncimport.thread_sink import ThreadSink

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)


def with_thread_sink(transport: ScriptedTransport, body: Callable[[ThreadSink], Any], threads: int = 1) -> None:
    async def main() -> None:
        policy = DispatchPolicy(batch_size=50, max_in_flight=1)
        client = ImportClient(
            "https://platform.example/api/open", token=canary.TOKEN, transport=transport, policy=policy
        )
        async with client, client.open_sink(USERS, CONFIG) as sink:
            await asyncio.gather(*(asyncio.to_thread(body, sink.in_thread()) for _ in range(threads)))

    asyncio.run(main())


def test_threads_put_at_the_same_time_and_nothing_is_lost() -> None:
    transport = ScriptedTransport(delay_s=0.001)

    def body(sink: ThreadSink) -> None:
        name = str(threading.get_ident())
        for number in range(300):
            sink.put({"thirdId": f"{name}-{number}"})

    with_thread_sink(transport, body, threads=4)
    found = [record["thirdId"] for record in transport.records()]
    assert (len(found), len(set(found))) == (1_200, 1_200)


def test_a_thread_puts_many_in_one_step_flushes_and_looks_at_its_receipt() -> None:
    def body(sink: ThreadSink) -> None:
        receipts = sink.put_many({"thirdId": str(number)} for number in range(120))
        sink.flush()
        assert {type(receipt.outcome) for receipt in receipts} == {Accepted}
        with canary.raises(ValidationError, match="thirdId"):
            sink.put({"thirdId": 7})

    with_thread_sink(ScriptedTransport(), body)


def test_on_its_own_loop_it_refuses_since_waiting_would_never_end() -> None:
    async def main() -> None:
        client = ImportClient("https://platform.example/api/open", token=canary.TOKEN, transport=ScriptedTransport())
        async with client, client.open_sink(USERS, CONFIG) as sink:
            in_thread = sink.in_thread()
            with canary.raises(StateError, match="own event loop"):
                in_thread.put({"thirdId": "1"})

    asyncio.run(main())


def test_a_thread_that_goes_on_after_the_sink_hears_that_it_is_closed_or_that_its_loop_has_ended() -> None:
    kept: list[ThreadSink] = []

    async def main() -> None:
        client = ImportClient("https://platform.example/api/open", token=canary.TOKEN, transport=ScriptedTransport())
        async with client, client.open_sink(USERS, CONFIG) as sink:
            kept.append(sink.in_thread())
        with canary.raises(StateError, match="closed"):
            await asyncio.to_thread(kept[0].put, {"thirdId": "1"})

    asyncio.run(main())
    with canary.raises(StateError, match="has ended"):
        kept[0].put({"thirdId": "1"})


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_call_after_a_fork_says_so_and_does_not_wait_for_a_loop_that_does_not_run() -> None:
    def body(sink: ThreadSink) -> None:
        child = multiprocessing.get_context("fork").Process(target=_put_in_child, args=(sink,))
        child.start()
        child.join(10)
        child.kill()
        assert child.exitcode == 0

    with_thread_sink(ScriptedTransport(), body)


def _put_in_child(sink: ThreadSink) -> None:
    try:
        sink.put({"thirdId": "1"})
    except StateError as error:
        os._exit(0 if "fork" in str(error) else 2)
    os._exit(1)


def test_a_thread_that_waits_while_the_loop_ends_is_let_go() -> None:
    loop = asyncio.new_event_loop()

    async def never(_record: Any) -> None:
        await asyncio.sleep(3_600)

    ends: list[str] = []

    def wait() -> None:
        try:
            ThreadSink(loop, put=never, put_many=never, flush=never).put({})
        except StateError as error:
            ends.append(str(error))

    thread = threading.Thread(target=wait)

    async def main() -> None:
        thread.start()
        while len(asyncio.all_tasks()) < 2:  # noqa: ASYNC110 -- until the thread's call has come
            await asyncio.sleep(0.001)

    loop.run_until_complete(main())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    began = time.monotonic()
    loop.close()
    thread.join(5)
    assert ends == ["the event loop of the sink has ended"]
    assert time.monotonic() - began < 3
