"""Batches as rows of the journal's tables, and back, each with its checksum."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from asyncimport.journal import schema
from asyncimport.journal.entry import Entry, EntryState, Piece, packed, with_pieces
from asyncimport.mark import Mark


def row_of(entry: Entry) -> tuple[Any, ...]:
    """The row of a batch of its own."""
    mark = entry.mark
    place = (None, None, None) if mark is None else (mark.position, mark.offset, mark.line)
    return (
        entry.number,
        entry.first,
        entry.end,
        entry.count,
        entry.digest,
        int(entry.state),
        entry.is_open,
        entry.batch_id,
        entry.attempts,
        entry.duplicates,
        entry.sent_bytes,
        entry.elapsed_s,
        *place,
        entry.checksum,
    )


def segment_of(entries: Sequence[Entry]) -> tuple[Any, ...]:
    """The row of a whole group of settled batches."""
    settled = with_pieces(entries)
    ids = array("q", [one.batch_id for one in settled if one.batch_id is not None]).tobytes()
    data = packed(entries)
    sums = (
        entries[0].number,
        len(entries),
        entries[0].first,
        entries[-1].end,
        sum(entry.count for entry in entries),
        sum(one.count for one in settled if one.state is EntryState.ACCEPTED),
        sum(entry.attempts for entry in entries),
        sum(entry.retries for entry in entries),
        sum(entry.duplicates for entry in entries),
        sum(entry.sent_bytes for entry in entries),
        max(entry.elapsed_s for entry in entries),
    )
    return (*sums, ids, data, schema.checksum_of(*sums, ids, data))


def piece_row_of(piece: Piece) -> tuple[Any, ...]:
    """The row of a settled piece."""
    place = (piece.number, piece.first, piece.end, piece.count)
    return (*place, int(piece.state), piece.batch_id, piece.checksum)


def skip_row_of(run: range) -> tuple[int, int, int]:
    """The row of neighbouring records that were skipped."""
    return (run.start, run.stop, schema.checksum_of(run.start, run.stop))


def piece_of(row: tuple[Any, ...], path: str) -> Piece:
    """The piece of a row.

    Raises:
        JournalError: it is not as it was written.
    """
    try:
        piece = Piece(number=row[0], first=row[1], end=row[2], count=row[3], state=EntryState(row[4]), batch_id=row[5])
        is_whole = piece.checksum == row[6]
    except Exception:  # noqa: BLE001 -- whatever a changed byte makes of a number
        is_whole = False
    if not is_whole:
        raise schema.damaged(path, "a piece of a batch")
    return piece


def entry_of(row: tuple[Any, ...], path: str) -> Entry:
    """The batch of a row.

    Raises:
        JournalError: it is not as it was written.
    """
    try:
        entry = Entry(
            number=row[0],
            first=row[1],
            end=row[2],
            count=row[3],
            digest=row[4],
            state=EntryState(row[5]),
            is_open=bool(row[6]),
            batch_id=row[7],
            attempts=row[8],
            duplicates=row[9],
            sent_bytes=row[10],
            elapsed_s=row[11],
            mark=None if row[12] is None else Mark(position=row[12], offset=row[13], line=row[14]),
        )
        is_whole = entry.checksum == row[15]
    except Exception:  # noqa: BLE001 -- whatever a changed byte makes of a number
        is_whole = False
    if not is_whole:
        raise schema.damaged(path, "a batch's row")
    return entry
