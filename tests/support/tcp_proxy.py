"""A TCP proxy on loopback: it carries bytes both ways, counts them, and breaks connections as it is told.

It does not look at what it carries. `gateway.py` reads requests, and breaks them at a place in their meaning.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal

from attrs import define, field, frozen
from wire import cut, listening

_READ_BYTES: Final = 65_536
#: Slow bytes come in portions, so many a second.
_PORTIONS_PER_S: Final = 100


@frozen(kw_only=True)
class Way:
    """What becomes of the bytes in one direction of a connection."""

    #: Whatever is read at a time goes on so much later.
    latency_s: float = 0.0
    bytes_per_s: float = math.inf
    #: So many go on, and the connection ends as its fault says; 0 ends it before the first.
    ends_after: float = math.inf


@frozen(kw_only=True)
class Fault:
    """What becomes of a connection. `up` is from the client to the server.

    To close it sends FIN, to reset it RST, both ways. A peer that vanishes swallows all further bytes and says nothing more.
    """

    up: Way = Way()
    down: Way = Way()
    by: Literal["close", "reset", "vanish"] = "reset"


PASSES: Final = Fault()
#: Connects, and then nothing.
VANISHES: Final = Fault(up=Way(ends_after=0), by="vanish")


class Ended(Exception):
    """A connection has come to the end that its fault has for it."""


@define
class Flow:
    """The bytes of one direction over one connection: those the sender sent, and how many of them went on."""

    way: Way
    sent: bytearray = field(factory=bytearray)
    passed: int = 0

    async def carry(self, part: bytes, writer: asyncio.StreamWriter) -> None:
        """Let a part go on, as late and as slowly as this way is, and no further than to its end."""
        part = part[: int(min(len(part), self.way.ends_after - self.passed))]
        await asyncio.sleep(self.way.latency_s)
        is_slow = self.way.bytes_per_s < math.inf
        portion = max(1, int(self.way.bytes_per_s / _PORTIONS_PER_S)) if is_slow else len(part)
        for at in range(0, len(part), portion or 1):
            if is_slow:
                await asyncio.sleep(portion / self.way.bytes_per_s)
            writer.write(part[at : at + portion])
            await writer.drain()
            self.passed += len(part[at : at + portion])


@define
class Link:
    """One connection through the proxy."""

    fault: Fault
    up: Flow = field(init=False)
    down: Flow = field(init=False)
    has_vanished: bool = False

    def __attrs_post_init__(self) -> None:
        self.up, self.down = Flow(self.fault.up), Flow(self.fault.down)

    async def pump(self, flow: Flow, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction to its end."""
        while True:
            if flow.passed >= flow.way.ends_after:
                if self.fault.by != "vanish":
                    raise Ended
                self.has_vanished = True
            if not (data := await reader.read(_READ_BYTES)):
                break
            flow.sent += data
            if not self.has_vanished:
                await flow.carry(data, writer)
        if self.has_vanished:
            raise Ended  # who was left alone has gone too
        with suppress(OSError, RuntimeError):
            writer.write_eof()


@define
class TcpProxy:
    """Carries connections to a port of loopback: the first ones with the faults of the script, all later ones `otherwise`."""

    target: int
    script: deque[Fault] = field(factory=deque)
    otherwise: Fault = PASSES
    port: int = 0
    links: list[Link] = field(factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/open"

    @property
    def passed(self) -> tuple[int, int]:
        """How many bytes went up and down."""
        return sum(link.up.passed for link in self.links), sum(link.down.passed for link in self.links)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        link = Link(self.script.popleft() if self.script else self.otherwise)
        self.links.append(link)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):  # whoever was there has gone
                await self.connect(link, reader, writer)
        finally:
            writer.close()

    async def connect(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until both have ended, one was reset, or the fault says so."""
        there_reader, there = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(link.pump(link.up, reader, there))
                both.create_task(link.pump(link.down, there_reader, writer))
        except* (Ended, ConnectionError) as ends:
            if link.fault.by != "close" or ends.subgroup(ConnectionError):
                cut(writer)
                cut(there)
        finally:
            there.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen for the length of a block; afterwards connections are refused. Another block is on the same port."""
        async with listening(self.serve, host="127.0.0.1", port=self.port) as self.port:
            yield


@asynccontextmanager
async def tcp_proxy(target: int, script: Iterable[Fault] = (), otherwise: Fault = PASSES) -> AsyncIterator[TcpProxy]:
    """A proxy that listens for the length of a block."""
    proxy = TcpProxy(target, deque(script), otherwise)
    async with proxy.listening():
        yield proxy
