"""The functions that learn the form of a source's records, against the reference."""

from __future__ import annotations

from typing import Any

import attrs
import canary
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import (
    CONFIGS,
    EXACT,
    IDS,
    PLAIN,
    Whimsical,
    any_json,
    any_value,
    complete,
    given_records,
    good,
    is_left_to_the_codec,
    referred,
)

from asyncimport.learned import FEW_MISSES, MAX_FORMS, Form, Items, Learned, compile_form, form_of
from asyncimport.records import CustomField, Event, Identity, UserProfile
from asyncimport.shape import shape_of


def learned(kind: type[Any], config: object) -> Learned:
    return Learned(shape_of(kind), config)


def made(code: Learned, record: Any, position: int = 0) -> dict[str, Any] | None:
    wire = code.fast(record)
    return code.missed(record, position) if wire is None else wire


@pytest.mark.parametrize(("kind", "config"), CONFIGS, ids=IDS)
@given(data=st.data())
@settings(max_examples=60)
def test_what_is_learned_never_lets_past_what_the_reference_refuses(
    kind: type[Any], config: object, data: st.DataObject
) -> None:
    """A form is learned from one record; then others of the same keys, good and wild, meet its function."""
    example = complete(data.draw(given_records(kind, good)), config)
    code = learned(kind, config)
    assert made(code, example) == made(code, example)
    others = data.draw(st.lists(given_records(kind, any_value) | any_json | changed(example), max_size=5))
    for record in [example, *others]:
        quick = made(code, record)
        expected, problems = referred(record, config, kind)
        if quick is None:
            continue
        if not problems:
            assert repr(quick) == repr(expected)
            continue
        assert all(map(is_left_to_the_codec, problems))
        with canary.raises(TypeError):
            orjson.dumps(quick)


def changed(example: Any) -> st.SearchStrategy[Any]:
    """The example with one value replaced: the same form but for it."""
    if not isinstance(example, dict) or not example:
        return st.just(example)
    return st.builds(lambda key, item: example | {key: item}, st.sampled_from(sorted(example)), any_json)


@pytest.mark.parametrize(("kind", "config"), CONFIGS, ids=IDS)
@given(data=st.data())
@settings(max_examples=60)
def test_a_record_of_the_learned_form_is_taken_by_its_function(
    kind: type[Any], config: object, data: st.DataObject
) -> None:
    example = complete(data.draw(given_records(kind, good)), config)
    wire, problems = referred(example, config, kind)
    assert problems == []
    form = form_of(shape_of(kind), example, wire)
    assert compile_form(shape_of(kind), config, form)(example) in (wire, None)


def full(number: int) -> UserProfile:
    fields = [CustomField(config_id=number, values=["a", "b"]), CustomField(config_id=2, values=[])]
    return UserProfile(identity_type="phone", phone=str(number), real_name="x", sex="男", custom_fields=fields)


FULL_WIRE = {
    "identityType": "phone",
    "phone": "1",
    "realName": "x",
    "sex": "男",
    "customFields": [{"configId": 1, "values": ["a", "b"]}, {"configId": 2, "values": []}],
}
FULL_PYTHON = {
    "phone": "1",
    "real_name": "x",
    "identity_type": "phone",
    "sex": "男",
    "remark": None,
    "custom_fields": [{"config_id": 1, "values": ["a", "b"]}, {"config_id": 2, "values": []}],
}


@pytest.mark.parametrize("record", [full(1), FULL_WIRE], ids=["typed", "wire names"])
@pytest.mark.parametrize("config", [PLAIN, EXACT], ids=["plain", "exact"])
def test_the_third_record_of_a_form_is_taken_by_its_own_function(record: Any, config: object) -> None:
    code = learned(UserProfile, config)
    assert code.fast(record) is None
    assert [code.missed(record, 0), code.missed(record, 1)] == [FULL_WIRE] * 2
    assert code.fast(record) == FULL_WIRE


def test_absent_values_and_python_names_are_learned_too() -> None:
    python = {key: item for key, item in FULL_PYTHON.items() if key != "remark"}
    code = learned(UserProfile, PLAIN)
    for _ in range(2):
        made(code, python)
    assert code.fast(python) == FULL_WIRE
    wire, _ = referred(FULL_PYTHON, PLAIN, UserProfile)
    form = form_of(shape_of(UserProfile), FULL_PYTHON, wire)
    own = compile_form(shape_of(UserProfile), PLAIN, form)
    assert own(FULL_PYTHON) == wire == FULL_WIRE
    assert own(FULL_PYTHON | {"remark": "there"}) is None


@pytest.mark.parametrize(
    "other",
    [
        UserProfile(identity_type="phone", phone="1", real_name="x", sex="男"),
        UserProfile(identity_type="phone", phone="", real_name="x", sex="男", custom_fields=full(1).custom_fields),
        UserProfile(identity_type="phone", phone="1", real_name="x", sex="x", custom_fields=full(1).custom_fields),
        UserProfile(
            identity_type="phone", phone="1", real_name="x", sex="男", custom_fields=[CustomField(config_id=1)]
        ),
        UserProfile(identity_type="openid", phone="1", real_name="x", sex="男", custom_fields=full(1).custom_fields),
        FULL_WIRE,
        None,
    ],
    ids=["absent", "empty", "choice", "other items", "names another", "a dict", "None"],
)
def test_a_record_of_another_form_is_left_to_the_others(other: Any) -> None:
    wire, _ = referred(full(1), EXACT, UserProfile)
    form = form_of(shape_of(UserProfile), full(1), wire)
    assert compile_form(shape_of(UserProfile), EXACT, form)(other) is None


def test_objects_that_do_not_look_alike_are_read_one_by_one() -> None:
    mixed = Event(
        identities=[
            Identity(identity_value="1", identity_type="a"),
            Identity(identity_value="1", identity_type="a", platform="gzh"),
        ],
        event_key="c",
    )
    wire, _ = referred(mixed, None, Event)
    assert form_of(shape_of(Event), mixed, wire).items == (("identities", Items.MIXED),)
    code = learned(Event, None)
    assert [made(code, mixed) for _ in range(3)] == [wire] * 3
    assert code.fast(mixed) == wire
    assert code.fast(Event(identities=[Identity(identity_value="1")], event_key="c")) is None


def test_an_empty_list_is_a_form_of_its_own() -> None:
    record = UserProfile(custom_fields=[])
    code = learned(UserProfile, PLAIN)
    for _ in range(2):
        made(code, record)
    assert code.fast(record) == {"customFields": []}
    assert code.fast(UserProfile(custom_fields=[CustomField(config_id=1)])) is None
    assert code.fast(UserProfile(custom_fields=())) is None


def pairs(number: int) -> list[dict[str, str]]:
    """Two records of one form among many forms."""
    names = [name for bit, name in enumerate(("phone", "openid", "unionid", "remark", "address")) if number >> bit & 1]
    return [dict.fromkeys(names, "x")] * 2


def test_a_source_of_many_forms_learns_no_more_than_it_may() -> None:
    code = learned(UserProfile, PLAIN)
    for number in range(1, 32):
        for record in pairs(number):
            assert made(code, record) == record
    assert len(code._made) == MAX_FORMS


def test_a_source_that_only_misses_stays_with_the_function_for_any_form() -> None:
    code = learned(UserProfile, PLAIN)
    for number in range(FEW_MISSES + 10):
        made(code, {"phone": "1"} if number % 2 else {"openid": "1"}, 0)
    settled = code.fast
    assert code.fast({"phone": "1"}) == {"phone": "1"}
    assert code.fast({"openid": "1"}) == {"openid": "1"}
    assert settled in code._general


def test_now_and_then_another_form_costs_a_long_source_nothing() -> None:
    code = learned(UserProfile, PLAIN)
    for position in range(100_000):
        made(code, {"phone": "1"} if position % 100 else {"openid": "1"}, position)
    assert code.fast not in code._general


def test_a_form_tells_its_keys_its_fields_and_its_items() -> None:
    record = {"phone": "1", "customFields": [{"configId": 1}]}
    inner = Form(("configId",), frozenset({"configId"}), ())
    expected = Form(("phone", "customFields"), frozenset(record), (("customFields", inner),))
    assert form_of(shape_of(UserProfile), record, record) == expected


def test_a_record_in_doubt_teaches_nothing() -> None:
    code = learned(UserProfile, PLAIN)
    assert [made(code, {"nick": "x"}) for _ in range(3)] == [None] * 3
    assert code._made == {}


def test_a_form_with_a_rule_over_its_own_fields_is_learned_with_it() -> None:
    person = Identity(identity_value="1", identity_type="openid", mpid="wx", is_wechat_ecosystem=True)
    record, code = Event(identities=[person], event_key="c"), learned(Event, None)
    wires = [made(code, record) for _ in range(3)]
    assert wires == [referred(record, None, Event)[0]] * 3
    assert code.fast(record) == wires[0]
    lacking = attrs.evolve(person, is_wechat_ecosystem=None)
    assert code.fast(Event(identities=[lacking], event_key="c")) is None


def test_a_rule_that_the_generator_does_not_know_leaves_every_record_of_the_form_to_the_reference() -> None:
    record, shape = Whimsical(name="x"), shape_of(Whimsical)
    form = form_of(shape, record, {"name": "x"})
    assert compile_form(shape, None, form)(record) is None
