"""A look at a journal from outside: also while it is written, and as far as it goes when it is damaged.

Looking changes nothing, and keeps no run from its work. A damaged journal is read piece by piece: each piece that is as it
was written is counted, and what is not is named.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import attrs
import orjson

from asyncimport.errors import JournalError
from asyncimport.journal import schema
from asyncimport.journal.entry import Entry, EntryState, with_pieces
from asyncimport.journal.fingerprint import CONTENT
from asyncimport.journal.known import Known, Session
from asyncimport.journal.lock import holder_of
from asyncimport.journal.reading import REJECTS, SKIPS, SPOOL, read_known, row_entries, segment_entries
from asyncimport.journal.status import JournalState, JournalStatus
from asyncimport.outcome import many

#: Faults of pages that are named.
_MAX_FAULTS: Final = 3
#: Rows that hold records, and how many of them are named.
_KEPT: Final = (
    (REJECTS, "rejected record", "rejected records"),
    (SKIPS, "run of skipped records", "runs of skipped records"),
    (SPOOL, "run of spooled records", "runs of spooled records"),
)
_STATES: Final = {
    Session.RUNNING: JournalState.KILLED,
    Session.STOPPED: JournalState.STOPPED,
    Session.FINISHED: JournalState.FINISHED,
}


def read_status(path: str) -> JournalStatus:
    """Look at a journal. What is damaged is named, and the rest is counted; memory does not grow with the journal.

    Raises:
        JournalError: there is none, it is no journal or of another version, or nothing of it can be read.
    """
    holder = holder_of(path)
    found, faults = _read(path, is_closed=holder is None and not os.path.lexists(f"{path}-wal"))
    state = found.pop("state")
    if state is JournalState.KILLED and holder is None:
        holder = holder_of(path)  # begun between the two looks
    if holder is not None:
        state = JournalState.RUNNING
    changed_ms = found.pop("changed_ms", 0)
    if not changed_ms or state not in {JournalState.STOPPED, JournalState.FINISHED}:
        changed_ms = max(changed_ms, _touched_ms(path))
    return JournalStatus(path=path, state=state, pid=holder, changed_ms=changed_ms, damage=tuple(faults), **found)


def _read(path: str, *, is_closed: bool) -> tuple[dict[str, Any], list[str]]:
    """The fields of a status, and what is damaged. `is_closed` is a journal that nobody writes and nobody left in a hurry."""
    with closing(_connected(path, is_closed=is_closed)) as connection:
        with schema.told(path, "cannot be read"):
            connection.execute("BEGIN")  # so that all of it is read as of one moment
            faults = _page_faults(connection, path)
        found = _found(connection, path, faults)
    if is_closed and os.path.lexists(f"{path}-wal"):  # somebody has begun to write it meanwhile
        return _read(path, is_closed=False)
    return found, faults


def _connected(path: str, *, is_closed: bool) -> sqlite3.Connection:
    """A connection that reads. SQLite would leave two files beside a closed journal, were it not told that it is immutable."""
    if not is_closed or not schema.is_there(path):
        return schema.connect_to_read(path)
    with schema.told(path, "cannot be opened"):
        uri = f"{Path(path).absolute().as_uri()}?mode=ro&immutable=1"
        return sqlite3.connect(uri, uri=True, isolation_level=None)


def _page_faults(connection: sqlite3.Connection, path: str) -> list[str]:
    """What SQLite finds wrong with the pages.

    Raises:
        JournalError: the file is no journal, or of another version.
        sqlite3.Error: nothing of it can be read.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != schema.APPLICATION_ID or version != schema.VERSION:
        schema.check(connection, path)
    try:
        words = [text for (text,) in connection.execute(f"PRAGMA quick_check({_MAX_FAULTS:d})")]
    except sqlite3.DatabaseError as error:
        words = [f"{error}"]
    return [" ".join(text.split())[:100] for text in words if text != "ok"]


def _found(connection: sqlite3.Connection, path: str, faults: list[str]) -> dict[str, Any]:
    """The fields of a status; `faults` gets what else is damaged."""
    try:
        known = read_known(connection, path)
    except JournalError as error:
        unread = f"{error}".partition("damaged: ")[2] or f"{error}"
    except Exception:  # noqa: BLE001 -- whatever a changed byte makes of a number or of a page
        unread = "its tables"
    else:
        faults += _faults_of_kept(connection)
        return _of_known(known)
    found = (pieces := _Pieces(connection, path)).counted()
    faults += pieces.faults or [unread]
    return found


def _of_known(known: Known) -> dict[str, Any]:
    sums = known.sums
    return _of_run(attrs.asdict(known.run), known.source, known.rejects_file) | {
        "state": _STATES[known.session],
        "changed_ms": known.changed_ms,
        "source_ended": known.has_source_ended or known.is_finished,
        "read": sums.read,
        "accepted": sums.accepted,
        "rejected": sums.rejected,
        "unconfirmed": sums.unconfirmed,
        "skipped": sums.skipped,
        "pending": sums.pending,
        "batches": sums.batches,
        "batch_ids": len(sums.batch_ids),
        "pending_batches": len(known.pending),
        "possible_duplicates": sums.duplicates,
        "rejected_by_reason": dict(sums.rejected_by_reason),
    }


def _of_run(run: Mapping[str, Any], source: Mapping[str, Any], rejects_file: Mapping[str, Any]) -> dict[str, Any]:
    memo, fingerprint = run.get("memo", {}), run.get("fingerprint", {})
    of_source = {part: fingerprint[part] for part in ("kind", "reading") if part in fingerprint}
    return {
        "resource": run.get("resource", ""),
        "run_id": run.get("run_id", ""),
        "started_ms": run.get("started_ms", 0),
        "is_spooled": run.get("is_spooled", False),
        "file": memo.get("file"),
        "rejects": rejects_file.get("path") or memo.get("rejects"),
        "memo": memo,
        "config": fingerprint.get("config", {}),
        "identity": of_source | {part: source[part] for part in CONTENT if part in source},
    }


def _faults_of_kept(connection: sqlite3.Connection) -> list[str]:
    """What is wrong with the rows that hold records: all others were checked when they were read."""
    faults: list[str] = []
    for query, one, more in _KEPT:
        rows = _rows(connection, query, faults)
        bad = sum(schema.checksum_of(*values) != checksum for *values, checksum in rows)
        faults += [f"{many(bad, one, more)} not as written"] if bad else []
    return faults


def _rows(connection: sqlite3.Connection, query: str, faults: list[str]) -> Iterator[tuple[Any, ...]]:
    """Rows as far as they can be read."""
    try:
        yield from connection.execute(query)
    except sqlite3.Error as error:
        faults.append(" ".join(f"{error}".split())[:100])


class _Pieces:
    """A damaged journal, read piece by piece: what is as it was written counts."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._connection, self._path = connection, path
        self.faults: list[str] = []

    def counted(self) -> dict[str, Any]:
        """The fields of a status."""
        meta = self._meta()
        entries, batches = Counter[EntryState](), Counter[EntryState]()
        ids = duplicates = 0
        for entry in self._entries():
            entries[entry.state] += entry.left
            for piece in entry.pieces:
                entries[piece.state] += piece.count
            batches[entry.state] += 1
            ids += sum(one.batch_id is not None for one in with_pieces([entry]))
            duplicates += entry.duplicates
        states = dict(
            _rows(
                self._connection, "SELECT state, COUNT(*) FROM rejects WHERE NOT is_pending GROUP BY state", self.faults
            )
        )
        counts = {
            "accepted": entries[EntryState.ACCEPTED],
            "rejected": states.get("rejected", 0),
            "unconfirmed": states.get("unconfirmed", 0),
            "skipped": sum(end - first for first, end, _ in _rows(self._connection, SKIPS, self.faults)),
            "pending": entries[EntryState.PENDING],
        }
        self.faults += _faults_of_kept(self._connection)
        return (
            _of_run(meta.get("run", {}), meta.get("source", {}), meta.get("rejects_file", {}))
            | counts
            | {
                "state": _STATES.get(meta.get("session", ""), JournalState.UNKNOWN),
                "changed_ms": meta.get("changed_ms", 0),
                "source_ended": bool(meta.get("source_ended")),
                "read": sum(counts.values()),
                "batches": batches.total(),
                "batch_ids": ids,
                "pending_batches": batches[EntryState.PENDING],
                "possible_duplicates": duplicates,
            }
        )

    def _meta(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, data, checksum in _rows(self._connection, "SELECT key, value, checksum FROM meta", self.faults):
            if schema.checksum_of(key, data) == checksum:
                found[key] = orjson.loads(data)
            else:
                self.faults.append(f"what it says of its {f'{key}'[:20]}")
        return found

    def _entries(self) -> Iterator[Entry]:
        """The batches that are as they were written; of a packed group all or none."""
        bad = 0
        for (number,) in _rows(self._connection, "SELECT number FROM batches ORDER BY number", self.faults):
            try:
                yield from row_entries(self._connection, self._path, (number, number))
            except Exception:  # noqa: BLE001 -- whatever a changed byte makes of a row
                bad += 1
        self.faults += [f"{many(bad, 'batch', 'batches')} not as written"] if bad else []
        bad = 0
        for (number,) in _rows(self._connection, "SELECT number FROM segments ORDER BY number", self.faults):
            try:
                yield from segment_entries(self._connection, self._path, number - 1)
            except Exception:  # noqa: BLE001 -- the same of a group
                bad += 1
        self.faults += [f"{many(bad, 'group', 'groups')} of 256 settled batches not as written"] if bad else []


def _touched_ms(path: str) -> int:
    """When the journal or its write-ahead log was last written."""
    touched = [0]
    for each in (path, f"{path}-wal"):
        with suppress(OSError):
            touched.append(os.stat(each).st_mtime_ns // 1_000_000)  # noqa: PTH116 -- beside the names in schema.py
    return max(touched)
