"""What a journal knows of one batch, and many of them packed.

A batch is known by its place in the source and by the digest of its bytes, never by its records.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Final

from attrs import field, frozen

from asyncimport.mark import Mark

#: Bytes of SHA-256 that are kept: enough that no two batches of any import share a digest by chance.
DIGEST_BYTES: Final = 16
#: Batches that are packed into one row of the journal, when all of them are settled.
GROUP: Final = 256
_ENTRY: Final = struct.Struct(f"<QIIB?qI{DIGEST_BYTES}s")
_PIECE: Final = struct.Struct("<QQQIB?q")
_ROW: Final = struct.Struct(f"<QQQIB??qIQQd{DIGEST_BYTES}sQQQ")


def digest_of(body: bytes) -> bytes:
    """The digest of a request's bytes."""
    return hashlib.sha256(body).digest()[:DIGEST_BYTES]


class EntryState(IntEnum):
    """What became of a batch, as far as the disk knows. PENDING is sent again when the run is resumed."""

    PENDING = 0
    ACCEPTED = 1
    REJECTED = 2
    UNCONFIRMED = 3
    #: Settled in pieces, each as it came to.
    SPLIT = 4


@frozen(kw_only=True)
class Piece:
    """A settled piece of a batch that was split: those of its records with positions from `first` to before `end`."""

    number: int
    first: int
    end: int
    count: int
    state: EntryState
    batch_id: int | None = None

    @property
    def checksum(self) -> int:
        """Over all of it."""
        has_id, batch_id = self.batch_id is not None, self.batch_id or 0
        return zlib.crc32(_PIECE.pack(self.number, self.first, self.end, self.count, self.state, has_id, batch_id))


@frozen(kw_only=True)
class Entry:
    """One batch: the records at positions from `first` to before `end`, except those that were rejected before."""

    number: int
    first: int
    end: int
    #: Records in it.
    count: int
    digest: bytes = field(repr=bytes.hex)
    state: EntryState = EntryState.PENDING
    #: Whether it may have been sent without an answer.
    is_open: bool = False
    batch_id: int | None = None
    attempts: int = 0
    #: Records sent again after an attempt without an answer.
    duplicates: int = 0
    sent_bytes: int = 0
    #: Of the run, when this was written.
    elapsed_s: float = 0.0
    #: Where in its file the source can go on so that this batch comes again; at or before `first`.
    mark: Mark | None = None
    #: What of it is settled, of a batch that was split and is not settled yet.
    pieces: tuple[Piece, ...] = ()

    @property
    def left(self) -> int:
        """Records of it that are in no settled piece."""
        return self.count - sum(piece.count for piece in self.pieces)

    @property
    def retries(self) -> int:
        """Requests that repeated an earlier one."""
        return max(0, self.attempts - 1)

    @property
    def checksum(self) -> int:
        """Over all of it, to notice what a disk has changed."""
        mark = self.mark
        source = (0, 0, 0) if mark is None else (mark.position, mark.offset, mark.line)
        has_id, batch_id = self.batch_id is not None, self.batch_id or 0
        counts = (self.attempts, self.duplicates, self.sent_bytes, self.elapsed_s)
        place = (self.number, self.first, self.end, self.count)
        state = (self.state, self.is_open, has_id, batch_id)
        return zlib.crc32(_ROW.pack(*place, *state, *counts, self.digest, *source))


def with_pieces(entries: Sequence[Entry]) -> list[Entry | Piece]:
    """Batches and the settled pieces of those that were split: each record that is settled is in one of them."""
    return [*entries, *(piece for entry in entries for piece in entry.pieces)]


def packed(entries: Iterable[Entry]) -> bytes:
    """Settled batches with neighbouring numbers, 46 bytes each; without what is added up over them all."""
    return b"".join(
        _ENTRY.pack(
            entry.first,
            entry.end - entry.first,
            entry.count,
            entry.state,
            entry.batch_id is not None,
            entry.batch_id or 0,
            entry.attempts,
            entry.digest,
        )
        for entry in entries
    )


def unpacked(data: bytes, number: int) -> Iterator[Entry]:
    """The batches of `packed`, the first of which has this number."""
    for index, (first, span, count, state, has_id, batch_id, attempts, digest) in enumerate(_ENTRY.iter_unpack(data)):
        yield Entry(
            number=number + index,
            first=first,
            end=first + span,
            count=count,
            digest=digest,
            state=EntryState(state),
            batch_id=batch_id if has_id else None,
            attempts=attempts,
        )
