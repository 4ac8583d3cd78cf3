"""The token: had from wherever the user says, kept, renewed ahead of its end or when refused, once for everybody.

A refused token is renewed only if it had been accepted before: one that never worked would not work renewed. All
requests in flight with the same token fail together, so a refusal counts only for the token's generation: the first
one makes the keeper forget it, the others find it gone, and the next request to need a token fetches it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from attrs import field, frozen

from asyncimport.attempt import Answer, Attempt, Fault, NoAnswer
from asyncimport.clock import Clock, is_being_cancelled
from asyncimport.codec import Envelope, decode_envelope, structured
from asyncimport.errors import AuthError, ConfigError
from asyncimport.policy import RetryPolicy
from asyncimport.retry import jittered_s
from asyncimport.secret import Secret
from asyncimport.verdict import Verdict

#: A token lives 7200 s (PLATFORM.md, E); the answer's own `expire` is 0 in the documented example and not trusted.
TOKEN_LIFE_S: Final = 7200.0
#: Renewed ahead, at this share of its life, spread so that processes do not renew together.
AHEAD: Final = 0.8
SPREAD: Final = 0.05
#: A fourth renewal within this time means that somebody else keeps taking the token away.
RENEWALS: Final = 3
RENEWALS_WITHIN_S: Final = 300.0

#: A token as a user gives it: its text, or where to get it.
Token = str | Callable[[], Awaitable[str]]


def _secret(secret: str) -> Secret:
    return Secret(secret, "app secret")


@frozen(kw_only=True)
class AppCredentials:
    """The id and secret of a self-built app, from which tokens are had.

    Raises:
        ConfigError: an id or secret that cannot be one.
    """

    app_id: str = field()
    app_secret: Secret = field(converter=_secret)

    @app_id.validator
    def _check(self, _attribute: object, value: str) -> None:
        Secret(value, "app id")


@frozen(kw_only=True)
class Grant:
    """A token to send with, and which one it is."""

    token: Secret
    generation: int


class TokenSource(Protocol):
    """Where tokens come from."""

    @property
    def is_renewable(self) -> bool:
        """Whether asking again may give another token."""

    async def fetch(self) -> Secret | NoAnswer:
        """A token, or why there is none now.

        Raises:
            AuthError: there will be none: the credentials are refused.
        """


@frozen
class FixedToken:
    """A token given as text."""

    token: Secret
    is_renewable: bool = False

    async def fetch(self) -> Secret | NoAnswer:
        return self.token


@frozen
class CalledToken:
    """A token from the user's async callable: a vault, a cache shared by many processes."""

    provider: Callable[[], Awaitable[str]]
    timeout_s: float
    is_renewable: bool = True

    async def fetch(self) -> Secret | NoAnswer:
        try:
            async with asyncio.timeout(self.timeout_s):
                return Secret(await self.provider(), "token")
        except ConfigError:
            fault = "the token callable returned something that cannot be a token"
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            fault = "the token callable was cancelled by its own"
        except Exception as error:  # noqa: BLE001 -- the user's callable may raise anything; its text may hold anything
            fault = f"the token callable raised {type(error).__name__}"
        return NoAnswer(fault=Fault.TOKEN, sent=False, detail=fault)


@frozen(kw_only=True)
class _TokenData:
    orgAccessToken: str = field(repr=False)  # noqa: N815 -- the wire name


@frozen
class AppToken:
    """A token from the platform's token call; `ask` performs it, keeping the secret out of our frames."""

    ask: Callable[[], Awaitable[Attempt]]
    is_renewable: bool = True

    async def fetch(self) -> Secret | NoAnswer:
        attempt = await self.ask()
        if isinstance(attempt, NoAnswer):
            return NoAnswer(
                fault=attempt.fault, sent=False, detail=f"token call{f', {attempt.detail}' if attempt.detail else ''}"
            )
        return _read_token(attempt)


def _read_token(answer: Answer) -> Secret | NoAnswer:
    envelope = decode_envelope(answer.body)
    if envelope is not None and envelope.code in ("100100", "100300"):
        raise AuthError(f"the platform refuses the app id and secret (code {envelope.code}): check AppCredentials")
    if answer.status == 200 and envelope is not None and envelope.code == "200":  # noqa: PLR2004 -- the status by its own name
        try:
            return Secret(_token_in(envelope), "token")
        except ConfigError:
            return NoAnswer(fault=Fault.TOKEN, sent=False, detail="the token call answered without a usable token")
    if 300 <= answer.status < 400 or answer.status in (404, 405, 410, 415):  # noqa: PLR2004 -- HTTP's own
        return NoAnswer(fault=Fault.ADDRESS, sent=False, detail=f"the token call answered HTTP {answer.status}")
    code = "" if envelope is None else f", code {envelope.code[:20]!r}"
    return NoAnswer(fault=Fault.TOKEN, sent=False, detail=f"the token call answered HTTP {answer.status}{code}")


def _token_in(envelope: Envelope) -> str:
    data = structured(envelope.data, _TokenData)
    return "" if data is None else data.orgAccessToken


class TokenKeeper:
    """Keeps the one token of a client."""

    def __init__(self, source: TokenSource, clock: Clock, retry: RetryPolicy, fetched: Callable[[int], None]) -> None:
        self._source = source
        self._clock = clock
        self._retry = retry
        #: Told the generation of each token fetched.
        self._fetched = fetched
        self._lock = asyncio.Lock()
        self._token: Secret | None = None
        self._generation = 0
        self._renew_at = 0.0
        self._was_accepted = False
        self._renewals: deque[float] = deque(maxlen=RENEWALS)
        #: Fetches that failed in a row, and when the next may be made.
        self._failures = 0
        self._not_before = 0.0
        self._last_failure: NoAnswer | None = None

    async def grant(self) -> Grant | NoAnswer:
        """The token to send with now, fetched first if need be, by one caller for all.

        Raises:
            AuthError: the credentials are refused.

        Cancellation: safe; the next caller fetches.
        """
        if self._is_fresh() or (self._token is not None and self._lock.locked()):
            return self._granted()  # while one renews ahead, the others use the token that still lives
        async with self._lock:
            if not self._is_fresh():
                await self._fetch()
            return self._granted()

    def _is_fresh(self) -> bool:
        return self._token is not None and (not self._source.is_renewable or self._clock.now() < self._renew_at)

    def _granted(self) -> Grant | NoAnswer:
        if self._token is not None:
            return Grant(token=self._token, generation=self._generation)
        return self._last_failure or NoAnswer(fault=Fault.TOKEN, sent=False)

    async def _fetch(self) -> None:
        """Fetch a token, unless the last failure is too recent. A failure keeps a token that still lives."""
        now = self._clock.now()
        if now < self._not_before:
            return
        fetched = await self._source.fetch()
        now = self._clock.now()
        if isinstance(fetched, NoAnswer):
            self._failures += 1
            self._not_before = now + jittered_s(self._failures, self._retry)
            self._last_failure = fetched
            return
        if self._generation:
            self._renewals.append(now)
        life = AHEAD + random.uniform(-SPREAD, SPREAD)  # noqa: S311 -- jitter
        self._token, self._renew_at = fetched, now + TOKEN_LIFE_S * life
        self._generation += 1
        self._was_accepted = False
        self._failures, self._not_before, self._last_failure = 0, 0.0, None
        self._fetched(self._generation)

    def accepted(self, generation: int) -> None:
        """Book that the platform took a request with this token."""
        if generation == self._generation:
            self._was_accepted = True

    def refused(self, generation: int, verdict: Verdict) -> AuthError | None:
        """Book a refusal; None when sending again with a new token is worth it, else why it is not."""
        if generation != self._generation or self._token is None:
            return None
        said = verdict.detail
        if not verdict.is_renewable:
            return AuthError(f"the platform denies access with this token ({said}): check the app's permissions")
        if not self._source.is_renewable:
            return AuthError(
                f"the platform refuses the token ({said}): it is wrong or has expired; give AppCredentials or a callable to have it renewed"
            )
        if not self._was_accepted:
            return AuthError(f"the platform refuses a fresh token ({said}): check the app it was made for")
        now = self._clock.now()
        if len(self._renewals) == RENEWALS and now - self._renewals[0] < RENEWALS_WITHIN_S:
            return AuthError(
                f"the token was taken away {RENEWALS + 1} times in {RENEWALS_WITHIN_S:.0f} s ({said}): another process seems to "
                "renew the same app's token; share one token through a callable"
            )
        self._token = None
        return None


def credentials_of(token: Token | None, app: AppCredentials | None) -> Token | AppCredentials:
    """What a client asks with: what is given, else what the environment has.

    Raises:
        ConfigError: both, or nothing.
    """
    if token is not None and app is not None:
        raise ConfigError("give token= or app=, not both")
    if token is not None:
        return token
    if app is not None:
        return app
    environment = os.environ.get
    if found := environment("ASYNCIMPORT_TOKEN"):
        return found
    app_id, app_secret = environment("ASYNCIMPORT_APP_ID"), environment("ASYNCIMPORT_APP_SECRET")
    if app_id and app_secret:
        return AppCredentials(app_id=app_id, app_secret=app_secret)
    raise ConfigError(
        "no token: give token= or app=, or set ASYNCIMPORT_TOKEN, or ASYNCIMPORT_APP_ID and ASYNCIMPORT_APP_SECRET"
    )
