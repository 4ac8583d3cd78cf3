"""How many requests do refusals and outages take? `python -m benchmarks.refusals` asks the emulator's ledger and stores it.

Each case is one import into the emulator on loopback at the default width; its ledger is the witness of requests and of
what was taken. `docs/reliability.md` has the table; the tests hold every case to its bound.
"""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from attrs import asdict, frozen

from asyncimport import (
    USERS,
    AsyncImportError,
    BatchOutcome,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    Rejected,
    Unconfirmed,
    UserImportConfig,
    UserProfile,
)
from asyncimport.emulator import Emulator, Envelope, Ok, Poison, Status
from benchmarks.results import FOLDER, environment

CONFIG: Final = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
RESULTS: Final = FOLDER / "refusals.json"
#: Two requests for each halving of 500, and three to be sure (DESIGN.md: 2 log2(500) + 3).
A_CULPRIT: Final = 18 + 3
#: Requests that are well before a fault begins.
_BEFORE: Final = 20
REFUSED: Final = Envelope(code="40300", msg="no permission")


@frozen(kw_only=True)
class Case:
    """One import, what is wrong with it, and the requests it may take."""

    name: str
    records: int
    #: Positions of the records that the platform refuses, or breaks on.
    culprits: tuple[int, ...] = ()
    #: Sets the platform up, and changes it while the import goes on.
    happens: Callable[[Emulator], Coroutine[Any, Any, None]]
    #: Batches beforehand, where only later requests are bounded.
    before: int = 0
    at_most: int | None = None


@frozen(kw_only=True)
class Found:
    """What an import came to, by the ledger."""

    name: str
    records: int
    batches: int
    requests: int
    at_most: int | None
    accepted: int
    rejected: int
    unconfirmed: int
    unsent: int
    #: Records rejected that nothing is wrong with.
    innocent_rejected: int
    #: Records that the platform took more than once.
    duplicates: int
    ended_by: str | None
    elapsed_s: float


def poison(status: int | None = None) -> Callable[[Emulator], Coroutine[Any, Any, None]]:
    """The platform refuses batches with a record that is marked, or answers them with a status."""

    async def happens(platform: Emulator) -> None:
        platform.faults.add(Poison(where={"remark": "bad"}, status=status))

    return happens


def refuses_all(first: int = 0) -> Callable[[Emulator], Coroutine[Any, Any, None]]:
    """The platform refuses everything, but for the first requests."""

    async def happens(platform: Emulator) -> None:
        platform.faults.script([Ok()] * first)
        platform.faults.add(REFUSED)

    return happens


def for_seconds(length_s: float, fault: Envelope | Status) -> Callable[[Emulator], Coroutine[Any, Any, None]]:
    """After twenty requests every request meets a fault for a while."""

    async def happens(platform: Emulator) -> None:
        platform.faults.script([Ok()] * _BEFORE)
        platform.faults.add(fault)
        while platform.ledger.requests <= _BEFORE:  # noqa: ASYNC110 -- the ledger rings no bell
            await asyncio.sleep(0.005)
        await asyncio.sleep(length_s)
        platform.faults.clear()

    return happens


def _one_in(many: int, records: int) -> tuple[int, ...]:
    return tuple(range(many // 2, records, many))


CASES: Final = (
    Case(name="one culprit in 10,000", records=10_000, culprits=(4_321,), happens=poison(), at_most=20 + A_CULPRIT),
    Case(name="the last record of 10,000", records=10_000, culprits=(9_999,), happens=poison(), at_most=20 + A_CULPRIT),
    Case(
        name="three in one batch",
        records=10_000,
        culprits=(1_001, 1_200, 1_499),
        happens=poison(),
        at_most=20 + 3 * A_CULPRIT,
    ),
    Case(name="a culprit by HTTP 400", records=10_000, culprits=(77,), happens=poison(400), at_most=20 + A_CULPRIT),
    Case(name="a culprit by HTTP 500", records=10_000, culprits=(77,), happens=poison(500), at_most=20 + 2 + A_CULPRIT),
    Case(name="1 % bad rows of 100,000", records=100_000, culprits=_one_in(100, 100_000), happens=poison()),
    Case(name="everything from the start", records=1_000_000, happens=refuses_all(), at_most=30),
    Case(name="everything from the middle", records=100_000, happens=refuses_all(100), before=100, at_most=30),
    Case(name="everything for a second", records=50_000, happens=for_seconds(1.0, REFUSED)),
    Case(name="HTTP 503 for 8 s", records=50_000, happens=for_seconds(8.0, Status(status=503)), at_most=100 + 60),
)


def people(case: Case) -> Iterator[UserProfile]:
    """The source of a case."""
    culprits = set(case.culprits)
    return (UserProfile(third_id=f"{n}", remark="bad" if n in culprits else "good") for n in range(case.records))


async def measured(case: Case) -> Found:
    """Run a case; requests beyond `before` count."""
    began, rejected = time.perf_counter(), set[int]()
    failure: AsyncImportError | None = None

    def count(outcome: BatchOutcome) -> None:
        if isinstance(outcome, Rejected | Unconfirmed):
            rejected.update(outcome.positions)

    async with Emulator(keep_records=False) as platform, asyncio.TaskGroup() as tasks:
        happening = tasks.create_task(case.happens(platform), name="happens")
        async with ImportClient(platform.url, token=platform.token, policy=DispatchPolicy()) as client:
            stream = client.stream(USERS, people(case), CONFIG)
            try:
                async with stream:
                    async for outcome in stream:
                        count(outcome)
            except AsyncImportError as error:
                failure = error
        await happening
        report, ledger = stream.report, platform.ledger.users
        if report.accepted != ledger.distinct:
            raise RuntimeError(f"{case.name}: {report.accepted} reported accepted, {ledger.distinct} taken")
        return Found(
            name=case.name,
            records=case.records,
            batches=report.batches,
            requests=platform.ledger.requests - case.before,
            at_most=case.at_most,
            accepted=report.accepted,
            rejected=report.rejected,
            unconfirmed=report.unconfirmed,
            unsent=report.unsent,
            innocent_rejected=len(rejected - set(case.culprits)),
            duplicates=ledger.duplicates,
            ended_by=None if failure is None else type(failure).__name__,
            elapsed_s=round(time.perf_counter() - began, 2),
        )


def main() -> None:
    """Measure every case and store what was found."""
    found: list[dict[str, Any]] = []
    for case in CASES:
        one = asyncio.run(measured(case))
        found.append(asdict(one))
        print(f"{one.name:<28}{one.requests:>7} requests{one.innocent_rejected:>4} innocent{one.elapsed_s:>8.2f} s")
    stored = {"question": "refusals", "environment": environment(), "cases": found}
    RESULTS.write_text(f"{json.dumps(stored, indent=2, ensure_ascii=False)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
