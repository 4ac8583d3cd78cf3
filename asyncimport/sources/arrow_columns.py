"""The columns of a table: what its schema names, and how record batches become mappings with wire names.

A schema is a header, read by the same rules as that of a CSV file; values keep their types, as in JSON Lines.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from attrs import define, evolve, field, frozen

from asyncimport.fields import JsonObject, ListOf, Text
from asyncimport.records import Record
from asyncimport.shape import shape_of
from asyncimport.sources.arrow_values import Fit, Values, is_list
from asyncimport.sources.binding import bound
from asyncimport.sources.cells import Refused, Row, moment_for, number_for, put_empty_of
from asyncimport.sources.faults import Faults
from asyncimport.sources.filled import Step, column_that_filled
from asyncimport.sources.header import targets_of
from asyncimport.sources.json_keys import Move, made, move_to
from asyncimport.sources.mapping import ColumnMapping, quoted
from asyncimport.sources.target import Argument, Moment, OneCustomField, Target, Whole
from asyncimport.unreadable import Unreadable

_PLAIN = ColumnMapping()
#: What pandas calls an index without a name, which it writes beside the columns of a frame.
_INDEX: Final = re.compile(r"__index_level_\d+__")
_NOTHING: Final = Unreadable(unit="row", rule="has nothing in any column that is read: see which columns are ignored")


@frozen(kw_only=True)
class Column:
    """One column that is read: what fills which field."""

    name: str
    target: Target
    values: Values = field(repr=False)
    move: Move = field(repr=False)
    #: Whether an empty text in it is absent.
    drops_empty: bool
    #: What reads a number or moment as the mapping says that it is written; None where there is nothing to be read.
    read: Callable[[Any], Any] | None = field(repr=False)

    def taken(self, array: Any, refused: dict[int, str]) -> list[Any]:
        """The values; the rule of each row that the mapping refuses for its value goes to `refused`."""
        values = self.values(array)
        if self.drops_empty and "" in values:
            values = [None if value == "" else value for value in values]
        if self.read is not None:
            return [self._read(value, row, refused) for row, value in enumerate(values)]
        return values

    def _read(self, value: Any, row: int, refused: dict[int, str]) -> Any:
        try:
            return value if value is None or self.read is None else self.read(value)
        except Refused as error:
            refused.setdefault(row, error.rule)
            return None


@frozen(kw_only=True)
class Joined:
    """A list that columns and constants make together."""

    wire: str
    #: Of each column its index, and what makes its value a list.
    parts: tuple[tuple[int, Callable[[Any], Any]], ...] = field(repr=False)
    constants: tuple[Callable[[], Any], ...] = field(repr=False)

    def of(self, row: Sequence[Any]) -> Any:
        """The list of one row; None where nothing is in it."""
        items: list[Any] = []
        for index, part in self.parts:
            value = row[index]
            if value is not None:
                items += part(value) or ()
        for value in self.constants:
            items += value()
        return items or None


@frozen(kw_only=True)
class Merged:
    """A mapping that columns and constants make together."""

    wire: str
    #: Of each column that is one key its index and the key, and the indexes of columns that are mappings themselves.
    arguments: tuple[tuple[int, str], ...]
    wholes: tuple[int, ...]
    constants: tuple[Callable[[], Any], ...] = field(repr=False)

    def of(self, row: Sequence[Any]) -> Any:
        """The mapping of one row; None where nothing is in it.

        Raises:
            Refused: a key is in it twice.
        """
        made: Row = {name: row[index] for index, name in self.arguments if row[index] is not None}
        for whole in (*(row[index] or {} for index in self.wholes), *(value() for value in self.constants)):
            twice = next((key for key in whole if key in made), None)
            if twice is not None:
                name = quoted(f"{self.wire}.{twice}")
                raise Refused(f"fills a field twice: {name} by a column of its own and by one that is a mapping")
            made |= whole
        return made or None


@frozen(kw_only=True)
class ArrowColumns:
    """What a schema means: which of its columns are read, and how a row of their values becomes a mapping."""

    #: Those that are a field as they are come first.
    columns: tuple[Column, ...]
    #: The fields that those are, by their wire names.
    wires: tuple[str, ...]
    joined: tuple[Joined | Merged, ...]
    #: Fields that have the same text, number or flag in every record.
    constants: Row = field(repr=False)

    @property
    def names(self) -> list[str]:
        """The columns that are read."""
        return [column.name for column in self.columns]

    def taken(self, batch: Any) -> Taken:
        """Part of a record batch as Python values; it has the columns that are read, and may have others."""
        refused: dict[int, str] = {}
        values = [column.taken(batch.column(column.name), refused) for column in self.columns]
        return Taken(columns=self, values=values, count=batch.num_rows, refused=refused)


@define(kw_only=True)
class Taken:
    """Rows of a record batch as Python values. They are made records one by one: none is held for longer than it is used."""

    columns: ArrowColumns
    #: Of each column its values, row by row.
    values: list[list[Any]]
    count: int
    #: The rules of rows that the mapping refuses.
    refused: dict[int, str]
    #: Counts the rows that have been given.
    _numbers: Iterator[int] = field(init=False, factory=lambda: iter(()))

    @property
    def given(self) -> int:
        """How many rows have been given."""
        return self.count - operator.length_hint(self._numbers)

    def rows(self) -> Iterator[Any]:
        """Each row as a mapping with wire names, or as `Unreadable`."""
        plain, joined, constants = self.columns.wires, self.columns.joined, self.columns.constants
        self._numbers = iter(range(self.count))
        bad = dict.fromkeys(self._empty(), _NOTHING)
        bad |= {index: Unreadable(unit="row", rule=rule) for index, rule in self.refused.items()}
        for row in zip(*self.values, self._numbers, strict=True):
            record: Any = dict(zip(plain, row))  # noqa: B905 -- the plain columns come first
            try:
                for one in joined:
                    record[one.wire] = one.of(row)
            except Refused as error:
                record = Unreadable(unit="row", rule=error.rule)
            else:
                if constants:
                    record |= constants
            yield bad.get(row[-1], record) if bad else record

    def _empty(self) -> Iterable[int]:
        """The rows that have nothing in any column."""
        if any(None not in values for values in self.values):
            return ()
        return [index for index, row in enumerate(zip(*self.values, strict=True)) if all(one is None for one in row)]

    def column_of(self, place: str) -> str | None:
        """The column that filled a place of the record given last; None when it was none."""
        return column_that_filled(place, self._steps(self.given - 1))

    def _steps(self, index: int) -> Iterator[Step]:
        for column, values in zip(self.columns.columns, self.values, strict=True):
            yield Step(column.name, column.target.wire, partial(column.move.fill, values[index]))
        for one in self.columns.joined:
            for value in one.constants:
                yield Step(None, one.wire, partial(Move(one.wire, _same).fill, value()))
        for wire, value in self.columns.constants.items():
            yield Step(None, wire, partial(Move(wire, _same).fill, value))


def _same(value: Any) -> Any:
    return value


def arrow_columns_of(schema: Any, record: type[Record], mapping: ColumnMapping | None = None) -> ArrowColumns:
    """Read a schema.

    Raises:
        ConfigError: columns that are unknown, doubled, without a part that they need, or of a type that cannot fill their
            field: all of them, with their types; a column or field of the mapping that is none.
    """
    shape, rules, fit, faults = shape_of(record), mapping or _PLAIN, Fit(), Faults()
    binding = bound(shape, rules, faults, of_json=True)
    read = [column for column in schema if column.name in rules.named or not _INDEX.fullmatch(column.name)]
    targets = targets_of([column.name for column in read], binding, faults)
    columns = [
        _column(column.name, column.type, target, rules, fit)
        for column, target in zip(read, targets, strict=True)
        if target is not None
    ]
    for fault in fit.faults:
        faults.add(fault)
    if not columns and not faults.found:
        faults.add(f"it has no column that is a field of {record.__name__}")
    faults.raise_any()
    return _arranged(columns, [(wire, partial(made, wire, value, put)) for wire, value, put in binding.values])


def _arranged(columns: Sequence[Column], constants: Sequence[tuple[str, Callable[[], Any]]]) -> ArrowColumns:
    """The columns in the order in which they are read: those first that are a field by themselves."""
    fillers = Counter([*(column.target.wire for column in columns), *(wire for wire, _ in constants)])
    alone = [
        column for column in columns if isinstance(column.target, Whole | Moment) and fillers[column.target.wire] == 1
    ]
    others = [column for column in columns if column not in alone]
    by_field: dict[str, list[tuple[int, Column]]] = {}
    for index, column in enumerate(others, len(alone)):
        by_field.setdefault(column.target.wire, []).append((index, column))
    fixed: Row = {}
    for wire, value in constants:
        made = value()
        if isinstance(made, list | dict):
            by_field.setdefault(wire, [])
        else:
            fixed[wire] = made
    makers = {field: tuple(value for wire, value in constants if wire == field) for field in by_field}
    return ArrowColumns(
        columns=(*alone, *others),
        wires=tuple(column.target.wire for column in alone),
        joined=tuple(_together(wire, of_field, makers[wire]) for wire, of_field in by_field.items()),
        constants=fixed,
    )


def _together(
    wire: str, columns: Sequence[tuple[int, Column]], constants: tuple[Callable[[], Any], ...]
) -> Joined | Merged:
    """What makes a field of several columns and constants."""
    arguments = tuple((index, column.target.name) for index, column in columns if isinstance(column.target, Argument))
    if arguments or any(isinstance(value(), dict) for value in constants):
        wholes = tuple(index for index, column in columns if isinstance(column.target, Whole))
        return Merged(wire=wire, arguments=arguments, wholes=wholes, constants=constants)
    parts = tuple((index, column.move.part) for index, column in columns)
    return Joined(wire=wire, parts=parts, constants=constants)


def _column(name: str, kind_of_array: Any, target: Target, rules: ColumnMapping, fit: Fit) -> Column:
    return Column(
        name=name,
        target=target,
        values=_values(name, kind_of_array, target, fit),
        # What is empty is absent before it is moved, or kept; a moment is read before too.
        move=Move(target.wire, _same) if isinstance(target, Moment) else move_to(target, evolve(rules, empty="keep")),
        drops_empty=rules.empty == "absent" or put_empty_of(target) is None,
        read=_reader(kind_of_array, target),
    )


def _reader(kind_of_array: Any, target: Target) -> Callable[[Any], Any] | None:
    if isinstance(target, Moment) and getattr(kind_of_array, "tz", None) is None:
        return moment_for(target)
    if isinstance(target, Argument) and target.type == "number":
        number = number_for(target)
        return lambda value: number(value) if isinstance(value, str) else value
    return None


def _values(name: str, kind_of_array: Any, target: Target, fit: Fit) -> Values:
    match target:
        case Whole(kind=JsonObject() as kind):
            return _absent_when_bare(fit.values(kind, kind_of_array, name))
        case Whole(kind=kind):
            return fit.values(kind, kind_of_array, name)
        case Moment():
            return fit.written_moment(kind_of_array, name)
        case Argument(type=wanted):
            return fit.argument(kind_of_array, name, wanted)
        case OneCustomField() if is_list(kind_of_array):
            return fit.values(ListOf(item=Text()), kind_of_array, name)
        case _:
            return fit.values(Text(), kind_of_array, name)


def _absent_when_bare(values: Values) -> Values:
    """A struct with nothing in it is absent: it has its members in every row, there or not."""
    return lambda array: [value or None for value in values(array)]
