"""The lane to the platform that all runs of a client share: width, pause, and what is known of the other side."""

from __future__ import annotations

from collections import deque

from attrs import define, field

from asyncimport.clock import Bell
from asyncimport.contact import Contact
from asyncimport.gate import Gate
from asyncimport.limit import Limit


@define
class Lane:
    """Shared state and the bells of the runs that wait for it to change."""

    contact: Contact
    gate: Gate = field(factory=Gate)
    limit: Limit = field(factory=Limit)
    #: Batches of all runs that are not settled.
    batches: int = 0
    _bells: deque[Bell] = field(factory=deque)

    def join(self, bell: Bell, width: int) -> None:
        """Let a run in, which asks for a width and waits at this bell."""
        if not self._bells:
            self.contact.rest()
        self.limit.join(width)
        self._bells.append(bell)

    def leave(self, bell: Bell, width: int) -> None:
        """Let a run out."""
        self._bells.remove(bell)
        self.limit.leave(width)
        self.ring(1)

    def start(self, now: float) -> None:
        """Book the start of a request."""
        self.limit.in_flight += 1
        self.contact.started(now)

    def finish(self) -> None:
        """Book the end of a request: a place is free, and one worker of each run may look for it."""
        self.limit.in_flight -= 1
        if self.is_shared:
            self.ring(1)
            self._bells.rotate(-1)  # the next place is offered to another run first

    @property
    def is_shared(self) -> bool:
        """Whether several runs are going on."""
        return len(self._bells) > 1

    def ring(self, count: int | None = None) -> None:
        """Wake so many workers of each run, or all."""
        for bell in self._bells:
            bell.ring(count)
