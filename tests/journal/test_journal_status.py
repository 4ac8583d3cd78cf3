"""A look at a journal: of every state it can be in, while it is written, and as far as it goes when it is damaged."""

from __future__ import annotations

import sqlite3
import time
from array import array
from contextlib import closing
from pathlib import Path
from typing import Any

import canary
import pytest
from attrs import asdict

from asyncimport import USERS, ImportClient, ImportMode, ImportReport, JournalError, UserImportConfig, UserProfile
from asyncimport.emulator import Emulator, Hang, Ok
from asyncimport.journal import schema
from asyncimport.journal.entry import GROUP, Entry, EntryState, packed
from asyncimport.journal.inspection import read_status
from asyncimport.journal.known import Run, Session
from asyncimport.journal.status import COMMAND, JournalState, JournalStatus
from asyncimport.policy import DispatchPolicy

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
#: Small batches, so that a group of 256 is soon full.
POLICY = DispatchPolicy(batch_size=2, max_in_flight=8)


def people(count: int, bad: int = 0) -> list[UserProfile]:
    good = [UserProfile(third_id=str(n), real_name=canary.PERSON) for n in range(count)]
    return good + [UserProfile(third_id=f"b{n}", real_name=canary.PERSON, sex="x") for n in range(bad)]


async def imported(journal: Path, platform: Emulator, source: Any, **run: Any) -> ImportReport:
    async with ImportClient(platform.url, token=canary.TOKEN, policy=POLICY) as client:
        return await client.import_users(source, CONFIG, journal=journal, **run)


async def stopped(journal: Path, **run: Any) -> ImportReport:
    """An import of 20 records, of which 6 are accepted and 2 are rejected when it stops."""
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script([Ok()] * 3)
        platform.faults.add(Hang())
        policy = DispatchPolicy(batch_size=2, max_in_flight=1, drain_s=0.1)
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy) as client:
            source = [*people(1), *people(0, bad=2), *people(20)[1:]]
            async with client.stream(USERS, source, CONFIG, journal=journal, **run) as outcomes:
                async for _ in outcomes:
                    if outcomes.report.accepted == 6:
                        break
            return outcomes.report


def look(path: Path) -> JournalStatus:
    status = read_status(str(path))
    assert status.read == status.accepted + status.rejected + status.unconfirmed + status.pending
    assert canary.leaks(f"{status}{status!r}{status.to_dict()}") == []
    return status


def changed(path: Path, statement: str, *values: Any) -> None:
    """Change a row as a failing disk does, behind its checksum."""
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount > 0


async def test_a_stopped_run_adds_up_and_says_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    report = await stopped(path, rejects=tmp_path / "rejects.ndjson")
    status = look(path)
    assert (status.state, status.pid, status.damage) == (JournalState.STOPPED, None, ())
    assert (status.read, status.accepted, status.rejected) == (report.read, 6, 2)
    assert status.pending == report.unsent + report.unconfirmed
    assert (status.batches, status.batch_ids) == (status.pending_batches + 3, 3)
    assert status.rejected_by_reason == report.rejected_by_reason
    assert status.rejects == str(tmp_path / "rejects.ndjson")
    assert status.next == "make the same call again, with this journal"
    assert status.started_ms <= status.changed_ms <= time.time() * 1000
    assert str(status).startswith("users: ")


async def test_a_finished_run_has_nothing_left(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    async with Emulator(token=canary.TOKEN) as platform:
        await imported(path, platform, people(1100, bad=1))
    status = look(path)
    assert (status.state, status.is_finished, status.read, status.accepted) == ("finished", True, 1101, 1100)
    assert (status.batches, status.batch_ids, status.pending_batches) == (550, 550, 0)
    assert status.next == "nothing is left to be sent"


async def test_a_run_under_way_is_looked_at_and_not_disturbed(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    async with Emulator(token=canary.TOKEN) as platform:
        async with ImportClient(platform.url, token=canary.TOKEN, policy=POLICY) as client:
            gate = platform.faults.hold()
            async with client.stream(USERS, people(200), CONFIG, journal=path) as outcomes:
                await gate.arrived(8)
                status = look(path)
                gate.open()
                async for _ in outcomes:
                    assert look(path).state is JournalState.RUNNING
        assert outcomes.report.ok
        assert platform.ledger.users.duplicates == 0
    assert (status.state, status.accepted) == (JournalState.RUNNING, 0)
    assert status.pending_batches >= 8
    assert status.next == f"process {status.pid} is at it"


@pytest.mark.parametrize(
    ("memo", "told"),
    [
        ({}, "make the same call again, with this journal"),
        ({"by": COMMAND, "file": "/p.csv"}, "asyncimport resume '{path}'"),
        (
            {"by": COMMAND, "file": "-", "is_stream": True},
            "asyncimport resume '{path}'\n  then: give standard input again",
        ),
    ],
    ids=["from Python", "of a file", "of standard input"],
)
async def test_what_to_do_next_depends_on_who_began_it(tmp_path: Path, memo: dict[str, Any], told: str) -> None:
    path = tmp_path / "a b.journal"
    await stopped(path, memo=memo)
    assert look(path).next.startswith(told.format(path=path))


async def test_a_journal_without_a_run_is_told_as_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    await stopped(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        schema.put_meta(connection, "session", Session.RUNNING)
    assert look(path).state is JournalState.KILLED


@pytest.mark.parametrize(
    ("statement", "value", "told"),
    [
        ("UPDATE batches SET count = ? WHERE number = 0", 77, "1 batch not as written"),
        ("UPDATE batches SET digest = ? WHERE number = 0", "text", "1 batch not as written"),
        ("UPDATE batches SET state = ? WHERE number = 0", 99, "1 batch not as written"),
        ("DELETE FROM batches WHERE number = ?", 0, "its counts do not add up"),
        ("UPDATE meta SET value = ? WHERE key = 'run'", b"{}", "what it says of its run"),
        ("UPDATE meta SET value = ? WHERE key = 'session'", b'"x"', "what it says of its session"),
        ("UPDATE rejects SET line = ? WHERE position = 1", b"{}\n", "1 rejected record not as written"),
    ],
)
async def test_what_is_damaged_is_named_and_the_rest_is_counted(
    tmp_path: Path, statement: str, value: Any, told: str
) -> None:
    path = tmp_path / "a.journal"
    await stopped(path)
    changed(path, statement, value)
    status = look(path)
    assert told in "; ".join(status.damage)
    assert status.accepted in {4, 6}
    assert status.rejected == 2
    assert "not resumed" in status.next
    assert f"damaged: {status.damage[0]}" in str(status)


async def test_a_damaged_group_is_named_and_the_batches_beside_it_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    async with Emulator(token=canary.TOKEN) as platform:
        await imported(path, platform, people(1100))
    changed(path, "UPDATE segments SET accepted = accepted + ? WHERE number = 0", 1)
    status = look(path)
    assert status.damage == ("1 group of 256 settled batches not as written",)
    assert (status.accepted, status.batches, status.state) == (1100 - 2 * GROUP, 550 - GROUP, JournalState.FINISHED)


async def test_a_damaged_spool_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    await stopped(path, spool=True)
    changed(path, "UPDATE spool SET records = ?", b"[]")
    assert any("spooled records not as written" in fault for fault in look(path).damage)


async def test_damaged_pages_are_named_and_the_rest_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    async with Emulator(token=canary.TOKEN) as platform:
        await imported(path, platform, people(1100))
    whole = path.read_bytes()
    told = 0
    for offset in range(100, len(whole), 1024):  # a run of bytes in each quarter of each page
        path.write_bytes(
            whole[:offset] + bytes(255 - byte for byte in whole[offset : offset + 64]) + whole[offset + 64 :]
        )
        try:
            status = read_status(str(path))
        except JournalError:
            continue
        told += bool(status.damage)
        assert status.damage or (status.accepted, status.state) == (1100, JournalState.FINISHED)
    assert told > 5


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"thirdId\n1\n", "is no journal"),
        (b"SQLite format 3\0" + b"x" * 5000, "the journal"),
    ],
    ids=["missing", "empty", "another file", "garbage"],
)
def test_what_is_no_journal_is_refused(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "a.journal"
    if content is not None:
        path.write_bytes(content)
    with canary.raises(JournalError, match=told):
        read_status(str(path))


def test_another_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE meta (key, value, checksum)")
    with canary.raises(JournalError, match="is no journal of asyncimport"):
        read_status(str(path))


def huge(path: Path, groups: int) -> None:
    """A journal of so many groups of accepted batches."""
    run = Run(run_id="0" * 20, started_ms=1, resource="users", fingerprint={}, is_spooled=False)
    schema.create(str(path), {"run": asdict(run), "session": Session.FINISHED})
    accepted = [
        Entry(number=n, first=500 * n, end=500 * n + 500, count=500, digest=b"d" * 16, state=EntryState.ACCEPTED)
        for n in range(GROUP)
    ]
    entries, ids = packed(accepted), array("q", range(GROUP)).tobytes()
    rows = []
    for group in range(groups):
        first = group * GROUP
        sums = (first, GROUP, 500 * first, 500 * (first + GROUP), 500 * GROUP, 500 * GROUP, GROUP, 0, 0, 10**6, 1.0)
        rows.append((*sums, ids, entries, schema.checksum_of(*sums, ids, entries)))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(f"INSERT INTO segments VALUES ({', '.join('?' * 14)})", rows)


def test_a_journal_of_a_million_batches_is_looked_at_in_two_seconds(tmp_path: Path) -> None:
    path = tmp_path / "huge.journal"
    huge(path, 3907)
    began = time.process_time()
    status = look(path)
    assert time.process_time() - began < 2
    assert (status.batches, status.batch_ids, status.accepted) == (1_000_192, 1_000_192, 500_096_000)
