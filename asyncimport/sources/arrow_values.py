"""The values of an Arrow array as a field takes them: texts, numbers, flags, moments, lists and mappings in plain Python.

An array is converted as a whole, by Arrow's own kernels wherever there is one: a moment taken value by value costs more
than the rest of its record. What a type cannot be is found once, by the type alone; what a single value cannot be is left
in its place for admission to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from attrs import define, field
from pyarrow import types

from asyncimport.fields import Flag, Int64, JsonList, JsonObject, Kind, ListOf, Millis, Text
from asyncimport.shape import ObjectOf, shape_of
from asyncimport.sources.arrow_moments import day_texts, iso_texts_of, milliseconds_of, without_zeros
from asyncimport.sources.mapping import quoted

#: From an array to as many Python values; null is None.
Values = Callable[[Any], list[Any]]

#: A double carries 15 digits exactly (IEEE 754); a decimal with more stays text.
_NUMBER_DIGITS: Final = 15
#: A type of pandas, stored as the number of periods since 1970.
_PERIOD: Final = "pandas.period"


@define
class Fit:
    """Finds what reads arrays of a type for a field, and collects what does not fit."""

    #: Of each part that does not fit: its name with its type, and why.
    faults: list[str] = field(factory=list)

    def values(self, kind: Kind, kind_of_array: Any, name: str) -> Values:
        """What reads arrays of a type for a field of a kind; of no use once there is a fault."""
        if getattr(kind_of_array, "extension_name", "") == _PERIOD:
            return self._misfit(name, kind_of_array, "takes no periods: make them days or text first")
        if (unwrapped := _unwrapped(kind_of_array)) is not None:
            inner_type, unwrap = unwrapped
            inner = self.values(kind, inner_type, name)
            return lambda array: inner(unwrap(array))
        if types.is_null(kind_of_array):
            return lambda array: [None] * len(array)
        match kind:
            case Text():
                return self._text(kind_of_array, name)
            case Flag():
                return (
                    _plain if types.is_boolean(kind_of_array) else self._misfit(name, kind_of_array, "takes booleans")
                )
            case Int64():
                return self._whole(kind_of_array, name, "takes whole numbers")
            case Millis():
                return self._moment(kind_of_array, name)
            case ListOf(item=item):
                return self._list(item, kind_of_array, name)
            case ObjectOf(record=record):
                return self._object(record, kind_of_array, name)
            case JsonObject() if not (types.is_struct(kind_of_array) or types.is_map(kind_of_array)):
                return self._misfit(name, kind_of_array, "takes a struct or a map")
            case JsonList() if not is_list(kind_of_array):
                return self._misfit(name, kind_of_array, "takes a list")
            case _:
                return self._json(kind_of_array, name)

    def argument(self, kind_of_array: Any, name: str, wanted: str) -> Values:
        """The same for one key of a free mapping: `wanted` is auto, text or number."""
        if wanted == "text":
            return self.values(Text(), kind_of_array, name)
        if wanted == "number" and (types.is_boolean(kind_of_array) or types.is_nested(kind_of_array)):
            return self._misfit(name, kind_of_array, "takes numbers, or texts that hold some")
        return self.values(_FREE, kind_of_array, name)

    def written_moment(self, kind_of_array: Any, name: str) -> Values:
        """The same for a moment whose mapping says how it is written: text and numbers are left to be read by that."""
        if types.is_timestamp(kind_of_array) and kind_of_array.tz is not None:
            return milliseconds_of
        if types.is_nested(kind_of_array) or types.is_boolean(kind_of_array):
            return self._misfit(name, kind_of_array, "takes moments: text, numbers or timestamps")
        return self.values(_FREE, kind_of_array, name)

    def _misfit(self, name: str, kind_of_array: Any, why: str) -> Values:
        self.faults.append(f"{quoted(name)} ({kind_of_array}) {why}")
        return _plain

    def _text(self, kind_of_array: Any, name: str) -> Values:
        made = self._told(kind_of_array, name)
        if made is not None:
            return made
        if types.is_floating(kind_of_array):
            why = "takes text: a float is no identifier, make it whole numbers or text first"
        elif _is_binary(kind_of_array):
            why = "takes text: decode the bytes first"
        else:
            why = "takes text: convert it first"
        return self._misfit(name, kind_of_array, why)

    def _whole(self, kind_of_array: Any, name: str, takes: str) -> Values:
        if types.is_integer(kind_of_array):
            return _plain
        if types.is_decimal(kind_of_array) and kind_of_array.scale == 0:
            return lambda array: [None if value is None else int(value) for value in array.to_pylist()]
        return self._misfit(name, kind_of_array, f"{takes}: convert it first")

    def _moment(self, kind_of_array: Any, name: str) -> Values:
        if not types.is_timestamp(kind_of_array):
            return self._whole(kind_of_array, name, "takes milliseconds since 1970 or timestamps with a time zone")
        if kind_of_array.tz is None:
            why = "takes timestamps with a time zone: without one it is a moment in no certain place, give it its own first"
            return self._misfit(name, kind_of_array, why)
        return milliseconds_of

    def _list(self, item: Kind, kind_of_array: Any, name: str) -> Values:
        if not is_list(kind_of_array):
            return self._misfit(name, kind_of_array, "takes a list")
        return _lists(self.values(item, kind_of_array.value_type, f"{name}[]"))

    def _object(self, record: type[Any], kind_of_array: Any, name: str) -> Values:
        if not types.is_struct(kind_of_array):
            return self._misfit(name, kind_of_array, "takes a struct")
        shape, wires, members = shape_of(record), [], []
        for member in kind_of_array:
            spec, place = shape.by_name.get(member.name), f"{name}.{member.name}"
            if spec is None:
                self._misfit(place, member.type, f"is no field of {record.__name__}")
            elif spec.wire in wires:
                self._misfit(place, member.type, "is given twice")
            else:
                wires.append(spec.wire)
                members.append(self.values(spec.kind, member.type, place))
        return _structs(wires, members)

    def _json(self, kind_of_array: Any, name: str) -> Values:
        """What reads arrays of a type as JSON values, whatever they are."""
        if is_list(kind_of_array):
            return _lists(self._free(kind_of_array.value_type, f"{name}[]"))
        if types.is_struct(kind_of_array):
            names = [member.name for member in kind_of_array]
            if len(set(names)) < len(names):
                return self._misfit(name, kind_of_array, "has a member twice")
            return _structs(names, [self._free(member.type, f"{name}.{member.name}") for member in kind_of_array])
        if types.is_map(kind_of_array):
            keys = self._text(kind_of_array.key_type, f"{name}{{}}")
            return _maps(keys, self._free(kind_of_array.item_type, f"{name}.*"))
        if types.is_floating(kind_of_array):
            return _doubles if types.is_float64(kind_of_array) else _shorter_floats
        if types.is_decimal(kind_of_array):
            return _decimals_of(kind_of_array.scale)
        if types.is_boolean(kind_of_array) or types.is_integer(kind_of_array):
            return _plain
        return self._told(kind_of_array, name) or self._misfit(
            name, kind_of_array, "takes JSON values: convert it first"
        )

    def _told(self, kind_of_array: Any, name: str) -> Values | None:
        """What reads arrays of a type as texts, None of what has no certain form as one."""
        try:
            return _text_of(kind_of_array)
        except pa.ArrowInvalid:
            why = "has a time zone that this machine does not know: convert it to another, or install tzdata"
            return self._misfit(name, kind_of_array, why)

    def _free(self, kind_of_array: Any, name: str) -> Values:
        return self.values(_FREE, kind_of_array, name)


class _Free:
    """The kind of what stands anywhere in a free mapping."""

    copy = JsonObject.copy


_FREE: Final[Kind] = _Free()


def _unwrapped(kind_of_array: Any) -> tuple[Any, Callable[[Any], Any]] | None:
    """The type of what is encoded or wrapped, and what takes it out; None of what is neither."""
    if types.is_dictionary(kind_of_array):
        return kind_of_array.value_type, _dictionary_decoded
    if types.is_run_end_encoded(kind_of_array):
        return kind_of_array.value_type, _runs_decoded
    if isinstance(kind_of_array, pa.BaseExtensionType) and not isinstance(kind_of_array, pa.UuidType):
        return kind_of_array.storage_type, lambda array: array.storage
    return None


def _dictionary_decoded(array: Any) -> Any:
    return pa.DictionaryArray.from_arrays(array.indices, _without_view(array.dictionary)).dictionary_decode()


def _runs_decoded(array: Any) -> Any:
    ends, values = array.run_ends, _without_view(array.values)
    kind = pa.run_end_encoded(ends.type, values.type)
    runs = pa.RunEndEncodedArray.from_buffers(kind, len(array), [None], offset=array.offset, children=[ends, values])
    return pc.run_end_decode(runs)


def _without_view(values: Any) -> Any:
    """Texts in a layout that the kernels of Arrow take values from: of views, as polars has its categories, they do not."""
    return values.cast(pa.large_string()) if types.is_string_view(values.type) else values


def is_list(kind_of_array: Any) -> bool:
    """Whether it is a type of lists, of whichever layout."""
    tests = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
    return any(test(kind_of_array) for test in tests)


def _is_binary(kind_of_array: Any) -> bool:
    tests = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return any(test(kind_of_array) for test in tests)


def _text_of(kind_of_array: Any) -> Values | None:
    """What reads arrays of a type as texts, None of what has no certain form as one.

    Raises:
        ArrowInvalid: its time zone is not known on this machine.
    """
    if types.is_string(kind_of_array) or types.is_large_string(kind_of_array) or types.is_string_view(kind_of_array):
        return _texts
    if types.is_integer(kind_of_array):
        return lambda array: array.cast(pa.string()).to_pylist()
    if types.is_decimal(kind_of_array):
        return lambda array: [None if value is None else f"{value:f}" for value in array.to_pylist()]
    if types.is_date(kind_of_array):
        return day_texts
    if types.is_time(kind_of_array):
        return lambda array: without_zeros(array.cast(pa.string())).to_pylist()
    if types.is_timestamp(kind_of_array):
        return iso_texts_of(kind_of_array)
    if isinstance(kind_of_array, pa.UuidType):
        return lambda array: [None if value is None else str(value) for value in array.to_pylist()]
    return None


def _plain(array: Any) -> list[Any]:
    values: list[Any] = array.to_pylist()
    return values


def _texts(array: Any) -> list[Any]:
    """Texts; a value that is no UTF-8 stays bytes, and costs its own record alone."""
    try:
        return _plain(array)
    except UnicodeDecodeError:
        return [_decoded(value) for value in array.cast(pa.large_binary()).to_pylist()]


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _doubles(array: Any) -> list[Any]:
    """Floats; NaN, which stands for a missing value in frames, is absent."""
    values = _plain(array)
    return [None if value != value else value for value in values] if pc.any(pc.is_nan(array)).as_py() else values  # noqa: PLR0124 -- NaN alone differs from itself


def _shorter_floats(array: Any) -> list[Any]:
    """Floats of 32 bits, and of 16 as such, as the shortest number that stands for them: 0.1, not 0.10000000149011612."""
    return _doubles(array.cast(pa.float32()).cast(pa.string()).cast(pa.float64()))


def _decimals_of(scale: int) -> Values:
    """Numbers where a double holds all digits, else texts; without a fraction by their type whole numbers."""
    number = int if scale <= 0 else float

    def made(value: Decimal | None) -> Any:
        if value is None:
            return None
        return number(value) if len(value.normalize().as_tuple().digits) <= _NUMBER_DIGITS else f"{value:f}"

    return lambda array: [made(value) for value in array.to_pylist()]


def _lists(item: Values) -> Values:
    def read(array: Any) -> list[Any]:
        items = iter(item(array.flatten()))
        lengths = pc.list_value_length(array).to_pylist()
        return [None if length is None else list(islice(items, length)) for length in lengths]

    return read


def _structs(names: Sequence[str], members: Sequence[Values]) -> Values:
    def read(array: Any) -> list[Any]:
        columns = [member(child) for member, child in zip(members, array.flatten(), strict=True)]
        rows: list[Any] = [_filled(names, row) for row in zip(*columns, strict=True)] if columns else [{}] * len(array)
        if array.null_count:
            is_there = array.is_valid().to_pylist()
            rows = [row if there else None for row, there in zip(rows, is_there, strict=True)]
        return rows

    return read


def _maps(keys: Values, items: Values) -> Values:
    def read(array: Any) -> list[Any]:
        offsets = array.offsets.to_pylist()
        first, length = offsets[0], offsets[-1] - offsets[0]
        names, values = keys(array.keys.slice(first, length)), items(array.items.slice(first, length))
        bounds = zip(offsets, offsets[1:], array.is_valid().to_pylist(), strict=False)
        return [
            _filled(names[start - first : end - first], values[start - first : end - first]) if there else None
            for start, end, there in bounds
        ]

    return read


def _filled(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """What is there, by its names."""
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}
