"""Journals for tests of what goes wrong with them: runs that write one, looks into one, and a run in a child process.

As a program it makes one run, as its argument says in JSON, and prints what came of it: so a test can have a child under
strace, a limit or another user.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import canary
import pytest
from attrs import asdict, evolve, field, frozen
from scripted import LOST, OK, ScriptedTransport, Sent, envelope

from asyncimport import (
    USERS,
    AsyncImportError,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    ImportReport,
    JournalError,
    RetryPolicy,
    UserImportConfig,
    UserProfile,
)
from asyncimport.attempt import Attempt
from asyncimport.journal import schema
from asyncimport.journal.entry import Entry, EntryState
from asyncimport.journal.file import JournalFile
from asyncimport.journal.known import Known, Run
from asyncimport.journal.reading import read_known
from asyncimport.rejects import Lines

URL = "https://platform.example/api/open"
CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
POLICY = DispatchPolicy(
    batch_size=10, max_in_flight=4, drain_s=5.0, retry=RetryPolicy(max_attempts=4, base_s=0.01, cap_s=0.02)
)
#: What SQLite puts beside a journal.
ENDINGS = ("", "-wal", "-shm")
FRAME_BYTES = 24 + 4096
WAL_HEADER_BYTES = 32


def people(count: int, first: int = 0) -> list[UserProfile]:
    return [UserProfile(third_id=str(n), real_name=canary.PERSON) for n in range(first, first + count)]


def mixed(count: int) -> list[Any]:
    """People, of whom each tenth is refused here."""
    return [
        {"thirdId": n, "realName": canary.PERSON} if n % 10 == 5 else person for n, person in enumerate(people(count))
    ]


def adds_up(report: ImportReport | None) -> ImportReport:
    """Invariant I1, of a run that has ended."""
    assert report is not None
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    assert (report.in_progress, report.read) == (0, settled)
    return report


def counts(report: ImportReport | None) -> dict[str, Any]:
    """A report without what time makes of it."""
    timed = {"elapsed_s", "records_per_s", "width_course"}
    return {name: value for name, value in adds_up(report).to_dict().items() if name not in timed}


def client_of(transport: ScriptedTransport, **arguments: Any) -> ImportClient:
    return ImportClient(
        **{"base_url": URL, "token": canary.TOKEN, "policy": POLICY, "transport": transport, **arguments}
    )


async def imported(source: Any, journal: Path, transport: ScriptedTransport, **run: Any) -> ImportReport:
    """One run to its end."""
    async with client_of(transport) as client:
        return await client.run(USERS, source, CONFIG, journal=journal, **run)


async def stopped(source: Any, journal: Path, transport: ScriptedTransport, after: int, **run: Any) -> ImportReport:
    """A run that is left after so many outcomes."""
    async with client_of(transport) as client, client.stream(USERS, source, CONFIG, journal=journal, **run) as outcomes:
        for _ in range(after):
            await anext(outcomes)
    return outcomes.report


async def refused(source: Any, journal: Path, transport: ScriptedTransport, words: str, **run: Any) -> JournalError:
    """A run that ends with a JournalError of these words before anything is sent."""
    before = len(transport.posts)
    with canary.raises(JournalError, match=words) as caught:
        await imported(source, journal, transport, **run)
    assert len(transport.posts) == before
    error: JournalError = caught.value
    return error


def third_ids(transport: ScriptedTransport) -> list[str]:
    """Who was sent, once for each time."""
    return [record["thirdId"] for record in transport.records()]


def like_a_platform(sent: Sent) -> Attempt:
    """Refuses person 40, loses whatever holds person 60, and takes the others."""
    ids = {record["thirdId"] for record in sent.records}
    if "40" in ids:
        return envelope("1001", msg="no")
    return LOST if "60" in ids else OK


def copied(journal: Path, to: Path, endings: Iterable[str] = ("", "-wal")) -> Path:
    """A journal as its files are now, under another name."""
    to.parent.mkdir(exist_ok=True)
    for ending in endings:
        beside = Path(f"{journal}{ending}")
        target = Path(f"{to}{ending}")
        target.unlink(missing_ok=True)
        if beside.exists():
            shutil.copyfile(beside, target)
    return to


def look(journal: Path) -> Known:
    """What a journal knows, without opening it to write."""
    with closing(schema.connect_to_read(str(journal))) as connection:
        schema.check(connection, str(journal))
        return read_known(connection, str(journal))


def lines_of(run: Run) -> Lines:
    return Lines(resource=run.resource, run_id=run.run_id, params={}, is_stamped=False)


def file_of(journal: Path, run: Run, source: Mapping[str, Any] | None = None) -> JournalFile:
    """A journal to be opened by the thread that calls."""
    return JournalFile(str(journal), run, source or {}, lines_of)


@frozen(kw_only=True)
class Told:
    """All that a journal tells whoever resumes it."""

    known: Known
    entries: tuple[Entry, ...]
    spooled: tuple[tuple[int, Any], ...]
    rejects: tuple[bytes, ...]

    @property
    def accepted(self) -> set[int]:
        """First positions of the batches that it calls accepted."""
        return {entry.first for entry in self.entries if entry.state is EntryState.ACCEPTED}


def told(journal: Path, run: Run) -> Told:
    """Open a journal as a resumed run does, ask it everything, and let go of it.

    Raises:
        JournalError: it is refused.
    """
    file = file_of(journal, run)
    file.open()
    try:
        return Told(
            known=evolve(file.known, source={}, changed_ms=0),
            entries=tuple(_entries(file)),
            spooled=tuple(_spooled(file)),
            rejects=tuple(file.reject_lines()),
        )
    finally:
        file.abandon()
        file.release()


def _entries(file: JournalFile) -> Iterator[Entry]:
    number = -1
    while entries := file.entries_after(number):
        yield from entries
        number = entries[-1].number


def _spooled(file: JournalFile) -> Iterator[tuple[int, Any]]:
    position = 0
    while rows := file.spooled_from(position):
        yield from rows
        before, position = position, rows[-1][0] + len(rows[-1][1])
        assert position > before, "whoever reads on from there never ends"


@frozen(kw_only=True)
class Job:
    """One run in a child process."""

    url: str
    token: str
    journal: str
    count: int = 200
    batch_size: int = 10
    width: int = 4
    spool: bool = False
    rejects: str | None = None
    #: RLIMIT_FSIZE, once everything is loaded.
    file_limit: int | None = None
    umask: int | None = None
    user: int | None = None
    #: Sends nothing before it is told so by a line on stdin, when the journal is open.
    waits: bool = False


@frozen(kw_only=True)
class Came:
    """What came of it."""

    error: str | None
    message: str
    notes: Sequence[str]
    report: Mapping[str, Any] | None
    took_s: float
    #: The longest that the event loop was not there for a task that sleeps 5 ms at a time.
    worst_gap_s: float
    #: What strace saw, a line each.
    calls: Sequence[str] = field(factory=list)


async def child(job: Job, *strace: str) -> Came:
    """Run a job in a child process to its end."""
    process = await started(job, *strace)
    return await ended(process, job)


async def started(job: Job, *strace: str) -> asyncio.subprocess.Process:
    log = f"{job.journal}.strace"
    prefix = ["strace", "-f", "-qq", "-y", "--seccomp-bpf", "-o", log, *strace] if strace else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASYNCIMPORT_")}
    path = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    return await asyncio.create_subprocess_exec(
        *prefix,
        sys.executable,
        __file__,
        json.dumps(asdict(job)),
        env=environment | {"PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def until_there(*paths: Path, but: asyncio.subprocess.Process) -> None:
    """Wait for files of a child, which must not end meanwhile."""
    async with asyncio.timeout(60):
        while not all(map(os.path.exists, paths)):
            assert but.returncode is None
            await asyncio.sleep(0.02)


async def ended(process: asyncio.subprocess.Process, job: Job) -> Came:
    out, err = await asyncio.wait_for(process.communicate(), 110)
    assert canary.leaks((out + err).decode()) == []
    assert out, err.decode()
    return Came(**json.loads(out), calls=_calls(Path(f"{job.journal}.strace")))


def _calls(log: Path) -> list[str]:
    return log.read_text("utf-8", "replace").splitlines() if log.exists() else []


@cache
def _can_trace() -> bool:
    strace = shutil.which("strace")
    command = [strace or "", "-f", "-qq", "--seccomp-bpf", "-e", "trace=fsync", "-o", os.devnull, "true"]
    return strace is not None and subprocess.run(command, check=False, capture_output=True).returncode == 0


needs_strace = pytest.mark.skipif("not journals._can_trace()", reason="strace is missing, or may not trace here")


def mounted(folder: Path, options: str, *, again: bool = False) -> bool:
    """Mount a file system in memory, or change its options; whether that is allowed here."""
    folder.mkdir(exist_ok=True)
    how = ["-o", f"remount,{options}"] if again else ["-t", "tmpfs", "-o", options, "none"]
    return _ran("mount", *how, str(folder))


def unmounted(folder: Path) -> bool:
    return _ran("umount", str(folder))


def _ran(*command: str) -> bool:
    return (
        shutil.which(command[0]) is not None
        and not subprocess.run(command, check=False, capture_output=True).returncode
    )


def nobody() -> int | None:
    """Another user, whom a child can become; None where it cannot."""
    return 65534 if os.getuid() == 0 else None


def open_way_to(folder: Path) -> None:
    """Let everybody come as far as a folder."""
    for parent in folder.parents:
        if parent.stat().st_uid == os.getuid() and parent not in {Path("/"), Path("/tmp")}:
            parent.chmod(parent.stat().st_mode | 0o011)


def beside(journal: Path) -> list[str]:
    """The endings of the files that bear a journal's name."""
    return sorted(path.name.removeprefix(journal.name) for path in journal.parent.glob(f"{journal.name}*"))


def bytes_beside(journal: Path) -> bytes:
    """The bytes of a journal and of what lies beside it."""
    return b"".join(path.read_bytes() for path in journal.parent.glob(f"{journal.name}*") if path.is_file())


def rows(journal: Path, query: str) -> list[Any]:
    """What SQLite itself finds in a journal."""
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def main(argument: str) -> None:
    job = Job(**json.loads(argument))
    if job.umask is not None:
        os.umask(job.umask)
    if job.user is not None:
        os.setgroups([])
        os.setgid(job.user)
        os.setuid(job.user)
    if job.file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job.file_limit, resource.RLIM_INFINITY))
    sys.stdout.write(json.dumps(asyncio.run(_run(job))))


async def _run(job: Job) -> dict[str, Any]:
    gaps = [0.0]
    watching = asyncio.create_task(watch(gaps))
    await asyncio.sleep(0)  # it watches from here on
    begun = time.monotonic()
    report, error = None, None
    try:
        report = await _import(job)
    except AsyncImportError as caught:
        report, error = caught.report, caught
    took_s = time.monotonic() - begun
    watching.cancel()
    return {
        "error": None if error is None else type(error).__name__,
        "message": f"{error or ''}",
        "notes": getattr(error, "__notes__", []),
        "report": None if report is None else report.to_dict(),
        "took_s": took_s,
        "worst_gap_s": max(gaps),
    }


async def _import(job: Job) -> ImportReport:
    policy = evolve(POLICY, batch_size=job.batch_size, max_in_flight=job.width)
    options: dict[str, Any] = {"journal": job.journal, "spool": job.spool, "rejects": job.rejects, "policy": policy}
    async with ImportClient(job.url, token=job.token) as client:
        async with client.stream(USERS, _source(job), CONFIG, **options) as outcomes:
            if job.waits:
                sys.stdout.flush()
            async for _ in outcomes:
                pass
        return outcomes.report


def _source(job: Job) -> Any:
    if not job.waits:
        return people(job.count)
    return _when_told(people(job.count))


async def _when_told(records: Sequence[UserProfile]) -> Any:
    await asyncio.to_thread(sys.stdin.readline)
    for record in records:
        yield record


async def watch(gaps: list[float]) -> None:
    """Note by how much later than after 5 ms the event loop comes back, each time."""
    before = time.monotonic()
    while True:
        await asyncio.sleep(0.005)
        now = time.monotonic()
        gaps.append(now - before - 0.005)
        before = now


if __name__ == "__main__":
    main(sys.argv[1])
