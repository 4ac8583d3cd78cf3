"""A PostgreSQL of the tests' own: its files in a temporary folder, its only door a Unix socket there.

A process of tests that asks for it starts one, which takes about a second; PostgreSQL refuses to be root, so for root
it runs as `postgres` or `nobody`.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from attrs import frozen
from orphans import with_us

_PATIENCE_S = 30.0
_USERS = ("postgres", "nobody")
#: Durability is no concern of a database that lives for a minute, nor is a table's bloat.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_connections": "20",
    "shared_buffers": "16MB",
    "lc_messages": "C",
}


def _binaries() -> Path | None:
    """The folder of the server's programs: Debian keeps it off PATH, and `pg_config` may be another version's."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: one.parent.name.zfill(4))
    if config := shutil.which("pg_config"):
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(said.stdout.strip()))
    return next((one for one in folders if (one / "initdb").exists() and (one / "postgres").exists()), None)


BINARIES = _binaries()
needs_postgres = pytest.mark.skipif(
    BINARIES is None, reason="PostgreSQL's server is missing: its Debian package is named postgresql"
)


@frozen(kw_only=True)
class Postgres:
    """A server that runs, with the database `shop`."""

    folder: Path

    @property
    def dsn(self) -> str:
        return f"postgresql://importer@/shop?host={self.folder}"

    @property
    def url(self) -> str:
        """The same for SQLAlchemy."""
        return self.dsn.replace("postgresql:", "postgresql+asyncpg:")

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """A session of the test's own, beside those of the import."""
        session = await asyncpg.connect(self.dsn, server_settings={"application_name": "test"})
        try:
            yield session
        finally:
            await session.close()

    async def terminate_others(self) -> list[int]:
        """End the sessions that are not the tests' own; the process ids of those that are gone."""
        pids = [one["pid"] for one in await self.others()]
        async with self.session() as session:
            for pid in pids:
                await session.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
        return pids

    async def others(self) -> list[Any]:
        """The sessions that are not the tests' own: `pid`, `state`, `query`."""
        async with self.session() as session:
            return list(
                await session.fetch(
                    "SELECT pid, state, query FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND application_name <> 'test'"
                )
            )

    async def is_left_alone(self, *, within_s: float = 3) -> None:
        """There are no sessions but the tests' own; one that was closed is given a moment to end."""
        until = asyncio.get_running_loop().time() + within_s
        while others := await self.others():
            assert asyncio.get_running_loop().time() < until, others
            await asyncio.sleep(0.01)


def _unprivileged() -> dict[str, Any]:
    """As whom the server runs, in the words of `subprocess`."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = next(known[name] for name in _USERS if name in known)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def running() -> Iterator[Postgres]:
    """A new server for the length of a block; no process and no file of it is left."""
    assert BINARIES is not None
    # Not in pytest's own folder, whose name may be too long for that of a socket.
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder, whom = Path(name), _unprivileged()
        if whom:
            os.chown(folder, whom["user"], whom["group"])
        options: dict[str, Any] = {"cwd": folder, "env": {"PATH": os.defpath, "LC_ALL": "C", "PGDATA": "data"}, **whom}
        _made(folder, options)
        with (folder / "log").open("wb") as log:
            given = [f"--{key}={value}" for key, value in _SETTINGS.items()]
            server = subprocess.Popen(
                [*with_us("INT"), BINARIES / "postgres", "-k", folder, *given],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **options,
            )
        try:
            _wait_until_ready(folder, server)
            yield Postgres(folder=folder)
        finally:
            _end(server)


def _made(folder: Path, options: dict[str, Any]) -> None:
    """Make the files of a database `shop`, which `importer` owns and anybody who reaches the socket may enter."""
    assert BINARIES is not None
    for arguments, given in (
        (["initdb", "-U", "importer", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--wal-segsize=1"], ""),
        (["postgres", "--single", "-F", "postgres"], "CREATE DATABASE shop\n"),
    ):
        made = subprocess.run(
            [BINARIES / arguments[0], *arguments[1:]],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        assert made.returncode == 0, made.stderr


def _wait_until_ready(folder: Path, server: subprocess.Popen[bytes]) -> None:
    """The server says in its file of the process id how far it is."""
    state = folder / "data" / "postmaster.pid"
    until = time.monotonic() + _PATIENCE_S
    while not (state.exists() and state.read_text().rstrip().endswith("ready")):
        assert server.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < until, (folder / "log").read_text()
        time.sleep(0.01)


def _end(server: subprocess.Popen[bytes]) -> None:
    """At once, with whoever is still connected; its own children go with it."""
    server.send_signal(signal.SIGQUIT)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
