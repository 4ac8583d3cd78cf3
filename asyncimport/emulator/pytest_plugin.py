"""A pytest fixture with the platform, for users' own tests, there only where it is asked for.

Write it into a conftest.py, and ask for the fixture:

    pytest_plugins = ["asyncimport.emulator.pytest_plugin"]

    async def test_my_job(platform):
        await my_job(base_url=platform.url, token=platform.token)
        assert platform.ledger.users.total == 3
        assert not platform.ledger.violations

It works in pytest-asyncio's auto and strict mode.
"""

from collections.abc import AsyncIterator

from asyncimport.emulator.server import Emulator

try:
    import pytest_asyncio
except ImportError as missing:
    raise ImportError(
        "asyncimport.emulator.pytest_plugin needs pytest-asyncio: pip install pytest-asyncio"
    ) from missing


@pytest_asyncio.fixture
async def platform() -> AsyncIterator[Emulator]:
    """Give a started emulator, one for each test."""
    async with Emulator() as emulator:
        yield emulator
