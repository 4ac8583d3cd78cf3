from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import attrs
import canary
import pytest

from asyncimport.configs import (
    EventImportConfig,
    EventImportConfigV1,
    GroupImportConfig,
    IdentifyWay,
    ImportMode,
    MatchingType,
    OptType,
    TagImportConfig,
    UserImportConfig,
    UserImportConfigV2,
)
from asyncimport.errors import ValidationError
from asyncimport.records import (
    CustomField,
    Event,
    EventV1,
    GroupAssignment,
    Identity,
    Record,
    TagAssignment,
    UserProfile,
    UserProfileV2,
)

P = canary.PERSON
PLAIN = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
EXACT = attrs.evolve(PLAIN, matching_type=MatchingType.EXACT)
FUZZY = attrs.evolve(PLAIN, matching_type=MatchingType.FUZZY, identify_way=IdentifyWay.UNIONID_FIRST)
EVENTS = EventImportConfig(matching_type=MatchingType.EXACT)
EVENTS_V1 = EventImportConfigV1()
EXACT_V1 = EventImportConfigV1(matching_type=MatchingType.EXACT)
USERS_V2 = UserImportConfigV2(import_mode=ImportMode.FULL, matching_type=MatchingType.EXACT)
TAGS = TagImportConfig(opt_type=OptType.ADD, matching_type=MatchingType.EXACT)
GROUPS = GroupImportConfig(opt_type=OptType.DELETE)
WHO = (Identity(identity_value=P, identity_type="phone"),)


def event(**given: Any) -> Event:
    return Event(**{"identities": [Identity(identity_value=P, identity_type="phone")], "event_key": "c_buy"} | given)


def identity(**given: Any) -> Event:
    return event(identities=[{"identityValue": P, "identityType": "phone"} | given])


@pytest.mark.parametrize(
    ("record", "config"),
    [
        pytest.param(UserProfile(), PLAIN, id="nothing-filled"),
        pytest.param(UserProfile(identity_type="phone", phone=P), EXACT, id="exact-phone"),
        pytest.param(UserProfile(identity_type="id", third_id=P), EXACT, id="exact-id-names-third-id"),
        pytest.param(UserProfile(identity_type="uid", third_id=P), EXACT, id="exact-uid-names-third-id"),
        pytest.param(UserProfile(identity_type="openid", openid=P), EXACT, id="exact-openid"),
        pytest.param(UserProfile(identity_type="unionid", unionid=P), EXACT, id="exact-unionid"),
        pytest.param(UserProfile(identity_type="member-card"), EXACT, id="exact-unknown-type-passes"),
        pytest.param(UserProfile(phone=P), FUZZY, id="fuzzy-asks-for-no-type"),
        pytest.param(UserProfile(identity_type="phone"), PLAIN, id="named-but-not-exact"),
        pytest.param(UserProfile(sex="男", birthday="", remark=""), PLAIN, id="empty-text-is-text"),
        pytest.param(UserProfile(custom_fields=[]), PLAIN, id="no-custom-fields"),
        pytest.param(
            UserProfile(custom_fields=(CustomField(config_id=1, values=("a",)), {"configName": P})),
            PLAIN,
            id="custom-fields-in-both-forms",
        ),
        pytest.param(event(), EVENTS, id="event"),
        pytest.param(event(uuid="u" * 36), EVENTS, id="uuid-of-36"),
        pytest.param(event(time=datetime(2020, 1, 1, tzinfo=UTC)), EVENTS, id="aware-time"),
        pytest.param(identity(mpid="wx1", isWeChatEcosystem=False), EVENTS, id="mpid-with-its-flag"),
        pytest.param(identity(isWeChatEcosystem=True), EVENTS, id="the-flag-alone"),
        pytest.param(event(eventargs={"c_a": {"deep": [1, 2.5, None, {"x": "y"}]}}), EVENTS, id="nested-args"),
        pytest.param(UserProfileV2(identities=WHO), USERS_V2, id="v2-user-by-identity-alone"),
        pytest.param(
            UserProfileV2(identities=WHO, sex="女", custom_fields=[CustomField(config_id=1)]), USERS_V2, id="v2-user"
        ),
        pytest.param(EventV1(), EVENTS_V1, id="v1-event-of-nothing"),
        pytest.param(EventV1(identity_type="uid", third_id=P), EXACT_V1, id="v1-event-exact-uid"),
        pytest.param(EventV1(identity_type="card", event_key="c"), EXACT_V1, id="v1-event-exact-unknown-type-passes"),
        pytest.param(EventV1(identity_type="phone"), EVENTS_V1, id="v1-event-named-but-not-exact"),
        pytest.param(EventV1(uuid="u" * 36, time=datetime(2020, 1, 1, tzinfo=UTC)), EVENTS_V1, id="v1-event-stamped"),
        pytest.param(TagAssignment(identities=WHO), TAGS, id="tags-none"),
        pytest.param(TagAssignment(identities=WHO, operate_tags=[]), TAGS, id="tags-empty"),
        pytest.param(
            TagAssignment(identities=WHO, operate_tags=("a", {"x": [1, None]}, 2.5, None)), TAGS, id="tags-of-any-form"
        ),
        pytest.param(GroupAssignment(identities=WHO, groups="a,b"), GROUPS, id="groups"),
        pytest.param(GroupAssignment(identities=WHO, category_type="1"), GROUPS, id="groups-of-the-company"),
        pytest.param(GroupAssignment(identities=WHO, dept_id=7), GROUPS, id="a-department-without-category"),
        pytest.param(GroupAssignment(identities=WHO, category_type="2", dept_id=0), GROUPS, id="dept-id-0"),
        pytest.param(GroupAssignment(identities=WHO, category_type="2", third_dept_id="t"), GROUPS, id="third-dept"),
        pytest.param(GroupAssignment(identities=WHO, category_type="2", wx_dept_id="w"), GROUPS, id="wx-dept"),
    ],
)
def test_a_record_within_the_contract_passes(record: Record, config: object) -> None:
    record.check(config)


@pytest.mark.parametrize(
    ("record", "config", "places", "words"),
    [
        pytest.param(UserProfile(third_id=1), EXACT, "thirdId identityType", "int", id="int-third-id"),  # type: ignore[arg-type] # the point
        pytest.param(UserProfile(third_id=7), PLAIN, "thirdId", "write the number as a string", id="hint"),  # type: ignore[arg-type] # the point
        pytest.param(UserProfile(phone=P), EXACT, "identityType", "required with exact matching", id="exact-no-type"),
        pytest.param(
            UserProfile(identity_type="phone", third_id=P), EXACT, "phone", "identityType names it", id="exact-phone"
        ),
        pytest.param(UserProfile(identity_type="id", phone=P), EXACT, "thirdId", "names it", id="exact-id"),
        pytest.param(UserProfile(identity_type="uid", phone=P), EXACT, "thirdId", "names it", id="exact-uid"),
        pytest.param(UserProfile(identity_type="openid", phone=P), EXACT, "openid", "names it", id="exact-openid"),
        pytest.param(UserProfile(identity_type="unionid", phone=P), EXACT, "unionid", "names it", id="exact-unionid"),
        pytest.param(UserProfile(sex=P), PLAIN, "sex", "one of 男, 女", id="sex"),
        pytest.param(UserProfile(sex=""), PLAIN, "sex", "one of 男, 女", id="sex-empty"),
        pytest.param(UserProfile(custom_fields=P), PLAIN, "customFields", "takes a list", id="custom-fields-text"),  # type: ignore[arg-type] # the point
        pytest.param(
            UserProfile(custom_fields=[CustomField(values=P)]),
            PLAIN,
            "customFields[0].values",
            "takes a list",
            id="values-text",
        ),
        pytest.param(
            UserProfile(custom_fields=[CustomField(values=["a", 1])]),  # type: ignore[list-item] # the point
            PLAIN,
            "customFields[0].values[1]",
            "takes text",
            id="values-number",
        ),
        pytest.param(
            UserProfile(custom_fields=[{"configId": "1", "nick": P}]),
            PLAIN,
            "customFields[0].nick customFields[0].configId",
            "whole number",
            id="custom-field-mapping",
        ),
        pytest.param(Event(event_key="c"), EVENTS, "identities", "is required", id="no-identities"),
        pytest.param(event(identities=[]), EVENTS, "identities", "at least 1", id="empty-identities"),
        pytest.param(identity(identityValue=""), EVENTS, "identities[0].identityValue", "empty", id="empty-value"),
        pytest.param(identity(identityType=None), EVENTS, "identities[0].identityType", "required", id="no-type"),
        pytest.param(
            identity(mpid=P), EVENTS, "identities[0].isWeChatEcosystem", "required when mpid is given", id="mpid-alone"
        ),
        pytest.param(event(event_key=None), EVENTS, "eventKey", "is required", id="no-event-key"),
        pytest.param(event(event_key=""), EVENTS, "eventKey", "must not be empty", id="empty-event-key"),
        pytest.param(event(uuid=P * 3), EVENTS, "uuid", "at most 36 characters", id="uuid-of-51"),
        pytest.param(event(time=1605490615), EVENTS, "time", "multiply by 1000", id="time-in-seconds"),
        pytest.param(event(time=datetime(2020, 1, 1)), EVENTS, "time", "time zone", id="G7-naive"),  # noqa: DTZ001 -- naive on purpose
        pytest.param(event(eventargs={"c_price": math.nan}), EVENTS, "eventargs.c_price", "finite", id="G3-nan"),
        pytest.param(
            event(eventargs={"a": [{"b": b""}]}), EVENTS, "eventargs.a[0].b", "JSON values only", id="G7-bytes-nested"
        ),
        pytest.param(UserProfileV2(), USERS_V2, "identities", "is required", id="v2-user-no-identities"),
        pytest.param(UserProfileV2(identities=[]), USERS_V2, "identities", "at least 1", id="v2-user-empty"),
        pytest.param(
            UserProfileV2(identities=[{"identityValue": P, "identityType": "openid", "mpid": P}], sex="x"),
            USERS_V2,
            "identities[0].isWeChatEcosystem sex",
            "required when mpid is given",
            id="v2-user-mpid-alone",
        ),
        pytest.param(EventV1(phone=P), EXACT_V1, "identityType", "required with exact matching", id="v1-event-no-type"),
        pytest.param(
            EventV1(identity_type="openid", phone=P), EXACT_V1, "openid", "identityType names it", id="v1-event-exact"
        ),
        pytest.param(EventV1(uuid="u" * 37), EVENTS_V1, "uuid", "at most 36 characters", id="v1-event-uuid"),
        pytest.param(EventV1(time=1605490615), EVENTS_V1, "time", "multiply by 1000", id="v1-event-seconds"),
        pytest.param(EventV1(event_key=""), EVENTS_V1, "eventKey", "must not be empty", id="v1-event-empty-key"),
        pytest.param(
            EventV1(eventargs={"a": math.inf}), EVENTS_V1, "eventargs.a", "finite", id="v1-event-infinite-argument"
        ),
        pytest.param(TagAssignment(operate_tags=["a"]), TAGS, "identities", "is required", id="tags-of-nobody"),
        pytest.param(
            TagAssignment(identities=WHO, operate_tags=P), TAGS, "operateTags", "takes a list", id="tags-text"
        ),
        pytest.param(
            TagAssignment(identities=WHO, operate_tags={"a": P}),  # type: ignore[arg-type] # the point
            TAGS,
            "operateTags",
            "takes a list",
            id="tags-mapping",
        ),
        pytest.param(
            TagAssignment(identities=WHO, operate_tags=[{"a": {P}}, math.nan, 2**63]),
            TAGS,
            "operateTags[0].a operateTags[1] operateTags[2]",
            "JSON values only",
            id="tags-of-no-json",
        ),
        pytest.param(
            GroupAssignment(identities=WHO, category_type="2"),
            GROUPS,
            "wxDeptId",
            "is needed, or thirdDeptId or deptId, when categoryType is 2",
            id="groups-of-no-department",
        ),
        pytest.param(
            GroupAssignment(identities=WHO, category_type="2", wx_dept_id="", third_dept_id=""),
            GROUPS,
            "wxDeptId",
            "an empty string",
            id="groups-of-an-empty-department",
        ),
        pytest.param(
            GroupAssignment(identities=WHO, category_type="3", dept_id="7", groups=["a"]),  # type: ignore[arg-type] # the point
            GROUPS,
            "groups categoryType deptId",
            "takes one of 1, 2",
            id="groups-of-wrong-types",
        ),
        pytest.param(
            Event(identities=[{"mpid": P}, 7], time=True, uuid=7, event_key="", eventargs=[P]),  # type: ignore[list-item,arg-type] # the point
            EVENTS,
            "identities[0].identityValue identities[0].identityType identities[0].isWeChatEcosystem identities[1] "
            "time uuid eventKey eventargs",
            "takes a mapping of names",
            id="all-at-once",
        ),
    ],
)
def test_a_breach_is_named_with_its_place_and_rule_and_no_value(
    record: Record, config: object, places: str, words: str
) -> None:
    with canary.raises(ValidationError) as caught:
        record.check(config)
    error = caught.value
    assert [problem.place for problem in error.problems] == places.split()
    assert words in str(error)
    assert str(error).startswith(f"{type(record).__name__}: ")
    assert all(str(problem) in str(error) for problem in error.problems)


def test_a_constructor_checks_nothing_but_names() -> None:
    assert UserProfile(third_id=7, sex=P, custom_fields="x").third_id == 7  # type: ignore[arg-type,comparison-overlap] # the point
    with canary.raises(TypeError, match="nickname"):
        UserProfile(nickname="x")  # type: ignore[call-arg] # the point
    with canary.raises(TypeError):
        Identity(P)  # type: ignore[call-arg] # the point


def test_a_repr_shows_which_fields_are_filled_never_with_what() -> None:
    assert repr(UserProfile(phone=P, real_name="")) == "UserProfile(phone=…, real_name=…)"
    assert repr(event(uuid=P)) == "Event(identities=…, uuid=…, event_key=…)"
    assert repr(CustomField()) == "CustomField()"
    assert canary.leaks(repr([identity(mpid=P), UserProfile(custom_fields=[CustomField(values=[P])])])) == []


def test_records_are_slotted_and_compare_by_value() -> None:
    assert not hasattr(UserProfile(), "__dict__")
    assert UserProfile(phone=P) == UserProfile(phone=P) != UserProfile()


@pytest.mark.parametrize(
    ("kind", "wires"),
    [
        (CustomField, "configId configName values"),
        (
            UserProfile,
            "identityType thirdId openid unionid phone realName sex address birthday remark customFields",
        ),
        (Identity, "identityValue identityType platform mpid isWeChatEcosystem"),
        (Event, "identities time uuid eventKey intid eventargs"),
        (UserProfileV2, "identities realName sex address birthday remark customFields"),
        (EventV1, "identityType thirdId openid unionid phone time uuid eventKey intid eventargs"),
        (TagAssignment, "identities operateTags"),
        (GroupAssignment, "identities groups categoryType deptId thirdDeptId wxDeptId"),
    ],
)
def test_wire_names_are_the_documented_ones(kind: type[Any], wires: str) -> None:
    assert [attribute.metadata["wire"] for attribute in attrs.fields(kind)] == wires.split()
