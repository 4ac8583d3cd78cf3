"""`deduplicate`: a record that is the same, by some of its fields, as one admitted not long before is skipped.

It is the same when every one of these fields holds the same; of a list of records, such as identities, when the same items
are in it, in whatever order. A record that has none of the fields is the same as no other.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, field

from asyncimport.admission import Admits, Item
from asyncimport.batch import Positions
from asyncimport.canonical import canonical
from asyncimport.keys import Part
from asyncimport.outcome import Dropped, Rejected, Skipped
from asyncimport.structs import Wire

#: How many different keys are remembered: what a source repeats lies near by (a page that was fetched twice, a row that was
#: retried), and 100,000 take 15 MB, half of what a window of batches may.
REMEMBERED: Final = 100_000
#: Bytes of BLAKE2b that are kept of a key: a record skipped by chance would be lost in silence, and 16 make sure that none is.
_DIGEST_BYTES: Final = 16
REASON: Final = "deduplicate: the same as an earlier record"


@define
class Unrepeated:
    """Admits each record once, in the order of the source, in whatever thread pulls it.

    `_sendable` says of an admitted record whether it can be sent alone: one that would be rejected later must not count as seen.
    """

    _admission: Admits
    _parts: tuple[Part, ...]
    _sendable: Callable[[Wire, int], Wire | Rejected]
    #: How many keys it remembers.
    _size: int = REMEMBERED
    _seen: set[bytes] = field(factory=set)
    _order: deque[bytes] = field(factory=deque)

    def admit(self, record: Any, position: int, origin: Any = None) -> Item:
        """Admit one record, unless it was seen."""
        return self._once(self._admission.admit(record, position, origin), position)

    def admit_all(self, records: Sequence[Any], first: int) -> list[Item]:
        """The same for records that nobody changes meanwhile."""
        items = self._admission.admit_all(records, first)
        return [self._once(item, position) for position, item in enumerate(items, first)]

    def of_line(self, line: bytes) -> Wire | None:
        """The wire copy of a record that is a line of JSON, yet to be admitted; None in doubt."""
        return self._admission.of_line(line)

    def _once(self, item: Item, position: int) -> Item:
        if isinstance(item, Dropped):
            return item
        digest = self._digest(item)
        if digest in self._seen:
            return Skipped(positions=Positions((range(position, position + 1),)), reason=REASON)
        sendable = self._sendable(item, position)
        if digest and not isinstance(sendable, Rejected):
            self._remember(digest)
        return sendable

    def _remember(self, digest: bytes) -> None:
        self._seen.add(digest)
        self._order.append(digest)
        if len(self._order) > self._size:
            self._seen.remove(self._order.popleft())

    def _digest(self, wire: Wire) -> bytes:
        """Of the record's values; empty where it has none."""
        values = [part.values(wire) for part in self._parts]
        if not any(values):
            return b""
        key = b"".join(b"l%be" % b"".join(sorted(map(canonical, found))) for found in values)
        return hashlib.blake2b(key, digest_size=_DIGEST_BYTES).digest()
