"""FAULTS.md F13 to F18: what happens to a journal while a run goes on, what a resumed run finds, what a journal costs, and who
may read it.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import stat
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import canary
import journals
import pytest
from attrs import evolve
from journals import Job, adds_up, needs_strace, people, refused
from packers import zstd
from scripted import OK, ScriptedTransport, Sent

from asyncimport import DispatchPolicy, ImportReport, JournalError, UserProfile
from asyncimport.attempt import Attempt
from asyncimport.emulator import Emulator
from asyncimport.journal import schema
from asyncimport.journal.entry import GROUP, Entry, EntryState
from asyncimport.journal.known import Session
from asyncimport.journal.rows import segment_of
from asyncimport.journal.schema import hidden_beside
from asyncimport.sources import read_csv, read_jsonl


def removed(journal: Path) -> None:
    for ending in journals.beside(journal):
        Path(f"{journal}{ending}").unlink()


def removed_alone(journal: Path) -> None:
    journal.unlink()


def replaced_by_a_copy(journal: Path) -> None:
    copy = journal.with_name("copy")
    copy.write_bytes(journal.read_bytes())
    copy.rename(journal)


def replaced_by_a_link(journal: Path) -> None:
    journal.rename(journal.with_name("elsewhere"))
    journal.symlink_to(journal.with_name("elsewhere"))


def moved(journal: Path) -> None:
    journal.rename(journal.with_name("elsewhere"))


@pytest.mark.breakage("file: do not look whether the journal is still there")
@pytest.mark.parametrize(
    "meddle",
    [removed, removed_alone, replaced_by_a_copy, replaced_by_a_link, moved],
    ids=lambda meddle: meddle.__name__,
)
@pytest.mark.parametrize("spool", [False, True], ids=["read again", "spooled"])
async def test_f13_a_journal_that_goes_away_ends_the_run_and_what_is_in_flight_is_drained(
    tmp_path: Path, meddle: Callable[[Path], None], spool: bool
) -> None:
    journal, meddled = tmp_path / "journal", list[int]()

    def reply(sent: Sent) -> Attempt:
        if int(sent.records[0]["thirdId"]) >= 50 and not meddled:
            meddle(journal)
            meddled.append(len(transport.posts))
        return OK

    transport = ScriptedTransport(otherwise=reply, delay_s=0.005)
    with canary.raises(JournalError, match="was removed|was replaced") as ended:
        await journals.imported(people(5000), journal, transport, spool=spool)
    report = adds_up(ended.value.report)
    assert report.accepted == len(set(journals.third_ids(transport)))
    assert (report.unconfirmed, transport.in_flight) == (0, 0)
    assert report.accepted < 5000


@pytest.mark.breakage(
    "journal: write down as pending what was accepted; or opening: restore no counts; or catch_up: read on after the end"
)
@pytest.mark.parametrize("spool", [False, True], ids=["read again", "spooled"])
@pytest.mark.parametrize("source", [people, journals.mixed], ids=lambda source: source.__name__)
async def test_f14_a_run_of_which_everything_is_acknowledged_sends_nothing_and_reports_the_same(
    tmp_path: Path, source: Callable[[int], list[Any]], spool: bool
) -> None:
    journal, platform = tmp_path / "journal", ScriptedTransport(otherwise=journals.like_a_platform)
    first = in_order(await journals.imported(source(70), journal, platform, spool=spool))
    for _ in range(2):
        transport = ScriptedTransport()
        assert in_order(await journals.imported(source(70), journal, transport, spool=spool)) == first
        assert transport.posts == []


def in_order(report: ImportReport) -> dict[str, Any]:
    """A report, whose lists come in order of time while a run goes on and in order of place when it is resumed."""
    found = journals.counts(report)
    found["batch_ids"].sort()
    found["first_rejections"].sort(key=lambda first: first["position"])
    return found


def as_list(records: list[Any]) -> Any:
    return records


def as_generator(records: list[Any]) -> Any:
    return (record for record in records)


def as_async_iterable(records: list[Any]) -> Any:
    async def source() -> AsyncIterator[Any]:
        for record in records:
            yield record

    return source()


FORMS = [as_list, as_generator, as_async_iterable]


def inserted(records: list[Any]) -> list[Any]:
    return [UserProfile(third_id="new"), *records]


def changed_in_the_middle(records: list[Any]) -> list[Any]:
    return [*records[:15], UserProfile(third_id="new"), *records[16:]]


def shorter(records: list[Any]) -> list[Any]:
    return records[:12]


def one_left_out(records: list[Any]) -> list[Any]:
    return [*records[:7], *records[8:]]


def one_refused(records: list[Any]) -> list[Any]:
    return [*records[:7], {"thirdId": 7}, *records[8:]]


CHANGES = [
    (inserted, "the records at positions 0 to 9 differ"),
    (changed_in_the_middle, "the records at positions 10 to 19 differ"),
    (shorter, "it ended after 12 records"),
    (one_left_out, "the records at positions 0 to 9 differ"),
    (one_refused, "the records at positions 0 to 9 differ"),
]


@pytest.mark.breakage("recut: compare no digest")
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize(("change", "words"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
async def test_f15_a_source_that_has_changed_is_refused_before_anything_is_sent(
    tmp_path: Path, form: Callable[[list[Any]], Any], change: Callable[[list[Any]], list[Any]], words: str
) -> None:
    journal = tmp_path / "journal"
    await journals.stopped(form(people(200)), journal, ScriptedTransport(), 3)
    before = journals.look(journal).sums
    error = await refused(form(change(people(200))), journal, ScriptedTransport(), words)
    assert (adds_up(error.report).accepted, adds_up(error.report).read) == (before.accepted, before.read)
    transport = ScriptedTransport()
    report = await journals.imported(form(people(200)), journal, transport)
    assert (report.read, report.accepted) == (200, 200)
    assert len(set(journals.third_ids(transport))) <= 200 - before.accepted


def lines_of(first: int, end: int) -> str:
    return "".join(f"{n}\n" for n in range(first, end))


def write_csv(path: Path, body: str) -> Any:
    path.write_text(f"thirdId\n{body}")
    return read_csv(str(path), UserProfile)


def write_jsonl(path: Path, body: str) -> Any:
    path.write_text("".join(f'{{"thirdId": "{line}"}}\n' for line in body.splitlines()))
    return read_jsonl(str(path), record=UserProfile)


def write_gzip(path: Path, body: str) -> Any:
    packed = path.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(f"thirdId\n{body}".encode(), mtime=0))
    return read_csv(str(packed), UserProfile)


def write_zstd(path: Path, body: str) -> Any:
    packed = path.with_suffix(".csv.zst")
    packed.write_bytes(zstd.compress(f"thirdId\n{body}".encode()))
    return read_csv(str(packed), UserProfile)


FILES = [write_csv, write_jsonl, write_gzip, write_zstd]
FILE_CHANGES = {
    "inserted": (f"new\n{lines_of(0, 200)}", "positions 0 to 9 differ"),
    "changed in the middle": (f"{lines_of(0, 15)}xx\n{lines_of(16, 200)}", "positions 10 to 19 differ"),
    "shorter": (lines_of(0, 12), "ended after 12 records"),
    "empty": ("", "ended after 0 records"),
}


@pytest.mark.breakage("recut: compare no digest")
@pytest.mark.parametrize("write", FILES, ids=lambda write: write.__name__)
@pytest.mark.parametrize("change", FILE_CHANGES)
async def test_f15_a_file_that_has_changed_is_refused_before_anything_is_sent(
    tmp_path: Path, write: Callable[[Path, str], Any], change: str
) -> None:
    journal, path = tmp_path / "journal", tmp_path / "users.csv"
    await journals.stopped(write(path, lines_of(0, 200)), journal, ScriptedTransport(), 3)
    body, words = FILE_CHANGES[change]
    await refused(write(path, body), journal, ScriptedTransport(), words)
    report = await journals.imported(write(path, lines_of(0, 200)), journal, ScriptedTransport())
    assert (report.read, report.accepted) == (200, 200)


def touch(folder: Path) -> None:
    for each in folder.glob("users.csv*"):
        os.utime(each, ns=(1, 1))


@pytest.mark.breakage("fingerprint: refuse a file that was touched")
@pytest.mark.parametrize("write", FILES, ids=lambda write: write.__name__)
@pytest.mark.parametrize("end", [200, 300], ids=["touched", "appended to"])
async def test_f15_a_file_that_was_only_touched_or_appended_to_goes_on(
    tmp_path: Path, write: Callable[[Path, str], Any], end: int
) -> None:
    journal, path = tmp_path / "journal", tmp_path / "users.csv"
    first, second = ScriptedTransport(), ScriptedTransport()
    stopped = await journals.stopped(write(path, lines_of(0, 200)), journal, first, 3)
    source = write(path, lines_of(0, end))
    touch(tmp_path)
    report = await journals.imported(source, journal, second)
    assert (report.read, report.accepted, report.ok) == (end, end, True)
    assert {*journals.third_ids(first), *journals.third_ids(second)} == {str(n) for n in range(end)}
    assert len(journals.third_ids(second)) == end - stopped.accepted


MANY = 1_000_000


def group() -> list[Entry]:
    """Settled batches of 500, as a run leaves them."""
    return [
        Entry(
            number=each,
            first=each * 500,
            end=each * 500 + 500,
            count=500,
            digest=each.to_bytes(16, "big"),
            state=EntryState.ACCEPTED,
            batch_id=10**15 + each,
            attempts=1,
            sent_bytes=200_000,
            elapsed_s=each / 100,
        )
        for each in range(GROUP)
    ]


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A journal of a run that has come far: its settled groups are as the run would write them, all alike but for their places."""
    folder = tmp_path_factory.mktemp("million")
    journal = folder / "journal"
    asyncio.run(journals.stopped(people(40), journal, ScriptedTransport(), 1))
    connection = schema.connect(str(journal), is_durable=False)
    connection.execute("BEGIN")
    for table in ("batches", "rejects", "spool"):
        connection.execute(f"DELETE FROM {table}")
    _, _, _, length, *sums, _ = segment_of(group())
    for number in range(0, MANY // GROUP * GROUP, GROUP):
        row = (number, GROUP, number * 500, number * 500 + length, *sums)
        connection.execute(
            "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, schema.checksum_of(*row))
        )
    schema.put_meta(connection, "session", Session.STOPPED)
    connection.execute("COMMIT")
    connection.close()
    yield journal
    journal.unlink()


@pytest.mark.breakage("reading: unpack each group of batches when a journal is opened")
def test_f16_a_journal_of_a_million_batches_opens_within_two_seconds(million: Path) -> None:
    run = journals.look(million).run
    begun = time.perf_counter()
    file = journals.file_of(million, run)
    file.open()
    took_s = time.perf_counter() - begun
    file.abandon()
    file.release()
    assert file.known.sums.batches == MANY // GROUP * GROUP
    assert file.known.sums.accepted == file.known.sums.batches * 500
    assert took_s < max(2.0, 20 * read_s(million))


def read_s(path: Path) -> float:
    """What a plain read of the same bytes takes now: the machine may be busy."""
    begun = time.perf_counter()
    path.read_bytes()
    return time.perf_counter() - begun


@pytest.mark.breakage("reading: fetch all groups at once")
def test_f16_opening_it_takes_no_memory_but_for_eight_bytes_a_batch_id(million: Path) -> None:
    run = journals.look(million).run
    tracemalloc.start()
    try:
        file = journals.file_of(million, run)
        file.open()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    file.abandon()
    file.release()
    assert peak < 2.5 * 8 * MANY + 1_000_000


@pytest.mark.breakage("file: fold no group")
async def test_f16_two_thousand_batches_are_folded_and_take_less_than_a_hundred_bytes_each(tmp_path: Path) -> None:
    journal, singly = tmp_path / "journal", DispatchPolicy(batch_size=1, max_in_flight=16)
    report = await journals.imported(people(2000), journal, ScriptedTransport(delay_s=0.0), policy=singly)
    assert report.batches == 2000
    assert journals.beside(journal) == [""]
    assert journals.rows(journal, "SELECT COUNT(*) FROM batches") == [(2000 % GROUP,)]
    assert journal.stat().st_size < 100 * 2000


@pytest.fixture
async def platform() -> AsyncIterator[Emulator]:
    async with Emulator(token=canary.TOKEN) as platform:
        yield platform


def job(platform: Emulator, journal: Path, **changes: Any) -> Job:
    return evolve(Job(url=platform.url, token=canary.TOKEN, journal=str(journal), count=100), **changes)


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in sorted(folder.iterdir())}


@pytest.mark.breakage("schema: make files, or folders, for everybody")
async def test_f17_everything_is_for_its_owner_alone_whatever_the_umask(platform: Emulator, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    waiting = job(platform, folder / "journal", waits=True, umask=0, spool=True, rejects=str(folder / "rejects"))
    process = await journals.started(waiting)
    await journals.until_there(*(folder / f"journal{ending}" for ending in ("-wal", "-shm")), but=process)
    during = modes(folder)
    process.kill()
    await process.communicate()
    assert {"journal", "journal-wal", "journal-shm", "journal.lock"} <= during.keys()
    assert set(during.values()) == {"0o600"}
    assert {oct(stat.S_IMODE(each.stat().st_mode)) for each in (folder, folder.parent)} == {"0o700"}


@pytest.mark.breakage("schema: make files for everybody")
async def test_f17_the_file_of_rejects_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await journals.imported(
            journals.mixed(50), tmp_path / "new" / "journal", ScriptedTransport(), rejects=tmp_path / "new" / "rejects"
        )
    finally:
        os.umask(before)
    assert modes(tmp_path / "new") == {"journal": "0o600", "rejects": "0o600"}


def plant(link: Path, victim: Path) -> None:
    link.symlink_to(victim)


@pytest.mark.breakage("schema, lock: follow links")
@pytest.mark.parametrize("ending", ["", ".new", ".lock", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("is_there", [True, False], ids=["to a file", "to nothing"])
async def test_f17_a_link_that_somebody_planted_is_not_followed(tmp_path: Path, ending: str, is_there: bool) -> None:
    journal, victim = tmp_path / "journal", tmp_path / "victim"
    if is_there:
        victim.write_text("precious")
    if ending in {"-wal", "-shm", "-journal"}:
        await journals.stopped(people(100), journal, ScriptedTransport(), 1)
    plant(Path(f"{journal}{ending}" if ending != ".new" else hidden_beside(str(journal))), victim)
    transport = ScriptedTransport()
    try:
        await journals.imported(people(100), journal, transport)
    except JournalError:
        assert transport.posts == []
    assert not is_there or victim.read_text() == "precious"
    assert victim.exists() is is_there


@pytest.mark.breakage("disk: let the loop wait while the thread opens the journal")
@needs_strace
@pytest.mark.parametrize(
    ("spool", "delay_s", "when"),
    [(False, 0.6, "1+4"), (True, 0.15, "1+")],
    ids=["opening and closing", "spooled, each time"],
)
async def test_f18_a_disk_that_takes_its_time_holds_up_nothing_but_the_journal(
    platform: Emulator, tmp_path: Path, spool: bool, delay_s: float, when: str
) -> None:
    slow = f"--inject=fsync,fdatasync:delay_enter={delay_s * 1000:.0f}ms:when={when}"
    gaps = [0.0]
    here = asyncio.create_task(journals.watch(gaps))
    came = await journals.child(job(platform, tmp_path / "slow", spool=spool), "-e", "trace=fsync,fdatasync", slow)
    here.cancel()
    assert came.took_s > 2 * delay_s
    assert came.worst_gap_s < max(0.05, 3 * max(gaps)), "the machine itself was not so busy"
    assert came.error is None, came
    assert came.report is not None
    assert came.report["accepted"] == platform.ledger.users.total == 100


async def test_no_token_and_no_record_is_in_a_journal_but_what_was_not_accepted(tmp_path: Path) -> None:
    journal, seen = tmp_path / "journal", list[bytes]()

    def reply(_sent: Sent) -> Attempt:
        seen.append(journals.bytes_beside(journal))
        return OK

    report = await journals.imported(people(300), journal, ScriptedTransport(otherwise=reply))
    assert report.accepted == 300
    for found in (*seen, journals.bytes_beside(journal)):
        assert not [secret for secret in canary.FORBIDDEN if secret.encode() in found]


async def test_no_token_is_in_a_journal_that_holds_what_was_not_accepted(tmp_path: Path) -> None:
    journal, seen = tmp_path / "journal", list[bytes]()

    def reply(sent: Sent) -> Attempt:
        seen.append(journals.bytes_beside(journal))
        return journals.like_a_platform(sent)

    await journals.imported(journals.mixed(200), journal, ScriptedTransport(otherwise=reply), spool=True)
    assert any(canary.PERSON.encode() in found for found in seen)
    for found in (*seen, journals.bytes_beside(journal)):
        assert canary.TOKEN.encode() not in found


async def test_what_was_spooled_is_let_go_of_at_the_end(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    await journals.imported(people(300), journal, ScriptedTransport(), spool=True)
    with closing(schema.connect_to_read(str(journal))) as connection:
        assert connection.execute("SELECT COUNT(*) FROM spool").fetchone() == (0,)
    assert canary.PERSON.encode() not in journals.bytes_beside(journal)


@pytest.mark.breakage("journal file: keep what was given back when a run begins anew")
async def test_of_what_was_given_back_nothing_is_left_once_everything_is_accepted(tmp_path: Path) -> None:
    journal, rejects = tmp_path / "journal", tmp_path / "rejects"
    given: dict[str, Any] = {"journal": journal, "rejects": rejects, "spool": True}
    await journals.stopped(people(300), journal, ScriptedTransport(delay_s=0.001), 3, rejects=rejects, spool=True)
    kept = journals.bytes_beside(journal) + rejects.read_bytes()
    assert canary.PERSON.encode() in kept
    report = await journals.imported(people(300), transport=ScriptedTransport(delay_s=0), **given)
    assert report.ok
    assert not rejects.exists()
    assert canary.PERSON.encode() not in journals.bytes_beside(journal)
