"""FAULTS.md E9, F4, F6 and F12: a journal of which the last writes are missing, torn or out of order is an earlier whole
state of itself, and a resumed run loses nothing.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import journals
import pytest
from attrs import evolve, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import FRAME_BYTES, POLICY, WAL_HEADER_BYTES, Told
from scripted import OK, ScriptedTransport, Sent

from asyncimport import USERS, ImportReport
from asyncimport.attempt import Answer, Attempt
from asyncimport.journal import schema
from asyncimport.journal.entry import EntryState, with_pieces
from asyncimport.journal.known import Run

Item = TypeVar("Item")

#: What a disk writes whole.
SECTOR = 512
#: One record a batch: enough batches that a group of them is folded into one row.
SINGLY = evolve(POLICY, batch_size=1, max_in_flight=8)


@frozen(kw_only=True)
class Moment:
    """The files of a journal while its run was going on, and whom the platform had accepted by then, or refused."""

    journal: Path
    accepted: frozenset[str]
    answered: frozenset[str]

    @property
    def wal(self) -> bytes:
        return Path(f"{self.journal}-wal").read_bytes()


@frozen(kw_only=True)
class Recorded:
    """A run, and the files of its journal at each answer."""

    source: list[Any] = field(repr=False)
    options: dict[str, Any]
    moments: list[Moment] = field(repr=False)
    run: Run
    report: ImportReport
    folder: Path

    @property
    def last(self) -> Moment:
        return self.moments[-1]

    def with_wal(self, moment: Moment, wal: bytes, main: bytes | None = None) -> Path:
        """A copy of the journal at a moment, with another write-ahead log."""
        copy = journals.copied(moment.journal, self.folder / "copy" / "journal", ("",))
        if main is not None:
            copy.write_bytes(main)
        Path(f"{copy}-wal").write_bytes(wal)
        return copy


def record(folder: Path, source: list[Any], **options: Any) -> Recorded:
    """Import a source, and copy its journal at each answer of the platform."""
    folder.mkdir(exist_ok=True)
    journal, moments = folder / "journal", list[Moment]()
    accepted, answered = set[str](), set[str]()

    def reply(sent: Sent) -> Attempt:
        answer = journals.like_a_platform(sent)
        ids = [item["thirdId"] for item in sent.records]
        accepted.update(ids if answer is OK else [])
        answered.update(ids if isinstance(answer, Answer) else [])
        copy = journals.copied(journal, folder / f"{len(moments)}" / "journal")
        moments.append(Moment(journal=copy, accepted=frozenset(accepted), answered=frozenset(answered)))
        return answer

    transport = ScriptedTransport(otherwise=reply, delay_s=0.001)
    report = asyncio.run(journals.imported(source, journal, transport, **options))
    run = journals.look(journal).run
    return Recorded(source=source, options=options, moments=moments, run=run, report=report, folder=folder)


@pytest.fixture(scope="session", params=["read again", "spooled", "folded"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded")
    if request.param == "folded":
        return record(folder, journals.people(300), policy=SINGLY)
    return record(folder, journals.mixed(200), spool=request.param == "spooled")


def frame_ends(wal: bytes) -> range:
    return range(WAL_HEADER_BYTES, len(wal) + 1, FRAME_BYTES)


def commit_ends(wal: bytes) -> list[int]:
    """Where the frames end that say how long the file is then: each is the last of a commit."""
    return [end for end in frame_ends(wal)[1:] if int.from_bytes(wal[end - FRAME_BYTES + 4 :][:4], "big")]


def some(many: Sequence[Item], count: int) -> Sequence[Item]:
    """About so many of them, the last among them: each takes a moment."""
    step = max(1, len(many) // count)
    return many[(len(many) - 1) % step :: step]


def is_no_less(later: Told, earlier: Told) -> bool:
    """Whether nothing that was settled is settled no more."""
    return earlier.accepted <= later.accepted and later.known.end >= earlier.known.end


def claims_no_more(told: Told, moment: Moment) -> bool:
    """Whether everybody whom a journal calls accepted was."""
    claimed = {
        f"{position}"
        for one in with_pieces(told.entries)
        if one.state is EntryState.ACCEPTED
        for position in range(one.first, one.end)
        if one.count == one.end - one.first or position % 10 != 5
    }
    return claimed <= moment.accepted and told.known.sums.accepted == len(claimed)


async def resume(recorded: Recorded, journal: Path, moment: Moment) -> None:
    """Go on with a journal: every record ends in a state, and nobody is called accepted who was never sent."""
    transport = ScriptedTransport(delay_s=0.0)
    report = await journals.imported(recorded.source, journal, transport, **recorded.options)
    journals.adds_up(report)
    assert (report.read, report.unsent, report.source_ended) == (len(recorded.source), 0, True)
    valid = {str(position) for position, item in enumerate(recorded.source) if not isinstance(item, dict)}
    sent = set(journals.third_ids(transport))
    assert sent <= valid
    assert len(sent) + len(moment.answered - sent) >= report.accepted
    assert valid - sent <= moment.answered | journaled_as_lost(recorded)
    assert report.run_id == recorded.run.run_id


def journaled_as_lost(recorded: Recorded) -> set[str]:
    """The records of the batch that the platform never answered: unconfirmed for good."""
    if not recorded.report.unconfirmed:
        return set()
    return {str(position) for position in range(60, 80)}


@pytest.mark.breakage("file: make each statement a commit of its own")
def test_f4_a_log_cut_after_any_commit_is_an_earlier_state_and_never_more(recorded: Recorded) -> None:
    before = None
    wal = recorded.last.wal
    for end in (WAL_HEADER_BYTES, *commit_ends(wal)[-60:]):  # the last, among which a group is folded
        told = journals.told(recorded.with_wal(recorded.last, wal[:end]), recorded.run)
        assert claims_no_more(told, recorded.last)
        assert before is None or is_no_less(told, before)
        before = told
    assert before is not None
    assert len(before.entries) > 1


@pytest.mark.breakage("file: note a batch as accepted when it is planned")
def test_f4_a_journal_copied_at_any_answer_resumes_to_the_full_totals(recorded: Recorded) -> None:
    for moment in some(recorded.moments, 8):
        copy = journals.copied(moment.journal, recorded.folder / "copy" / "journal")
        told = journals.told(copy, recorded.run)
        assert claims_no_more(told, moment)
        asyncio.run(resume(recorded, journals.copied(moment.journal, copy), moment))


@pytest.mark.breakage("file: note a batch as accepted when it is planned")
def test_f4_what_one_commit_held_stands_or_falls_together(recorded: Recorded) -> None:
    wal = recorded.last.wal
    for end in some(commit_ends(wal), 8):
        whole = journals.told(recorded.with_wal(recorded.last, wal[:end]), recorded.run)
        for torn in (end + 1, end + FRAME_BYTES - 1):
            assert journals.told(recorded.with_wal(recorded.last, wal[:torn]), recorded.run) == whole


@pytest.mark.breakage("file: note a batch as accepted when it is planned")
@settings(max_examples=15)
@given(data=st.data())
def test_e9_any_end_of_the_log_may_be_missing_and_its_last_write_torn(recorded: Recorded, data: st.DataObject) -> None:
    moment = data.draw(st.sampled_from(recorded.moments))
    wal = moment.wal
    end = data.draw(st.integers(0, len(wal)))
    torn = data.draw(st.binary(max_size=SECTOR))
    copy = recorded.with_wal(moment, wal[:end] + torn)
    assert claims_no_more(journals.told(copy, recorded.run), moment)
    if not recorded.run.is_spooled:
        asyncio.run(resume(recorded, recorded.with_wal(moment, wal[:end] + torn), moment))


@pytest.mark.breakage("file: note a batch as accepted when it is planned")
@settings(max_examples=25)
@given(data=st.data())
def test_e9_any_sectors_of_the_log_may_have_missed_the_disk(recorded: Recorded, data: st.DataObject) -> None:
    moment = data.draw(st.sampled_from(recorded.moments))
    wal = bytearray(moment.wal)
    for sector in data.draw(st.sets(st.integers(0, len(wal) // SECTOR), max_size=8)):
        wal[sector * SECTOR : (sector + 1) * SECTOR] = bytes(len(wal[sector * SECTOR : (sector + 1) * SECTOR]))
    told = journals.told(recorded.with_wal(moment, bytes(wal)), recorded.run)
    assert claims_no_more(told, moment)


@pytest.mark.breakage("schema: keep no write-ahead log")
@settings(max_examples=25)
@given(data=st.data())
def test_e9_a_checkpoint_may_have_written_any_of_its_sectors(recorded: Recorded, data: st.DataObject) -> None:
    moment, wal = recorded.last, recorded.last.wal
    whole = journals.told(recorded.with_wal(moment, wal), recorded.run)
    before = moment.journal.read_bytes()
    after = checkpointed(recorded.with_wal(moment, wal))
    main = bytearray(before.ljust(len(after), b"\0"))
    written = data.draw(st.sets(st.integers(0, len(after) // SECTOR - 1), max_size=40))
    for sector in written:
        main[sector * SECTOR : (sector + 1) * SECTOR] = after[sector * SECTOR : (sector + 1) * SECTOR]
    length = data.draw(st.integers(len(before), len(main)))
    assert journals.told(recorded.with_wal(moment, wal, bytes(main[:length])), recorded.run) == whole


def checkpointed(journal: Path) -> bytes:
    """What is in the file after all of its log is."""
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return journal.read_bytes()


@pytest.mark.breakage("journal: count a spooled hop as read before it is written")
async def test_e9_a_spooled_record_that_counts_as_read_is_in_the_log(tmp_path: Path) -> None:
    journal, ahead = tmp_path / "journal", list[int]()

    def reply(_sent: Sent) -> Attempt:
        ahead.append(journals.look(journal).sums.read - outcomes.report.read)
        return OK

    transport = ScriptedTransport(otherwise=reply, delay_s=0.001)
    async with journals.client_of(transport) as client:
        outcomes = client.stream(USERS, journals.people(500), journals.CONFIG, journal=journal, spool=True)
        async with outcomes:
            async for _ in outcomes:
                pass
    assert (len(ahead), min(ahead)) == (50, 0)


@pytest.mark.breakage("file: begin anew, with another run id, whenever nothing was sent")
@pytest.mark.parametrize("at", [0, 7, -1], ids=["first answer", "later", "last answer"])
def test_f6_a_journal_copied_without_its_log_is_an_earlier_state(recorded: Recorded, at: int) -> None:
    moment = recorded.moments[at]
    copy = journals.copied(moment.journal, recorded.folder / "alone" / "journal", ("",))
    Path(f"{copy}-wal").unlink(missing_ok=True)
    told = journals.told(copy, recorded.run)
    assert claims_no_more(told, moment)
    Path(f"{copy}-wal").unlink(missing_ok=True)
    if not recorded.run.is_spooled:
        asyncio.run(resume(recorded, journals.copied(moment.journal, copy, ("",)), moment))


@pytest.fixture(scope="session")
def vacuumed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Recorded, bytes, bytes]]:
    """A journal, its file before it was vacuumed, and the log of that."""
    recorded = record(tmp_path_factory.mktemp("vacuumed"), journals.people(300), policy=SINGLY)
    journal = recorded.with_wal(recorded.last, recorded.last.wal)
    checkpointed(journal)
    before = journal.read_bytes()
    connection = schema.connect(str(journal), is_durable=False)
    connection.execute("PRAGMA incremental_vacuum").fetchall()  # as the package does
    log = Path(f"{journal}-wal").read_bytes()
    assert len(frame_ends(log)) > 2
    yield recorded, before, log
    connection.close()


@pytest.mark.breakage("schema: let the file never shrink")
def test_f12_a_vacuum_cut_at_any_frame_is_the_old_journal_or_the_new(
    vacuumed: tuple[Recorded, bytes, bytes],
) -> None:
    recorded, main, wal = vacuumed
    whole = journals.told(recorded.with_wal(recorded.last, wal, main), recorded.run)
    assert claims_no_more(whole, recorded.last)
    for end in (*frame_ends(wal), *(end - 100 for end in frame_ends(wal)[1:])):
        assert journals.told(recorded.with_wal(recorded.last, wal[:end], main), recorded.run) == whole


@pytest.mark.breakage("schema: drop the log when a journal is opened")
def test_f12_a_vacuum_half_folded_into_the_file_is_the_new_journal(vacuumed: tuple[Recorded, bytes, bytes]) -> None:
    recorded, main, wal = vacuumed
    whole = journals.told(recorded.with_wal(recorded.last, wal, main), recorded.run)
    after = checkpointed(recorded.with_wal(recorded.last, wal, main))
    for page in range(1, len(main) // 4096):
        half = after[: page * 4096] + main[page * 4096 :]
        assert journals.told(recorded.with_wal(recorded.last, wal, half), recorded.run) == whole
