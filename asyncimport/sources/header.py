"""The columns that a source has before its first record, held against a mapping: a header, or a schema."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from asyncimport.errors import ConfigError
from asyncimport.shape import Shape
from asyncimport.sources.binding import Binding, argument_by_rest, doubled
from asyncimport.sources.faults import Faults
from asyncimport.sources.mapping import ARGUMENT_TYPES, ColumnMapping, quoted
from asyncimport.sources.target import Target, known_forms, near_miss, target_of

#: Columns that an error lists at most.
_SHOWN: Final = 12
#: Missing columns for which the others are searched: a wide mapping of another file would take seconds.
_COMPARED: Final = 20


def targets_of(names: Sequence[str], binding: Binding, faults: Faults) -> list[Target | None]:
    """What each column fills, None when it is ignored; whatever does not fit goes to `faults`.

    That is: columns that the mapping names and the source lacks, those that nothing takes, those without a name or a
    part that they need, and all that columns and constants fill twice.
    """
    meant = _meant(names, binding)
    for fault in (*_missing(names, binding, meant), *_strange(names, binding, set(meant.values()))):
        faults.add(fault)
    targets = [
        binding.columns.get(name) or faults.attempt(partial(_unnamed, name, index, binding))
        for index, name in enumerate(names)
    ]
    pairs = [(quoted(name), target) for name, target in zip(names, targets, strict=True) if target is not None]
    fixed = [(f"(constant) {quoted(name)}", target) for name, target in binding.constants.items()]
    for fault in doubled([*pairs, *fixed]):
        faults.add(fault)
    return targets


def is_field(name: str, shape: Shape) -> bool:
    """Whether a column is read by its name."""
    return name.partition(".")[0] in shape.by_name


def _missing(names: Sequence[str], binding: Binding, meant: Mapping[str, str | None]) -> Iterator[str]:
    """What to say of columns that the mapping names and the source does not have."""
    rules = binding.rules
    if rules.arguments_prefix and not any(map(rules.has_prefix, names)):
        yield f"it has no column that begins with the prefix of arguments, {quoted(rules.arguments_prefix)}"
    for column, near in meant.items():
        yield _missing_column(column, near, names, rules)


def _meant(names: Sequence[str], binding: Binding) -> dict[str, str | None]:
    """Of each column that is missing the one that is probably meant: rather one that nothing takes."""
    rules = binding.rules
    missing = [column for column in dict.fromkeys((*rules.named, *rules.moments)) if column not in names]
    unknown = _unknown(names, binding)
    near = {column: near_miss(column, unknown) or near_miss(column, names) for column in missing[:_COMPARED]}
    return dict.fromkeys(missing) | near


def _unknown(names: Sequence[str], binding: Binding) -> list[str]:
    return [name for name in dict.fromkeys(names) if _is_unknown(name, binding)]


def _is_unknown(name: str, binding: Binding) -> bool:
    """Whether a column stops the import: it has a name that nothing takes."""
    rules = binding.rules
    if not name or rules.rest != "refuse" or name in (*rules.named, *rules.moments) or is_field(name, binding.shape):
        return False
    return not rules.has_prefix(name)


def _strange(names: Sequence[str], binding: Binding, meant: Collection[str | None]) -> Iterator[str]:
    """What to say of columns that nothing takes, and that were not meant by the mapping under another name."""
    shape = binding.shape
    near_fields = {name: near_miss(name, shape.by_name) for name in _unknown(names, binding) if name not in meant}
    for name, near in near_fields.items():
        if near is not None:
            hint = f"did you mean {near}? Else map it to a field, or ignore it"
            yield f"column {quoted(name)} is no field of {shape.record.__name__}: {hint}"
    others = [name for name, near in near_fields.items() if near is None]
    if len(others) == 1:
        hint = f"it takes {known_forms(shape)}; map it to one, or ignore it"
        yield f"column {quoted(others[0])} is no field of {shape.record.__name__}: {hint}"
    elif others:
        told = ", ".join(map(quoted, others[:_SHOWN])) + (", ..." if len(others) > _SHOWN else "")
        yield f"columns {told} are no fields of {shape.record.__name__}: map them to fields, or ignore them"


def _missing_column(column: str, near: str | None, names: Sequence[str], rules: ColumnMapping) -> str:
    """What to say of a column that the mapping names and the header does not."""
    name, _, kind = column.rpartition(":")
    if column in rules.arguments and name in names:  # price:float, which the command takes for a name
        known = ", ".join(ARGUMENT_TYPES)
        return f"argument {quoted(name)} has the type {quoted(kind)}, which is not known: give one of {known}"
    columns = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    hint = f"did you mean {quoted(near)}?" if near else f"it has {columns}"
    return f"it has no column {quoted(column)} to be mapped: {hint}"


def _unnamed(name: str, index: int, binding: Binding) -> Target | None:
    """What a column fills that the mapping does not name; None when it is ignored or its fault was told."""
    shape, rules = binding.shape, binding.rules
    if name in rules.named or name in rules.moments or _is_unknown(name, binding):
        return None
    if is_field(name, shape):
        return target_of(name, shape, f"column {quoted(name)}", of_json=binding.of_json)
    if not name and rules.rest != "ignore":
        raise ConfigError(f"column {index + 1} has no name: name it or remove it")
    return argument_by_rest(name, shape, rules)
