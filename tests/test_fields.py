from __future__ import annotations

import math
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import canary
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.fields import (
    ABSENT,
    MAX_DEPTH,
    At,
    Flag,
    Int64,
    JsonList,
    JsonObject,
    Kind,
    ListOf,
    Millis,
    Problem,
    Text,
    copy_json,
    is_unicode,
    kind_of,
    millis_of,
)


class Word(str):
    __slots__ = ()


class Level(IntEnum):
    HIGH = 3


class Colour(StrEnum):
    RED = "red"


class Shade(Enum):
    DARK = canary.PERSON


class Real(float):
    __slots__ = ()


Pair = namedtuple("Pair", ["left", "right"])  # noqa: PYI024 -- the untyped kind is what users have


def copied(kind: Kind, given: Any) -> tuple[Any, list[Problem]]:
    problems: list[Problem] = []
    return kind.copy(given, At("data[3]").key("f"), problems), problems


def nested(depth: int) -> Any:
    inside: Any = canary.PERSON
    for _ in range(depth):
        inside = [inside]
    return inside


MOMENT = datetime(2020, 11, 16, 1, 36, 55, 673_999, tzinfo=UTC)
MILLIS = 1_605_490_615_673
JSON = JsonObject()


@pytest.mark.parametrize(
    ("kind", "given", "wire"),
    [
        pytest.param(Text(), "张三", "张三", id="text"),
        pytest.param(Text(), "", "", id="text-empty"),
        pytest.param(Text(), Word("w"), "w", id="text-subclass"),
        pytest.param(Text(), Colour.RED, "red", id="text-str-enum"),
        pytest.param(Text(max_chars=2), "四\U0001f600", "四\U0001f600", id="text-at-its-limit"),
        pytest.param(Text(choices=("男", "女")), "女", "女", id="text-choice"),
        pytest.param(Text(), "\0 \u2028 \u202e אב \U0001f600", "\0 \u2028 \u202e אב \U0001f600", id="G11"),
        pytest.param(Flag(), False, False, id="flag"),
        pytest.param(Int64(), 2**63 - 1, 2**63 - 1, id="int64-highest"),
        pytest.param(Int64(), -(2**63), -(2**63), id="int64-lowest"),
        pytest.param(Int64(), Level.HIGH, 3, id="int64-enum"),
        pytest.param(Millis(), MILLIS, MILLIS, id="millis"),
        pytest.param(Millis(), 10**11, 10**11, id="millis-lowest"),
        pytest.param(Millis(), 10**14 - 1, 10**14 - 1, id="millis-highest"),
        pytest.param(Millis(), MOMENT, MILLIS, id="millis-datetime-rounds-down"),
        pytest.param(Millis(), MOMENT.astimezone(timezone(timedelta(hours=8))), MILLIS, id="millis-other-zone"),
        pytest.param(ListOf(item=Text()), ("a", "b"), ["a", "b"], id="list-of-tuple"),
        pytest.param(ListOf(item=Text()), [], [], id="list-empty"),
        pytest.param(JSON, {"a": None, "b": {"c": None}}, {"b": {}}, id="json-none-is-absent"),
        pytest.param(JSON, {"a": [None, (1, 2.5)]}, {"a": [None, [1, 2.5]]}, id="json-null-in-a-list-stays"),
        pytest.param(JSON, {"a": Pair(True, "x")}, {"a": [True, "x"]}, id="json-named-tuple"),
        pytest.param(JSON, {"a": 2**63 - 1, "b": -(2**63)}, {"a": 2**63 - 1, "b": -(2**63)}, id="G5-bounds"),
        pytest.param(JSON, {"a": Level.HIGH, "b": Colour.RED, "c": Real(0.5)}, {"a": 3, "b": "red", "c": 0.5}, id="G7"),
        pytest.param(JSON, OrderedDict(a=1), {"a": 1}, id="json-ordered"),
        pytest.param(JSON, MappingProxyType({Word("a"): 1}), {"a": 1}, id="json-any-mapping"),
        pytest.param(JSON, {"__proto__": "1", "token": "2", "a\r\nb": "3"}, None, id="G19"),
        pytest.param(JSON, {"a": nested(MAX_DEPTH - 1)}, None, id="G8-at-the-limit"),
    ],
)
def test_a_good_value_goes_onto_the_wire_in_plain_types(kind: Kind, given: Any, wire: Any) -> None:
    expected = given if wire is None else wire
    out, problems = copied(kind, given)
    assert problems == []
    assert out == expected
    assert type(out) is type(expected)
    assert orjson.loads(orjson.dumps(out)) == expected


@pytest.mark.parametrize(
    ("kind", "given", "got", "rule"),
    [
        pytest.param(Text(), 13800000000, "int", "write the number as a string", id="text-int"),
        pytest.param(Text(), 1.5, "float", "write the number as a string", id="text-float"),
        pytest.param(Text(), b"\xe5", "bytes", "decode the bytes first", id="G7-text-bytes"),
        pytest.param(Text(), [canary.PERSON], "list", "takes text (str)", id="text-list"),
        pytest.param(Text(non_empty=True), "", "an empty string", "must not be empty", id="text-empty"),
        pytest.param(Text(max_chars=36), canary.PERSON * 3, "51 characters", "at most 36", id="text-long"),
        pytest.param(Text(choices=("男", "女")), canary.PERSON, "another text", "one of 男, 女", id="text-choice"),
        pytest.param(Text(), canary.PERSON + "\ud800", "text", "lone surrogate", id="G4-text"),
        pytest.param(Flag(), 1, "int", "takes True or False", id="flag-int"),
        pytest.param(Flag(), canary.PERSON, "text", "takes True or False", id="flag-text"),
        pytest.param(Int64(), True, "bool", "whole number (int)", id="int64-bool"),
        pytest.param(Int64(), canary.PERSON, "text", "whole number (int)", id="int64-text"),
        pytest.param(Int64(), 1.0, "float", "whole number (int)", id="int64-float"),
        pytest.param(Int64(), 2**63, "int", "64 bits", id="G5-int64-above"),
        pytest.param(Int64(), -(2**63) - 1, "int", "64 bits", id="G5-int64-below"),
        pytest.param(Millis(), 1_605_490_615, "int", "looks like seconds, multiply by 1000", id="millis-seconds"),
        pytest.param(Millis(), MILLIS * 1000, "int", "microseconds or nanoseconds", id="millis-microseconds"),
        pytest.param(Millis(), True, "bool", "milliseconds since 1970", id="millis-bool"),
        pytest.param(Millis(), float(MILLIS), "float", "milliseconds since 1970", id="millis-float"),
        pytest.param(Millis(), canary.PERSON, "text", "milliseconds since 1970", id="millis-text"),
        pytest.param(Millis(), MOMENT.replace(tzinfo=None), "a naive datetime", "time zone", id="G7-naive"),
        pytest.param(Millis(), date(2020, 1, 1), "date", "aware datetime", id="millis-date"),
        pytest.param(ListOf(item=Text()), canary.PERSON, "text", "takes a list", id="list-text"),
        pytest.param(ListOf(item=Text()), {"a"}, "set", "takes a list", id="list-set"),
        pytest.param(ListOf(item=Text(), min_items=1), [], "0 items", "takes at least 1", id="list-short"),
        pytest.param(JSON, [canary.PERSON], "list", "takes a mapping", id="json-list"),
        pytest.param(JSON, {"a": math.nan}, "float", "finite", id="G3-nan"),
        pytest.param(JSON, {"a": math.inf}, "float", "finite", id="G3-infinity"),
        pytest.param(JSON, {"a": [-math.inf]}, "float", "finite", id="G3-minus-infinity"),
        pytest.param(JSON, {"a": "\ud800"}, "text", "lone surrogate", id="G4-value"),
        pytest.param(JSON, {"\udfff": 1}, "text", "key with a lone surrogate", id="G4-key"),
        pytest.param(JSON, {"a": 2**63}, "int", "64 bits: send longer ones as text", id="G5-above"),
        pytest.param(JSON, {"a": -(10**400)}, "int", "64 bits", id="G5-400-digits"),
        pytest.param(JSON, {1: "x", "1": "y"}, "int", "text keys only", id="G6-one"),
        pytest.param(JSON, {"a": {True: canary.PERSON}}, "bool", "text keys only", id="G6-true"),
        pytest.param(JSON, {"a": b"x"}, "bytes", "JSON values only; convert it", id="G7-bytes"),
        pytest.param(JSON, {"a": {canary.PERSON}}, "set", "JSON values only", id="G7-set"),
        pytest.param(JSON, {"a": Decimal("1.5")}, "Decimal", "JSON values only", id="G7-decimal"),
        pytest.param(JSON, {"a": Shade.DARK}, "Shade", "JSON values only", id="G7-enum"),
        pytest.param(JSON, {"a": At(canary.PERSON)}, "At", "JSON values only", id="G7-attrs"),
        pytest.param(JSON, {"a": datetime(2020, 1, 1)}, "datetime", "write a date as text", id="G7-date"),  # noqa: DTZ001 -- naive on purpose
        pytest.param(JSON, {"a": nested(MAX_DEPTH)}, "list", "deeper than 128 levels", id="G8-one-too-deep"),
        pytest.param(JSON, {"a": nested(100_000)}, "list", "deeper than 128 levels", id="G8-100k"),
    ],
)
def test_a_bad_value_is_refused_with_its_kind_and_the_rule_and_never_shown(
    kind: Kind, given: Any, got: str, rule: str
) -> None:
    _, problems = copied(kind, given)
    (problem,) = problems
    assert problem.got == got
    assert rule in problem.rule
    assert problem.place.startswith("data[3].f")
    assert problem.field.startswith("f")
    assert canary.leaks(f"{problem} {problem!r} {problem.reason}") == []


@pytest.mark.parametrize("year", [1970, 9999])
def test_a_datetime_out_of_range_is_not_mistaken_for_a_number_in_another_unit(year: int) -> None:
    _, (problem,) = copied(Millis(), datetime(year, 1, 2, tzinfo=UTC))
    assert problem.got == "datetime"
    assert "multiply" not in problem.rule
    assert "divide" not in problem.rule


@pytest.mark.parametrize("kind", [Text(), Int64(), Millis(), ListOf(item=Text()), JsonObject(), JsonList()])
def test_what_cannot_stand_on_the_wire_leaves_a_mark_in_its_place(kind: Kind) -> None:
    assert copied(kind, object())[0] is ABSENT


def test_every_breach_is_listed_with_its_place() -> None:
    given = {"a": [1, math.nan, {"b": b""}], "c d": Decimal(1)}
    _, problems = copied(JsonObject(), given)
    assert [problem.place for problem in problems] == ["data[3].f.a[1]", "data[3].f.a[2].b", 'data[3].f["c d"]']
    assert [problem.field for problem in problems] == ["f.*[]", "f.*[].*", "f.*"]
    assert str(problems[0]) == "data[3].f.a[1]: got float; takes finite numbers: NaN and infinities have no JSON form"
    assert problems[0].reason == "f.*[]: takes finite numbers: NaN and infinities have no JSON form"


def test_a_place_names_keys_escaped_and_cut() -> None:
    at = At("data[3]").key("identities").item(0).key("mpid")
    assert (at.place, at.field) == ("data[3].identities[0].mpid", "identities[].mpid")
    strange = At("data[3]").unknown_key("\n\u202e\ud800" + "x" * 100)
    assert strange.place == f'data[3]["\\n\\u202e\\ud800{"x" * 37}"]'
    assert strange.field == strange.place.removeprefix("data[3]")
    assert At().unknown_key("a b").place == '["a b"]'


@pytest.mark.parametrize(
    ("place", "within"),
    [
        ("data[3]", ""),
        ("data[3].sex", "sex"),
        ("data[3].identities[0].mpid", "identities[0].mpid"),
        ('data[3]["a b"]', '["a b"]'),
    ],
)
def test_a_problem_knows_its_place_within_its_record(place: str, within: str) -> None:
    assert At(place).problem(None, "is required").place_in(3) == within


def test_a_list_that_holds_itself_twice_is_told_once() -> None:
    endless: list[Any] = []
    endless += [endless, endless]
    problems: list[Problem] = []
    copy_json({"a": endless}, At(), problems, MAX_DEPTH)
    assert ["deeper than" in problem.rule for problem in problems] == [True]


def test_a_problem_of_a_whole_record_says_so() -> None:
    problem = At().problem(None, "takes a mapping")
    assert (problem.reason, str(problem)) == ("record: takes a mapping", "record: got nothing; takes a mapping")


@pytest.mark.parametrize(
    ("given", "words"),
    [(None, "nothing"), ("", "an empty string"), ("x", "text"), (Word("x"), "Word"), (1, "int"), ({}, "dict")],
)
def test_a_kind_is_named_in_the_users_words(given: object, words: str) -> None:
    assert kind_of(given) == words


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return [without_none(item) for item in value] if isinstance(value, list) else value


@given(json_values)
def test_any_json_value_is_copied_whole_but_for_absent_keys(given: Any) -> None:
    problems: list[Problem] = []
    out = copy_json(given, At(), problems, MAX_DEPTH)
    assert (out, problems) == (without_none(given), [])
    assert orjson.loads(orjson.dumps(out)) == out


def test_a_free_list_is_copied_whole_and_keeps_the_places_of_its_items() -> None:
    inner: dict[str, Any] = {"a": None, "b": [None, {"c": None}]}
    made, problems = copied(JsonList(), (1, None, inner, "x"))
    assert (made, problems) == ([1, None, {"b": [None, {}]}, "x"], [])
    assert made[2]["b"] is not inner["b"]


@pytest.mark.parametrize("given", ["ab", {"a": 1}, {1}, 7, iter([1])], ids=lambda given: type(given).__name__)
def test_what_is_no_list_is_no_free_list(given: Any) -> None:
    made, (problem,) = copied(JsonList(), given)
    assert (made, problem.rule, problem.place) == (ABSENT, "takes a list of JSON values", "data[3].f")


@given(st.text(st.characters(exclude_categories=[])))
def test_unicode_is_what_utf8_can_carry(text: str) -> None:
    assert is_unicode(text) == (text.encode(errors="replace").decode() == text)


@given(st.datetimes(timezones=st.timezones()))
def test_milliseconds_of_a_moment_never_lie_after_it(moment: datetime) -> None:
    back = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis_of(moment))
    assert timedelta(0) <= moment - back < timedelta(milliseconds=1)
