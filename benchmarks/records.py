"""The records of the contenders: a user and an event of about 400 bytes on the wire, typed and as mappings.

All forms of one number hold the same values, so every contender sends the same bytes; `questions.py` checks it. Each
record has its own strings, as records read from a table have.
"""

from typing import Any, Final

from asyncimport import (
    CustomField,
    Event,
    EventImportConfig,
    Identity,
    ImportMode,
    MatchingType,
    UserImportConfig,
    UserProfile,
)

Mapping = dict[str, Any]

#: Exact matching makes admission look at one more rule than fuzzy matching does: the dearer case.
USER_CONFIG: Final = UserImportConfig(
    is_matching=True, matching_type=MatchingType.EXACT, import_mode=ImportMode.PARTIAL
)
EVENT_CONFIG: Final = EventImportConfig(matching_type=MatchingType.EXACT, is_matching=True)

#: 2026-01-01 in milliseconds.
_START_MS: Final = 1_767_225_600_000


def user(n: int) -> UserProfile:
    return UserProfile(
        identity_type="phone",
        third_id=f"u{n:09}",
        openid=f"oX{n:022}",
        unionid=f"uN{n:022}",
        phone=f"138{n:08}",
        real_name=f"张伟{n % 1000:03}",
        sex="男" if n & 1 else "女",
        address=f"上海市浦东新区{n % 9000:04}号",
        birthday=f"19{n % 100:02}-05-17",
        remark=f"会员{n:07}，来自门店活动",
        custom_fields=[
            CustomField(config_id=10_001, values=[f"level-{n % 9}", "city"]),
            CustomField(config_id=10_002, values=[f"store-{n % 90:02}"]),
        ],
    )


def user_wire(n: int) -> Mapping:
    return {
        "identityType": "phone",
        "thirdId": f"u{n:09}",
        "openid": f"oX{n:022}",
        "unionid": f"uN{n:022}",
        "phone": f"138{n:08}",
        "realName": f"张伟{n % 1000:03}",
        "sex": "男" if n & 1 else "女",
        "address": f"上海市浦东新区{n % 9000:04}号",
        "birthday": f"19{n % 100:02}-05-17",
        "remark": f"会员{n:07}，来自门店活动",
        "customFields": [
            {"configId": 10_001, "values": [f"level-{n % 9}", "city"]},
            {"configId": 10_002, "values": [f"store-{n % 90:02}"]},
        ],
    }


def user_python(n: int) -> Mapping:
    return {
        "identity_type": "phone",
        "third_id": f"u{n:09}",
        "openid": f"oX{n:022}",
        "unionid": f"uN{n:022}",
        "phone": f"138{n:08}",
        "real_name": f"张伟{n % 1000:03}",
        "sex": "男" if n & 1 else "女",
        "address": f"上海市浦东新区{n % 9000:04}号",
        "birthday": f"19{n % 100:02}-05-17",
        "remark": f"会员{n:07}，来自门店活动",
        "custom_fields": [
            {"config_id": 10_001, "values": [f"level-{n % 9}", "city"]},
            {"config_id": 10_002, "values": [f"store-{n % 90:02}"]},
        ],
    }


def event(n: int) -> Event:
    return Event(
        identities=[
            Identity(identity_type="phone", identity_value=f"138{n:08}"),
            Identity(identity_type="openid", identity_value=f"oX{n:022}", platform="gzh"),
        ],
        time=_START_MS + n,
        uuid=f"{n:032x}",
        event_key="c_buy",
        intid=f"s{n:07}",
        eventargs={
            "c_order": f"o{n:015}",
            "c_amount": n * 0.25,
            "c_items": n % 7,
            "c_store": f"浦东{n % 90:02}店",
            "c_channel": f"mini-app-{n % 5}",
            "c_coupon": f"c{n:09}",
        },
    )


def event_wire(n: int) -> Mapping:
    return {
        "identities": [
            {"identityType": "phone", "identityValue": f"138{n:08}"},
            {"identityType": "openid", "identityValue": f"oX{n:022}", "platform": "gzh"},
        ],
        "time": _START_MS + n,
        "uuid": f"{n:032x}",
        "eventKey": "c_buy",
        "intid": f"s{n:07}",
        "eventargs": {
            "c_order": f"o{n:015}",
            "c_amount": n * 0.25,
            "c_items": n % 7,
            "c_store": f"浦东{n % 90:02}店",
            "c_channel": f"mini-app-{n % 5}",
            "c_coupon": f"c{n:09}",
        },
    }
