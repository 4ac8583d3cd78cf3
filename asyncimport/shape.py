"""What a record class is made of, and the copy of a whole record: its fields, and the rules over several of them.

A record class declares its fields as attrs metadata (`wire(...)`) and its rules in `REQUIREMENTS`; everything that
needs to know them, the generated code and the file readers too, reads the `Shape` made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs
from attrs import frozen

from asyncimport.fields import At, Kind, Problem


class Requirement(Protocol):
    """A rule over several fields of one record."""

    def check(self, wire: Mapping[str, Any], at: At, problems: list[Problem], config: object) -> None:
        """Append to `problems` when the wire form breaks the rule under this config."""


@frozen
class Needs:
    """When `field` is given, `other` must be given too (wire names)."""

    field: str
    other: str

    def check(self, wire: Mapping[str, Any], at: At, problems: list[Problem], config: object) -> None:  # noqa: ARG002 -- the Protocol's signature
        if self.field in wire and self.other not in wire:
            problems.append(at.key(self.other).problem(None, f"is required when {self.field} is given"))


@frozen
class NamesFilled:
    """With exact matching `field` must be given, and the field that its value names must hold something.

    A value outside `names` passes: the platform's set is open (PLATFORM.md users v1, I).
    """

    field: str
    names: Mapping[str, str] = attrs.field(eq=False)

    def applies(self, config: object) -> bool:
        return getattr(config, "is_exact", False)

    def check(self, wire: Mapping[str, Any], at: At, problems: list[Problem], config: object) -> None:
        if not self.applies(config):
            return
        if not wire.get(self.field):
            problems.append(at.key(self.field).problem(wire.get(self.field), "is required with exact matching"))
            return
        named = self.names.get(wire[self.field])
        if named is not None and not wire.get(named):
            rule = f"is required with exact matching when {self.field} names it"
            problems.append(at.key(named).problem(wire.get(named), rule))


@frozen
class NeedsOneOf:
    """When `field` has this value, at least one of `others` must hold something (wire names)."""

    field: str
    value: str
    others: tuple[str, ...]

    def check(self, wire: Mapping[str, Any], at: At, problems: list[Problem], config: object) -> None:  # noqa: ARG002 -- the Protocol's signature
        if wire.get(self.field) == self.value and all(wire.get(other) in (None, "") for other in self.others):
            rule = f"is needed, or {' or '.join(self.others[1:])}, when {self.field} is {self.value}"
            problems.append(at.key(self.others[0]).problem(wire.get(self.others[0]), rule))


@frozen(kw_only=True)
class Field:
    """One field of a record: its Python name, its wire name, its kind."""

    name: str
    wire: str
    kind: Kind
    required: bool


@frozen(kw_only=True)
class Shape:
    """What a record class is made of."""

    record: type[Any]
    fields: tuple[Field, ...]
    requirements: tuple[Requirement, ...]
    by_name: Mapping[str, Field] = attrs.field(eq=False)


def wire(name: str, kind: Kind, *, required: bool = False) -> dict[str, Any]:
    """Metadata of an attrs field: the name and kind it has on the wire."""
    return {"wire": name, "kind": kind, "required": required}


_SHAPES: dict[type[Any], Shape] = {}


def shape_of(record: type[Any]) -> Shape:
    """The declarations of a record class, read once."""
    if record not in _SHAPES:
        fields = tuple(
            Field(name=a.name, wire=a.metadata["wire"], kind=a.metadata["kind"], required=a.metadata["required"])
            for a in attrs.fields(record)
        )
        by_name = {field.wire: field for field in fields} | {field.name: field for field in fields}
        _SHAPES[record] = Shape(record=record, fields=fields, requirements=record.REQUIREMENTS, by_name=by_name)
    return _SHAPES[record]


def copy_record(shape: Shape, record: Any, at: At, problems: list[Problem], config: object) -> dict[str, Any]:
    """The clean wire form of a record or mapping, as deep a copy as the record; breaches go to `problems`."""
    wire_form: dict[str, Any] = {}
    given = _given(shape, record, at, problems)
    if given is None:
        return wire_form
    for field in shape.fields:
        value = given.get(field.wire)
        if value is not None:
            wire_form[field.wire] = field.kind.copy(value, at.key(field.wire), problems)
        elif field.required:
            problems.append(at.key(field.wire).problem(None, "is required"))
    for requirement in shape.requirements:
        requirement.check(wire_form, at, problems, config)
    return wire_form


def _given(shape: Shape, record: Any, at: At, problems: list[Problem]) -> dict[str, Any] | None:
    """The values of a record by wire name; None when it is no record at all."""
    if type(record) is shape.record:  # an attribute that was deleted is absent
        return {field.wire: getattr(record, field.name, None) for field in shape.fields}
    if isinstance(record, shape.record):
        return {field.wire: getattr(record, field.name) for field in shape.fields}
    if not isinstance(record, Mapping):
        rule = f"takes a {shape.record.__name__} or a mapping of its fields"
        problems.append(at.problem(record, rule))
        return None
    given: dict[str, Any] = {}
    for key, value in record.items():
        field = shape.by_name.get(key) if isinstance(key, str) else None
        if field is None:
            problems.append(_unknown(key, at))
        elif value is not None:
            if field.wire in given:
                problems.append(at.key(field.wire).problem(value, "is given twice, by both of its names"))
            given[field.wire] = value
    return given


def _unknown(key: object, at: At) -> Problem:
    if not isinstance(key, str):
        return at.problem(key, "takes text keys only")
    return at.unknown_key(key).named("an unknown field", "is no field of this record")


@frozen(kw_only=True)
class ObjectOf:
    """A value of a record class, or a mapping with its wire or Python names."""

    record: type[Any]

    def copy(self, value: Any, at: At, problems: list[Problem]) -> Any:
        return copy_record(shape_of(self.record), value, at, problems, config=None)
