"""The reader of a blocking iterable: a daemon thread of its own pulls, and the event loop never waits for it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from asyncimport.admission import Admits
from asyncimport.clock import Clock
from asyncimport.mark import Mark, Markable
from asyncimport.reader import Reader, close_iterator
from asyncimport.sources.interruptible import Interruptible
from asyncimport.sources.line_decoding import LineDecoding

#: How long the loop lets a thread fill a hop before it takes what there is: one hop a record would cost ten times as much.
_PATIENCE_S: Final = 0.01
#: Records between two places of a file that are remembered.
MARK_EVERY: Final = 500


class ThreadReader(Reader):
    """Pulls a blocking iterable in a daemon thread of its own, many records a hop.

    `_notice_at` is the buffer's length at which the thread speaks up: `hop` while the loop lets it fill a hop, 1 when the
    loop has nothing, `ahead` once it has spoken, 0 to stop. The thread sets it before it rings, and the loop sets it anew
    after every ring, so no wake-up is lost.
    """

    def __init__(self, source: Iterable[Any], admission: Admits, clock: Clock, first: int = 0) -> None:
        super().__init__(admission, clock, first)
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
            if isinstance(self._iterator, LineDecoding):
                self._iterator.decode = self._admission.of_line
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
        origin = iterator if hasattr(iterator, "line_num") or hasattr(iterator, "where") else None
        records = enumerate(iterator, self.position)
        position = self.position - 1
        while True:
            self._mark(iterator, position + 1)
            before = position
            for position, record in islice(records, MARK_EVERY):
                buffer.append(admit(record, position, origin))
                if len(buffer) >= self._notice_at and not self._paused():
                    return False
            if position == before:
                return True

    def _mark(self, iterator: Any, position: int) -> None:
        """Remember where the next record begins, where the iterator knows."""
        place = iterator.place() if isinstance(iterator, Markable) else None
        if place is not None:
            offset, line = place
            self.marks.append(Mark(position=position, offset=offset, line=line))

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
