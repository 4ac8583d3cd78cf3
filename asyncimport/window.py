"""The window: what a run holds in memory at the same time, bounded by count and by bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import define

#: Batches in the window for each request that may be in flight.
BATCHES_PER_REQUEST: Final = 4
MAX_BYTES: Final = 32 * 1024 * 1024


@define
class Window:
    """Counts batches that are ready, waiting or in flight, their bytes, and outcomes nobody has read yet."""

    #: Requests that may be in flight, as of now.
    width: Callable[[], int]
    batches: int = 0
    bytes: int = 0
    unread: int = 0

    def has_room(self, size: int = 0) -> bool:
        """Whether a batch of `size` bytes may enter. One always may, however large."""
        if not self.batches and not self.unread:
            return True
        in_count = self.batches + self.unread < BATCHES_PER_REQUEST * self.width()
        return in_count and self.bytes + size <= MAX_BYTES

    def enter(self, size: int) -> None:
        """Book a batch."""
        self.batches += 1
        self.bytes += size

    def leave(self, size: int) -> None:
        """Take a batch back that is settled: its bytes are gone, its outcome is booked apart."""
        self.batches -= 1
        self.bytes -= size
