"""What a sink gives for a record: its number, and on asking what became of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from attrs import define, field, frozen

from asyncimport.batch import Positions
from asyncimport.clock import Bell
from asyncimport.errors import StateError
from asyncimport.outcome import BatchOutcome

#: Positions that share a page: about a batch.
PAGE: Final = 500


@define(eq=False)
class Page:
    """What became of neighbouring positions, up to a multiple of `PAGE`. One object for all of their receipts, woken together."""

    #: Its first position: a multiple of `PAGE`, or where a sink goes on that another one left.
    first: int
    bell: Bell = field(repr=False)
    #: Raises where it may not be waited.
    check_here: Callable[[], None] = field(repr=False)
    outcomes: list[BatchOutcome] = field(factory=list, repr=False)
    #: Positions with an outcome.
    settled: int = 0
    #: The position after its last one.
    end: int = field(init=False)
    #: Whether no outcome will come any more.
    is_closed: bool = False

    def __attrs_post_init__(self) -> None:
        """Reach to the next multiple."""
        self.end = (self.first // PAGE + 1) * PAGE

    @property
    def is_complete(self) -> bool:
        """Whether every position has an outcome."""
        return self.settled == self.end - self.first

    def add(self, outcome: BatchOutcome) -> None:
        """Note an outcome that is about some of the positions, and wake whoever waits for one."""
        self.outcomes.append(outcome)
        self.settled += sum(len(_overlap(run, self.first, self.end)) for run in outcome.positions.runs)
        self.bell.ring()

    def close(self) -> None:
        """Nothing more will be known."""
        self.is_closed = True
        self.bell.ring()

    def outcome_of(self, position: int, seen: int = 0) -> BatchOutcome | None:
        """What became of the record at this position, as far as it is known; of so many outcomes it is known that they tell nothing."""
        outcomes = islice(self.outcomes, seen, None)
        return next((outcome for outcome in outcomes if position in outcome.positions), None)

    def is_settled_below(self, end: int) -> bool:
        """Whether every position below this one has an outcome."""
        if end >= self.end:
            return self.is_complete
        runs = (run for outcome in self.outcomes for run in outcome.positions.runs)
        return sum(len(_overlap(run, self.first, end)) for run in runs) == max(0, end - self.first)


def _overlap(run: range, start: int, stop: int) -> range:
    return range(max(run.start, start), min(run.stop, stop))


@frozen(eq=False)
class Receipt:
    """The receipt of one record. Awaiting it is optional, may be done any number of times, and gives its outcome.

    `await receipt` returns when the record is settled: `Accepted`, `Rejected` (by the platform), `Unconfirmed`, `Unsent`
    or `Skipped`, the outcome of its whole batch. It raises StateError from another event loop. Cancelling it changes
    nothing for the record.
    """

    #: Of the record in the sink, from 0; a sink with a journal counts on from where the last one ended.
    position: int
    _page: Page = field(repr=False)

    @property
    def outcome(self) -> BatchOutcome | None:
        """What became of the record; None while it is not settled."""
        return self._page.outcome_of(self.position)

    def __await__(self) -> Generator[Any, None, BatchOutcome]:
        return self._settled().__await__()

    async def _settled(self) -> BatchOutcome:
        page, seen = self._page, 0
        while (outcome := page.outcome_of(self.position, seen)) is None:
            seen = len(page.outcomes)  # looked at once: 500 that wait for a batch of one each would look 125,000 times
            page.check_here()
            if page.is_closed:
                raise StateError(f"what became of record {self.position} is not known: the sink has broken off")
            await page.bell.wait()
        return outcome


@frozen(eq=False)
class Receipts:
    """The receipts of records that were put together. Awaiting it gives their outcomes, each once, in order of positions."""

    #: Of the records in the sink; records that others put meanwhile lie between them.
    positions: Positions
    _pages: Mapping[int, Page] = field(repr=False)

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Receipt]:
        """A receipt for each."""
        for position in self.positions:
            yield Receipt(position, self._pages[position // PAGE])

    def __await__(self) -> Generator[Any, None, tuple[BatchOutcome, ...]]:
        return self._settled().__await__()

    async def _settled(self) -> tuple[BatchOutcome, ...]:
        outcomes = {id(outcome): outcome for receipt in self for outcome in (await receipt,)}
        return tuple(outcomes.values())
