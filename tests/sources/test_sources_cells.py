"""Moments in cells and under JSON keys; the other conversions are held by what reads columns and keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import canary
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.sources.cells import Refused, moment_for
from asyncimport.sources.target import Moment

EAST = timezone(timedelta(hours=8))
BERLIN = ZoneInfo("Europe/Berlin")
NO_ISO = "has no moment in column 'at': write it as ISO 8601, such as 2025-03-01T10:00:00+08:00"
NO_ZONE = "has a time without a zone in column 'at': write its offset, or name the zone of such times"
NO_S = "has no moment in column 'at': write it as seconds since 1970"
NO_MS = "has no moment in column 'at': write it as milliseconds since 1970"
OUTSIDE = "has a moment outside 1973-03-03 to 5138-11-16 in column 'at': look at its format"
TWICE = "has a time that the clocks of Europe/Berlin show twice or leave out in column 'at': write its offset"


def read(value: Any, format_: str, zone: tzinfo | None = None) -> int:
    return moment_for(Moment("time", "at", format_, zone))(value)


@pytest.mark.parametrize(
    ("value", "format_", "zone", "millis"),
    [
        ("2025-03-01T10:00:00+08:00", "iso", None, 1_740_794_400_000),
        (" 2025-03-01 02:00:00.123999Z ", "iso", EAST, 1_740_794_400_123),
        ("20250301T100000+0800", "iso", None, 1_740_794_400_000),
        ("2025-03-01T10:00", "iso", EAST, 1_740_794_400_000),
        ("2025-03-01", "iso", EAST, 1_740_758_400_000),
        ("2025-10-26 01:59:59", "iso", BERLIN, 1_761_436_799_000),
        ("2025-10-26 02:30:00+01:00", "iso", BERLIN, 1_761_442_200_000),
        (datetime(2025, 3, 1, 10, tzinfo=EAST), "iso", None, 1_740_794_400_000),
        (datetime(2025, 3, 1, 10), "ms", EAST, 1_740_794_400_000),  # noqa: DTZ001 -- as a table without zones has them
        ("1740794400", "s", None, 1_740_794_400_000),
        (" 1740794400.1239 ", "s", None, 1_740_794_400_123),
        (1740794400, "s", None, 1_740_794_400_000),
        (1740794400.5, "s", None, 1_740_794_400_500),
        ("1740794400123", "ms", None, 1_740_794_400_123),
        ("1740794400123.9", "ms", None, 1_740_794_400_123),
        (1740794400123, "ms", None, 1_740_794_400_123),
    ],
)
def test_a_moment_is_read_in_the_format_that_is_declared(
    value: Any, format_: str, zone: tzinfo | None, millis: int
) -> None:
    assert read(value, format_, zone) == millis


@pytest.mark.parametrize(
    ("value", "format_", "zone", "rule"),
    [
        ("yesterday", "iso", EAST, NO_ISO),
        ("2025/3/1 10:00", "iso", EAST, NO_ISO),
        ("1740794400", "iso", EAST, NO_ISO),
        (1740794400, "iso", EAST, NO_ISO),
        (None, "iso", EAST, NO_ISO),
        ("2025-03-01T10:00:00", "iso", None, NO_ZONE),
        ("2025-03-01", "iso", None, NO_ZONE),
        (datetime(2025, 3, 1), "s", None, NO_ZONE),  # noqa: DTZ001 -- as above
        ("2025-10-26 02:30:00", "iso", BERLIN, TWICE),
        ("2025-03-30 02:30:00", "iso", BERLIN, TWICE),
        ("0001-01-01T00:00:00+14:00", "iso", None, OUTSIDE),
        ("9999-12-31T23:59:59-14:00", "iso", None, OUTSIDE),
        ("0001-01-01", "iso", BERLIN, OUTSIDE),
        ("2025-03-01T10:00:00+08:00", "s", EAST, NO_S),
        ("-1740794400", "s", None, NO_S),
        ("1.7e9", "s", None, NO_S),
        ("٣٣٣", "s", None, NO_S),
        ("9" * 5000, "s", None, NO_S),
        (True, "s", None, NO_S),
        (float("nan"), "s", None, NO_S),
        (float("inf"), "ms", None, NO_MS),
        ([1740794400], "ms", None, NO_MS),
        ("1740794400123", "s", None, OUTSIDE),
        ("1740794400", "ms", None, OUTSIDE),
        ("0", "s", None, OUTSIDE),
    ],
)
def test_what_is_no_moment_in_that_format_refuses_its_record_and_names_the_column(
    value: Any, format_: str, zone: tzinfo | None, rule: str
) -> None:
    with canary.raises(Refused) as refused:
        read(value, format_, zone)
    assert refused.value.rule == rule


@given(st.datetimes(datetime(1974, 1, 1), datetime(5000, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_one_moment_is_the_same_in_every_format(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=UTC)
    millis = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    zone = timezone(timedelta(minutes=minutes))
    assert read(aware.astimezone(zone).isoformat(), "iso") == millis
    assert read(aware.astimezone(zone).replace(tzinfo=None).isoformat(), "iso", zone) == millis
    assert read(f"{millis // 1000}.{millis % 1000:03}", "s") == read(f"{millis}", "ms") == millis
