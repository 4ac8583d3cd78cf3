"""The columns of a CSV file: what its header names, and how a row of cells becomes a mapping with wire names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from attrs import field, frozen

from asyncimport.records import Record
from asyncimport.shape import Shape, shape_of
from asyncimport.sources.binding import bound
from asyncimport.sources.cells import Put, PutValue, Refused, Row, is_text, put_empty_of, put_of
from asyncimport.sources.faults import Faults
from asyncimport.sources.filled import Step, column_that_filled
from asyncimport.sources.header import is_field, targets_of
from asyncimport.sources.mapping import ColumnMapping, Constant
from asyncimport.sources.target import known_forms

_PLAIN = ColumnMapping()


@frozen(kw_only=True)
class Columns:
    """What a header means: text columns as (index, wire name), the others as (index, what puts the cell in a row)."""

    #: Of each column the name in the header, and the wire name of what it fills (empty when it is ignored).
    names: tuple[str, ...]
    wires: tuple[str, ...]
    texts: tuple[tuple[int, str], ...]
    others: tuple[tuple[int, Put], ...]
    width: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Count the columns."""
        object.__setattr__(self, "width", len(self.names))

    def row(self, cells: Sequence[str]) -> Row:
        """The mapping of one row of `width` cells; an empty cell is absent, a row without anything is empty."""
        row: Row = {name: cells[index] for index, name in self.texts if cells[index]}
        for index, put in self.others:
            if cells[index]:
                put(row, cells[index])
        return row

    def column_of(self, place: str, cells: Sequence[str]) -> str | None:
        """The column that filled a place of the record made of these cells; None when it was no column."""
        return column_that_filled(place, self._steps(cells))

    def _steps(self, cells: Sequence[str]) -> Iterator[Step]:
        """Each column's part in `row`, in the same order."""
        for index, name in self.texts:
            yield self._step(index, partial(_put_text, name, cells[index]))
        for index, put in self.others:
            yield self._step(index, partial(_put_cell, put, cells[index]))

    def _step(self, index: int, fill: partial[None]) -> Step:
        return Step(self.names[index], self.wires[index], fill)


def _put_text(wire: str, cell: str, row: Row) -> None:
    if cell:
        row[wire] = cell


def _put_cell(put: Put, cell: str, row: Row) -> None:
    if cell:
        put(row, cell)


@frozen(kw_only=True)
class MappedColumns(Columns):
    """The columns of a mapping that does more than rename: it keeps empty cells, adds constants or ignores columns."""

    #: What puts an empty cell in a row.
    when_empty: tuple[tuple[int, Put], ...]
    #: Of each constant its wire name, its value and what puts it in a row.
    constants: tuple[tuple[str, Constant, PutValue], ...] = field(repr=False)

    def row(self, cells: Sequence[str]) -> Row:
        """The mapping of one row; still empty when all of its cells are.

        Raises:
            Refused: what is in the row stands in none of the columns that are read.
        """
        row = super().row(cells)
        if not row and not any(cells):
            return row
        for index, put in self.when_empty:
            if not cells[index]:
                put(row, "")
        if not row:
            raise Refused("has nothing in any column that is read: see which columns are ignored")
        for _, value, put in self.constants:
            put(row, value)
        return row

    def _steps(self, cells: Sequence[str]) -> Iterator[Step]:
        yield from super()._steps(cells)
        for index, put in self.when_empty:
            if not cells[index]:
                yield self._step(index, partial(_put, put, ""))
        for wire, value, put in self.constants:
            yield Step(None, wire, partial(_put, put, value))


def _put(put: PutValue, value: Any, row: Row) -> None:
    put(row, value)


def columns_of(
    header: Sequence[str], record: type[Record], mapping: ColumnMapping | None = None, *, is_given: bool = False
) -> Columns:
    """Read a header, the file's own or one that is given for it.

    Raises:
        ConfigError: a column that is unknown, doubled, without a name or without a part that it needs; a column or
            field of the mapping that is none; a constant that its field does not take. All of them at once. A header
            of which no column is known is not quoted: it may be the first row of a file without header.
    """
    shape, rules = shape_of(record), mapping or _PLAIN
    names = tuple(name.strip() for name in header)
    faults = Faults()
    binding = bound(shape, rules, faults)
    if _are_names(names, shape, rules):
        targets = targets_of(names, binding, faults)
    else:
        targets = []
        nothing = "has none of the columns mapped, and names" if rules.named else "names"
        what, todo = ("the header given", "it takes") if is_given else ("its first line", "give it a header line of")
        faults.add(
            f"{what} {nothing} no field of {shape.record.__name__}: {todo} {known_forms(shape)}"
            + ("" if is_given else ", or the delimiter that its cells are parted by")
        )
    faults.raise_any()
    filled = [(index, target) for index, target in enumerate(targets) if target is not None]
    plain = Columns(
        names=names,
        wires=tuple("" if target is None else target.wire for target in targets),
        texts=tuple((index, target.wire) for index, target in filled if is_text(target)),
        others=tuple((index, put_of(target, rules.separator)) for index, target in filled if not is_text(target)),
    )
    if len(filled) == len(names) and not binding.values and rules.empty == "absent":
        return plain
    empty = [(index, put_empty_of(target)) for index, target in filled] if rules.empty == "keep" else []
    return MappedColumns(
        names=plain.names,
        wires=plain.wires,
        texts=plain.texts,
        others=plain.others,
        when_empty=tuple((index, put) for index, put in empty if put is not None),
        constants=binding.values,
    )


def _are_names(names: Sequence[str], shape: Shape, rules: ColumnMapping) -> bool:
    """Whether any of them is known: else they may be the cells of a first record."""
    return any(name in rules.named or is_field(name, shape) or rules.has_prefix(name) for name in names)
