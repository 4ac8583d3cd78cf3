"""A lean stand-in for the platform, in processes of its own: nginx with its echo module, so that the server does not limit.

It reads each request whole, waits if it is told to, and answers the documented envelope (PLATFORM.md, E). Its access log says what
arrived: requests, bytes of bodies, connections.
"""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import attrs
from attrs import frozen

#: Debian keeps nginx where only root looks, and its module in a package of its own (libnginx-mod-http-echo).
NGINX: Final = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
ECHO_MODULE: Final = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")

ENVELOPE: Final = '{"code":"200","errorCode":"SUCCESS","msg":"ok","data":15314513451345123}'
_CONFIG: Final = """
load_module {module};
daemon off;
master_process off;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 256; }}
http {{
    log_format arrived '$connection $status $http_content_length';
    access_log arrived.log arrived;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    client_max_body_size 0;
    client_body_buffer_size 4m;
    keepalive_requests 10000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            default_type application/json;
            echo_read_request_body;
            {header}
            {sleep}
            {answer}
        }}
    }}
}}
"""
#: A parameter in nginx's file is shorter than 4 KiB.
_PIECE: Final = 3_000
_PATIENCE_S: Final = 10.0
#: A request is in the log when its answer has left; this long without another, all are.
_QUIET_S: Final = 0.05


@frozen
class Counts:
    """What arrived whole since the last look."""

    requests: int
    body_bytes: int
    #: On which something arrived.
    connections: int = attrs.field(eq=False)


@frozen
class Served:
    """A server that runs in another process."""

    port: int
    log: Path
    #: What it is, with its version.
    name: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> Counts:
        """What arrived since the last look.

        Raises:
            RuntimeError: something was answered otherwise than by 200.
        """
        size = -1
        while (now := self.log.stat().st_size) != size:
            size = now
            time.sleep(_QUIET_S)
        lines = self.log.read_text(encoding="ascii").splitlines()
        os.truncate(self.log, 0)  # nginx appends
        if refused := [line for line in lines if line.split()[1] != "200"]:
            raise RuntimeError(f"{len(refused)} requests were refused: connection, status, length {refused[0]}")
        seen = [(connection, int(length)) for connection, _, length in map(str.split, lines) if length != "-"]
        return Counts(
            requests=len(seen),
            body_bytes=sum(length for _, length in seen),
            connections=len({connection for connection, _ in seen}),
        )


def lacks() -> str | None:
    """What a server needs and this machine does not have."""
    if NGINX is None:
        return "nginx"
    return None if ECHO_MODULE.exists() else "nginx's echo module (Debian: libnginx-mod-http-echo)"


@contextmanager
def served(delay_ms: float, answer: str = ENVELOPE, header: str = "") -> Iterator[Served]:
    """Run a server in a process of its own for the length of the block, whose answers all have this body, and this header (name and value) if any.

    Raises:
        RuntimeError: nginx is not installed, or does not start.
    """
    if NGINX is None or lacks() is not None:
        raise RuntimeError(f"{lacks()} is not installed")
    with TemporaryDirectory() as folder:
        port = _free_port()
        sleep = f"echo_sleep {delay_ms / 1000:.3f};" if delay_ms else ""
        pieces = (answer[start : start + _PIECE] for start in range(0, len(answer), _PIECE))
        config = _CONFIG.format(
            module=ECHO_MODULE,
            port=port,
            header=f"add_header {header};" if header else "",
            sleep=sleep,
            answer=" ".join(f"echo -n '{piece}';" for piece in pieces),
        )
        if os.geteuid() == 0:
            config = f"user {pwd.getpwuid(0).pw_name};{config}"
        (Path(folder) / "nginx.conf").write_text(config, encoding="ascii")
        command = [NGINX, "-p", folder, "-e", "error.log", "-c", "nginx.conf"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                _wait_for(port, process, Path(folder) / "error.log")
                yield Served(port, Path(folder) / "arrived.log", _version())
            finally:
                process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], errors: Path) -> None:
    ends_at = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < ends_at:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    raise RuntimeError(f"nginx does not start: {errors.read_text(errors='replace') if errors.exists() else 'no word'}")


def _version() -> str:
    told = subprocess.run([NGINX or "", "-v"], capture_output=True, text=True, check=False).stderr
    return told.rpartition(":")[2].strip()
