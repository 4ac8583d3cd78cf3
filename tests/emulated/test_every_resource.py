"""Each further resource end to end over real sockets: the ledger of the emulator, which checks every body, is the witness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import canary
import orjson
import pytest
from attrs import define, field, frozen

from asyncimport import (
    EVENTS_V1,
    GROUPS,
    TAGS,
    USERS_V2,
    DispatchPolicy,
    EventImportConfigV1,
    EventV1,
    GroupAssignment,
    GroupImportConfig,
    Identity,
    ImportClient,
    ImportMode,
    MatchingType,
    OptType,
    Resource,
    TagAssignment,
    TagImportConfig,
    UserImportConfigV2,
    UserProfileV2,
)
from asyncimport.declaration import Config, JsonList, Needs, Record, Requirement, Text, is_a, wire
from asyncimport.emulator import Emulator, Hang, Ok
from asyncimport.sources import read_csv, read_jsonl, replay

#: Two full batches and a rest.
COUNT = 1_203
#: Of the records the one that is bad.
BAD = 700


@frozen
class Case:
    """One resource: good records by their number, a bad one, the reason of its rejection, and what shall arrive."""

    resource: Resource
    config: Config
    good: Callable[[int], Any]
    bad: Any
    reason: str
    arrives: Callable[[int], dict[str, Any]]


def who(number: int) -> list[Identity]:
    return [Identity(identity_type="phone", identity_value=f"138{number:08}")]


def whose(number: int) -> list[dict[str, Any]]:
    return [{"identityType": "phone", "identityValue": f"138{number:08}"}]


CASES = [
    Case(
        USERS_V2,
        UserImportConfigV2(import_mode=ImportMode.PARTIAL, matching_type=MatchingType.EXACT),
        lambda n: UserProfileV2(identities=who(n), real_name=canary.PERSON),
        UserProfileV2(identities=who(1), sex=canary.PERSON),
        "sex: takes one of 男, 女",
        lambda n: {"identities": whose(n), "realName": canary.PERSON},
    ),
    Case(
        EVENTS_V1,
        EventImportConfigV1(is_matching=True, matching_type=MatchingType.EXACT),
        lambda n: EventV1(
            identity_type="id", third_id=f"{n}", event_key="c_a", uuid=f"{n}", time=1605490615673, eventargs={"c_n": n}
        ),
        EventV1(identity_type="phone", third_id="1"),
        "phone: is required with exact matching when identityType names it",
        lambda n: {
            "identityType": "id",
            "thirdId": f"{n}",
            "eventKey": "c_a",
            "uuid": f"{n}",
            "time": 1605490615673,
            "eventargs": {"c_n": n},
        },
    ),
    Case(
        TAGS,
        TagImportConfig(opt_type=OptType.ADD),
        lambda n: {"identities": whose(n), "operate_tags": [{"id": n, "none": None, "in": [None, {"x": 1.5}]}, "vip"]},
        TagAssignment(identities=who(1), operate_tags=[{"id": {1}}]),
        "operateTags[].*: takes JSON values only; convert it to text or a number first",
        lambda n: {"identities": whose(n), "operateTags": [{"id": n, "in": [None, {"x": 1.5}]}, "vip"]},
    ),
    Case(
        GROUPS,
        GroupImportConfig(opt_type=OptType.DELETE, matching_type=MatchingType.FUZZY),
        lambda n: GroupAssignment(identities=who(n), groups="a,b", category_type="2", dept_id=n),
        GroupAssignment(identities=who(1), groups="a", category_type="2"),
        "wxDeptId: is needed, or thirdDeptId or deptId, when categoryType is 2",
        lambda n: {"identities": whose(n), "groups": "a,b", "categoryType": "2", "deptId": n},
    ),
]


def spelled(record: dict[str, Any]) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.resource.name)
async def test_records_arrive_in_batches_of_500_and_a_bad_one_is_rejected_by_its_field(case: Case) -> None:
    records = [case.bad if n == BAD else case.good(n) for n in range(COUNT)]
    async with Emulator() as platform, ImportClient(platform.url, token=platform.token) as client:
        checked = await client.check(case.resource, records, case.config)
        report = await client.run(case.resource, iter(records), case.config)
        ledger = platform.ledger.of(case.resource.name)
        assert (report.read, report.accepted, report.rejected) == (COUNT, COUNT - 1, 1)
        assert report.rejected_by_reason == checked.rejected_by_reason == {case.reason: 1}
        assert [first.position for first in report.first_rejections] == [BAD]
        assert sorted(request.records for request in ledger.batches) == [202, 500, 500]
        assert sorted(ledger.records(), key=spelled) == sorted(
            (case.arrives(n) for n in range(COUNT) if n != BAD), key=spelled
        )
        assert len(report.batch_ids) == (3 if case.resource.has_batch_id else 0)
        assert set(report.batch_ids) <= {request.batch_id for request in ledger.batches}
        assert platform.ledger.violations == []


async def test_events_of_the_first_version_are_stamped() -> None:
    async with Emulator() as platform, ImportClient(platform.url, token=platform.token) as client:
        report = await client.run(EVENTS_V1, [EventV1(event_key="c_a"), {"event_key": "c_b"}], EventImportConfigV1())
        records = platform.ledger.events_v1.records()
        assert [len(record["uuid"]) for record in records] == [36, 36]
        assert len({record["uuid"] for record in records}) == report.accepted == 2
        assert all(record["time"] > 1_700_000_000_000 for record in records)
        assert platform.ledger.violations == []


def tagged(number: int) -> TagAssignment:
    return TagAssignment(identities=who(number), operate_tags=[number])


@pytest.mark.parametrize("resource", [TAGS, EVENTS_V1], ids=lambda resource: resource.name)
async def test_an_import_that_was_stopped_goes_on_from_its_journal(tmp_path: Path, resource: Resource) -> None:
    records: list[Any]
    config: Config
    if resource is TAGS:
        records, config = [tagged(n) for n in range(1_000)], TagImportConfig(opt_type=OptType.ADD)
    else:
        records, config = [EventV1(third_id=f"{n}") for n in range(1_000)], EventImportConfigV1()
    policy = DispatchPolicy(batch_size=100, max_in_flight=2, drain_s=0.05)
    run: dict[str, Any] = {"journal": tmp_path / "a.journal", "source_id": "records"}
    async with Emulator() as platform, ImportClient(platform.url, token=platform.token, policy=policy) as client:
        platform.faults.script([Ok()] * 3)
        platform.faults.add(Hang())
        async with client.stream(resource, records, config, **run) as outcomes:
            async for _ in outcomes:
                if outcomes.report.accepted == 300:
                    break
        assert (outcomes.report.accepted, outcomes.report.ok) == (300, False)
        platform.faults.clear()
        report = await client.run(resource, records, config, **run)
        ledger = platform.ledger.of(resource.name)
        assert (report.read, report.accepted, report.ok) == (1_000, 1_000, True)
        assert (ledger.total, ledger.duplicates, platform.ledger.violations) == (1_000, 0, [])


async def test_what_was_rejected_is_repaired_and_replayed(tmp_path: Path) -> None:
    rejects, config = tmp_path / "rejects.ndjson", GroupImportConfig(opt_type=OptType.ADD)
    async with Emulator() as platform, ImportClient(platform.url, token=platform.token) as client:
        groups = [{"identities": whose(1), "groups": "a", "categoryType": "3"}]
        assert (await client.run(GROUPS, groups, config, rejects=rejects)).rejected == 1
        rejects.write_text(rejects.read_text(encoding="utf-8").replace('"3"', '"1"'), encoding="utf-8")
        assert (await client.run(GROUPS, replay(rejects), config)).accepted == 1
        assert platform.ledger.groups.records() == [{"identities": whose(1), "groups": "a", "categoryType": "1"}]


@define(kw_only=True, repr=False)
class Coupon(Record):
    code: str | None = field(default=None, metadata=wire("couponCode", Text(max_chars=8), required=True))
    amount: str | None = field(default=None, metadata=wire("amount", Text()))
    currency: str | None = field(default=None, metadata=wire("currency", Text(choices=("CNY",))))
    shops: Any = field(default=None, metadata=wire("shops", JsonList()))
    REQUIREMENTS: ClassVar[tuple[Requirement, ...]] = (Needs("amount", "currency"),)


@frozen(kw_only=True)
class CouponConfig(Config):
    opt_type: OptType = field(validator=is_a(OptType), metadata={"wire": "optType"})


COUPONS = Resource(name="coupons", path="/coupon/batchAdd", record=Coupon, config=CouponConfig, has_batch_id=True)
ADD = CouponConfig(opt_type=OptType.ADD)


async def test_a_resource_of_the_users_own_is_run_checked_and_journaled(tmp_path: Path) -> None:
    records = [Coupon(code=f"{n}", shops=[n]) for n in range(1_200)]
    records[7].amount = "5"
    async with Emulator(resources=[COUPONS]) as platform, ImportClient(platform.url, token=platform.token) as client:
        checked = await client.check(COUPONS, records, ADD)
        report = await client.run(COUPONS, records, ADD, journal=tmp_path / "a.journal", source_id="coupons")
        again = await client.run(COUPONS, records, ADD, journal=tmp_path / "a.journal", source_id="coupons")
        assert (
            report.rejected_by_reason == checked.rejected_by_reason == {"currency: is required when amount is given": 1}
        )
        assert (report.resource, report.accepted, again.accepted) == ("coupons", 1_199, 1_199)
        coupons = platform.ledger.of("coupons")
        assert (coupons.total, coupons.duplicates, len(coupons.batches)) == (1_199, 0, len(report.batch_ids))
        assert {"couponCode": "8", "shops": [8]} in coupons.records()


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
async def test_files_know_the_fields_of_a_declared_resource(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"coupons.{ending}"
    path.write_text("couponCode,amount,currency\nA,1,CNY\n" if ending == "csv" else '{"couponCode":"A","shops":[1]}\n')
    source = read_csv(path, Coupon) if ending == "csv" else read_jsonl(path)
    async with Emulator(resources=[COUPONS]) as platform, ImportClient(platform.url, token=platform.token) as client:
        assert (await client.run(COUPONS, source, ADD)).ok
        assert platform.ledger.of("coupons").records()[0]["couponCode"] == "A"
