"""nginx in front of the emulator: a proxy that nobody here wrote. Its access log says what came to it, the ledger what came of it."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from attrs import define, field, frozen
from faulted import Ended, Witness, holds, ledger_witness
from netruns import Run
from orphans import with_us

from asyncimport.emulator import Emulator

#: Debian keeps it where only root looks.
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is missing: its Debian package is named nginx")

#: Below the ports that systems give to outgoing connections: nobody takes one while nginx is stopped.
_PORTS = range(20_000, 32_000)
_PATIENCE_S = 10.0

_CONFIG = """
worker_processes 2;
worker_shutdown_timeout {patience};
{user}
pid nginx.pid;
error_log error.log notice;
events {{ worker_connections 64; }}
http {{
    log_format witness '{{"pid":$pid,"connection":$connection,"nth":$connection_requests,"status":$status,'
                       '"upstream":"$upstream_status","body":"$http_content_length","at":$msec,"tls":"$ssl_protocol"}}';
    access_log access.log witness;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream platform {{
        server 127.0.0.1:{upstream};
        keepalive 8;
    }}
    {http}
    server {{
        listen 127.0.0.1:{port}{tls};
        {server}
        location / {{
            proxy_pass http://platform;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


@frozen(kw_only=True)
class Served:
    """One request as nginx's access log has it."""

    pid: int
    connection: int
    #: The number of the request on its connection.
    nth: int
    status: int
    #: What the platform answered; `-` or nothing when it was not asked, and nginx's own 502 or 504 when it gave nothing.
    upstream: str
    #: The length that the client gave to its body.
    body: int = field(converter=int)
    #: When it was over, in seconds of the wall clock.
    at: float
    tls: str

    @property
    def line(self) -> tuple[int, int]:
        """Its connection: workers of one life of nginx number theirs together."""
        return self.pid, self.connection


@define(kw_only=True)
class Nginx:
    """A child process that serves in the foreground from a folder of its own."""

    folder: Path
    upstream: int
    port: int
    #: Directives of its `http` and of its `server`; a change counts from the next start or reload on.
    http: str = ""
    server: str = ""
    is_tls: bool = False
    #: How long workers that a reload replaces finish what they have.
    patience: str = "5s"
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self.is_tls else ''}://127.0.0.1:{self.port}/api/open"

    @property
    def served(self) -> list[Served]:
        """The requests that are over, in their order. Whole once nginx has stopped: it writes a line after the answer."""
        log = self.folder / "access.log"
        return [Served(**orjson.loads(line)) for line in log.read_bytes().splitlines()] if log.exists() else []

    @property
    def statuses(self) -> Counter[int]:
        return Counter(one.status for one in self.served)

    @property
    def workers(self) -> list[str]:
        """The processes that were started to serve, in their order."""
        return re.findall(r"start worker process (\d+)", self._errors)

    @property
    def _errors(self) -> str:
        log = self.folder / "error.log"
        return log.read_text() if log.exists() else ""

    @property
    def _is_ready(self) -> bool:
        pid = self.folder / "nginx.pid"  # written when it listens
        return self._process is not None and pid.exists() and pid.read_text().strip() == f"{self._process.pid}"

    def _configure(self) -> None:
        text = _CONFIG.format(
            user="user root root;" if os.geteuid() == 0 else "",  # the folder is the user's alone
            patience=self.patience,
            upstream=self.upstream,
            http=self.http,
            port=self.port,
            tls=" ssl" if self.is_tls else "",
            server=self.server,
        )
        (self.folder / "nginx.conf").write_text(text)

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._configure()
        folder = str(self.folder)
        files = ["-p", folder, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
        self._process = subprocess.Popen(
            [*with_us("TERM"), str(NGINX), *files, "-g", "daemon off;"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self._process

    async def _until(self, is_true: Callable[[], bool]) -> None:
        end = asyncio.get_running_loop().time() + _PATIENCE_S
        while not is_true():
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(f"nginx did not come to it: {self._errors[-2000:]}")
            await asyncio.sleep(0.01)

    async def start(self) -> None:
        """Serve; another process on the port, or a mistake in the configuration, is an AssertionError."""
        process = self._spawn()
        await self._until(lambda: self._is_ready or process.poll() is not None)
        assert self._is_ready, self._errors

    async def reload(self) -> None:
        """Have new workers serve by the present configuration, while the old ones finish what they have."""
        old = self.workers
        self._configure()
        self._signal(signal.SIGHUP)
        await self._until(lambda: set(old) <= set(re.findall(r"(\d+)#\d+: gracefully shutting down", self._errors)))

    def quit(self) -> None:
        """Listen no more, and end when what is under way is done."""
        self._signal(signal.SIGQUIT)

    def terminate(self) -> None:
        """End at once, whatever is under way."""
        self._signal(signal.SIGTERM)

    async def ended(self) -> None:
        process = self._process
        if process is not None:
            await self._until(lambda: process.poll() is not None)
        self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @contextmanager
    def stopped_for_sure(self) -> Iterator[None]:
        """In the end no process of it is left, cancelled or not."""
        try:
            yield
        finally:
            process, self._process = self._process, None
            if process is not None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:  # its workers would live on without it
                    workers = psutil.Process(process.pid).children()
                    process.kill()
                    for worker in workers:
                        worker.kill()
                    process.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    for port in random.sample(_PORTS, 100):
        with closing(socket.socket()) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


@asynccontextmanager
async def nginx(folder: Path, upstream: int, **options: Any) -> AsyncIterator[Nginx]:
    """Nginx before a port of loopback for the length of a block. Afterwards its log is whole."""
    door = Nginx(folder=folder, upstream=upstream, port=free_port(), **options)
    with door.stopped_for_sure():
        await door.start()
        yield door
        door.terminate()
        await door.ended()


def delivered(run: Run, count: int, *platforms: Emulator, cuts_again: bool = False) -> None:
    """Everything came, by the ledgers, and the report agrees with them. `cuts_again` allows for halves of batches."""
    report, ledgers = run.report, [platform.ledger for platform in platforms]
    taken = sum((ledger_witness(platform).taken for platform in platforms), Counter[str]())
    holds(
        Ended(
            report=report,
            outcomes=tuple(run.outcomes),
            failure=run.error,
            notices=tuple(run.notices),
            witness=Witness(taken=taken),
        )
    )
    assert (run.error, report.ok, report.accepted, len(taken)) == (None, True, count, count)
    assert [violation for ledger in ledgers for violation in ledger.violations] == []
    bodies = {request.body_digest for ledger in ledgers for request in ledger.users.batches}
    assert cuts_again or len(bodies) <= report.batches
    assert cuts_again or (report.attempts == report.batches + report.retries and report.retries == len(run.failures))
