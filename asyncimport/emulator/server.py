"""The emulator: the platform, its faults and its ledger behind a real server on loopback."""

import secrets
import time
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Self

from aiohttp import web
from attrs import define, field

from asyncimport.emulator.answer import Answer, failed
from asyncimport.emulator.assumptions import Assumptions
from asyncimport.emulator.control import Control
from asyncimport.emulator.endpoints import BASE_PATH, TOKEN, TOKEN_PATH, Declared, Resource, routes, with_further
from asyncimport.emulator.exchange import Exchange
from asyncimport.emulator.injector import Dealt, Faults
from asyncimport.emulator.ledger import Ledger
from asyncimport.emulator.listener import Listener
from asyncimport.emulator.platform import Arrival, Platform
from asyncimport.emulator.shape import shown
from asyncimport.emulator.tokens import Tokens
from asyncimport.emulator.wire import Wire


def _made_up() -> str:
    return secrets.token_urlsafe(24)


@define(kw_only=True, eq=False)
class Emulator:
    """The marketing platform on loopback, for tests: `async with Emulator() as platform:`.

    It checks every request against the documented contract, commits what is in order, and keeps a ledger of what it
    committed, which no fault touches. An emulator serves once.

    Attributes:
        host: loopback; another host is a ValueError.
        port: the port, or 0 for a free one; afterwards the port in use.
        token: an argument alone: the first accepted X-Token, made up when not given; see the property.
        app_id: the self-built app's id, made up when not given.
        app_secret: its secret, likewise.
        strict: check requests against the whole contract. `False` only counts records, for load.
        keep_records: keep the committed records for `ledger.users.records()`; see `ResourceLedger` for the cost.
        control: open the control door of `control.py` on a port of its own.
        keepalive_s: idle seconds after which the server closes a connection.
        resources: further resources to serve besides the documented ones, as a client declares them or with a contract
            of the emulator's own; a name or path that is taken is a ValueError.
        assumptions: how it behaves where the documents are silent.
        tokens: which tokens are accepted.
        ledger: what came and what was committed.
        faults: what goes wrong.
    """

    host: str = "127.0.0.1"
    port: int = 0
    _first_token: str | None = field(alias="token", default=None, repr=False)
    app_id: str = field(factory=_made_up)
    app_secret: str = field(factory=_made_up, repr=False)
    strict: bool = True
    keep_records: bool = True
    control: bool = False
    keepalive_s: float = 75.0
    resources: Sequence[Resource | Declared] = ()
    assumptions: Assumptions = field(factory=Assumptions)
    tokens: Tokens = field(init=False, repr=False)
    ledger: Ledger = field(init=False, repr=False)
    faults: Faults = field(init=False, repr=False)
    _platform: Platform = field(init=False, repr=False)
    _routes: dict[str, Resource] = field(init=False, repr=False)
    _listener: Listener = field(init=False, repr=False)
    _door: Control | None = field(init=False, default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        self.tokens = Tokens(
            newest=self._first_token or _made_up(),
            life_s=self.assumptions.token_life_s,
            one_at_a_time=self.assumptions.one_token_at_a_time,
            now=time.monotonic,
        )
        served = with_further(self.resources)
        names = [resource.name for resource in served]
        self.ledger = Ledger(keep_records=self.keep_records, names=names)
        self.faults = Faults(tokens=self.tokens, now=time.monotonic, targets={TOKEN, *names})
        self._platform = Platform(
            app_id=self.app_id,
            app_secret=self.app_secret,
            strict=self.strict,
            assumptions=self.assumptions,
            tokens=self.tokens,
            ledger=self.ledger,
        )
        self._routes = routes(served, old_addresses=self.assumptions.old_addresses)
        self._listener = Listener(handler=self._serve, connected=self.ledger.connect, keepalive_s=self.keepalive_s)

    @property
    def token(self) -> str:
        """The X-Token handed out last: the one of the constructor until the token endpoint gave another."""
        return self.tokens.newest

    @property
    def url(self) -> str:
        """The base URL, such as `http://127.0.0.1:8080/api/open`."""
        return f"{self.origin}{BASE_PATH}"

    @property
    def origin(self) -> str:
        """The base URL without its path: where the older addresses begin."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def control_url(self) -> str | None:
        """The address of the control door, if there is one."""
        return None if self._door is None else self._door.url

    async def __aenter__(self) -> Self:
        """Start to serve.

        Cancellation: nothing listens.

        Raises:
            ValueError: the host is not loopback.
            OSError: the port is taken.
        """
        self.port = await self._listener.start(self.host, self.port)
        try:
            if self.control:
                self._door = Control(ledger=self.ledger, faults=self.faults, credentials=self._credentials)
                await self._door.open(self.host)
        except BaseException:
            await self._listener.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every request, hanging ones too, and close every connection.

        Cancellation: the rest is left to the event loop's own end.
        """
        try:
            await self._listener.stop()
        finally:
            if self._door is not None:
                await self._door.close()

    async def _serve(self, request: web.BaseRequest, wire: Wire) -> web.StreamResponse:
        answer = await self._answer(request, wire)
        if answer is None:
            # The connection is ended: aiohttp finds it closed and writes nothing.
            return web.Response()
        headers = {"Content-Type": answer.content_type, **answer.headers}
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    async def _answer(self, request: web.BaseRequest, wire: Wire) -> Answer | None:
        resource = self._routes.get(request.path)
        if resource is None and request.path != TOKEN_PATH:
            return self._misled(404, f"no import has the path {shown(request.path)}")
        wanted = "GET" if resource is None else "POST"
        if request.method != wanted:
            return self._misled(405, f"{shown(request.path)} wants {wanted}, not {shown(request.method)}")
        if resource is None:
            return await self._grant(request, wire)
        self.ledger.enter()
        try:
            return await self._import(resource, request, wire)
        finally:
            self.ledger.leave()

    async def _import(self, resource: Resource, request: web.BaseRequest, wire: Wire) -> Answer | None:
        try:
            body = await request.content.read()
        except (ConnectionError, web.RequestPayloadError):
            self.ledger.broken_off += 1
            return None
        if request.content_type != "application/json":
            return self._misled(415, f"{resource.name} wants application/json")
        if "Content-Encoding" in request.headers:
            return self._misled(415, f"{resource.name} documents no compressed body")
        tokens = request.headers.getall("X-Token", [])
        if len(tokens) != 1:
            self.ledger.accuse(resource.name, [f"X-Token must stand in the header once, not {len(tokens)} times"])
        token = tokens[0] if len(tokens) == 1 else None
        arrival = self._platform.receive(resource, token, body, arrived_s=time.monotonic())
        return await self._in_service(
            Exchange(
                target=resource.name,
                judge=partial(self._judge, arrival),
                wire=wire,
                faults=self.faults,
                assumptions=self.assumptions,
                logged=arrival.logged,
            )
        )

    async def _grant(self, request: web.BaseRequest, wire: Wire) -> Answer | None:
        return await self._in_service(
            Exchange(
                target=TOKEN,
                judge=lambda _dealt, _first: self._platform.grant(request.query),
                wire=wire,
                faults=self.faults,
                assumptions=self.assumptions,
            )
        )

    def _judge(self, arrival: Arrival, dealt: Dealt, first: int | None) -> Answer:
        token_uses = self.faults.token_uses(arrival.resource.name)
        return self._platform.judge(arrival, poisons=dealt.poisons, token_uses=token_uses, first=first)

    async def _in_service(self, exchange: Exchange) -> Answer | None:
        self.faults.in_service += 1
        try:
            return await exchange.run()
        finally:
            self.faults.in_service -= 1

    def _credentials(self) -> dict[str, str]:
        return {"token": self.token, "app_id": self.app_id, "app_secret": self.app_secret}

    def _misled(self, status: int, problem: str) -> Answer:
        self.ledger.accuse("http", [problem])
        return failed(status)
