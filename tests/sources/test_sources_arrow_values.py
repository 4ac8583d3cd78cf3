"""What a value of each Arrow type becomes in each kind of field, and which types are refused."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.fields import INT64, MILLISECONDS, Flag, Int64, JsonObject, Kind, ListOf, Millis, Text, millis_of
from asyncimport.records import CustomField
from asyncimport.shape import ObjectOf
from asyncimport.sources.arrow_moments import MomentBeyondYear9999
from asyncimport.sources.arrow_values import Fit

SHANGHAI = "Asia/Shanghai"
NEW_YEAR = datetime(2026, 1, 1)  # noqa: DTZ001 -- as a column without a time zone has it
TEXTS = pa.array(["a", None, "张三"])
BAD_TEXT = pa.array([b"a", b"\xff", None]).view(pa.string())
FIELDS = ListOf(item=ObjectOf(record=CustomField))


def moments(unit: str, zone: str | None = None) -> Any:
    """New year's midnight in UTC, nothing, and an eighth of a second before."""
    at = [NEW_YEAR, None, NEW_YEAR - timedelta(milliseconds=125)]
    return pa.array(at, pa.timestamp("us")).cast(pa.timestamp(unit), safe=False).cast(pa.timestamp(unit, zone))


def read(kind: Kind | str, array: Any) -> list[Any]:
    """The values of a whole array, and the same of a part of it."""
    fit = Fit()
    values = fit.argument(array.type, "x", kind) if isinstance(kind, str) else fit.values(kind, array.type, "x")
    assert fit.faults == []
    found = values(array)
    assert values(array.slice(1, 1)) == found[1:2]
    assert values(array.slice(0, 0)) == []
    return found


@pytest.mark.parametrize(
    ("kind", "array", "expected"),
    [
        (Text(), TEXTS, ["a", None, "张三"]),
        (Text(), TEXTS.cast(pa.large_string()), ["a", None, "张三"]),
        (Text(), TEXTS.cast(pa.string_view()), ["a", None, "张三"]),
        (Text(), TEXTS.dictionary_encode(), ["a", None, "张三"]),
        (Text(), TEXTS.cast(pa.string_view()).dictionary_encode(), ["a", None, "张三"]),
        (Text(), pc.run_end_encode(TEXTS), ["a", None, "张三"]),
        (Text(), pa.RunEndEncodedArray.from_arrays([1, 2, 3], TEXTS.cast(pa.string_view())), ["a", None, "张三"]),
        (Text(), BAD_TEXT, ["a", b"\xff", None]),
        (Text(), BAD_TEXT.cast(pa.string_view()), ["a", b"\xff", None]),
        (Text(), pa.array([13_800_000_000, None, -1]), ["13800000000", None, "-1"]),
        (Text(), pa.array([2**64 - 1, None], pa.uint64()), ["18446744073709551615", None]),
        (Text(), pa.array([Decimal(0), None, Decimal("1.50")], pa.decimal128(20, 10)),
         ["0.0000000000", None, "1.5000000000"]),
        (Text(), pa.array([Decimal("1.38e10"), None], pa.decimal128(11, 0)), ["13800000000", None]),
        (Text(), pa.array([date(1990, 5, 17), None]), ["1990-05-17", None]),
        (Text(), pa.array([date(1990, 5, 17), None], pa.date64()), ["1990-05-17", None]),
        (Text(), pa.array([time(8, 5), None, time(8, 5, 1, 500)]), ["08:05:00", None, "08:05:01.000500"]),
        (Text(), moments("s"), ["2026-01-01T00:00:00", None, "2025-12-31T23:59:59"]),
        (Text(), moments("ms", SHANGHAI), ["2026-01-01T08:00:00+08:00", None, "2026-01-01T07:59:59.875+08:00"]),
        (Text(), moments("ns", "UTC"), ["2026-01-01T00:00:00+00:00", None, "2025-12-31T23:59:59.875000000+00:00"]),
        (Text(), pa.array([UUID(int=7), None], pa.uuid()), ["00000000-0000-0000-0000-000000000007", None]),
        (Text(), pa.array([None, None]), [None, None]),
        (Flag(), pa.array([True, None, False]), [True, None, False]),
        (Int64(), pa.array([5, None], pa.uint8()), [5, None]),
        (Int64(), pa.array([Decimal(5), None], pa.decimal128(38, 0)), [5, None]),
        (Millis(), pa.array([1_767_225_600_000, None]), [1_767_225_600_000, None]),
        *((Millis(), moments(unit, SHANGHAI), [1_767_225_600_000, None, 1_767_225_599_875]) for unit in ("ms", "us", "ns")),
        (Millis(), moments("s", "America/New_York"), [1_767_225_600_000, None, 1_767_225_599_000]),
        ("auto", TEXTS, ["a", None, "张三"]),
        ("auto", pa.array([1, None]), [1, None]),
        ("auto", pa.array([True, None]), [True, None]),
        ("auto", pa.array([0.1, None, float("nan")]), [0.1, None, None]),
        ("auto", pa.array([0.1, None, float("nan")], pa.float32()), [0.1, None, None]),
        ("auto", pa.array([Decimal("12.50"), None, Decimal("1234567890123456.50")], pa.decimal128(20, 2)),
         [12.5, None, "1234567890123456.50"]),
        ("auto", pa.array([Decimal(12), None], pa.decimal128(5, 0)), [12, None]),
        ("auto", pa.array([[1], None, []]), [[1], None, []]),
        ("auto", pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), [[1, 2], None]),
        ("auto", pa.array([[1], None, []], pa.list_view(pa.int64())), [[1], None, []]),
        ("auto", moments("s"), ["2026-01-01T00:00:00", None, "2025-12-31T23:59:59"]),
        ("text", pa.array([7, None]), ["7", None]),
        ("number", pa.array([1.5, None]), [1.5, None]),
        ("number", pa.array(["1.5", None]), ["1.5", None]),
        (JsonObject(), pa.array([{"a": 1, "b": None}, None, {"a": None, "b": NEW_YEAR}]),
         [{"a": 1}, None, {"b": "2026-01-01T00:00:00"}]),
        (JsonObject(), pa.array([[("a", 1.5), ("b", None)], None, [("c", 2.5)]], pa.map_(pa.string(), pa.float64())),
         [{"a": 1.5}, None, {"c": 2.5}]),
        (FIELDS, pa.array([[{"config_id": 1, "values": ["a"]}], None, [{"config_id": 2, "values": None}]]),
         [[{"configId": 1, "values": ["a"]}], None, [{"configId": 2}]]),
    ],
)  # fmt: skip
def test_values_become_what_the_field_takes(kind: Any, array: Any, expected: list[Any]) -> None:
    found = read(kind, array)
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))


@pytest.mark.parametrize(
    ("kind", "array", "fault"),
    [
        (Text(), pa.array([1.38e10]), "'x' (double) takes text: a float is no identifier"),
        (Text(), pa.array([b"a"]), "'x' (binary) takes text: decode the bytes first"),
        (Text(), pa.array([True]), "'x' (bool) takes text: convert it first"),
        (Text(), pa.array([timedelta(1)]), "'x' (duration[us]) takes text: convert it first"),
        (Text(), pa.array([["a"]]), "'x' (list<item: string>) takes text: convert it first"),
        (Text(), pa.array([0], pa.timestamp("s", "No/Where")), "'x' (timestamp[s, tz=No/Where]) has a time zone that this"),
        ("auto", pa.array(pd.period_range("2026", periods=1, freq="D")), "'x' (extension<pandas.period<ArrowPeriodType>>) takes no periods"),
        (Flag(), pa.array([1]), "'x' (int64) takes booleans"),
        (Int64(), pa.array(["1"]), "'x' (string) takes whole numbers"),
        (Int64(), pa.array([1.0]), "'x' (double) takes whole numbers"),
        (Int64(), pa.array([Decimal("1.5")]), "'x' (decimal128(2, 1)) takes whole numbers"),
        (Millis(), moments("us"), "'x' (timestamp[us]) takes timestamps with a time zone: without one"),
        (Millis(), pa.array([date(2026, 1, 1)]), "'x' (date32[day]) takes milliseconds since 1970 or timestamps"),
        (Millis(), pa.array([1.7e12]), "'x' (double) takes milliseconds since 1970 or timestamps"),
        (JsonObject(), pa.array(["{}"]), "'x' (string) takes a struct or a map"),
        (FIELDS, pa.array(["[]"]), "'x' (string) takes a list"),
        (FIELDS, pa.array([["a"]]), "'x[]' (string) takes a struct"),
        (FIELDS, pa.array([[{"configId": 1, "size": 2}]]), "'x[].size' (int64) is no field of CustomField"),
        (FIELDS, pa.array([[{"configId": 1, "config_id": 2}]]), "'x[].config_id' (int64) is given twice"),
        (FIELDS, pa.array([[{"configId": "1"}]]), "'x[].configId' (string) takes whole numbers"),
        ("auto", pa.array([b"a"]), "'x' (binary) takes JSON values: convert it first"),
        ("auto", pa.array([[b"a"]]), "'x[]' (binary) takes JSON values: convert it first"),
        ("number", pa.array([True]), "'x' (bool) takes numbers, or texts that hold some"),
        ("number", pa.array([[1]]), "'x' (list<item: int64>) takes numbers, or texts that hold some"),
        ("text", pa.array([0.5]), "'x' (double) takes text: a float is no identifier"),
        (JsonObject(), pa.array([[(0.5, 1)]], pa.map_(pa.float64(), pa.int64())), "'x{}' (double) takes text"),
    ],
)  # fmt: skip
def test_a_type_that_cannot_fill_the_field_is_told_with_its_name(kind: Any, array: Any, fault: str) -> None:
    fit = Fit()
    if isinstance(kind, str):
        fit.argument(array.type, "x", kind)
    else:
        fit.values(kind, array.type, "x")
    (told,) = fit.faults
    assert told.startswith(fault)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([10**12, 0], pa.timestamp("s")),
        pa.array([-(2**62), 0], pa.timestamp("us", SHANGHAI)),
        pa.array([10**8, 0], pa.date32()),
    ],
)
def test_a_moment_without_an_iso_form_is_left_for_admission_to_refuse(array: Any) -> None:
    beyond, good = read(Text(), array)
    assert isinstance(beyond, MomentBeyondYear9999)
    assert good.startswith("1970-01-01")


def test_a_moment_beyond_64_bits_of_milliseconds_is_no_other_moment() -> None:
    found = read(Millis(), pa.array([2**62, -(2**62), 1_767_225_600], pa.timestamp("s", "UTC")))
    assert [value in MILLISECONDS for value in found] == [False, False, True]
    assert all(value in INT64 for value in found)


@given(
    st.lists(st.datetimes(NEW_YEAR.replace(year=1973, month=4), NEW_YEAR.replace(year=2037))),
    st.sampled_from([SHANGHAI, "America/New_York", "+05:45"]),
)
def test_moments_are_those_of_python(given_moments: list[datetime], zone: str) -> None:
    array = pa.array(given_moments, pa.timestamp("us")).cast(pa.timestamp("us", zone))
    aware = array.to_pylist()
    values, texts = Fit().values(Millis(), array.type, "x"), Fit().values(Text(), array.type, "x")
    assert values(array) == [millis_of(moment) for moment in aware]
    assert texts(array) == [moment.isoformat() for moment in aware]


@given(st.lists(st.floats(width=32) | st.none()))
def test_floats_of_32_bits_stay_the_same_number_in_fewer_digits(numbers: list[float | None]) -> None:
    array = pa.array(numbers, pa.float32())
    found = Fit().argument(array.type, "x", "auto")(array)
    assert [None if one is None or one != one else one for one in numbers] == pa.array(found, pa.float32()).to_pylist()  # noqa: PLR0124
