"""`order_by`: no key is in two unsettled batches, so that the last record of a key reaches the platform last.

The naive way is to sort records by key into lanes, one request at a time each; then a chunk holds few records and the order
of the source, by which a journal finds its place, is lost. Ours: a record whose key belongs to a record that is not
settled closes the chunk, which goes out at once, and the flow waits with it until that record is settled, in whatever way.
Whatever has no such key fills chunks as always. Keys are those of the records in the window and in the open chunk, no more.

What is compared is Python's own hash of a key, which is the same throughout a process: two keys that share it by chance wait for
each other, and nothing worse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import orjson
from attrs import define, field, frozen

from asyncimport.admission import Admitted
from asyncimport.batch import Batch, Positions
from asyncimport.canonical import canonical
from asyncimport.chunker import Chunk, Chunker
from asyncimport.keys import Part, combinations
from asyncimport.outcome import BatchOutcome, Dropped
from asyncimport.structs import Wire

Settle = Callable[[BatchOutcome, Batch | None], None]


@frozen
class Turn:
    """Between two pieces: whoever takes them waits here until `has_come()`."""

    has_come: Callable[[], bool]


#: What records come to, and where to wait between two of them.
Piece = Batch | Dropped | Turn


@define
class Order:
    """The keys of the records of one run that are not settled."""

    _parts: tuple[Part, ...]
    _keys: dict[int, tuple[int, ...]] = field(factory=dict)
    #: Records that hold a key. More than one where one was let pass, or after a stop, when nothing more is sent.
    _holders: dict[int, int] = field(factory=dict)

    def keys_of(self, wire: Wire) -> tuple[int, ...]:
        """The keys of a record; none where it has nothing of what is ordered by."""
        return tuple({_hash_of(key) for key in combinations(self._parts, wire)})

    def is_free(self, keys: Iterable[int]) -> bool:
        """Whether no record with one of these keys is unsettled."""
        return self._holders.keys().isdisjoint(keys)

    def enter(self, position: int, keys: tuple[int, ...]) -> None:
        """A record goes on its way."""
        if keys:
            self._keys[position] = keys
            for key in keys:
                self._holders[key] = self._holders.get(key, 0) + 1

    def leave(self, positions: Positions) -> None:
        """Records are settled."""
        for position in positions:
            for key in self._keys.pop(position, ()):
                self._holders[key] -= 1
                if not self._holders[key]:
                    del self._holders[key]

    def feed(self, chunker: Chunker, admitted: Admitted, now: float) -> Iterator[Chunk | Turn]:
        """Add neighbouring records to a chunk; yield each that they fill or close, and where to wait before the next."""
        wires, first, start = admitted.wires, admitted.first, 0
        for index, wire in enumerate(wires):
            keys = self.keys_of(wire)
            if not self.is_free(keys):
                yield from chunker.feed(Admitted(wires=wires[start:index], first=first + start), now)
                yield from chunker.flush()
                start = index
                yield Turn(partial(self.is_free, keys))
            self.enter(first + index, keys)
        yield from chunker.feed(Admitted(wires=wires[start:], first=first + start), now)

    def settling(self, settle: Settle) -> Settle:
        """The same `settle`, after which the keys of its records are free."""

        def settled(outcome: BatchOutcome, batch: Batch | None) -> None:
            self.leave(outcome.positions)
            settle(outcome, batch)

        return settled

    def again(self, batches: Iterable[Batch]) -> Iterator[Batch | Turn]:
        """Batches that an earlier process left: they hold their keys too, and those that it had stopped wait for each other."""
        for batch in batches:
            records = orjson.loads(batch.body)["data"]
            keys = [self.keys_of(record) for record in records]
            every = {key for each in keys for key in each}
            if not self.is_free(every):
                yield Turn(partial(self.is_free, every))
            for position, each in zip(batch.positions, keys, strict=True):
                self.enter(position, each)
            yield batch


def _hash_of(key: tuple[object, ...]) -> int:
    try:
        return hash(key)
    except TypeError:  # a list or mapping is in it
        return hash(canonical(key))
