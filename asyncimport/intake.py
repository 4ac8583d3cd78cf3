"""The intake of a sink: a reader whose records are put into it, one by one, and not pulled out of a source."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from asyncimport.admission import Admits, Item
from asyncimport.clock import Bell, Clock
from asyncimport.reader import ABANDON_AFTER_S, Reader


class IntakeReader(Reader):
    """Admits each record when it is put. Who puts waits while `ahead` records were not handed over yet, in order of arrival.

    `next` is the position that the next record gets. Whoever wants to know that a record is on disk waits for `on_disk`.
    """

    comes_on = True

    def __init__(self, admission: Admits, clock: Clock, first: int) -> None:
        super().__init__(admission, clock, first)
        self.next = first
        #: Those who wait to put, in order of arrival, and how many have been called and did not yet put.
        self._queue: deque[asyncio.Future[None]] = deque()
        self._called = 0
        self._kept = Bell(clock)
        self._kept_to = first
        #: Records below this position do not linger.
        self._flush_to: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether records may be put."""
        return not (self._has_ended or self._is_stopping)

    @property
    def waiting(self) -> int:
        """Those who wait to put."""
        return sum(not turn.done() for turn in self._queue) + self._called

    @property
    def is_crowded(self) -> bool:
        """Whether who puts now must wait for `room`."""
        return bool(self._queue) or self._called > 0 or len(self._buffer) >= self.ahead

    async def room(self) -> None:
        """Return when it is one's turn to put, which must then be done at once, or nothing will be taken any more.

        Cancellation: safe; nothing was put, and the next one's turn comes.
        """
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        places = 1
        try:
            await turn
        except asyncio.CancelledError:
            places = 0
            raise
        finally:
            self._called -= not turn.cancelled()
            if not self._called:  # the last of those called: others may have come meanwhile
                self._call(taken=places)

    def _call(self, taken: int = 0, *, all_of_them: bool = False) -> None:
        """Tell those whose turn it is; so many places are taken that do not show yet."""
        while self._queue and (all_of_them or len(self._buffer) + self._called + taken < self.ahead):
            turn = self._queue.popleft()
            if not turn.done():  # else its task was cancelled
                turn.set_result(None)
                self._called += 1

    def admitted(self, record: Any) -> Item:
        """The wire copy of the record that comes next, or why it has none."""
        return self._admission.admit(record, self.next)

    def put(self, item: Item) -> None:
        """Take in what came of the next record."""
        self._buffer.append(item)
        self.next += 1
        self._bell.ring()

    def flush(self) -> None:
        """Let nothing linger of what was put so far."""
        self._flush_to = self.next
        self._bell.ring()

    def takes_flush(self) -> bool:
        if self._flush_to is None or self.position < self._flush_to:
            return False
        self._flush_to = None
        return True

    async def on_disk(self, position: int) -> bool:
        """Wait until the record at this position is on disk; False when the run has stopped before.

        Cancellation: safe; the record is in the run.
        """
        while self._kept_to <= position and not self._is_stopping:
            await self._kept.wait()
        return self._kept_to > position

    def written(self, end: int) -> None:
        self._kept_to = end
        self._kept.ring()

    def end(self) -> None:
        """Take no more records; those that were put are handed over."""
        self._has_ended = self.is_exhausted = True
        self._bell.ring()
        self._call(all_of_them=True)

    async def _fill(self, until: float | None) -> None:
        while not (self._buffer or self.is_done or self._flush_to is not None):
            if until is not None and self._clock.now() >= until:
                return
            await self._bell.wait(until)

    def _made_room(self) -> None:
        self._call()

    def stop(self) -> None:
        super().stop()
        self._call(all_of_them=True)
        self._kept.ring()

    async def aclose(self, patience_s: float = ABANDON_AFTER_S) -> float | None:  # noqa: ARG002 -- it is quick
        self._has_ended = True
        self.stop()
        return None


class Intake:
    """The source of a run whose records are put; its reader is there once the run has begun."""

    reader: IntakeReader
    #: What is awaited with each record before it is admitted, where the run has an async hook.
    asks: Callable[[Any], Awaitable[Any]] | None = None

    def opened(self, admission: Admits, clock: Clock, first: int) -> IntakeReader:
        """The reader, made with the stages of the run."""
        self.reader = IntakeReader(admission, clock, first)
        return self.reader
