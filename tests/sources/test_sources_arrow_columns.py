"""What a schema means: the same names as in a CSV header, a mapping, and all of its faults at once."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import canary
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables import present, rows

from asyncimport.errors import ConfigError
from asyncimport.records import Event, Record, UserProfile
from asyncimport.sources import ColumnMapping, from_arrow, read_csv
from asyncimport.sources.arrow_columns import arrow_columns_of
from asyncimport.unreadable import Unreadable

USER: type[Record] = UserProfile
WHOLE = pa.array([[{"configId": 1, "values": ["a"]}]])


@pytest.mark.parametrize(
    ("columns", "parts", "record", "expected"),
    [
        ({"phone": [138], "real_name": ["张三"], "sex": [None]}, {}, USER, {"phone": "138", "realName": "张三"}),
        ({"phone": ["1"], "realName": [""]}, {}, USER, {"phone": "1"}),
        ({"customFields.7.等级": ["a|b"], "customFields.8": [["c"]], "custom_fields..n": [5]}, {}, USER,
         {"customFields": [{"configId": 7, "configName": "等级", "values": ["a", "b"]}, {"configId": 8, "values": ["c"]},
                           {"configName": "n", "values": ["5"]}]}),
        ({"phone": ["1"], "customFields.7": ["||"]}, {}, USER, {"phone": "1"}),
        ({"customFields": WHOLE, "customFields.2": ["b"]}, {}, USER,
         {"customFields": [{"configId": 1, "values": ["a"]}, {"configId": 2, "values": ["b"]}]}),
        ({"eventKey": ["k"], "identities.phone": [138], "identities.openid": [None]}, {}, Event,
         {"eventKey": "k", "identities": [{"identityType": "phone", "identityValue": "138"}]}),
        ({"eventKey": ["k"], "eventargs.a": [1], "eventargs.b": ["2"], "eventargs.c": [None]}, {}, Event,
         {"eventKey": "k", "eventargs": {"a": 1, "b": "2"}}),
        ({"eventKey": ["k"], "eventargs": [{"a": 1, "b": None}]}, {}, Event, {"eventKey": "k", "eventargs": {"a": 1}}),
        ({"eventKey": ["k"], "eventargs": [{"a": 1}], "eventargs.b": [2]}, {}, Event,
         {"eventKey": "k", "eventargs": {"a": 1, "b": 2}}),
        ({"eventKey": ["k"], "eventargs": pa.array([{"a": None}], pa.struct({"a": pa.int64()}))}, {}, Event,
         {"eventKey": "k"}),
        ({"电话": ["1"]}, {"columns": {"电话": "phone"}}, USER, {"phone": "1"}),
        ({"phone": ["1"], "x": [b"2"], "__index_level_0__": [1]}, {"rest": "ignore"}, USER, {"phone": "1"}),
        ({"phone": ["1"], "__index_level_0__": [1]}, {}, USER, {"phone": "1"}),
        ({"phone": ["1"], "l": ["a;b"]}, {"columns": {"l": "customFields.1"}, "separator": ";"}, USER,
         {"phone": "1", "customFields": [{"configId": 1, "values": ["a", "b"]}]}),
        ({"phone": ["1"]}, {"constants": {"sex": "女", "custom_fields.7": "a|b"}}, USER,
         {"phone": "1", "sex": "女", "customFields": [{"configId": 7, "values": ["a", "b"]}]}),
        ({"eventKey": ["k"]}, {"constants": {"time": "1740758400000", "identities.uid": "7", "eventargs.n": "5"}}, Event,
         {"eventKey": "k", "time": 1740758400000, "eventargs": {"n": "5"},
          "identities": [{"identityType": "uid", "identityValue": "7"}]}),
        ({"eventKey": ["k"], "a": ["5"], "b": [5], "c": ["+1.50e1"]},
         {"arguments": {"a": "auto", "b": "text", "c": "number"}}, Event,
         {"eventKey": "k", "eventargs": {"a": "5", "b": "5", "c": 15.0}}),
        ({"eventKey": ["k"], "a": [0.5], "eventargs.b": ["007"]}, {"rest": "arguments"}, Event,
         {"eventKey": "k", "eventargs": {"a": 0.5, "b": "007"}}),
        ({"phone": ["1"], "realName": [""], "sex": [""], "customFields.1": [""]}, {"empty": "keep"}, USER,
         {"phone": "1", "realName": "", "customFields": [{"configId": 1, "values": [""]}]}),
    ],
)  # fmt: skip
def test_columns_fill_the_fields_that_they_name(
    columns: dict[str, Any], parts: dict[str, Any], record: type[Record], expected: Any
) -> None:
    assert rows(columns, record, ColumnMapping(**parts)) == [expected]
    if not parts:
        assert rows(columns, record) == [expected]


@pytest.mark.parametrize(
    ("columns", "parts", "record", "message"),
    [
        ({"fone": [1], "y": ["a"], "phone": [1.5], "real_name": ["a"], "realName": [True]}, {}, USER,
         ("5 faults:\n  column 'fone' is no field of UserProfile: did you mean phone? Else map it to a field, or ignore it\n"
          "  column 'y' is no field of UserProfile: it takes identityType, ")),
        ({"phone": [1.5], "real_name": ["a"], "realName": [True]}, {}, USER,
         ("3 faults:\n  columns 'real_name' and 'realName' fill the same field: remove one\n"
          "  'phone' (double) takes text: a float is no identifier, make it whole numbers or text first\n"
          "  'realName' (bool) takes text: convert it first")),
        ({"x": ["a"]}, {}, USER, "column 'x' is no field of UserProfile: it takes identityType"),
        ({"x": ["a"]}, {"rest": "ignore"}, USER, "it has no column that is a field of UserProfile"),
        ({"phone": ["a"]}, {"columns": {"fone": "phone"}}, USER, "it has no column 'fone' to be mapped: did you mean 'phone'?"),
        ({"a": ["a"]}, {"columns": {"a": "fone"}}, USER, "'fone', to which 'a' is mapped, is no field of UserProfile"),
        ({"phone": ["a"]}, {"constants": {"phone": "1"}}, USER, "columns 'phone' and (constant) 'phone' fill the same field"),
        ({"phone": ["a"], "x": [1]}, {"rest": "arguments"}, USER, "UserProfile takes no arguments, so column 'x' cannot be one"),
        ({"customFields.x": ["a"]}, {}, USER, "column 'customFields.x' cannot be read: configId is a whole number"),
        ({"customFields.1": [1.5]}, {}, USER, "'customFields.1' (double) takes text: a float is no identifier"),
        ({"eventKey": ["k"], "identities.phone": [b"a"]}, {}, Event, "'identities.phone' (binary) takes text: decode"),
    ],
)  # fmt: skip
def test_all_that_is_wrong_with_a_schema_is_told_at_once(
    columns: dict[str, Any], parts: dict[str, Any], record: type[Record], message: str
) -> None:
    with canary.raises(ConfigError) as caught:
        from_arrow(pa.table(columns), record, mapping=ColumnMapping(**parts))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("time", "parts"),
    [
        (["2026-01-01T08:00:00"], {"moments": {"time": "iso"}, "zone": "Asia/Shanghai"}),
        ([datetime(2026, 1, 1, 8)], {"moments": {"time": "iso"}, "zone": "Asia/Shanghai"}),  # noqa: DTZ001 -- the zone is the mapping's
        ([datetime(2026, 1, 1, tzinfo=UTC)], {"moments": {"time": "iso"}}),
        ([1_767_225_600], {"moments": {"time": "s"}}),
    ],
)
def test_the_mapping_says_how_a_moment_is_written(time: list[Any], parts: dict[str, Any]) -> None:
    table = pa.table({"eventKey": ["k"], "time": time})
    assert rows(table, Event, ColumnMapping(**parts)) == [{"eventKey": "k", "time": 1_767_225_600_000}]


def test_a_moment_that_is_written_otherwise_refuses_its_row_alone() -> None:
    mapping = ColumnMapping(moments={"time": "iso"}, zone="+08:00")
    bad, good = rows({"eventKey": ["k", "k"], "time": ["soon", "2026-01-01 08:00"]}, Event, mapping)
    assert bad.rule.startswith("has no moment in column 'time'")
    assert good["time"] == 1_767_225_600_000
    with canary.raises(ConfigError, match=r"'time' \(bool\) takes moments: text, numbers or timestamps"):
        rows({"eventKey": ["k"], "time": [True]}, Event, mapping)


def test_two_columns_of_one_name_are_refused() -> None:
    schema = pa.schema([("phone", pa.string()), ("phone", pa.string())])
    with canary.raises(ConfigError, match="columns 'phone' and 'phone' fill the same field"):
        arrow_columns_of(schema, UserProfile)


def test_a_row_without_anything_is_told_and_costs_no_other() -> None:
    found = rows(
        {"phone": ["1", None, "3"], "sex": [None, "", None], "x": [1, 2, 3]}, USER, ColumnMapping(rest="ignore")
    )
    assert found[0::2] == [{"phone": "1"}, {"phone": "3"}]
    assert found[1] == Unreadable(
        unit="row", rule="has nothing in any column that is read: see which columns are ignored"
    )


def test_a_text_that_is_no_number_where_one_is_asked_for_refuses_its_row_alone() -> None:
    mapping = ColumnMapping(arguments={"n": "number"})
    good, bad, absent = rows({"eventKey": ["k", "k", "k"], "n": ["1", "x", None]}, Event, mapping)
    assert (good["eventargs"], absent) == ({"n": 1}, {"eventKey": "k"})
    assert bad.rule == "has no number in argument 'n': write digits without separators, or take it as text"


def test_a_key_of_a_map_that_has_a_column_of_its_own_refuses_its_row_alone() -> None:
    args = pa.array([[("a", 1)], [("b", 1)]], pa.map_(pa.string(), pa.int64()))
    bad, good = rows({"eventKey": ["k", "k"], "eventargs": args, "eventargs.a": [5, 5]}, Event)
    assert good["eventargs"] == {"a": 5, "b": 1}
    assert bad.rule == "fills a field twice: 'eventargs.a' by a column of its own and by one that is a mapping"


def test_the_column_that_filled_a_place_is_named() -> None:
    table = pa.table({"k": ["k"], "mail": [7], "customFields.9": ["a"], "customFields.10": ["b"]})
    mapping = ColumnMapping(
        columns={"k": "remark", "mail": "customFields.8"}, constants={"custom_fields.11": "c", "sex": "女"}
    )
    iterator = iter(from_arrow(table, mapping=mapping))
    assert iterator.column_of("remark") is None
    next(iterator)
    assert iterator.column_of("remark") == "k"
    assert iterator.column_of("customFields[0].values[0]") == "mail"
    assert iterator.column_of("customFields[2].values[0]") == "customFields.10"
    assert iterator.column_of("customFields[3].values[0]") is None
    assert iterator.column_of("sex") is None


CELLS = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\x00"), max_size=4)
HEADER = ["phone", "real_name", "customFields.7.x", "customFields.8"]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*[CELLS] * len(HEADER)).filter(any), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_a_csv_file_and_a_table_with_the_same_texts_give_the_same_records(
    tmp_path: Path, cells: list[tuple[str, ...]], keeps: bool, has_nulls: bool
) -> None:
    mapping = ColumnMapping(empty="keep" if keeps else "absent", constants={"sex": "女"}, separator="l")
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([HEADER, *cells])
    path = tmp_path / "same.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    of_csv = list(read_csv(path, mapping=mapping))
    columns = [
        [cell or (None if has_nulls and not keeps else cell) for cell in column] for column in zip(*cells, strict=True)
    ]
    of_table = from_arrow(pa.table([pa.array(column, pa.string()) for column in columns], HEADER), mapping=mapping)
    assert list(map(in_order, of_table)) == list(map(in_order, of_csv))


def in_order(row: Any) -> Any:
    """The same with its custom fields in one order: CSV puts those that are kept empty last."""
    fields = sorted(row["customFields"], key=lambda one: one["configId"]) if row.get("customFields") else None
    return present(row | {"customFields": fields})
