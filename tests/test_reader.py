from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import canary
import pytest
from attrs import define

from asyncimport.clock import SystemClock
from asyncimport.errors import ConfigError
from asyncimport.loop_reader import ListReader, LoopReader, TaskReader
from asyncimport.reader import FIRST_HOP, HOP, Reader
from asyncimport.records import UserProfile
from asyncimport.sources import inline
from asyncimport.sources.interruptible import Interruptible
from asyncimport.stages import reader_for
from asyncimport.thread_reader import ThreadReader
from benchmarks.virtual import run_virtual

AHEAD = 2 * HOP


class Copies:
    """An admission that shows what it was given."""

    def admit(self, record: Any, position: int, origin: Any = None) -> Any:
        line = None if origin is None else origin.line_num
        return {"record": dict(record) if isinstance(record, dict) else record, "position": position, "line": line}

    def of_line(self, line: bytes) -> None:
        return None

    def admit_all(self, records: Sequence[Any], first: int) -> list[Any]:
        return [self.admit(record, position) for position, record in enumerate(records, first)]


def open_reader(source: Any, clock: Any = None) -> Reader:
    return reader_for(source, Copies(), clock or SystemClock())


async def drained(reader: Reader) -> list[Any]:
    items: list[Any] = []
    while not reader.is_done:
        items += await reader.pull(None)
    return items


async def records_of(source: Any) -> list[Any]:
    reader = open_reader(source)
    try:
        return [item["record"] for item in await drained(reader)]
    finally:
        assert await reader.aclose() is None


async def agen(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


class Indexed:
    """The old protocol of iteration."""

    def __getitem__(self, index: int) -> int:
        if index >= 3:
            raise IndexError
        return index


@pytest.mark.parametrize("count", [0, 1, HOP - 1, HOP, HOP + 1, 3 * AHEAD + 7])
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda n: list(range(n)), ListReader),
        (lambda n: tuple(range(n)), ListReader),
        (lambda n: inline(iter(range(n))), LoopReader),
        (agen, TaskReader),
        (lambda n: (x for x in range(n)), ThreadReader),
        (range, ThreadReader),
    ],
    ids=["list", "tuple", "inline", "async generator", "generator", "range"],
)
async def test_every_record_comes_once_in_order_with_its_position(count: int, make: Any, kind: type[Reader]) -> None:
    reader = open_reader(make(count))
    assert isinstance(reader, kind)
    items = await drained(reader)
    assert await reader.aclose() is None
    assert [item["record"] for item in items] == list(range(count))
    assert [item["position"] for item in items] == list(range(count))


async def test_no_hop_is_larger_than_a_hop() -> None:
    for source in (list(range(4000)), (x for x in range(4000)), agen(4000)):
        reader = open_reader(source)
        sizes = []
        while not reader.is_done:
            sizes.append(len(await reader.pull(None)))
        assert max(sizes) <= HOP
        await reader.aclose()


async def test_an_object_with_getitem_alone_is_a_source() -> None:
    assert await records_of(Indexed()) == [0, 1, 2]


@pytest.mark.parametrize(
    "source",
    [canary.PERSON, b"bytes", {"thirdId": "1"}, UserProfile(third_id="1"), None, 7],
    ids=["str", "bytes", "dict", "record", "None", "int"],
)
async def test_what_is_no_iterable_of_records_is_refused(source: Any) -> None:
    with canary.raises(ConfigError, match="the source must be an iterable"):
        open_reader(source)


def reused() -> Iterator[dict[str, int]]:
    row: dict[str, int] = {}
    for number in range(2000):
        row["n"] = number
        yield row


async def reused_async() -> AsyncIterator[dict[str, int]]:
    for row in reused():
        yield row


@pytest.mark.parametrize("make", [reused, reused_async, lambda: inline(reused())], ids=["thread", "task", "loop"])
async def test_a_generator_that_reuses_its_dict_mixes_nothing_up(make: Any) -> None:
    assert [row["n"] for row in await records_of(make())] == list(range(2000))


async def test_a_blocking_source_never_blocks_the_loop() -> None:
    pulled, release = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        yield 1
        pulled.set()
        assert release.wait(30)
        yield 2

    reader = open_reader(source())
    first: list[Any] = await reader.pull(None)
    second = asyncio.create_task(drained(reader))
    for _ in range(1000):  # the loop turns while the source blocks
        await asyncio.sleep(0)
    assert not second.done()
    release.set()
    assert [item["record"] for item in first + await second] == [1, 2]
    await reader.aclose()


async def test_a_generator_runs_in_one_thread_of_its_own_in_the_callers_context() -> None:
    variable = contextvars.ContextVar("variable", default="outside")
    variable.set("inside")

    def source() -> Iterator[tuple[int, str]]:
        for _ in range(1500):
            yield threading.get_ident(), variable.get()

    seen = set(await records_of(source()))
    assert len(seen) == 1
    ((thread, context),) = seen
    assert thread != threading.get_ident()
    assert context == "inside"


async def test_an_inline_iterator_stays_in_the_loops_thread() -> None:
    assert set(await records_of(inline(threading.get_ident() for _ in range(10)))) == {threading.get_ident()}


async def test_a_source_is_read_ahead_by_a_bounded_number_of_records() -> None:
    pulled: list[int] = []

    def source() -> Iterator[int]:
        for number in range(10 * AHEAD):
            pulled.append(number)
            yield number

    reader = open_reader(source())
    taken = 0
    for _ in range(5):
        taken += len(await reader.pull(None))
        assert len(pulled) <= taken + AHEAD + 1
    await reader.aclose()
    assert len(pulled) <= taken + AHEAD + 1


class Broken(Exception):
    """What the user's source raises."""


def failing() -> Iterator[int]:
    yield from range(777)
    raise Broken


async def failing_async() -> AsyncIterator[int]:
    for number in failing():
        yield number


@pytest.mark.parametrize("make", [failing, failing_async, lambda: inline(failing())], ids=["thread", "task", "loop"])
async def test_what_a_source_gave_before_it_raised_is_handed_over(make: Any) -> None:
    reader = open_reader(make())
    items = await drained(reader)
    assert len(items) == 777
    assert isinstance(reader.error, Broken)
    await reader.aclose()


@define
class Closing:
    """A source that counts its cleanups."""

    cleanups: int = 0
    thread: int = 0

    def rows(self) -> Iterator[int]:
        self.thread = threading.get_ident()
        try:
            yield from range(10**9)
        finally:
            assert threading.get_ident() == self.thread
            self.cleanups += 1

    async def arows(self) -> AsyncIterator[int]:
        try:
            for number in range(10**9):
                yield number
                await asyncio.sleep(0)
        finally:
            self.cleanups += 1


@pytest.mark.parametrize("kind", ["thread", "task", "loop"])
async def test_a_stop_runs_the_sources_cleanup_once_where_it_was_pulled(kind: str) -> None:
    closing = Closing()
    makers: dict[str, Any] = {"thread": closing.rows, "task": closing.arows, "loop": lambda: inline(closing.rows())}
    reader = open_reader(makers[kind]())
    assert await reader.pull(None)
    assert await reader.aclose() is None
    assert await reader.aclose() is None
    assert closing.cleanups == 1
    assert reader.is_done
    assert await reader.pull(None) == []


@pytest.mark.parametrize(
    "make", [lambda: (x for x in (1,)), lambda: agen(1), lambda: [1]], ids=["thread", "task", "loop"]
)
async def test_a_source_never_pulled_is_closed_at_once(make: Any) -> None:
    reader = open_reader(make())
    assert await reader.aclose() is None


def test_a_task_cancelled_before_its_first_step_is_no_blocked_source() -> None:
    async def main() -> None:
        reader = open_reader(agen(5))
        pulling = asyncio.create_task(reader.pull(None))
        await asyncio.sleep(0)  # the reader's task is made, and has not run
        began = asyncio.get_running_loop().time()
        assert await reader.aclose() is None
        assert asyncio.get_running_loop().time() == began
        assert await pulling == []

    run_virtual(main())


class Hasty(SystemClock):
    """A clock that hurries: sleeping is over at once."""

    def __init__(self) -> None:
        self.skipped_s = 0.0

    def now(self) -> float:
        return super().now() + self.skipped_s

    async def sleep(self, delay_s: float) -> None:
        self.skipped_s += delay_s


async def test_a_pull_that_stays_blocked_is_left_behind_and_said() -> None:
    blocked, release = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        yield 1
        blocked.set()
        release.wait(30)

    reader = open_reader(source(), Hasty())
    assert len(await reader.pull(None)) == 1
    await asyncio.to_thread(blocked.wait, 30)
    assert await reader.aclose() == 5.0
    release.set()


def test_an_async_source_slower_than_the_linger_is_never_cancelled() -> None:
    cancelled = []

    async def slow() -> AsyncIterator[int]:
        for number in range(3):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(number)
                raise
            yield number

    async def main() -> None:
        reader, clock = open_reader(slow()), SystemClock()
        items: list[Any] = []
        empty = 0
        while not reader.is_done:
            pulled = await reader.pull(clock.now() + 5)
            empty += not pulled
            items += pulled
        await reader.aclose()
        assert [item["record"] for item in items] == [0, 1, 2]
        assert empty >= 3 * (60 // 5 - 1)

    run_virtual(main())
    assert cancelled == []


async def test_an_async_source_that_outlives_its_cancellation_is_still_closed() -> None:
    closed = 0

    async def stubborn() -> AsyncIterator[int]:
        nonlocal closed
        try:
            for number in range(10**9):
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    continue
                yield number
        finally:
            closed += 1

    reader = open_reader(stubborn())
    assert await reader.pull(None)
    assert await reader.aclose() is None
    assert closed == 1


class Lines:
    """An iterator with lines, as csv.reader has them."""

    def __init__(self) -> None:
        self.line_num = 0

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        if self.line_num >= 30:
            raise StopIteration
        self.line_num += 3
        return "row"


async def test_the_lines_of_a_file_travel_with_its_records() -> None:
    reader = open_reader(Lines())
    assert [item["line"] for item in await drained(reader)] == list(range(3, 31, 3))
    await reader.aclose()


async def test_an_inline_source_that_raises_in_its_cleanup_is_told_as_any_other() -> None:
    class Unclosable:
        def __iter__(self) -> Unclosable:
            return self

        def __next__(self) -> int:
            raise StopIteration

        def close(self) -> None:
            raise Broken

    reader = open_reader(inline(Unclosable()))
    await drained(reader)
    assert await reader.aclose() is None
    assert isinstance(reader.error, Broken)


async def test_a_source_left_behind_was_not_read_to_its_end() -> None:
    blocked, release = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        yield 1
        blocked.set()
        release.wait(30)

    reader = open_reader(source(), Hasty())
    await reader.pull(None)
    await asyncio.to_thread(blocked.wait, 30)
    assert await reader.aclose() == 5.0
    assert not reader.is_exhausted
    release.set()


class Pipe(Interruptible):
    """A source whose pull waits until somebody writes, or interrupts it."""

    def __init__(self, *, ends: bool = False) -> None:
        self.wakes = threading.Event()
        self.pulled = threading.Event()
        self.interrupts = 0
        self._ends = ends

    def __iter__(self) -> Pipe:
        return self

    def __next__(self) -> str:
        self.pulled.set()
        assert self.wakes.wait(30)
        if self._ends:
            raise StopIteration
        raise Broken

    def interrupt(self) -> None:
        self.interrupts += 1
        self.wakes.set()


@pytest.mark.parametrize("ends", [False, True], ids=["raises", "looks like the end"])
async def test_a_pull_that_waits_for_a_pipe_ends_with_the_run(ends: bool) -> None:
    pipe = Pipe(ends=ends)
    reader = open_reader(pipe)
    pulling = asyncio.create_task(reader.pull(None))
    await asyncio.to_thread(pipe.pulled.wait, 30)
    assert await reader.aclose() is None  # and not 5 s later, left behind
    assert await pulling == []
    assert pipe.interrupts >= 1
    assert not reader.is_exhausted
    assert reader.error is None


async def test_a_stop_that_comes_before_the_source_was_opened_interrupts_it_too() -> None:
    class Slow(Pipe):
        opening, opened = threading.Event(), threading.Event()

        def __iter__(self) -> Pipe:
            self.opening.set()
            assert self.opened.wait(30)
            return self

    pipe = Slow()
    reader = open_reader(pipe)
    pulling = asyncio.create_task(reader.pull(None))
    await asyncio.to_thread(pipe.opening.wait, 30)
    reader.stop()
    pipe.opened.set()
    assert await reader.aclose() is None
    assert await pulling == []
    assert pipe.interrupts == 1


async def test_an_iterator_of_a_users_own_is_not_interrupted() -> None:
    class Theirs:
        interrupts = 0

        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            return 1

        def interrupt(self) -> None:
            Theirs.interrupts += 1

    reader = open_reader(Theirs())
    assert await reader.pull(None)
    await reader.aclose()
    assert Theirs.interrupts == 0


async def test_a_source_that_has_ended_is_not_interrupted() -> None:
    pipe = Pipe(ends=True)
    pipe.wakes.set()
    reader = open_reader(pipe)
    await drained(reader)
    await reader.aclose()
    assert pipe.interrupts == 0
    assert reader.is_exhausted


class Preempted(ThreadReader):
    """Its thread is held up where the scheduler may hold it: after it found a hop full, before it says so."""

    def __init__(self, *arguments: Any) -> None:
        self.resume = threading.Event()
        super().__init__(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_notice_at" and threading.current_thread().name == "asyncimport-source":
            assert self.resume.wait(30)
        super().__setattr__(name, value)


async def test_a_thread_held_up_before_it_speaks_is_still_heard_at_the_next_record() -> None:
    go_on, end = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        yield from range(FIRST_HOP)
        assert go_on.wait(30)
        yield FIRST_HOP
        assert end.wait(30)

    reader = Preempted(source(), Copies(), SystemClock())
    taken = len(await reader.pull(None))
    assert taken == FIRST_HOP
    pulling = asyncio.create_task(reader.pull(None))
    await asyncio.sleep(0.05)  # past the moment a hop is waited for: the loop now listens for one record
    reader.resume.set()
    await asyncio.sleep(0.05)
    go_on.set()
    try:
        assert len(await asyncio.wait_for(pulling, 5)) == 1
    finally:
        end.set()
    await reader.aclose()
