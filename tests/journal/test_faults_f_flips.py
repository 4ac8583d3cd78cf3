"""FAULTS.md F5: whatever a disk changes in a journal or its log, the journal is refused in words, or is a state that it had.

Never does it claim that more was accepted than was, and never is a damaged one taken for new.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import canary
import journals
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedTransport
from whole import Whole, written

from asyncimport import JournalError
from asyncimport.journal.inspection import read_status

SECTOR = 512


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="session")
def finished(folder: Path) -> Whole:
    return written(folder / "finished", journals.mixed(200), copy_at=None, keeps_log=False)


@pytest.fixture(scope="session")
def packed(folder: Path) -> Whole:
    singly = evolve(journals.POLICY, batch_size=1, max_in_flight=8)
    return written(folder / "packed", journals.people(300), copy_at=None, keeps_log=False, policy=singly)


@pytest.fixture(scope="session")
def spooled(folder: Path) -> Whole:
    return written(folder / "spooled", journals.mixed(200), copy_at=9, keeps_log=False, spool=True)


@pytest.fixture(scope="session")
def logged(folder: Path) -> Whole:
    return written(folder / "logged", journals.mixed(200), copy_at=16, keeps_log=True)


WHOLES = ["finished", "packed", "spooled", "logged"]


@pytest.fixture(scope="session", params=WHOLES)
def whole(request: pytest.FixtureRequest) -> Whole:
    found: Whole = request.getfixturevalue(request.param)
    return found


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def overwritten(data: bytes, at: int, by: bytes) -> bytes:
    return (data[:at] + by)[: len(data)] + data[at + len(by) :]


@pytest.mark.breakage("schema: let the checksums say nothing")
@settings(max_examples=80)
@given(anywhere=st.integers(0, 2**32))
def test_f5_a_flipped_bit_anywhere_is_refused_or_changes_nothing(whole: Whole, anywhere: int) -> None:
    both = whole.main + whole.wal
    both = flipped(both, anywhere % (8 * len(both)))
    assert whole.is_refused_or_true(both[: len(whole.main)], both[len(whole.main) :])


@pytest.mark.breakage("schema: let the checksums say nothing")
@settings(max_examples=60)
@given(anywhere=st.integers(0, 2**32), rubbish=st.just(bytes(SECTOR)) | st.binary(min_size=SECTOR, max_size=SECTOR))
def test_f5_a_sector_lost_or_full_of_rubbish_is_refused_or_changes_nothing(
    whole: Whole, anywhere: int, rubbish: bytes
) -> None:
    both = whole.main + whole.wal
    both = overwritten(both, SECTOR * (anywhere % (len(both) // SECTOR)), rubbish)
    assert whole.is_refused_or_true(both[: len(whole.main)], both[len(whole.main) :])


def altered(whole: Whole, *statements: str) -> bytes:
    """The file of a journal in which something else was put, every page of it being whole."""
    journal = whole.put(whole.main, whole.wal)
    with closing(sqlite3.connect(journal, isolation_level=None)) as connection:
        for statement in statements:
            with suppress(sqlite3.IntegrityError):  # of a value that the table cannot hold
                connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return journal.read_bytes()


COLUMNS = [
    *(("meta", column) for column in ("key", "value", "checksum")),
    *(
        ("batches", column)
        for column in (
            *("number", "first", '"end"', "count", "digest", "state", "is_open", "batch_id", "attempts", "duplicates"),
            *("sent_bytes", "elapsed_s", "mark_position", "checksum"),
        )
    ),
    *(
        ("segments", column)
        for column in (
            *("number", "batches", "first", '"end"', "records", "accepted", "attempts", "retries", "duplicates"),
            *("sent_bytes", "elapsed_s", "ids", "entries", "checksum"),
        )
    ),
    *(("rejects", column) for column in ("position", "state", "is_pending", "reason", "line", "checksum")),
    *(("spool", column) for column in ("first", "count", "records", "checksum")),
]
#: Of what type a value is, as a damaged header of a row may say, and what it is then.
OTHERS = ["1", "77777777", "'rejected'", "'unconfirmed'", "x'00ff'", "1.5", "''"]


def holding(table: str) -> str:
    return {"meta": "finished", "batches": "spooled", "segments": "packed", "rejects": "spooled", "spool": "spooled"}[
        table
    ]


@pytest.mark.breakage("rows: believe a batch's row without its checksum")
@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[f"{table} {column}" for table, column in COLUMNS])
def test_f5_another_value_in_a_whole_row_is_refused_or_changes_nothing(
    table: str, column: str, request: pytest.FixtureRequest
) -> None:
    whole = request.getfixturevalue(holding(table))
    kind = f"CAST({column} AS {'BLOB' if column in {'key', 'reason', 'state'} and table != 'batches' else 'TEXT'})"
    for value in (*OTHERS, kind):
        for which in ("MIN", "MAX"):
            row = f"{column} = (SELECT {which}({column}) FROM {table})"
            main = altered(whole, f"UPDATE OR IGNORE {table} SET {column} = {value} WHERE {row}")
            assert whole.is_refused_or_true(main, b""), (value, which)


@pytest.mark.breakage("schema: let Python's errors about text out")
@pytest.mark.parametrize("words", [b"TABLE meta", b"digest BLOB", b"ids BLOB", b"TABLE spool", b"table"])
def test_f5_a_schema_that_is_no_text_any_more_is_refused(finished: Whole, words: bytes) -> None:
    assert words in finished.main
    for at in range(len(words)):
        assert finished.is_refused_or_true(finished.main.replace(words, overwritten(words, at, b"\x80")), b"")


@pytest.mark.breakage("schema: do not look for the tables")
@pytest.mark.parametrize("table", ["meta", "batches", "segments", "rejects", "spool"])
def test_f5_a_journal_that_has_lost_a_table_is_refused_and_never_taken_for_new(finished: Whole, table: str) -> None:
    journal = finished.put(altered(finished, f"DROP TABLE {table}"), b"")
    with canary.raises(JournalError, match="has lost its tables"):
        journals.told(journal, finished.run)


@pytest.mark.breakage("reading: take a journal without run or session for a new one")
@pytest.mark.parametrize("key", ["run", "session"])
def test_f5_a_journal_that_does_not_say_which_run_it_is_of_is_refused(finished: Whole, key: str) -> None:
    journal = finished.put(altered(finished, f"DELETE FROM meta WHERE key = '{key}'"), b"")
    with canary.raises(JournalError, match="is damaged"):
        journals.told(journal, finished.run)


@pytest.mark.breakage("reading: do not compare the counts")
@pytest.mark.parametrize(
    ("name", "table"),
    [("finished", "batches"), ("packed", "segments"), ("finished", "rejects")],
)
def test_f5_a_row_that_is_lost_is_noticed_by_the_counts(name: str, table: str, request: pytest.FixtureRequest) -> None:
    whole: Whole = request.getfixturevalue(name)
    lost = f"DELETE FROM {table} WHERE rowid = (SELECT MIN(rowid) FROM {table})"
    with canary.raises(JournalError, match="do not add up"):
        journals.told(whole.put(altered(whole, lost), b""), whole.run)


@pytest.mark.breakage("rows: believe a batch's row without its checksum; or reading: a reject's")
@pytest.mark.parametrize("part", ["batches", "rejects"])
async def test_f5_a_damaged_journal_sends_nothing_stays_as_it_is_and_shows_what_can_be_read(
    finished: Whole, part: str
) -> None:
    main = altered(finished, f"UPDATE {part} SET checksum = checksum + 1 WHERE rowid = (SELECT MAX(rowid) FROM {part})")
    journal = finished.put(main, b"")
    await journals.refused(journals.mixed(200), journal, ScriptedTransport(), "is damaged")
    assert journals.beside(journal) == [""]
    status = read_status(str(journal))
    assert len(status.damage) == 1
    assert 100 < status.accepted + status.rejected < 200, "the rest of it can be read"
