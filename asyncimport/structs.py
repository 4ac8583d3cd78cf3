"""What a record class becomes on the wire: msgspec's structs, made of its shape.

A struct checks and copies a record in C, keeps no reference cycle and is therefore nothing to the garbage collector, and
is written as JSON without its absent fields. What structs do not check `guard.py` does.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final, Literal

import msgspec

from asyncimport.fields import INT64, MILLISECONDS, Flag, Int64, JsonList, JsonObject, Kind, ListOf, Millis, Text
from asyncimport.shape import Field, ObjectOf, shape_of

#: What cannot be written as JSON: a lone surrogate, a subclass of text, a number or a type that JSON has not.
UNENCODABLE: Final = (TypeError, ValueError, OverflowError, RecursionError)


class RecordStruct(msgspec.Struct, gc=False, weakref=False):
    """The base of all structs of records, none of which shows what its fields hold."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on the wire>"


#: A record as it is written: the struct made of it, or the mapping that the reference made.
Wire = RecordStruct | dict[str, Any]

_LARGEST: Final = 1.7976931348623157e308
_Int = Annotated[int, msgspec.Meta(ge=INT64.start, le=INT64.stop - 1)]
_Finite = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
_Millis = Annotated[int, msgspec.Meta(ge=MILLISECONDS.start, lt=MILLISECONDS.stop)]
#: Numbers are checked here; what is below a list or object is not, and the guard copies it.
_FreeValue = str | _Int | _Finite | bool | list[Any] | dict[Any, Any] | None
_Free = dict[str, _FreeValue]
_FreeList = list[_FreeValue]

_encoder: Final = msgspec.json.Encoder()


class Names(Enum):
    """By which names a struct reads the keys of a mapping, and writes its own."""

    WIRE = "wire"
    PYTHON = "name"


_STRUCTS: Final[dict[tuple[type[Any], Names], type[RecordStruct]]] = {}


def struct_of(record: type[Any], names: Names) -> type[RecordStruct]:
    """The struct of a record class, made once; its attributes have the Python names."""
    if (record, names) not in _STRUCTS:
        _STRUCTS[record, names] = _made(record, names)
    return _STRUCTS[record, names]


def _made(record: type[Any], names: Names) -> type[RecordStruct]:
    fields = shape_of(record).fields
    made: Any = msgspec.defstruct(
        record.__name__,
        [_attribute(spec, names) for spec in fields],
        rename={spec.name: getattr(spec, names.value) for spec in fields},
        omit_defaults=True,
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
        bases=(RecordStruct,),
    )
    struct: type[RecordStruct] = made
    return struct


def _attribute(spec: Field, names: Names) -> Any:
    kind = _type_of(spec.kind, names)
    return (spec.name, kind) if spec.required else (spec.name, kind | None, None)


def _type_of(kind: Kind, names: Names) -> Any:
    match kind:
        case Text(choices=choices) if choices:
            return Literal[choices]
        case Text(non_empty=non_empty, max_chars=most):
            return (
                Annotated[str, msgspec.Meta(min_length=int(non_empty), max_length=most)] if non_empty or most else str
            )
        case Flag():
            return bool
        case Int64():
            return _Int
        case Millis():
            return _Millis | datetime
        case JsonObject():
            return _Free
        case JsonList():
            return _FreeList
        case ListOf(item=ObjectOf(record=record), min_items=least):
            return Annotated[list[struct_of(record, names)], msgspec.Meta(min_length=least)]  # type: ignore[misc] # a type made now
        case ListOf(item=item, min_items=least):
            return Annotated[list[_type_of(item, names)], msgspec.Meta(min_length=least)]  # type: ignore[misc] # a type made now
    return msgspec.Raw  # of a kind that structs do not know: no value of it is taken, and the reference decides


def json_bytes(value: Any) -> bytes:
    """Structs and JSON values as JSON.

    Raises:
        One of `UNENCODABLE`: something in it has no JSON form.
    """
    return _encoder.encode(value)


def plain(value: Any) -> Any:
    """A struct as the mapping that it is on the wire, whatever its fields hold; everything else as it is."""
    if isinstance(value, RecordStruct):
        given = zip(value.__struct_encode_fields__, msgspec.structs.astuple(value), strict=True)
        return {name: plain(item) for name, item in given if item is not None}
    return [plain(item) for item in value] if type(value) is list else value
