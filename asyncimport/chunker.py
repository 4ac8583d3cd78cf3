"""The chunker: cuts admitted records into chunks of at most `size`, in source order, losing and repeating none."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field, frozen

from asyncimport.admission import Admitted
from asyncimport.batch import Positions
from asyncimport.structs import Wire


@frozen(kw_only=True)
class Chunk:
    """Records that will travel together: 1 to `size` wire forms and their positions."""

    wires: list[Wire]
    positions: Positions


@define
class Chunker:
    """Collects records until a chunk is full. A full chunk leaves at once, not when the next record comes.

    `size` may be changed at any time.

    `opened_at` is when the first record of the open chunk came (any clock), None while there is none: the shell
    flushes a chunk that has lingered.
    """

    size: int
    opened_at: float | None = None
    _wires: list[Wire] = field(factory=list)
    _runs: list[range] = field(factory=list)

    def feed(self, admitted: Admitted, now: float) -> Iterator[Chunk]:
        """Add neighbouring records; yield each chunk that they fill."""
        wires, first = admitted.wires, admitted.first
        taken = 0
        while taken < len(wires):
            if self._wires and len(self._wires) >= self.size:  # it was made smaller meanwhile
                yield self._close()
            if self.opened_at is None:
                self.opened_at = now
            part = wires[taken : taken + self.size - len(self._wires)]
            self._add(part, first + taken)
            taken += len(part)
            if len(self._wires) == self.size:
                yield self._close()

    @property
    def positions(self) -> Positions:
        """Of the records in the open chunk."""
        return Positions(tuple(self._runs))

    def flush(self) -> Iterator[Chunk]:
        """Yield what is collected, if anything is."""
        if self._wires:
            yield self._close()

    def _add(self, part: list[Wire], first: int) -> None:
        self._wires.extend(part)
        if self._runs and self._runs[-1].stop == first:
            self._runs[-1] = range(self._runs[-1].start, first + len(part))
        else:
            self._runs.append(range(first, first + len(part)))

    def _close(self) -> Chunk:
        chunk = Chunk(wires=self._wires, positions=Positions(tuple(self._runs)))
        self._wires, self._runs, self.opened_at = [], [], None
        return chunk
