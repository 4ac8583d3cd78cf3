"""A pool of kept connections: how names are looked up, and which connections may be used again.

What aiohttp does by itself and must not here: it looks names up in threads that the end of the loop waits for, and takes bytes
that came on an idle connection for the answer to the next request.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from attrs import define, field

from asyncimport.aside import aside

#: As aiohttp's own resolver: no IPv6 address where this machine has none. macOS has flags that it refuses.
_ADDRESS_FLAGS: Final = socket.AI_ADDRCONFIG & getattr(socket, "AI_MASK", -1)


@define
class Trace:
    """What aiohttp's tracing tells about one request while it goes on."""

    was_sent: bool = False
    idle_s: float | None = None


Lookup = Callable[..., list[tuple[Any, ...]]]


class _Resolver(AbstractResolver):
    """Looks each name up in a daemon thread: asyncio's are waited for at the end, and a resolver may hang for 30 s."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_UNSPEC) -> list[ResolveResult]:
        """Cancellation: the thread is left behind; what it finds is dropped."""
        asked = partial(self._lookup, host, port, family, socket.SOCK_STREAM, 0, _ADDRESS_FLAGS)
        return [_resolved(host, info) for info in await aside(asked, "asyncimport-lookup")]

    async def close(self) -> None: ...


def _resolved(host: str, info: tuple[Any, ...]) -> ResolveResult:
    family, _, proto, _, (address, port, *rest) = info
    scope = f"%{rest[1]}" if rest and rest[-1] else ""
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address + scope, port=port, family=family, proto=proto, flags=flags)


class _Connector(aiohttp.TCPConnector):
    """Never gives out a connection on which bytes came while nobody had asked."""

    async def connect(self, *arguments: Any, **named: Any) -> Any:
        connection = await super().connect(*arguments, **named)
        while connection.protocol is not None and connection.protocol.should_close:
            connection.close()
            connection = await super().connect(*arguments, **named)
        return connection


@define(eq=False, kw_only=True)
class Pool:
    """A session of aiohttp, and what is known of its connections."""

    #: How long a connection is kept that nobody uses.
    keepalive_s: float
    ssl: ssl.SSLContext | None
    lookup: Lookup
    session: aiohttp.ClientSession = field(init=False)
    #: Requests that use it now.
    in_use: int = 0
    #: When its connections went idle, oldest first: aiohttp takes them in this order.
    idle_since: deque[float] = field(factory=deque)

    def __attrs_post_init__(self) -> None:
        """Open the session; connections are made with the first request."""
        tracing = aiohttp.TraceConfig()
        tracing.on_request_headers_sent.append(_on_sent)
        tracing.on_connection_create_start.append(self.on_new)
        tracing.on_connection_reuseconn.append(self.on_reuse)
        connector = _Connector(
            limit=0,  # the dispatcher bounds what is in flight
            keepalive_timeout=self.keepalive_s,
            ssl=self.ssl or True,
            resolver=_Resolver(self.lookup),
        )
        self.session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            raise_for_status=False,
            trace_configs=[tracing],
        )

    async def on_new(self, _session: object, _context: object, _params: object) -> None:
        self.idle_since.clear()  # a new connection is made only when the pool has none left

    async def on_reuse(self, _session: object, context: SimpleNamespace, _params: object) -> None:
        now = asyncio.get_running_loop().time()
        context.trace_request_ctx.idle_s = now - (self.idle_since.popleft() if self.idle_since else now)


async def _on_sent(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.was_sent = True
