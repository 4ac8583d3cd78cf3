from __future__ import annotations

from typing import Any

import attrs
import canary
import orjson
import pytest
from hypothesis import given
from msgspec import ValidationError, convert
from strategies import Unknown, good_json

from asyncimport.records import (
    CustomField,
    Event,
    EventV1,
    GroupAssignment,
    Identity,
    TagAssignment,
    UserProfile,
    UserProfileV2,
)
from asyncimport.structs import UNENCODABLE, Names, json_bytes, plain, struct_of

PERSON = {"identityValue": "1", "identityType": "phone"}
WIRE = struct_of(Event, Names.WIRE)


def event(**fields: Any) -> dict[str, Any]:
    return {"identities": [PERSON], "eventKey": "c_buy"} | fields


@pytest.mark.parametrize(
    "record", [CustomField, Event, EventV1, GroupAssignment, Identity, TagAssignment, UserProfile, UserProfileV2]
)
def test_a_struct_has_the_python_names_and_writes_those_of_the_wire_in_their_order(record: type[Any]) -> None:
    fields = attrs.fields(record)
    struct = struct_of(record, Names.WIRE)
    assert struct is struct_of(record, Names.WIRE)
    assert struct.__struct_fields__ == tuple(field.name for field in fields)
    assert struct.__struct_encode_fields__ == tuple(field.metadata["wire"] for field in fields)
    assert struct_of(record, Names.PYTHON).__struct_encode_fields__ == struct.__struct_fields__


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        event(colour="x"),
        event(event_key="x"),
        event(identities=[]),
        event(identities=[{"identityValue": "", "identityType": "x"}]),
        event(identities=[PERSON | {"isWeChatEcosystem": 1}]),
        event(eventKey=""),
        event(eventKey=None),
        event(uuid="x" * 37),
        event(uuid=""),
        event(time=True),
        event(time=1),
        event(time=10**14),
        event(eventargs={1: 2}),
        event(eventargs={"a": 2**63}),
        event(eventargs={"a": -(2**63) - 1}),
        event(eventargs={"a": float("nan")}),
        event(eventargs={"a": float("inf")}),
        event(eventargs={"a": b""}),
        event(eventargs=[]),
    ],
    ids=repr,
)
def test_a_struct_is_made_of_nothing_that_a_field_does_not_take(wrong: Any) -> None:
    with canary.raises(ValidationError):
        convert(wrong, WIRE)


def test_a_choice_and_a_number_have_their_bounds() -> None:
    users = struct_of(UserProfile, Names.WIRE)
    for wrong in ({"sex": "x"}, {"customFields": [{"configId": 2**63}]}, {"customFields": [{"values": [1]}]}):
        with canary.raises(ValidationError):
            convert(wrong, users)
    largest = {"sex": "男", "customFields": [{"configId": 2**63 - 1}, {"configId": -(2**63), "values": []}]}
    assert plain(convert(largest, users)) == largest


@pytest.mark.parametrize("tags", ["a", {"a": 1}, [b""], [2**63], [float("nan")], 1], ids=repr)
def test_a_free_list_is_made_of_nothing_but_json(tags: Any) -> None:
    with canary.raises(ValidationError):
        convert({"identities": [PERSON], "operateTags": tags}, struct_of(TagAssignment, Names.WIRE))


def test_no_value_of_an_unknown_kind_is_taken() -> None:
    with canary.raises(ValidationError):
        convert({"odd": "x"}, struct_of(Unknown, Names.WIRE))


def test_what_a_record_holds_is_not_shown() -> None:
    assert repr(convert(event(intid="secret"), WIRE)) == "<Event on the wire>"


def test_an_absent_field_is_not_written() -> None:
    record = event(identities=[PERSON | {"mpid": None}], intid=None, eventargs={"a": 1})
    made = convert(record, WIRE)
    expected = {"identities": [PERSON], "eventKey": "c_buy", "eventargs": {"a": 1}}
    assert plain(made) == orjson.loads(json_bytes(made)) == expected
    assert plain([made, expected]) == [expected, expected]


@given(good_json)
def test_json_is_read_back_as_it_was(value: Any) -> None:
    assert orjson.loads(json_bytes(value)) == value


@pytest.mark.parametrize("value", ["\ud800", {"a": type("Word", (str,), {})("x")}, object(), {(1, 2): 3}])
def test_what_json_cannot_carry_is_refused(value: Any) -> None:
    with canary.raises(UNENCODABLE):
        json_bytes(value)
