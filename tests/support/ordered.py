"""A platform that watches the order of records, as a transport: the witness of `order_by`.

Records say where they come from in `remark` (their position); their keys are what the test says. It breaks over whatever its
chance tells it to, commits what it takes, and remembers when each attempt began and ended.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import count
from random import Random
from typing import Any

from attrs import define, field
from scripted import LOST, OK, Sent, envelope

from asyncimport.attempt import Answer, Attempt
from asyncimport.policy import Timeouts
from asyncimport.secret import Secret

Keys = Callable[[Mapping[str, Any]], Iterable[Hashable]]


@define
class Spell:
    """One record in one request: when that began and ended."""

    position: int
    began: int
    ended: int | None = None


@define
class Watcher:
    """Takes posts, and keeps for each key who was there when."""

    keys_of: Keys
    chance: Random = field(factory=lambda: Random(0))
    #: The share of posts that is lost before or after it was taken, throttled, or broken over by the server.
    faults: float = 0.0
    #: Round trips, any of them for a post.
    delays_s: tuple[float, ...] = (0.01, 0.02, 0.3)
    #: Records by position that are refused.
    bad: frozenset[int] = frozenset()
    spells: dict[Hashable, list[Spell]] = field(factory=lambda: defaultdict(list))
    committed: list[int] = field(factory=list)
    posts: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    is_closed: bool = False
    _moments: Any = field(factory=count)

    async def post(self, url: str, token: Secret, body: bytes, timeouts: Timeouts) -> Attempt:
        records = Sent(0.0, url, body).records
        self.posts += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        spells = []
        for record in records:
            for key in set(self.keys_of(record)):
                spell = Spell(int(record["remark"]), next(self._moments))
                self.spells[key].append(spell)
                spells.append(spell)
        try:
            await asyncio.sleep(self.chance.choice(self.delays_s))
            return self._answer(records)
        finally:
            self.in_flight -= 1
            for spell in spells:
                spell.ended = next(self._moments)

    def _answer(self, records: list[dict[str, Any]]) -> Attempt:
        positions = [int(record["remark"]) for record in records]
        dice = self.chance.random() / self.faults if self.faults else 1.0
        if dice < 0.3:
            return LOST
        if dice < 0.6:
            return Answer(status=500, body=b"")
        if 0.8 < dice < 1:
            return Answer(status=429, body=b"slow down")
        if self.bad & {*positions}:
            return envelope("100999", msg="no")
        self.committed += positions
        return LOST if dice < 1 else OK

    async def get(self, url: str, query: Mapping[str, Secret], timeouts: Timeouts) -> Attempt:
        raise AssertionError("no token is asked for")

    async def aclose(self) -> None:
        self.is_closed = True

    def winners(self) -> list[tuple[int, int]]:
        """For each key the record that was committed last, and the last one of the source that was committed."""
        taken = [{spell.position for spell in spells} & {*self.committed} for spells in self.spells.values()]
        return [(next(one for one in reversed(self.committed) if one in found), max(found)) for found in taken if found]

    def breaches(self) -> list[str]:
        """Where a record was under way before an earlier one of its key was over."""
        return [
            f"{later.position} began at {later.began}, {earlier.position} ended at {earlier.ended}"
            for spells in self.spells.values()
            for earlier in spells
            for later in spells
            if earlier.position < later.position and (earlier.ended is None or earlier.ended > later.began)
        ]
