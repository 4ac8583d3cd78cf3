"""The intake of a sink: a reader whose records are put into it, one by one, and not pulled out of a source."""

from __future__ import annotations

import asyncio
from typing import Any

from asyncimport.clock import Bell, Clock
from asyncimport.outcome import Rejected
from asyncimport.reader import ABANDON_AFTER_S, Admits, Reader
from asyncimport.structs import Wire


class IntakeReader(Reader):
    """Admits each record when it is put. Who puts waits while `ahead` records were not handed over yet, in order of arrival.

    `next` is the position that the next record gets. Whoever wants to know that a record is on disk waits for `on_disk`.
    """

    comes_on = True

    def __init__(self, admission: Admits, clock: Clock, first: int) -> None:
        super().__init__(admission, clock, first)
        self.next = first
        #: Those who wait to put; nobody overtakes them.
        self.waiting = 0
        self._room = Bell(clock)
        self._kept = Bell(clock)
        self._kept_to = first
        #: Records below this position do not linger.
        self._flush_to: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether records may be put."""
        return not (self._has_ended or self._is_stopping)

    @property
    def buffered(self) -> int:
        """Records that were put and not handed over."""
        return len(self._buffer)

    @property
    def _is_full(self) -> bool:
        return len(self._buffer) >= self.ahead

    @property
    def is_crowded(self) -> bool:
        """Whether who puts now must wait for `room`."""
        return self.waiting > 0 or self._is_full

    async def room(self) -> None:
        """Return when it is one's turn to put, or nothing will be taken any more.

        Cancellation: safe; nothing was put.
        """
        self.waiting += 1
        places = 1
        try:
            await self._room.wait()
            while self._is_full and self.is_open:
                await self._room.wait()
        except asyncio.CancelledError:
            places = 0
            raise
        finally:
            self.waiting -= 1
            if len(self._buffer) + places < self.ahead:
                self._room.ring(1)  # who is next finds room too

    def admitted(self, record: Any) -> Wire | Rejected:
        """The wire copy of the record that comes next, or its rejection."""
        return self._admission.admit(record, self.next)

    def put(self, item: Wire | Rejected) -> None:
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
        self._room.ring()

    async def _fill(self, until: float | None) -> None:
        while not (self._buffer or self.is_done or self._flush_to is not None):
            if until is not None and self._clock.now() >= until:
                return
            await self._bell.wait(until)

    def _made_room(self) -> None:
        if self.waiting and not self._is_full:
            self._room.ring(1)

    def stop(self) -> None:
        super().stop()
        self._room.ring()
        self._kept.ring()

    async def aclose(self, patience_s: float = ABANDON_AFTER_S) -> float | None:  # noqa: ARG002 -- it is quick
        self._has_ended = True
        self.stop()
        return None


class Intake:
    """The source of a run whose records are put; its reader is there once the run has begun."""

    reader: IntakeReader

    def opened(self, admission: Admits, clock: Clock, first: int) -> IntakeReader:
        """The reader, made with the stages of the run."""
        self.reader = IntakeReader(admission, clock, first)
        return self.reader
