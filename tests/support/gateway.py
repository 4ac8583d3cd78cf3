"""A gateway of bytes between a client and the emulator: it passes requests on, or does to one what its script says.

The emulator behind it commits what reaches it whole, and its ledger is the witness.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field
from wire import cut, listening

from asyncimport.emulator import Emulator


@define
class Exchange:
    """One request, from its head on; `body` is what was read of it so far."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes
    connection: int
    platform: Emulator
    body: bytearray = field(factory=bytearray)
    began_at: float = field(factory=lambda: asyncio.get_running_loop().time())

    @property
    def length(self) -> int:
        found = re.search(rb"content-length: (\d+)", self.head.lower())
        return int(found[1]) if found else 0

    @property
    def is_whole(self) -> bool:
        return len(self.body) == self.length

    async def read(self, upto: int | None = None) -> None:
        """Read the body, or so much of it."""
        missing = (self.length if upto is None else upto) - len(self.body)
        self.body += await self.reader.readexactly(missing)

    async def answer(self) -> bytes:
        """Have the platform answer the whole request."""
        await self.read()
        reader, writer = await asyncio.open_connection(self.platform.host, self.platform.port)
        try:
            writer.write(self.head + self.body)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            return head + await reader.readexactly(int(length[1]) if length else 0)
        finally:
            writer.close()

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()


Act = Callable[[Exchange], Awaitable[None]]


async def passes(exchange: Exchange) -> None:
    """The request goes on, the answer comes back."""
    await exchange.say(await exchange.answer())


async def closes(exchange: Exchange) -> None:
    """The same, and the answer says that the connection ends with it."""
    answer = await exchange.answer()
    await exchange.say(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    exchange.writer.close()


async def resets(exchange: Exchange) -> None:
    """The connection is reset before any byte of the body was read."""
    cut(exchange.writer)


async def resets_in_the_body(exchange: Exchange) -> None:
    await exchange.read(exchange.length // 2)
    cut(exchange.writer)


async def resets_after_the_commit(exchange: Exchange) -> None:
    await exchange.answer()
    cut(exchange.writer)


async def is_silent(exchange: Exchange) -> None:
    """The request is read to its end, and nothing ever comes."""
    await exchange.read()
    await exchange.reader.read()


async def vanishes(_exchange: Exchange) -> None:
    """Nobody reads any more, and nobody says so."""
    await asyncio.Event().wait()


@define
class Gateway:
    """Does to the requests, in order, what the script says; passes all later ones on."""

    platform: Emulator
    script: deque[Act]
    #: What happens to requests when the script has ended.
    otherwise: Act = passes
    port: int = 0
    host: str = "127.0.0.1"
    scheme: str = "http"
    exchanges: list[Exchange] = field(factory=list)
    writers: list[asyncio.StreamWriter] = field(factory=list)

    @property
    def url(self) -> str:
        return self.url_of(f"[{self.host}]" if ":" in self.host else self.host)

    def url_of(self, host: str) -> str:
        return f"{self.scheme}://{host}:{self.port}/api/open"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.writers)
        self.writers.append(writer)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                exchange = Exchange(reader, writer, head, number, self.platform)
                self.exchanges.append(exchange)
                await (self.script.popleft() if self.script else self.otherwise)(exchange)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def cut_all(self) -> None:
        """Reset every connection there is."""
        for writer in self.writers:
            cut(writer)

    @asynccontextmanager
    async def listening(self, **options: Any) -> AsyncIterator[None]:
        """Serve for the length of a block; `sock=` and `ssl=` as `asyncio.start_server` takes them."""
        place: dict[str, Any] = {} if "sock" in options else {"host": self.host, "port": self.port}
        async with listening(self.serve, **place, **options) as self.port:
            yield


@asynccontextmanager
async def gateway(
    platform: Emulator, *script: Act, host: str = "127.0.0.1", is_narrow: bool = False, **options: Any
) -> AsyncIterator[Gateway]:
    """A gateway that listens on loopback for the length of a block; a narrow one takes little in before it reads."""
    if is_narrow:
        options["sock"] = _narrow()
    state = Gateway(platform, deque(script), host=host, scheme="https" if "ssl" in options else "http")
    async with state.listening(**options):
        yield state


def _narrow() -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.bind(("127.0.0.1", 0))
    return sock
