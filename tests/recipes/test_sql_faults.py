"""What `docs/sql.md` says of databases that fail, and of imports that end before their source does."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import canary
import pytest
import sqlalchemy.exc
from attrs import evolve
from leftovers import nothing_left_behind
from postgres import Postgres, needs_postgres
from recipes import CURSORS, counting, recipe
from shop import COUNT
from sourced import CONFIGS, Ended, counts, drained, holds

from asyncimport import EVENTS, DispatchPolicy, ImportClient, SourceError
from asyncimport.emulator import Emulator
from asyncimport.sources import inline

#: What the drivers say when a query fails.
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, sqlalchemy.exc.DBAPIError)
both = pytest.mark.parametrize("heading", CURSORS)
#: Records that end with a failure end in the middle of a batch.
SMALL = DispatchPolicy(batch_size=70, max_in_flight=2)


def client_of(platform: Emulator) -> ImportClient:
    return ImportClient(platform.url, token=canary.TOKEN, policy=SMALL)


async def imported(platform: Emulator, source: Any, resource: Any = EVENTS, **run: Any) -> Ended:
    """One import to whatever end it has, by which the report and the ledger agree."""
    async with asyncio.timeout(20), client_of(platform) as client:
        ended = await drained(client, source, resource=resource, **run)
    return holds(evolve(ended, ledger=platform.ledger.of(resource.name)))


def broke_off(ended: Ended, cause: Any) -> None:
    """What was read was sent and counted, and the error has the driver's own as its cause."""
    assert isinstance(ended.failure, SourceError)
    assert isinstance(ended.failure.__cause__, cause)
    assert f"after {ended.report.read:,} records were read" in f"{ended.failure}"
    assert counts(ended.report) == (ended.report.read, 0, 0, 0)
    assert ended.ledger.distinct == ended.ledger.total == ended.report.read
    assert not ended.report.source_ended


@needs_postgres
@both
async def test_a_session_that_the_server_ends_in_the_middle_leaves_what_was_read_sent_and_counted(
    shop: Postgres, platform: Emulator, heading: str
) -> None:
    resource, source = counting(heading, shop, 10_000)

    async def cut_off() -> AsyncIterator[Any]:
        number = 0
        async for record in source:
            yield record
            number += 1
            if number == 600:
                assert len(await shop.terminate_others()) == 1

    async with nothing_left_behind():
        ended = await imported(platform, cut_off(), resource)
    broke_off(ended, FAILURES)
    assert 600 <= ended.report.read <= 2000  # what the cursor had fetched


@needs_postgres
@both
async def test_a_query_that_fails_in_the_middle_does_the_same(shop: Postgres, platform: Emulator, heading: str) -> None:
    resource, source = counting(heading, shop, 10_000, "n / (CASE WHEN n = 2500 THEN 0 ELSE 1 END)")
    ended = await imported(platform, source, resource)
    broke_off(ended, FAILURES)
    assert ended.report.read == 2000  # the fetch in which it failed gave nothing


@needs_postgres
@both
@pytest.mark.parametrize("number", ["1 / 0", "no_such_column", "(SELECT 1 FROM no_such_table)"])
async def test_a_query_that_fails_at_once_sends_nothing(
    shop: Postgres, platform: Emulator, heading: str, number: str
) -> None:
    resource, source = counting(heading, shop, 10_000, number)
    ended = await imported(platform, source, resource)
    broke_off(ended, FAILURES)
    assert (ended.report.read, platform.ledger.requests) == (0, 0)


@both
async def test_a_database_that_is_not_there_is_told_as_the_sources_failure(
    tmp_path: Path, platform: Emulator, heading: str
) -> None:
    resource, source = counting(heading, Postgres(folder=tmp_path), 10)
    ended = await imported(platform, source, resource)
    broke_off(ended, OSError)
    assert ended.report.read == 0


Begun = Callable[[], Awaitable[object]]


async def by_deadline(client: ImportClient, resource: Any, source: Any, begun: Begun) -> None:
    async with client.stream(resource, source, CONFIGS[resource.name], deadline=0.3) as outcomes:
        await begun()
        async for _ in outcomes:
            pass


async def by_leaving(client: ImportClient, resource: Any, source: Any, begun: Begun) -> None:
    async with client.stream(resource, source, CONFIGS[resource.name]):
        await begun()


async def by_cancelling(client: ImportClient, resource: Any, source: Any, begun: Begun) -> None:
    running = asyncio.create_task(client.run(resource, source, CONFIGS[resource.name]))
    await begun()
    running.cancel()
    with canary.raises(asyncio.CancelledError):
        await running


#: A source that waits for the platform, and one that waits for its own query.
PAUSED, FETCHING = "n", "CASE WHEN n = 600 THEN (SELECT 1 FROM pg_sleep(60)) ELSE n END"


@needs_postgres
@both
@pytest.mark.parametrize("number", [PAUSED, FETCHING], ids=["paused", "fetching"])
@pytest.mark.parametrize("stop", [by_deadline, by_leaving, by_cancelling])
async def test_an_import_that_stops_early_leaves_no_session_and_no_transaction(
    shop: Postgres, platform: Emulator, heading: str, number: str, stop: Any
) -> None:
    resource, source = counting(heading, shop, 10_000, number)
    state = "idle in transaction" if number == PAUSED else "active"
    gate = platform.faults.hold() if number == PAUSED else None

    async def begun() -> None:
        if gate is not None:
            await gate.arrived(2)
        while [one["state"] for one in await shop.others()] != [state]:  # noqa: ASYNC110 -- the server tells nobody
            await asyncio.sleep(0.01)

    policy = evolve(SMALL, drain_s=0.05)
    async with nothing_left_behind():
        async with asyncio.timeout(10), ImportClient(platform.url, token=canary.TOKEN, policy=policy) as client:
            await stop(client, resource, source, begun)
        if gate is not None:
            gate.open()
        await shop.is_left_alone(within_s=1)


@needs_postgres
async def test_a_pause_longer_than_the_servers_patience_with_idle_transactions_ends_the_source(
    shop: Postgres, platform: Emulator
) -> None:
    gate = platform.faults.hold()
    async with shop.session() as session:
        await session.execute("ALTER ROLE importer SET idle_in_transaction_session_timeout = '100ms'")
        try:
            resource, source = counting("asyncpg", shop, 10_000)
            running = asyncio.create_task(imported(platform, source, resource))
            await gate.arrived(2)
            while await shop.others():  # noqa: ASYNC110 -- the server tells nobody
                await asyncio.sleep(0.01)
            gate.open()
            broke_off(await running, FAILURES)
        finally:
            await session.execute("ALTER ROLE importer RESET ALL")


@needs_postgres
@pytest.mark.parametrize(
    ("heading", "words", "others"),
    [
        ("asyncpg", "command_timeout=60", "command_timeout=0.3"),
        ("SQLAlchemy", '"command_timeout": 60', '"command_timeout": 0.3'),
    ],
)
async def test_a_server_that_falls_silent_ends_the_source_when_the_timeout_of_a_command_is_over(
    shop: Postgres, platform: Emulator, heading: str, words: str, others: str
) -> None:
    resource, source = counting(heading, shop, 10_000, FETCHING, {words: others})
    async with nothing_left_behind():
        broke_off(await imported(platform, source, resource), TimeoutError)


class TestSqlite:
    async def test_a_row_that_is_no_utf8_is_rejected_alone(self, shop_file: Path, platform: Emulator) -> None:
        with closing(sqlite3.connect(shop_file)) as connection, connection:
            connection.execute("UPDATE orders SET phone = CAST(x'31eda08032' AS TEXT) WHERE id = 3")
            connection.execute("UPDATE orders SET phone = CAST(x'ff' AS TEXT) WHERE id = 5")
            connection.execute("UPDATE orders SET phone = 'a' || char(0) || 'b' WHERE id = 7")
        ended = await imported(platform, recipe("SQLite").orders(f"{shop_file}"))
        assert ended.failure is None
        assert counts(ended.report) == (COUNT - 2, 2, 0, 0)
        assert {position: one.reason for position, one in ended.rejections.items()} == dict.fromkeys(
            [2, 4], "identities[].identityValue: holds a lone surrogate, which UTF-8 cannot carry"
        )
        (nul,) = [record for record in ended.ledger.records() if record["uuid"] == "order-7"]
        assert nul["identities"][0]["identityValue"] == "a\0b"

    async def test_without_the_text_factory_such_a_row_would_end_the_import(
        self, shop_file: Path, platform: Emulator
    ) -> None:
        with closing(sqlite3.connect(shop_file)) as connection, connection:
            connection.execute("UPDATE orders SET phone = CAST(x'ff' AS TEXT) WHERE id = 3")
        program = recipe("SQLite")
        program.partial = lambda *_, **__: str
        broke_off(await imported(platform, program.orders(f"{shop_file}")), sqlite3.OperationalError)

    async def test_a_connection_of_another_thread_ends_the_import_unless_it_is_kept_there_or_unchecked(
        self, shop_file: Path, platform: Emulator
    ) -> None:
        def rows(connection: sqlite3.Connection) -> Iterator[Any]:
            for number, phone in connection.execute("SELECT id, phone FROM orders"):
                identities = [{"identityType": "phone", "identityValue": phone}]
                yield {"uuid": f"order-{number}", "eventKey": "c_order", "identities": identities}

        with closing(sqlite3.connect(shop_file)) as connection:
            broke_off(await imported(platform, rows(connection)), sqlite3.ProgrammingError)
            assert counts((await imported(platform, inline(rows(connection)))).report) == (COUNT, 0, 0, 0)
        with closing(sqlite3.connect(shop_file, check_same_thread=False)) as connection:
            async with client_of(platform) as client:
                ended = await drained(client, rows(connection))
            assert counts(ended.report) == (COUNT, 0, 0, 0)

    async def test_a_run_that_stops_early_closes_the_file_in_the_thread_that_opened_it(
        self, shop_file: Path, platform: Emulator
    ) -> None:
        program, threads = recipe("SQLite"), list[str]()

        @contextmanager
        def closing_here(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
            threads.append(threading.current_thread().name)
            try:
                with closing(connection):
                    yield connection
            finally:
                threads.append(threading.current_thread().name)

        program.closing = closing_here
        gate = platform.faults.hold()
        policy = evolve(SMALL, batch_size=10, drain_s=0.05)
        async with nothing_left_behind():
            async with (
                ImportClient(platform.url, token=canary.TOKEN, policy=policy) as client,
                client.stream(EVENTS, program.orders(f"{shop_file}"), CONFIGS["events"]),
            ):
                await gate.arrived(2)
            gate.open()
            assert threads == ["asyncimport-source", "asyncimport-source"]

    async def test_a_file_that_is_not_there_is_the_sources_failure_and_is_not_made(
        self, tmp_path: Path, platform: Emulator
    ) -> None:
        path = tmp_path / "nowhere.db"
        broke_off(await imported(platform, recipe("SQLite").orders(f"{path}")), sqlite3.OperationalError)
        assert not path.exists()
