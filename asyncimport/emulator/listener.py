"""A listening socket with aiohttp's server behind it, and an end that leaves nothing behind."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from attrs import define, field

from asyncimport.emulator.wire import Wire

Handler = Callable[[web.BaseRequest, Wire], Awaitable[web.StreamResponse]]

# aiohttp waits as long for handlers that end of themselves; ours are cancelled before that.
_SHUTDOWN_S = 0.1

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class _Server(web.Server):
    """aiohttp's low-level server, which also tells when a connection comes and goes."""

    def __init__(self, listener: "Listener") -> None:
        super().__init__(listener.handle, keepalive_timeout=listener.keepalive_s, access_log=None)
        self._listener = listener

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._listener.connect(handler, transport)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._listener.disconnect(handler)


@define(kw_only=True, eq=False)
class Listener:
    """One port on loopback. `start()`, then `stop()`; each once.

    Attributes:
        handler: answers a request; it is told the connection, and may end it.
        keepalive_s: idle seconds after which a connection is closed.
        connected: told of each new connection.
    """

    handler: Handler
    keepalive_s: float
    connected: Callable[[], None]
    _wires: dict[web.RequestHandler, Wire] = field(init=False, factory=dict, repr=False)
    _serving: dict[asyncio.Task[object], asyncio.Task[object]] = field(init=False, factory=dict, repr=False)
    _runner: web.ServerRunner | None = field(init=False, default=None, repr=False)

    async def start(self, host: str, port: int) -> int:
        """Listen, and give the port: the one asked for, or a free one for 0.

        Cancellation: nothing listens.

        Raises:
            ValueError: a host other than loopback; made-up endpoints that take tokens are no service for a network.
            OSError: the port is taken.
        """
        if host not in _LOOPBACK:
            raise ValueError(f"the emulator serves loopback alone ({', '.join(sorted(_LOOPBACK))}), not {host!r}")
        runner = web.ServerRunner(_Server(self), shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        site = web.TCPSite(runner, host, port, backlog=1024)
        try:
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        return site.port

    async def stop(self) -> None:
        """Stop listening, end the requests being served and their connections, and wait until all are gone.

        Cancellation: the rest is left to the event loop's own end.
        """
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        for site in runner.sites:
            await site.stop()
        running = {*self._serving, *self._serving.values()}
        for request in self._serving:
            request.cancel()
        wires = list(self._wires.values())
        for wire in wires:
            wire.transport.abort()
        await runner.cleanup()
        # aiohttp forgets a handler whose client has left, and returns before a cancelled one has ended.
        if running:
            await asyncio.wait(running)
        for wire in wires:
            await wire.lost.wait()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request, as a task that `stop()` can end.

        Cancellation: the request ends unanswered.
        """
        task = asyncio.current_task()
        wire = self._wires.get(request.protocol)
        if task is None or wire is None:
            return web.Response()
        self._serving[task] = request.task
        try:
            return await self.handler(request, wire)
        finally:
            del self._serving[task]

    def connect(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Take note of a new connection."""
        self.connected()
        self._wires[handler] = Wire(transport=transport)

    def disconnect(self, handler: web.RequestHandler) -> None:
        """Take note of a connection's end."""
        wire = self._wires.pop(handler, None)
        if wire is not None:
            wire.lost.set()
