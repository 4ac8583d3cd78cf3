import copy
import json
from typing import Any

import aiohttp
import canary
import pytest

from asyncimport.emulator import (
    EVENTS,
    EVENTS_V1,
    GROUPS,
    TAGS,
    USERS,
    USERS_V2,
    Assumptions,
    Contract,
    Emulator,
    Resource,
)
from asyncimport.emulator.body import read

CANARY = "canary-person-张三丰"

SEED_USERS: dict[str, Any] = {
    "publicParams": {"isMatching": True, "matchingType": 1, "importMode": 1},
    "data": [
        {
            "identityType": "uid",
            "thirdId": "1",
            "customFields": [
                {"configId": 1, "configName": "属性1", "values": ["p1-1", "p1-2"]},
                {"configId": 2, "configName": "属性2", "values": ["p2-1", "p2-2"]},
            ],
        }
    ],
}
SEED_EVENTS: dict[str, Any] = {
    "publicParams": {"isMatching": True, "matchingType": 1},
    "data": [
        {
            "identities": [{"identityValue": "18888888888", "identityType": "phone"}],
            "time": 1605490615673,
            "uuid": "asd123",
            "eventKey": "c_buy",
            "intid": "jjsfia-fjfoha99-ljflw0h-90dsj",
            "eventargs": {
                "c_goods": "创维洗衣机",
                "c_price": 1420.00,
                "unionid": "d3f4g2ferg3t2ff2g4g2f21f2",
                "title": "下单",
            },
        }
    ],
}
MISSING = object()


def changed(seed: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Give the seed with one place changed, or with what stands there taken out."""
    body = copy.deepcopy(seed)
    *parents, last = [int(name) if name.isdecimal() else name for name in path.split(".")]
    place: Any = body
    for name in parents:
        place = place[name]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return body


def problems(resource: Resource, body: Any, assumptions: Assumptions | None = None) -> list[str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [str(problem) for problem in read(data, resource, assumptions or Assumptions())[1]]


@pytest.mark.parametrize(
    ("path", "seed", "answer"),
    [
        (
            "/api/open/audience/info/batchAdd",
            SEED_USERS,
            {"code": "200", "errorCode": "SUCCESS", "msg": "ok", "data": 15314513451345123},
        ),
        (
            "/api/integrate/import/user/batchAdd",
            SEED_USERS,
            {"code": "200", "errorCode": "SUCCESS", "msg": "ok", "data": 15314513451345123},
        ),
        ("/api/open/event/v2/batchAdd", SEED_EVENTS, {"code": "200", "errorCode": "SUCCESS", "msg": "ok"}),
        ("/api/integrate/event/v2/batchAdd", SEED_EVENTS, {"code": "200", "errorCode": "SUCCESS", "msg": "ok"}),
    ],
    ids=["users", "users-old-address", "events", "events-old-prefix"],
)
async def test_the_documents_example_gets_the_documents_answer(
    path: str, seed: dict[str, Any], answer: dict[str, Any]
) -> None:
    async with Emulator(token="canary-token-7f3qzk") as platform, aiohttp.ClientSession() as session:
        headers = {"X-Token": platform.token}
        async with session.post(platform.origin + path, json=seed, headers=headers) as response:
            assert response.status == 200
            assert response.content_type == "application/json"
            assert await response.json() == answer
        ledger = platform.ledger.users if seed is SEED_USERS else platform.ledger.events
        assert ledger.records() == seed["data"]
        assert platform.ledger.violations == []


GOOD_USERS: dict[str, tuple[str, Any]] = {
    "no-data-about-the-user": ("data.0", {"identityType": "phone", "phone": "1"}),
    "unknown-identity-type": ("data.0", {"identityType": "cardno"}),
    "inexact-without-identity-type": ("publicParams", {"isMatching": False, "importMode": 2}),
    "fuzzy-with-way": ("publicParams", {"isMatching": True, "importMode": 2, "matchingType": 2, "identifyWay": 2}),
    "match-type": ("publicParams.accurateMatchType", "gzh"),
    "match-value": ("publicParams.accurateMatchValue", "wx1"),
    "sex": ("data.0.sex", "女"),
    "empty-string": ("data.0.remark", ""),
    "custom-field-without-anything": ("data.0.customFields", [{}]),
    "largest-config-id": ("data.0.customFields.0.configId", 2**63 - 1),
    "most-items": ("data", SEED_USERS["data"] * 500),
}


@pytest.mark.parametrize(("path", "value"), GOOD_USERS.values(), ids=GOOD_USERS)
def test_what_the_users_contract_allows_passes(path: str, value: Any) -> None:
    assert problems(USERS, changed(SEED_USERS, path, value)) == []


BAD_USERS: dict[str, tuple[str, Any, str]] = {
    "no-params": ("publicParams", MISSING, "the body must have exactly the keys publicParams and data"),
    "no-data": ("data", MISSING, "the body must have exactly the keys publicParams and data"),
    "third-key": ("more", 1, "the body must have exactly the keys publicParams and data"),
    "params-null": ("publicParams", None, "publicParams must be an object, not null"),
    "params-unknown-key": ("publicParams.optType", "add", "publicParams.optType is not documented"),
    "is-matching-missing": ("publicParams.isMatching", MISSING, "publicParams.isMatching is required"),
    "is-matching-1": ("publicParams.isMatching", 1, "publicParams.isMatching must be a boolean, not an integer"),
    "import-mode-missing": ("publicParams.importMode", MISSING, "publicParams.importMode is required"),
    "import-mode-3": ("publicParams.importMode", 3, "publicParams.importMode must be one of 1, 2"),
    "import-mode-true": ("publicParams.importMode", True, "publicParams.importMode must be one of 1, 2"),
    "import-mode-float": ("publicParams.importMode", 1.0, "publicParams.importMode must be one of 1, 2"),
    "import-mode-text": ("publicParams.importMode", "1", "publicParams.importMode must be one of 1, 2"),
    "matching-type-null": ("publicParams.matchingType", None, "publicParams.matchingType must be one of 1, 2"),
    "matching-type-0": ("publicParams.matchingType", 0, "publicParams.matchingType must be one of 1, 2"),
    "fuzzy-without-way": (
        "publicParams.matchingType",
        2,
        "publicParams.identifyWay is required when matchingType is 2",
    ),
    "way-3": ("publicParams.identifyWay", 3, "publicParams.identifyWay must be one of 1, 2"),
    "match-type": (
        "publicParams.accurateMatchType",
        CANARY,
        "publicParams.accurateMatchType must be one of gzh, workwechat, YOUZAN, EZR, contentminiapp, contenthome",
    ),
    "match-value": (
        "publicParams.accurateMatchValue",
        1,
        "publicParams.accurateMatchValue must be a string, not an integer",
    ),
    "data-object": ("data", {}, "data must be an array, not an object"),
    "data-empty": ("data", [], "data has 0 items, 1 to 500 are allowed"),
    "data-501": ("data", SEED_USERS["data"] * 501, "data has 501 items, 1 to 500 are allowed"),
    "record-text": ("data.0", CANARY, "data[0] must be an object, not a string"),
    "record-null": ("data.0", None, "data[0] must be an object, not null"),
    "unknown-key": ("data.0.name", CANARY, "data[0].name is not documented"),
    "unknown-key-with-line-break": ("data.0.a\nb", CANARY, "data[0].a\\nb is not documented"),
    "null": ("data.0.address", None, "data[0].address must be a string, not null"),
    "number-for-text": ("data.0.phone", 13800000000, "data[0].phone must be a string, not an integer"),
    "boolean-for-text": ("data.0.remark", True, "data[0].remark must be a string, not a boolean"),
    "list-for-text": ("data.0.remark", [CANARY], "data[0].remark must be a string, not an array"),
    "sex": ("data.0.sex", CANARY, "data[0].sex must be one of 男, 女"),
    "exact-without-identity": (
        "data.0.identityType",
        MISSING,
        "data[0].identityType is required when matchingType is 1",
    ),
    "identity-field-missing": (
        "data.0.identityType",
        "openid",
        "data[0].openid must be filled: identityType names it and matching is exact",
    ),
    "identity-field-empty": (
        "data.0.thirdId",
        "",
        "data[0].thirdId must be filled: identityType names it and matching is exact",
    ),
    "custom-fields-object": ("data.0.customFields", {}, "data[0].customFields must be an array, not an object"),
    "config-id-text": (
        "data.0.customFields.1.configId",
        "2",
        "data[0].customFields[1].configId must be an integer, not a string",
    ),
    "config-id-beyond-int64": (
        "data.0.customFields.1.configId",
        2**63,
        f"data[0].customFields[1].configId must lie between {-(2**63)} and {2**63 - 1}",
    ),
    "custom-field-unknown-key": ("data.0.customFields.0.value", "x", "data[0].customFields[0].value is not documented"),
    "values-with-null": (
        "data.0.customFields.0.values.1",
        None,
        "data[0].customFields[0].values[1] must be a string, not null",
    ),
    "surrogate": ("data.0.remark", "\ud800", "data holds a lone surrogate or an integer beyond 64 bits"),
}


@pytest.mark.parametrize(("path", "value", "sentence"), BAD_USERS.values(), ids=BAD_USERS)
def test_a_breach_of_the_users_contract_is_named_without_its_value(path: str, value: Any, sentence: str) -> None:
    assert problems(USERS, changed(SEED_USERS, path, value)) == [sentence]


GOOD_EVENTS: dict[str, tuple[str, Any]] = {
    "no-params": ("publicParams", {}),
    "without-time": ("data.0.time", MISSING),
    "without-uuid": ("data.0.uuid", MISSING),
    "uuid-of-36": ("data.0.uuid", "张" * 36),
    "platform": ("data.0.identities.0.platform", "another"),
    "mpid": (
        "data.0.identities.0",
        {"identityValue": "o", "identityType": "openid", "mpid": "wx1", "isWeChatEcosystem": False},
    ),
    "empty-args": ("data.0.eventargs", {}),
    "null-in-a-list-of-args": ("data.0.eventargs.c_list", ["a", None, 1]),
    "nested-args": ("data.0.eventargs.c_map", {"a": [True, {"b": 2**63 - 1}]}),
}


@pytest.mark.parametrize(("path", "value"), GOOD_EVENTS.values(), ids=GOOD_EVENTS)
def test_what_the_events_contract_allows_passes(path: str, value: Any) -> None:
    assert problems(EVENTS, changed(SEED_EVENTS, path, value)) == []


BAD_EVENTS: dict[str, tuple[str, Any, str]] = {
    "import-mode": ("publicParams.importMode", 1, "publicParams.importMode is not documented"),
    "no-identities": ("data.0.identities", MISSING, "data[0].identities is required"),
    "zero-identities": ("data.0.identities", [], "data[0].identities has 0 items, at least 1 must be there"),
    "identity-text": ("data.0.identities.0", CANARY, "data[0].identities[0] must be an object, not a string"),
    "no-value": ("data.0.identities.0.identityValue", MISSING, "data[0].identities[0].identityValue is required"),
    "empty-value": ("data.0.identities.0.identityValue", "", "data[0].identities[0].identityValue must not be empty"),
    "no-type": ("data.0.identities.0.identityType", MISSING, "data[0].identities[0].identityType is required"),
    "struck-out-appid": ("data.0.identities.0.appid", "wx1", "data[0].identities[0].appid is not documented"),
    "mpid-alone": (
        "data.0.identities.0.mpid",
        "wx1",
        "data[0].identities[0].isWeChatEcosystem is required when mpid is sent",
    ),
    "ecosystem-text": (
        "data.0.identities.0.isWeChatEcosystem",
        "true",
        "data[0].identities[0].isWeChatEcosystem must be a boolean, not a string",
    ),
    "time-text": ("data.0.time", "1605490615673", "data[0].time must be an integer, not a string"),
    "time-float": ("data.0.time", 1605490615673.0, "data[0].time must be an integer, not a number"),
    "time-true": ("data.0.time", True, "data[0].time must be an integer, not a boolean"),
    "time-in-seconds": ("data.0.time", 1605490615, f"data[0].time must lie between {10**11} and {10**14}"),
    "time-in-microseconds": ("data.0.time", 1605490615673000, f"data[0].time must lie between {10**11} and {10**14}"),
    "uuid-of-37": ("data.0.uuid", "x" * 37, "data[0].uuid has 37 characters, at most 36 are allowed"),
    "uuid-null": ("data.0.uuid", None, "data[0].uuid must be a string, not null"),
    "no-key": ("data.0.eventKey", MISSING, "data[0].eventKey is required"),
    "args-list": ("data.0.eventargs", [], "data[0].eventargs must be an object, not an array"),
    "args-null": ("data.0.eventargs", None, "data[0].eventargs must be an object, not null"),
    "null-in-args": ("data.0.eventargs.title", None, "data[0].eventargs.title must not be null"),
    "null-in-a-map-of-args": ("data.0.eventargs.c_m", {"a": None}, "data[0].eventargs.c_m.a must not be null"),
    "long-key": ("data.0.eventargs." + "k" * 50, None, f"data[0].eventargs.{'k' * 40} must not be null"),
    "beyond-int64": (
        "data.0.eventargs.c_price",
        2**63,
        f"data[0].eventargs.c_price must lie between {-(2**63)} and {2**63 - 1}",
    ),
}


@pytest.mark.parametrize(("path", "value", "sentence"), BAD_EVENTS.values(), ids=BAD_EVENTS)
def test_a_breach_of_the_events_contract_is_named_without_its_value(path: str, value: Any, sentence: str) -> None:
    assert problems(EVENTS, changed(SEED_EVENTS, path, value)) == [sentence]


def test_a_number_that_reads_as_infinite_is_refused() -> None:
    body = json.dumps(SEED_EVENTS).replace("1420.0", "1e999").encode()
    assert problems(EVENTS, body) == ["data[0].eventargs.c_price must be a finite number"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        json.dumps(SEED_EVENTS).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(SEED_EVENTS).encode(),
        json.dumps(SEED_EVENTS).encode() + b"x",
        json.dumps(SEED_EVENTS).replace("1420.0", "NaN").encode(),
        json.dumps(SEED_EVENTS).replace("1420.0", "-Infinity").encode(),
        json.dumps(SEED_EVENTS).replace('"title"', '"c_goods"').encode(),
        json.dumps(SEED_EVENTS).replace("1420.0", "9" * 5000).encode(),
        b"[" * 100_000,
    ],
    ids=["empty", "cut", "utf-16", "bom", "more", "nan", "infinity", "key-twice", "5000-digits", "100000-deep"],
)
def test_what_is_no_strict_json_is_refused(body: bytes) -> None:
    (problem,) = problems(EVENTS, body)
    assert problem.startswith("the body must be UTF-8 JSON")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    (problem,) = problems(EVENTS, body)
    assert problem.startswith("the body must be an object")


def test_with_a_verdict_per_record_every_bad_record_is_named_and_the_others_are_kept() -> None:
    good = SEED_USERS["data"][0]
    body = {"publicParams": SEED_USERS["publicParams"], "data": [good | {"sex": "x"}, good, {}]}
    assumptions = Assumptions(one_bad_record_fails_batch=False)
    batch, found = read(json.dumps(body).encode(), USERS, assumptions)
    assert [str(problem) for problem in found] == [
        "data[0].sex must be one of 男, 女",
        "data[2].identityType is required when matchingType is 1",
    ]
    assert batch is not None
    assert batch.records == [good]


def test_the_inferred_rule_of_exact_matching_can_be_switched_off() -> None:
    body = changed(SEED_USERS, "data.0.thirdId", MISSING)
    assert problems(USERS, body) != []
    assert problems(USERS, body, Assumptions(exact_needs_identity=False)) == []


async def test_a_breach_refuses_the_whole_batch_and_stands_in_the_ledger() -> None:
    body = changed(SEED_USERS, "data.0.sex", CANARY)
    body["data"].append(SEED_USERS["data"][0])
    async with Emulator(token="canary-token-7f3qzk") as platform, aiohttp.ClientSession() as session:
        url, headers = f"{platform.url}/audience/info/batchAdd", {"X-Token": platform.token}
        async with session.post(url, json=body, headers=headers) as response:
            assert response.status == 200
            answer = await response.json()
        assert answer == {"code": "400", "errorCode": "PARAM_ERROR", "msg": "data[0].sex must be one of 男, 女"}
        assert platform.ledger.users.total == 0
        assert platform.ledger.violations == ["users: data[0].sex must be one of 男, 女"]


WHO = {"identities": [{"identityValue": "18888888888", "identityType": "phone"}]}
DEPARTMENT = "data[0].wxDeptId or thirdDeptId or deptId is required when categoryType is 2"
FURTHER: dict[str, tuple[Resource, dict[str, Any]]] = {
    "users_v2": (
        USERS_V2,
        {
            "publicParams": {"matchingType": 1, "importMode": 2},
            "data": [WHO | {"realName": "a", "sex": "女", "customFields": [{"configId": 1, "values": ["x"]}]}],
        },
    ),
    "events_v1": (
        EVENTS_V1,
        {
            "publicParams": {"isMatching": True, "matchingType": 1, "accurateMatchType": "gzh"},
            "data": [{"identityType": "openid", "openid": "o", "time": 1605490615673, "uuid": "u", "eventKey": "c_a"}],
        },
    ),
    "tags": (TAGS, {"publicParams": {"optType": "add"}, "data": [WHO | {"operateTags": [{"x": [1, None]}, "a"]}]}),
    "groups": (
        GROUPS,
        {"publicParams": {"optType": "delete"}, "data": [WHO | {"groups": "a,b", "categoryType": "2", "deptId": 0}]},
    ),
}


@pytest.mark.parametrize(("resource", "body"), FURTHER.values(), ids=FURTHER)
async def test_a_body_within_the_contract_is_answered_as_documented(resource: Resource, body: dict[str, Any]) -> None:
    paths = [f"/api/open{resource.path}", *([f"/api/integrate{resource.old_path}"] if resource.old_path else [])]
    async with Emulator(token="canary-token-7f3qzk") as platform, aiohttp.ClientSession() as session:
        for number, path in enumerate(paths):
            headers = {"X-Token": platform.token}
            async with session.post(platform.origin + path, json=body, headers=headers) as response:
                batch_id = {"data": 15314513451345123 + number} if resource is not EVENTS_V1 else {}
                assert await response.json() == {"code": "200", "errorCode": "SUCCESS", "msg": "ok"} | batch_id
        ledger = getattr(platform.ledger, resource.name)
        assert ledger.records() == body["data"] * len(paths)
        assert set(ledger.by_key) == {"u"} if resource is EVENTS_V1 else len(ledger.by_key) == 1
        assert platform.ledger.violations == []


BAD_FURTHER: list[tuple[str, str, Any, str]] = [
    ("users_v2", "publicParams.importMode", MISSING, "publicParams.importMode is required"),
    ("users_v2", "publicParams.isMatching", True, "publicParams.isMatching is not documented"),
    ("users_v2", "data.0.identities", MISSING, "data[0].identities is required"),
    ("users_v2", "data.0.identities", [], "data[0].identities has 0 items, at least 1 must be there"),
    ("users_v2", "data.0.phone", "1", "data[0].phone is not documented"),
    ("users_v2", "data.0.sex", CANARY, "data[0].sex must be one of 男, 女"),
    (
        "users_v2",
        "data.0.identities.0.mpid",
        "wx1",
        "data[0].identities[0].isWeChatEcosystem is required when mpid is sent",
    ),
    ("events_v1", "publicParams.matchingType", 2, "publicParams.identifyWay is required when matchingType is 2"),
    ("events_v1", "publicParams.importMode", 1, "publicParams.importMode is not documented"),
    ("events_v1", "data.0.identityType", MISSING, "data[0].identityType is required when matchingType is 1"),
    (
        "events_v1",
        "data.0.openid",
        MISSING,
        "data[0].openid must be filled: identityType names it and matching is exact",
    ),
    ("events_v1", "data.0.uuid", "x" * 37, "data[0].uuid has 37 characters, at most 36 are allowed"),
    ("events_v1", "data.0.time", 1605490615, f"data[0].time must lie between {10**11} and {10**14}"),
    ("events_v1", "data.0.identities", [], "data[0].identities is not documented"),
    ("tags", "publicParams.optType", MISSING, "publicParams.optType is required"),
    ("tags", "publicParams.optType", CANARY, "publicParams.optType must be one of add, delete"),
    ("tags", "data.0.identities", MISSING, "data[0].identities is required"),
    ("tags", "data.0.operateTags", CANARY, "data[0].operateTags must be an array, not a string"),
    ("tags", "data.0.operateTags.0", {"a": None}, "data[0].operateTags[0].a must not be null"),
    ("tags", "data.0.operateTags.1", 2**63, f"data[0].operateTags[1] must lie between {-(2**63)} and {2**63 - 1}"),
    ("groups", "publicParams.optType", MISSING, "publicParams.optType is required"),
    ("groups", "data.0.identities", [], "data[0].identities has 0 items, at least 1 must be there"),
    ("groups", "data.0.groups", ["a"], "data[0].groups must be a string, not an array"),
    ("groups", "data.0.categoryType", 2, "data[0].categoryType must be one of 1, 2"),
    ("groups", "data.0.deptId", "7", "data[0].deptId must be an integer, not a string"),
    ("groups", "data.0.deptId", MISSING, DEPARTMENT),
]


@pytest.mark.parametrize(("name", "path", "value", "sentence"), BAD_FURTHER)
def test_a_breach_of_the_further_contracts_is_named_without_its_value(
    name: str, path: str, value: Any, sentence: str
) -> None:
    resource, body = FURTHER[name]
    assert problems(resource, body) == []
    assert problems(resource, changed(body, path, value)) == [sentence]


def test_an_empty_department_is_none() -> None:
    resource, body = FURTHER["groups"]
    empty = changed(changed(body, "data.0.deptId", MISSING), "data.0.wxDeptId", "")
    assert problems(resource, empty) == [DEPARTMENT]
    assert problems(resource, changed(empty, "data.0.categoryType", "1")) == []


class Declared:
    """As a client declares a resource."""

    name, path, has_batch_id, is_stamped = "coupons", "/coupon/batchAdd", True, True


async def test_a_declared_resource_is_served_with_any_objects() -> None:
    body = {"publicParams": {"shop": "x"}, "data": [{"uuid": "a", "free": [1]}, {"uuid": "a"}, {}]}
    async with Emulator(resources=[Declared()]) as platform, aiohttp.ClientSession() as session:
        platform.faults.hold("coupons").open()
        url, headers = f"{platform.url}/coupon/batchAdd", {"X-Token": platform.token}
        async with session.post(url, json=body, headers=headers) as response:
            assert (await response.json())["data"] == 15314513451345123
        async with session.post(url, json=body | {"data": [1]}, headers=headers) as response:
            assert (await response.json())["msg"] == "data[0] must be an object, not an integer"
        coupons = platform.ledger.of("coupons")
        assert (coupons.records(), coupons.by_key["a"]) == (body["data"], 2)
        assert platform.ledger.to_dict()["coupons"]["total"] == 3


async def test_a_declared_resource_may_have_a_contract() -> None:
    contract = Contract(params=USERS.contract.params, record=EVENTS.contract.record)
    coupons = Resource(name="coupons", path="/c", contract=contract, answers_batch_id=False)
    body = {"publicParams": SEED_USERS["publicParams"], "data": SEED_EVENTS["data"]}
    assert problems(coupons, body) == []
    async with Emulator(resources=[coupons]) as platform, aiohttp.ClientSession() as session:
        headers = {"X-Token": platform.token}
        async with session.post(f"{platform.url}/c", json=body, headers=headers) as response:
            assert await response.json() == {"code": "200", "errorCode": "SUCCESS", "msg": "ok"}
        async with session.post(f"{platform.url}/c", json=SEED_USERS, headers=headers) as response:
            assert (await response.json())["code"] == "400"
        assert platform.ledger.of("coupons").records() == SEED_EVENTS["data"]


@pytest.mark.parametrize(
    ("name", "path", "twice"),
    [
        ("users", "/c", "users"),
        ("token", "/c", "token"),
        ("coupons", "/audience/info/batchAdd", "/api/open/audience/info/batchAdd"),
        ("coupons", "/app/getOrgAccessToken", "/api/open/app/getOrgAccessToken"),
    ],
)
def test_a_name_or_path_that_is_taken_is_not_served(name: str, path: str, twice: str) -> None:
    with canary.raises(ValueError, match=f"two resources are served as {twice}"):
        Emulator(resources=[Resource(name=name, path=path, answers_batch_id=True)])
