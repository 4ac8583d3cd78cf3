"""The platform of a plan as a transport in virtual time, and the log of what it really did: the witness."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping
from email.utils import formatdate
from enum import Enum, auto
from itertools import count
from random import Random
from typing import Any, Final

import canary
import orjson
from attrs import define, field, frozen
from chaos import Key, Plan, Quota
from scripted import envelope

from asyncimport.attempt import Answer, Attempt, Fault, NoAnswer
from asyncimport.policy import Timeouts
from asyncimport.secret import Secret

#: How long the platform keeps silent; the client's own time-out ends it.
SILENCE_S: Final = 200.0


class Fate(Enum):
    """What the client can know of an attempt by the answer it got."""

    ACCEPTED = auto()
    REFUSED = auto()
    NOT_SENT = auto()
    THROTTLED = auto()
    UNKNOWN = auto()
    AUTH = auto()
    #: The client did not wait for the answer.
    CUT = auto()


@define(eq=False, kw_only=True)
class Request:
    """One post, and what became of it."""

    number: int
    keys: tuple[Key, ...]
    body: bytes
    token: str
    began: float
    ended: float = math.inf
    #: Its places in the order in which requests began and answers were given, which moments alone do not tell.
    begun: int
    answered: int | None = None
    fate: Fate = Fate.CUT
    what: str = "cut off"
    committed: int = 0
    is_contact: bool = False
    is_envelope: bool = False
    wait_s: float = 0.0

    def __str__(self) -> str:
        first, last = (self.keys[0], self.keys[-1]) if self.keys else ("nothing", "")
        taken = f", {self.committed} committed" if self.committed else ""
        return (
            f"#{self.number} {self.began - 1000:.3f} to {self.ended - 1000:.3f} s: {len(self.keys)} records "
            f"{first}..{last}: {self.fate.name} ({self.what}{taken})"
        )


@frozen
class Ruling:
    """What the platform does with a request: what it answers, which share it commits, and how late."""

    fate: Fate
    attempt: Attempt
    share: float = 0.0
    is_silent: bool = False
    later_s: float = 0.0
    wait_s: float = 0.0


LOST: Final = NoAnswer(fault=Fault.CONNECTION_LOST, sent=True)
NO_TIME: Final = NoAnswer(fault=Fault.READ_TIMEOUT, sent=True)
HTML: Final = Answer(status=200, body=b"<html>Sign in</html>")


def _status(status: int, share: float = 0.0) -> Callable[[Random], Ruling]:
    return lambda _: Ruling(Fate.UNKNOWN, Answer(status=status, body=b"<html>error</html>"), share)


def _ruling(fate: Fate, attempt: Attempt, share: float = 0.0, **more: Any) -> Callable[[Random], Ruling]:
    return lambda _: Ruling(fate, attempt, share, **more)


def _asking(status: int) -> Callable[[Random], Ruling]:
    """An answer that says how long to wait, in seconds or as a date."""

    def ruling(chance: Random) -> Ruling:
        wait_s = chance.choice([1, 2, 5, 20])
        if chance.random() < 0.3:
            dates = {"retry_after": formatdate(10**9 + wait_s, usegmt=True), "date": formatdate(10**9, usegmt=True)}
            return Ruling(Fate.THROTTLED, Answer(status=status, body=b"", **dates), wait_s=wait_s)
        return Ruling(Fate.THROTTLED, Answer(status=status, body=b"", retry_after=str(wait_s)), wait_s=wait_s)

    return ruling


def _oddly(chance: Random) -> Ruling:
    odd = chance.choice(["-5", "0", "nan", "inf", "٣", "100000000000000000000", "soon", "1,2", ""])
    return Ruling(Fate.THROTTLED, Answer(status=429, body=b"{}", retry_after=odd))


REFUSAL: Final = envelope("100999", msg=f"字段无效: {canary.PERSON}, X-Token {canary.TOKEN}")
#: The faults of the plan by their names.
RULINGS: Final[Mapping[str, Callable[[Random], Ruling]]] = {
    "reset before": _ruling(Fate.UNKNOWN, LOST),
    "reset after": _ruling(Fate.UNKNOWN, LOST, 1.0),
    "silence": _ruling(Fate.UNKNOWN, NO_TIME, is_silent=True),
    "silence after": _ruling(Fate.UNKNOWN, NO_TIME, 1.0, is_silent=True),
    "late commit": _ruling(Fate.UNKNOWN, NO_TIME, 1.0, is_silent=True, later_s=SILENCE_S / 2),
    "500": _status(500),
    "500 after": _status(500, 1.0),
    "500 after a part": _status(500, 0.5),
    "502": _status(502),
    "502 after": _status(502, 1.0),
    "503": _status(503),
    "503 after": _status(503, 1.0),
    "503 asking to wait": _asking(503),
    "code 500": _ruling(Fate.UNKNOWN, envelope("500", msg=f"系统异常 {canary.PERSON}")),
    "429": _ruling(Fate.THROTTLED, Answer(status=429, body=b"slow down")),
    "429 asking to wait": _asking(429),
    "429 asking oddly": _oddly,
    "429 asking for an hour": _ruling(Fate.THROTTLED, Answer(status=429, body=b"", retry_after="3600"), wait_s=3600.0),
    "throttle words": _ruling(Fate.THROTTLED, envelope("100998", msg="操作频繁,请稍后重试")),
    "html": _ruling(Fate.UNKNOWN, HTML),
    "html after": _ruling(Fate.UNKNOWN, HTML, 1.0),
    "truncated after": _ruling(Fate.UNKNOWN, Answer(status=200, body=b'{"code": "200", "errorCode"'), 1.0),
    "redirect": _ruling(Fate.UNKNOWN, Answer(status=302, body=b"")),
    "refuses everything": _ruling(Fate.REFUSED, REFUSAL),
}
NOT_SENT: Final = {"refused connection": Fault.CONNECT, "unknown name": Fault.NAME}
POISON: Final = {
    "code": Ruling(Fate.REFUSED, REFUSAL),
    "http 400": Ruling(Fate.REFUSED, envelope("100997", status=400, msg=f"bad record {canary.PERSON}")),
    "http 500": Ruling(Fate.UNKNOWN, Answer(status=500, body=b"")),
}


@define
class Tokens:
    """The tokens that the platform has given out."""

    plan: Plan
    valid: dict[str, float] = field(factory=dict)
    calls: int = 0
    revoked: int = 0

    def issue(self, now: float) -> str:
        """A new token; whether the old ones stay is the plan's."""
        self.calls += 1
        if not self.plan.keeps_old_tokens:
            self.valid.clear()
        token = f"{canary.TOKEN}-{self.calls}"
        self.valid[token] = now + (self.plan.token_life_s or math.inf)
        return token

    def is_good(self, token: str, now: float) -> bool:
        while self.revoked < len(self.plan.revoked_at) and now - 1000 >= self.plan.revoked_at[self.revoked]:
            self.revoked += 1
            self.valid.clear()
        return self.valid.get(token, -math.inf) > now


@define
class Bucket:
    """What a quota has left."""

    quota: Quota
    left: float
    at: float

    def takes(self, now: float) -> bool:
        self.left = min(self.quota.burst, self.left + (now - self.at) * self.quota.per_s)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class SimulatedPlatform:
    """Takes posts as a `Transport`, judges each in the middle of its round trip, and keeps the log."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.requests: list[Request] = []
        self.token_calls: list[tuple[float, float, str]] = []
        self.copies: Counter[Key] = Counter()
        self.tokens = Tokens(plan)
        #: The content that each record was sent with first, and the payloads whose content differed.
        self.contents: dict[Key, dict[str, Any]] = {}
        self.changed: list[Key] = []
        self.in_flight = self.most_in_flight = 0
        self.is_closed = False
        self.batch_ids: set[int] = set()
        self._chance = Random(plan.seed + 1_000_000)
        self._keys: dict[bytes, tuple[Key, ...]] = {}
        self._order = count(1)
        self._late: list[tuple[asyncio.TimerHandle, Request]] = []
        self._bucket = None if plan.quota is None else Bucket(plan.quota, plan.quota.burst, 1000.0)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def post(self, url: str, token: Secret, body: bytes, timeouts: Timeouts) -> Attempt:
        assert not self.is_closed
        now, keys = self.now(), self._read(body)
        number, begun = len(self.requests), next(self._order)
        request = Request(number=number, begun=begun, keys=keys, body=body, token=token.reveal(), began=now)
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            ruling = await self._round_trip(request, timeouts)
        finally:
            self.in_flight -= 1
            request.ended = self.now()
        request.answered, request.fate, request.wait_s = next(self._order), ruling.fate, ruling.wait_s
        attempt = ruling.attempt
        request.is_envelope = (
            isinstance(attempt, Answer) and attempt.body.startswith(b'{"code"') and attempt.body[-1] == 125
        )
        request.is_contact = request.is_envelope and request.fate is not Fate.AUTH
        return attempt

    def _read(self, body: bytes) -> tuple[Key, ...]:
        keys = self._keys.get(body)
        if keys is None:
            records = orjson.loads(body)["data"]
            keys = self._keys[body] = tuple(map(key_of, records))
            for key, record in zip(keys, records, strict=True):
                if self.contents.setdefault(key, record) != record:
                    self.changed.append(key)
        return keys

    async def _round_trip(self, request: Request, timeouts: Timeouts) -> Ruling:
        for kind, fault in NOT_SENT.items():
            if self._hits(kind):
                request.what = kind
                await asyncio.sleep(self._chance.choice([0.001, 0.001, timeouts.connect_s]))
                return Ruling(Fate.NOT_SENT, NoAnswer(fault=fault, sent=False))
        latency_s, way = self.plan.latency_s, self._chance.uniform(0.1, 0.9)
        if self.plan.is_exponential:
            latency_s = min(self._chance.expovariate(1 / latency_s), timeouts.read_s)
        try:
            await asyncio.sleep(latency_s * way)
        except asyncio.CancelledError:
            if self._chance.random() < 0.5:  # it had left, and arrives
                self._commit(request, 1.0)
            raise
        ruling = self._judge(request)
        if ruling.later_s:
            timer = asyncio.get_running_loop().call_later(ruling.later_s, self._commit, request, ruling.share)
            self._late.append((timer, request))
        else:
            self._commit(request, ruling.share)
        left_s = latency_s * (1 - way)
        await asyncio.sleep(
            max(left_s, min(SILENCE_S, timeouts.read_s) - latency_s * way) if ruling.is_silent else left_s
        )
        return ruling

    def _hits(self, kind: str) -> bool:
        now = self.now() - 1000
        return any(
            spell.kind == kind and spell.begins <= now < spell.ends and self._chance.random() < spell.rate
            for spell in self.plan.spells
        )

    def _judge(self, request: Request) -> Ruling:
        """What the platform does with a request that is before it now."""
        for name, found in (("load", self._by_load), ("token", self._by_token), ("content", self._by_content)):
            ruling = found(request)
            if ruling is not None:
                request.what = request.what if request.what != "cut off" else name
                return ruling
        for kind in RULINGS:
            if self._hits(kind):
                request.what = kind
                return RULINGS[kind](self._chance)
        request.what = "taken"
        self.batch_ids.add(request.number)
        has_id = request.keys and self._is_user(request) and not self._hits("no batch id")
        return Ruling(Fate.ACCEPTED, envelope(data=request.number if has_id else None), 1.0)

    def _by_load(self, request: Request) -> Ruling | None:
        plan = self.plan
        if self._hits("stale"):
            request.what = "stale"
            stale = NoAnswer(fault=Fault.CONNECTION_LOST, sent=True, stale=True)
            return Ruling(Fate.UNKNOWN, stale, self._chance.choice([0.0, 0.0, 1.0]))
        if plan.overload is not None and self.in_flight > plan.overload.above:
            request.what = f"overload, {plan.overload.form}"
            return RULINGS[plan.overload.form](self._chance)
        if plan.quota is not None and self._bucket is not None and not self._bucket.takes(self.now()):
            request.what = f"quota, {plan.quota.form}"
            return RULINGS[plan.quota.form](self._chance)
        return None

    def _by_token(self, request: Request) -> Ruling | None:
        plan = self.plan
        if not self.tokens.is_good(request.token, self.now()):
            said = envelope("100200", status=401 if plan.auth_form == "401" else 200, msg=f"token {request.token} 无效")
            return Ruling(Fate.AUTH, said)
        if plan.withdrawn_at is not None and self.now() - 1000 >= plan.withdrawn_at:
            request.what = "permission withdrawn"
            is_403 = plan.withdrawn_by == "403"
            return Ruling(Fate.AUTH, envelope("403", status=403)) if is_403 else Ruling(Fate.REFUSED, REFUSAL)
        return None

    def _by_content(self, request: Request) -> Ruling | None:
        plan = self.plan
        if plan.body_limit is not None and len(request.body) > plan.body_limit:
            request.what = "413"
            return Ruling(Fate.REFUSED, Answer(status=413, body=b"<html>too large</html>"))
        for key in request.keys:
            kind = plan.poison.get(key)
            if kind is not None and kind != "fat":
                request.what = f"poison {kind}"
                return POISON[kind]
        return None

    @staticmethod
    def _is_user(request: Request) -> bool:
        return b'"thirdId"' in request.body

    def _commit(self, request: Request, share: float) -> None:
        taken = request.keys[: math.ceil(len(request.keys) * share)]
        request.committed += len(taken)
        self.copies.update(taken)

    def settle_late(self, ended: float) -> None:
        """Commit what would have been committed some time after the end."""
        for timer, request in self._late:
            if timer.when() > ended:
                timer.cancel()
                self._commit(request, 1.0)

    async def get(self, url: str, query: Mapping[str, Secret], timeouts: Timeouts) -> Attempt:
        began = self.now()
        await asyncio.sleep(self.plan.latency_s)
        attempt, what = self._token_answer()
        self.token_calls.append((began, self.now(), what))
        return attempt

    def _token_answer(self) -> tuple[Attempt, str]:
        if self._hits("token call fails"):
            faults: dict[str, Attempt] = {
                "lost": LOST,
                "html": HTML,
                "code 500": envelope("500"),
                "500": Answer(status=500, body=b""),
            }
            what = self._chance.choice(list(faults))
            return faults[what], what
        if self.plan.last_token is not None and self.tokens.calls >= self.plan.last_token:
            return envelope("100100", msg="appid或secret错误"), "100100"
        token = self.tokens.issue(self.now())
        return envelope(data={"orgAccessToken": token, "expire": 0}), f"token {self.tokens.calls}"

    async def called_token(self) -> str:
        """The token as a user's own callable has it."""
        answer = await self.get("", {}, Timeouts())
        if not isinstance(answer, Answer) or b"orgAccessToken" not in answer.body:
            raise RuntimeError("the vault is sealed")
        token: str = orjson.loads(answer.body)["data"]["orgAccessToken"]
        return token

    async def aclose(self) -> None:
        self.is_closed = True


def key_of(record: Mapping[str, Any]) -> Key:
    """What record this is, from its wire form."""
    text = record["thirdId"] if "thirdId" in record else record["eventargs"]["k"]
    run, _, position = text.partition(":")
    return int(run), int(position)
