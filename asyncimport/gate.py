"""The gate: one pause that all workers of a client keep when the platform asks for it.

A pause lasts as long as Retry-After says; without it 0.5 s doubling with every pause in a row, up to 30 s. It is only
ever lengthened. Each request that comes to the closed gate gets a moment of its own in the 20 % after the pause, so
that they do not all return at once. Only an attempt that began after the last pause can make the next one longer:
sixteen answers to one burst are one message.
"""

from __future__ import annotations

from typing import Final

from attrs import define

#: Longer than this is no pause any more: the run stops and says when to come back.
MAX_PAUSE_S: Final = 300.0
BASE_S: Final = 0.5
CAP_S: Final = 30.0
SPREAD: Final = 0.2


@define
class Place:
    """Where one worker stands before the gate: its own moment after the pause that it has seen."""

    pause_end: float = 0.0
    moment: float = 0.0


@define
class Gate:
    """Open, or closed until `opens_at` (monotonic seconds)."""

    opens_at: float = 0.0
    pause_s: float = 0.0
    closed_at: float = float("-inf")
    exponent: float = 0.0

    def throttled(self, now: float, started_at: float, retry_after_s: float | None) -> float | None:
        """Book a throttled attempt; return the seconds from now until the gate opens, None when it need not close.

        The answer may exceed `MAX_PAUSE_S`: then the caller stops.
        """
        is_news = started_at >= self.closed_at
        if retry_after_s is None:
            if not is_news:
                return None
            retry_after_s = min(CAP_S, BASE_S * 2**self.exponent)
            self.exponent = min(self.exponent + 1, 16.0)
        if now + retry_after_s <= self.opens_at:
            return None
        self.opens_at, self.pause_s, self.closed_at = now + retry_after_s, retry_after_s, now
        return retry_after_s

    def accepted(self) -> None:
        """Book an accepted batch: the platform is taking again."""
        self.exponent = 0.0

    def passes_at(self, now: float, share: float) -> float:
        """When a request that stands here now may pass: now, or its own moment (`share`, 0 to 1) after the pause."""
        return now if now >= self.opens_at else self.opens_at + share * SPREAD * self.pause_s

    def moment_of(self, place: Place, now: float, share: float) -> float:
        """When the worker in this place may pass; it keeps its moment until the pause is lengthened."""
        if now < self.opens_at != place.pause_end:
            place.pause_end, place.moment = self.opens_at, self.passes_at(now, share)
        return max(now, place.moment)
