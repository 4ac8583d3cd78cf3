"""CSV files under a mapping: what each part of it does to a row, and which column a place comes from."""

from pathlib import Path
from typing import Any

import canary
import pytest

from asyncimport.errors import ConfigError
from asyncimport.records import Event, Record, UserProfile
from asyncimport.sources import ColumnMapping, CustomFieldColumn, IdentityColumn, read_csv
from asyncimport.sources.csv_columns import Columns, columns_of
from asyncimport.unreadable import Unreadable

USER: type[Record] = UserProfile


def read(folder: Path, content: str, record: type[Record], **parts: Any) -> list[Any]:
    path = folder / "records.csv"
    path.write_text(content, encoding="utf-8")
    return list(read_csv(path, record, mapping=ColumnMapping(**parts)))


@pytest.mark.parametrize(
    ("content", "parts", "record", "expected"),
    [
        ("电话,realName\n1,a\n", {"columns": {"电话": "phone"}}, USER, {"phone": "1", "realName": "a"}),
        ("phone,sex\n1,2\n", {"columns": {"phone": "remark"}}, USER, {"remark": "1", "sex": "2"}),
        ("phone\n1\n", {"constants": {"sex": "女", "custom_fields.7": "a|b"}}, USER,
         {"phone": "1", "sex": "女", "customFields": [{"configId": 7, "values": ["a", "b"]}]}),
        ("phone,x,\n1,2,3\n", {"rest": "ignore"}, USER, {"phone": "1"}),
        ("phone,l\n1,a;b\n", {"columns": {"l": "customFields.1"}, "separator": ";"}, USER,
         {"phone": "1", "customFields": [{"configId": 1, "values": ["a", "b"]}]}),
        ("phone,realName,sex,customFields.1\n1,,,\n", {"empty": "keep"}, USER,
         {"phone": "1", "realName": "", "customFields": [{"configId": 1, "values": [""]}]}),
        ("eventKey,identities.phone,time,eventargs.a,n\nk,,,,\n", {"empty": "keep", "arguments": {"n": "number"}}, Event,
         {"eventKey": "k", "eventargs": {"a": ""}}),
        ("eventKey,a,b,c\nk,5,5,+1.50e1\n", {"arguments": {"a": "auto", "b": "text", "c": "number"}}, Event,
         {"eventKey": "k", "eventargs": {"a": 5, "b": "5", "c": 15.0}}),
        ("eventKey,a,eventargs.b\nk,5,007\n", {"rest": "arguments"}, Event,
         {"eventKey": "k", "eventargs": {"a": 5, "b": "007"}}),
        ("eventKey,eventargs.b\nk,5\n", {"arguments": {"eventargs.b": "text"}}, Event,
         {"eventKey": "k", "eventargs": {"b": "5"}}),
        ("eventKey\nk\n", {"constants": {"time": "1740758400000", "identities.uid": "7", "eventargs.n": "5"}}, Event,
         {"eventKey": "k", "time": 1740758400000, "eventargs": {"n": "5"},
          "identities": [{"identityType": "uid", "identityValue": "7"}]}),
        ("phone\n1\n", {"constants": {"remark": "", "customFields.7": ""}, "empty": "keep"}, USER,
         {"phone": "1", "remark": "", "customFields": [{"configId": 7, "values": [""]}]}),
        ("eventKey\nk\n", {"constants": {"time": 1740758400000, "eventargs.n": 5.5, "eventargs.b": False}}, Event,
         {"eventKey": "k", "time": 1740758400000, "eventargs": {"n": 5.5, "b": False}}),
        ("eventKey,a,b,c\nk,1,,3\n", {"identities": [
            IdentityColumn(column="a", identity_type="openid", platform="gzh", mpid="x", is_wechat_ecosystem=True),
            IdentityColumn(column="b", identity_type="unionid"),
            IdentityColumn(column="c", identity_type="openid", platform="gzh", mpid="y", is_wechat_ecosystem=False)]}, Event,
         {"eventKey": "k", "identities": [
            {"identityType": "openid", "identityValue": "1", "platform": "gzh", "mpid": "x", "isWeChatEcosystem": True},
            {"identityType": "openid", "identityValue": "3", "platform": "gzh", "mpid": "y", "isWeChatEcosystem": False}]}),
        ("phone,l,m\n1,a;b,c|d\n", {"custom_fields": [
            CustomFieldColumn(column="l", config_id=1, config_name="L", separator=";"),
            CustomFieldColumn(column="m", config_name="M")]}, USER,
         {"phone": "1", "customFields": [{"configId": 1, "configName": "L", "values": ["a", "b"]},
                                         {"configName": "M", "values": ["c", "d"]}]}),
        ("eventKey,arg_a,arg_b,arg_,x\nk,5,5,6,7\n",
         {"arguments_prefix": "arg_", "arguments": {"arg_b": "text"}, "rest": "ignore"}, Event,
         {"eventKey": "k", "eventargs": {"a": 5, "b": "5"}}),
        ("eventKey,arg_a,x\nk,5,7\n", {"arguments_prefix": "arg_", "rest": "arguments"}, Event,
         {"eventKey": "k", "eventargs": {"a": 5, "x": 7}}),
        ("event_key,events\nk,7\n", {"arguments_prefix": "event"}, Event, {"eventKey": "k", "eventargs": {"s": 7}}),
        ("eventKey,at\nk,2025-03-01 00:00:00\n", {"columns": {"at": "time"}, "moments": {"at": "iso"}, "zone": "+08:00"},
         Event, {"eventKey": "k", "time": 1740758400000}),
        ("eventKey,time\nk,1740758400.5\n", {"moments": {"time": "s"}}, Event, {"eventKey": "k", "time": 1740758400500}),
    ],
    ids=["renamed", "over-a-field", "constants", "ignored", "separator", "kept", "kept-where-it-can-be", "arguments",
         "rest", "typed-eventargs", "constants-are-converted", "empty-constants", "typed-constants", "identities", "custom-fields", "prefix", "prefix-and-rest",
         "a-field-is-no-argument", "moment", "moment-under-its-own-name"],
)  # fmt: skip
def test_a_mapping_fills_a_row(
    tmp_path: Path, content: str, parts: dict[str, Any], record: type[Record], expected: Any
) -> None:
    assert read(tmp_path, content, record, **parts) == [expected]


def test_rows_share_nothing_that_a_constant_could_change(tmp_path: Path) -> None:
    first, second = read(tmp_path, "phone\n1\n2\n", USER, constants={"customFields.1": "a"})
    first["customFields"][0]["values"].append("b")
    assert second["customFields"] == [{"configId": 1, "values": ["a"]}]


def test_a_row_with_nothing_in_it_is_skipped_whatever_the_constants(tmp_path: Path) -> None:
    assert read(tmp_path, "phone,sex\n,\n\n1,\n", USER, constants={"remark": "x"}, empty="keep") == [
        {"phone": "1", "remark": "x"}
    ]


NO_NUMBER = "has no number in argument 'c_price': write digits without separators, or take it as text"
TOO_LARGE = "has a whole number beyond 64 bits in argument 'c_price': take it as text"
NOT_FINITE = "has no finite number in argument 'c_price': it is too large for a double of 64 bits, take it as text"


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("5", 5),
        ("-007", -7),
        ("+1", 1),
        (" 1.5 ", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("9223372036854775807", 2**63 - 1),
        ("0" * 300 + "7", 7),
        ("1." + "0" * 5000 + "1", 1.0),
        ("1e-99999", 0.0),
        ("9223372036854775808", TOO_LARGE),
        ("-9223372036854775809", TOO_LARGE),
        (str(2**64), TOO_LARGE),
        ("9" * 5000, TOO_LARGE),
        ("1e999", NOT_FINITE),
        ("-1.5E99999", NOT_FINITE),
        ("9" * 5000 + ".5", NOT_FINITE),
        ("1_000", NO_NUMBER),
        ("NaN", NO_NUMBER),
        ("inf", NO_NUMBER),
        ("0x1f", NO_NUMBER),
        ("٣", NO_NUMBER),
        ("+", NO_NUMBER),
        (".", NO_NUMBER),
        ("1e", NO_NUMBER),
        ("1" * 50_000 + "x", NO_NUMBER),
        ("canary-person", NO_NUMBER),
    ],
)
def test_a_number_is_a_number_or_the_row_is_refused_for_what_is_wrong(
    tmp_path: Path, cell: str, number: float | str
) -> None:
    (item,) = read(tmp_path, f"eventKey,c_price\nk,{cell}\n", Event, arguments={"c_price": "number"})
    if isinstance(number, str):
        assert isinstance(item, Unreadable)
        assert item.rule == number
        assert item.text == f"k,{cell}"
    else:
        assert item["eventargs"]["c_price"] == number
        assert type(item["eventargs"]["c_price"]) is type(number)


def test_a_row_with_cells_in_ignored_columns_alone_is_told(tmp_path: Path) -> None:
    (item,) = read(tmp_path, "phone,x\n,1\n", USER, rest="ignore")
    assert isinstance(item, Unreadable)
    assert item.rule == "has nothing in any column that is read: see which columns are ignored"


@pytest.mark.parametrize(
    ("header", "parts", "record", "message"),
    [
        ("Tel,phone", {"columns": {"tel": "openid"}}, USER, "it has no column 'tel' to be mapped: did you mean 'Tel'?"),
        ("phone", {"columns": {"城市": "openid"}}, USER, "it has no column '城市' to be mapped: it has phone"),
        ("eventKey", {"arguments": {"价": "auto"}}, Event, "it has no column '价' to be mapped: it has eventKey"),
        ("eventKey,price", {"arguments": {"price:float": "auto"}}, Event,
         "argument 'price' has the type 'float', which is not known: give one of auto, text, number"),
        ("eventKey,a:b", {"arguments": {"a:b:": "auto"}}, Event, "argument 'a:b' has the type '', which is not known"),
        ("eventKey,price", {"arguments": {"prise:float": "auto"}}, Event, "it has no column 'prise:float' to be mapped:"),
        ("eventKey,price", {"columns": {"price:float": "time"}}, Event, "it has no column 'price:float' to be mapped:"),
        ("tel", {"columns": {"tel": "fone"}}, USER,
         "'fone', to which column 'tel' is mapped, is no field of UserProfile: did you mean phone?"),
        ("tel", {"columns": {"tel": "customFields"}}, USER,
         "'customFields', to which column 'tel' is mapped, cannot be read: write it as customFields.<configId>"),
        ("tel,phone", {"columns": {"tel": "phone"}}, USER, "columns 'tel' and 'phone' fill the same field: remove one"),
        ("tel,tel", {"columns": {"tel": "phone"}}, USER, "columns 'tel' and 'tel' fill the same field: remove one"),
        ("sex", {"constants": {"sex": "女"}}, USER, "columns 'sex' and (constant) 'sex' fill the same field: remove one"),
        ("real_name", {"constants": {"realName": "x"}}, USER, "columns 'real_name' and (constant) 'realName' fill the"),
        ("phone", {"constants": {"fone": "1"}}, USER, "constant 'fone' is no field of UserProfile: did you mean phone?"),
        ("phone", {"constants": {"sex": ""}, "empty": "keep"}, USER, "constant 'sex' cannot be an empty text: give it"),
        ("phone,x", {"rest": "arguments"}, USER, "UserProfile takes no arguments, so column 'x' cannot be one"),
        ("phone,reelName", {"columns": {"phone": "openid"}}, USER, "column 'reelName' is no field of UserProfile: did"),
        ("eventKey,", {"rest": "arguments"}, Event, "column 2 has no name: name it or remove it"),
        ("eventKey,a,eventargs.a", {"rest": "arguments"}, Event, "columns 'a' and 'eventargs.a' fill the same field"),
        ("eventKey,x", {"arguments_prefix": "arg_"}, Event, "it has no column that begins with the prefix of arguments"),
        ("phone,arg_x", {"arguments_prefix": "arg_"}, USER, "UserProfile takes no arguments, so column 'arg_x' cannot"),
        ("eventKey,arg_", {"arguments_prefix": "arg_"}, Event, "column 'arg_' is no field of Event"),
    ],
)  # fmt: skip
def test_a_mapping_that_does_not_fit_the_header_is_refused_with_advice(
    header: str, parts: dict[str, Any], record: type[Record], message: str
) -> None:
    with canary.raises(ConfigError) as refused:
        columns_of(header.split(","), record, ColumnMapping(**parts))
    assert [fault for fault in refused.value.faults if fault.startswith(message)] != []


def test_a_first_row_taken_for_a_header_is_not_quoted_with_a_mapping_either() -> None:
    with canary.raises(ConfigError) as refused:
        columns_of(["13800138000", "canary-person-张三丰"], UserProfile, ColumnMapping(columns={"tel": "phone"}))
    assert "has none of the columns mapped, and names no field of UserProfile" in str(refused.value)


def test_columns_that_are_all_read_by_name_cost_nothing_more() -> None:
    assert type(columns_of(["tel"], UserProfile, ColumnMapping(columns={"tel": "phone"}))) is Columns


@pytest.mark.parametrize(
    ("place", "column"),
    [
        ("sex", "性别"),
        ("phone", "phone"),
        ("customFields[0].values[0]", "b"),
        ("customFields[1].values[0]", "c"),
        ("customFields[2].values[0]", None),
        ("customFields", None),
        ("remark", None),
        ("thirdId", None),
        ("openid", "openid"),
        ("", None),
    ],
)
def test_the_column_behind_a_place_is_told(tmp_path: Path, place: str, column: str | None) -> None:
    path = tmp_path / "users.csv"
    path.write_text('phone,a,b,性别,c,openid\n"1\n2",,x,y,z,\n3\n', encoding="utf-8")
    mapping = ColumnMapping(
        columns={"a": "customFields.1", "b": "customFields.2", "c": "customFields.3", "性别": "sex"},
        constants={"remark": "x"},
    )
    rows: Any = iter(read_csv(path, mapping=mapping))
    assert next(rows)["phone"] == "1\n2"
    assert rows.column_of(place) == column
    assert isinstance(next(rows), Unreadable)
    assert rows.column_of(place) is None
    rows.close()


@pytest.mark.parametrize(
    ("place", "column"),
    [
        ("identities[0].identityValue", "identities.openid"),
        ("identities", None),
        ("eventargs.c_price", "eventargs.c_price"),
        ('eventargs["a b"]', "eventargs.a b"),
        ("eventargs.other", None),
        ("eventKey", "event_key"),
        ("time", "time"),
    ],
)
def test_without_a_mapping_columns_are_told_too(tmp_path: Path, place: str, column: str | None) -> None:
    path = tmp_path / "events.csv"
    header = "identities.phone,identities.openid,event_key,time,eventargs.c_price,eventargs.a b"
    path.write_text(f"{header}\n,o,k,x,1,2\n", encoding="utf-8")
    rows = iter(read_csv(path, Event))
    next(rows)
    assert rows.column_of(place) == column
    rows.close()


def test_a_kept_cell_is_told_by_its_column(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("phone,customFields.1,customFields.2\n1,,x\n", encoding="utf-8")
    rows: Any = iter(read_csv(path, mapping=ColumnMapping(empty="keep")))
    assert [field["values"] for field in next(rows)["customFields"]] == [["x"], [""]]
    assert rows.column_of("customFields[1].values[0]") == "customFields.1"
    rows.close()


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"1,a,x\r\n2,b\n", ["1,a,x"]),
        (b'1,"a\n2,b\n', ['1,"a']),
        (b'1,"a\n\xff"\n', ['1,"a\n\\xff"']),
        (b'1,"a\n3\n4,\xff\n', ['1,"a', "3", "4,\\xff"]),
        (b"1," + b"x" * 200_000 + b"\n", [None]),
    ],
    ids=["misfit", "open-quote", "undecodable-record", "swallowed", "long"],
)
def test_an_unreadable_record_keeps_its_lines(tmp_path: Path, content: bytes, texts: list[str | None]) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(b"phone,realName\n" + content)
    assert [item.text for item in read_csv(path) if isinstance(item, Unreadable)] == texts


def test_no_column_of_the_mapping_is_ever_missing_once_the_header_was_read(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("tel,realName\n,a\n", encoding="utf-8")
    rows = iter(read_csv(path, mapping=ColumnMapping(columns={"tel": "phone"})))
    assert (rows.unseen, next(rows), rows.unseen) == ((), {"realName": "a"}, ())
    rows.close()


def test_a_column_whose_name_ends_like_a_type_is_a_column(tmp_path: Path) -> None:
    (item,) = read(
        tmp_path, "eventKey,price,price:float\nk,1,2\n", Event, arguments={"price:float": "text"}, rest="ignore"
    )
    assert item["eventargs"] == {"price:float": "2"}
