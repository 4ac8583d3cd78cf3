"""What a struct takes and the reference does not, found by straight-line code that is generated of the record's shape.

msgspec takes a set for a list, a text for a moment, a `Decimal` for a float, and any object that has some attributes for a
record. A guard looks at a record beside the struct made of it, turns moments into milliseconds, copies free parts that hold
more than plain values, and checks the rules over several fields. In any doubt it says False, and the reference decides. Lone
surrogates and subclasses of text pass: the encoder refuses them.

A guard of one record reads it field by field; one of many reads a column at a time, which costs less than half.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from itertools import chain
from typing import Any, Final

from attrs import define, field

from asyncimport.fields import INT64, MILLISECONDS, Flag, Int64, JsonList, JsonObject, ListOf, Millis, Text, millis_of
from asyncimport.shape import Field, NamesFilled, Needs, NeedsOneOf, ObjectOf, Requirement, Shape, shape_of

#: From a record, or a list of them, and the struct or structs made of it to whether these are its wire form. It may raise what a
#: mapping of the user's raises.
Guard = Callable[[Any, Any], bool]

#: Of a free part: keys or items, items of a list or object in it, and levels. What has more is the reference's, which counts up to
#: `fields.MAX_VALUES`: 1,000 x 20 x 20 are fewer.
MAX_PLAIN_KEYS: Final = 1_000
MAX_PLAIN_ITEMS: Final = 20
MAX_PLAIN_DEPTH: Final = 3
_PLAIN: Final = frozenset({str, int, float, bool})
_LISTS: Final = frozenset({list, tuple})


class Form(Enum):
    """How a record is written: as a mapping by either names, as an object whose parts are objects or mappings, or as text."""

    WIRE = "wire"
    PYTHON = "name"
    TYPED = "attribute"
    #: As a line of JSON, of which nothing is left to look at but the struct itself.
    LINE = "line"


def guard_of(shape: Shape, config: object, form: Form) -> Guard:
    """The guard of one record that is written so."""
    source = _Source(config=config, form=form)
    _emit_object(source, shape, level=0, depth=1)
    return source.function()


def guard_of_many(shape: Shape, config: object, form: Form) -> Guard:
    """The guard of a list of records that are all written so."""
    source = _Source(config=config, form=form)
    _emit_columns(source, shape, level=0)
    return source.function()


def copy_object(value: Any) -> dict[str, Any] | None:
    """A copy of a dict of JSON values without its absent keys, or None in doubt."""
    if type(value) is not dict or len(value) > MAX_PLAIN_KEYS:
        return None
    try:
        return _copied(value, MAX_PLAIN_DEPTH)
    except _Doubt:
        return None


def copy_list(value: Any) -> list[Any] | None:
    """A copy of a list or tuple of JSON values, the objects in it without their absent keys, or None in doubt."""
    if type(value) not in _LISTS or len(value) > MAX_PLAIN_KEYS:
        return None
    try:
        return [_copied_part(item, MAX_PLAIN_DEPTH - 1) for item in value]
    except _Doubt:
        return None


class _Doubt(Exception):
    """Something that is left to the reference."""


def _copied(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    copied: dict[str, Any] = {}
    for key, item in value.items():
        if item is None:
            continue
        if type(key) is not str:
            raise _Doubt
        copied[key] = _copied_item(item, type(item), depth - 1)
    return copied


def _copied_item(item: Any, kind: type[Any], depth: int) -> Any:
    if kind is str or kind is bool or (kind is int and item in INT64) or (kind is float and item - item == 0.0):
        return item  # the last is neither NaN nor infinite
    if kind is dict and depth > 0 and len(item) <= MAX_PLAIN_ITEMS:
        return _copied(item, depth)
    if kind is list and depth > 0 and len(item) <= MAX_PLAIN_ITEMS:
        return [_copied_part(x, depth - 1) for x in item]
    raise _Doubt


def _copied_part(item: Any, depth: int) -> Any:
    """The copy of an item of a list, where None keeps its place."""
    return None if item is None else _copied_item(item, type(item), depth)


def _copied_into(wire: Any, name: str, given: Any) -> bool:
    """Put a copy of a free part into a struct where it holds more than plain values; False in doubt."""
    if given is None:
        return True
    if type(given) is dict and len(given) <= MAX_PLAIN_KEYS and _PLAIN.issuperset(map(type, given.values())):
        return True
    copied = copy_object(given)
    setattr(wire, name, copied)
    return copied is not None


def _list_copied_into(wire: Any, name: str, given: Any) -> bool:
    """The same for a free list."""
    if given is None:
        return True
    if type(given) in _LISTS and len(given) <= MAX_PLAIN_KEYS and _PLAIN.issuperset(map(type, given)):
        return True
    copied = copy_list(given)
    setattr(wire, name, copied)
    return copied is not None


def _moment_into(wire: Any, name: str, given: Any) -> bool:
    """Put the milliseconds of an aware datetime into a struct; False in doubt. Its time zone is the user's code and may raise."""
    if given is None or type(given) is int:
        return True
    if type(given) is not datetime or given.utcoffset() is None:
        return False
    moment = millis_of(given)
    setattr(wire, name, moment)
    return moment in MILLISECONDS


@define(kw_only=True)
class _Source:
    """Lines of generated code and the objects they name."""

    config: object
    form: Form
    names: dict[str, Any] = field(
        factory=lambda: {
            "LISTS": _LISTS | {type(None)},
            "INTS": frozenset({int, type(None)}),
            "flat": chain.from_iterable,
            "copied": _copied_into,
            "list_copied": _list_copied_into,
            "moment": _moment_into,
        }
    )
    lines: list[str] = field(factory=lambda: ["def guard(r0, w0):"])

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def bind(self, value: object) -> str:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def function(self) -> Guard:
        self.line(1, "return True")
        namespace = dict(self.names)
        exec(compile("\n".join(self.lines), "<asyncimport generated>", "exec"), namespace)  # noqa: S102 -- our own lines, from our own declarations
        made: Guard = namespace["guard"]
        return made

    def value_of(self, spec: Field, record: str) -> str:
        """The expression that reads a field of a record."""
        if self.form is Form.LINE:
            return f"{record}.{spec.name}"
        if self.form is Form.TYPED:
            return f"({record}.get({spec.wire!r}) if type({record}) is dict else {record}.{spec.name})"
        return f"{record}.get({getattr(spec, self.form.value)!r})"

    def attributes(self, requirement: NamesFilled, shape: Shape) -> str:
        """What leads from a value of the naming field to the attribute it names."""
        return self.bind({value: shape.by_name[name].name for value, name in requirement.names.items()})

    def kinds(self, shape: Shape) -> str:
        """What an object in a list may be: no subclass, which structs would read past its own methods."""
        return self.bind(frozenset({shape.record, dict} if self.form is Form.TYPED else {dict}))


def _moments_last(shape: Shape) -> list[Field]:
    """The fields in an order in which nothing of the record is looked at once a time zone, the user's code, was asked."""
    return sorted(shape.fields, key=lambda spec: isinstance(spec.kind, Millis))


def _copier(spec: Field) -> str:
    """What copies a free part, as the generated code calls it."""
    return "copied" if isinstance(spec.kind, JsonObject) else "list_copied"


def _emit_object(source: _Source, shape: Shape, *, level: int, depth: int) -> None:
    """Lines that look at the object `r<level>` and the struct `w<level>` made of it."""
    record, wire = f"r{level}", f"w{level}"
    for spec in _moments_last(shape):
        value = source.value_of(spec, record)
        match spec.kind:
            case Text() | Flag() | Int64():
                pass  # structs check all of it
            case Millis() if source.form is Form.LINE:
                source.line(depth, f"if type({value}) not in INTS: return False")
            case Millis():
                source.line(depth, f"if not moment({wire}, {spec.name!r}, {value}): return False")
            case JsonObject() | JsonList():
                source.line(depth, f"if not {_copier(spec)}({wire}, {spec.name!r}, {value}): return False")
            case ListOf(item=item):
                source.line(depth, f"v = {value}")
                source.line(depth, "if type(v) not in LISTS: return False")
                if isinstance(item, ObjectOf):
                    inner = shape_of(item.record)
                    source.line(depth, f"for r{level + 1}, w{level + 1} in zip(v or (), {wire}.{spec.name} or ()):")
                    if source.form is not Form.LINE:
                        source.line(depth + 1, f"if type(r{level + 1}) not in {source.kinds(inner)}: return False")
                    _emit_object(source, inner, level=level + 1, depth=depth + 1)
                    source.line(depth + 1, "pass")
            case _:
                source.line(depth, "return False")
    for requirement in shape.requirements:
        _emit_requirement(source, requirement, shape, wire=wire, depth=depth)


def _emit_requirement(source: _Source, requirement: Requirement, shape: Shape, *, wire: str, depth: int) -> None:
    match requirement:
        case Needs(field=given, other=other):
            name, needed = shape.by_name[given].name, shape.by_name[other].name
            source.line(depth, f"if {wire}.{name} is not None and {wire}.{needed} is None: return False")
        case NeedsOneOf():
            source.line(depth, f"if {_lacks_all(requirement, shape, wire)}: return False")
        case NamesFilled(field=naming) if requirement.applies(source.config):
            source.line(depth, f"v = {wire}.{shape.by_name[naming].name}")
            source.line(depth, "if not v: return False")
            source.line(depth, f"v = {source.attributes(requirement, shape)}.get(v)")
            source.line(depth, f"if v is not None and not getattr({wire}, v): return False")
        case NamesFilled():
            pass  # only exact matching asks for it, and this run's config does not
        case _:
            source.line(depth, "return False")


def _lacks_all(requirement: NeedsOneOf, shape: Shape, wire: str) -> str:
    """The expression that is true of a struct which breaks the rule."""
    others = (f"{wire}.{shape.by_name[other].name} in (None, '')" for other in requirement.others)
    return f"{wire}.{shape.by_name[requirement.field].name} == {requirement.value!r} and {' and '.join(others)}"


def _emit_columns(source: _Source, shape: Shape, *, level: int) -> None:
    """Lines that look at the objects `r<level>` and the structs `w<level>` made of them, a column at a time."""
    records, wires = f"for r in r{level}", f"w{level}"
    for spec in _moments_last(shape):
        column = f"[{source.value_of(spec, 'r')} {records}]"
        match spec.kind:
            case Text() | Flag() | Int64():
                pass  # structs check all of it
            case Millis():
                source.line(1, f"v = {column}")
                source.line(1, "if not INTS.issuperset(map(type, v)):")
                source.line(2, f"if not all([moment(w, {spec.name!r}, x) for w, x in zip({wires}, v)]): return False")
            case JsonObject() | JsonList():
                copied = f"{_copier(spec)}(w, {spec.name!r}, x) for w, x in zip({wires}, {column})"
                source.line(1, f"if not all([{copied}]): return False")
            case ListOf(item=item):
                source.line(1, f"v = {column}")
                source.line(1, "if not LISTS.issuperset(map(type, v)): return False")
                if isinstance(item, ObjectOf):
                    inner, shape_of_items = level + 1, shape_of(item.record)
                    source.line(1, f"r{inner} = [*flat(filter(None, v))]")
                    source.line(1, f"w{inner} = [*flat(filter(None, [w.{spec.name} for w in {wires}]))]")
                    kinds = source.kinds(shape_of_items)
                    source.line(1, f"if not {kinds}.issuperset(map(type, r{inner})): return False")
                    _emit_columns(source, shape_of_items, level=inner)
            case _:
                source.line(1, "return False")
    for requirement in shape.requirements:
        _emit_column_requirement(source, requirement, shape, wires=wires)


def _emit_column_requirement(source: _Source, requirement: Requirement, shape: Shape, *, wires: str) -> None:
    match requirement:
        case Needs(field=given, other=other):
            name, needed = shape.by_name[given].name, shape.by_name[other].name
            source.line(1, f"if any([w.{needed} is None for w in {wires} if w.{name} is not None]): return False")
        case NeedsOneOf():
            source.line(1, f"if any([{_lacks_all(requirement, shape, 'w')} for w in {wires}]): return False")
        case NamesFilled(field=naming) if requirement.applies(source.config):
            naming = shape.by_name[naming].name
            source.line(1, f"n = {{w.{naming} for w in {wires}}}")
            source.line(1, "if not all(n): return False")
            source.line(1, f"for n, v in [(n, {source.attributes(requirement, shape)}.get(n)) for n in n]:")
            source.line(2, f"if v and not all([getattr(w, v) for w in {wires} if w.{naming} == n]): return False")
        case NamesFilled():
            pass  # only exact matching asks for it, and this run's config does not
        case _:
            source.line(1, "return False")
