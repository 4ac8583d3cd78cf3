"""Guards of one and of many records, and the copies they make."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import attrs
import canary
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert
from strategies import EXACT, PLAIN, Unknown, Whimsical, any_json, any_text, is_left_to_the_codec

from asyncimport.fields import At, Int64, ListOf, Problem, copy_json
from asyncimport.guard import (
    MAX_PLAIN_ITEMS,
    MAX_PLAIN_KEYS,
    Form,
    copy_list,
    copy_object,
    guard_of,
    guard_of_many,
)
from asyncimport.records import CustomField, Event, GroupAssignment, Identity, TagAssignment, UserProfile
from asyncimport.shape import shape_of, wire
from asyncimport.structs import UNENCODABLE, Names, json_bytes, struct_of


def guarded(kind: type[Any], record: Any, form: Form, config: object = None) -> Any:
    """The struct of a record, or None where its guard refuses; a guard of many judges like that of one."""
    struct = struct_of(kind, Names.PYTHON if form is Form.PYTHON else Names.WIRE)
    made = [convert(record, struct, from_attributes=form is Form.TYPED) for _ in range(3)]
    one = guard_of(shape_of(kind), config, form)(record, made[0])
    many = guard_of_many(shape_of(kind), config, form)([record, record], made[1:])
    assert one == many
    if not one:
        return None
    assert made[0] == made[1] == made[2]
    return made[0]


def event(**fields: Any) -> dict[str, Any]:
    return {"identities": [{"identityValue": "1", "identityType": "phone"}], "eventKey": "c_buy"} | fields


def test_a_moment_becomes_milliseconds() -> None:
    made = guarded(Event, event(time=datetime(2026, 1, 1, tzinfo=UTC)), Form.WIRE)
    assert made.time == 1_767_225_600_000
    assert guarded(Event, event(time=1_767_225_600_000), Form.WIRE).time == 1_767_225_600_000
    assert guarded(Event, event(time=None), Form.WIRE).time is None


@pytest.mark.parametrize(
    "time",
    ["2026-01-01T00:00:00Z", datetime(2026, 1, 1), datetime(1970, 1, 2, tzinfo=UTC)],  # noqa: DTZ001 -- naive on purpose
    ids=["text", "naive", "too early"],
)
def test_no_other_moment_passes(time: Any) -> None:
    assert guarded(Event, event(time=time), Form.WIRE) is None


def test_a_free_part_of_plain_values_is_the_structs_own_copy() -> None:
    args = {"a": 1, "b": "x", "c": 1.5, "d": True}
    made = guarded(Event, event(eventargs=args), Form.WIRE)
    assert made.eventargs == args
    assert made.eventargs is not args


def test_what_a_free_part_holds_deeper_is_copied_without_absent_keys() -> None:
    args: dict[str, Any] = {"a": [1, {"b": None, "c": 2}], "d": None}
    made = guarded(Event, event(eventargs=args), Form.WIRE)
    assert made.eventargs == {"a": [1, {"c": 2}]}
    assert made.eventargs["a"] is not args["a"]


@pytest.mark.parametrize("tags", [None, ["a", 1, True], [{"tagId": 1}]], ids=["none", "plain", "objects"])
def test_a_free_list_is_there_or_not(tags: Any) -> None:
    made = guarded(TagAssignment, {"identities": event()["identities"], "operateTags": tags}, Form.WIRE)
    assert made.operate_tags == tags


@pytest.mark.parametrize(
    ("time", "is_good"), [("2026-01-01T00:00:00Z", False), (1_767_225_600_000, True), (None, True)], ids=str
)
def test_a_moment_in_a_line_of_json_is_a_number(time: Any, is_good: bool) -> None:
    made = convert(event(time=time, eventargs={"a": [None]}), struct_of(Event, Names.WIRE))
    assert guard_of(shape_of(Event), None, Form.LINE)(made, made) == is_good


@pytest.mark.parametrize("form", [Form.WIRE, Form.TYPED], ids=["mappings", "objects"])
def test_a_set_is_no_list(form: Form) -> None:
    record: Any = {"customFields": [{"values": {"a"}}]}
    if form is Form.TYPED:
        record = UserProfile(custom_fields=[CustomField(values=record["customFields"][0]["values"])])
    assert guarded(UserProfile, record, form) is None
    record = {"customFields": [{"values": ["a"]}, {}], "phone": "1"}
    if form is Form.TYPED:
        record = UserProfile(phone="1", custom_fields=[CustomField(values=["a"]), {}])
    assert guarded(UserProfile, record, form).custom_fields[0].values == ["a"]


def test_a_set_of_objects_is_no_list_either() -> None:
    @attrs.frozen
    class Hashable:
        config_id: int = 1

    assert guarded(UserProfile, UserProfile(custom_fields={Hashable()}), Form.TYPED) is None  # type: ignore[arg-type] # on purpose


def test_objects_in_lists_are_of_their_class_or_dicts() -> None:
    others: Any = [Identity(identity_value="1", identity_type="x")]
    assert guarded(UserProfile, UserProfile(custom_fields=others), Form.TYPED) is None
    given: Any = [CustomField(config_id=1), {"configId": 2}]
    assert [x.config_id for x in guarded(UserProfile, UserProfile(custom_fields=given), Form.TYPED).custom_fields] == [
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("record", "is_good"),
    [
        ({"identity_type": "phone", "phone": "1"}, True),
        ({"identity_type": "phone", "phone": ""}, False),
        ({"identity_type": "phone"}, False),
        ({"identity_type": "card"}, True),
        ({"identity_type": ""}, False),
        ({"phone": "1"}, False),
    ],
    ids=repr,
)
def test_exact_matching_needs_the_field_that_is_named(record: dict[str, str], is_good: bool) -> None:
    assert (guarded(UserProfile, record, Form.PYTHON, EXACT) is not None) == is_good
    assert guarded(UserProfile, record, Form.PYTHON, PLAIN) is not None


def test_an_mpid_needs_its_ecosystem() -> None:
    identity: dict[str, Any] = {"identityValue": "1", "identityType": "openid", "mpid": "wx"}
    assert guarded(Event, event(identities=[identity]), Form.WIRE) is None
    assert guarded(Event, event(identities=[identity | {"isWeChatEcosystem": False}]), Form.WIRE) is not None


def assignment(**fields: Any) -> dict[str, Any]:
    return {"identities": [{"identityValue": "1", "identityType": "phone"}]} | fields


def test_a_department_needs_one_of_its_ids() -> None:
    assert guarded(GroupAssignment, assignment(categoryType="2"), Form.WIRE) is None
    assert guarded(GroupAssignment, assignment(categoryType="2", wxDeptId=""), Form.WIRE) is None
    for good in ({"categoryType": "2", "deptId": 0}, {"categoryType": "2", "thirdDeptId": "t"}, {"categoryType": "1"}):
        assert guarded(GroupAssignment, assignment(**good), Form.WIRE) is not None


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["a", 1], ["a", 1]),
        ([{"a": None, "b": 1}, None], [{"b": 1}, None]),
        (({"a": [1]},), [{"a": [1]}]),
        ({"a"}, None),
        ([[float("inf")]], None),
        ([{"a": {1}}], None),
    ],
    ids=repr,
)
def test_a_free_list_is_copied_but_for_absent_keys(tags: Any, expected: Any) -> None:
    made = guarded(TagAssignment, assignment(operateTags=tags), Form.WIRE)
    assert (None if made is None else made.operate_tags) == expected


@given(st.lists(any_json, max_size=4))
def test_a_copied_list_is_the_references_or_none(given_list: list[Any]) -> None:
    copied = copy_list(given_list)
    problems: list[Problem] = []
    expected = copy_json(given_list, At(), problems, 128)
    if copied is not None and not problems:
        assert copied == expected
    elif copied is not None:
        assert all(map(is_left_to_the_codec, problems))


@attrs.define(kw_only=True)
class Numbers:
    numbers: Any = attrs.field(default=None, metadata=wire("numbers", ListOf(item=Int64())))
    REQUIREMENTS = ()


def test_a_kind_or_rule_that_guards_do_not_know_is_the_references() -> None:
    assert guarded(Unknown, {}, Form.WIRE) is None
    assert guarded(Whimsical, {"name": "x"}, Form.WIRE) is None
    assert guarded(Numbers, {"numbers": (1,)}, Form.WIRE).numbers == [1]


@given(st.dictionaries(any_text | st.integers(0, 3), any_json, max_size=4))
def test_a_copied_object_is_the_references_or_none(given_object: dict[Any, Any]) -> None:
    copied = copy_object(given_object)
    problems: list[Problem] = []
    expected = copy_json(given_object, At(), problems, 128)
    if copied is not None and not problems:
        assert copied == expected
    elif copied is not None:
        assert all(map(is_left_to_the_codec, problems))
        with canary.raises(UNENCODABLE):
            json_bytes(copied)


@pytest.mark.parametrize(
    "doubtful",
    [
        [],
        None,
        {1: 2},
        {"a": math.nan},
        {"a": -math.inf},
        {"a": [b""]},
        {"a": [math.nan]},
        {"a": 2**63},
        {"a": [0] * (MAX_PLAIN_ITEMS + 1)},
        {"a": {"b": {"c": {}}}},
        {str(n): 1 for n in range(MAX_PLAIN_KEYS + 1)},
        {"a": {str(n): 1 for n in range(MAX_PLAIN_ITEMS + 1)}},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_plain_object_is_not_copied(doubtful: Any) -> None:
    assert copy_object(doubtful) is None


@pytest.mark.parametrize("key", [1, "\ud800"], ids=["number", "surrogate"])
def test_an_absent_value_under_a_bad_key_is_judged_as_the_reference_judges(key: Any) -> None:
    problems: list[Problem] = []
    copy_json({key: None}, At(), problems, 128)
    assert (copy_object({key: None}) == {}) == (problems == [])
