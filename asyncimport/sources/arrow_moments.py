"""Moments and days of an Arrow array, as whole arrays: milliseconds since 1970, and the texts of ISO 8601.

A moment taken value by value costs more than the rest of its record.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

_UNITS_PER_S: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
#: Far beyond every moment that admission takes, and within 64 bits when made milliseconds.
_SECONDS: Final = 10**14
#: Days and seconds of the years 1 to 9999, which have a form in ISO 8601.
_DAYS: Final = range(
    date.min.toordinal() - date(1970, 1, 1).toordinal(), date.max.toordinal() - date(1970, 1, 1).toordinal() + 1
)
_DAY_S: Final = 86_400


class MomentBeyondYear9999:
    """Stands for a moment or day that has no form in ISO 8601, for admission to refuse by this name."""


_BEYOND: Final = MomentBeyondYear9999()


def milliseconds_of(array: Any) -> list[Any]:
    """Milliseconds since 1970, the rest of one cut off. Seconds that have none in 64 bits become others that are refused too."""
    numbers, per_s = array.cast(pa.int64()), _UNITS_PER_S[array.type.unit]
    if per_s == 1:
        bounded = pc.min_element_wise(
            pc.max_element_wise(numbers, -_SECONDS, skip_nulls=False), _SECONDS, skip_nulls=False
        )
        return _values(pc.multiply(bounded, 1_000))
    return _values(numbers if per_s == 1_000 else pc.divide(numbers, per_s // 1_000))  # noqa: PLR2004 -- milliseconds already


def day_texts(array: Any) -> list[Any]:
    """Days as ISO 8601 writes them."""
    days = array.cast(pa.date32(), safe=False) if types.is_date64(array.type) else array
    return _within(days.cast(pa.int32()).cast(pa.int64()), _DAYS.start, _DAYS.stop, days.cast(pa.string()))


def iso_texts_of(kind_of_array: Any) -> Callable[[Any], list[Any]]:
    """What reads timestamps as Python's `isoformat` writes them: with a time zone in its local time with the offset.

    Raises:
        ArrowInvalid: the time zone is not known on this machine.
    """
    per_s, has_zone = _UNITS_PER_S[kind_of_array.unit], kind_of_array.tz is not None
    # A day less on either side: local time may be in another year.
    first, beyond = ((edge + less) * _DAY_S * per_s for edge, less in ((_DAYS.start, 1), (_DAYS.stop, -1)))
    first, beyond = max(first, -(2**63)), min(beyond, 2**63)

    def read(array: Any) -> list[Any]:
        local = pc.local_timestamp(array) if has_zone else array
        texts = without_zeros(pc.binary_replace_slice(local.cast(pa.string()), 10, 11, "T"))
        if has_zone:
            texts = pc.binary_join_element_wise(texts, _offsets(local, array, per_s), "")
        return _within(array.cast(pa.int64()), first, beyond, texts)

    if has_zone:
        pc.local_timestamp(pa.array([0], kind_of_array))
    return read


def _offsets(local: Any, moments: Any, per_s: int) -> Any:
    """The offset from UTC of each moment as text, made once for each that there is."""
    ahead = pc.subtract(local.cast(pa.int64()), moments.cast(pa.int64())).dictionary_encode()
    texts = pa.array([_offset(value // per_s) for value in ahead.dictionary.to_pylist()], pa.string())
    return pa.DictionaryArray.from_arrays(ahead.indices, texts).dictionary_decode()


def _offset(seconds: int) -> str:
    minutes, rest = divmod(abs(seconds), 60)
    text = f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"
    return f"{text}:{rest:02}" if rest else text


def without_zeros(texts: Any) -> Any:
    """Times without a fraction that is nothing but zeros."""
    return pc.replace_substring_regex(texts, r"\.0+$", "")


def _within(numbers: Any, first: int, beyond: int, texts: Any) -> list[Any]:
    """The texts, and what admission refuses in place of those whose number lies outside."""
    values, edges = _values(texts), pc.min_max(numbers).as_py()
    if edges["min"] is None or (edges["min"] >= first and edges["max"] < beyond):
        return values
    pairs = zip(values, numbers.to_pylist(), strict=True)
    return [text if number is None or first <= number < beyond else _BEYOND for text, number in pairs]


def _values(array: Any) -> list[Any]:
    values: list[Any] = array.to_pylist()
    return values
