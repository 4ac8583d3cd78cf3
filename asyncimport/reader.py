"""The reader: pulls any source, has each record admitted where it was pulled, and hands the results over in order.

The event loop never waits for a source. A list or tuple is sliced; an async iterable has one task that owns its
`__anext__`; everything else is pulled in a daemon thread of its own, in a copy of the caller's context, because a
blocking `next()` would stop every request in flight. No timer cancels a pull: the linger of a chunk only ends the wait
for it, and what the pull brings later is still there. `Inline` keeps an iterator that is bound to its thread on the loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Protocol

from asyncimport.admission import Wire
from asyncimport.clock import Bell, Clock
from asyncimport.errors import ConfigError, SourceError
from asyncimport.outcome import Rejected
from asyncimport.records import Record
from asyncimport.sources.inline import Inline
from asyncimport.sources.interruptible import Interruptible


class Admits(Protocol):
    """What a reader has done with each record where it was pulled: the wire copy, or the rejection."""

    def admit(self, record: Any, position: int, origin: Any = None) -> Wire | Rejected:
        """Admit one record."""

    def admit_all(self, records: Sequence[Any], first: int) -> list[Wire | Rejected]:
        """Admit records that nobody changes meanwhile."""


#: Records handed over at once. 500 are admitted in about a millisecond, so other callbacks wait no longer.
HOP: Final = 500
#: The first hop, before anything is known of the records' size; the flow doubles it up to `HOP`.
FIRST_HOP: Final = 16
#: How long the loop lets a thread fill a hop before it takes what there is: one hop a record would cost ten times as much.
_PATIENCE_S: Final = 0.01
#: How long a blocked pull may hold up the end of a run.
ABANDON_AFTER_S: Final = 5.0


class Reader(ABC):
    """A source being read. `error` is what the source raised; what it gave before is still handed over.

    Each record is admitted with its position from 0, and with the iterator where it knows the lines of a file.
    """

    def __init__(self, admission: Admits, clock: Clock) -> None:
        self._admission = admission
        self._clock = clock
        self._bell = Bell(clock)
        self._buffer: deque[Wire | Rejected] = deque()
        self._has_ended = False
        self._is_stopping = False
        #: Whether the source came to its own end.
        self.is_exhausted = False
        self.error: BaseException | None = None
        #: Records handed over at once, and read ahead of the flow; fewer where records are large.
        self.hop = FIRST_HOP

    @property
    def ahead(self) -> int:
        """Records read ahead of the flow; the source then waits."""
        return 2 * self.hop

    def _failed(self, error: BaseException) -> None:
        """Keep what the source raised, unless the run's own stop made it raise."""
        if not self._is_stopping and self.error is None:
            self.error = error

    def failure(self, read: int, advice: str = "") -> SourceError | None:
        """What the source raised after so many records, as the error that tells of it; None when it raised nothing."""
        error = self.error
        if error is None:
            return None
        what = f"{error}:" if isinstance(error, SourceError) else f"the source raised {type(error).__name__} after"
        lost = SourceError(f"{what} {read:,} records were read{advice}", read)
        lost.__cause__ = error
        return lost

    @property
    def is_done(self) -> bool:
        """Whether no record will come any more."""
        return self._is_stopping or (self._has_ended and not self._buffer)

    async def pull(self, until: float | None) -> list[Wire | Rejected]:
        """Up to `hop` admitted records; none when the clock shows `until` first, or nothing will come any more.

        Cancellation: safe; no record is lost.
        """
        if not self._buffer and not self.is_done:
            await self._fill(until)
        return [] if self._is_stopping else self.take()

    def take(self) -> list[Wire | Rejected]:
        """What is buffered, up to `hop` records."""
        buffer = self._buffer
        taken = [buffer.popleft() for _ in range(min(len(buffer), self.hop))]
        self._made_room()
        return taken

    def stop(self) -> None:
        """Pull no more. What is buffered stays for `take`."""
        self._is_stopping = True
        self._bell.ring()

    async def aclose(self) -> float | None:
        """Stop, and let the source clean up; the seconds waited when it was still blocked and is left behind.

        Cancellation: the source is left behind at once.
        """
        self.stop()
        until = self._clock.now() + ABANDON_AFTER_S
        while not self._has_ended:
            if self._clock.now() >= until:
                return ABANDON_AFTER_S
            await self._bell.wait(until)
        return None

    @abstractmethod
    async def _fill(self, until: float | None) -> None:
        """Wait until there is something to take, the source has ended, or the clock shows `until`."""

    @abstractmethod
    def _made_room(self) -> None:
        """Something was taken from the buffer: whoever waits for room may go on."""


class ListReader(Reader):
    """Slices a list or tuple. A hop is admitted in one go: nothing else runs between its slice and its copies."""

    def __init__(self, source: Sequence[Any], admission: Admits, clock: Clock) -> None:
        super().__init__(admission, clock)
        self._source = source
        self._position = 0
        self._has_ended = self.is_exhausted = not source

    async def pull(self, until: float | None) -> list[Wire | Rejected]:  # noqa: ARG002 -- a list never lets one wait
        if self.is_done:
            return []
        first = self._position
        items = self._admission.admit_all(self._source[first : first + self.hop], first)
        self._position += self.hop
        self._has_ended = self.is_exhausted = self._position >= len(self._source)
        return items

    async def _fill(self, until: float | None) -> None:
        """Nothing is buffered: `pull` hands over at once."""

    def _made_room(self) -> None:
        """Nobody waits."""

    async def aclose(self) -> float | None:
        self._has_ended = True
        self.stop()
        return None


class LoopReader(Reader):
    """Pulls a plain iterator on the event loop."""

    def __init__(self, source: Iterable[Any], admission: Admits, clock: Clock) -> None:
        super().__init__(admission, clock)
        self._source = source
        self._records: Iterator[tuple[int, Any]] | None = None
        self._iterator: Iterator[Any] | None = None

    async def _fill(self, until: float | None) -> None:  # noqa: ARG002 -- a pull on the loop cannot be waited for
        try:
            if self._records is None:
                self._iterator = iter(self._source)
                self._records = enumerate(self._iterator)
            admit, append = self._admission.admit, self._buffer.append
            for position, record in islice(self._records, self.hop):
                append(admit(record, position))
            self._has_ended = self.is_exhausted = len(self._buffer) < self.hop
        except Exception as error:  # noqa: BLE001 -- whatever the source raises ends it, after what it gave
            self._failed(error)
            self._has_ended = True

    def _made_room(self) -> None:
        """Nobody waits: the buffer is filled only when it is asked for."""

    async def aclose(self) -> float | None:
        self._has_ended = True
        iterator, self._iterator = self._iterator, None
        try:
            close_iterator(iterator)
        except Exception as error:  # noqa: BLE001 -- a source that fails in its own cleanup
            self._failed(error)
        self.stop()
        return None


class TaskReader(Reader):
    """Pulls an async iterable in one task."""

    def __init__(self, source: AsyncIterable[Any], admission: Admits, clock: Clock) -> None:
        super().__init__(admission, clock)
        self._source = source
        self._room = Bell(clock)
        self._task: asyncio.Task[None] | None = None
        #: None before the task's first step; False while the source cleans up, which nothing interrupts.
        self._is_pulling: bool | None = None

    async def _fill(self, until: float | None) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._read(), name="asyncimport-reader")
        while not self._buffer and not self.is_done and (until is None or self._clock.now() < until):
            await self._bell.wait(until)

    async def _read(self) -> None:
        self._is_pulling = True
        iterator: Any = None
        try:
            iterator = aiter(self._source)
            position = 0
            async for record in iterator:
                self._buffer.append(self._admission.admit(record, position))
                position += 1
                self._bell.ring()
                while len(self._buffer) >= self.ahead and not self._is_stopping:
                    await self._room.wait()
                if self._is_stopping:
                    break
            else:
                self.is_exhausted = not self._is_stopping  # a source may make an end of the stop's cancellation
        except BaseException as error:  # noqa: BLE001 -- whatever the source raises ends it, a cancellation of its own too
            self._failed(error)
        self._is_pulling = False
        try:
            await self._close(iterator)
        finally:
            self._has_ended = True
            self._bell.ring()

    async def _close(self, iterator: Any) -> None:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            try:
                await close()
            except BaseException as error:  # noqa: BLE001 -- a source that fails in its own cleanup
                self._failed(error)

    def _made_room(self) -> None:
        self._room.ring()

    def stop(self) -> None:
        if self._is_stopping:
            return
        super().stop()
        if self._task is not None and self._is_pulling is not False:
            self._task.cancel()
        self._has_ended |= self._is_pulling is None  # a task cancelled before its first step never runs


class ThreadReader(Reader):
    """Pulls a blocking iterable in a daemon thread of its own, many records a hop.

    `_notice_at` is the buffer's length at which the thread speaks up: `hop` while the loop lets it fill a hop, 1 when the
    loop has nothing, `ahead` once it has spoken, 0 to stop. The thread sets it before it rings, and the loop sets it anew
    after every ring, so no wake-up is lost.
    """

    def __init__(self, source: Iterable[Any], admission: Admits, clock: Clock) -> None:
        super().__init__(admission, clock)
        self._source = source
        self._notice_at = self.hop
        self._room = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._iterator: Any = None
        #: Whether a pull was asked to end by the iterator's own `interrupt`: what then looks like the end is none.
        self._is_interrupted = False

    async def _fill(self, until: float | None) -> None:
        self._listen(self.hop)
        if self._loop is None:
            self._start()
        await self._fill_a_hop()
        while not self._buffer and not self.is_done and (until is None or self._clock.now() < until):
            self._listen(1)  # again after every wake: the thread may have been about to set its own
            if not self._buffer:
                await self._bell.wait(until)
        self._listen(self.hop)

    def _listen(self, length: int) -> None:
        self._notice_at = 0 if self._is_stopping else length

    async def _fill_a_hop(self) -> None:
        """Wait a moment for a whole hop: real time, whatever the clock, because threads live in it."""
        timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._bell.ring)
        try:
            if not self._has_ended and len(self._buffer) < self.hop:
                await self._bell.wait()
        finally:
            timer.cancel()

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._read,), name="asyncimport-source", daemon=True).start()

    def _read(self) -> None:
        """The thread: pull to the end, a stop or an exception, and close the iterator here, where it was pulled."""
        try:
            self._iterator = iter(self._source)
            if self._is_stopping:
                self._interrupt()
            self.is_exhausted = self._pull(self._iterator) and not self._is_interrupted
        except BaseException as error:  # noqa: BLE001 -- whatever the source raises ends it, after what it gave
            self._failed(error)
        try:
            close_iterator(self._iterator)
        except BaseException as error:  # noqa: BLE001 -- a source that fails in its own cleanup
            self._failed(error)
        self._has_ended = True
        self._speak()

    def _pull(self, iterator: Any) -> bool:
        """Pull to the end, or to a stop: then False."""
        admit, buffer = self._admission.admit, self._buffer
        origin = iterator if hasattr(iterator, "line_num") else None
        for position, record in enumerate(iterator):
            buffer.append(admit(record, position, origin))
            if len(buffer) >= self._notice_at and not self._paused():
                return False
        return True

    def _paused(self) -> bool:
        """Speak up, and wait while the buffer is full; False when the run stops."""
        if not self._is_stopping:
            self._notice_at = self.ahead
            self._speak()
        while len(self._buffer) >= self.ahead and not self._is_stopping:
            self._room.clear()
            if len(self._buffer) >= self.ahead and not self._is_stopping:
                self._room.wait()
        return not self._is_stopping

    def _speak(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(self._bell.ring)
            except RuntimeError:
                return  # the loop was closed in between: nobody listens any more

    def _made_room(self) -> None:
        self._room.set()

    def stop(self) -> None:
        super().stop()
        self._notice_at = 0
        self._room.set()
        self._interrupt()
        self._has_ended |= self._loop is None

    def _interrupt(self) -> None:
        """Let a pull that waits for a pipe end, where the iterator knows how."""
        if isinstance(self._iterator, Interruptible) and not self._has_ended:
            self._is_interrupted = True
            self._iterator.interrupt()


def close_iterator(iterator: Any) -> None:
    """Let a generator or file iterator clean up."""
    close = getattr(iterator, "close", None)
    if close is not None:
        close()


def reader_for(source: Any, admission: Admits, clock: Clock) -> Reader:
    """The reader that fits a source.

    Raises:
        ConfigError: the source is no iterable of records.
    """
    if isinstance(source, str | bytes | Mapping | Record):
        raise ConfigError(
            f"the source must be an iterable of records, not one {type(source).__name__}: put it into a list"
        )
    if isinstance(source, list | tuple):
        return ListReader(source, admission, clock)
    if isinstance(source, Inline):
        return LoopReader(source.records, admission, clock)
    if isinstance(source, AsyncIterable):
        return TaskReader(source, admission, clock)
    if isinstance(source, Iterable) or hasattr(source, "__getitem__"):
        return ThreadReader(source, admission, clock)
    raise ConfigError(f"the source must be an iterable or async iterable of records, got {type(source).__name__}")
