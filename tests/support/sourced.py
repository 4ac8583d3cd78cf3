"""Imports of any source into the emulator, and what must hold of every end of them (FAULTS.md I1 to I10)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any

import canary
from attrs import evolve, field, frozen
from faulted import QUICK, to_its_end
from leftovers import back_to, resources

from asyncimport import (
    EVENTS,
    AsyncImportError,
    DispatchPolicy,
    EventImportConfig,
    ImportClient,
    ImportMode,
    ImportReport,
    Rejected,
    UserImportConfig,
)
from asyncimport.emulator import Emulator
from asyncimport.emulator.ledger import ResourceLedger
from asyncimport.observer import Notice
from asyncimport.outcome import BatchOutcome
from asyncimport.sources import inline

CONFIGS: dict[str, Any] = {
    "events": EventImportConfig(),
    "users": UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL),
}


def event(number: int, **more: Any) -> dict[str, Any]:
    """A good event, told from others by its `intid`."""
    identity = {"identityType": "phone", "identityValue": canary.PERSON}
    return {"identities": [identity], "eventKey": "c_buy", "intid": str(number)} | more


async def arriving(records: Iterable[Any]) -> AsyncIterator[Any]:
    """The same records as an async iterable."""
    for record in records:
        yield record
        await asyncio.sleep(0)


#: The ways in which a user's own generator can be a source.
WAYS: dict[str, Callable[[Iterator[Any]], Any]] = {"generator": lambda it: it, "inline": inline, "async": arriving}


@frozen(kw_only=True)
class Ended:
    """How an import ended, and what the platform's ledger knows of it."""

    report: ImportReport
    outcomes: tuple[BatchOutcome, ...]
    failure: AsyncImportError | None
    notices: tuple[Notice, ...] = ()
    ledger: ResourceLedger = field(repr=False)

    @property
    def rejections(self) -> dict[int, Rejected]:
        """Rejected records by position."""
        found = [outcome for outcome in self.outcomes if isinstance(outcome, Rejected)]
        return {position: outcome for outcome in found for position in outcome.positions}

    @property
    def stored(self) -> dict[str, dict[str, Any]]:
        """Committed events by their `intid`."""
        return {record["intid"]: record for record in self.ledger.records()}


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    """Records accepted, rejected, unconfirmed, unsent."""
    return report.accepted, report.rejected, report.unconfirmed, report.unsent


def holds(ended: Ended, *, copies_are_meant: bool = False) -> Ended:
    """Assert the invariants. `copies_are_meant`: the source itself gives records twice."""
    report, ledger = ended.report, ended.ledger
    # I1, I9: every record has one outcome; batches are cut in source order.
    assert (report.in_progress, report.read) == (0, sum(counts(report)) + report.skipped)
    settled = [list(outcome.positions) for outcome in ended.outcomes]
    assert all(positions == sorted(positions) for positions in settled)
    assert sorted(position for positions in settled for position in positions) == list(range(report.read))
    # I2: what is called accepted is in the ledger.
    if not copies_are_meant:
        assert report.accepted <= ledger.distinct <= report.accepted + report.unconfirmed
        # I3: copies are at most what is reported.
        assert ledger.duplicates <= report.possible_duplicates
    # I10: as many different bodies as batches, at most.
    assert len({request.body_digest for request in ledger.batches}) <= report.batches
    # I7: nothing the user is given shows a secret.
    shown = f"{report}{report!r}{report.to_dict()}{ended.notices!r}{ended.outcomes!r}{[*map(str, ended.outcomes)]}"
    assert canary.leaks(shown) == []
    return ended


async def drained(client: ImportClient, source: Any, *, resource: Any = EVENTS, **run: Any) -> Ended:
    """Run an import with this client to whatever end it has; the ledger is still to be looked at."""
    stream = client.stream(resource, source, CONFIGS[resource.name], **run)
    outcomes, failure = await to_its_end(stream)
    return Ended(report=stream.report, outcomes=outcomes, failure=failure, ledger=None)  # type: ignore[arg-type] # set at once


async def imported(
    platform: Emulator, source: Any, *, resource: Any = EVENTS, within_s: float = 30.0, **run: Any
) -> Ended:
    """One import into a platform that is there; it ends within `within_s` (I8) and leaves no task behind (I6)."""
    notices: list[Notice] = []
    policy = run.pop("policy", DispatchPolicy(batch_size=10, max_in_flight=4, retry=QUICK))
    client = ImportClient(platform.url, token=canary.TOKEN, policy=policy, observer=notices.append)
    async with asyncio.timeout(within_s), client:
        ended = await drained(client, source, resource=resource, **run)
    await asyncio.sleep(0)
    assert [name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("asyncimport")] == []
    return evolve(ended, notices=tuple(notices), ledger=platform.ledger.of(resource.name))


async def sourced(source: Any, *, script: Sequence[Any] = (), copies_are_meant: bool = False, **run: Any) -> Ended:
    """One import into a platform of its own, whose first requests meet this script; nothing is left behind."""
    before = resources()
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script(script)
        ended = holds(await imported(platform, source, **run), copies_are_meant=copies_are_meant)
        assert platform.ledger.violations == []
    await back_to(before)
    return ended


def mixed(bad: Sequence[Any], good: Callable[[int], Any] = event) -> list[Any]:
    """A good record, then each bad one with a good one behind it: bad ones have the odd positions."""
    records: list[Any] = [good(0)]
    for index, one in enumerate(bad):
        records += [one, good(2 * index + 2)]
    return records


def only_the_bad_are_rejected(ended: Ended, bad: int) -> None:
    """What `mixed` made of so many: each bad record is rejected at its place, the others are delivered."""
    assert ended.failure is None
    assert counts(ended.report) == (bad + 1, bad, 0, 0)
    assert sorted(ended.rejections) == [2 * index + 1 for index in range(bad)]
    assert ended.ledger.total == bad + 1
