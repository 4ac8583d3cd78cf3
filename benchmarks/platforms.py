"""Platforms that only exist in virtual time: what a load does to them is arithmetic, so a controller can be judged by them.

Each is a `Transport`, made on the loop that runs: it takes a post, lets the clock pass, and answers. What it counts is the
witness of what was sent and taken. Moments are seconds since it was made.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from random import Random
from typing import Final

from attrs import Factory, define, field

from asyncimport.attempt import Answer, Attempt, Fault, NoAnswer
from asyncimport.policy import Timeouts
from asyncimport.secret import Secret

OK: Final = Answer(status=200, body=b'{"code": "200", "errorCode": "SUCCESS", "msg": "ok"}')
BUSY: Final = Answer(status=503, body=b"")
BROKEN: Final = Answer(status=500, body=b"")
#: The way there and back, for an answer that costs the platform nothing.
ROUND_TRIP_S: Final = 0.02


def _now() -> float:
    return asyncio.get_running_loop().time()


@define
class Platform:
    """Takes everything at once: `latency_s` each, exponentially distributed when it `is_jittery`."""

    chance: Random
    latency_s: float = 0.2
    is_jittery: bool = False
    began_at: float = field(factory=_now)
    requests: int = 0
    #: How many batches were accepted, and which.
    accepted: int = 0
    taken: set[bytes] = field(factory=set)
    #: When each was accepted and how long it had taken; when each other request was sent.
    latencies: list[tuple[float, float]] = field(factory=list)
    failures: list[float] = field(factory=list)

    async def post(self, url: str, token: Secret, body: bytes, timeouts: Timeouts) -> Attempt:
        """Take one batch."""
        self.requests += 1
        started_at = _now() - self.began_at
        attempt = await self.serve(started_at, timeouts)
        ended_at = _now() - self.began_at
        if attempt is OK:
            self.accepted += 1
            self.taken.add(body)
            self.latencies.append((ended_at, ended_at - started_at))
        else:
            self.failures.append(started_at)
        return attempt

    async def serve(self, now: float, timeouts: Timeouts) -> Attempt:
        """What becomes of a request that comes at `now`."""
        await asyncio.sleep(self.work_s())
        return OK

    def work_s(self) -> float:
        """How long one request takes."""
        return self.chance.expovariate(1 / self.latency_s) if self.is_jittery else self.latency_s

    async def get(self, url: str, query: Mapping[str, Secret], timeouts: Timeouts) -> Attempt:
        """No token call."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing is open."""


@define
class Workers(Platform):
    """So many requests at a time, others in a queue; above `limit` in all it answers 503, or not at all when it `is_silent`."""

    workers: int = 8
    limit: int = 16
    is_silent: bool = False
    #: What `workers` becomes in the course of time: (from second, workers); the limit keeps its proportion.
    course: tuple[tuple[float, int], ...] = ()
    inside: int = 0
    at_work: int = 0
    #: Called from the queue, and not yet at work.
    called: int = 0
    _queue: deque[asyncio.Future[None]] = field(factory=deque)

    async def serve(self, now: float, timeouts: Timeouts) -> Attempt:
        workers = self._workers_at(now)
        if self.inside >= self.limit * workers // self.workers:
            if self.is_silent:
                await asyncio.sleep(timeouts.read_s)
                return NoAnswer(fault=Fault.READ_TIMEOUT, sent=True)
            await asyncio.sleep(ROUND_TRIP_S)
            return BUSY
        self.inside += 1
        try:
            await self._turn(workers)
            self.at_work += 1
            try:
                await asyncio.sleep(self.work_s())
            finally:
                self.at_work -= 1
        finally:
            self.inside -= 1
            self._call(self._workers_at(_now() - self.began_at))
        return OK

    def _workers_at(self, now: float) -> int:
        return next((count for since, count in reversed(self.course) if now >= since), self.workers)

    async def _turn(self, workers: int) -> None:
        """First come, first served."""
        if self.at_work + self.called < workers and not self._queue:
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        await turn
        self.called -= 1

    def _call(self, workers: int) -> None:
        while self._queue and self.at_work + self.called < workers:
            self._queue.popleft().set_result(None)
            self.called += 1


@define
class Quota(Platform):
    """So many requests a second, `burst` of which are saved up, or a second's; 429 above, with `retry_after`."""

    per_s: float = 20.0
    burst: float = field(default=Factory(lambda self: self.per_s, takes_self=True))
    retry_after: str | None = None
    #: What is saved up, and since when nothing was booked.
    left: float = field(default=Factory(lambda self: self.burst, takes_self=True))
    at: float = 0.0

    async def serve(self, now: float, timeouts: Timeouts) -> Attempt:
        self.left = min(self.burst, self.left + (now - self.at) * self.per_s)
        self.at = now
        if self.left < 1:
            await asyncio.sleep(ROUND_TRIP_S)
            return Answer(status=429, body=b"", retry_after=self.retry_after)
        self.left -= 1
        await asyncio.sleep(self.work_s())
        return OK


@define
class Capped(Platform):
    """At most `limit` requests at the same time; 429 above."""

    limit: int = 10
    inside: int = 0

    async def serve(self, now: float, timeouts: Timeouts) -> Attempt:
        if self.inside >= self.limit:
            await asyncio.sleep(ROUND_TRIP_S)
            return Answer(status=429, body=b"")
        self.inside += 1
        try:
            await asyncio.sleep(self.work_s())
        finally:
            self.inside -= 1
        return OK


@define
class Outage(Workers):
    """Refuses connections from `since` on for `lasts_s`; what is inside by then is served."""

    limit: int = 10_000
    since: float = 10.0
    lasts_s: float = 60.0

    async def serve(self, now: float, timeouts: Timeouts) -> Attempt:
        if self.since <= now < self.since + self.lasts_s:
            await asyncio.sleep(ROUND_TRIP_S)
            return NoAnswer(fault=Fault.CONNECT, sent=False)
        return await super().serve(now, timeouts)


@define
class Breaking(Platform):
    """Answers 500 by chance."""

    share: float = 0.3

    async def serve(self, now: float, timeouts: Timeouts) -> Attempt:
        await asyncio.sleep(self.work_s())
        return BROKEN if self.chance.random() < self.share else OK
