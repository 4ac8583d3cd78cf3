"""A mapping held against a record: what each of its columns and constants fills. Every kind of source begins with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from attrs import field, frozen

from asyncimport.errors import ConfigError
from asyncimport.fields import At, Problem
from asyncimport.shape import Shape
from asyncimport.sources.cells import PutValue, Row, put_empty_of, put_of, put_value_of
from asyncimport.sources.faults import Faults
from asyncimport.sources.mapping import ColumnMapping, Constant, quoted
from asyncimport.sources.target import (
    Argument,
    Target,
    argument_of,
    custom_field_of,
    identity_of,
    moment_of,
    target_of,
)


@frozen
class Binding:
    """What a mapping comes to for a record; what has a fault is left out."""

    shape: Shape
    rules: ColumnMapping
    #: Whether a column can carry a field as a whole, a list or mapping too.
    of_json: bool
    #: Of each column that the mapping names what it fills, in its order.
    columns: Mapping[str, Target]
    #: Of each constant by its name in the mapping.
    constants: Mapping[str, Target]
    #: Of each constant the wire name of its field, its value, and what puts that in a row.
    values: tuple[tuple[str, Constant, PutValue], ...] = field(repr=False)


def bound(shape: Shape, rules: ColumnMapping, faults: Faults, *, of_json: bool = False) -> Binding:
    """Hold a mapping against a record; whatever does not fit goes to `faults`.

    That two columns or constants fill the same field is for `doubled`, once all columns are known.
    """
    spoken = "" if of_json else "column "
    columns: dict[str, Target] = {}
    for part, column, read in _columns(shape, rules, spoken=spoken, of_json=of_json):
        if column in columns:
            faults.add(f"{part} names column {quoted(column)}, which another part of the mapping names too: choose one")
            continue
        target = faults.attempt(read)
        if target is not None:
            columns[column] = target
    for column in rules.moments:
        if column not in columns and column in rules.named:
            continue  # its fault was told
        name = f"{spoken}{quoted(column)}"
        target = columns.get(column) or faults.attempt(partial(target_of, column, shape, name, of_json=of_json))
        moment = None if target is None else faults.attempt(partial(moment_of, target, column, rules))
        if moment is not None:
            columns[column] = moment
    constants, values = {}, []
    for name, value in rules.constants.items():
        target = faults.attempt(partial(target_of, name, shape, f"constant {quoted(name)}"))
        made = None if target is None else faults.attempt(partial(constant_of, target, value, rules))
        if target is not None and made is not None:
            faults.attempt(partial(_check_constant, name, made, shape))
            constants[name] = target
            values.append(made)
    return Binding(shape, rules, of_json, columns, constants, tuple(values))


def _columns(shape: Shape, rules: ColumnMapping, *, spoken: str, of_json: bool) -> Iterator[tuple[str, str, Any]]:
    """Of each column that a part names: the part, the column, and what reads the target."""
    for column, name in rules.columns.items():
        told = f"{quoted(name)}, to which {spoken}{quoted(column)} is mapped,"
        yield "columns", column, partial(target_of, name, shape, told, of_json=of_json)
    for column, kind in rules.arguments.items():
        yield "arguments", column, partial(argument_of, column, shape, kind, rules.arguments_prefix)
    for identity in rules.identities:
        yield "identities", identity.column, partial(identity_of, identity, shape)
    for custom_field in rules.custom_fields:
        yield "custom_fields", custom_field.column, partial(custom_field_of, custom_field, shape)


def argument_by_rest(column: str, shape: Shape, rules: ColumnMapping) -> Argument | None:
    """The argument that a column is which is neither named nor a field: by its prefix, or by what becomes of the rest.

    Raises:
        ConfigError: the record has no free mapping.
    """
    if rules.has_prefix(column):
        return argument_of(column, shape, prefix=rules.arguments_prefix)
    return argument_of(column, shape) if column and rules.rest == "arguments" else None


def constant_of(target: Target, value: Constant, rules: ColumnMapping) -> tuple[str, Constant, PutValue]:
    """The wire name of a constant, its value, and what puts it in a row: text as a cell of the field, if no argument.

    Raises:
        ConfigError: it is empty where no empty text can be.
    """
    if not isinstance(value, str) or (value and isinstance(target, Argument)):
        return target.wire, value, put_value_of(target)
    put: PutValue | None = put_of(target, rules.separator) if value else put_empty_of(target)
    if put is None:
        raise ConfigError(f"constant {quoted(target.key)} cannot be an empty text: give it a value, or leave it out")
    return target.wire, value, put


def _check_constant(name: str, made: tuple[str, Any, PutValue], shape: Shape) -> None:
    """Hold a constant against the contract: all records would be rejected for it.

    Raises:
        ConfigError: its field does not take it.
    """
    wire, value, put = made
    row: Row = {}
    put(row, value)
    problems: list[Problem] = []
    if wire in row:  # a custom field whose text parts into nothing fills none
        shape.by_name[wire].kind.copy(row[wire], At(wire), problems)
    if problems:
        raise ConfigError(f"constant {quoted(name)}: got {problems[0].got}; {problems[0].rule}")


def doubled(named: Iterable[tuple[str, Target]]) -> Iterator[str]:
    """What to say of each target that two of the columns and constants fill, with the names of both."""
    seen: dict[str, str] = {}
    for name, target in named:
        if target.key in seen:
            yield f"columns {seen[target.key]} and {name} fill the same field: remove one"
        seen.setdefault(target.key, name)
