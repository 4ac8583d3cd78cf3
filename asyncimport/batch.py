"""A batch: up to 500 records as the bytes that will be sent, where they came from, and its states as a table.

A batch that the platform refuses, or breaks on, may be split: its records then go on in two pieces, which are batches with
bytes of their own, and may be split again. `whole` is what it and all its pieces came to together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import Final, overload

from attrs import define, field, frozen


@frozen(repr=False)
class Positions(Sequence[int]):
    """Positions of records in their source, counted from 0, in order, as runs: 500 of them take one range, not 500 ints."""

    runs: tuple[range, ...] = ()

    @staticmethod
    def of(positions: Sequence[int]) -> Positions:
        """Pack ascending positions."""
        runs: list[range] = []
        for position in positions:
            if runs and runs[-1].stop == position:
                runs[-1] = range(runs[-1].start, position + 1)
            else:
                runs.append(range(position, position + 1))
        return Positions(tuple(runs))

    def __len__(self) -> int:
        return sum(map(len, self.runs))

    def __iter__(self) -> Iterator[int]:
        for run in self.runs:
            yield from run

    def __contains__(self, position: object) -> bool:
        return isinstance(position, int) and any(position in run for run in self.runs)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Positions: ...
    def __getitem__(self, index: int | slice) -> int | Positions:
        if isinstance(index, slice):
            return Positions.of(list(self)[index])
        left = index + len(self) if index < 0 else index
        for run in self.runs:
            if 0 <= left < len(run):
                return run[left]
            left -= len(run)
        raise IndexError(f"position {index} of {len(self)}")

    def __repr__(self) -> str:
        shown = (str(run.start) if len(run) == 1 else f"{run.start}-{run.stop - 1}" for run in self.runs)
        return f"Positions({', '.join(shown)})"


class State(Enum):
    """Where a batch stands."""

    PLANNED = auto()
    READY = auto()
    IN_FLIGHT = auto()
    WAITING = auto()
    SPLIT = auto()
    SETTLED = auto()


#: All moves there are. PLANNED waits for the journal. PLANNED, READY and WAITING settle without an attempt only when
#: the run stops. READY is split without an attempt when it is known to be too large.
TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    State.PLANNED: frozenset({State.READY, State.SETTLED}),
    State.READY: frozenset({State.IN_FLIGHT, State.SPLIT, State.SETTLED}),
    State.IN_FLIGHT: frozenset({State.WAITING, State.SPLIT, State.SETTLED}),
    State.WAITING: frozenset({State.READY, State.SETTLED}),
    State.SPLIT: frozenset(),
    State.SETTLED: frozenset(),
}


@define(eq=False)
class Whole:
    """What a batch and the pieces it was split into came to together: requests, and what of them is not settled."""

    #: Pieces that are not settled; a batch that was never split is its own only piece.
    open: int = 1
    #: Bytes that it takes in the window.
    size: int = 0
    attempts: int = 0
    #: Records sent again after an attempt without an answer, and bytes sent.
    duplicates: int = 0
    sent_bytes: int = 0
    #: When a server first broke on it or a piece of it, in this process.
    broken_at: float = float("inf")
    #: Whether the journal knows it in pieces, of this process or of one before.
    is_split: bool = False
    #: Whether any piece was given back, and of those any after an attempt without an answer.
    has_pending: bool = False
    is_open: bool = False


@define(eq=False)
class Batch:
    """One payload and its course. `body` is what every attempt sends, byte for byte, until the batch is settled."""

    number: int
    positions: Positions
    body: bytes
    state: State = State.PLANNED
    #: Whether the journal of an earlier process has it: it is sent again, or for the first time.
    is_resumed: bool = False
    #: The batch that it is, or is a piece of.
    whole: Whole = field(factory=Whole)
    #: Of a piece: which two came from one split. 0 of a batch as it was cut.
    pair: int = 0
    #: Requests started that carried these records, the first one included.
    attempts: int = 0
    #: Attempts that count against the retry policy (throttling and what never left do not).
    counted: int = 0
    #: Attempts in a row that never reached the platform: they set the wait, not the end.
    not_sent: int = 0
    #: Attempts sent and not answered to be trusted.
    unanswered: int = 0
    #: Those of them that no later attempt has followed yet.
    unrepeated: int = 0
    #: Whether the one free retry on a stale connection was used.
    free_retry_used: bool = False
    #: Answers of a server that broke on it, but for those of an outage; since when; and whether it is a piece of a batch that
    #: was split for that.
    server_faults: int = 0
    broken_at: float = float("inf")
    is_poisoned: bool = False
    #: Refusals of this record alone, the moment of the last one, and that of the refusal of the piece that it was split from.
    refusals_alone: int = 0
    refused_at: float = 0.0
    suspected_at: float = float("inf")
    #: Whether nothing is left that could be accepted before it is tried again.
    is_last_try: bool = False
    #: Whether so few records are left then that it is they, and not the platform.
    is_one_of_few: bool = False
    #: Whether a later record with a key of its own (`order.py`) went on past it: it must not be sent again.
    is_overtaken: bool = False
    #: Whether the run's stop settled it: a resumed run sends it.
    is_given_back: bool = False
    #: The last thing that went wrong, in words without data.
    last_fault: str = ""

    @property
    def count(self) -> int:
        """Records in the batch."""
        return len(self.positions)

    def move(self, to: State) -> None:
        """Take a step of the table.

        Raises:
            AssertionError: the step is not in the table, which is a defect of ours.
        """
        if to not in TRANSITIONS[self.state]:
            raise AssertionError(f"batch {self.number}: {self.state.name} to {to.name} is no transition")
        self.state = to

    def __repr__(self) -> str:
        return f"<batch {self.number}: {self.count} records, {self.state.name.lower()}, {self.attempts} attempts>"
