"""A transport that answers by a script: the seam to the network, for tests of what lies above it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson
from attrs import define, field, frozen

from asyncimport.attempt import Answer, Attempt, Fault, NoAnswer
from asyncimport.policy import Timeouts
from asyncimport.secret import Secret


def envelope(code: str = "200", *, status: int = 200, msg: str = "ok", data: Any = None, **headers: str) -> Answer:
    """An answer with the documented envelope; `retry_after=` and `date=` set those headers."""
    answer: dict[str, Any] = {"code": code, "errorCode": "SUCCESS" if code == "200" else "E", "msg": msg}
    if data is not None:
        answer["data"] = data
    return Answer(status=status, body=orjson.dumps(answer), **headers)


OK = envelope(data=15314513451345123)
LOST = NoAnswer(fault=Fault.CONNECTION_LOST, sent=True)
REFUSED_CONNECTION = NoAnswer(fault=Fault.CONNECT, sent=False)


@frozen
class Sent:
    """One post as it was made."""

    at: float
    url: str
    body: bytes

    @property
    def records(self) -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = orjson.loads(self.body)["data"]
        return data


Reply = Attempt | Callable[[Sent], Attempt | Awaitable[Attempt]]


@define
class ScriptedTransport:
    """Answers the posts in order by `script`, later ones by `otherwise`; keeps what was sent. `delay_s` is the round trip."""

    script: Sequence[Reply] = ()
    otherwise: Reply = OK
    delay_s: float = 0.01
    posts: list[Sent] = field(factory=list)
    tokens: list[Attempt] = field(factory=list)
    token_calls: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    is_closed: bool = False

    async def post(self, url: str, token: Secret, body: bytes, timeouts: Timeouts) -> Attempt:
        sent = Sent(asyncio.get_running_loop().time(), url, body)
        reply = self.script[len(self.posts)] if len(self.posts) < len(self.script) else self.otherwise
        self.posts.append(sent)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.delay_s)
            answer = reply(sent) if callable(reply) else reply
            return await answer if isinstance(answer, Awaitable) else answer
        finally:
            self.in_flight -= 1

    async def get(self, url: str, query: Mapping[str, Secret], timeouts: Timeouts) -> Attempt:
        self.token_calls += 1
        await asyncio.sleep(self.delay_s)
        return self.tokens[min(self.token_calls, len(self.tokens)) - 1]

    async def aclose(self) -> None:
        self.is_closed = True

    def records(self) -> Iterable[dict[str, Any]]:
        """Every record of every post, in order."""
        return [record for sent in self.posts for record in sent.records]
