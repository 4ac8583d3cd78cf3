"""`docs/sql.md` is true: its programs run as they stand, against real databases, and what it says of them holds."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import canary
import pytest
from postgres import Postgres, needs_postgres
from recipes import PROGRAMS, TEXT, counting, recipe, run_as_it_stands
from shop import COUNT, DAY, customer, order
from sourced import CONFIGS, counts, event

from asyncimport import EVENTS, USERS, DispatchPolicy, ImportClient, JournalError, Rejected, UploadStalled
from asyncimport.admission import Admission
from asyncimport.emulator import Emulator, ResetAfter, Status


def stored(platform: Emulator, resource: str) -> list[dict[str, Any]]:
    """What the platform has, sorted by the numbers in it."""
    key = "uuid" if resource == "events" else "thirdId"
    return sorted(platform.ledger.of(resource).records(), key=lambda one: int(one[key].removeprefix("order-")))


@pytest.fixture
def environment(shop: Postgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What the programs take from their environment, and the folder they run in."""
    monkeypatch.setenv("SHOP_DSN", shop.dsn)
    monkeypatch.setenv("SHOP_URL", shop.url)
    monkeypatch.setattr(sys, "argv", ["orders.py", DAY])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@needs_postgres
@pytest.mark.parametrize("heading", sorted(PROGRAMS.keys() - {"SQLite"}))
async def test_every_program_runs_as_it_stands_and_delivers_the_rows_as_the_fields_they_are(
    heading: str, environment: Path, platform: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    await run_as_it_stands(heading)
    assert f"{COUNT} read = {COUNT} accepted" in capsys.readouterr().out
    is_of_orders = "orders" in vars(recipe(heading))
    resource, made = ("events", order) if is_of_orders else ("users", customer)
    assert stored(platform, resource) == [made(number) for number in range(1, COUNT + 1)]


async def test_the_program_for_sqlite_runs_as_it_stands_too(
    shop_file: Path, platform: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_FILE", f"{shop_file}")
    await run_as_it_stands("SQLite")
    assert stored(platform, "events") == [order(number) for number in range(1, COUNT + 1)]


def of_the_table() -> list[tuple[str, str, str, str]]:
    """Its rows: an expression, the field it is for, the rule it breaks, the expression to write instead."""
    table = TEXT.partition("<!-- columns -->\n")[2].partition("<!-- /columns -->")[0]
    rows = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in table.splitlines()[2:]]
    return [(row[0].strip("`"), row[1].strip("`"), row[2], row[3].strip("`")) for row in rows]


async def judged(session: Any, expression: str, place: str) -> Any:
    """What admission makes of a column."""
    value = await session.fetchval(f"SELECT {expression}")
    name, _, key = place.partition(".")
    admission = Admission(resource=EVENTS, config=CONFIGS["events"], run_id="0" * 20, now_ms=lambda: 1_795_449_600_000)
    return admission.admit(event(1, **{name: {key: value} if key else value}), 0)


@needs_postgres
@pytest.mark.parametrize(("expression", "place", "rule", "instead"), of_the_table())
async def test_a_column_becomes_what_the_table_says(
    server: Postgres, expression: str, place: str, rule: str, instead: str
) -> None:
    async with server.session() as session:
        found = await judged(session, expression, place)
        assert [problem.rule for problem in getattr(found, "problems", ())] == ([rule] if rule else [])
        if instead == "with a codec, as below":
            (given,) = re.findall(r"set_type_codec\((.*?), encoder=json.dumps, decoder=json.loads\)`", TEXT)
            assert given == '"jsonb", schema="pg_catalog"'  # the program that can be resumed has it too
        elif instead:
            assert not isinstance(await judged(session, instead, place), Rejected)


@needs_postgres
async def test_a_record_of_asyncpg_is_no_mapping_and_a_dict_of_it_is(shop: Postgres) -> None:
    admission = Admission(resource=USERS, config=CONFIGS["users"], run_id="0" * 20, now_ms=lambda: 1_795_449_600_000)
    async with shop.session() as session:
        row = await session.fetchrow(recipe("asyncpg").CUSTOMERS)
    refused = admission.admit(row, 0)
    assert isinstance(refused, Rejected)
    assert [problem.rule for problem in refused.problems] == ["takes a UserProfile or a mapping of its fields"]
    assert not isinstance(admission.admit(dict(row), 0), Rejected)


@needs_postgres
@pytest.mark.parametrize(("heading", "fetched"), [("asyncpg", 500), ("SQLAlchemy", 2000)])
async def test_the_server_makes_no_more_rows_than_the_window_and_one_fetch_hold(
    shop: Postgres, platform: Emulator, heading: str, fetched: int
) -> None:
    """A sequence counts the rows that the server makes: a cursor leaves most of 50,000 unmade while nothing is accepted."""
    gate = platform.faults.hold()
    resource, source = counting(heading, shop, 50_000, "nextval('made')")
    policy = DispatchPolicy(batch_size=100, max_in_flight=2)
    window, hops, open_chunk = 4 * 2 * 100, 3 * 500, 100
    most = window + hops + open_chunk + fetched
    async with shop.session() as session, ImportClient(platform.url, token=canary.TOKEN, policy=policy) as client:
        await session.execute("CREATE SEQUENCE made")
        async with client.stream(resource, source, CONFIGS[resource.name]) as outcomes:
            await gate.arrived(2)
            assert 0 < await at_rest(session) <= most
            gate.open()
            while (await anext(outcomes)).positions[-1] < 6_000:
                assert await session.fetchval("SELECT last_value FROM made") - outcomes.report.accepted <= most
        assert await session.fetchval("SELECT last_value FROM made") < 50_000


async def at_rest(session: Any) -> int:
    """How many rows the server has made, once it makes no more."""
    made = -1
    while made != (now := await session.fetchval("SELECT last_value FROM made")):
        made = now
        await asyncio.sleep(0.1)
    return made


async def stopped_after(outcomes: int, source: Any, platform: Emulator, **run: Any) -> None:
    """An import of orders that is left after so many batches."""
    policy = DispatchPolicy(batch_size=50, max_in_flight=1)
    async with (
        ImportClient(platform.url, token=canary.TOKEN, policy=policy) as client,
        client.stream(EVENTS, source, CONFIGS["events"], **run) as stream,
    ):
        for _ in range(outcomes):
            await anext(stream)


class TestARunThatCanBeResumed:
    @pytest.fixture
    def again(self, shop: Postgres, platform: Emulator, environment: Path) -> Any:
        """The program as it stands, after a run of it that was stopped in the middle."""
        program = recipe("A run that can be resumed")

        async def begun() -> None:
            source = program.orders(shop.dsn, program.dt.datetime.fromisoformat(f"{DAY}T00:00:00+08:00"))
            await stopped_after(6, source, platform, journal=f"orders-{DAY}.journal", source_id=f"orders of {DAY}")
            assert 0 < platform.ledger.events.total < COUNT

        return begun

    @needs_postgres
    async def test_it_goes_on_where_it_was_stopped(
        self, again: Any, platform: Emulator, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await again()
        await run_as_it_stands("A run that can be resumed")
        assert f"{COUNT} read = {COUNT} accepted" in capsys.readouterr().out
        assert platform.ledger.events.by_key.keys() == {f"order-{number}" for number in range(1, COUNT + 1)}
        assert platform.ledger.events.duplicates == 0

    @needs_postgres
    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE orders SET amount = 0 WHERE id = 7",
            "DELETE FROM orders WHERE id = 7",
            "INSERT INTO orders SELECT 0, phone, amount, placed_at, details FROM orders WHERE id = 7",
        ],
        ids=["changed", "deleted", "inserted"],
    )
    async def test_a_row_that_is_another_one_now_stops_it_before_anything_is_sent(
        self, again: Any, shop: Postgres, platform: Emulator, change: str
    ) -> None:
        await again()
        sent = platform.ledger.requests
        async with shop.session() as session:
            await session.execute(change)
        with canary.raises(JournalError, match="is not the one that the journal"):
            await run_as_it_stands("A run that can be resumed")
        assert platform.ledger.requests == sent

    @needs_postgres
    async def test_rows_that_were_added_behind_are_read_as_usual(
        self, again: Any, shop: Postgres, platform: Emulator
    ) -> None:
        await again()
        async with shop.session() as session:
            await session.execute(
                "INSERT INTO orders SELECT 9000 + id, phone, amount, placed_at, details FROM orders WHERE id < 6"
            )
        await run_as_it_stands("A run that can be resumed")
        assert platform.ledger.events.distinct == COUNT + 5


def rejected_in(folder: Path) -> list[str]:
    """Whom the file of rejects has."""
    (rejects,) = folder.glob("customers-*.ndjson")
    return [json.loads(line)["record"]["thirdId"] for line in rejects.read_text(encoding="utf-8").splitlines()]


class TestWhatHasChangedSince:
    @needs_postgres
    async def test_the_next_run_has_only_what_was_changed_and_is_ten_minutes_old(
        self, shop: Postgres, platform: Emulator, environment: Path
    ) -> None:
        await run_as_it_stands("What has changed since")
        async with shop.session() as session:
            await session.execute("UPDATE import_watermarks SET done_until = now() - interval '1 hour'")
            await session.execute("UPDATE customers SET updated_at = now() - interval '11 minutes' WHERE id IN (3, 5)")
            await session.execute("UPDATE customers SET updated_at = now() WHERE id = 7")
        await run_as_it_stands("What has changed since")
        assert [record["thirdId"] for record in platform.ledger.users.records()[COUNT:]] == ["3", "5"]

    @needs_postgres
    @pytest.mark.parametrize(
        "failing", [Status(status=503, headers={"Retry-After": "3600"}), ResetAfter()], ids=["stalled", "unconfirmed"]
    )
    async def test_the_watermark_stays_when_the_platform_has_not_answered_for_everything(
        self, shop: Postgres, platform: Emulator, environment: Path, failing: Any
    ) -> None:
        platform.faults.script([failing])
        with suppress(UploadStalled):
            await recipe("What has changed since", {"rejects=rejects": 'rejects=rejects, on_unknown="park"'}).main()
        assert platform.faults.pending == 0
        async with shop.session() as session:
            assert await session.fetchval("SELECT count(*) FROM import_watermarks") == 0
        await run_as_it_stands("What has changed since")
        async with shop.session() as session:
            assert await session.fetchval("SELECT count(*) FROM import_watermarks") == 1
        assert platform.ledger.users.distinct == COUNT

    @needs_postgres
    async def test_it_moves_past_what_was_rejected_which_is_in_the_file(
        self, shop: Postgres, platform: Emulator, environment: Path
    ) -> None:
        async with shop.session() as session:
            await session.execute(
                "ALTER TABLE customers ADD sex text; UPDATE customers SET name = NULL, sex = '?' WHERE id = 3"
            )
        program = recipe("What has changed since", {" phone,": " phone, sex,"})
        await program.main()
        async with shop.session() as session:
            assert await session.fetchval("SELECT count(*) FROM import_watermarks") == 1
        assert rejected_in(environment) == ["3"]


@needs_postgres
async def test_pages_go_on_when_the_database_ends_their_sessions_and_keep_none_between_them(
    shop: Postgres, platform: Emulator
) -> None:
    program = recipe("Pages by key", {"LIMIT 2000": "LIMIT 100", "max_value=30": "max_value=0.01"})
    ended = list[int]()

    async def interrupted() -> AsyncIterator[Any]:
        async for row in program.customers(shop.dsn):
            if int(row["thirdId"]) % 300 == 0:
                others = await shop.others()
                assert [one["state"] for one in others] == ["idle"]  # and in no transaction
                ended.extend(await shop.terminate_others())
            yield row

    async with ImportClient(platform.url, token=canary.TOKEN) as client:
        report = await client.run(USERS, interrupted(), CONFIGS["users"])
    assert len(ended) == COUNT // 300
    assert counts(report) == (COUNT, 0, 0, 0)
    assert platform.ledger.users.distinct == COUNT


@needs_postgres
async def test_a_page_that_is_cut_off_is_asked_for_again(shop: Postgres) -> None:
    program = recipe("Pages by key", {"max_value=30": "max_value=0.01"})
    program.PAGE = "SELECT pg_terminate_backend(pg_backend_pid()) WHERE nextval('asked') = $1"
    async with shop.session() as session:
        await session.execute("CREATE SEQUENCE asked")
        async with asyncpg.create_pool(shop.dsn, min_size=0, max_size=1) as pool:
            assert await program.page(pool, 1) == []
        assert await session.fetchval("SELECT last_value FROM asked") == 2
