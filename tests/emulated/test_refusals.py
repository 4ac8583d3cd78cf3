"""The cases of `docs/reliability.md` over real sockets, each held to its bound by the emulator's ledger."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve
from tcp_proxy import TcpProxy

from asyncimport import USERS, DispatchPolicy, ImportClient, ImportMode, ImportReport, UserImportConfig, UserProfile
from asyncimport.emulator import Emulator
from asyncimport.observer import AttemptFailed
from benchmarks.refusals import CASES, Case, measured

#: Smaller, where the case is the same with fewer records.
SIZES = {"1 % bad rows of 100,000": 4_000, "everything from the start": 50_000, "everything from the middle": 60_000}


def smaller(case: Case) -> Case:
    records = SIZES.get(case.name, case.records)
    return evolve(case, records=records, culprits=tuple(culprit for culprit in case.culprits if culprit < records))


@pytest.mark.parametrize("case", [smaller(case) for case in CASES], ids=lambda case: case.name.replace(" ", "-"))
async def test_requests_stay_within_the_bound_and_nobody_innocent_is_rejected(case: Case) -> None:
    found = await measured(case)
    assert case.at_most is None or found.requests <= case.at_most
    assert (found.innocent_rejected, found.duplicates) == (0, 0)
    if found.ended_by is None:
        assert (found.accepted, found.unsent) == (case.records - len(case.culprits), 0)
    else:
        assert (found.ended_by, found.rejected, found.unconfirmed) == ("PlatformRefused", 0, 0)


@pytest.mark.breakage("breaker: never open it")
async def test_a1_connections_refused_for_eight_seconds_cost_few_requests_and_everything_is_delivered() -> None:
    config = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
    count = 20_000
    failures = 0

    def observe(notice: object) -> None:
        nonlocal failures
        failures += isinstance(notice, AttemptFailed)

    async def imported(url: str, token: str) -> ImportReport:
        people = (UserProfile(third_id=f"{n}") for n in range(count))
        policy = DispatchPolicy(batch_size=20, max_in_flight=8)
        async with ImportClient(url, token=token, policy=policy, observer=observe) as client:
            return await client.run(USERS, people, config)

    async with Emulator(keep_records=False) as platform:
        proxy = TcpProxy(platform.port)
        async with proxy.listening():
            running = asyncio.create_task(imported(proxy.url, platform.token))
            while platform.ledger.requests < 200:  # noqa: ASYNC110 -- the ledger rings no bell
                await asyncio.sleep(0.005)
        await asyncio.sleep(8.0)
        async with proxy.listening():
            report = await running
        ledger = platform.ledger.users
        assert (report.accepted, report.unconfirmed) == (count, 0)
        assert ledger.distinct == count
        assert ledger.duplicates <= report.possible_duplicates <= 8 * 20
        assert failures <= 60
        assert report.elapsed_s < 8 + 20
