"""The generated function that fits the records of a source: records of one source mostly look alike.

`compile_record` must be ready for any field to be there or not. When two good records in a row have the same form (the
same class, or the same keys in the same order, with the same fields absent, and lists of objects that look alike), a
function is generated for exactly that form: all fields into locals, one condition over all of them, one dict literal,
which is allocated once at its size. A record of another form fails the condition or a key, and is left to
`compile_record`; what that doubts is left to the reference.

A source of many forms would only learn and miss. So misses are counted against the records seen, and past that bound the
function for any form stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final

from attrs import define, field, frozen

from asyncimport.compiled import Fast, Names, Source, compile_record, emit_value, new_source, text_doubt
from asyncimport.fields import ListOf, Text
from asyncimport.shape import Field, NamesFilled, Needs, ObjectOf, Shape, shape_of

#: Misses that are no sign of many forms: this many, and one record in so many after that.
FEW_MISSES: Final = 256
RECORDS_A_MISS: Final = 16
#: Functions kept; one costs about a millisecond to make.
MAX_FORMS: Final = 16


class Items(Enum):
    """Lists of objects without a form of their items."""

    NONE = auto()
    MIXED = auto()


@frozen
class Form:
    """How a good record looked."""

    #: The keys of a dict in their order; None for an instance of the record class.
    keys: tuple[str, ...] | None
    #: Wire names of the fields that were there.
    present: frozenset[str]
    #: For each list of objects that was there: the form its items share, or that they share none.
    items: tuple[tuple[str, Form | Items], ...]


def form_of(shape: Shape, record: Any, wire: Mapping[str, Any]) -> Form:
    """The form of a record whose wire form is `wire`."""
    keys = tuple(record) if type(record) is dict else None
    items: list[tuple[str, Form | Items]] = []
    for spec in shape.fields:
        if spec.wire in wire and isinstance(spec.kind, ListOf) and isinstance(spec.kind.item, ObjectOf):
            inner = shape_of(spec.kind.item.record)
            given = _value(spec, record)
            forms = {form_of(inner, item, copied) for item, copied in zip(given, wire[spec.wire], strict=True)}
            alike = forms.pop() if len(forms) == 1 else Items.MIXED if forms else Items.NONE
            items.append((spec.wire, alike))
    return Form(keys, frozenset(wire), tuple(items))


def _value(spec: Field, record: Any) -> Any:
    if type(record) is not dict:
        return getattr(record, spec.name)
    return record[spec.wire] if spec.wire in record else record[spec.name]


@define
class Learned:
    """The functions for one resource and config. `fast` is the one to try first."""

    _shape: Shape
    _config: object
    fast: Fast = field(init=False)
    _general: list[Fast] = field(init=False)
    _made: dict[Form, Fast] = field(factory=dict)
    _last: Form | None = None
    _misses: int = 0

    def __attrs_post_init__(self) -> None:
        """Generate the functions for any form."""
        self._general = [compile_record(self._shape, self._config, names) for names in Names]
        self.fast = _unlearned

    def missed(self, record: Any, position: int) -> dict[str, Any] | None:
        """The wire form of a record that `fast` did not take, or None in doubt. Learns from it."""
        for general in self._general:
            wire = general(record)
            if wire is not None:
                self._misses += 1
                if self._misses > FEW_MISSES + position // RECORDS_A_MISS:
                    self.fast = general
                else:
                    self._learn(record, wire)
                return wire
        return None

    def _learn(self, record: Any, wire: Mapping[str, Any]) -> None:
        form = form_of(self._shape, record, wire)
        if form == self._last:
            if form not in self._made and len(self._made) < MAX_FORMS:
                self._made[form] = compile_form(self._shape, self._config, form)
            self.fast = self._made.get(form, self.fast)
        self._last = form


def _unlearned(_record: Any) -> None:
    """Take nothing: the first record is yet to be seen."""


def compile_form(shape: Shape, config: object, form: Form) -> Fast:
    """A function for records of one form; None for every other."""
    source = new_source(config, Names.WIRE)
    source.line(0, "def fast(r0):")
    literal = _emit(source, shape, form, level=0, depth=1)
    source.line(1, f"return {literal}")
    return source.function()


def _emit(source: Source, shape: Shape, form: Form, *, level: int, depth: int) -> str:
    """Lines that take the object `r<level>` apart, or return None; the expression of its wire form."""
    values = {spec.wire: f"v{level}_{index}" for index, spec in enumerate(shape.fields) if spec.wire in form.present}
    doubts = _emit_reads(source, shape, form, values, level=level, depth=depth)
    present = [spec for spec in shape.fields if spec.wire in form.present]
    doubts += [text_doubt(source, spec.kind, values[spec.wire]) for spec in present if isinstance(spec.kind, Text)]
    if doubts:
        source.line(depth, f"if {' or '.join(doubts)}: return None")
    items = dict(form.items)
    for spec in present:
        value = values[spec.wire]
        alike = items.get(spec.wire, Items.MIXED)
        if alike is Items.NONE:
            source.line(depth, f"if type({value}) is not list or {value}: return None")
            source.line(depth, f"{value} = []")
        elif isinstance(alike, Form):
            _emit_items(source, spec.kind, alike, value, level=level, depth=depth)
        elif not isinstance(spec.kind, Text):
            emit_value(source, spec.kind, value, value, level=level, depth=depth)
    _emit_requirements(source, shape, values, depth)
    return "{" + ", ".join(f"{spec.wire!r}: {values[spec.wire]}" for spec in present) + "}"


def _emit_reads(
    source: Source, shape: Shape, form: Form, values: Mapping[str, str], *, level: int, depth: int
) -> list[str]:
    """Lines that read the fields that are there into locals; the doubts about those that should not be."""
    record = f"r{level}"
    if form.keys is None:
        source.line(depth, f"if type({record}) is not {source.bind(shape.record)}: return None")
        for spec in shape.fields:
            if spec.wire in values:
                source.line(depth, f"{values[spec.wire]} = {record}.{spec.name}")
        return [f"{record}.{spec.name} is not None" for spec in shape.fields if spec.wire not in values]
    source.line(depth, f"if type({record}) is not dict or len({record}) != {len(form.keys)}: return None")
    absent: list[str] = []
    source.line(depth, "try:")
    for index, key in enumerate(form.keys):
        spec = shape.by_name[key]
        wire = spec.wire
        plain = wire if key == wire else spec.name  # never the repr of a key that is a subclass of text
        local = values.get(wire, f"n{level}_{index}")
        source.line(depth + 1, f"{local} = {record}[{plain!r}]")
        if wire not in values:
            absent.append(f"{local} is not None")
    source.line(depth + 1, "pass")
    source.line(depth, "except KeyError: return None")
    return absent


def _emit_items(source: Source, kind: Any, form: Form, value: str, *, level: int, depth: int) -> None:
    """Lines that replace a list of objects of one form by the list of their wire forms."""
    inner = level + 1
    source.line(depth, f"if type({value}) is not list or len({value}) < {kind.min_items}: return None")
    source.line(depth, f"a{inner} = []")
    source.line(depth, f"for r{inner} in {value}:")
    literal = _emit(source, shape_of(kind.item.record), form, level=inner, depth=depth + 1)
    source.line(depth + 1, f"a{inner}.append({literal})")
    source.line(depth, f"{value} = a{inner}")


def _emit_requirements(source: Source, shape: Shape, values: Mapping[str, str], depth: int) -> None:
    """Lines for the rules over several fields; those that the form itself keeps need none."""
    for requirement in shape.requirements:
        match requirement:
            case Needs():
                pass  # the record that showed the form kept it, and so does every record of the form
            case NamesFilled(field=naming, names=names) if requirement.applies(source.config):
                source.line(depth, f"if not {values[naming]}: return None")
                source.line(depth, f"n = {source.bind(names)}.get({values[naming]})")
                named = (f"{local} if n == {wire!r}" for wire, local in values.items() if wire in names.values())
                source.line(depth, f"if n is not None and not ({' else '.join([*named, 'None'])}): return None")
            case NamesFilled():
                pass  # only exact matching asks for it, and this run's config does not
            case _:
                source.line(depth, "return None")
