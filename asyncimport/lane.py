"""The lane to the platform that all runs of a client share: width, pause, breaker, and what is known of the other side."""

from __future__ import annotations

import random
from collections import deque
from typing import assert_never

from attrs import define, field

from asyncimport.breaker import Breaker
from asyncimport.clock import Bell
from asyncimport.contact import Contact
from asyncimport.gate import Gate, Place
from asyncimport.limit import Limit
from asyncimport.policy import DispatchPolicy
from asyncimport.verdict import Happened, Verdict


@define
class Lane:
    """Shared state and the bells of the runs that wait for it to change."""

    contact: Contact
    gate: Gate = field(factory=Gate)
    breaker: Breaker = field(factory=Breaker)
    limit: Limit = field(factory=Limit)
    #: Batches of all runs that are not settled.
    batches: int = 0
    _bells: deque[Bell] = field(factory=deque)

    def join(self, bell: Bell, width: int) -> None:
        """Let a run in, which asks for a width and waits at this bell."""
        if not self._bells:
            self.contact.rest()
            self.breaker.ask_again()
        self.limit.join(width)
        self._bells.append(bell)

    def leave(self, bell: Bell, width: int) -> None:
        """Let a run out."""
        self._bells.remove(bell)
        self.limit.leave(width)
        self.ring(1)

    def opens_at(self, now: float, place: Place, policy: DispatchPolicy) -> float | None:
        """When gate and breaker let a worker's request start; None: when something has become of the breaker's probe.

        The breaker's pause never reaches beyond the end of first contact.
        """
        moment = self.gate.moment_of(place, now, random.random())  # noqa: S311 -- jitter
        if moment > now:
            return moment
        opens_at, patience_s = self.breaker.opens_at(now), self.contact.patience_s(now, policy)
        return opens_at if opens_at is None or patience_s is None else min(opens_at, now + patience_s)

    def start(self, now: float) -> bool:
        """Book the start of a request; True when it is the breaker's probe."""
        self.limit.in_flight += 1
        self.contact.started(now)
        return self.breaker.start()

    def finish(self, now: float, *, is_probe: bool) -> None:
        """Book the end of a request: a place is free, and one worker of each run may look for it."""
        self.limit.in_flight -= 1
        if is_probe:
            self.breaker.dropped(now)  # unless something is said of it at once
            self.ring()
        elif self.is_shared:
            self.ring(1)
            self._bells.rotate(-1)  # the next place is offered to another run first

    def judged(self, verdict: Verdict, now: float, *, is_probe: bool) -> None:
        """Book what became of a request on the breaker and the width."""
        match verdict.happened:
            case Happened.ACCEPTED | Happened.REFUSED:
                has_come_back = self.breaker.answered()
            case Happened.THROTTLED | Happened.AUTH:  # says that it is there, not that it is well
                has_come_back = not self.breaker.is_closed and self.breaker.answered()
            case Happened.UNKNOWN | Happened.NOT_SENT:
                has_come_back = False
                if self.breaker.failed(now, random.random(), is_probe=is_probe):  # noqa: S311 -- jitter
                    self.ring()
            case unnamed:
                assert_never(unnamed)
        if has_come_back:
            self.limit.begin_anew()
            self.ring()
        elif verdict.happened is Happened.ACCEPTED and self.limit.accepted():
            self.ring(1)

    @property
    def is_shared(self) -> bool:
        """Whether several runs are going on."""
        return len(self._bells) > 1

    def ring(self, count: int | None = None) -> None:
        """Wake so many workers of each run, or all."""
        for bell in self._bells:
            bell.ring(count)
