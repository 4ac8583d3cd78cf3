"""Straight-line code for the common record, generated from its shape as attrs and cattrs generate theirs.

A generated function takes a record and returns its clean wire form, or None when it has any doubt; the caller then asks
`copy_record`, the reference, which either finds the record good after all or says what is wrong. So the code here
never explains, and may never accept what the reference refuses. One exception is made for speed: it leaves lone
surrogates and keys of `eventargs` that are no text to the codec, whose encoder refuses these.

Two functions are generated of each record class: for its instances and for dicts with wire names, and for dicts with
Python names; objects inside lists are read in the same code, since a call costs as much as reading two fields. Making
one takes about a millisecond, once for each run's resource and config.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any, Final

from attrs import define, field

from asyncimport.fields import (
    INT64,
    MILLISECONDS,
    Flag,
    Int64,
    JsonObject,
    Kind,
    ListOf,
    Millis,
    Text,
    millis_of,
)
from asyncimport.shape import NamesFilled, Needs, ObjectOf, Requirement, Shape, shape_of

Fast = Callable[[Any], dict[str, Any] | None]

#: Longer lists, and deeper values, are the reference's, which bounds what it follows.
MAX_PLAIN_DEPTH: Final = 4
MAX_PLAIN_ITEMS: Final = 50


class Names(Enum):
    """By which names a generated function reads dicts."""

    WIRE = "wire"
    PYTHON = "name"


def compile_record(shape: Shape, config: object, names: Names) -> Fast:
    """A function from a record, or a dict with these names, to its wire form, or None in doubt.

    It shares nothing mutable with the record.
    """
    source = new_source(config, names)
    source.line(0, "def fast(r0):")
    _emit_object(source, shape, level=0, depth=1)
    source.line(1, "return w0")
    return source.function()


def new_source(config: object, names: Names) -> Source:
    """No lines yet, and what generated code refers to."""
    return Source(
        config=config,
        dict_names=names,
        names={"datetime": datetime, "moment": _moment, "copy_object": copy_object},
    )


def copy_object(value: Any) -> dict[str, Any] | None:
    """A copy of a dict of JSON values without its absent keys, or None in doubt."""
    if type(value) is not dict:
        return None
    try:
        return _copied(value, MAX_PLAIN_DEPTH)
    except _Doubt:
        return None


class _Doubt(Exception):
    """Something that is left to the reference."""


def _copied(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    copied: dict[str, Any] = value.copy()
    for key, item in value.items():
        kind = type(item)
        if (
            kind is str
            or (kind is float and item - item == 0.0)  # neither NaN nor infinite, in one comparison
            or (kind is int and -(2**63) <= item < 2**63)  # INT64 as constants: a range or a global costs more
            or kind is bool
        ):
            continue
        if item is None:
            del copied[key]
        else:
            copied[key] = _copied_item(item, kind, depth - 1)
    return copied


def _copied_item(item: Any, kind: type[Any], depth: int) -> Any:
    if (kind is int and -(2**63) <= item < 2**63) or (kind is float and item - item == 0.0) or kind is bool:
        return item
    if kind is dict and depth > 0:
        return _copied(item, depth)
    if kind is list and depth > 0 and len(item) <= MAX_PLAIN_ITEMS:
        return [x if type(x) is str or x is None else _copied_item(x, type(x), depth - 1) for x in item]
    raise _Doubt


def _moment(value: datetime) -> int | None:
    """Milliseconds of an aware datetime, or None in doubt: its time zone is the user's code and may raise."""
    try:
        return None if value.utcoffset() is None else millis_of(value)
    except Exception:  # noqa: BLE001 -- the reference asks again, and says what was raised
        return None


@define(kw_only=True)
class Source:
    """Lines of generated code and the objects they name."""

    config: object
    dict_names: Names
    names: dict[str, Any]
    lines: list[str] = field(factory=list)

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def bind(self, value: object) -> str:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def function(self) -> Fast:
        namespace = dict(self.names)
        exec(compile("\n".join(self.lines), "<asyncimport generated>", "exec"), namespace)  # noqa: S102 -- our own lines, from our own declarations
        made: Fast = namespace["fast"]
        return made


def _emit_object(source: Source, shape: Shape, *, level: int, depth: int) -> None:
    """Lines that read the object `r<level>` into the dict `w<level>`, or return None."""
    record, wire = f"r{level}", f"w{level}"
    values = [f"v{level}_{index}" for index in range(len(shape.fields))]
    source.line(depth, f"if type({record}) is {source.bind(shape.record)}:")
    for value, spec in zip(values, shape.fields, strict=True):
        source.line(depth + 1, f"{value} = {record}.{spec.name}")
    source.line(depth, f"elif type({record}) is dict:")
    source.line(depth + 1, f"get = {record}.get")
    for value, spec in zip(values, shape.fields, strict=True):
        source.line(depth + 1, f"{value} = get({getattr(spec, source.dict_names.value)!r})")
    source.line(depth, "else: return None")
    source.line(depth, f"{wire} = {{}}")
    for value, spec in zip(values, shape.fields, strict=True):
        source.line(depth, f"if {value} is not None:")
        emit_value(source, spec.kind, value, f"{wire}[{spec.wire!r}]", level=level, depth=depth + 1)
        if spec.required:
            source.line(depth, "else: return None")
    # Of a dict, as many keys must have been read as it has, absent ones aside: there is none that was not asked for.
    known = source.bind(frozenset(getattr(spec, source.dict_names.value) for spec in shape.fields))
    absent = f"sum(x is None for x in {record}.values())"
    source.line(depth, f"if type({record}) is dict and len({wire}) != len({record}):")
    source.line(
        depth + 1, f"if len({wire}) + {absent} != len({record}) or not {known}.issuperset({record}): return None"
    )
    for requirement in shape.requirements:
        _emit_requirement(source, requirement, wire, depth)


def emit_value(source: Source, kind: Kind, value: str, target: str, *, level: int, depth: int) -> None:
    """Lines that check a value that is there and put its wire form into `target`, or return None."""
    match kind:
        case Text():
            source.line(depth, f"if {text_doubt(source, kind, value)}: return None")
            source.line(depth, f"{target} = {value}")
        case Flag():
            source.line(depth, f"if {value} is not True and {value} is not False: return None")
            source.line(depth, f"{target} = {value}")
        case Int64():
            low, high = INT64.start, INT64.stop
            source.line(depth, f"if type({value}) is not int or not {low} <= {value} < {high}: return None")
            source.line(depth, f"{target} = {value}")
        case Millis():
            low, high = MILLISECONDS.start, MILLISECONDS.stop
            source.line(depth, f"if type({value}) is datetime: {value} = moment({value})")
            source.line(depth, f"if type({value}) is not int or not {low} <= {value} < {high}: return None")
            source.line(depth, f"{target} = {value}")
        case JsonObject():
            source.line(depth, f"{target} = {value} = copy_object({value})")
            source.line(depth, f"if {value} is None: return None")
        case ListOf():
            source.line(depth, f"if type({value}) is not list or len({value}) < {kind.min_items}: return None")
            _emit_items(source, kind.item, value, target, level=level, depth=depth)
        case _:  # a kind without generated code is always left to the reference
            source.line(depth, "return None")


def _emit_items(source: Source, kind: Kind, value: str, target: str, *, level: int, depth: int) -> None:
    """Lines that copy the items of a list."""
    match kind:
        case Text():
            source.line(depth, f"for x in {value}:")
            source.line(depth + 1, f"if {text_doubt(source, kind, 'x')}: return None")
            source.line(depth, f"{target} = {value}[:]")
        case ObjectOf(record=record):
            inner = level + 1
            source.line(depth, f"a{inner} = []")
            source.line(depth, f"for r{inner} in {value}:")
            _emit_object(source, shape_of(record), level=inner, depth=depth + 1)
            source.line(depth + 1, f"a{inner}.append(w{inner})")
            source.line(depth, f"{target} = a{inner}")
        case _:
            source.line(depth, "return None")


def text_doubt(source: Source, kind: Text, name: str) -> str:
    """The condition under which a value is no such text."""
    doubts = [f"type({name}) is not str"]
    if kind.non_empty:
        doubts.append(f"not {name}")
    if kind.max_chars is not None:
        doubts.append(f"len({name}) > {kind.max_chars}")
    if kind.choices:
        doubts.append(f"{name} not in {source.bind(frozenset(kind.choices))}")
    return " or ".join(doubts)


def _emit_requirement(source: Source, requirement: Requirement, wire: str, depth: int) -> None:
    match requirement:
        case Needs(field=given, other=other):
            source.line(depth, f"if {given!r} in {wire} and {other!r} not in {wire}: return None")
        case NamesFilled(field=naming) if requirement.applies(source.config):
            source.line(depth, f"n = {wire}.get({naming!r})")
            source.line(depth, "if not n: return None")
            source.line(depth, f"n = {source.bind(requirement.names)}.get(n)")
            source.line(depth, f"if n is not None and not {wire}.get(n): return None")
        case NamesFilled():
            pass  # only exact matching asks for it, and this run's config does not
        case _:
            source.line(depth, "return None")
