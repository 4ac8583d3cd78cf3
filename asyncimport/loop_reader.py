"""Readers on the event loop: of lists and tuples, of iterators bound to its thread, and of async iterables in a task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from asyncimport.admission import Admits, Item
from asyncimport.clock import Bell, Clock
from asyncimport.reader import ABANDON_AFTER_S, Reader, close_iterator


class ListReader(Reader):
    """Slices a list or tuple. A hop is admitted in one go: nothing else runs between its slice and its copies."""

    def __init__(self, source: Sequence[Any], admission: Admits, clock: Clock, first: int = 0) -> None:
        super().__init__(admission, clock, first)
        self._source = source
        self._first = first
        self._has_ended = self.is_exhausted = not source

    async def pull(self, until: float | None) -> list[Item]:  # noqa: ARG002 -- a list never lets one wait
        if self.is_done:
            return []
        index = self.position - self._first
        items = self._admission.admit_all(self._source[index : index + self.hop], self.position)
        self.position += len(items)
        self._has_ended = self.is_exhausted = index + self.hop >= len(self._source)
        return items

    async def _fill(self, until: float | None) -> None:
        """Nothing is buffered: `pull` hands over at once."""

    def _made_room(self) -> None:
        """Nobody waits."""

    async def aclose(self, patience_s: float = ABANDON_AFTER_S) -> float | None:  # noqa: ARG002 -- it is quick
        self._has_ended = True
        self.stop()
        return None


class LoopReader(Reader):
    """Pulls a plain iterator on the event loop."""

    def __init__(self, source: Iterable[Any], admission: Admits, clock: Clock, first: int = 0) -> None:
        super().__init__(admission, clock, first)
        self._source = source
        self._records: Iterator[tuple[int, Any]] | None = None
        self._iterator: Iterator[Any] | None = None

    async def _fill(self, until: float | None) -> None:  # noqa: ARG002 -- a pull on the loop cannot be waited for
        try:
            if self._records is None:
                self._iterator = iter(self._source)
                self._records = enumerate(self._iterator, self.position)
            admit, append = self._admission.admit, self._buffer.append
            for position, record in islice(self._records, self.hop):
                append(admit(record, position))
            self._has_ended = self.is_exhausted = len(self._buffer) < self.hop
        except Exception as error:  # noqa: BLE001 -- whatever the source raises ends it, after what it gave
            self._failed(error)
            self._has_ended = True

    def _made_room(self) -> None:
        """Nobody waits: the buffer is filled only when it is asked for."""

    async def aclose(self, patience_s: float = ABANDON_AFTER_S) -> float | None:  # noqa: ARG002 -- it is quick
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

    def __init__(self, source: AsyncIterable[Any], admission: Admits, clock: Clock, first: int = 0) -> None:
        super().__init__(admission, clock, first)
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
            position = self.position
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
