"""FAULTS.md F1 to F3 and F11: a disk that is full, broken or closed to us. Nothing more is started, and nothing is lost.

The client is a process of its own, because what the disk does to it comes from strace, a limit or a small file system.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import canary
import journals
import pytest
from attrs import evolve
from journals import Came, Job, child, needs_strace

from asyncimport import USERS, ImportClient, JournalError
from asyncimport.clock import SystemClock
from asyncimport.disk import DiskWriter
from asyncimport.emulator import Delay, Emulator
from asyncimport.journal.schema import hidden_beside

#: So many that the disk fails in the midst of them.
COUNT = 1500


@pytest.fixture
async def platform() -> AsyncIterator[Emulator]:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.add(Delay(seconds=0.002))
        yield platform


def job(platform: Emulator, journal: Path, **changes: Any) -> Job:
    return evolve(Job(url=platform.url, token=canary.TOKEN, journal=str(journal), count=COUNT), **changes)


def committed(platform: Emulator) -> set[int]:
    """Whom the platform has: its own word."""
    return {int(record["thirdId"]) for record in platform.ledger.users.records()}


def nothing_was_sent_unknown_to(platform: Emulator, journal: Path) -> None:
    """The journal knew each batch before it was started."""
    known = journals.look(journal)
    assert max(committed(platform), default=-1) < known.end


def is_told(came: Came, words: str) -> None:
    """The run ended with a JournalError of these words, and its report counts every record."""
    assert (came.error, words in came.message) == ("JournalError", True), came
    report = came.report
    assert report is not None
    settled = report["accepted"] + report["rejected"] + report["unconfirmed"] + report["unsent"]
    assert (report["in_progress"], report["read"]) == (0, settled)


def was_drained(came: Came, platform: Emulator) -> None:
    """What was in flight has its answer: what is reported accepted is what the platform has."""
    assert came.report is not None
    assert (came.report["accepted"], came.report["unconfirmed"]) == (platform.ledger.users.distinct, 0)
    assert came.report["attempts"] == platform.ledger.requests


async def resumed(platform: Emulator, journal: Path, *, spool: bool = False) -> None:
    """A later run with a sound disk ends with the totals of an undisturbed one, and the platform has everybody."""
    before = platform.ledger.users.total
    async with ImportClient(platform.url, token=canary.TOKEN, policy=journals.POLICY) as client:
        report = await client.run(
            USERS, journals.people(COUNT), journals.CONFIG, journal=journal, spool=spool, policy=journals.POLICY
        )
    assert (report.read, report.accepted, report.ok) == (COUNT, COUNT, True)
    assert committed(platform) == set(range(COUNT))
    assert platform.ledger.users.duplicates <= before
    assert platform.ledger.violations == []


async def ended_by_the_disk(platform: Emulator, came: Came, journal: Path, words: str, *, spool: bool = False) -> None:
    """All that F1 asks for."""
    is_told(came, words)
    was_drained(came, platform)
    assert came.report is not None
    assert 0 < came.report["accepted"] < COUNT
    nothing_was_sent_unknown_to(platform, journal)
    await resumed(platform, journal, spool=spool)


def on(journal: Path, *endings: str) -> list[str]:
    """strace's options to look at these files alone."""
    names = [hidden_beside(str(journal)) if ending == ".new" else f"{journal}{ending}" for ending in endings]
    return [option for name in names for option in ("-P", name)]


@pytest.mark.breakage("disk: tell nobody of the fault; or dispatcher: send a batch before it is on disk")
@needs_strace
@pytest.mark.parametrize("spool", [False, True], ids=["read again", "spooled"])
@pytest.mark.parametrize(
    ("error", "words"), [("ENOSPC", "full"), ("EDQUOT", "disk I/O error"), ("EIO", "disk I/O error")]
)
async def test_f1_a_write_that_fails_ends_the_run_and_a_later_one_goes_on(
    platform: Emulator, tmp_path: Path, error: str, words: str, spool: bool
) -> None:
    journal = tmp_path / "journal"
    failing = [*on(journal, "-wal"), f"--inject=pwrite64:error={error}:when=50+"]
    came = await child(job(platform, journal, spool=spool), *failing)
    await ended_by_the_disk(platform, came, journal, words, spool=spool)


@pytest.mark.breakage("disk: tell nobody of the fault")
@needs_strace
async def test_f3_a_short_write_ends_the_run_and_a_later_one_goes_on(platform: Emulator, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    short = [*on(journal, "-wal"), "--inject=pwrite64:retval=0:when=50+"]
    came = await child(job(platform, journal), *short)
    await ended_by_the_disk(platform, came, journal, "full")


@pytest.mark.breakage("disk: tell nobody of the fault")
async def test_f1_a_limit_on_the_size_of_files_ends_the_run(platform: Emulator, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    came = await child(job(platform, journal, file_limit=100_000))
    await ended_by_the_disk(platform, came, journal, "written")


@pytest.mark.breakage("schema: let the system's own errors out while a journal is made")
@pytest.mark.parametrize("limit", [0, 4_096, 20_000], ids=["nothing", "a page", "half of it"])
async def test_f1_a_limit_that_allows_no_journal_at_all_sends_nothing(
    platform: Emulator, tmp_path: Path, limit: int
) -> None:
    journal = tmp_path / "journal"
    came = await child(job(platform, journal, file_limit=limit))
    assert (came.error, came.report, platform.ledger.requests) == ("JournalError", None, 0), came
    assert str(journal) in came.message
    await resumed(platform, journal)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    if not journals.mounted(folder, "size=96k"):
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    assert journals.unmounted(folder)


@pytest.mark.breakage("disk: tell nobody of the fault")
async def test_f1_a_full_file_system_ends_the_run_and_a_larger_one_goes_on(
    platform: Emulator, small_disk: Path
) -> None:
    journal = small_disk / "journal"
    came = await child(job(platform, journal))
    is_told(came, "full")
    was_drained(came, platform)
    assert journals.mounted(small_disk, "size=10m", again=True)
    nothing_was_sent_unknown_to(platform, journal)
    await resumed(platform, journal)


@pytest.mark.breakage("schema, lock: let the system's own errors out")
async def test_f1_a_file_system_that_is_full_before_the_run_sends_nothing(platform: Emulator, small_disk: Path) -> None:
    journal = small_disk / "journal"
    with canary.raises(OSError, match="No space left"):
        (small_disk / "filler").write_bytes(bytes(1_000_000))
    came = await child(job(platform, journal))
    assert (came.error, platform.ledger.requests) == ("JournalError", 0), came
    assert journals.beside(journal) == []
    (small_disk / "filler").unlink()
    assert journals.mounted(small_disk, "size=10m", again=True)
    await resumed(platform, journal)


class FailsAtOnce:
    """A book that takes the first thing when it is told to, and nothing after it."""

    def __init__(self) -> None:
        self.may_write = threading.Event()

    def open(self) -> None:
        """Nothing is to be opened."""

    def write(self, things: Sequence[int]) -> None:
        self.may_write.wait(60)
        if things != [1]:
            raise JournalError("the disk is full")

    def close(self) -> None:
        """Nothing is to be closed."""

    def abandon(self) -> None:
        """Nothing is to be let go of."""


@pytest.mark.breakage("disk: forget a question that came with what cannot be written")
async def test_f1_who_asks_together_with_a_write_that_fails_is_not_left_waiting() -> None:
    book, failures = FailsAtOnce(), list[Exception]()
    writer: DiskWriter[int] = DiskWriter("journal", book, SystemClock(), failed=failures.append)
    await writer.open()
    writer.put(1)
    writer.put(2)
    asked = asyncio.create_task(writer.ask(lambda: None))
    await asyncio.sleep(0)
    book.may_write.set()
    with canary.raises(JournalError):
        await asyncio.wait_for(asked, 10)
    assert len(failures) == 1


@pytest.mark.breakage("file: close a journal that has failed as any other")
@needs_strace
@pytest.mark.parametrize(("spool", "when"), [(False, 2), (True, 8)], ids=["in a checkpoint", "in a commit"])
async def test_f2_a_sync_that_fails_is_not_tried_again(
    platform: Emulator, tmp_path: Path, spool: bool, when: int
) -> None:
    journal = tmp_path / "journal"
    files = [*on(journal, "", "-wal"), "-e", "trace=fsync,fdatasync,pwrite64,unlink,ftruncate"]
    failing = [*on(journal, "-wal"), f"--inject=fsync,fdatasync:error=EIO:when={when}"]
    platform.faults.clear()
    many = job(platform, journal, spool=spool, count=1600, batch_size=1)
    came = await child(many, *(files if spool else failing[:-1]), "-e", files[-1], failing[-1])
    [failed] = [number for number, call in enumerate(came.calls) if "INJECTED" in call]
    after = [call for call in came.calls[failed + 1 :] if "exited" not in call]
    assert after == [], "after a failed sync the system may call lost pages clean: what comes next proves nothing"
    is_told(came, "disk I/O error")
    was_drained(came, platform)


@pytest.mark.breakage("schema: go on after a sync that failed")
@needs_strace
@pytest.mark.parametrize(
    ("call", "when"),
    [("fdatasync", 1), ("fsync", 1), ("fdatasync", 5)],
    ids=["SQLite's own", "of the whole file", "when it gets its log"],
)
async def test_f2_a_sync_that_fails_while_the_journal_is_made_fails_before_the_first_request(
    platform: Emulator, tmp_path: Path, call: str, when: int
) -> None:
    journal = tmp_path / "journal"
    files = on(journal, "", ".new", "-journal")
    came = await child(job(platform, journal), *files, f"--inject={call}:error=EIO:when={when}")
    assert [line for line in came.calls if "INJECTED" in line]
    assert (came.error, platform.ledger.requests) == ("JournalError", 0), came


@pytest.mark.breakage("disk: tell nobody of the fault")
@needs_strace
async def test_f2_a_sync_that_fails_ends_the_run_and_a_later_one_goes_on(platform: Emulator, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    failing = [*on(journal, "-wal"), "--inject=fsync,fdatasync:error=EIO:when=8"]
    came = await child(job(platform, journal, spool=True), *failing)
    await ended_by_the_disk(platform, came, journal, "disk I/O error", spool=True)


@pytest.mark.breakage("lock: go on without a lock file that cannot be made")
@needs_strace
@pytest.mark.parametrize(
    ("ending", "error"),
    [
        *(("", error) for error in ("EACCES", "EROFS", "EMFILE")),
        *((".new", error) for error in ("EACCES", "ENOSPC")),
        *((".lock", error) for error in ("EROFS", "EDQUOT")),
        *(("-wal", error) for error in ("EACCES", "EROFS")),
        *(("-shm", error) for error in ("ENOSPC", "EMFILE")),
    ],
)
async def test_f11_a_file_that_cannot_be_opened_fails_before_the_first_request(
    platform: Emulator, tmp_path: Path, ending: str, error: str
) -> None:
    journal = tmp_path / "journal"
    came = await child(job(platform, journal), *on(journal, ending), f"--inject=openat:error={error}")
    assert (came.error, came.report, platform.ledger.requests) == ("JournalError", None, 0), came
    assert str(journal) in came.message


@pytest.mark.breakage("schema, lock: let the system's own errors out")
async def test_f11_a_read_only_file_system_fails_before_the_first_request(platform: Emulator, small_disk: Path) -> None:
    journal = small_disk / "journal"
    assert journals.mounted(small_disk, "ro", again=True)
    came = await child(job(platform, journal))
    assert (came.error, platform.ledger.requests) == ("JournalError", 0), came
    assert "Read-only" in came.message


@pytest.mark.breakage("schema, lock: let the system's own errors out")
@pytest.mark.parametrize("mode", [0o000, 0o400, 0o555], ids=["closed", "only to be listed", "only to be read"])
async def test_f11_a_folder_that_is_not_ours_fails_before_the_first_request(
    platform: Emulator, tmp_path: Path, mode: int
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    nobody = journals.nobody()
    if nobody is None:
        pytest.skip("only root can make a child that is somebody else")
    journals.open_way_to(folder)
    came = await child(job(platform, folder / "journal", user=nobody))
    assert (came.error, platform.ledger.requests) == ("JournalError", 0), came
    assert "Permission denied" in came.message


@pytest.mark.breakage("schema: sync no commit of a spooled run")
@needs_strace
@pytest.mark.parametrize("spool", [False, True], ids=["read again", "spooled"])
async def test_e9_only_what_is_spooled_waits_for_the_disk_at_each_commit(
    platform: Emulator, tmp_path: Path, spool: bool
) -> None:
    journal = tmp_path / "journal"
    traced = [*on(journal, "-wal"), "-e", "trace=pwrite64,fdatasync"]
    came = await child(job(platform, journal, spool=spool, count=200), *traced)
    assert came.error is None, came
    synced = ["fdatasync" in call for call in came.calls if "exited" not in call]
    assert (synced[-1], sum(synced) > 5) == (True, spool), came.calls
