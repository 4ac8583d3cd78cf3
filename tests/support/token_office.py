"""A platform in virtual time that hands out tokens and takes imports; and what every case of tokens must keep.

Its log is the witness: who asked for a token when, and which request came with which token.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

import canary
import orjson
from attrs import define, field, frozen
from scripted import OK, REFUSED_CONNECTION, envelope

from asyncimport import AsyncImportError, ImportReport
from asyncimport.attempt import Attempt
from asyncimport.policy import Timeouts
from asyncimport.secret import Secret

#: One way of the virtual network.
WAY_S = 0.005


@frozen
class Post:
    """An import request: when it came, whose it was, with which token, and whether it was taken."""

    at: float
    client: str
    token: int
    is_taken: bool
    body: bytes


@frozen
class Call:
    """A request for a token."""

    at: float
    client: str


@define
class Office:
    """The platform for any number of clients. Tokens are numbered from 1 and end `life_s` after their issue."""

    one_at_a_time: bool = False
    life_s: float = 7200.0
    #: What the answer says in `expire`; "absent" leaves it out.
    expire: Any = 0
    #: Whether nobody can connect, by the seconds since the start.
    is_down: Callable[[float], bool] = lambda _at: False
    #: Answers of the token call before it works.
    answers: deque[Attempt] = field(factory=deque)
    #: What to say to a post that came with a good token, by its number in order; None takes it.
    verdict: Callable[[int], Attempt | None] = lambda _number: None
    posts: list[Post] = field(factory=list)
    calls: list[Call] = field(factory=list)
    committed: Counter[str] = field(factory=Counter)
    _issued: list[float] = field(factory=list)
    _first_good: int = 1

    def client(self, name: str = "") -> OfficeTransport:
        """A client's way to the office."""
        return OfficeTransport(self, name)

    def post(self, client: str, token: str, body: bytes) -> Attempt:
        number, now = int(token.rpartition("-")[2]), _now()
        is_good = number >= self._first_good and now < self._issued[number - 1] + self.life_s
        other = self.verdict(len(self.posts)) if is_good else envelope("100200", status=401)
        self.posts.append(Post(now, client, number, is_good and other is None, body))
        if other is not None:
            return other
        self.committed.update(record["thirdId"] for record in orjson.loads(body)["data"])
        return OK

    def call(self, client: str) -> Attempt:
        self.calls.append(Call(_now(), client))
        if self.answers:
            return self.answers.popleft()
        self._issued.append(_now())
        if self.one_at_a_time:
            self.revoke()
            self._first_good = len(self._issued)
        more = {} if self.expire == "absent" else {"expire": self.expire}
        return envelope(data={"orgAccessToken": f"{canary.TOKEN}-{len(self._issued)}", "orgRefreshToken": "r", **more})

    def revoke(self) -> None:
        """Refuse every token handed out so far."""
        self._first_good = len(self._issued) + 1

    def taken_from(self, name: str) -> dict[str, int]:
        """What was committed of the records whose ids begin with a client's name."""
        return {key: count for key, count in self.committed.items() if key.startswith(f"{name}-")}

    @property
    def refused(self) -> list[Post]:
        """The requests that were not taken."""
        return [post for post in self.posts if not post.is_taken]


@frozen
class OfficeTransport:
    """One client's transport."""

    office: Office
    name: str

    async def post(self, url: str, token: Secret, body: bytes, timeouts: Timeouts) -> Attempt:
        return await self._travel(lambda: self.office.post(self.name, token.reveal(), body))

    async def get(self, url: str, query: Mapping[str, Secret], timeouts: Timeouts) -> Attempt:
        return await self._travel(lambda: self.office.call(self.name))

    async def _travel(self, arrive: Callable[[], Attempt]) -> Attempt:
        await asyncio.sleep(WAY_S)
        if self.office.is_down(_now()):
            return REFUSED_CONNECTION
        answer = arrive()
        await asyncio.sleep(WAY_S)
        return answer

    async def aclose(self) -> None:
        """Nothing is open."""


def _now() -> float:
    """Seconds since the virtual loop's start."""
    return asyncio.get_running_loop().time() - 1000.0


def keeps_count(report: ImportReport | None, committed: Mapping[str, int]) -> ImportReport:
    """Conservation, no false success, and no duplicate: what a refused token came with was never committed (I1 to I3)."""
    assert report is not None
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    assert (report.in_progress, report.read) == (0, settled)
    assert report.accepted <= len(committed) <= report.accepted + report.unconfirmed
    assert max(committed.values(), default=1) == 1
    assert report.possible_duplicates == 0
    return report


def ended(error: AsyncImportError, committed: Mapping[str, int]) -> ImportReport:
    """The report of a run that an error ended; neither shows a secret (I7)."""
    report = keeps_count(error.report, committed)
    assert canary.scan(error) == []
    assert canary.leaks(f"{report}{report!r}") == []
    return report
