"""A batch: up to 500 records as the bytes that will be sent, where they came from, and its states as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import Final, overload

from attrs import define, frozen


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
    SETTLED = auto()


#: All moves there are. PLANNED waits for the journal. PLANNED, READY and WAITING settle without an attempt only when
#: the run stops.
TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    State.PLANNED: frozenset({State.READY, State.SETTLED}),
    State.READY: frozenset({State.IN_FLIGHT, State.SETTLED}),
    State.IN_FLIGHT: frozenset({State.WAITING, State.SETTLED}),
    State.WAITING: frozenset({State.READY, State.SETTLED}),
    State.SETTLED: frozenset(),
}


@define(eq=False)
class Batch:
    """One payload and its course. `body` is what every attempt sends, byte for byte, until the batch is settled."""

    number: int
    positions: Positions
    body: bytes
    state: State = State.PLANNED
    #: Whether the journal of an earlier process has it: it is sent again, or for the first time.
    is_resumed: bool = False
    #: Requests started, the first one included.
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
    #: Records sent again after an attempt without an answer, and bytes sent, over all attempts.
    duplicates: int = 0
    sent_bytes: int = 0
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
