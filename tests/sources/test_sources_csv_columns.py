from typing import Any, ClassVar

import canary
import pytest
from attrs import define, field

from asyncimport.errors import ConfigError
from asyncimport.fields import Flag, Int64, ListOf, Text
from asyncimport.records import Event, EventV1, GroupAssignment, Record, TagAssignment, UserProfile, UserProfileV2
from asyncimport.shape import Requirement, wire
from asyncimport.sources.cells import number_or_text
from asyncimport.sources.csv_columns import columns_of


@define(kw_only=True, repr=False)
class Visit(Record):
    """A record with the kinds that users and events lack."""

    visitor: str | None = field(default=None, metadata=wire("visitorName", Text()))
    count: int | None = field(default=None, metadata=wire("count", Int64()))
    is_first: bool | None = field(default=None, metadata=wire("isFirst", Flag()))
    pages: list[str] | None = field(default=None, metadata=wire("pages", ListOf(item=Text())))
    REQUIREMENTS: ClassVar[tuple[Requirement, ...]] = ()


def row(header: str, cells: str, record: type[Record] = UserProfile) -> dict[str, Any]:
    return columns_of(header.split(","), record).row(cells.split(","))


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("phone,realName", "138,张三", {"phone": "138", "realName": "张三"}),
        ("third_id,real_name", "7,张三", {"thirdId": "7", "realName": "张三"}),
        (" phone , realName", "138, 张三 ", {"phone": "138", "realName": " 张三 "}),
        ("phone,realName,remark", "138,,", {"phone": "138"}),
        ("phone", "", {}),
    ],
    ids=["wire-names", "python-names", "blanks-around-names-only", "empty-is-absent", "nothing"],
)
def test_text_cells_fill_the_fields_their_columns_name(header: str, cells: str, expected: dict[str, Any]) -> None:
    assert row(header, cells) == expected


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("customFields.101.等级", "金卡", [{"configId": 101, "configName": "等级", "values": ["金卡"]}]),
        ("custom_fields.101.等级", "金卡", [{"configId": 101, "configName": "等级", "values": ["金卡"]}]),
        ("customFields.101", "金卡", [{"configId": 101, "values": ["金卡"]}]),
        ("customFields.101.", "金卡", [{"configId": 101, "values": ["金卡"]}]),
        ("customFields..等级", "金卡", [{"configName": "等级", "values": ["金卡"]}]),
        ("customFields.1.a.b", "x", [{"configId": 1, "configName": "a.b", "values": ["x"]}]),
        ("customFields.1", "旅行|摄影", [{"configId": 1, "values": ["旅行", "摄影"]}]),
        ("customFields.1", "|旅行||摄影|", [{"configId": 1, "values": ["旅行", "摄影"]}]),
        ("customFields.1,customFields.2", ",x", [{"configId": 2, "values": ["x"]}]),
        ("customFields.1,customFields.2", "x,y", [{"configId": 1, "values": ["x"]}, {"configId": 2, "values": ["y"]}]),
    ],
    ids=[
        "both",
        "python-name",
        "id",
        "id-empty-name",
        "name",
        "dot-in-name",
        "values",
        "empty-values-fall-away",
        "absent",
        "two",
    ],
)
def test_columns_of_custom_fields_make_a_list(header: str, cells: str, expected: list[Any]) -> None:
    assert row(header, cells) == {"customFields": expected}


def test_a_custom_field_without_any_value_is_absent() -> None:
    assert row("customFields.1", "||") == {}


def test_rows_share_nothing_that_could_change() -> None:
    columns = columns_of(["customFields.1", "phone"], UserProfile)
    first, second = columns.row(["x", "1"]), columns.row(["x", "1"])
    first["customFields"][0]["values"].append("y")
    first["customFields"][0]["configId"] = 2
    assert second == {"customFields": [{"configId": 1, "values": ["x"]}], "phone": "1"}


def test_columns_of_identities_make_a_list_in_their_order() -> None:
    assert row("identities.openid,eventKey,identities.phone", "o1,c_buy,138", Event) == {
        "eventKey": "c_buy",
        "identities": [
            {"identityType": "openid", "identityValue": "o1"},
            {"identityType": "phone", "identityValue": "138"},
        ],
    }


def test_columns_of_arguments_make_a_mapping() -> None:
    cells = "手机,129.5,2,,x"
    assert row("eventargs.c_goods,eventargs.c_price,eventargs.c_n,eventargs.c_none,eventargs.a.b", cells, Event) == {
        "eventargs": {"c_goods": "手机", "c_price": 129.5, "c_n": 2, "a.b": "x"}
    }


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("0", 0),
        ("7", 7),
        ("-7", -7),
        ("999999999999999", 999_999_999_999_999),
        ("-999999999999999", -999_999_999_999_999),
        ("0.5", 0.5),
        ("-0.5", -0.5),
        ("12.50", 12.5),
        ("1234567890.12345", 1234567890.12345),
        ("1000000000000000", "1000000000000000"),
        ("110101199003071234", "110101199003071234"),
        ("1234567890.123456", "1234567890.123456"),
        ("013800000000", "013800000000"),
        ("00.5", "00.5"),
        ("-0", "-0"),
        ("-01", "-01"),
        ("+1", "+1"),
        ("1e5", "1e5"),
        ("1.", "1."),
        (".5", ".5"),
        ("1,5", "1,5"),
        ("1_000", "1_000"),
        (" 1", " 1"),
        ("1\n", "1\n"),
        ("٣", "٣"),
        ("３", "３"),
        ("NaN", "NaN"),
        ("inf", "inf"),
        ("true", "true"),
        ("9" * 5000, "9" * 5000),
        ("-", "-"),
    ],
)
def test_an_argument_is_a_number_only_when_it_is_plainly_written_as_one(cell: str, expected: float | str) -> None:
    value = number_or_text(cell)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("count", "12", 12),
        ("count", "-12", -12),
        ("count", "007", 7),
        ("count", str(2**63), 2**63),
        ("count", "12.0", "12.0"),
        ("count", " 12", " 12"),
        ("count", "٣", "٣"),
        ("count", "9" * 5000, "9" * 5000),
        ("isFirst", "true", True),
        ("isFirst", "TRUE", True),
        ("isFirst", "1", True),
        ("isFirst", "False", False),
        ("is_first", "0", False),
        ("isFirst", "yes", "yes"),
        ("isFirst", "2", "2"),
    ],
)
def test_numbers_and_flags_are_converted_and_what_is_neither_stays_text(column: str, cell: str, expected: Any) -> None:
    (value,) = columns_of([column], Visit).row([cell]).values()
    assert value == expected
    assert type(value) is type(expected)


def test_the_time_of_an_event_is_converted() -> None:
    assert row("time", "1740758400000", Event) == {"time": 1740758400000}
    assert row("time", "2025-03-01", Event) == {"time": "2025-03-01"}


@pytest.mark.parametrize(
    ("header", "record", "message"),
    [
        ("phone,reelName", UserProfile, "column 'reelName' is no field of UserProfile: did you mean realName?"),
        ("Phone,realName", UserProfile, "column 'Phone' is no field of UserProfile: did you mean phone?"),
        ("phone,customField.1", UserProfile, "column 'customField.1' is no field of UserProfile: did you mean"),
        (
            "eventKey,城市",
            Event,
            "column '城市' is no field of Event: it takes identities.<identityType>, time, uuid, eventKey, intid, eventargs.<key>",
        ),
        ("phone,,realName", UserProfile, "column 2 has no name: name it or remove it"),
        ("phone,phone", UserProfile, "columns 'phone' and 'phone' fill the same field: remove one"),
        ("realName,real_name", UserProfile, "columns 'realName' and 'real_name' fill the same field: remove one"),
        (
            "customFields.1.a,customFields.01.a",
            UserProfile,
            "columns 'customFields.1.a' and 'customFields.01.a' fill the same field: remove one",
        ),
        (
            "eventargs.a,eventargs.a",
            Event,
            "columns 'eventargs.a' and 'eventargs.a' fill the same field: remove one",
        ),
        (
            "customFields",
            UserProfile,
            "column 'customFields' cannot be read: write it as customFields.<configId>.<configName>",
        ),
        (
            "customFields..",
            UserProfile,
            "column 'customFields..' cannot be read: write it as customFields.<configId>.<configName>",
        ),
        (
            "customFields.等级",
            UserProfile,
            "column 'customFields.等级' cannot be read: configId is a whole number; with a name alone write customFields..",
        ),
        ("identities", Event, "column 'identities' cannot be read: write it as identities.<identityType>"),
        ("identities.", Event, "column 'identities.' cannot be read: write it as identities.<identityType>"),
        (
            "identities.openid.mpid",
            Event,
            "column 'identities.openid.mpid' cannot be read: write it as identities.<identityType>",
        ),
        ("eventargs", Event, "column 'eventargs' cannot be read: write it as eventargs.<key>"),
        ("phone.x", UserProfile, "column 'phone.x' cannot be read: write it as phone"),
        ("pages", Visit, "column 'pages' cannot be read: use JSON Lines"),
        (
            "identities.phone,operateTags",
            TagAssignment,
            "column 'operateTags' takes a list of JSON values, which no cell can hold: use JSON Lines",
        ),
        (
            "identities.phone,operate_tags.0",
            TagAssignment,
            "column 'operate_tags.0' takes a list of JSON values, which no cell can hold: use JSON Lines",
        ),
    ],
)
def test_a_header_that_cannot_be_read_is_refused_with_advice(header: str, record: type[Record], message: str) -> None:
    with canary.raises(ConfigError) as refused:
        columns_of(header.split(","), record)
    assert str(refused.value).startswith(message)


def test_a_first_row_taken_for_a_header_is_not_quoted() -> None:
    with canary.raises(ConfigError) as refused:
        columns_of(["13800138000", "canary-person-张三丰"], UserProfile)
    assert "canary" not in str(refused.value)
    assert "give it a header line of identityType, thirdId," in str(refused.value)


PERSON = [{"identityType": "phone", "identityValue": "138"}]


@pytest.mark.parametrize(
    ("header", "cells", "record", "expected"),
    [
        (
            "identities.phone,real_name,customFields.7",
            "138,张三,a",
            UserProfileV2,
            {"realName": "张三", "identities": PERSON, "customFields": [{"configId": 7, "values": ["a"]}]},
        ),
        (
            "identityType,phone,eventKey,time,eventargs.c_price",
            "phone,138,c_buy,1605490615673,9.5",
            EventV1,
            {
                "identityType": "phone",
                "phone": "138",
                "eventKey": "c_buy",
                "time": 1605490615673,
                "eventargs": {"c_price": 9.5},
            },
        ),
        (
            "identities.phone,groups,category_type,deptId",
            "138,vip,2,77",
            GroupAssignment,
            {"groups": "vip", "categoryType": "2", "identities": PERSON, "deptId": 77},
        ),
        ("identities.phone", "138", TagAssignment, {"identities": PERSON}),
    ],
    ids=["users-v2", "events-v1", "groups", "tags"],
)
def test_the_columns_of_further_resources_come_by_their_shape(
    header: str, cells: str, record: type[Record], expected: dict[str, Any]
) -> None:
    assert row(header, cells, record) == expected
