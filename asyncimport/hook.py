"""`before_send`: the user's own function sees each record as its source gave it, and says what is admitted in its place.

It is called once a record, in the order of the source, one call at a time, before anything is checked. None skips the
record. An exception is a mistake about one record and rejects that one, by the exception's class: its message may hold data.
What is no `Exception`, such as `SystemExit`, ends the run as the same from the source would.

A plain function is called where records are pulled: in the source's own thread (lists too then have one), so that one which
takes its time holds back nobody else; of an async iterable, and of `inline`, on the event loop. An async function runs on the loop.
A sink calls either in `put`, an async one for as many records at the same time as there are puts.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any, Final

from attrs import define, evolve, field, frozen

from asyncimport.admission import Admits, Item, place_of, rejection
from asyncimport.batch import Positions
from asyncimport.clock import Clock
from asyncimport.fields import At
from asyncimport.intake import Intake
from asyncimport.loop_reader import TaskReader
from asyncimport.outcome import Rejected, Skipped
from asyncimport.reader import Reader
from asyncimport.sources.inline import Inline
from asyncimport.structs import Wire
from asyncimport.thread_reader import ThreadReader
from asyncimport.unreadable import Unreadable

REASON: Final = "before_send"

Hook = Callable[[Any], Any]


@frozen
class Reply:
    """What a hook made of a record, or the words for how it failed."""

    record: Any
    kept: Any = None
    fault: str = ""


def asked(hook: Hook, record: Any) -> Reply:
    """Call a plain hook; what could not be read is no record, and is not shown to it."""
    if isinstance(record, Unreadable):
        return Reply(record, record)
    try:
        kept = hook(record)
    except Exception as error:  # noqa: BLE001 -- the user's own; it costs this record, not the run
        return _failed(record, error)
    if inspect.isawaitable(kept):
        if inspect.iscoroutine(kept):
            kept.close()
        return Reply(record, fault="before_send returned an awaitable: declare it with `async def`")
    return Reply(record, kept)


async def answered(hook: Hook, record: Any) -> Reply:
    """Await an async hook."""
    if isinstance(record, Unreadable):
        return Reply(record, record)
    try:
        return Reply(record, await hook(record))
    except Exception as error:  # noqa: BLE001 -- the user's own; it costs this record, not the run
        return _failed(record, error)


def _failed(record: Any, error: Exception) -> Reply:
    return Reply(record, fault=f"before_send raised {type(error).__name__}")


@frozen(kw_only=True)
class Hooked:
    """Admits what a hook makes of each record. `ask` has the reply to what the reader pulled."""

    admission: Admits
    ask: Callable[[Any], Reply]
    content_of: Callable[[object], bytes]

    def admit(self, record: Any, position: int, origin: Any = None) -> Item:
        """Admit what the hook makes of one record."""
        reply = self.ask(record)
        if reply.fault:
            return self._rejected(reply, position, origin)
        if reply.kept is None:
            return Skipped(positions=Positions((range(position, position + 1),)), reason=REASON)
        return self.admission.admit(reply.kept, position, origin)

    def admit_all(self, records: Sequence[Any], first: int) -> list[Item]:
        """The same for many."""
        return [self.admit(record, position) for position, record in enumerate(records, first)]

    def of_line(self, line: bytes) -> Wire | None:  # noqa: ARG002 -- the Protocol's signature
        """None of them: the hook sees the record, not its wire copy."""
        return None

    def _rejected(self, reply: Reply, position: int, origin: Any) -> Rejected:
        problem = At(f"data[{position}]").named("a record", reply.fault)
        rejected = rejection(position, [problem], self.content_of(reply.record))
        return evolve(rejected, reason=reply.fault.partition(":")[0], place=place_of(origin))


def is_async(hook: Hook) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(getattr(hook, "__call__", None))  # noqa: B004 -- the method of an object


def hooked_reader(
    source: Any,
    hook: Hook,
    *,
    admission: Admits,
    content_of: Callable[[object], bytes],
    reader_for: Callable[[Any, Admits, Clock, int], Reader],
    clock: Clock,
    first: int,
) -> Reader:
    """The reader of a source whose records go through a hook; `reader_for` has that of any source.

    Raises:
        ConfigError: the source is no iterable of records.
    """
    hooked = partial(Hooked, admission=admission, content_of=content_of)
    if is_async(hook) and isinstance(source, Intake):
        source.asks = partial(answered, hook)
        return reader_for(source, hooked(ask=_as_it_is), clock, first)
    called = hooked(ask=partial(asked, hook))
    plain = reader_for(source, called, clock, first)
    if not is_async(hook):
        return ThreadReader(source, called, clock, first) if isinstance(source, list | tuple) else plain
    if isinstance(plain, ThreadReader):
        waiting = Waiting(hook, asyncio.get_running_loop())
        return WaitingReader(source, hooked(ask=waiting), clock, first, waiting)
    return TaskReader(_replies(source, hook), hooked(ask=_as_it_is), clock, first)


def _as_it_is(reply: Reply) -> Reply:
    return reply


async def _replies(source: Any, hook: Hook) -> AsyncIterator[Reply]:
    """What an async hook makes of each record of a source that is pulled on the loop."""
    records = aiter(source) if isinstance(source, AsyncIterable) else _each(source)
    try:
        async for record in records:
            yield await answered(hook, record)
    finally:
        close = getattr(records, "aclose", None)
        if close is not None:
            await close()


async def _each(source: Iterable[Any]) -> AsyncIterator[Any]:
    records = iter(source.records if isinstance(source, Inline) else source)
    try:
        for record in records:
            yield record
    finally:
        close = getattr(records, "close", None)
        if close is not None:
            close()


@define
class Waiting:
    """An async hook as the thread of a source calls it: the loop runs it, and the thread waits."""

    _hook: Hook
    _loop: asyncio.AbstractEventLoop
    _asked: Future[Reply] | None = field(default=None, init=False)
    _is_stopped: bool = field(default=False, init=False)

    def __call__(self, record: Any) -> Reply:
        """The reply to one record.

        Raises:
            asyncio.CancelledError: the run stopped meanwhile, or the hook cancelled itself.
        """
        if self._is_stopped:
            raise asyncio.CancelledError
        asked = self._asked = asyncio.run_coroutine_threadsafe(answered(self._hook, record), self._loop)
        self._let_go()  # where the loop has stopped it meanwhile
        try:
            return asked.result()
        except CancelledError:
            raise asyncio.CancelledError from None

    def stop(self) -> None:
        """Cancel what is awaited now, and all that follows."""
        self._is_stopped = True
        self._let_go()

    def _let_go(self) -> None:
        if self._is_stopped and self._asked is not None:
            self._asked.cancel()


class WaitingReader(ThreadReader):
    """A reader whose thread waits for an async hook, of which a stop lets go."""

    def __init__(self, source: Iterable[Any], admission: Admits, clock: Clock, first: int, waiting: Waiting) -> None:
        super().__init__(source, admission, clock, first)
        self._waiting = waiting

    def stop(self) -> None:
        super().stop()
        self._waiting.stop()
