"""Records for hypothesis, good and wild, and what the reference and the structs make of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any

import attrs
import canary
from hypothesis import strategies as st

from asyncimport.configs import (
    EventImportConfig,
    EventImportConfigV1,
    GroupImportConfig,
    ImportMode,
    MatchingType,
    OptType,
    TagImportConfig,
    UserImportConfig,
    UserImportConfigV2,
)
from asyncimport.fields import At, Flag, Int64, JsonList, JsonObject, ListOf, Millis, Problem, Text
from asyncimport.guard import Form
from asyncimport.quick import reading
from asyncimport.records import Event, EventV1, GroupAssignment, TagAssignment, UserProfile, UserProfileV2
from asyncimport.shape import ObjectOf, copy_record, shape_of, wire
from asyncimport.structs import plain

EXACT = UserImportConfig(is_matching=True, import_mode=ImportMode.FULL, matching_type=MatchingType.EXACT)
PLAIN = UserImportConfig(is_matching=False, import_mode=ImportMode.FULL)
EXACT_V1 = EventImportConfigV1(matching_type=MatchingType.EXACT)
CONFIGS: list[tuple[type[Any], object]] = [
    (UserProfile, PLAIN),
    (UserProfile, EXACT),
    (Event, EventImportConfig()),
    (UserProfileV2, UserImportConfigV2(import_mode=ImportMode.FULL)),
    (EventV1, EXACT_V1),
    (TagAssignment, TagImportConfig(opt_type=OptType.ADD)),
    (GroupAssignment, GroupImportConfig(opt_type=OptType.ADD)),
]
IDS = ["users", "users-exact", "events", "users-v2", "events-v1-exact", "tags", "groups"]

#: What structs leave to the encoder: no text that JSON could hold.
LEFT_TO_THE_CODEC = ("surrogate",)

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
good_json = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
any_text = st.text(st.characters(exclude_categories=[]), max_size=5)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | any_text | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(any_text | st.integers(0, 3) | st.booleans(), inner, max_size=3)
    ),
    max_leaves=8,
)


class Nowhere(tzinfo):
    """A time zone of the user's that cannot be asked."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        raise LookupError(canary.PERSON)

    dst = utcoffset

    def tzname(self, moment: datetime | None) -> str:
        return canary.PERSON


class Odd:
    """A kind that structs and guards do not know."""

    def copy(self, value: Any, at: At, problems: list[Problem]) -> Any:
        return value


@attrs.define(kw_only=True)
class Unknown:
    """A record with fields of which only the reference knows what they take."""

    odd: Any = attrs.field(default=None, metadata=wire("odd", Odd()))
    odds: Any = attrs.field(default=None, metadata=wire("odds", ListOf(item=Int64())))
    REQUIREMENTS = ()


class Broken(Mapping[str, Any]):
    """A mapping of the user's that cannot be read."""

    def __getitem__(self, key: str) -> Any:
        raise LookupError(canary.PERSON)

    def __iter__(self) -> Iterator[str]:
        return iter(["phone"])

    def __len__(self) -> int:
        return 1


class Whim:
    """A rule that the generator does not know."""

    def check(self, wire: Any, at: At, problems: list[Problem], config: object) -> None: ...


@attrs.define(kw_only=True)
class Whimsical:
    name: str | None = attrs.field(default=None, metadata=wire("name", Text()))
    REQUIREMENTS = (Whim(),)


def good(kind: Any) -> st.SearchStrategy[Any]:
    """Values that a kind of field takes."""
    match kind:
        case Text(choices=choices) if choices:
            return st.sampled_from(choices)
        case Text(non_empty=non_empty, max_chars=max_chars):
            return st.text(min_size=int(non_empty), max_size=max_chars or 40)
        case Flag():
            return st.booleans()
        case Int64():
            return st.integers(-(2**63), 2**63 - 1)
        case Millis():
            moments = st.datetimes(datetime(1973, 4, 1), datetime(5138, 1, 1), timezones=st.timezones())  # noqa: DTZ001 -- bounds
            return st.integers(10**11, 10**14 - 1) | moments
        case JsonObject():
            return st.dictionaries(st.text(max_size=5), good_json, max_size=3)
        case JsonList():
            return st.lists(good_json, max_size=3)
        case ListOf(item=ObjectOf(record=record), min_items=least):
            return st.lists(given_records(record, good), min_size=least, max_size=3)
        case ListOf(item=item):
            return st.lists(good(item), max_size=3)
    raise AssertionError(kind)


def any_value(kind: Any) -> st.SearchStrategy[Any]:
    """Good ones more often than not, so that a record gets past its first field."""
    wild = any_json | st.datetimes() | st.just(math.nan) | st.just("")
    if isinstance(kind, ListOf) and isinstance(kind.item, ObjectOf):
        wild |= st.lists(given_records(kind.item.record, any_value) | any_json, max_size=2)
    return st.one_of(good(kind), good(kind), wild)


Values = Callable[[Any], st.SearchStrategy[Any]]


def given_records(record: type[Any], values: Values) -> st.SearchStrategy[Any]:
    """Records as instances, with wire names, with Python names, and with both."""
    fields = shape_of(record).fields
    needed = {f.name for f in fields if f.required or f.wire == "isWeChatEcosystem"}  # mpid needs it
    named = st.fixed_dictionaries(
        {f.name: values(f.kind) for f in fields if f.name in needed},
        optional={f.name: st.none() | values(f.kind) for f in fields if f.name not in needed},
    )
    wires = {f.name: f.wire for f in fields}
    return st.one_of(
        named.map(lambda given: record(**given)),
        named.map(lambda given: {wires[name]: item for name, item in given.items()}),
        named,
        named.map(lambda given: {wires[name] if name < "m" else name: item for name, item in given.items()}),
    )


def complete(record: Any, config: object) -> Any:
    """The record with what exact matching, or a group's category, asks for."""
    if config is EXACT or config is EXACT_V1:
        return _given(record, "identity_type", "identityType", "card")
    if isinstance(config, GroupImportConfig):
        return _given(record, "wx_dept_id", "wxDeptId", "7")
    return record


def _given(record: Any, name: str, wire_name: str, value: str) -> Any:
    if isinstance(record, dict):
        return {key: item for key, item in record.items() if key != name} | {wire_name: value}
    setattr(record, name, value)
    return record


def referred(record: Any, config: object, kind: type[Any]) -> tuple[dict[str, Any], list[Problem]]:
    problems: list[Problem] = []
    return copy_record(shape_of(kind), record, At(), problems, config), problems


def quick(kind: type[Any], config: object, record: Any) -> dict[str, Any] | None:
    """What structs and guards make of a record, as a mapping; where two forms are sure they agree, and so do one and many."""
    sure = []
    for form in (Form.WIRE, Form.PYTHON, Form.TYPED):
        made = reading(shape_of(kind), config, form)
        wire, wires = made.of(record), made.of_all([record, record])
        assert (wire is None) == (wires is None) or isinstance(record, kind | Mapping)
        sure += [plain(wire)] if wire is not None else []
        sure += plain(wires) if wires is not None else []
    assert len({repr(form) for form in sure}) <= 1
    return sure[0] if sure else None


def is_left_to_the_codec(problem: Problem) -> bool:
    return any(words in problem.rule for words in LEFT_TO_THE_CODEC)
