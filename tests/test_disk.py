"""The disk's thread: in order, many at once, and the first error is the last thing that happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import canary
import pytest

from asyncimport.clock import SystemClock
from asyncimport.disk import MAX_PENDING_BYTES, DiskWriter
from asyncimport.errors import ConfigError, JournalError


class Shelf:
    """A book in memory, which a test can hold up and break."""

    def __init__(self, *, fails_to_open: bool = False, fails_at: int | None = None) -> None:
        self.groups: list[list[int]] = []
        self.said: list[str] = []
        self.is_free = threading.Event()
        self.is_free.set()
        self.asked = threading.Event()
        self._fails_to_open, self._fails_at = fails_to_open, fails_at

    def open(self) -> None:
        self.said.append(f"open in {threading.current_thread().name}")
        assert self.is_free.wait(30)
        if self._fails_to_open:
            raise ConfigError("it cannot be made")

    def write(self, things: Sequence[int]) -> None:
        self.asked.set()
        assert self.is_free.wait(30)
        if self._fails_at in things:
            raise JournalError("the disk is full")
        self.groups.append(list(things))

    def close(self) -> None:
        self.said.append("close")

    def abandon(self) -> None:
        self.said.append("abandon")

    @property
    def written(self) -> list[int]:
        return [thing for group in self.groups for thing in group]


def writer_of(shelf: Shelf, failures: list[Exception], **more: Any) -> DiskWriter[int]:
    return DiskWriter("shelf", shelf, SystemClock(), failed=failures.append, **more)


async def closed(writer: DiskWriter[int]) -> bool:
    return await writer.aclose(SystemClock().now() + 30)


async def test_everything_is_written_in_order_by_a_thread_of_its_own() -> None:
    shelf, told = Shelf(), list[int]()
    writer = writer_of(shelf, [], written=told.extend)
    await writer.open()
    for number in range(1_000):
        writer.put(number)
    assert await closed(writer)
    assert shelf.written == told == list(range(1_000))
    assert len(shelf.groups) < 1_000
    assert shelf.said == ["open in asyncimport-shelf", "close"]


async def test_a_question_is_answered_after_all_that_was_put_before_it() -> None:
    shelf = Shelf()
    writer = writer_of(shelf, [])
    await writer.open()
    for number in range(500):
        writer.put(number)
    assert await writer.ask(lambda: len(shelf.written)) == 500
    with canary.raises(LookupError):
        await writer.ask(lambda: dict[str, str]()["nothing"])
    writer.put(500)
    assert await closed(writer)
    assert shelf.written == list(range(501))


async def test_the_first_error_is_told_once_and_nothing_is_tried_again() -> None:
    shelf, failures = Shelf(fails_at=3), list[Exception]()
    writer = writer_of(shelf, failures)
    await writer.open()
    shelf.is_free.clear()
    for number in range(3):
        writer.put(number)
    asking = asyncio.create_task(writer.ask(lambda: "an answer"))
    await asyncio.sleep(0)
    writer.put(3)
    late = asyncio.create_task(writer.ask(lambda: "never"))
    await asyncio.sleep(0)
    shelf.is_free.set()
    assert await asking == "an answer"
    with canary.raises(JournalError, match="closed"):
        await late
    writer.put(4)
    with canary.raises(JournalError, match="closed"):
        await writer.ask(lambda: "never")
    assert await closed(writer)
    assert [str(failure) for failure in failures] == ["the disk is full"]
    assert shelf.said[1:] == ["abandon"]
    assert shelf.written == [0, 1, 2]


async def test_what_is_called_in_the_thread_ends_the_writing_when_it_raises() -> None:
    shelf, failures = Shelf(), list[Exception]()
    writer = writer_of(shelf, failures)
    await writer.open()
    writer.put(1)
    writer.call(lambda: shelf.said.append(f"called after {shelf.written}"))
    writer.call(lambda: shelf.said.remove("nothing of the kind"))
    writer.put(2)
    assert await closed(writer)
    assert shelf.said[1:] == ["called after [1]", "abandon"]
    assert [type(failure) for failure in failures] == [ValueError]


async def test_a_book_that_cannot_be_opened_says_why_to_who_opens_it() -> None:
    failures = list[Exception]()
    writer = writer_of(Shelf(fails_to_open=True), failures)
    with canary.raises(ConfigError, match="cannot be made"):
        await writer.open()
    assert failures == []
    assert await closed(writer)


async def test_a_cancellation_while_it_opens_closes_it_again() -> None:
    shelf = Shelf()
    shelf.is_free.clear()
    writer = writer_of(shelf, [])
    opening = asyncio.create_task(writer.open())
    await asyncio.sleep(0)
    opening.cancel()
    with canary.raises(asyncio.CancelledError):
        await opening
    shelf.is_free.set()
    for thread in threading.enumerate():
        if thread.name == "asyncimport-shelf":
            await asyncio.to_thread(thread.join, 30)
    assert shelf.said[1:] == ["close"]


async def test_who_hands_over_much_waits_for_the_disk() -> None:
    shelf = Shelf()
    writer = writer_of(shelf, [])
    await writer.open()
    shelf.is_free.clear()
    writer.put(1, MAX_PENDING_BYTES)
    await writer.room()
    writer.put(2, 1)
    waiting = asyncio.create_task(writer.room())
    await asyncio.to_thread(shelf.asked.wait, 30)
    assert not waiting.done()
    shelf.is_free.set()
    await waiting
    assert await closed(writer)


async def test_a_disk_that_takes_too_long_is_not_waited_for() -> None:
    shelf = Shelf()
    writer = writer_of(shelf, [])
    await writer.open()
    shelf.is_free.clear()
    writer.put(1)
    assert not await writer.aclose(0.0)
    shelf.is_free.set()
    assert await closed(writer)
    assert shelf.written == [1]


@pytest.mark.parametrize("wakes", [True, False])
def test_a_disk_that_wakes_after_the_loop_has_gone_harms_nobody(*, wakes: bool) -> None:
    shelf = Shelf(fails_at=None if wakes else 1)

    async def main() -> None:
        writer = writer_of(shelf, [])
        await writer.open()
        shelf.is_free.clear()
        writer.put(1)
        await writer.aclose(0.0)

    asyncio.run(main())
    (thread,) = [each for each in threading.enumerate() if each.name == "asyncimport-shelf"]
    shelf.is_free.set()
    thread.join(30)
    assert not thread.is_alive()  # and no exception in it, which would be a warning, and warnings are errors
