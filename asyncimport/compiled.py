"""Straight-line code for the common record, generated from its shape as attrs and cattrs generate theirs.

A generated function takes a record and returns its clean wire form, or None when it has any doubt; the caller then asks
`copy_record`, the reference, which either finds the record good after all or says what is wrong. So the code here
never explains, and may never accept what the reference refuses. One exception is made for speed: it leaves lone
surrogates, integers beyond 64 bits and keys that are no text to the codec, whose encoder refuses exactly these.

Three forms are generated of each record class: from its instances, from dicts with wire names, from dicts with Python
names. One function costs about a millisecond to make, once for each run's resource and config.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from attrs import define, field

from asyncimport.fields import (
    INT64,
    MAX_DEPTH,
    MILLISECONDS,
    At,
    Flag,
    Int64,
    JsonObject,
    Kind,
    ListOf,
    Millis,
    Problem,
    Text,
    copy_json,
    millis_of,
)
from asyncimport.shape import Field, NamesFilled, Needs, ObjectOf, Requirement, Shape, shape_of

Fast = Callable[[Any], dict[str, Any] | None]

#: JSON scalars that need no look at their value here (a bool is no subclass trouble: types are compared exactly).
PLAIN: Final = frozenset({str, int, bool})


def compile_record(shape: Shape, config: object) -> Fast:
    """A function from a record or dict to its wire form, or None in doubt. It shares nothing mutable with the record."""
    from_instance = _compile(shape, config, "from_instance", lambda spec: f"r.{spec.name}", is_dict=False)
    from_wire = _compile(shape, config, "from_wire_names", lambda spec: f"get({spec.wire!r})", is_dict=True)
    from_python = _compile(shape, config, "from_python_names", lambda spec: f"get({spec.name!r})", is_dict=True)
    record = shape.record

    def fast(value: Any) -> dict[str, Any] | None:
        kind = type(value)
        if kind is record:
            return from_instance(value)
        if kind is dict:
            wire_form = from_wire(value)
            return from_python(value) if wire_form is None else wire_form
        return None

    return fast


def copy_object(value: Any) -> dict[str, Any] | None:
    """A copy of a dict of JSON values without its absent keys, or None in doubt."""
    if type(value) is not dict:
        return None
    copied: dict[str, Any] = value.copy()
    for key, item in value.items():
        kind = type(item)
        if kind in PLAIN:
            continue
        if kind is float:
            if item - item != 0.0:  # NaN and the infinities, in one comparison
                return None
        elif item is None:
            del copied[key]
        else:
            problems: list[Problem] = []
            copied[key] = copy_json(item, At(), problems, MAX_DEPTH - 1)
            if problems:
                return None
    return copied


def _compile(shape: Shape, config: object, name: str, read: Callable[[Field], str], *, is_dict: bool) -> Fast:
    source = _Source(names={"datetime": datetime, "millis_of": millis_of, "copy_object": copy_object})
    source.line(0, f"def {name}(r):")
    if is_dict:
        source.line(1, "get = r.get")
    source.line(1, "w = {}")
    for spec in shape.fields:
        source.line(1, f"v = {read(spec)}")
        source.line(1, "if v is not None:")
        _emit(source, spec.kind, 2, f"w[{spec.wire!r}]")
        if spec.required:
            source.line(1, "else: return None")
    if is_dict:  # a key that was not asked for, unless it stands for an absent field
        source.line(1, "if len(w) != len(r): return None")
    for requirement in shape.requirements:
        _emit_requirement(source, requirement, config)
    source.line(1, "return w")
    return source.function(name)


@define
class _Source:
    """Lines of generated code and the objects they name."""

    names: dict[str, Any]
    lines: list[str] = field(factory=list)

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def bind(self, value: object) -> str:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def function(self, name: str) -> Fast:
        namespace = dict(self.names)
        exec(compile("\n".join(self.lines), f"<asyncimport {name}>", "exec"), namespace)  # noqa: S102 -- our own lines, from our own declarations
        made: Fast = namespace[name]
        return made


def _emit(source: _Source, kind: Kind, depth: int, target: str) -> None:
    """Lines that check `v` and put its wire form into `target`, or return None."""
    match kind:
        case Text():
            source.line(depth, f"if {_text_doubt(source, kind, 'v')}: return None")
            source.line(depth, f"{target} = v")
        case Flag():
            source.line(depth, "if v is not True and v is not False: return None")
            source.line(depth, f"{target} = v")
        case Int64():
            source.line(depth, f"if type(v) is not int or not {INT64.start} <= v < {INT64.stop}: return None")
            source.line(depth, f"{target} = v")
        case Millis():
            source.line(depth, "if type(v) is datetime and v.utcoffset() is not None: v = millis_of(v)")
            low, high = MILLISECONDS.start, MILLISECONDS.stop
            source.line(depth, f"if type(v) is not int or not {low} <= v < {high}: return None")
            source.line(depth, f"{target} = v")
        case JsonObject():
            source.line(depth, "v = copy_object(v)")
            source.line(depth, "if v is None: return None")
            source.line(depth, f"{target} = v")
        case ListOf():
            _emit_list(source, kind, depth, target)
        case _:  # a kind without generated code is always left to the reference
            source.line(depth, "return None")


def _emit_list(source: _Source, kind: ListOf, depth: int, target: str) -> None:
    source.line(depth, f"if type(v) is not list or len(v) < {kind.min_items}: return None")
    match kind.item:
        case Text() as text:
            source.line(depth, "for x in v:")
            source.line(depth + 1, f"if {_text_doubt(source, text, 'x')}: return None")
            source.line(depth, f"{target} = v[:]")
        case ObjectOf(record=record):
            convert = source.bind(compile_record(shape_of(record), None))
            source.line(depth, "a = []")
            source.line(depth, "for x in v:")
            source.line(depth + 1, f"y = {convert}(x)")
            source.line(depth + 1, "if y is None: return None")
            source.line(depth + 1, "a.append(y)")
            source.line(depth, f"{target} = a")
        case _:
            source.line(depth, "return None")


def _text_doubt(source: _Source, kind: Text, name: str) -> str:
    doubts = [f"type({name}) is not str"]
    if kind.non_empty:
        doubts.append(f"not {name}")
    if kind.max_chars is not None:
        doubts.append(f"len({name}) > {kind.max_chars}")
    if kind.choices:
        doubts.append(f"{name} not in {source.bind(frozenset(kind.choices))}")
    return " or ".join(doubts)


def _emit_requirement(source: _Source, requirement: Requirement, config: object) -> None:
    match requirement:
        case Needs(field=given, other=other):
            source.line(1, f"if {given!r} in w and {other!r} not in w: return None")
        case NamesFilled(field=naming) if requirement.applies(config):
            names: Mapping[str, str] = requirement.names
            table = source.bind(names)
            source.line(1, f"n = w.get({naming!r})")
            source.line(1, "if not n: return None")
            source.line(1, f"n = {table}.get(n)")
            source.line(1, "if n is not None and not w.get(n): return None")
        case NamesFilled():
            pass  # only exact matching asks for it, and this run's config does not
        case _:
            source.line(1, "return None")
