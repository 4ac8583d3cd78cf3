"""What stands before a platform: TLS of every kind, a tap on its wire, a proxy."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import warnings
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trustme
from attrs import define, field
from wire import listening

HOST = "platform.test"


@define
class Certificates:
    """A server's TLS that can be changed while it serves, and a client's that trusts one authority."""

    authority: trustme.CA = field(factory=trustme.CA)
    server: ssl.SSLContext = field(factory=lambda: ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
    trusting: ssl.SSLContext = field(factory=ssl.create_default_context)
    is_old: bool = False

    def __attrs_post_init__(self) -> None:
        self.authority.configure_trust(self.trusting)
        self.become("good")

    def become(self, kind: str) -> None:
        """Serve new connections so from now on."""
        yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
        issuer = trustme.CA() if kind == "self-signed" else self.authority
        name = "elsewhere.test" if kind == "wrong host" else HOST
        certificate = issuer.issue_cert(name, not_after=yesterday if kind == "expired" else None)
        certificate.configure_cert(self.server)
        self.is_old = kind == "TLS 1.0"

    async def refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray) -> None:
        """Serve a connection with TLS 1.0 alone, alerts included, which asyncio's own servers keep to themselves."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_ciphers("ALL:@SECLEVEL=0")
        self.authority.issue_cert(HOST).configure_cert(context)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while data := await reader.read(65536):
            seen += data
            incoming.write(data)
            with suppress(ssl.SSLError):
                tls.do_handshake()
            writer.write(outgoing.read())
            await writer.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray | None = None) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            if seen is not None:
                seen += data
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


@define
class Tap:
    """Passes bytes on to a port of loopback, and keeps what each client's connection sent."""

    target: int
    certificates: Certificates
    port: int = 0
    #: How many of the next connections are taken and left alone.
    stalling: int = 0
    seen: list[bytearray] = field(factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = bytearray()
        self.seen.append(seen)
        try:
            if self.stalling:
                self.stalling -= 1
                while data := await reader.read(65536):
                    seen += data
            elif self.certificates.is_old:
                await self.certificates.refuse(reader, writer, seen)
            else:
                await join(reader, writer, self.target, seen)
        except ConnectionError:
            return
        finally:
            writer.close()


async def join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int, seen: bytearray | None = None
) -> None:
    """Carry bytes both ways between a client and a port of loopback."""
    there_reader, there = await asyncio.open_connection("127.0.0.1", target)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(reader, there, seen))
            both.create_task(_pump(there_reader, writer))
    finally:
        there.close()


@define
class Proxy:
    """An HTTP proxy for CONNECT: refuses with the statuses of its script, then opens tunnels to one port of loopback."""

    target: int
    script: deque[str]
    port: int = 0
    heads: list[bytes] = field(factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            if self.script:
                body = b"<html>no"
                writer.write(f"HTTP/1.1 {self.script.popleft()}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
                await reader.read()
                return
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await join(reader, writer, self.target)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def opened(door: Tap | Proxy) -> AsyncIterator[None]:
    """Listen on loopback for the length of a block."""
    async with listening(door.serve, host="127.0.0.1", port=0) as door.port:
        yield
