"""Platforms that can take so much and no more, in virtual time: workers with a queue, a bound above it, a quota."""

from __future__ import annotations

import asyncio
import math
import random
from bisect import insort
from collections.abc import Callable
from functools import partial
from typing import Final

import canary
from attrs import define, evolve, field, frozen
from faulted import URL, Ended, Witness, holds, run_out
from scripted import OK, ScriptedTransport, Sent

from asyncimport import DispatchPolicy, ImportClient
from asyncimport.attempt import Answer, Attempt, Fault, NoAnswer
from asyncimport.observer import Notice
from benchmarks.virtual import TickingLoop, run_virtual

BUSY: Final = Answer(status=503, body=b"")
DROPPED: Final = NoAnswer(fault=Fault.READ_TIMEOUT, sent=True)
#: How long a client waits for a request that is dropped in silence.
SILENCE_S: Final = 30.0
#: How long it takes to say no.
REFUSAL_S: Final = 0.01
SERVICE_S: Final = 0.2


@frozen
class Served:
    """One request: when it came and was answered, in seconds from the start, and how."""

    at: float
    ended: float
    attempt: Attempt

    @property
    def took_s(self) -> float:
        return self.ended - self.at


@define(kw_only=True)
class Server:
    """Serves `workers` requests at a time, the others wait in a queue, first come, first served.

    What comes while `above` requests are there gets `excess` for an answer. What is beyond the quota, which can be saved up
    to `burst`, is answered with 429.
    """

    latency_s: Callable[[], float] = lambda: SERVICE_S
    workers: int = 10_000
    above: float = math.inf
    excess: Attempt = BUSY
    quota_per_s: float = math.inf
    burst: float = 1.0
    retry_after: str | None = None
    #: Changes the server as time goes on.
    changes: Callable[[Server, float], None] = lambda _server, _now: None
    there: int = 0
    served: list[Served] = field(factory=list)
    clients: list[ImportClient] = field(factory=list)
    #: When the requests that are served or wait will have been served, in order.
    _ends: list[float] = field(factory=list)
    _saved: float = field(init=False)
    _last: float = 0.0

    def __attrs_post_init__(self) -> None:
        self._saved = self.burst

    @property
    def took_s(self) -> float:
        """How long it was until the last answer."""
        return max(one.ended for one in self.served)

    @property
    def widths(self) -> list[int]:
        """The width of each client now."""
        return [client._lane.limit.width for client in self.clients]

    @property
    def accepted(self) -> list[Served]:
        return [one for one in self.served if one.attempt is OK]

    @property
    def waste(self) -> float:
        """Requests for each batch that was taken."""
        return len(self.served) / len(self.accepted)

    async def answer(self, sent: Sent, witness: Witness) -> Attempt:
        """What becomes of a request, and is told its client's witness."""
        at = sent.at - 1000
        self.changes(self, at)
        if self.there >= self.above:
            attempt = self.excess
            await asyncio.sleep(SILENCE_S if attempt is DROPPED else REFUSAL_S)
        elif self._is_beyond_quota(at):
            attempt = Answer(status=429, body=b"", retry_after=self.retry_after)
            await asyncio.sleep(REFUSAL_S)
        else:
            attempt = await self._serve(at)
        witness.saw(sent.body, took=attempt is OK)
        self.served.append(Served(at, asyncio.get_running_loop().time() - 1000, attempt))
        return attempt

    def _is_beyond_quota(self, at: float) -> bool:
        if self.quota_per_s == math.inf:
            return False
        self._saved = min(self.burst, self._saved + (at - self._last) * self.quota_per_s)
        self._last = at
        if self._saved < 1:
            return True
        self._saved -= 1
        return False

    async def _serve(self, at: float) -> Attempt:
        self._ends = [end for end in self._ends if end > at]
        begins = self._ends[-self.workers] if len(self._ends) >= self.workers else at
        ends = begins + self.latency_s()
        insort(self._ends, ends)
        self.there += 1
        await asyncio.sleep(ends - at)
        self.there -= 1
        return OK


def imports(
    server: Server, batches: int, *, clients: int = 1, width: int | None = 8, within_s: float = 900.0
) -> list[Ended]:
    """Imports of so many batches in all by clients that know nothing of each other: each delivers all, and keeps the invariants."""

    async def one() -> Ended:
        witness, notices = Witness(), list[Notice]()
        transport = ScriptedTransport(otherwise=partial(server.answer, witness=witness), delay_s=0)
        policy = DispatchPolicy(batch_size=1, max_in_flight=width)
        async with ImportClient(
            URL, token=canary.TOKEN, policy=policy, transport=transport, observer=notices.append
        ) as client:
            server.clients.append(client)
            ended = await run_out(client, batches // clients)
        return holds(evolve(ended, witness=witness, notices=tuple(notices)))

    async def together() -> list[Ended]:
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
            tasks = [group.create_task(one()) for _ in range(clients)]
        return [task.result() for task in tasks]

    state = random.getstate()
    random.seed(1)
    try:
        ends = run_virtual(together(), TickingLoop)
    finally:
        random.setstate(state)
    assert [ended.failure for ended in ends] == [None] * clients
    assert sum(ended.report.accepted for ended in ends) == batches
    return ends
