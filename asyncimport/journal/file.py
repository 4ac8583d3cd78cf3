"""The journal's file as the disk thread writes it: one transaction for all that was handed over together.

A batch has a row while anything of its group is open. When all 256 batches of a group are settled, the group becomes
one packed row, so a journal of a million batches is four thousand rows. Rows are written many to a statement: every
call of SQLite lets go of Python's lock, and gets it back only when the event loop pauses.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, assert_never

import orjson
from attrs import asdict, evolve

from asyncimport.errors import JournalError
from asyncimport.journal import schema
from asyncimport.journal.change import Begun, Change, Kept, Noted, Omitted, Pieced, Planned, Settled, Spooled, Started
from asyncimport.journal.entry import GROUP, Entry, EntryState, Piece
from asyncimport.journal.fingerprint import check_same
from asyncimport.journal.known import Known, Run, Session
from asyncimport.journal.lock import JournalLock
from asyncimport.journal.reading import REJECTS, read_known, row_entries, segment_entries
from asyncimport.journal.rows import piece_row_of, row_of, segment_of, skip_row_of
from asyncimport.outcome import Dropped, Rejected, Skipped
from asyncimport.rejects import Line, Lines, Rejection
from asyncimport.structs import json_bytes

#: Spooled records are let go after so many batches were settled.
_RELEASE_EVERY: Final = 32
#: What the write-ahead log takes, about, before it is folded into the file, so that a journal stays small while it is
#: written; and what a commit adds to it besides records.
_LOG_BYTES: Final = 800_000
_COMMIT_BYTES: Final = 12_000
#: Rows in one statement; SQLite before 3.32 takes at most 999 values.
_ROWS: Final = 50


class JournalFile:
    """A book (`disk.py`): the thread that opens it is the only one that uses it."""

    def __init__(self, path: str, wanted: Run, source: Mapping[str, Any], lines_of: Callable[[Run], Lines]) -> None:
        self._path = path
        self._wanted = wanted
        self._source = source
        self._lines_of = lines_of
        #: Set by `open`.
        self.known: Known
        self._lines: Lines
        self._connection: sqlite3.Connection
        self._lock: JournalLock | None = None
        self._identity: tuple[int, int] = (0, 0)
        #: Every entry that is a row, by number; and those whose row is to be written.
        self._open: dict[int, Entry] = {}
        self._dirty: dict[int, Entry] = {}
        self._pieces: list[Piece] = []
        self._rejects: list[tuple[Line, bool]] = []
        self._skips: list[range] = []
        self._spooled: list[tuple[int, int, bytes]] = []
        self._noted: dict[str, Any] = {}
        self._settled_since_release = 0
        #: Settled batches of each group that is not packed yet.
        self._settled_in: Counter[int] = Counter()
        self._begins = False
        self._is_finished = False
        self._high = self._marks_from = self._logged_bytes = 0

    def open(self) -> None:
        """Lock, make or look at the file, and read what is known.

        Raises:
            JournalError: it is in use, damaged, of another import, or cannot be made.
        """
        schema.make_folder(self._path)
        self._lock = JournalLock(self._path)
        try:
            if not schema.is_there(self._path):
                self._create()
            self._connection = schema.connect(self._path, is_durable=self._wanted.is_spooled)
            with schema.told(self._path, "cannot be read"):
                self._load()
        except BaseException:
            with suppress(sqlite3.Error, AttributeError):
                self._connection.close()
            self.release()
            raise

    def _create(self) -> None:
        meta = {"run": asdict(self._wanted), "session": Session.STOPPED, "source": dict(self._source)}
        schema.create(self._path, meta)

    def _load(self) -> None:
        self.known = known = read_known(self._connection, self._path)
        if known.is_untouched and known.run.fingerprint != self._wanted.fingerprint:
            self._begin_anew()
            known = self.known
        check_same(self._path, known, self._wanted, self._source)
        self._lines = self._lines_of(known.run)
        self._open = {entry.number: entry for entry in row_entries(self._connection, self._path)}
        self._high, self._marks_from = known.end, known.marks_from
        status = os.stat(self._path)  # noqa: PTH116 -- never opened again: closing it would drop SQLite's locks
        self._identity = (status.st_dev, status.st_ino)
        self._settled_in = Counter(
            entry.number // GROUP for entry in self._open.values() if entry.state is not EntryState.PENDING
        )

    def _begin_anew(self) -> None:
        """Replace a journal of another import from which nothing was sent, such as one with a wrong address."""
        self._connection.close()
        schema.check_orphans(self._path)
        self._create()
        self._connection = schema.connect(self._path, is_durable=self._wanted.is_spooled)
        self.known = read_known(self._connection, self._path)

    def _begin(self) -> None:
        """Drop the rows of records that will come again: given back, or rejected after the last batch."""
        self._begins = False
        self._connection.execute("DELETE FROM rejects WHERE is_pending")
        if not self.known.run.is_spooled:
            self._connection.execute("DELETE FROM rejects WHERE position >= ?", (self.known.end,))
            self._connection.execute("DELETE FROM skips WHERE first >= ?", (self.known.end,))
        if self.known.source != self._source:
            self._forget_marks()
        schema.put_meta(self._connection, "source", dict(self._source))

    def _forget_marks(self) -> None:
        """Places of a file as it was are none in the file as it is, though the records are the same."""
        self._marks_from = self.known.next_number
        schema.put_meta(self._connection, "marks_from", self._marks_from)
        self._connection.execute("DELETE FROM meta WHERE key = 'mark'")

    def write(self, things: Sequence[Change]) -> None:
        """Write changes, all or none.

        Raises:
            JournalError: the file cannot be written, or is gone. It must not be tried again.
        """
        for change in things:
            self._take(change)
        with schema.told(self._path, "cannot be written"):
            self._check_there()
            self._flush()
            if self._logged_bytes > _LOG_BYTES:
                self._logged_bytes = 0
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _take(self, change: Change) -> None:
        match change:
            case Begun():
                self._begins = True
                self._noted["session"] = Session.RUNNING
            case Planned():
                self._put(self._planned(change))
            case Started(number=number, attempts=attempts, duplicates=duplicates):
                self._put(evolve(self._open[number], is_open=True, attempts=attempts, duplicates=duplicates))
            case Settled():
                self._settle(change)
            case Pieced():
                self._piece(change)
            case Kept(rejection=rejection):
                self._keep(rejection)
            case Omitted(positions=positions):
                self._skips += positions.runs
            case Spooled():
                self._spool(change)
            case Noted(key=key, value=value):
                self._noted[key] = value
                self._is_finished |= value == Session.FINISHED
            case _:
                assert_never(change)

    def _planned(self, planned: Planned) -> Entry:
        positions = planned.positions
        self._high = end = positions[-1] + 1
        return Entry(
            number=planned.number,
            first=positions[0],
            end=end,
            count=len(positions),
            digest=planned.digest,
            is_open=planned.is_open,
            mark=planned.mark,
        )

    def _settle(self, settled: Settled) -> None:
        self._settled_in[settled.number // GROUP] += settled.state is not EntryState.PENDING
        self._put(
            evolve(
                self._open[settled.number],
                state=settled.state,
                is_open=settled.is_open,
                batch_id=settled.batch_id,
                attempts=settled.attempts,
                duplicates=settled.duplicates,
                sent_bytes=settled.sent_bytes,
                elapsed_s=settled.elapsed_s,
            )
        )
        self._settled_since_release += 1
        if settled.kept is not None:
            self._keep(settled.kept)

    def _piece(self, pieced: Pieced) -> None:
        """Book a piece, and on its batch what it took."""
        entry = self._open[pieced.piece.number]
        pieces, counts = (*entry.pieces, pieced.piece), (pieced.attempts, pieced.duplicates, pieced.sent_bytes)
        self._put(evolve(entry, pieces=pieces, attempts=counts[0], duplicates=counts[1], sent_bytes=counts[2]))
        self._pieces.append(pieced.piece)
        if pieced.kept is not None:
            self._keep(pieced.kept)

    def _put(self, entry: Entry) -> None:
        self._open[entry.number] = self._dirty[entry.number] = entry

    def _keep(self, rejection: Rejection) -> None:
        self._rejects += [(line, rejection.is_pending) for line in self._lines.of(rejection)]

    def _spool(self, spooled: Spooled) -> None:
        """One row of wire forms, with null where a record was rejected or skipped."""
        wires = [None if isinstance(item, Dropped) else item for item in spooled.items]
        self._spooled.append((spooled.first, len(wires), json_bytes(wires)))
        for item in spooled.items:
            if isinstance(item, Rejected):
                self._keep(Rejection(outcome=item, body=b"", settled_ms=spooled.settled_ms))
            elif isinstance(item, Skipped):
                self._skips += item.positions.runs

    def _check_there(self) -> None:
        """Notice that somebody removed or replaced the file: what is written to it from then on is lost."""
        try:
            status = os.stat(self._path, follow_symlinks=False)  # noqa: PTH116
            is_there = (status.st_dev, status.st_ino) == self._identity
        except FileNotFoundError:
            is_there = False
        if not is_there:
            raise JournalError(
                f"the journal {self._path} was removed while the import was running: "
                "what was acknowledged is not in any journal any more"
            )

    def _flush(self) -> None:
        """Write what was taken, in as few calls as can be."""
        self._logged_bytes += _COMMIT_BYTES + sum(len(data) for _, _, data in self._spooled)
        self._logged_bytes += sum(len(line.text) for line, _ in self._rejects)
        groups = self._full_groups()
        others = groups or self._pieces or self._rejects or self._skips or self._spooled or self._noted
        if not others and len(self._dirty) <= _ROWS:
            self._write_rows()  # a statement by itself is a transaction
            return
        with self._transaction():
            if self._begins:
                self._begin()
            self._write_rows()
            self._connection.executemany(
                "INSERT OR REPLACE INTO pieces VALUES (?, ?, ?, ?, ?, ?, ?)", map(piece_row_of, self._pieces)
            )
            self._write_rejects()
            self._connection.executemany("INSERT OR REPLACE INTO skips VALUES (?, ?, ?)", map(skip_row_of, self._skips))
            self._connection.executemany(
                "INSERT OR REPLACE INTO spool VALUES (?, ?, ?, ?)",
                [(*row, schema.checksum_of(*row)) for row in self._spooled],
            )
            for key, value in self._noted.items():
                schema.put_meta(self._connection, key, value)
            for group in groups:
                self._fold(group)
            if groups or self._settled_since_release >= _RELEASE_EVERY:
                self._release()
        self._pieces, self._rejects, self._skips, self._spooled, self._noted = [], [], [], [], {}

    def _write_rows(self) -> None:
        rows = [row_of(entry) for entry in self._dirty.values()]
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            places = ", ".join([f"({', '.join('?' * len(some[0]))})"] * len(some))
            values = [value for row in some for value in row]
            self._connection.execute(f"INSERT OR REPLACE INTO batches VALUES {places}", values)  # noqa: S608 -- question marks
        self._dirty.clear()

    def _write_rejects(self) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO rejects VALUES (?, ?, ?, ?, ?, ?)",
            [
                (*row, schema.checksum_of(*row))
                for line, is_pending in self._rejects
                for row in [(line.position, line.state, int(is_pending), line.reason, line.text)]
            ],
        )

    def _full_groups(self) -> list[int]:
        """Groups of which all batches are settled."""
        return [group for group, count in self._settled_in.items() if count == GROUP]

    def _fold(self, group: int) -> None:
        first = group * GROUP
        del self._settled_in[group]
        entries = [self._open.pop(number) for number in range(first, first + GROUP)]
        self._connection.execute(
            "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", segment_of(entries)
        )
        for table in ("batches", "pieces"):
            span = (first, first + GROUP - 1)
            self._connection.execute(f"DELETE FROM {table} WHERE number BETWEEN ? AND ?", span)  # noqa: S608 -- ours
        if entries[-1].mark is not None and entries[-1].number >= self._marks_from:
            schema.put_meta(self._connection, "mark", asdict(entries[-1].mark))

    def _release(self) -> None:
        """Let go of spooled records that nothing will ask for."""
        self._settled_since_release = 0
        if self._wanted.is_spooled:
            pending = [entry.first for entry in self._open.values() if entry.state is EntryState.PENDING]
            low = min(pending, default=self._high)
            self._connection.execute("DELETE FROM spool WHERE first + count <= ?", (low,))

    def entries_after(self, number: int) -> list[Entry]:
        """Batches with numbers above this one, in order: about a group's worth; none at the end."""
        with schema.told(self._path, "cannot be read"):
            return segment_entries(self._connection, self._path, number)

    def spooled_from(self, position: int) -> list[tuple[int, list[dict[str, Any] | None]]]:
        """Spooled records at and after a position, by the position of the first, in order; some at a time; none at the end."""
        with schema.told(self._path, "cannot be read"):
            rows = self._connection.execute(
                "SELECT first, count, records, checksum FROM spool WHERE first + count > ? ORDER BY first LIMIT 4",
                (position,),
            ).fetchall()
        found = []
        for first, count, data, checksum in rows:
            if schema.checksum_of(first, count, data) != checksum:
                raise schema.damaged(self._path, "a spooled record")
            wires = orjson.loads(data)
            for rejected in self._rejected_since(max(first, self.known.end), first + count):
                wires[rejected - first] = None  # by the encoder, after it was spooled: it is counted already
            found.append((first, wires))
        return found

    def _rejected_since(self, start: int, stop: int) -> list[int]:
        """Positions in this span, after the last batch, that an earlier process rejected."""
        query = "SELECT position FROM rejects WHERE NOT is_pending AND position >= ? AND position < ?"
        with schema.told(self._path, "cannot be read"):
            return [position for (position,) in self._connection.execute(query, (start, stop))]

    def reject_lines(self) -> Iterator[bytes]:
        """The lines of the file of rejects, by position."""
        for *values, checksum in self._connection.execute(REJECTS):
            if schema.checksum_of(*values) != checksum:
                raise schema.damaged(self._path, "a rejected record")
            yield values[-1]

    def note_rejects(self, identity: dict[str, Any]) -> None:
        """Remember what the file of rejects is, to know it again."""
        with self._transaction():
            schema.put_meta(self._connection, "rejects_file", identity)

    def close(self) -> None:
        """Fold the write-ahead log into the file, close it and let go of the lock.

        Raises:
            JournalError: the disk does not take it.
        """
        with schema.told(self._path, "cannot be written"):
            self._release_all()
            self._connection.close()
        self.release()

    def _release_all(self) -> None:
        with self._transaction():
            self._release()
            if self._is_finished:
                self._connection.execute("DELETE FROM spool")
        self._connection.execute("PRAGMA incremental_vacuum").fetchall()

    def abandon(self) -> None:
        """Let go of the file without writing: what is in it stands. The lock stays, for requests may be in flight."""
        with suppress(sqlite3.Error), schema.held_open(self._path):
            self._connection.close()
        with suppress(sqlite3.Error):
            self._connection.close()  # of a file that nobody can read any more

    def release(self) -> None:
        """Let another process in. Idempotent."""
        if self._lock is not None:
            self._lock.release()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            raise
