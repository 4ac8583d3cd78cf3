"""The keys of a record: what `order_by`, `deduplicate` and `uuid_from` compare records by, from names to values.

A name is that of a field, on the wire or in Python (`phone`, `thirdId`, `third_id`), or dotted that of a part of one: a key of
a free mapping (`eventargs.c_order`), a field of each item of a list (`identities.identityValue`, `customFields.configId`), or a
type of identity (`identities.phone`). A list of records has a value for each of its items; an identity is its type, value,
platform and mpid, whatever else is said of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import product
from typing import Any, Final

from attrs import frozen

from asyncimport.errors import ConfigError
from asyncimport.fields import JsonObject, ListOf
from asyncimport.shape import Field, ObjectOf, Shape, shape_of
from asyncimport.structs import RecordStruct, Wire, plain

#: The free part whose keys need no dot before them in `uuid_from`.
FREE_PART: Final = "eventargs"
#: What an identity is known by (PLATFORM.md, E); `isWeChatEcosystem` only describes its app.
_IDENTITY: Final = ("identityType", "identityValue", "platform", "mpid")


@frozen(kw_only=True)
class Part:
    """One thing named: its full name on the wire, and its values in a record, none of which is None; none where it is absent."""

    name: str
    values: Callable[[Wire], list[Any]]


def parts_of(record: type[Any], names: Iterable[str], option: str, *, has_free: bool = False) -> tuple[Part, ...]:
    """The parts of a record class that names tell. `has_free` takes an unknown name without a dot for a key of `eventargs`.

    Raises:
        ConfigError: a name that is none of the record's; `option` is named in its words.
    """
    shape = shape_of(record)
    return tuple(_part_of(shape, name, option, has_free=has_free) for name in names)


def _part_of(shape: Shape, name: str, option: str, *, has_free: bool) -> Part:
    head, dot, rest = name.partition(".")
    spec = shape.by_name.get(head)
    if spec is None and has_free and FREE_PART in shape.by_name:
        spec, dot, rest = shape.by_name[FREE_PART], ".", name
    if spec is None:
        known = ", ".join(field.wire for field in shape.fields)
        raise ConfigError(f"{option}: {name[:40]!r} is no field of {shape.record.__name__}; it has {known}")
    if not dot:
        return Part(name=spec.wire, values=partial(_values, spec, _whole_of(spec)))
    return _dotted(shape, spec, rest, option)


def _dotted(shape: Shape, spec: Field, rest: str, option: str) -> Part:
    match spec.kind:
        case JsonObject() if rest:
            return Part(name=f"{spec.wire}.{rest}", values=partial(_values, spec, partial(_of_mapping, rest)))
        case ListOf(item=ObjectOf(record=record)) if rest:
            inner = shape_of(record).by_name.get(rest)
            if inner is not None:
                return Part(name=f"{spec.wire}.{inner.wire}", values=partial(_values, spec, partial(_of_items, inner)))
            if _is_identity(shape_of(record)):
                return Part(name=f"{spec.wire}.{rest}", values=partial(_values, spec, partial(_of_type, rest)))
    raise ConfigError(f"{option}: {spec.wire} of {shape.record.__name__} has no part {rest[:40]!r}")


def _values(spec: Field, take: Callable[[Any], list[Any]], wire: Wire) -> list[Any]:
    value = held(wire, spec)
    return [] if value is None else take(value)


def held(wire: Any, spec: Field) -> Any:
    """What a field of a wire form holds; None where it is absent."""
    return getattr(wire, spec.name) if isinstance(wire, RecordStruct) else wire.get(spec.wire)


def _whole_of(spec: Field) -> Callable[[Any], list[Any]]:
    match spec.kind:
        case ListOf(item=ObjectOf(record=record)):
            return _identities if _is_identity(shape_of(record)) else lambda value: [plain(item) for item in value]
        case _:
            return lambda value: [_exact(value)]


def _is_identity(shape: Shape) -> bool:
    return {*_IDENTITY} <= {*shape.by_name}


def _exact(value: Any) -> Any:
    """A text without a class of its own, which may have another hash than the text it holds."""
    return str.__str__(value) if isinstance(value, str) else value


def _identities(value: Any) -> list[Any]:
    """The key of each identity."""
    return [_identity(item) for item in value]


def _identity(item: Any) -> tuple[Any, ...]:
    given = plain(item)
    return tuple([_exact(given.get(name)) for name in _IDENTITY])


def _of_type(kind: str, value: Any) -> list[Any]:
    return [identity for identity in _identities(value) if identity[0] == kind]


def _of_items(spec: Field, value: Any) -> list[Any]:
    found = [held(item, spec) for item in value]
    return [_exact(item) for item in found if item is not None]


def _of_mapping(key: str, value: Any) -> list[Any]:
    found = value.get(key)
    return [] if found is None else [_exact(found)]


def combinations(parts: Sequence[Part], wire: Wire) -> list[tuple[Any, ...]]:
    """The keys of a record by these parts together, one for each of its identities; none where it has nothing of any part."""
    values = [part.values(wire) for part in parts]
    return list(product(*(found or [None] for found in values))) if any(values) else []
