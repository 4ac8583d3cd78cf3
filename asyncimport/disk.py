"""A thread of its own for what a run keeps on disk: the loop hands things over and never waits for the disk.

What is handed over is written in that order, many things together, since a disk that is asked once for each would be
the slowest part of the import. The first error of the disk is the last thing that happens: nothing is tried again.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import frozen

from asyncimport.clock import Bell, Clock
from asyncimport.errors import JournalError

#: Bytes on their way to the disk before the run waits for it: some batches' worth.
MAX_PENDING_BYTES: Final = 8 * 1024 * 1024
#: How long a disk may hold up the end of a run that was cut off, which waits for the source as long; and at least, when that
#: took it all.
PATIENCE_S: Final = 5.0
LEAST_S: Final = 0.5
#: How long a disk may stand still at the end of a run that nobody has cut off: some times what a slow one takes for an fsync.
STALL_S: Final = 30.0
#: Items of a long writing between two signs of progress.
_TELL_EVERY: Final = 5_000
#: Things written together, at most; and how long they gather while nobody waits for them. Each writing costs the loop its
#: lock several times; measured, 10 ms take a third of the journal's cost, and 20 ms no more.
_TOGETHER: Final = 200
_GATHER_S: Final = 0.01

Item = TypeVar("Item")
Found = TypeVar("Found")
Thing_contra = TypeVar("Thing_contra", contravariant=True)


class Book(Protocol[Thing_contra]):
    """What the thread writes into. All of it is called in the thread, `open` first, one of the other two last."""

    def open(self) -> None:
        """Make it, or open what is there."""

    def write(self, things: Sequence[Thing_contra]) -> None:
        """Write, so that it outlives the process."""

    def close(self) -> None:
        """Finish it."""

    def abandon(self) -> None:
        """Let go of it after an error, and write nothing more. Raises nothing."""


@frozen
class _Asked:
    """A question to the book, answered after all that was put before it."""

    question: Callable[[], Any]
    answer: Callable[[Any, BaseException | None], None]


@frozen
class _Called:
    """Something else to be done with the book."""

    what: Callable[[], None]


_Queued = tuple[Item, int] | _Asked | _Called | None


class DiskWriter(Generic[Item]):
    """One book and its thread, for the loop it is opened on."""

    def __init__(
        self,
        name: str,
        book: Book[Item],
        clock: Clock,
        *,
        failed: Callable[[Exception], None],
        written: Callable[[Sequence[Item]], None] = lambda _: None,
    ) -> None:
        self._name = name
        self._book = book
        self._clock = clock
        #: Told the one error after which nothing more is written.
        self._failed = failed
        #: Told what is on the disk.
        self._written = written
        self._bell = Bell(clock)
        self._queue: queue.SimpleQueue[_Queued[Item]] = queue.SimpleQueue()
        #: Set when somebody waits for what was put.
        self._hurry = threading.Event()
        self._pending_bytes = 0
        #: When something was last written.
        self._moved_at = 0.0
        self._is_closing = False
        self.has_ended = False

    async def open(self) -> None:
        """Start the thread and open the book.

        Raises:
            What the book's `open` raises: the thread has ended then.

        Cancellation: the book is closed as soon as it is open.
        """
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = self._loop.create_future()
        threading.Thread(target=self._run, args=(opened,), name=f"asyncimport-{self._name}", daemon=True).start()
        try:
            await opened
        except asyncio.CancelledError:
            self._put_now(None)
            raise

    def put(self, item: Item, size: int = 0) -> None:
        """Hand over what takes so many bytes of memory. Never waits; after the end it goes nowhere."""
        if not self.has_ended:
            self._pending_bytes += size
            self._queue.put((item, size))

    async def ask(self, question: Callable[[], Found]) -> Found:
        """Have a question to the book answered in the thread, after all that was put before.

        Raises:
            What the question raises; JournalError: the writing has ended.

        Cancellation: safe; the answer is dropped.
        """
        if self.has_ended:
            raise _closed()
        future: asyncio.Future[Found] = self._loop.create_future()

        def answer(found: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(found)
            else:
                future.set_exception(error)

        self._put_now(_Asked(question, answer))
        return await future

    def call(self, what: Callable[[], None]) -> None:
        """Have something done in the thread, after all that was put before; what it raises ends the writing."""
        if not self.has_ended:
            self._put_now(_Called(what))

    def _put_now(self, what: _Asked | _Called | None) -> None:
        self._queue.put(what)
        self._hurry.set()

    async def room(self) -> None:
        """Wait while much is on its way to the disk.

        Cancellation: safe.
        """
        while self._pending_bytes > MAX_PENDING_BYTES and not self.has_ended:
            await self._bell.wait()

    def moving(self, items: Iterable[Found]) -> Iterator[Found]:
        """The same items, for the thread: going through them counts as progress of the disk."""
        for number, item in enumerate(items):
            yield item
            if number % _TELL_EVERY == 0:
                self._tell(self._moved)

    def _moved(self) -> None:
        self._moved_at = self._clock.now()

    async def aclose(self, until: float | None) -> bool:
        """Write what is left, and close the book; False when that takes longer than `until` (at least 0.5 s).

        With None it takes as long as it goes on: False only when nothing moves for 30 s.

        Cancellation: what is left is still written unless the process ends.
        """
        if not self._is_closing:
            self._is_closing = True
            self._put_now(None)
        self._moved()
        least = self._clock.now() + LEAST_S
        while not self.has_ended:
            limit = self._moved_at + STALL_S if until is None else max(until, least)
            if self._clock.now() >= limit:
                return False
            await self._bell.wait(limit)
        return True

    async def abandon(self) -> None:
        """Close the book without a word: nothing was begun."""
        await self.aclose(0.0)

    def _run(self, opened: asyncio.Future[None]) -> None:
        """The thread: to the end, or to the first error."""
        try:
            self._book.open()
        except Exception as error:  # noqa: BLE001 -- whatever it is, who opens must hear of it
            self._tell(partial(self._not_opened, opened, error))
            return
        self._tell(partial(_set, opened))
        fault: Exception | None = None
        try:
            while self._write_some():
                pass
            self._book.close()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the run must hear of it
            fault = error
            self._book.abandon()
        self._tell(partial(self._end, fault))

    def _write_some(self) -> bool:
        """Write what waits, and answer what was asked; False at the end."""
        taken = self._taken()
        items: list[Item] = []
        size = 0
        for thing in taken:
            if isinstance(thing, tuple):
                items.append(thing[0])
                size += thing[1]
        try:
            if items:
                self._book.write(items)
        except BaseException:
            self._queue.put(taken[-1])  # a question among them is refused with the others
            raise
        if items:
            self._tell(partial(self._on_disk, items, size))
        match taken[-1]:
            case _Asked() as asked:
                self._answer(asked)
            case _Called(what=what):
                what()
        return taken[-1] is not None

    def _taken(self) -> list[_Queued[Item]]:
        """At least one, up to `_TOGETHER`; whatever is no item is the last of those taken."""
        taken = [self._queue.get()]
        if isinstance(taken[0], tuple):
            self._hurry.wait(_GATHER_S)
        self._hurry.clear()
        with suppress(queue.Empty):
            while isinstance(taken[-1], tuple) and len(taken) < _TOGETHER:
                taken.append(self._queue.get_nowait())
        return taken

    def _answer(self, asked: _Asked) -> None:
        try:
            found = asked.question()
        except Exception as error:  # noqa: BLE001 -- it goes to who asked
            self._tell(partial(asked.answer, None, error))
        else:
            self._tell(partial(asked.answer, found, None))

    def _tell(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            return  # the loop was closed meanwhile: nobody listens any more

    def _on_disk(self, items: Sequence[Item], size: int) -> None:
        self._pending_bytes -= size
        self._moved()
        self._written(items)
        self._bell.ring()

    def _not_opened(self, opened: asyncio.Future[None], error: Exception) -> None:
        self.has_ended = True
        if not opened.done():
            opened.set_exception(error)

    def _end(self, fault: Exception | None) -> None:
        self.has_ended = True
        if fault is not None:
            self._failed(fault)
        self._refuse_questions()
        self._bell.ring()

    def _refuse_questions(self) -> None:
        """Nobody waits for an answer that will not come."""
        with suppress(queue.Empty):
            while True:
                left = self._queue.get_nowait()
                if isinstance(left, _Asked):
                    left.answer(None, _closed())


def _closed() -> JournalError:
    return JournalError("the journal is closed")


def _set(opened: asyncio.Future[None]) -> None:
    if not opened.done():
        opened.set_result(None)
