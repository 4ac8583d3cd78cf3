"""One request on its way through the faults: waiting, being judged, and how it ends."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from gzip import compress
from typing import assert_never

from attrs import evolve, frozen

from asyncimport.emulator.answer import HTML_TYPE, Answer, envelope, failed, throttled
from asyncimport.emulator.assumptions import Assumptions
from asyncimport.emulator.faults import (
    Bucket,
    CloseBefore,
    Envelope,
    Gzip,
    Hang,
    Html,
    Overload,
    PartialCommit,
    Quota,
    ResetAfter,
    ResetBefore,
    SilentDrop,
    Status,
    Strike,
    ThrottleMessage,
    Truncate,
    kind_of,
)
from asyncimport.emulator.injector import Dealt, Faults
from asyncimport.emulator.ledger import LoggedRequest
from asyncimport.emulator.wire import Wire

Judge = Callable[[Dealt, int | None], Answer]
"""The platform's answer to one request, under what it was dealt; the number limits the commit to the first records."""

Said = Status | Envelope | Html | ThrottleMessage | Quota | Bucket | Overload | PartialCommit
"""The strikes that answer in the platform's place."""


@frozen(kw_only=True)
class Exchange:
    """A request that has arrived whole, and what it takes to end it.

    Attributes:
        target: the endpoint, by its name in the faults.
        judge: asks the platform, and thereby commits.
        logged: the ledger's line, where the request is an import.
    """

    target: str
    judge: Judge
    wire: Wire
    faults: Faults
    assumptions: Assumptions
    logged: LoggedRequest | None = None

    async def run(self) -> Answer | None:
        """Take the request to its end: the answer to write, or `None` when the connection was ended instead.

        Cancellation: the request ends where it waits; what was committed stays committed.
        """
        limit = self.faults.at_the_door(self.target)
        answer = await self._pass() if limit is None else await self._strike(limit, Dealt())
        if answer is not None and self.logged is not None:
            self.logged.status = answer.status
        return answer

    async def _pass(self) -> Answer | None:
        for gate in self.faults.gates(self.target):
            await gate.wait()
        async with AsyncExitStack() as seats:
            for workers, seat in self.faults.workers(self.target):
                await seats.enter_async_context(seat)
                await asyncio.sleep(workers.service_s)
            dealt = self.faults.deal(self.target)
            if dealt.delay_s:
                await asyncio.sleep(dealt.delay_s)
            if dealt.strike is None:
                return self.judge(dealt, None)
            return await self._strike(dealt.strike, dealt)

    async def _strike(self, strike: Strike, dealt: Dealt) -> Answer | None:
        if self.logged is not None:
            self.logged.fault = kind_of(strike)
        match strike:
            case Truncate(content_length=content_length):
                self.wire.truncate(self.judge(dealt, None), content_length=content_length)
                return None
            case Gzip():
                answer = self.judge(dealt, None)
                return evolve(answer, body=compress(answer.body), headers={"Content-Encoding": "gzip"})
            case PartialCommit(first=first):
                self.judge(dealt, first)
            case _ if strike.committed:
                self.judge(dealt, None)
        match strike:
            case Hang() | SilentDrop():
                await self._hang()
            case ResetBefore() | ResetAfter():
                self.wire.reset()
            case CloseBefore():
                self.wire.close()
            case _:
                return said(strike, self.assumptions)
        return None

    async def _hang(self) -> None:
        # Who is not answered is not being served: he must not make the platform look busier than it is.
        self.faults.in_service -= 1
        try:
            await self.wire.lost.wait()
        finally:
            self.faults.in_service += 1


def said(strike: Said, assumptions: Assumptions) -> Answer:
    """Give the answer a fault puts in the place of the platform's own."""
    match strike:
        case Status(status=status, headers=headers, body=None):
            return failed(status, headers=headers)
        case Status(status=status, headers=headers, body=body, content_type=content_type):
            data = body.encode() if isinstance(body, str) else body or b""
            return Answer(status=status, headers=headers, body=data, content_type=content_type)
        case Envelope(code=code, error_code=error_code, msg=msg, status=status, null_data=null_data):
            data_field = {"data": None} if null_data else {}
            return envelope(code=code, error_code=error_code, msg=msg, status=status, **data_field)
        case Html(body=page, status=status):
            return Answer(status=status, body=page.encode(), content_type=HTML_TYPE)
        case ThrottleMessage():
            return throttled(assumptions, status=200, headers={})
        case Quota(status=status, retry_after=after) | Bucket(status=status, retry_after=after):
            return throttled(assumptions, status=status, headers=_retry_after(after))
        case Overload(status=status, retry_after=after):
            return failed(status, headers=_retry_after(after))
        case PartialCommit(status=status):
            return failed(status)
        case _:
            assert_never(strike)


def _retry_after(value: str | None) -> dict[str, str]:
    return {} if value is None else {"Retry-After": value}
