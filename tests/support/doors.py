"""What stands before a platform: TLS of every kind, a tap on its wire, a proxy."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import warnings
from collections import deque
from contextlib import suppress

import trustme
from attrs import define, field
from tcp_proxy import Link, TcpProxy

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


@define
class Tap(TcpProxy):
    """Passes TLS on as bytes. TLS 1.0 it serves itself, while the certificates say so."""

    certificates: Certificates = field(kw_only=True)

    @property
    def seen(self) -> list[bytearray]:
        """What each client's connection sent."""
        return [link.up.sent for link in self.links]

    async def connect(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.certificates.is_old:
            await self.certificates.refuse(reader, writer, link.up.sent)
        else:
            await super().connect(link, reader, writer)


@define
class HttpProxy(TcpProxy):
    """A proxy for CONNECT: refuses with these statuses in order, then opens tunnels."""

    statuses: deque[str] = field(kw_only=True)
    heads: list[bytes] = field(factory=list)

    async def connect(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        if self.statuses:
            body = b"<html>no"
            writer.write(f"HTTP/1.1 {self.statuses.popleft()}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            await reader.read()
        else:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await super().connect(link, reader, writer)
