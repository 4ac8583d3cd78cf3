"""Journals of tests: a file opened without a loop, as its thread would, and the values that go into it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from asyncimport.batch import Positions
from asyncimport.journal import schema
from asyncimport.journal.change import Change, Pieced, Planned, Settled
from asyncimport.journal.entry import EntryState, Piece, digest_of
from asyncimport.journal.file import JournalFile
from asyncimport.journal.known import Known, Run
from asyncimport.journal.reading import read_known
from asyncimport.outcome import Rejected, Unconfirmed
from asyncimport.rejects import Lines, Rejection

RUN_ID = "0123456789abcdefghij"
STARTED_MS = 1_769_860_800_000


def run(**more: Any) -> Run:
    fingerprint = {"resource": "events", "config": {}, "url": "https://platform.example/x", "kind": "records"}
    values: dict[str, Any] = {"run_id": RUN_ID, "started_ms": STARTED_MS, "resource": "events", "is_spooled": False}
    given = values | more
    return Run(**given, fingerprint=fingerprint | {"spool": given["is_spooled"], "source_id": None})


def lines(of: Run) -> Lines:
    return Lines(resource="events", run_id=of.run_id, params={}, is_stamped=True, time_ms=of.started_ms)


def opened(path: Path, wanted: Run | None = None, **source: Any) -> JournalFile:
    """A journal that is open; `close` it, or `let_go` of it as a killed process does."""
    file = JournalFile(str(path), wanted or run(), source, lines)
    file.open()
    return file


def known(path: Path, wanted: Run | None = None, **source: Any) -> Known:
    """What a journal knows."""
    file = opened(path, wanted, **source)
    file.abandon()
    file.release()
    return file.known


def connected(path: Path) -> sqlite3.Connection:
    """To look into a journal's tables."""
    return schema.connect_to_read(str(path))


def writable(path: Path) -> sqlite3.Connection:
    """To change a journal behind its back, as a disk does."""
    return sqlite3.connect(path, isolation_level=None)


def looked_at(path: Path) -> Known:
    """What a journal knows, whatever it is of, also while a run writes it."""
    with closing(schema.connect_to_read(str(path))) as connection:
        return read_known(connection, str(path))


def crashed(path: Path, to: Path) -> Path:
    """The files as a process that is killed now would leave them, elsewhere."""
    to.mkdir()
    for ending in ("", "-wal"):
        if Path(f"{path}{ending}").exists():
            shutil.copy(f"{path}{ending}", to / f"{path.name}{ending}")
    return to / path.name


def body(positions: Positions) -> bytes:
    return orjson.dumps({"publicParams": {}, "data": [{"uuid": str(position)} for position in positions]})


def planned(number: int, positions: Positions, **more: Any) -> Planned:
    return Planned(number=number, positions=positions, digest=digest_of(body(positions)), is_open=True, **more)


def settled(number: int, positions: Positions, state: EntryState, **more: Any) -> Settled:
    kept = None
    if state is EntryState.REJECTED:
        outcome = Rejected(positions=positions, reason="refused: code 7", code="7", attempts=1)
        kept = Rejection(outcome=outcome, body=body(positions), settled_ms=STARTED_MS)
    elif state is EntryState.UNCONFIRMED:
        kept = Rejection(
            outcome=Unconfirmed(positions=positions, reason="reset"), body=body(positions), settled_ms=STARTED_MS
        )
    values: dict[str, Any] = {"attempts": 1, "sent_bytes": len(body(positions)), "kept": kept} | more
    return Settled(number=number, state=state, **values)


def pieced(number: int, positions: Positions, state: EntryState, batch_id: int | None = None, **counts: int) -> Pieced:
    kept = settled(number, positions, state).kept
    first, end = positions[0], positions[-1] + 1
    piece = Piece(number=number, first=first, end=end, count=len(positions), state=state, batch_id=batch_id)
    return Pieced(piece=piece, kept=kept, **counts)


def rejected(position: int, reason: str = "eventKey: must not be empty") -> Rejected:
    return Rejected(positions=Positions.of([position]), reason=reason, content=b'{"eventKey":""}')


def written(path: Path, *changes: Change) -> JournalFile:
    file = opened(path)
    file.write(changes)
    return file
