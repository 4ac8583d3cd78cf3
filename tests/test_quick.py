"""Structs and guards together, against the reference they stand for, and against cattrs."""

from __future__ import annotations

import calendar
import enum
import json
import math
from collections import OrderedDict
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

import attrs
import canary
import cattrs
import orjson
import pytest
from cattrs.gen import make_dict_unstructure_fn, override
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import (
    CONFIGS,
    EXACT,
    EXACT_V1,
    IDS,
    PLAIN,
    Broken,
    Nowhere,
    Unknown,
    Whimsical,
    any_json,
    any_value,
    complete,
    given_records,
    good,
    is_left_to_the_codec,
    quick,
    referred,
)

from asyncimport.configs import EventImportConfig
from asyncimport.fields import ListOf
from asyncimport.quick import Quick
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
from asyncimport.shape import ObjectOf, shape_of
from asyncimport.structs import UNENCODABLE, json_bytes, plain

PERSON = {"identityValue": "1", "identityType": "phone"}


@pytest.mark.parametrize(("kind", "config"), CONFIGS, ids=IDS)
@given(data=st.data())
@settings(max_examples=60)
def test_a_good_record_gets_the_wire_form_of_the_reference(
    kind: type[Any], config: object, data: st.DataObject
) -> None:
    record = complete(data.draw(given_records(kind, good)), config)
    expected, problems = referred(record, config, kind)
    assert problems == []
    assert quick(kind, config, record) in (expected, None)


@pytest.mark.parametrize(("kind", "config"), CONFIGS, ids=IDS)
@given(data=st.data())
@settings(max_examples=150)
def test_what_the_reference_refuses_is_never_let_past_the_codec(
    kind: type[Any], config: object, data: st.DataObject
) -> None:
    record = data.draw(given_records(kind, any_value) | any_json)
    made = quick(kind, config, record)
    expected, problems = referred(record, config, kind)
    if made is None:
        return
    if not problems:
        assert repr(made) == repr(expected)  # True is no 1 here, and the order counts
        return
    assert [problem for problem in problems if not is_left_to_the_codec(problem)] == []
    with canary.raises(UNENCODABLE):
        json_bytes(made)
    assert referred(made, config, kind)[1] == problems


class Hue(enum.StrEnum):
    MALE = "男"


class Number(int):
    pass


def event(**fields: Any) -> dict[str, Any]:
    return {"identities": [PERSON], "eventKey": "c_buy"} | fields


def tags(**fields: Any) -> dict[str, Any]:
    return {"identities": [PERSON]} | fields


group = tags


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        (TagAssignment, tags(operateTags={"a"})),
        (TagAssignment, tags(operateTags="a")),
        (TagAssignment, tags(operateTags={"a": 1})),
        (TagAssignment, tags(operateTags=[Decimal(1)])),
        (TagAssignment, tags(operateTags=[{"a": {1}}])),
        (TagAssignment, tags(operateTags=[{1: 2}])),
        (TagAssignment, tags(operateTags=[2**63])),
        (TagAssignment, tags(operateTags=[math.nan])),
        (TagAssignment, tags(operateTags=[[math.inf]])),
        (TagAssignment, TagAssignment(identities=[PERSON], operate_tags={"a"})),  # type: ignore[arg-type] # on purpose
        (GroupAssignment, group(categoryType="2")),
        (GroupAssignment, group(categoryType="2", deptId=None, wxDeptId="")),
        (GroupAssignment, group(categoryType=2, deptId=1)),
        (GroupAssignment, group(categoryType="3")),
        (GroupAssignment, group(deptId=True)),
        (Event, event(eventargs={"c": Decimal("1.5")})),
        (Event, event(eventargs={"c": {1}})),
        (Event, event(eventargs={"c": [Decimal(1)]})),
        (Event, event(eventargs={"c": {"d": {1, 2}}})),
        (Event, event(eventargs={1: 2})),
        (Event, event(eventargs=OrderedDict({"c": Decimal(1)}))),
        (Event, event(time="2026-01-01T00:00:00Z")),
        (Event, event(time=1e12)),
        (Event, event(time=Decimal(10**12))),
        (Event, event(time=datetime(1970, 1, 2, tzinfo=UTC))),
        (Event, event(time=datetime(2026, 1, 1))),  # noqa: DTZ001 -- naive on purpose
        (Event, event(time=datetime(2026, 1, 1, tzinfo=Nowhere()))),
        (Event, event(identities=[PERSON | {"mpid": "wx"}])),
        (Event, event(identities=[UserProfile()])),
        (Event, event(identities=[Decimal(1)])),
        (Event, event(identities=[])),
        (Event, Event(identities=[UserProfile()], event_key="c")),  # type: ignore[list-item] # on purpose
        (Event, UserProfile(phone="1")),
        (UserProfile, CustomField(config_id=1)),
        (UserProfile, UserProfile(custom_fields=[PLAIN])),  # type: ignore[list-item] # on purpose
        (UserProfile, UserProfile(custom_fields={CustomField})),  # type: ignore[arg-type] # on purpose
        (UserProfile, {"customFields": [{"values": {"a"}}]}),
        (UserProfile, {"custom_fields": [{"values": frozenset("a")}]}),
        (UserProfile, UserProfile(custom_fields=[CustomField(values={"a"})])),  # type: ignore[arg-type] # on purpose
        (UserProfile, UserProfile(custom_fields=[{"values": {"a"}}])),
        (UserProfile, {"phone": 1}),
        (UserProfile, {"phone": "1", "nick": None}),
        (UserProfile, {"phone": b"1"}),
        (UserProfile, {"sex": "x"}),
        (UserProfile, Broken()),
        (UserProfile, None),
    ],
)
def test_what_structs_take_and_the_reference_does_not_is_left_to_it(kind: type[Any], record: Any) -> None:
    assert quick(kind, PLAIN, record) is None
    try:
        assert referred(record, PLAIN, kind)[1] != []
    except LookupError:
        return


@pytest.mark.parametrize(
    ("record", "config", "is_taken"),
    [
        (UserProfile(identity_type="phone", phone="1"), EXACT, True),
        (UserProfile(identity_type="member-card"), EXACT, True),
        (UserProfile(identity_type="phone"), EXACT, False),
        (UserProfile(identity_type="phone", phone=""), EXACT, False),
        (UserProfile(identity_type="phone"), PLAIN, True),
        (UserProfile(), EXACT, False),
        (UserProfile(), PLAIN, True),
        ({"identityType": "uid", "thirdId": "1"}, EXACT, True),
        ({"identity_type": "uid", "phone": "1"}, EXACT, False),
        (UserProfile(custom_fields=[CustomField(values=("a",))]), PLAIN, True),
        (UserProfile(custom_fields=()), PLAIN, True),
        ({"phone": "1", "realName": None}, PLAIN, True),
        ({"custom_fields": [CustomField(config_id=1)]}, PLAIN, False),
        ({"customFields": [CustomField(config_id=1), {"configId": 2}]}, PLAIN, True),
        (OrderedDict(phone="1"), PLAIN, False),
        ({"sex": Hue.MALE, "customFields": [{"configId": Number(3)}]}, PLAIN, True),
    ],
)
def test_rules_over_several_fields_and_forms_of_all_kinds_are_looked_at(
    record: Any, config: object, is_taken: bool
) -> None:
    made = quick(UserProfile, config, record)
    assert (made is not None) == is_taken
    assert made in (None, referred(record, config, UserProfile)[0])


class Hiding(dict[str, Any]):
    """A dict that shows less than it holds, as C would read it."""

    def items(self) -> Any:
        return [(key, value) for key, value in super().items() if key != "phone"]


class Computed(UserProfile):
    """A record with a field that is worked out, and fails."""

    __slots__ = ()

    @property
    def phone(self) -> str:
        raise AttributeError("contact")

    @phone.setter
    def phone(self, value: str) -> None: ...


class Changing(tzinfo):
    """A time zone of the user's that changes the record it is in."""

    def __init__(self, args: dict[str, Any]) -> None:
        self._args = args

    def utcoffset(self, moment: datetime | None) -> timedelta:
        self._args["a"] = 1
        return timedelta(0)

    dst = utcoffset

    def tzname(self, moment: datetime | None) -> str:
        return ""


@pytest.mark.parametrize(
    "record",
    [
        Hiding(phone="138", realName="x"),
        {"customFields": [Hiding(configId=1)]},
        UserProfile(custom_fields=[Hiding(configId=1)]),
        Computed(real_name="x"),
    ],
    ids=["dict", "dict in a mapping", "dict in an object", "record"],
)
def test_a_subclass_is_left_to_the_reference_which_uses_its_own_methods(record: Any) -> None:
    assert quick(UserProfile, PLAIN, record) is None


def test_an_attribute_that_was_deleted_is_absent() -> None:
    record = UserProfile(phone="1", real_name="x", custom_fields=[CustomField(config_id=1, config_name="y")])
    del record.phone
    assert record.custom_fields is not None
    del record.custom_fields[0].config_name  # type: ignore[union-attr] # it is an object
    expected, problems = referred(record, PLAIN, UserProfile)
    assert problems == []
    assert quick(UserProfile, PLAIN, record) == expected == {"realName": "x", "customFields": [{"configId": 1}]}


def test_a_time_zone_that_changes_its_record_gets_nothing_of_it_shared() -> None:
    inner = [[1]]
    args: dict[str, Any] = {"a": inner}
    record = event(eventargs=args, time=datetime(2026, 1, 1, tzinfo=Changing(args)))
    made = Quick(shape_of(Event), None).of_alike(record)
    inner[0].append(7)
    assert plain(made)["eventargs"] == {"a": [[1]]}


def test_what_holds_too_many_values_is_left_to_the_reference() -> None:
    shared: dict[str, Any] = {str(n): 1 for n in range(60)}
    for _ in range(3):
        shared = {str(n): shared for n in range(60)}
    for args in ({str(n): 1 for n in range(1_001)}, {"a": [0] * 21}, shared):
        assert quick(Event, None, event(eventargs=args)) is None
        assert as_line(Event, None, orjson.dumps(event(eventargs={str(n): 1 for n in range(1_001)}))) is None


def test_the_common_forms_are_taken_without_asking_the_reference() -> None:
    record = Event(
        identities=[Identity(identity_value="1", identity_type="phone", mpid="wx", is_wechat_ecosystem=True)],
        time=datetime(2020, 11, 16, tzinfo=UTC),
        event_key="c_buy",
        eventargs={"c_price": 1.5, "c_n": 2, "c_ok": True, "c_deep": {"a": [1, 2.5]}, "c_none": None},
    )
    expected, problems = referred(record, None, Event)
    by_python_name = attrs.asdict(record, filter=lambda _, value: value is not None)
    assert problems == []
    assert [quick(Event, None, form) for form in (record, expected, by_python_name)] == [expected] * 3


def test_records_of_several_ways_of_writing_are_no_batch_but_each_is_taken() -> None:
    records: list[Any] = [{"phone": "1"}, UserProfile(phone="1"), {"realName": "x"}, {"real_name": "x"}]
    code = Quick(shape_of(UserProfile), PLAIN)
    assert code.of_all(records) is None
    made = [code.of_alike(record) or code.of_other(record) for record in records]
    assert [plain(wire) for wire in made] == [{"phone": "1"}] * 2 + [{"realName": "x"}] * 2
    assert code.of_alike(records[0]) is not None  # as with wire names, which one name cannot be told from
    assert code.of_other({"nick": "x"}) is None


@pytest.mark.parametrize("record", [UserProfile(phone="1"), {"phone": "1"}, {"real_name": "x"}], ids=repr)
def test_records_that_are_written_like_the_last_one_are_taken_together(record: Any) -> None:
    code = Quick(shape_of(UserProfile), PLAIN)
    assert (code.of_alike(record) or code.of_other(record)) is not None
    assert plain(code.of_all([record] * 3)) == [referred(record, PLAIN, UserProfile)[0]] * 3
    assert code.of_all([record, {"nick": "x"}, record]) is None
    assert code.of_all([record, None]) is None


def as_line(kind: type[Any], config: object, line: bytes) -> Any:
    """What is made of a line in one step, as a mapping."""
    made = Quick(shape_of(kind), config).of_line(line)
    return None if made is None else plain(made)


@pytest.mark.parametrize(("kind", "config"), CONFIGS, ids=IDS)
@given(data=st.data())
@settings(max_examples=100)
def test_a_line_of_json_is_taken_as_the_object_in_it_would_be_or_not_at_all(
    kind: type[Any], config: object, data: st.DataObject
) -> None:
    record = data.draw(given_records(kind, any_value) | any_json)
    text = json.dumps(record, default=str, skipkeys=True, ensure_ascii=data.draw(st.booleans()))
    made = as_line(kind, config, text.encode(errors="surrogatepass"))
    if made is not None:
        expected, problems = referred(orjson.loads(text), config, kind)
        assert problems == []
        assert repr(made) == repr(expected)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (
            Event,
            b'{"identities":[{"identityValue":"1","identityType":"x"}],"eventKey":"c","time":"2026-01-01T00:00:00Z"}',
        ),
        (Event, b'{"identities":[{"identityValue":"1","identityType":"x"}],"eventKey":"c","time":1605490615673.0}'),
        (Event, b'{"identities":[{"identityValue":"1","identityType":"x","mpid":"w"}],"eventKey":"c"}'),
        (
            Event,
            b'{"identities":[{"identityValue":"1","identityType":"x"}],"eventKey":"c","eventargs":{"a":9223372036854775808}}',
        ),
        (UserProfile, b'{"real_name":"x"}'),
        (UserProfile, b'{"phone":"\xff"}'),
        (UserProfile, b'{"phone":"\\ud800"}'),
        (UserProfile, b'\xef\xbb\xbf{"phone":"1"}'),
        (UserProfile, b"[" * 100_000),
        (UserProfile, b"\n"),
        (UserProfile, b""),
    ],
)
def test_a_line_in_doubt_is_left_to_be_read_as_any_other(kind: type[Any], line: bytes) -> None:
    assert as_line(kind, PLAIN, line) is None


def test_good_lines_are_taken_in_one_step() -> None:
    full = {"phone": "1", "realName": None, "customFields": [{"configId": 1, "values": ["a"]}]}
    without = {key: item for key, item in full.items() if item is not None}
    assert as_line(UserProfile, PLAIN, orjson.dumps(full)) == without
    deep = event(eventargs={"a": [1, {"b": None}], "c": 1.5}, time=1_605_490_615_673)
    assert as_line(Event, None, orjson.dumps(deep)) == deep | {"eventargs": {"a": [1, {}], "c": 1.5}}


def test_a_list_of_free_values_is_taken_in_every_form_and_shares_nothing() -> None:
    inner = {"c": None, "d": [1, None]}
    given: list[Any] = ["a", 1, 1.5, True, None, [1, None], inner]
    without: list[Any] = [*given[:-1], {"d": [1, None]}]
    expected = {"identities": [PERSON], "operateTags": without}
    typed = TagAssignment(identities=[PERSON], operate_tags=tuple(given))
    by_python_name = {"identities": [{"identity_value": "1", "identity_type": "phone"}], "operate_tags": given}
    for record in (tags(operateTags=given), by_python_name, typed):
        made = quick(TagAssignment, None, record)
        assert made == expected == referred(record, None, TagAssignment)[0]
        assert made["operateTags"][5] is not given[5]
        assert made["operateTags"][6]["d"] is not inner["d"]
    assert as_line(TagAssignment, None, orjson.dumps(tags(operateTags=given))) == expected
    assert (
        as_line(
            TagAssignment,
            None,
            b'{"identities":[{"identityValue":"1","identityType":"x"}],"operateTags":[{"a":9223372036854775808}]}',
        )
        is None
    )


@pytest.mark.parametrize("tag", [[0] * 1_001, [[0] * 21], [[[[[]]]]]], ids=["many", "wide", "deep"])
def test_a_list_that_is_too_large_to_be_copied_quickly_is_the_references(tag: list[Any]) -> None:
    record = tags(operateTags=tag)
    assert quick(TagAssignment, None, record) is None
    assert referred(record, None, TagAssignment) == (record, [])


@pytest.mark.parametrize(
    ("fields", "is_good"),
    [
        ({}, True),
        ({"categoryType": "1"}, True),
        ({"deptId": 1}, True),
        ({"categoryType": "2"}, False),
        ({"categoryType": "2", "deptId": 0}, True),
        ({"categoryType": "2", "thirdDeptId": "x"}, True),
        ({"categoryType": "2", "wxDeptId": "x"}, True),
        ({"categoryType": "2", "wxDeptId": "", "thirdDeptId": ""}, False),
        ({"categoryType": "2", "wxDeptId": "", "deptId": 7}, True),
    ],
    ids=repr,
)
def test_groups_of_a_department_need_one_of_its_ids(fields: dict[str, Any], is_good: bool) -> None:
    record = group(groups="a,b", **fields)
    assert (quick(GroupAssignment, None, record) == record) == is_good
    assert (as_line(GroupAssignment, None, orjson.dumps(record)) == record) == is_good
    assert (referred(record, None, GroupAssignment)[1] == []) == is_good


def test_lines_that_are_never_taken_are_soon_no_longer_tried() -> None:
    code = Quick(shape_of(UserProfile), PLAIN)
    for _ in range(15):
        assert code.of_line(b'{"real_name":"x"}') is None
    assert code.of_line(b'{"phone":"1"}') is not None
    for _ in range(16):
        assert code.of_line(b'{"real_name":"x"}') is None
    assert code.of_line(b'{"phone":"1"}') is None


@pytest.mark.parametrize("record", [Unknown(odd=1), Unknown(odds=[1]), Whimsical(name="x")], ids=repr)
def test_what_the_generator_does_not_know_is_left_to_the_reference(record: Any) -> None:
    assert quick(type(record), None, record) is None
    assert referred(record, None, type(record))[1] == []


def mutable_parts(value: Any) -> set[int]:
    if isinstance(value, dict):
        return {id(value)}.union(*map(mutable_parts, value.values()))
    if isinstance(value, list):
        return {id(value)}.union(*map(mutable_parts, value))
    if attrs.has(type(value)):
        return {id(value)}.union(*(mutable_parts(getattr(value, f.name)) for f in attrs.fields(type(value))))
    return set()


@pytest.mark.parametrize(("kind", "config"), CONFIGS, ids=IDS)
@given(data=st.data())
@settings(max_examples=60)
def test_the_wire_form_shares_nothing_mutable_with_the_record(
    kind: type[Any], config: object, data: st.DataObject
) -> None:
    record = complete(data.draw(given_records(kind, good)), config)
    for wire_form in (quick(kind, config, record), referred(record, config, kind)[0]):
        assert mutable_parts(record) & mutable_parts(wire_form or {}) == set()


@pytest.mark.parametrize("typed", [True, False], ids=["typed", "mapping"])
def test_a_list_of_texts_is_copied_too(typed: bool) -> None:
    texts = ["a", "b"]
    custom: Any = CustomField(values=texts) if typed else {"values": texts}
    copied = quick(UserProfile, PLAIN, UserProfile(custom_fields=[custom]))
    assert copied == {"customFields": [{"values": ["a", "b"]}]}
    assert copied["customFields"][0]["values"] is not texts


def oracle() -> cattrs.Converter:
    """cattrs, told the wire names and nothing else of ours."""
    converter = cattrs.Converter()
    converter.register_unstructure_hook(
        datetime, lambda moment: calendar.timegm(moment.utctimetuple()) * 1000 + moment.microsecond // 1000
    )
    for kind in (CustomField, Identity, UserProfile, Event, UserProfileV2, EventV1, TagAssignment):
        renames = {a.name: override(rename=a.metadata["wire"]) for a in attrs.fields(kind)}
        converter.register_unstructure_hook(kind, make_dict_unstructure_fn(kind, converter, **renames))  # type: ignore[arg-type] # keywords by name
    return converter


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return [without_none(item) for item in value] if isinstance(value, list) else value


def instances(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Good records made of instances all the way down."""

    def values(spec: Any) -> st.SearchStrategy[Any]:
        if isinstance(spec, ListOf) and isinstance(spec.item, ObjectOf):
            return st.lists(instances(spec.item.record), min_size=1, max_size=2)
        return good(spec)

    fields = shape_of(kind).fields
    return st.builds(
        kind,
        **{f.name: values(f.kind) for f in fields if f.required},
        **{f.name: st.none() | values(f.kind) for f in fields if not f.required and f.wire != "mpid"},
    )


ORACLE = oracle()


#: Without exact matching, and without groups, whose fields depend on each other.
INDEPENDENT = [(kind, config) for kind, config in CONFIGS[:-1] if config not in (EXACT, EXACT_V1)]


@pytest.mark.parametrize(("kind", "config"), [*INDEPENDENT, (EventV1, None)], ids=lambda item: item and repr(item)[:40])
@given(data=st.data())
@settings(max_examples=60)
def test_cattrs_makes_the_same_wire_form(kind: type[Any], config: object, data: st.DataObject) -> None:
    record = data.draw(instances(kind))
    oracles = without_none(ORACLE.unstructure(record))
    assert quick(kind, config, record) in (oracles, None)
    assert referred(record, config, kind) == (oracles, [])


def test_events_need_no_config_to_be_read() -> None:
    assert quick(Event, EventImportConfig(), event()) == event()
