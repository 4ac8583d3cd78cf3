"""Whether the event loop stands still now and then: a blocking call in a callback holds every import of the process back."""

from __future__ import annotations

from typing import Final

from asyncimport.clock import Clock
from asyncimport.observer import LoopBlocked, Notifier

#: How often somebody looks, and how late that has to be to be told.
BEAT_S: Final = 1.0
LATE_S: Final = 1.0


async def tell_if_blocked(clock: Clock, notify: Notifier) -> None:
    """Return when it was told, once, that the loop stood still for more than a second.

    Of less than two seconds it is told only if they reach a second beyond a beat. Cancellation: safe.
    """
    late_s = 0.0
    while late_s <= LATE_S:
        due = clock.now() + BEAT_S
        await clock.sleep(BEAT_S)
        late_s = clock.now() - due
    notify(LoopBlocked(blocked_s=late_s))
