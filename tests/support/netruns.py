"""Imports through a network that breaks, each held to the invariants at the top of FAULTS.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import canary
import orjson
from attrs import define, field
from gateway import Act, Gateway, gateway
from leftovers import nothing_left_behind

from asyncimport import (
    USERS,
    Accepted,
    AsyncImportError,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    ImportReport,
    RetryPolicy,
    Timeouts,
    UserImportConfig,
    UserProfile,
)
from asyncimport.emulator import Emulator
from asyncimport.observer import AttemptFailed, Notice
from asyncimport.outcome import BatchOutcome

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
#: Records of a batch.
BATCH = 10


def policy(**changes: Any) -> DispatchPolicy:
    """Small batches and short waits; `timeouts` as a dict."""
    bounds = {"connect_s": 2.0, "read_s": 5.0, "attempt_s": 10.0} | changes.pop("timeouts", {})
    quick = RetryPolicy(base_s=0.01, cap_s=0.05, floor_s=0.001)
    values = {"batch_size": BATCH, "max_in_flight": 4, "linger_s": 0.01, "retry": quick}
    return DispatchPolicy(**{**values, "timeouts": Timeouts(**bounds), **changes})


def people(count: int, *, first: int = 0, padding: int = 0) -> list[UserProfile]:
    """Records whose `thirdId` is their position."""
    numbers = range(first, first + count)
    return [UserProfile(third_id=str(n), real_name=canary.PERSON, address="x" * padding) for n in numbers]


@define
class Run:
    """What came of one import, and what was told on the way."""

    notices: list[Notice] = field(factory=list)
    outcomes: list[BatchOutcome] = field(factory=list)
    error: AsyncImportError | None = None
    _report: ImportReport | None = None
    _changed: asyncio.Event = field(factory=asyncio.Event)

    @property
    def report(self) -> ImportReport:
        assert self._report is not None
        return self._report

    @property
    def failures(self) -> list[AttemptFailed]:
        return [notice for notice in self.notices if isinstance(notice, AttemptFailed)]

    @property
    def reasons(self) -> set[str]:
        return {failure.reason for failure in self.failures}

    def told(self, notice: Notice) -> None:
        self.notices.append(notice)
        self._changed.set()

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait until something that notices and outcomes tell of is true."""
        while not is_true():
            self._changed.clear()
            await self._changed.wait()

    async def failed(self, times: int) -> None:
        await self.until(lambda: len(self.failures) >= times)

    async def accepted(self, records: int) -> None:
        await self.until(lambda: sum(one.count for one in self.outcomes if isinstance(one, Accepted)) >= records)

    async def go(self, url: str, source: Any, *, bound_s: float = 20, run: Any = None, **client: Any) -> Run:
        """Import to the end. It comes within the bound (I8), and shows no secret (I7)."""
        arguments: dict[str, Any] = {"policy": policy(), "token": canary.TOKEN, "observer": self.told} | client
        async with asyncio.timeout(bound_s), ImportClient(url, **arguments) as importer:
            outcomes = importer.stream(USERS, source, CONFIG, **(run or {}))
            try:
                async with outcomes:
                    async for outcome in outcomes:
                        self.outcomes.append(outcome)
                        self._changed.set()
            except AsyncImportError as error:
                self.error = error
            self._report = outcomes.report
        assert self.error is None or canary.scan(self.error) == []
        assert canary.leaks(f"{self.report} {self.report!r} {self.notices} {self.outcomes}") == []
        return self


def adds_up(run: Run, platform: Emulator) -> None:
    """The report and the ledger agree: I1, I2 and I3."""
    report, ledger = run.report, platform.ledger.users
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    assert (report.in_progress, report.read) == (0, settled)
    committed = [int(record["thirdId"]) for record in ledger.records()]
    accepted = {n for outcome in run.outcomes if isinstance(outcome, Accepted) for n in outcome.positions}
    assert len(accepted) == report.accepted
    assert accepted <= set(committed)
    assert ledger.distinct <= report.accepted + report.unconfirmed
    assert ledger.duplicates <= report.possible_duplicates
    assert platform.ledger.violations == []


def agrees(run: Run, platform: Emulator, door: Gateway, *, cuts_again: bool = False) -> None:
    """The same, and I9 and I10 by what went through the gateway. `cuts_again` allows for halves of a refused batch."""
    adds_up(run, platform)
    report = run.report
    wholes = {bytes(exchange.body) for exchange in door.exchanges if exchange.is_whole}
    for whole in wholes:
        ids = [int(record["thirdId"]) for record in orjson.loads(whole)["data"]]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert cuts_again or len(wholes) <= report.batches
    repeated = report.accepted + report.unconfirmed == report.read
    for exchange in door.exchanges:
        part = bytes(exchange.body)
        assert not repeated or cuts_again or any(whole.startswith(part) for whole in wholes)


@asynccontextmanager
async def ordeal(*script: Act, **options: Any) -> AsyncIterator[tuple[Emulator, Gateway]]:
    """The emulator, and a gateway before it that has its script; in the end nothing is left of them."""
    async with (
        nothing_left_behind(),
        Emulator(token=canary.TOKEN) as platform,
        gateway(platform, *script, **options) as door,
    ):
        yield platform, door


async def in_two(run: Run, first: int, then: int, between: Callable[[], Any], **shape: int) -> AsyncIterable[Any]:
    """A source that goes on when its first records were accepted and something has happened in between."""
    for person in people(first, **shape):
        yield person
    await run.accepted(first)
    await between()
    for person in people(then, first=first, **shape):
        yield person
