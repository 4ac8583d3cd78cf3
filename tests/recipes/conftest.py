"""A platform, and the shop in a PostgreSQL of the tests' own and in an SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import canary
import pytest
from postgres import Postgres, running
from shop import fill, write

from asyncimport.emulator import Emulator


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.fixture
async def shop(server: Postgres) -> AsyncIterator[Postgres]:
    """The shop's tables. In the end no session is left but the tests' own."""
    async with server.session() as session:
        await fill(session)
    yield server
    await server.is_left_alone()


@pytest.fixture
def shop_file(tmp_path: Path) -> Path:
    path = tmp_path / "a shop?.db"
    write(path)
    return path


@pytest.fixture
async def platform(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emulator]:
    """The platform, to which the environment leads. Everything that came was in order."""
    async with Emulator(token=canary.TOKEN) as platform:
        monkeypatch.setenv("ASYNCIMPORT_BASE_URL", platform.url)
        monkeypatch.setenv("ASYNCIMPORT_TOKEN", canary.TOKEN)
        yield platform
        assert platform.ledger.violations == []
