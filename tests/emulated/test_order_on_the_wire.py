"""order_by over real sockets: the commits of the emulator are the witness, while the first of a key waits behind a gate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import canary
from leftovers import back_to, resources

from asyncimport import USERS, DispatchPolicy, ImportClient, ImportMode, RetryPolicy, UserImportConfig, UserProfile
from asyncimport.emulator import Emulator, Ok, ResetAfter, ResetBefore, Status

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)


def people(count: int, keys: int) -> Iterator[UserProfile]:
    for n in range(count):
        yield UserProfile(third_id=f"{n % keys}", remark=f"{n}", real_name=canary.PERSON)


async def test_the_ledger_has_each_users_records_in_the_order_of_a_threaded_source_under_faults() -> None:
    before = resources()
    policy = DispatchPolicy(batch_size=20, max_in_flight=8, retry=RetryPolicy(base_s=0.01, cap_s=0.02, floor_s=0.001))
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script(
            [ResetAfter(), Status(status=500), ResetBefore(), Ok(), Status(status=429, headers={"Retry-After": "0"})]
            * 3
        )
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy) as client:
            report = await client.run(USERS, people(400, 17), CONFIG, order_by=["third_id"])
        records = platform.ledger.users.records()
    assert report.accepted == 400
    for key in range(17):
        numbers = [int(record["remark"]) for record in records if record["thirdId"] == f"{key}"]
        assert numbers == sorted(numbers)
        assert numbers[-1] == max(n for n in range(400) if n % 17 == key)
    await back_to(before)


async def test_a_record_whose_user_is_under_way_waits_at_the_gate_and_others_do_not() -> None:
    source = [UserProfile(third_id=one, remark=f"{n}") for n, one in enumerate("abca")]
    async with Emulator(token=canary.TOKEN) as platform, ImportClient(platform.url, token=canary.TOKEN) as client:
        gate = platform.faults.hold()
        async with client.stream(USERS, source, CONFIG, order_by=["third_id"]) as outcomes:
            await asyncio.wait_for(gate.arrived(1), 5)
            await asyncio.sleep(0.02)
            assert platform.ledger.in_flight == 1
            gate.open()
            found = [outcome async for outcome in outcomes]
        assert [[*outcome.positions] for outcome in found] == [[0, 1, 2], [3]]
        assert [record["remark"] for record in platform.ledger.users.records()] == ["0", "1", "2", "3"]
