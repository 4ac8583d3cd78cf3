"""FAULTS.md F7 to F10: what is no journal, is of another import, or is in use, is refused in words before anything is sent."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import canary
import journals
import pytest
from attrs import evolve
from journals import Job, needs_strace, people, refused
from scripted import ScriptedTransport

from asyncimport import EVENTS, USERS, Event, EventImportConfig, ImportMode, JournalError, UserImportConfig, UserProfile
from asyncimport.emulator import Emulator
from asyncimport.journal.lock import holder_of
from asyncimport.journal.schema import VERSION, hidden_beside
from asyncimport.sources import ColumnMapping, read_csv


def an_empty_file(path: Path) -> None:
    path.touch()


def a_directory(path: Path) -> None:
    path.mkdir()


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_socketless_device(path: Path) -> None:
    path.symlink_to("/dev/null")


def a_link_to_a_journal(path: Path) -> None:
    other = path.with_name("other")
    asyncio.run(journals.imported(people(20), other, ScriptedTransport()))
    path.symlink_to(other)


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


def a_text(path: Path) -> None:
    path.write_text("thirdId,name\n1,a\n" * 500)


def another_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE meta (key TEXT, value TEXT)")
        connection.commit()


def a_truncated_journal(path: Path) -> None:
    asyncio.run(journals.imported(people(200), path, ScriptedTransport()))
    os.truncate(path, 8192)


def a_header_alone(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0")


def only_a_log(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(bytes(4152))


def only_a_rollback_journal(path: Path) -> None:
    Path(f"{path}-journal").write_bytes(bytes(512))


@pytest.mark.breakage("schema: look at what a link leads to")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (an_empty_file, "is empty: it has lost what it held"),
        (a_directory, "is a directory"),
        (a_fifo, "is no regular file"),
        (a_socketless_device, "is a symbolic link"),
        (a_link_to_a_journal, "is a symbolic link"),
        (a_link_to_nothing, "is a symbolic link"),
        (a_text, "is no journal"),
        (another_database, "is no journal of asyncimport"),
        (a_truncated_journal, "is damaged"),
        (a_header_alone, "is damaged|is no journal"),
        (only_a_log, "is missing, but .*-wal is there"),
        (only_a_rollback_journal, "is missing, but .*-journal is there"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_f7_what_is_no_journal_is_refused_and_stays_as_it_is(
    tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    journal = tmp_path / "journal"
    make(journal)
    before = journals.beside(journal), sizes(tmp_path)
    asyncio.run(refused(people(20), journal, ScriptedTransport(), words))
    assert (journals.beside(journal), sizes(tmp_path)) == before


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.lstat().st_size for path in folder.iterdir()}


@pytest.mark.breakage("schema: take whatever has this name for a file")
def test_f7_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    a_fifo(tmp_path / "journal")
    asyncio.run(asyncio.wait_for(refused(people(1), tmp_path / "journal", ScriptedTransport(), "no regular"), 5))


@pytest.mark.breakage("lock: follow a link")
@pytest.mark.parametrize("ending", [".lock", ".new", "-wal", "-shm"])
@pytest.mark.parametrize("make", [a_directory, a_fifo, a_link_to_nothing], ids=lambda make: make.__name__)
def test_f7_something_else_beside_the_journal_is_refused_or_put_away(
    tmp_path: Path, ending: str, make: Callable[[Path], None]
) -> None:
    journal, transport = tmp_path / "journal", ScriptedTransport()
    make(Path(f"{journal}{ending}" if ending != ".new" else hidden_beside(str(journal))))
    try:
        asyncio.run(asyncio.wait_for(journals.imported(people(20), journal, transport), 20))
    except JournalError:
        assert transport.posts == []
    assert not (tmp_path / "nothing").exists()


CSV = "id\n" + "".join(f"{n}\n" for n in range(30))


def users_of(path: Path, **mapping: Any) -> Any:
    return read_csv(str(path), UserProfile, mapping=ColumnMapping(columns={"id": "third_id"}, **mapping))


async def begun(journal: Path, source: Any, **run: Any) -> None:
    """A journal of a run that has sent some, and was left."""
    await journals.stopped(source, journal, ScriptedTransport(), 1, **run)


OTHER_CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.FULL)


@pytest.mark.breakage("file: do not compare the fingerprint")
@pytest.mark.parametrize(
    ("words", "client", "arguments", "run"),
    [
        ("the resource", {}, (EVENTS, [Event(event_key="e", uuid="u")], EventImportConfig()), {}),
        ("the config", {}, (USERS, people(30), OTHER_CONFIG), {}),
        ("the address", {"base_url": "https://other.example/api/open"}, (USERS, people(30), journals.CONFIG), {}),
        ("source_id", {}, (USERS, people(30), journals.CONFIG), {"source_id": "b"}),
        ("spool", {}, (USERS, people(30), journals.CONFIG), {"spool": True}),
    ],
    ids=["resource", "config", "base_url", "source_id", "spool"],
)
async def test_f8_a_journal_of_another_import_is_refused_by_the_name_of_what_differs(
    tmp_path: Path, words: str, client: dict[str, Any], arguments: tuple[Any, Any, Any], run: dict[str, Any]
) -> None:
    journal, transport = tmp_path / "journal", ScriptedTransport()
    await begun(journal, people(30), source_id="a")
    async with journals.client_of(transport, **client) as other:
        with canary.raises(JournalError, match=f"belongs to another import: .*{words}.* differ"):
            await other.run(*arguments, **{"journal": journal, "source_id": "a", **run})
    assert transport.posts == []
    assert (await journals.imported(people(30), journal, transport, source_id="a")).accepted == 30


@pytest.mark.breakage("file: do not compare the fingerprint")
async def test_f8_a_file_read_in_another_way_is_refused(tmp_path: Path) -> None:
    journal, path = tmp_path / "journal", tmp_path / "users.csv"
    path.write_text(CSV)
    await begun(journal, users_of(path))
    await refused(users_of(path, constants={"realName": "a"}), journal, ScriptedTransport(), "how the source is read")
    await refused(people(30), journal, ScriptedTransport(), "how the source is read")


@pytest.mark.breakage("file: do not compare the fingerprint")
async def test_f8_a_finished_import_of_a_file_that_has_changed_since_is_refused(tmp_path: Path) -> None:
    journal, path = tmp_path / "journal", tmp_path / "users.csv"
    path.write_text(CSV)
    await journals.imported(users_of(path), journal, ScriptedTransport())
    path.write_text(f"{CSV}30\n")
    await refused(users_of(path), journal, ScriptedTransport(), "has ended, and the file has changed")


@pytest.mark.breakage("schema: take a newer version")
@pytest.mark.parametrize("version", [VERSION + 1, 1000, 2**31 - 1])
async def test_f8_a_journal_of_a_newer_version_is_refused(tmp_path: Path, version: int) -> None:
    journal = tmp_path / "journal"
    await begun(journal, people(30))
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    await refused(people(30), journal, ScriptedTransport(), f"newer version .*format {version}")


@pytest.mark.breakage("schema: take an older version")
async def test_f8_a_journal_of_an_older_version_is_refused_too(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    await begun(journal, people(30))
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("PRAGMA user_version = 1")
    await refused(people(30), journal, ScriptedTransport(), "older version .*format 1")


@pytest.fixture
async def platform() -> Any:
    async with Emulator(token=canary.TOKEN) as platform:
        yield platform


def job(platform: Emulator, journal: Path, **changes: Any) -> Job:
    return evolve(Job(url=platform.url, token=canary.TOKEN, journal=str(journal), count=100), **changes)


async def until_open(journal: Path, process: asyncio.subprocess.Process) -> None:
    """Wait until a child has its journal, which then waits for a word."""
    await journals.until_there(journal, Path(f"{journal}.lock"), but=process)


@pytest.mark.breakage("lock: do not lock; or do not say who holds it")
async def test_f9_the_second_process_is_refused_within_a_second_and_told_whose_it_is(
    platform: Emulator, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    waiting = job(platform, journal, waits=True)
    first = await journals.started(waiting)
    await until_open(journal, first)
    second = await journals.child(job(platform, journal))
    assert (second.error, second.took_s < 1.0) == ("JournalError", True), second
    assert f"locked by process {first.pid}" in second.message
    assert platform.ledger.requests == 0
    assert first.stdin is not None
    first.stdin.write(b"go\n")
    assert (await journals.ended(first, waiting)).error is None
    assert platform.ledger.users.total == 100


@pytest.mark.breakage("lock: take a lock file that is there for a lock")
async def test_f9_after_kill_9_the_lock_is_free(platform: Emulator, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    first = await journals.started(job(platform, journal, waits=True))
    await until_open(journal, first)
    first.kill()
    await first.communicate()
    assert holder_of(str(journal)) is None
    assert (await journals.child(job(platform, journal, waits=False))).error is None


@pytest.mark.breakage("lock: do not lock")
async def test_f9_two_runs_of_one_process_are_refused_as_well(tmp_path: Path) -> None:
    journal, transport, may_end = tmp_path / "journal", ScriptedTransport(), asyncio.Event()

    async def source() -> AsyncIterator[UserProfile]:
        for person in people(50):
            yield person
        await may_end.wait()

    async with (
        journals.client_of(transport) as client,
        client.stream(USERS, source(), journals.CONFIG, journal=journal) as outcomes,
    ):
        await refused(people(50), journal, ScriptedTransport(), f"locked by process {os.getpid()}")
        may_end.set()
        assert [outcome async for outcome in outcomes]
    assert outcomes.report.accepted == 50
    assert (await journals.imported(people(50), journal, transport)).accepted == 50


@pytest.mark.breakage("lock: go on where there are no locks")
@needs_strace
@pytest.mark.parametrize("error", ["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
async def test_f10_a_file_system_without_locks_is_refused(platform: Emulator, tmp_path: Path, error: str) -> None:
    journal = tmp_path / "journal"
    came = await journals.child(job(platform, journal), "-e", "trace=flock", f"--inject=flock:error={error}")
    assert (came.error, platform.ledger.requests) == ("JournalError", 0), came
    assert "file system without locks" in came.message


@pytest.mark.breakage("lock: go on after any other error of a lock")
@needs_strace
async def test_f10_locks_that_fail_otherwise_are_refused(platform: Emulator, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    came = await journals.child(job(platform, journal), "-e", "trace=flock", "--inject=flock:error=EIO")
    assert (came.error, platform.ledger.requests) == ("JournalError", 0), came
