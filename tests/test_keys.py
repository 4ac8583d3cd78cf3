"""From the names of fields to what a record holds there, however it is written."""

from __future__ import annotations

from typing import Any

import canary
import msgspec
import pytest

from asyncimport.errors import ConfigError
from asyncimport.keys import combinations, parts_of
from asyncimport.records import Event, UserProfile
from asyncimport.structs import Names, struct_of

EVENT = {
    "identities": [
        {"identityType": "phone", "identityValue": "1"},
        {"identityType": "openid", "identityValue": "2", "mpid": "wx", "isWeChatEcosystem": True},
    ],
    "eventKey": "c_buy",
    "eventargs": {"c_order": 7, "c_list": [1]},
}
PHONE, OPENID = ("phone", "1", None, None), ("openid", "2", None, "wx")
USER = {"thirdId": "u", "phone": "1", "customFields": [{"configId": 5}, {"configName": "vip", "values": ["a"]}]}


@pytest.mark.parametrize(
    ("record", "given", "name", "full", "values"),
    [
        (UserProfile, USER, "thirdId", "thirdId", ["u"]),
        (UserProfile, USER, "third_id", "thirdId", ["u"]),
        (UserProfile, USER, "remark", "remark", []),
        (UserProfile, USER, "custom_fields.config_id", "customFields.configId", [5]),
        (UserProfile, USER, "customFields", "customFields", [*USER["customFields"]]),
        (Event, EVENT, "identities", "identities", [PHONE, OPENID]),
        (Event, EVENT, "identities.phone", "identities.phone", [PHONE]),
        (Event, EVENT, "identities.unionid", "identities.unionid", []),
        (Event, EVENT, "identities.identity_value", "identities.identityValue", ["1", "2"]),
        (Event, EVENT, "identities.mpid", "identities.mpid", ["wx"]),
        (Event, EVENT, "eventargs.c_order", "eventargs.c_order", [7]),
        (Event, EVENT, "eventargs.c_none", "eventargs.c_none", []),
        (Event, EVENT, "eventargs", "eventargs", [EVENT["eventargs"]]),
    ],
)
def test_a_name_tells_the_same_values_of_a_struct_and_of_a_mapping(
    record: type[Any], given: Any, name: str, full: str, values: list[Any]
) -> None:
    (part,) = parts_of(record, [name], "order_by")
    struct = msgspec.convert(given, struct_of(record, Names.WIRE))
    assert (part.name, part.values(given), part.values(struct)) == (full, values, values)


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (["identities"], [(PHONE,), (OPENID,)]),
        (["identities.phone", "eventKey"], [(PHONE, "c_buy")]),
        (["identities.unionid", "eventKey"], [(None, "c_buy")]),
        (["identities.unionid", "intid"], []),
    ],
)
def test_a_record_has_a_key_for_each_of_its_identities_and_none_where_it_has_nothing(
    names: list[str], keys: list[Any]
) -> None:
    assert combinations(parts_of(Event, names, "order_by"), EVENT) == keys


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("third", "order_by: 'third' is no field of UserProfile; it has identityType, thirdId"),
        ("thirdId.x", "order_by: thirdId of UserProfile has no part 'x'"),
        ("customFields.", "order_by: customFields of UserProfile has no part ''"),
        ("customFields.colour", "order_by: customFields of UserProfile has no part 'colour'"),
    ],
)
def test_what_names_no_field_is_refused(name: str, said: str) -> None:
    with canary.raises(ConfigError) as refused:
        parts_of(UserProfile, [name], "order_by")
    assert str(refused.value).startswith(said)


def test_a_name_that_is_no_field_may_be_a_key_of_the_free_part() -> None:
    (part,) = parts_of(Event, ["c_order"], "uuid_from", has_free=True)
    assert (part.name, part.values(EVENT)) == ("eventargs.c_order", [7])
