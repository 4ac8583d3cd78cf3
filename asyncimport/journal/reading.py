"""What a journal's rows say, each checked against its checksum; for the one who writes it and for those who only look."""

from __future__ import annotations

import sqlite3
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Final

import orjson
from attrs import evolve

from asyncimport.errors import JournalError
from asyncimport.journal import schema
from asyncimport.journal.entry import GROUP, Entry, EntryState, Piece, unpacked, with_pieces
from asyncimport.journal.known import Known, Run, Session
from asyncimport.journal.rows import entry_of, piece_of
from asyncimport.mark import Mark
from asyncimport.outcome import FIRST_REJECTIONS, MAX_REASONS, OTHER_REASONS, FirstRejection, Sums
from asyncimport.place import place_of

REJECTS: Final = "SELECT position, state, is_pending, reason, line, checksum FROM rejects ORDER BY position"
SKIPS: Final = 'SELECT first, "end", checksum FROM skips ORDER BY first'
SPOOL: Final = "SELECT first, count, records, checksum FROM spool ORDER BY first"
_SEGMENT_SUMS: Final = (
    'number, batches, first, "end", records, accepted, attempts, retries, duplicates, sent_bytes, elapsed_s'
)


def read_known(connection: sqlite3.Connection, path: str) -> Known:
    """The state of a journal.

    Raises:
        JournalError: it is damaged.
        sqlite3.Error: it cannot be read.
    """
    meta = schema.read_meta(connection, path)
    try:
        run = Run(**meta["run"])
        session = Session(meta["session"])
    except (KeyError, TypeError, ValueError):
        raise schema.damaged(path, "what it says of its run") from None
    rows = sorted(row_entries(connection, path), key=lambda entry: entry.number)
    folded = _folded(connection, path)
    pending = tuple(entry for entry in rows if entry.state is EntryState.PENDING)
    last = rows[-1] if rows else None
    end = max(folded.end, last.end if last else 0)
    # Records after the last batch come again when the source is read again, and count only then.
    comes_again = not run.is_spooled and session is not Session.FINISHED
    kept = _kept(connection, path, end if comes_again else None)
    sums = _sums(rows, folded, kept, end if comes_again else max(end, kept.end))
    _check_sums(path, rows, folded, sums, is_spooled=run.is_spooled)
    lowest = pending[0] if pending else last
    marks_from = int(meta.get("marks_from", 0))
    return Known(
        run=run,
        session=session,
        sums=sums,
        pending=pending,
        next_number=max(folded.next_number, last.number + 1 if last else 0),
        end=end,
        mark=_mark_of(meta, path) if lowest is None else lowest.mark if lowest.number >= marks_from else None,
        marks_from=marks_from,
        source=meta.get("source", {}),
        has_source_ended=bool(meta.get("source_ended")),
        rejects_file=meta.get("rejects_file", {}),
        possibly_lost=int(meta.get("possibly_lost", 0)),
        changed_ms=int(meta.get("changed_ms", 0)),
    )


def _mark_of(meta: dict[str, Any], path: str) -> Mark | None:
    """Where the last packed group began to be read; every batch is packed when it is asked for."""
    try:
        return Mark(**meta["mark"]) if "mark" in meta else None
    except TypeError:
        raise schema.damaged(path, "a place in the source") from None


def row_entries(connection: sqlite3.Connection, path: str, numbers: tuple[int, int] | None = None) -> Iterator[Entry]:
    """Batches that have a row of their own: all, or those with numbers in a span."""
    span = "" if numbers is None else "WHERE number BETWEEN ? AND ?"
    pieces: defaultdict[int, list[Piece]] = defaultdict(list)
    for row in connection.execute(f"SELECT * FROM pieces {span} ORDER BY number, first", numbers or ()):  # noqa: S608 -- ours
        piece = piece_of(row, path)
        pieces[piece.number].append(piece)
    for row in connection.execute(f"SELECT * FROM batches {span} ORDER BY number", numbers or ()):  # noqa: S608 -- ours
        yield _in_pieces(entry_of(row, path), pieces.pop(row[0], []), path)
    if pieces:
        raise schema.damaged(path, "a piece of a batch that is not there")


def _in_pieces(entry: Entry, pieces: list[Piece], path: str) -> Entry:
    """A batch with its settled pieces; when they are all of it, it is settled, though nobody came to write it down.

    Raises:
        JournalError: they are more than it.
    """
    if not pieces:
        return entry
    whole = evolve(entry, pieces=tuple(pieces))
    if whole.left < 0 or entry.state not in (EntryState.PENDING, EntryState.SPLIT):
        raise schema.damaged(path, "the pieces of a batch")
    return whole if whole.left else evolve(whole, state=EntryState.SPLIT)


def segment_entries(connection: sqlite3.Connection, path: str, after: int) -> list[Entry]:
    """Batches with numbers above `after`, in order: those of the next group; none at the end."""
    row = connection.execute(
        f"SELECT {_SEGMENT_SUMS}, ids, entries, checksum FROM segments WHERE number >= ? ORDER BY number LIMIT 1",  # noqa: S608 -- ours
        ((after + 1) // GROUP * GROUP,),
    ).fetchone()
    start = row[0] if row is not None else None
    upto = (start - 1) if start is not None else 2**62
    rows = list(row_entries(connection, path, (after + 1, upto))) if upto > after else []
    if rows or row is None:
        return rows
    _check_segment(row, path)
    return [entry for entry in unpacked(row[12], row[0]) if entry.number > after]


def _check_segment(row: tuple[Any, ...], path: str) -> None:
    *sums, ids, data, checksum = row
    if schema.checksum_of(*sums, ids, data) != checksum:
        raise schema.damaged(path, "a group of settled batches")


class _Folded:
    """What the packed groups add up to."""

    def __init__(self) -> None:
        self.batches = self.records = self.accepted = self.attempts = self.retries = 0
        self.duplicates = self.sent_bytes = self.next_number = self.end = 0
        self.elapsed_s = 0.0
        self.ids = array("q")

    def add(self, row: tuple[Any, ...]) -> None:
        number, batches, _, end, records, accepted, attempts, retries, duplicates, sent_bytes, elapsed_s, ids, _, _ = (
            row
        )
        self.next_number = max(self.next_number, number + batches)
        self.end = max(self.end, end)
        self.batches += batches
        self.records += records
        self.accepted += accepted
        self.attempts += attempts
        self.retries += retries
        self.duplicates += duplicates
        self.sent_bytes += sent_bytes
        self.elapsed_s = max(self.elapsed_s, elapsed_s)
        self.ids.frombytes(ids)


def _folded(connection: sqlite3.Connection, path: str) -> _Folded:
    folded = _Folded()
    query = f"SELECT {_SEGMENT_SUMS}, ids, entries, checksum FROM segments ORDER BY number"  # noqa: S608 -- ours
    for row in connection.execute(query):
        _check_segment(row, path)
        folded.add(row)
    return folded


class _Kept:
    """What the rejected and the spooled records add up to; each row was as it was written."""

    def __init__(self) -> None:
        self.end = 0
        self.states: Counter[str] = Counter()
        self.reasons: dict[str, int] = {}
        self.firsts: list[FirstRejection] = []
        self.lowest_unconfirmed: int | None = None
        self.skipped = 0

    def add(self, position: int, state: str, reason: str, line: bytes) -> None:
        self.states[state] += 1
        if state == "unconfirmed" and self.lowest_unconfirmed is None:
            self.lowest_unconfirmed = position
        if state != "rejected":
            return
        name = reason if reason in self.reasons or len(self.reasons) < MAX_REASONS else OTHER_REASONS
        self.reasons[name] = self.reasons.get(name, 0) + 1
        if len(self.firsts) < FIRST_REJECTIONS:
            told = orjson.loads(line)
            first = FirstRejection(position=position, reason=reason, place=place_of(told), detail=told["detail"])
            self.firsts.append(first)


def _kept(connection: sqlite3.Connection, path: str, below: int | None) -> _Kept:
    """What is kept of records at positions below this one; of all when it is None.

    Raises:
        JournalError: a row is damaged.
    """
    kept = _Kept()
    for *values, checksum in connection.execute(REJECTS):
        if schema.checksum_of(*values) != checksum:
            raise schema.damaged(path, "a rejected record")
        position, state, is_pending, reason, line = values
        if not is_pending and (below is None or position < below):
            kept.end = position + 1
            kept.add(position, state, reason, line)
    for first, end, checksum in connection.execute(SKIPS):
        if schema.checksum_of(first, end) != checksum:
            raise schema.damaged(path, "a place of skipped records")
        if below is None or first < below:
            kept.end = max(kept.end, end)
            kept.skipped += end - first
    for first, count, records, checksum in connection.execute(SPOOL):
        if schema.checksum_of(first, count, records) != checksum:
            raise schema.damaged(path, "a spooled record")
        kept.end = max(kept.end, first + count)
    return kept


def _sums(rows: list[Entry], folded: _Folded, kept: _Kept, read: int) -> Sums:
    settled = with_pieces(rows)
    accepted = folded.accepted + sum(one.count for one in settled if one.state is EntryState.ACCEPTED)
    rejected, unconfirmed = kept.states["rejected"], kept.states["unconfirmed"]
    ids = folded.ids
    ids.extend(one.batch_id for one in settled if one.batch_id is not None)
    return Sums(
        read=read,
        accepted=accepted,
        rejected=rejected,
        unconfirmed=unconfirmed,
        skipped=kept.skipped,
        pending=read - accepted - rejected - unconfirmed - kept.skipped,
        batches=folded.batches + len(rows),
        batch_ids=ids,
        attempts=folded.attempts + sum(entry.attempts for entry in rows),
        retries=folded.retries + sum(entry.retries for entry in rows),
        duplicates=folded.duplicates + sum(entry.duplicates for entry in rows),
        sent_bytes=folded.sent_bytes + sum(entry.sent_bytes for entry in rows),
        elapsed_s=max([folded.elapsed_s, *(entry.elapsed_s for entry in rows)]),
        rejected_by_reason=kept.reasons,
        first_rejections=tuple(kept.firsts),
        lowest_unconfirmed=kept.lowest_unconfirmed,
    )


def _check_sums(path: str, rows: list[Entry], folded: _Folded, sums: Sums, *, is_spooled: bool) -> None:
    """Each record that was read is in a batch, rejected, or still in the spool."""
    pending = sum(entry.left for entry in rows if entry.state is EntryState.PENDING)
    is_whole = sums.pending >= pending if is_spooled else sums.pending == pending
    numbers = [entry.number for entry in rows]
    if not is_whole or len(numbers) + folded.batches != (max([folded.next_number - 1, *numbers]) + 1):
        raise JournalError(
            f"the journal {path} is damaged: its counts do not add up ({sums.read:,} read, {sums.accepted:,} accepted, "
            f"{sums.rejected:,} rejected, {sums.unconfirmed:,} unconfirmed, {sums.skipped:,} skipped, {pending:,} to be sent). "
            "Check the disk"
        )
