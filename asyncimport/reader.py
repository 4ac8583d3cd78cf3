"""The reader: pulls any source, has each record admitted where it was pulled, and hands the results over in order.

The event loop never waits for a source. A list or tuple is sliced; an async iterable has one task that owns its
`__anext__`; everything else is pulled in a daemon thread of its own, in a copy of the caller's context, because a
blocking `next()` would stop every request in flight. No timer cancels a pull: the linger of a chunk only ends the wait
for it, and what the pull brings later is still there. `Inline` keeps an iterator that is bound to its thread on the loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Any, ClassVar, Final

from asyncimport.admission import Admits, Item
from asyncimport.clock import Bell, Clock
from asyncimport.errors import SourceError
from asyncimport.mark import Mark

#: Records handed over at once. 500 are admitted in about a millisecond, so other callbacks wait no longer.
HOP: Final = 500
#: The first hop, before anything is known of the records' size; the flow doubles it up to `HOP`.
FIRST_HOP: Final = 16
#: Records that were taken from a source and not handed over, at most: what is lost of a spooled source that comes only once.
MAX_AHEAD: Final = 3 * HOP
#: How long a blocked pull may hold up the end of a run.
ABANDON_AFTER_S: Final = 5.0


class Reader(ABC):
    """A source being read. `error` is what the source raised; what it gave before is still handed over.

    Each record is admitted with its position from 0, and with the iterator where it knows the lines of a file.
    """

    #: Whether what comes after its end may be read by another process, as if it had not ended.
    comes_on: ClassVar[bool] = False

    def __init__(self, admission: Admits, clock: Clock, first: int) -> None:
        self._admission = admission
        #: Of the next record to be handed over.
        self.position = first
        #: Places in a file that were passed; whoever reads them takes them.
        self.marks: deque[Mark] = deque()
        self._clock = clock
        self._bell = Bell(clock)
        self._buffer: deque[Item] = deque()
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
    def is_stopping(self) -> bool:
        """Whether the run has stopped, and the source is to give no more."""
        return self._is_stopping

    @property
    def is_done(self) -> bool:
        """Whether no record will come any more."""
        return self._is_stopping or (self._has_ended and not self._buffer)

    async def pull(self, until: float | None) -> list[Item]:
        """Up to `hop` admitted records; none when the clock shows `until` first, or nothing will come any more.

        Cancellation: safe; no record is lost.
        """
        if not self._buffer and not self.is_done:
            await self._fill(until)
        return [] if self._is_stopping else self.take()

    def take(self) -> list[Item]:
        """What is buffered, up to `hop` records."""
        buffer = self._buffer
        taken = [buffer.popleft() for _ in range(min(len(buffer), self.hop))]
        self.position += len(taken)
        self._made_room()
        return taken

    def takes_flush(self) -> bool:
        """Whether what was handed over must not linger; told once."""
        return False

    def written(self, end: int) -> None:  # noqa: B027 -- a sink alone has somebody who waits for it
        """All records below this position are on disk."""

    def stop(self) -> None:
        """Pull no more. What is buffered stays for `take`."""
        self._is_stopping = True
        self._bell.ring()

    async def aclose(self, patience_s: float = ABANDON_AFTER_S) -> float | None:
        """Stop, and let the source clean up; the seconds waited when it was still blocked and is left behind.

        Cancellation: the source is left behind at once.
        """
        self.stop()
        until = self._clock.now() + patience_s
        while not self._has_ended:
            if self._clock.now() >= until:
                return patience_s
            await self._bell.wait(until)
        return None

    @abstractmethod
    async def _fill(self, until: float | None) -> None:
        """Wait until there is something to take, the source has ended, or the clock shows `until`."""

    @abstractmethod
    def _made_room(self) -> None:
        """Something was taken from the buffer: whoever waits for room may go on."""


def close_iterator(iterator: Any) -> None:
    """Let a generator or file iterator clean up."""
    close = getattr(iterator, "close", None)
    if close is not None:
        close()
