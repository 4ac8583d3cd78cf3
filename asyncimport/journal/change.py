"""What a run hands to its journal, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import field, frozen

from asyncimport.admission import Item
from asyncimport.batch import Positions
from asyncimport.journal.entry import EntryState, Piece
from asyncimport.mark import Mark
from asyncimport.rejects import Rejection

#: What a change takes in memory besides what it holds on to.
CHANGE_BYTES: Final = 500


@frozen
class Begun:
    """A process goes on with the run, after it was found to be the same: from now on what the journal says is its word."""


@frozen(kw_only=True)
class Planned:
    """A batch, before it is sent for the first time."""

    number: int
    positions: Positions
    digest: bytes = field(repr=bytes.hex)
    #: Whether it may be sent before the journal hears of it again.
    is_open: bool
    mark: Mark | None = None


@frozen(kw_only=True)
class Started:
    """A batch that the journal has is about to be sent, not for the first time or not to be repeated: what it counts then."""

    number: int
    attempts: int
    duplicates: int


@frozen(kw_only=True)
class Settled:
    """What became of a batch. PENDING is one that was given back: a resumed run sends it."""

    number: int
    state: EntryState
    is_open: bool = False
    batch_id: int | None = None
    attempts: int = 0
    duplicates: int = 0
    sent_bytes: int = 0
    elapsed_s: float = 0.0
    #: Its records, where they are not accepted: written together with the state, or not at all.
    kept: Rejection | None = None


@frozen(kw_only=True)
class Pieced:
    """What became of a piece of a batch that was split; the batch itself is settled when the last one is."""

    piece: Piece
    #: Of the whole batch so far.
    attempts: int = 0
    duplicates: int = 0
    sent_bytes: int = 0
    #: Its records, where they are not accepted.
    kept: Rejection | None = None


@frozen
class Kept:
    """Records that were no batch and are not accepted."""

    rejection: Rejection


@frozen
class Omitted:
    """Records that were skipped."""

    positions: Positions


@frozen(kw_only=True)
class Spooled:
    """Records as they were admitted, from a source that cannot be read again."""

    first: int
    items: Sequence[Item] = field(repr=False)
    settled_ms: int


@frozen
class Noted:
    """Something about the run as a whole."""

    key: str
    value: Any


Change = Begun | Planned | Started | Settled | Pieced | Kept | Omitted | Spooled | Noted
