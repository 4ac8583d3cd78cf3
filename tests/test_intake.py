"""The intake: whose turn it is to put, one step at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from asyncimport.admission import Admits
from asyncimport.clock import SystemClock
from asyncimport.intake import Intake, IntakeReader
from asyncimport.reader import FIRST_HOP
from benchmarks.virtual import run_virtual


class Anything(Admits):
    """Admits whatever comes, as it is."""

    def admit(self, record: Any, position: int, origin: Any = None) -> Any:
        return record

    def admit_all(self, records: Sequence[Any], first: int) -> list[Any]:
        return list(records)

    def of_line(self, line: bytes) -> Any:
        return None


def opened(first: int = 0) -> IntakeReader:
    return Intake().opened(Anything(), SystemClock(), first)


async def put(reader: IntakeReader, record: Any, put: list[Any]) -> None:
    if reader.is_crowded:
        await reader.room()
    if reader.is_open:
        reader.put(reader.admitted(record))
        put.append(record)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_positions_count_on_from_the_first() -> None:
    reader = opened(first=7)
    reader.put({})
    assert (reader.next, reader.position, len(reader._buffer)) == (8, 7, 1)
    reader.take()
    assert (reader.position, len(reader._buffer)) == (8, 0)


def test_nothing_lingers_of_what_was_put_before_a_flush_and_it_is_told_once() -> None:
    reader = opened()
    reader.put({})
    reader.flush()
    reader.put({})
    assert not reader.takes_flush()
    reader.take()
    assert [reader.takes_flush(), reader.takes_flush()] == [True, False]


def test_a_pull_returns_for_a_flush_though_nothing_is_there() -> None:
    async def main() -> None:
        reader = opened()
        pull = asyncio.create_task(reader.pull(None))
        await settle()
        assert not pull.done()
        reader.flush()
        assert await pull == []

    run_virtual(main())


def test_a_record_is_on_disk_when_all_before_it_are_and_never_after_a_stop() -> None:
    async def main() -> None:
        reader = opened()
        waits = [asyncio.create_task(reader.on_disk(position)) for position in range(3)]
        await settle()
        reader.written(2)
        await settle()
        assert [wait.done() for wait in waits] == [True, True, False]
        reader.stop()
        assert [await wait for wait in waits] == [True, True, False]

    run_virtual(main())


#: Put, cancel the oldest or the youngest that waits, or hand a hop over.
STEPS = st.lists(
    st.sampled_from(["put", "put", "put", "cancel first", "cancel last", "take", "let go on"]), max_size=200
)


@given(STEPS)
def test_whoever_waits_puts_in_order_of_arrival_and_never_beyond_the_room(steps: list[str]) -> None:
    async def main() -> None:
        reader = opened()
        done: list[int] = []
        tasks: dict[int, asyncio.Task[None]] = {}
        for number in range(2 * FIRST_HOP):
            reader.put({"number": number})
            done.append(number)
        for number, step in enumerate(steps, len(done)):
            waiting = [task for task in tasks.values() if not task.done()]
            match step:
                case "put":
                    tasks[number] = asyncio.create_task(put(reader, number, done))
                case "cancel first" | "cancel last" if waiting:
                    waiting[0 if step == "cancel first" else -1].cancel()
                case "take":
                    reader.take()
                case _:
                    await settle()
            assert len(reader._buffer) <= reader.ahead
        while any(not task.done() for task in tasks.values()):
            await settle()
            reader.take()
        gone = {number for number, task in tasks.items() if task.cancelled()}
        assert done == sorted(done)
        assert set(tasks) - gone <= set(done)
        assert (reader.waiting, gone & set(done)) == (0, set())

    run_virtual(main())


def test_who_waits_is_let_go_when_the_intake_ends() -> None:
    async def main() -> None:
        reader = opened()
        done: list[int] = []
        tasks = [asyncio.create_task(put(reader, number, done)) for number in range(100)]
        await settle()
        assert (len(reader._buffer), reader.waiting) == (2 * FIRST_HOP, 100 - 2 * FIRST_HOP)
        reader.end()
        await asyncio.wait(tasks)
        assert len(done) == 2 * FIRST_HOP
        assert not reader.is_open
        assert not reader.is_done
        while reader.take():
            pass
        assert (reader.is_done, reader.is_exhausted) == (True, True)

    run_virtual(main())
