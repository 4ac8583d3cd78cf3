"""A TCP server that answers with exactly the bytes it is told, for what no HTTP server would send."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]

ENVELOPE = b'{"code":"200","errorCode":"SUCCESS","msg":"ok","data":15314513451345123}'


def http(body: bytes = ENVELOPE, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """An answer with its Content-Length, or another one."""
    size = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", f"Content-Length: {size}", *headers]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


def says(*parts: bytes, close: bool = False) -> Handler:
    """A handler that writes these bytes, each in a segment of its own."""

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: bytes) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if close:
            writer.close()

    return handle


def cut(writer: asyncio.StreamWriter) -> None:
    """Reset a connection, if it still stands."""
    if not writer.is_closing():
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


async def resets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: bytes) -> None:
    """A handler that resets the connection."""
    cut(writer)


async def hangs(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, _request: bytes) -> None:
    """A handler that never answers."""
    await reader.read()


@define
class TcpServer:
    """Serves requests by the handlers in order, later ones by the last."""

    handlers: list[Handler]
    url: str = ""
    port: int = 0
    requests: list[bytes] = field(factory=list)
    connections: int = 0
    arrived: asyncio.Event = field(factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                request = head + await reader.readexactly(int(length[1]) if length else 0)
                handler = self.handlers[min(len(self.requests), len(self.handlers) - 1)]
                self.requests.append(request)
                self.arrived.set()
                await handler(reader, writer, request)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def listening(serve: Serve, **options: Any) -> AsyncIterator[int]:
    """Serve each connection in a task of its own, on the port that is given, for the length of a block."""
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks) if tasks else None
        await server.wait_closed()


@asynccontextmanager
async def tcp_server(*handlers: Handler, **options: Any) -> AsyncIterator[TcpServer]:
    """Serve on loopback for the length of a block."""
    state = TcpServer(list(handlers))
    async with listening(state.serve, host="127.0.0.1", port=0, **options) as state.port:
        state.url = f"http{'s' if options.get('ssl') else ''}://127.0.0.1:{state.port}/api/open"
        yield state
