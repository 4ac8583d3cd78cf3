"""The session manager: one pool of connections and one token for the client's life, closed once and for all."""

from __future__ import annotations

import asyncio
import os

from asyncimport.address import Address
from asyncimport.attempt import Attempt, NoAnswer
from asyncimport.clock import Clock
from asyncimport.credentials import (
    AppCredentials,
    AppToken,
    CalledToken,
    FixedToken,
    Grant,
    Token,
    TokenKeeper,
    TokenSource,
)
from asyncimport.errors import ConfigError, StateError
from asyncimport.observer import Notifier, TokenRenewed
from asyncimport.policy import DispatchPolicy, Timeouts
from asyncimport.resources import Resource
from asyncimport.secret import Secret
from asyncimport.transport import Transport


class SessionManager:
    """Knows where to send and with which token. It belongs to the event loop and the process of its first use."""

    def __init__(
        self,
        address: Address,
        token: Token | AppCredentials,
        *,
        policy: DispatchPolicy,
        transport: Transport,
        clock: Clock,
        notify: Notifier,
    ) -> None:
        self.address = address
        self._transport = transport
        self._timeouts = policy.timeouts
        self.keeper = TokenKeeper(
            self._source_of(token), clock, lambda generation: notify(TokenRenewed(generation=generation))
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._is_closed = False

    def _source_of(self, token: Token | AppCredentials) -> TokenSource:
        if isinstance(token, AppCredentials):
            return AppToken(lambda: self._ask_token(token))
        if isinstance(token, str):
            return FixedToken(Secret(token, "token"))
        if callable(token):
            return CalledToken(token, self._timeouts.attempt_s)
        raise ConfigError("token takes text or an async callable that returns text")

    async def _ask_token(self, app: AppCredentials) -> Attempt:
        """The token call. The misspelt parameter is the platform's (E); that they travel in the query is (I)."""
        query = {"instanceAppid": Secret(app.app_id, "app id"), "instanceSecrect": app.app_secret}
        return await self._transport.get(self.address.token_url, query, self._timeouts)

    def enter(self) -> None:
        """Bind to the running loop with the first use, and refuse any other.

        Raises:
            StateError: closed, another loop, or another process after a fork.
        """
        if self._is_closed:
            raise StateError("the client is closed: open a new one")
        if os.getpid() != self._pid:
            raise StateError(
                "the client was made in another process: its connections do not survive a fork; make one here"
            )
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise StateError("the client belongs to another event loop: make one inside this loop")

    async def grant(self) -> Grant | NoAnswer:
        """The token to send with now.

        Raises:
            AuthError: the credentials are refused.

        Cancellation: safe.
        """
        return await self.keeper.grant()

    async def post(self, resource: Resource, body: bytes, grant: Grant, timeouts: Timeouts) -> Attempt:
        """Post one batch.

        Cancellation: the batch may or may not have reached the platform.
        """
        return await self._transport.post(self.address.url_of(resource), grant.token, body, timeouts)

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        self._is_closed = True
        await self._transport.aclose()
