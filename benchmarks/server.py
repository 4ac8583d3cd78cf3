"""A lean stand-in for the platform, in a process of its own: `python -m benchmarks.server --delay-ms 20`.

It reads requests by their Content-Length, throws the bodies away and answers the documented envelope (PLATFORM.md, E),
so that what is measured is the client. A GET gives the requests and body bytes counted since the last GET.
"""

import argparse
import asyncio
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import define, frozen

_ENVELOPE: Final = b'{"code":"200","errorCode":"SUCCESS","msg":"ok","data":15314513451345123}'
_LENGTH: Final = b"content-length:"


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_ACCEPTED: Final = _answer(_ENVELOPE)


@define
class Counts:
    """What arrived whole since the last look."""

    requests: int = 0
    body_bytes: int = 0

    def taken(self) -> bytes:
        """The counts as JSON; they start again from zero."""
        body = json.dumps({"requests": self.requests, "body_bytes": self.body_bytes}).encode()
        self.requests, self.body_bytes = 0, 0
        return body


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are not pipelined."""

    def __init__(self, counts: Counts, delay_s: float) -> None:
        self._counts = counts
        self._delay_s = delay_s
        self._head = b""
        #: Bytes of the body that have not come yet.
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(type(transport).__name__)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            head, blank, body = self._head.partition(b"\r\n\r\n")
            if not blank:
                return
            self._head = b""
            if head.startswith(b"GET "):
                self._transport.write(_answer(self._counts.taken()))
                return
            length = _content_length(head)
            self._counts.body_bytes += length
            self._missing = length - len(body)
        if not self._missing:
            self._counts.requests += 1
            self._accept()

    def _accept(self) -> None:
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, _ACCEPTED)
        else:
            self._transport.write(_ACCEPTED)


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.index(_LENGTH) + len(_LENGTH)
    return int(lowered[start:].partition(b"\r\n")[0])


@frozen
class Served:
    """A server that runs in another process."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> Counts:
        """What arrived since the last look."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/counts")
            return Counts(**json.loads(connection.getresponse().read()))
        finally:
            connection.close()


@contextmanager
def served(delay_ms: float) -> Iterator[Served]:
    """Run a server in a process of its own for the length of the block."""
    command = [sys.executable, "-m", "benchmarks.server", "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None:
                raise RuntimeError("the server has no stdout")
            yield Served(int(process.stdout.readline()))
        finally:
            process.terminate()


async def serve(delay_s: float) -> None:
    """Serve on a free port of loopback, print it, and go on until cancelled."""
    counts = Counts()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(counts, delay_s), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server")
    parser.add_argument("--delay-ms", type=float, default=0.0)
    asyncio.run(serve(parser.parse_args().delay_ms / 1000))
