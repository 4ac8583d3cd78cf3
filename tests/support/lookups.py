"""Names as a resolver would give them: a seam as deep as the system's own call, which blocks its thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define, field


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@define
class Names:
    """A lookup to be given to the transport: gives the addresses, fails, or hangs until `released`."""

    addresses: list[str] = field(factory=lambda: ["127.0.0.1"])
    #: How many of the next lookups fail, as a name does that nobody knows.
    failing: int = 0
    #: How many of the next ones hang.
    hanging: int = 0
    asked: int = 0
    released: threading.Event = field(factory=threading.Event)

    def __call__(self, _host: str, port: int, family: int = 0, kind: int = 0, *_flags: int) -> list[tuple[Any, ...]]:
        self.asked += 1
        if self.hanging:
            self.hanging -= 1
            self.released.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if self.failing:
            self.failing -= 1
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [self._info(address, port) for address in self.addresses if family in (0, _family_of(address))]

    @staticmethod
    def _info(address: str, port: int) -> tuple[Any, ...]:
        rest = (0, 0) if ":" in address else ()
        return _family_of(address), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, *rest)


def _family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@contextmanager
def full_backlog(host: str = "127.0.0.1", port: int = 0) -> Iterator[socket.socket]:
    """A socket that listens and has no room: whoever connects waits. It has room again when the block has ended."""
    listener = socket.socket(_family_of(host))
    listener.bind((host, port))
    listener.listen(0)
    waiting: list[socket.socket] = []
    try:
        for _ in range(1024):
            client = socket.socket(listener.family)
            waiting.append(client)
            client.settimeout(0.3)
            try:
                client.connect(listener.getsockname())
            except TimeoutError:
                break
        else:
            raise AssertionError("the backlog never fills here")
        yield listener
    finally:
        for client in waiting:
            client.close()
