"""The generated code against the reference it stands for, and against cattrs."""

from __future__ import annotations

import calendar
import math
from datetime import UTC, datetime
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
    IDS,
    PLAIN,
    Nowhere,
    Whimsical,
    any_json,
    any_text,
    any_value,
    compiled,
    complete,
    given_records,
    good,
    is_left_to_the_codec,
    referred,
)

from asyncimport.compiled import Names, compile_record, copy_object
from asyncimport.configs import EventImportConfig
from asyncimport.fields import At, Int64, ListOf, Problem, copy_json
from asyncimport.records import CustomField, Event, Identity, UserProfile
from asyncimport.shape import ObjectOf, shape_of, wire


@pytest.mark.parametrize(("kind", "config"), CONFIGS, ids=IDS)
@given(data=st.data())
@settings(max_examples=50)
def test_a_good_record_gets_the_wire_form_of_the_reference(
    kind: type[Any], config: object, data: st.DataObject
) -> None:
    record = complete(data.draw(given_records(kind, good)), config)
    expected, problems = referred(record, config, kind)
    assert problems == []
    assert compiled(kind, config, record) in (expected, None)


@pytest.mark.parametrize(("kind", "config"), CONFIGS, ids=IDS)
@given(data=st.data())
@settings(max_examples=50)
def test_what_the_reference_refuses_is_never_let_past_the_codec(
    kind: type[Any], config: object, data: st.DataObject
) -> None:
    record = data.draw(given_records(kind, any_value) | any_json)
    quick = compiled(kind, config, record)
    expected, problems = referred(record, config, kind)
    if quick is None:
        return
    if not problems:
        assert repr(quick) == repr(expected)  # True is no 1 here, and the order counts
        return
    assert [problem for problem in problems if not is_left_to_the_codec(problem)] == []
    with canary.raises(TypeError):
        orjson.dumps(quick)
    assert referred(quick, config, kind)[1] == problems


def test_the_common_forms_are_taken_without_asking_the_reference() -> None:
    record = Event(
        identities=[Identity(identity_value="1", identity_type="phone", mpid="wx", is_wechat_ecosystem=True)],
        time=datetime(2020, 11, 16, tzinfo=UTC),
        event_key="c_buy",
        eventargs={"c_price": 1.5, "c_n": 2, "c_ok": True, "c_deep": {"a": [1, 2.5]}, "c_none": None},
    )
    expected, _ = referred(record, None, Event)
    by_python_name = attrs.asdict(record, filter=lambda _, value: value is not None)
    by_wire_name, by_name = (compile_record(shape_of(Event), EventImportConfig(), names) for names in Names)
    assert [by_wire_name(record), by_name(record)] == [expected] * 2
    assert [by_wire_name(expected), by_name(by_python_name)] == [expected] * 2
    assert [by_wire_name(by_python_name), by_name(expected)] == [None] * 2


@pytest.mark.parametrize(
    ("record", "config", "is_taken"),
    [
        (UserProfile(identity_type="phone", phone="1"), EXACT, True),
        (UserProfile(identity_type="member-card"), EXACT, True),
        (UserProfile(identity_type="phone"), EXACT, False),
        (UserProfile(identity_type="phone"), PLAIN, True),
        (UserProfile(), EXACT, False),
        (UserProfile(), PLAIN, True),
        (UserProfile(custom_fields=[CustomField(values=("a",))]), PLAIN, False),
        ({"phone": "1", "nick": "x"}, PLAIN, False),
        ({"phone": "1", "realName": None}, PLAIN, True),
        ({"phone": "1", "nick": None}, PLAIN, False),
        (None, PLAIN, False),
    ],
)
def test_in_doubt_the_reference_is_asked(record: Any, config: object, is_taken: bool) -> None:
    assert (compiled(UserProfile, config, record) is not None) == is_taken


@pytest.mark.parametrize(
    "moment",
    [datetime(2020, 11, 16), datetime(2020, 11, 16, tzinfo=Nowhere())],  # noqa: DTZ001 -- naive on purpose
    ids=["naive", "raising"],
)
def test_a_moment_that_cannot_be_told_is_left_to_the_reference(moment: datetime) -> None:
    record = Event(identities=[Identity(identity_value="1", identity_type="phone")], time=moment, event_key="c_buy")
    assert compiled(Event, EventImportConfig(), record) is None


class Odd:
    """A kind that the generator does not know."""

    def copy(self, value: Any, at: At, problems: list[Problem]) -> Any:
        return value


@attrs.define(kw_only=True)
class Unknown:
    odd: Any = attrs.field(default=None, metadata=wire("odd", Odd()))
    odds: Any = attrs.field(default=None, metadata=wire("odds", ListOf(item=Int64())))
    REQUIREMENTS = ()


@pytest.mark.parametrize("record", [Unknown(odd=1), Unknown(odds=[1]), Whimsical(name="x")], ids=repr)
def test_what_the_generator_does_not_know_is_left_to_the_reference(record: Any) -> None:
    assert compiled(type(record), None, record) is None
    assert referred(record, None, type(record))[1] == []


@given(st.dictionaries(any_text | st.integers(0, 3), any_json, max_size=4))
def test_a_copied_object_is_the_references_or_none(given_object: dict[Any, Any]) -> None:
    copied = copy_object(given_object)
    problems: list[Problem] = []
    expected = copy_json(given_object, At(), problems, 128)
    if copied is not None and not problems:
        assert copied == expected
    elif copied is not None:
        assert all(map(is_left_to_the_codec, problems))
        with canary.raises(TypeError):
            orjson.dumps(copied)


@pytest.mark.parametrize(
    "doubtful", [[], None, {"a": math.nan}, {"a": -math.inf}, {"a": [b""]}, {"a": [math.nan]}], ids=repr
)
def test_what_is_no_plain_object_is_not_copied(doubtful: Any) -> None:
    assert copy_object(doubtful) is None


@pytest.mark.parametrize("key", [1, "\ud800"], ids=["number", "surrogate"])
def test_an_absent_value_under_a_bad_key_is_judged_as_the_reference_judges(key: Any) -> None:
    problems: list[Problem] = []
    copy_json({key: None}, At(), problems, 128)
    assert (copy_object({key: None}) == {}) == (problems == [])


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
@settings(max_examples=50)
def test_the_wire_form_shares_nothing_mutable_with_the_record(
    kind: type[Any], config: object, data: st.DataObject
) -> None:
    record = complete(data.draw(given_records(kind, good)), config)
    for wire_form in (compiled(kind, config, record), referred(record, config, kind)[0]):
        assert mutable_parts(record) & mutable_parts(wire_form or {}) == set()


@pytest.mark.parametrize("typed", [True, False], ids=["typed", "mapping"])
def test_a_list_of_texts_is_copied_too(typed: bool) -> None:
    texts = ["a", "b"]
    custom: Any = CustomField(values=texts) if typed else {"values": texts}
    copied = compiled(UserProfile, PLAIN, UserProfile(custom_fields=[custom]))
    assert copied == {"customFields": [{"values": ["a", "b"]}]}
    assert copied["customFields"][0]["values"] is not texts


def oracle() -> cattrs.Converter:
    """cattrs, told the wire names and nothing else of ours."""
    converter = cattrs.Converter()
    converter.register_unstructure_hook(
        datetime, lambda moment: calendar.timegm(moment.utctimetuple()) * 1000 + moment.microsecond // 1000
    )
    for kind in (CustomField, Identity, UserProfile, Event):
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


@pytest.mark.parametrize(("kind", "config"), [CONFIGS[0], CONFIGS[2]], ids=["users", "events"])
@given(data=st.data())
@settings(max_examples=50)
def test_cattrs_makes_the_same_wire_form(kind: type[Any], config: object, data: st.DataObject) -> None:
    record = data.draw(instances(kind))
    oracles = without_none(ORACLE.unstructure(record))
    assert compiled(kind, config, record) in (oracles, None)
    assert referred(record, config, kind) == (oracles, [])
