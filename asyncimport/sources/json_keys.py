"""The keys of JSON objects under a mapping: which become fields, and how an object becomes one with wire names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from attrs import field, frozen

from asyncimport.errors import ConfigError
from asyncimport.fields import JsonObject
from asyncimport.records import Record
from asyncimport.shape import Shape, shape_of
from asyncimport.sources.binding import argument_by_rest, bound, doubled
from asyncimport.sources.cells import PutValue, Refused, Row, moment_for, number_for, put_empty_of
from asyncimport.sources.faults import Faults
from asyncimport.sources.filled import Step, column_that_filled
from asyncimport.sources.mapping import ColumnMapping, quoted
from asyncimport.sources.target import (
    Argument,
    Moment,
    OneCustomField,
    OneIdentity,
    Target,
    Whole,
)


@frozen
class Move:
    """Where the value under a key goes: the wire name of the field, and what it is there (None: absent)."""

    wire: str
    part: Callable[[Any], Any]

    def fill(self, value: Any, row: Row) -> None:
        """Add the value to a row; null is absent."""
        if value is not None:
            _merge(self.wire, self.part(value), row)


@frozen(kw_only=True)
class Keys:
    """What the keys of an object mean: what moves their values, and what becomes of those that are not named."""

    shape: Shape = field(repr=False)
    moves: Mapping[str, Move] = field(repr=False)
    #: What moves the values of keys that are neither named nor a field; None leaves them for admission to refuse.
    rest: Callable[[str], Move | None] | None = field(repr=False)
    #: Of each constant the wire name, and what makes its value anew.
    constants: tuple[tuple[str, Callable[[], Any]], ...] = field(repr=False)

    @property
    def named(self) -> tuple[str, ...]:
        """The keys that the mapping names, in its order."""
        return tuple(self.moves)

    def row(self, record: Mapping[str, Any]) -> Row:
        """The object with wire names; the one given stays as it is.

        Raises:
            Refused: a field is filled twice, an argument is no number, or every key is ignored.
        """
        row: Row = {}
        moved: list[tuple[Move, Any]] = []
        for key, value in record.items():
            move = self._move(key)
            if move is None:
                row[self._name(key, record)] = value
            else:
                moved.append((move, value))
        for move, value in moved:
            move.fill(value, row)
        if not row and any(move.part is _nothing for move, _ in moved):
            raise Refused("has nothing under any key that is read: see which keys are ignored")
        for wire, made in self.constants:
            _merge(wire, made(), row)
        return row

    def column_of(self, place: str, record: Mapping[str, Any]) -> str | None:
        """The key of this object that filled a place of its row; None when it was none."""
        return column_that_filled(place, self._steps(record))

    def _steps(self, record: Mapping[str, Any]) -> Iterator[Step]:
        """Each key's part in `row`, in the same order."""
        moved: list[Step] = []
        for key, value in record.items():
            move = self._move(key)
            if move is None:
                name = self._name(key, record)
                yield Step(key, name, partial(_stay, name, value))
            else:
                moved.append(Step(key, move.wire, partial(move.fill, value)))
        yield from moved

    def _move(self, key: str) -> Move | None:
        """What moves the value under a key; None when it stays."""
        move = self.moves.get(key)
        return self.rest(key) if move is None and self.rest is not None and key not in self.shape.by_name else move

    def _name(self, key: str, record: Mapping[str, Any]) -> str:
        """The wire name of a key; a field that is given by both of its names keeps both, for admission to refuse."""
        spec = self.shape.by_name.get(key)
        return key if spec is None or spec.wire in record else spec.wire


def keys_of(record: type[Record], rules: ColumnMapping) -> Keys:
    """Read a mapping of keys.

    Raises:
        ConfigError: a field that is none or is filled twice, arguments for a record that takes none, a constant that
            its field does not take. All of them at once.
    """
    shape = shape_of(record)
    faults = Faults()
    binding = bound(shape, rules, faults, of_json=True)
    named = [*binding.columns.items(), *binding.constants.items()]
    for fault in doubled((quoted(name), target) for name, target in named):
        faults.add(fault)
    rest = faults.attempt(partial(_rest, shape, rules))
    faults.raise_any()
    return Keys(
        shape=shape,
        rest=rest,
        moves={key: move_to(target, rules) for key, target in binding.columns.items()},
        constants=tuple((wire, partial(made, wire, value, put)) for wire, value, put in binding.values),
    )


def made(wire: str, value: Any, put: PutValue) -> Any:
    """What a constant puts in its field, made anew (`Binding.values`)."""
    row: Row = {}
    put(row, value)
    return row.get(wire)


def _rest(shape: Shape, rules: ColumnMapping) -> Callable[[str], Move | None] | None:
    """What becomes of keys that are neither named nor a field.

    Raises:
        ConfigError: arguments for a record that takes none.
    """
    if rules.rest == "arguments" or rules.arguments_prefix:
        if not any(isinstance(each.kind, JsonObject) for each in shape.fields):
            raise ConfigError(f"{shape.record.__name__} takes no arguments, so no other keys can be some: ignore them")
    elif rules.rest == "refuse":
        return None

    def move(key: str) -> Move | None:
        target = argument_by_rest(key, shape, rules)
        if target is not None:
            return move_to(target, rules)
        return _IGNORED if rules.rest == "ignore" else None

    return move


def move_to(target: Target, rules: ColumnMapping) -> Move:
    """What moves a value that keeps its type to this target.

    Its part raises `Refused` for an argument that is no number and for what is no moment.
    """
    match target:
        case Whole():
            part: Callable[[Any], Any] = _same
        case Moment():
            part = moment_for(target)
        case Argument(type="number"):
            part = partial(_number_argument, target.name, number_for(target))
        case Argument():
            part = partial(_argument, target.name)
        case OneIdentity():
            part = partial(_identity, target.named)
        case OneCustomField():
            part = partial(_custom_field, target.named, target.separator or rules.separator)
    keeps_empty = rules.empty == "keep" and put_empty_of(target) is not None
    return Move(target.wire, part if keeps_empty else partial(_unless_empty, part))


def _unless_empty(part: Callable[[Any], Any], value: Any) -> Any:
    return None if value == "" else part(value)


def _same(value: Any) -> Any:
    return value


def _nothing(_: Any) -> None:
    return None


_IGNORED: Final = Move("", _nothing)


def _argument(name: str, value: Any) -> Row:
    return {name: value}


def _number_argument(name: str, read: Callable[[str], int | float], value: Any) -> Row:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {name: value if is_number else read(value if isinstance(value, str) else "")}


def _identity(named: Row, value: Any) -> list[Any]:
    return [{**named, "identityValue": value}]


def _custom_field(named: Row, separator: str, value: Any) -> list[Any] | None:
    """A text holds values as a cell does; a list is the values; what is neither, admission refuses by its place."""
    if not isinstance(value, str) or not value:
        return [{**named, "values": value if isinstance(value, list) else [value]}]
    values = value.split(separator)
    if "" in values:
        values = [part for part in values if part]
    return [{**named, "values": values}] if values else None


def _stay(name: str, value: Any, row: Row) -> None:
    row[name] = value


def _merge(wire: str, value: Any, row: Row) -> None:
    """Add a value to what a field holds; lists and mappings grow, into new ones: the first are the record's own.

    A list or mapping is dropped where something else stands: that is refused by admission.
    """
    own = row.get(wire)
    match own, value:
        case _, None:
            pass
        case None, _:
            row[wire] = value
        case list(), list():
            row[wire] = own + value
        case dict(), dict():
            twice = next((key for key in value if own.get(key) is not None), None)
            if twice is not None:
                raise _filled_twice(f"{wire}.{twice}")
            row[wire] = own | value
        case _, list() | dict():
            pass
        case _:
            raise _filled_twice(wire)


def _filled_twice(name: str) -> Refused:
    return Refused(f"fills a field twice: {quoted(name)} by keys of its own and by the mapping")
