from __future__ import annotations

from typing import Any, ClassVar

import attrs
import canary
import pytest
from attrs import define, field, frozen
from strategies import Odd, Whim

from asyncimport.configs import (
    Config,
    EventImportConfig,
    EventImportConfigV1,
    GroupImportConfig,
    TagImportConfig,
    UserImportConfig,
    UserImportConfigV2,
)
from asyncimport.errors import ConfigError
from asyncimport.fields import Int64, ListOf, Millis, Text
from asyncimport.records import (
    Event,
    EventV1,
    GroupAssignment,
    Record,
    TagAssignment,
    UserProfile,
    UserProfileV2,
)
from asyncimport.resources import BY_NAME, RESOURCES, TAGS, USERS, Resource
from asyncimport.shape import NamesFilled, Needs, NeedsOneOf, ObjectOf, Requirement, shape_of, wire


def test_the_table_says_what_the_documents_say() -> None:
    assert [attrs.astuple(resource, recurse=False) for resource in RESOURCES] == [
        ("users", "/audience/info/batchAdd", UserProfile, UserImportConfig, True, False),
        ("users_v2", "/audience/info/v2/batchAdd", UserProfileV2, UserImportConfigV2, True, False),
        ("events", "/event/v2/batchAdd", Event, EventImportConfig, False, True),
        ("events_v1", "/event/batchAdd", EventV1, EventImportConfigV1, False, True),
        ("tags", "/audience/tag/v2/batchAdd", TagAssignment, TagImportConfig, True, False),
        ("groups", "/audience/group/rel/v2/batchAdd", GroupAssignment, GroupImportConfig, True, False),
    ]
    assert list(BY_NAME.values()) == list(RESOURCES)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
def test_what_is_stamped_has_the_fields_for_it(resource: Resource) -> None:
    names = shape_of(resource.record).by_name
    assert resource.is_stamped == ("uuid" in names and "time" in names)


@define(kw_only=True, repr=False)
class Coupon(Record):
    code: str | None = field(default=None, metadata=wire("couponCode", Text(), required=True))
    uuid: str | None = field(default=None, metadata=wire("uuid", Text()))
    time: int | None = field(default=None, metadata=wire("time", Millis()))


@frozen(kw_only=True)
class CouponConfig(Config):
    shop: str = field(default="x", metadata={"wire": "shop"})


def declared(**more: Any) -> Resource:
    given: dict[str, Any] = {"name": "coupons", "path": "/coupon/batchAdd", "record": Coupon, "config": CouponConfig}
    return Resource(**given | {"has_batch_id": True} | more)


def test_a_resource_of_the_users_own_is_declared_by_its_parts() -> None:
    assert declared() == declared(is_stamped=False)
    assert declared(is_stamped=True).is_stamped
    assert declared(config=Config).config is Config
    assert attrs.evolve(USERS, path="/other").record is UserProfile


@pytest.mark.parametrize(
    "path",
    [
        "coupon", "", "/", "/a/", "//evil.example/a", "https://evil.example/a", "/a/../b", "/..", "/a?b=1", "/a#b", "/a%2fb",
        "/a\\b", "/a b", "/a\n", "/@evil", None, 7,
    ],
)  # fmt: skip
def test_g20_a_path_that_is_more_than_a_path_is_refused(path: Any) -> None:
    with canary.raises(ConfigError, match="coupons: the path must be a plain path under the base URL"):
        declared(path=path)


@pytest.mark.parametrize("name", ["", "Coupons", "a-b", "a b", "2a", "a" * 41, "张", None, 7])
def test_a_name_that_could_be_mistaken_is_refused(name: Any) -> None:
    with canary.raises(ConfigError, match="at most 40 of a-z"):
        declared(name=name)


@pytest.mark.parametrize("name", [*BY_NAME, "token"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    with canary.raises(ConfigError, match=f"the name '{name}' is taken"):
        declared(name=name)


@define(kw_only=True, repr=False)
class Bare(Record):
    code: str | None = None


@define(kw_only=True, repr=False)
class KindAsClass(Record):
    code: str | None = field(default=None, metadata=wire("code", Text))  # type: ignore[arg-type] # the point


@define(kw_only=True)
class Showing(Record):
    code: str | None = field(default=None, metadata=wire("code", Text()))


class Undefined(Coupon):
    """Its own class body was not read by attrs."""


@define(kw_only=True, repr=False)
class Twice(Record):
    code: str | None = field(default=None, metadata=wire("code", Text()))
    other: str | None = field(default=None, metadata=wire("code", Text()))


@define(kw_only=True, repr=False)
class Nested(Record):
    parts: Any = field(default=None, metadata=wire("parts", ListOf(item=ObjectOf(record=Bare))))


def with_rule(rule: Requirement) -> type[Record]:
    @define(kw_only=True, repr=False)
    class Ruled(Record):
        code: str | None = field(default=None, metadata=wire("code", Text()))
        REQUIREMENTS: ClassVar[tuple[Requirement, ...]] = (rule,)

    return Ruled


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (Bare, "Bare.code has no wire name and kind: give metadata=wire"),
        (KindAsClass, "KindAsClass.code has no wire name and kind"),
        (Showing, "Showing would show people's data in its repr: give attrs.define repr=False"),
        (Undefined, "a subclass of Record made by attrs.define, got Undefined"),
        (dict, "a subclass of Record made by attrs.define, got dict"),
        (Coupon(), "a subclass of Record made by attrs.define, got Coupon"),
        (Twice, "Twice has two fields of one wire name"),
        (Nested, "Bare.code has no wire name and kind"),
        (with_rule(Needs("code", "cod")), "REQUIREMENTS name 'cod', which is no field of it"),
        (with_rule(NeedsOneOf("kind", "1", ("code",))), "REQUIREMENTS name 'kind'"),
        (with_rule(NeedsOneOf("code", "1", ("code", "date"))), "REQUIREMENTS name 'date'"),
        (with_rule(NamesFilled("code", {"a": "nobody"})), "REQUIREMENTS name 'nobody'"),
    ],
)
def test_a_record_that_cannot_work_is_refused_when_the_resource_is_made(record: Any, told: str) -> None:
    with canary.raises(ConfigError, match="^coupons: ") as caught:
        declared(record=record)
    assert told in str(caught.value)


def test_a_kind_and_a_rule_may_be_of_the_users_own() -> None:
    own = attrs.make_class(
        "Own",
        {"odd": field(default=None, metadata=wire("odd", Odd()))},
        (Record,),
        repr=False,
        kw_only=True,
        slots=True,
    )
    assert declared(record=own).record is own
    assert declared(record=with_rule(Whim())).name == "coupons"


@frozen(kw_only=True)
class BareConfig(Config):
    shop: str = "x"


class UndefinedConfig(CouponConfig):
    """Its own class body was not read by attrs."""


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (UndefinedConfig, "config takes a subclass of Config made by attrs.frozen, got UndefinedConfig"),
        (dict, "config takes a subclass of Config made by attrs.frozen, got dict"),
        (CouponConfig(), "config takes a subclass of Config made by attrs.frozen, got CouponConfig"),
        (None, "config takes a subclass of Config made by attrs.frozen, got NoneType"),
        (BareConfig, "BareConfig.shop has no wire name"),
    ],
    ids=["not made by attrs", "dict", "value", "none", "without wire name"],
)
def test_a_config_that_cannot_work_is_refused(config: Any, told: str) -> None:
    with canary.raises(ConfigError, match=f"coupons: {told}"):
        declared(config=config)


@define(kw_only=True, repr=False)
class OddlyTimed(Record):
    uuid: str | None = field(default=None, metadata=wire("uuid", Text()))
    time: int | None = field(default=None, metadata=wire("time", Int64()))


@pytest.mark.parametrize("record", [UserProfile, OddlyTimed, TAGS.record])
def test_only_a_record_with_uuid_and_time_can_be_stamped(record: type[Record]) -> None:
    with canary.raises(
        ConfigError, match=r"coupons: stamped records take the fields uuid \(Text\) and time \(Millis\)"
    ):
        declared(record=record, is_stamped=True)
