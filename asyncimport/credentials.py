"""The token: had from wherever the user says, kept, renewed ahead of its end or when refused, once for everybody.

A refused token is renewed only if it had been accepted before: one that never worked would not work renewed. All
requests in flight with the same token fail together, so a refusal counts only for the token's generation: the first
one makes the keeper give it up, the others find it gone, and the next request to need a token fetches it. When it may
be fetched, `renewal.py` decides.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from attrs import define, field, frozen

from asyncimport.attempt import Answer, Attempt, Fault, NoAnswer
from asyncimport.clock import Clock, is_being_cancelled
from asyncimport.codec import Envelope, decode_envelope, structured
from asyncimport.errors import AuthError, ConfigError
from asyncimport.renewal import RENEWALS, WITHIN_S, Renewal
from asyncimport.secret import Secret
from asyncimport.verdict import Verdict

#: How often a callable may return the refused token again: one that shares a cache learns late of a new one (half a minute).
STALE_REPEATS: Final = 5

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

    @property
    def cause(self) -> str:
        """What is likely to be wrong when a token that should be good is refused."""

    async def fetch(self, refused: Secret | None, /) -> Secret | NoAnswer:
        """A token, or why there is none now; `refused` is the last one that the platform refused.

        Raises:
            AuthError: there will be none: the credentials are refused.
        """


@frozen
class FixedToken:
    """A token given as text."""

    token: Secret
    is_renewable: bool = False
    cause: str = "it is wrong or has expired; give AppCredentials or a callable to have it renewed"

    async def fetch(self, _refused: Secret | None, /) -> Secret | NoAnswer:
        return self.token


@define
class CalledToken:
    """A token from the user's async callable: a vault, a cache shared by many processes."""

    provider: Callable[[], Awaitable[str]]
    timeout_s: float
    is_renewable: bool = True
    cause: str = "something else renews the same app's token, or the callable returns an old one"
    #: How often in a row it returned the refused token.
    repeats: int = 0

    async def fetch(self, refused: Secret | None, /) -> Secret | NoAnswer:
        try:
            async with asyncio.timeout(self.timeout_s):
                fetched = Secret(await self.provider(), "token")
        except ConfigError:
            fault = "the token callable returned something that cannot be a token"
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            fault = "the token callable was cancelled by its own"
        except Exception as error:  # noqa: BLE001 -- the user's callable may raise anything; its text may hold anything
            fault = f"the token callable raised {type(error).__name__}"
        else:
            return self._checked(fetched, refused)
        return NoAnswer(fault=Fault.TOKEN, sent=False, detail=fault)

    def _checked(self, fetched: Secret, refused: Secret | None) -> Secret | NoAnswer:
        self.repeats += 1
        if refused is None or not fetched.is_same_as(refused) or self.repeats > STALE_REPEATS:
            self.repeats = 0
            return fetched  # one that it insists on may be good: the platform decides
        return NoAnswer(fault=Fault.TOKEN, sent=False, detail="the token callable returned the refused token again")


@frozen(kw_only=True)
class _TokenData:
    orgAccessToken: str = field(repr=False)  # noqa: N815 -- the wire name


@frozen
class AppToken:
    """A token from the platform's token call; `ask` performs it, keeping the secret out of our frames."""

    ask: Callable[[], Awaitable[Attempt]]
    is_renewable: bool = True
    cause: str = "another process renews the same app's token: share one token through a callable"

    async def fetch(self, _refused: Secret | None, /) -> Secret | NoAnswer:
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

    def __init__(self, source: TokenSource, clock: Clock, fetched: Callable[[int], None]) -> None:
        self._source = source
        self._clock = clock
        #: Told the generation of each token fetched.
        self._fetched = fetched
        self._lock = asyncio.Lock()
        self._renewal = Renewal()
        self._token: Secret | None = None
        self._refused: Secret | None = None
        #: The newest generation that the platform has accepted.
        self._accepted = 0
        self._is_fetching = False
        #: Why the last fetch gave no token: text when there will be none.
        self._failure: NoAnswer | str | None = None

    async def grant(self) -> Grant | NoAnswer:
        """The token to send with now, fetched first if need be, by one caller for all.

        Raises:
            AuthError: the credentials are refused.

        Cancellation: safe; the next caller waits for the rest of a wait, and fetches.
        """
        if self._is_good_until(self._renewal.renew_at):
            return self._granted()
        if self._lock.locked() and self._is_good_until(self._renewal.ends_at):
            return self._granted()  # while one renews ahead, the others use the token that still lives
        async with self._lock:
            if not self._is_good_until(self._renewal.renew_at):
                await self._fetch()
            return self._granted()

    def _is_good_until(self, moment: float) -> bool:
        return self._token is not None and (not self._source.is_renewable or self._clock.now() < moment)

    def _granted(self) -> Grant | NoAnswer:
        if self._token is not None and self._is_good_until(self._renewal.ends_at):
            return Grant(token=self._token, generation=self._renewal.generation)
        if isinstance(self._failure, str):
            raise AuthError(self._failure)
        return self._failure or NoAnswer(fault=Fault.TOKEN, sent=False)

    async def _fetch(self) -> None:
        """Fetch a token, unless the last failure is too recent. A failure keeps a token that still lives."""
        wait_s = self._renewal.not_before - self._clock.now()
        if wait_s > 0:
            if self._failure is not None:
                return
            await self._clock.sleep(wait_s)
        self._is_fetching = True
        try:
            fetched: Secret | NoAnswer | str = await self._source.fetch(self._refused)
        except AuthError as error:
            fetched = str(error)
        finally:
            self._is_fetching = False
        self._book(fetched, self._clock.now())

    def _book(self, fetched: Secret | NoAnswer | str, now: float) -> None:
        share = random.random()  # noqa: S311 -- jitter
        match fetched:
            case Secret():
                self._token, self._failure = fetched, None
                self._renewal.received(now, share)
                self._fetched(self._renewal.generation)
            case NoAnswer():
                self._failure = fetched
                self._renewal.failed(now, share)
            case _:
                self._failure = fetched
                self._renewal.denied(now)

    def accepted(self, generation: int) -> None:
        """Book that the platform took a request with this token."""
        self._accepted = max(self._accepted, generation)

    def refused(self, generation: int, verdict: Verdict) -> AuthError | None:
        """Book a refusal; None when sending again with a new token is worth it, else why it is not."""
        if generation != self._renewal.generation or not self._is_good_until(self._renewal.ends_at):
            return None
        said, cause, now = verdict.detail, self._source.cause, self._clock.now()
        if not verdict.is_renewable:
            return AuthError(f"the platform denies access with this token ({said}): check the app's permissions")
        if not self._source.is_renewable:
            return AuthError(f"the platform refuses the token ({said}): {cause}")
        if self._is_fetching:  # a renewal under way may be what ended this token: the new one decides
            self._renewal.end(now)
            return None
        if self._accepted < generation and self._renewal.is_fresh(now):
            self._renewal.rest(now)
            return AuthError(f"the platform refuses {self._unaccepted(said)} {cause}")
        if not self._renewal.refused(now, random.random()):  # noqa: S311 -- jitter
            times = f"{RENEWALS + 1} times in {WITHIN_S:.0f} s"
            return AuthError(f"the token was taken away {times} ({said}); it seems that {cause}")
        self._refused = self._token
        return None

    def _unaccepted(self, said: str) -> str:
        if self._accepted:
            return f"a token just renewed ({said}); it seems that"
        return f"a fresh token ({said}): either it belongs to another app or platform, or"


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
    # Never in a local: an error tracker would show every variable of the process (FAULTS.md S13).
    if token := os.environ.get("ASYNCIMPORT_TOKEN"):
        return token
    app_id, app_secret = os.environ.get("ASYNCIMPORT_APP_ID"), os.environ.get("ASYNCIMPORT_APP_SECRET")
    if app_id and app_secret:
        return AppCredentials(app_id=app_id, app_secret=app_secret)
    raise ConfigError(
        "no token: give token= or app=, or set ASYNCIMPORT_TOKEN, or ASYNCIMPORT_APP_ID and ASYNCIMPORT_APP_SECRET"
    )
