import asyncio

import canary
import pytest

from asyncimport.emulator import (
    Delay,
    Fault,
    Faults,
    Gate,
    Hang,
    Ok,
    Overload,
    PartialCommit,
    Poison,
    Quota,
    ResetAfter,
    Status,
    TokenExpiresAfter,
    Workers,
)
from asyncimport.emulator.injector import Dealt
from asyncimport.emulator.meters import Meter, SlidingWindow, TokenBucket
from asyncimport.emulator.tokens import Tokens


@pytest.fixture
def faults() -> Faults:
    tokens = Tokens(newest="canary-token-7f3qzk", life_s=7200, one_at_a_time=False, now=lambda: 0.0)
    return Faults(tokens=tokens, now=lambda: 0.0)


def test_a_script_is_met_in_order_and_once(faults: Faults) -> None:
    first, second = Status(status=500), Hang()
    faults.script([first])
    faults.script([Ok(), second])
    assert faults.pending == 3
    assert [faults.deal("users").strike for _ in range(4)] == [first, None, second, None]


def test_a_step_waits_for_a_request_of_its_endpoint(faults: Faults) -> None:
    for_events, for_all = Status(status=500, on="events"), Status(status=503)
    faults.script([for_events, for_all])
    assert faults.deal("token").strike is None
    assert faults.deal("users").strike is for_all
    assert faults.deal("users").strike is None
    assert faults.deal("events").strike is for_events


def test_the_script_comes_before_what_stands_and_that_before_a_mix(faults: Faults) -> None:
    scripted, standing, mixed = Status(status=500), Status(status=503), Status(status=502)
    faults.rate(1.0, [mixed], seed=1)
    assert faults.deal("users").strike is mixed
    faults.add(standing)
    faults.script([scripted, Ok()])
    assert [faults.deal("users").strike for _ in range(3)] == [scripted, None, standing]


def test_delays_add_up_and_poisons_gather_beside_the_first_strike(faults: Faults) -> None:
    poison = Poison(where={"thirdId": "13"})
    faults.add(Delay(seconds=1), poison, ResetAfter(), Hang())
    faults.script([Delay(seconds=2)])
    assert faults.deal("users") == Dealt(delay_s=3, strike=ResetAfter(), poisons=(poison,))


def deal_by_seed(seed: int) -> list[int]:
    tokens = Tokens(newest="canary-token-7f3qzk", life_s=7200, one_at_a_time=False, now=lambda: 0.0)
    faults = Faults(tokens=tokens, now=lambda: 0.0)
    faults.rate(0.2, [Status(status=500), Status(status=503)], seed=seed)
    struck = [faults.deal("users").strike for _ in range(1000)]
    return [fault.status if isinstance(fault, Status) else 200 for fault in struck]


def test_a_mix_deals_its_share_and_equal_seeds_deal_equally() -> None:
    dealt = deal_by_seed(1)
    assert dealt == deal_by_seed(1)
    assert dealt != deal_by_seed(2)
    assert 150 < 1000 - dealt.count(200) < 250
    assert {500, 503} < set(dealt)


def test_a_cleared_set_deals_nothing(faults: Faults) -> None:
    faults.add(Status(status=500), Overload(above=0), Workers(count=1, service_s=1))
    faults.script([Hang()])
    faults.rate(1.0, [Hang()], seed=1)
    faults.hold()
    faults.clear()
    faults.in_service = 5
    assert faults.deal("users") == Dealt()
    assert faults.at_the_door("users") is None
    assert faults.gates("users") == []
    assert faults.workers("users") == []


@pytest.mark.parametrize(
    ("limit", "in_service", "refused"),
    [(Overload(above=2), 2, False), (Overload(above=2), 3, True), (Overload(above=2, on="events"), 3, False)],
    ids=["full", "over", "elsewhere"],
)
def test_overload_begins_above_its_number(faults: Faults, limit: Overload, in_service: int, refused: bool) -> None:
    faults.add(limit)
    faults.in_service = in_service
    assert (faults.at_the_door("users") is limit) is refused


def test_two_quotas_are_metered_apart(faults: Faults) -> None:
    users, events = Quota(per_s=1, on="users"), Quota(per_s=2, on="events")
    faults.add(Delay(seconds=0), users, events)
    assert [faults.at_the_door("users") for _ in range(2)] == [None, users]
    assert [faults.at_the_door("events") for _ in range(3)] == [None, None, events]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            Ok(on="coupons"),
            "no endpoint is named 'coupons'; there are events, events_v1, groups, tags, token, users, users_v2",
        ),
        (Poison(where={"a": 1}, on="token"), "Poison concerns imports: it cannot strike the token endpoint"),
        (PartialCommit(first=1, on="token"), "PartialCommit concerns imports: it cannot strike the token endpoint"),
    ],
    ids=["unknown", "poison", "partial-commit"],
)
def test_a_scope_that_means_nothing_is_refused(faults: Faults, fault: Fault, sentence: str) -> None:
    with canary.raises(ValueError, match=sentence):
        faults.add(fault)
    with canary.raises(ValueError, match=sentence):
        faults.script([fault])
    with canary.raises(ValueError, match=sentence):
        faults.rate(0.5, [fault], seed=1)


def test_a_gate_wants_an_endpoint(faults: Faults) -> None:
    with canary.raises(ValueError, match="no endpoint is named 'coupons'"):
        faults.hold("coupons")


@pytest.mark.parametrize(
    "fault", [Overload(above=1), Quota(per_s=1), Workers(count=1, service_s=0), TokenExpiresAfter(requests=1)], ids=repr
)
def test_a_fault_that_watches_all_requests_can_only_stand(faults: Faults, fault: Fault) -> None:
    with canary.raises(ValueError, match="let it stand with add"):
        faults.script([fault])
    with canary.raises(ValueError, match="let it stand with add"):
        faults.rate(0.5, [fault], seed=1)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_lies_between_0_and_1(faults: Faults, share: float) -> None:
    with canary.raises(ValueError, match="between 0 and 1"):
        faults.rate(share, [Ok()], seed=1)


def test_a_step_of_nothing_is_refused(faults: Faults) -> None:
    with canary.raises(ValueError, match="at least one fault"):
        faults.script([()])


@pytest.mark.parametrize(
    ("meter", "at_s", "admitted"),
    [
        (SlidingWindow(per_s=2), [0.0, 0.9, 0.95, 1.0, 1.5, 1.95], [True, True, False, True, False, True]),
        (
            TokenBucket(per_s=2, burst=2),
            [0.0, 0.0, 0.0, 0.4, 0.5, 60, 60, 60],
            [True, True, False, False, True, True, True, False],
        ),
    ],
    ids=["window", "bucket"],
)
def test_a_meter_admits_by_the_time_it_is_told(meter: Meter, at_s: list[float], admitted: list[bool]) -> None:
    assert [meter.admit(now_s) for now_s in at_s] == admitted


async def test_a_gate_holds_what_comes_until_it_opens() -> None:
    gate, passed = Gate(on=None), list[int]()

    async def walk(number: int) -> None:
        await gate.wait()
        passed.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(walk(number), name=f"walk {number}")
        await gate.arrived(3)
        assert (gate.waiting, passed) == (3, [])
        gate.open()
    assert passed == [0, 1, 2]
    assert (gate.waiting, gate.seen) == (0, 3)
    await walk(3)
    assert gate.seen == 3


async def test_who_leaves_a_gate_no_longer_stands_there() -> None:
    gate = Gate(on=None)
    async with asyncio.TaskGroup() as group:
        walker = group.create_task(gate.wait(), name="walker")
        await gate.arrived(1)
        walker.cancel()
    assert gate.waiting == 0
