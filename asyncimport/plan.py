"""The plan: where the batches of a run stand that are not in flight, and which of them goes next. Nothing in here awaits.

Planned batches wait for the journal, ready ones for a worker, waiting ones for their time, and held ones for something
else to be accepted (`split.py`). Whatever was split last goes first, so that a culprit is found before the next is looked for.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count

from attrs import define, field

from asyncimport.batch import Batch, State
from asyncimport.split import HOPELESS_SINGLES, LAST_TRY_S, Refusals


@define
class Plan:
    """Batches by what they wait for."""

    refusals: Refusals
    _planned: dict[int, Batch] = field(factory=dict)
    _ready: deque[Batch] = field(factory=deque)
    _waiting: list[tuple[float, int, Batch]] = field(factory=list)
    _held: list[Batch] = field(factory=list)
    #: Keeps waiting batches in order that are due at the same moment.
    _order: Iterator[int] = field(factory=count)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits for anything."""
        return not (self._planned or self._ready or self._waiting or self._held)

    def keep(self, batch: Batch) -> None:
        """Take a batch in that the journal does not have yet."""
        self._planned[batch.number] = batch

    def planned(self, numbers: Iterable[int]) -> int:
        """Make the batches ready that the journal has; how many there were."""
        found = [self._planned.pop(number) for number in numbers if number in self._planned]
        for batch in found:
            self.make_ready(batch)
        return len(found)

    def make_ready(self, batch: Batch, *, is_first: bool = False) -> None:
        """Let a batch go when its turn comes, or before all others."""
        batch.move(State.READY)
        if is_first:
            self._ready.appendleft(batch)
        else:
            self._ready.append(batch)

    def wait(self, batch: Batch, due: float) -> None:
        """Let a batch wait for its time."""
        heapq.heappush(self._waiting, (due, next(self._order), batch))

    def hold(self, batch: Batch) -> None:
        """Let a single record wait until something else is accepted."""
        self._held.append(batch)

    def insert(self, pieces: Iterable[Batch], pair: int) -> None:
        """Let pieces go before all others but the other half of what they were split from, which came from split `pair`."""
        place = 1 if pair and self._ready and self._ready[0].pair == pair else 0
        for piece in pieces:
            piece.move(State.READY)
            self._ready.insert(place, piece)
            place += 1

    def accepted(self) -> int:
        """Let go what was held for a witness that has come; how many that were."""
        freed = self._freed(is_overtaken=False)
        for batch in reversed(freed):
            self.make_ready(batch, is_first=True)
        return len(freed)

    def condemned(self) -> list[Batch]:
        """Take out what was overtaken, and for which a witness has come: it was refused twice, and is not sent again."""
        return self._freed(is_overtaken=True)

    def _freed(self, *, is_overtaken: bool) -> list[Batch]:
        seen_at = self.refusals.witness_at
        freed = [one for one in self._held if one.refused_at <= seen_at and one.is_overtaken is is_overtaken]
        if freed:
            self._held = [batch for batch in self._held if batch not in freed]
        return freed

    def let_pass(self) -> None:
        """Let what comes next go on past single records that had their last try, to be their witness."""
        for batch in self._held:
            batch.is_overtaken = True

    def look(self, now: float) -> None:
        """Make ready what is due."""
        while self._waiting and self._waiting[0][0] <= now:
            self.make_ready(heapq.heappop(self._waiting)[2], is_first=True)

    @property
    def has_ready(self) -> bool:
        """Whether a batch may go."""
        return bool(self._ready)

    @property
    def due_at(self) -> float | None:
        """When the next waiting batch is due."""
        return self._waiting[0][0] if self._waiting else None

    @property
    def held(self) -> int:
        """Single records that wait for a witness."""
        return len(self._held)

    @property
    def has_only_held(self) -> bool:
        """Whether nothing is left that could be a witness."""
        return bool(self._held) and not (self._planned or self._ready or self._waiting)

    def last_tries(self, now: float) -> float | None:
        """With nothing else left: make ready what is tried a last time, or say when; None when all have been."""
        untried = [batch for batch in self._held if not batch.is_last_try]
        if not untried:
            return None
        moment = max(batch.refused_at for batch in untried) + LAST_TRY_S
        if now < moment:
            return moment
        is_one_of_few = sum(not self.refusals.is_vouched_for(batch) for batch in self._held) < HOPELESS_SINGLES
        self._held = [batch for batch in self._held if batch.is_last_try]
        for batch in sorted(untried, key=self.refusals.is_vouched_for, reverse=True):
            batch.is_last_try, batch.is_one_of_few = True, is_one_of_few
            self.make_ready(batch)
        return now

    def ask_another(self) -> bool:
        """Let a batch go first that was never sent, to be sure that it is not the records; False when there is none."""
        fresh = next((batch for batch in self._ready if not batch.whole.attempts), None)
        if self.refusals.asked_another or fresh is None:
            return False
        self.refusals.asked_another = True
        self._ready.remove(fresh)
        self._ready.appendleft(fresh)
        return True

    def pop(self) -> Batch:
        """The batch that goes now."""
        return self._ready.popleft()

    def clear(self) -> list[Batch]:
        """Let go of everything, in order of numbers."""
        left = [*self._planned.values(), *self._ready, *(batch for _, _, batch in self._waiting), *self._held]
        self._planned, self._held, self._waiting = {}, [], []
        self._ready.clear()
        return sorted(left, key=lambda batch: (batch.number, batch.positions[0]))
