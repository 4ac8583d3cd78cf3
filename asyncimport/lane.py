"""The lane to the platform that all runs of a client share: width, pause, breaker, and what is known of the other side."""

from __future__ import annotations

import random
from collections import deque
from typing import assert_never

from attrs import define, field, frozen

from asyncimport.breaker import Breaker
from asyncimport.clock import Bell
from asyncimport.contact import Contact
from asyncimport.gate import Gate, Place
from asyncimport.limit import Limit
from asyncimport.policy import DispatchPolicy
from asyncimport.rate import Allowance, Pace
from asyncimport.verdict import Happened, Verdict


@frozen
class Entry:
    """A request that has started."""

    number: int
    is_probe: bool


@define
class Lane:
    """Shared state and the bells of the runs that wait for it to change."""

    contact: Contact
    gate: Gate = field(factory=Gate)
    breaker: Breaker = field(factory=Breaker)
    limit: Limit = field(factory=Limit)
    pace: Pace = field(factory=Pace)
    allowance: Allowance = field(factory=Allowance)
    #: Batches of all runs that are not settled.
    batches: int = 0
    _bells: deque[Bell] = field(factory=deque)

    def join(self, bell: Bell, policy: DispatchPolicy, now: float) -> None:
        """Let a run in, which waits at this bell."""
        if not self._bells:
            self.contact.rest()
            self.breaker.ask_again()
            self.pace.rest()
        self.limit.join(policy.max_in_flight)
        self.allowance.join(policy.max_rate, now)
        self._bells.append(bell)

    def leave(self, bell: Bell, policy: DispatchPolicy, now: float) -> None:
        """Let a run out."""
        self._bells.remove(bell)
        self.limit.leave(policy.max_in_flight)
        self.allowance.leave(policy.max_rate, now)
        self.ring()

    def opens_at(self, now: float, place: Place, policy: DispatchPolicy) -> float | None:
        """When gate, rate and breaker let a worker's request start; None: when something has become of the breaker's probe.

        The breaker's pause never reaches beyond the end of first contact.
        """
        moment = self.gate.moment_of(place, now, random.random())  # noqa: S311 -- jitter
        moment = max(moment, self.pace.opens_at(now), self.allowance.opens_at(now))
        if moment > now:
            return moment
        opens_at, patience_s = self.breaker.opens_at(now), self.contact.patience_s(now, policy)
        return opens_at if opens_at is None or patience_s is None else min(opens_at, now + patience_s)

    def start(self, now: float, records: int) -> Entry:
        """Book the start of a request."""
        self.contact.started(now)
        self.pace.started(now)
        self.allowance.started(now, records)
        return Entry(number=self.limit.start(now), is_probe=self.breaker.start())

    def throttled(self, started_at: float, now: float, retry_after_s: float | None) -> float | None:
        """Book a throttled request on gate and pace; the seconds that the gate is newly closed for, None when it need not."""
        pause_s = self.gate.throttled(now, started_at, retry_after_s)
        self.pace.throttled(
            started_at,
            now,
            pause_s=max(0.0, self.gate.opens_at - now),
            retry_after_s=retry_after_s,
            share=random.random(),  # noqa: S311 -- jitter
        )
        return pause_s

    def finish(self, now: float, entry: Entry) -> None:
        """Book the end of a request: a place is free, and one worker of each run may look for it."""
        self.limit.finish(entry.number)
        if entry.is_probe:
            self.breaker.dropped(now)  # unless something is said of it at once
            self.ring()
        elif self.is_shared:
            self.ring(1)
            self._bells.rotate(-1)  # the next place is offered to another run first

    def judged(self, verdict: Verdict, started_at: float, now: float, *, is_probe: bool) -> None:
        """Book what became of a request on the breaker and the width."""
        width = self.limit.width
        if verdict.happened is Happened.ACCEPTED:
            self.pace.accepted += 1
        is_echo = False
        if verdict.is_overload:
            is_silent = verdict.happened is Happened.UNKNOWN
            is_echo = self.limit.adaptive.overloaded(started_at, now, is_silent=is_silent) and self.limit.is_adaptive
        elif verdict.happened in (Happened.ACCEPTED, Happened.REFUSED):
            self.limit.adaptive.answered(now - started_at, now)
        match verdict.happened:
            case Happened.ACCEPTED | Happened.REFUSED:
                has_come_back = self.breaker.answered()
            case Happened.THROTTLED | Happened.AUTH:  # says that it is there, not that it is well
                has_come_back = not self.breaker.is_closed and self.breaker.answered()
            case Happened.UNKNOWN | Happened.NOT_SENT:
                has_come_back = False
                if (is_probe or not is_echo) and self.breaker.failed(now, random.random(), is_probe=is_probe):  # noqa: S311 -- jitter
                    self.ring()
            case unnamed:
                assert_never(unnamed)
        if has_come_back:
            self.limit.begin_anew()
            self.pace.rest()
            self.ring()
            return
        if verdict.happened is Happened.ACCEPTED:
            self.limit.accepted()
        if self.limit.width > width:
            self.ring(self.limit.width - width)

    @property
    def is_shared(self) -> bool:
        """Whether several runs are going on."""
        return len(self._bells) > 1

    def ring(self, count: int | None = None) -> None:
        """Wake so many workers of each run, or all."""
        for bell in self._bells:
            bell.ring(count)
