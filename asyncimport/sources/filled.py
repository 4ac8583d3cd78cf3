"""Which column filled the place that a problem names, found by filling the record again, one column at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from attrs import frozen

from asyncimport.fields import At
from asyncimport.sources.cells import Row

#: A field, and in it the item of a list or the key of a mapping: no column fills anything deeper.
_PLACE: Final = re.compile(r'(\w+)(\[\d+\]|\.\w+|\["(?:[^"\\]|\\.)*"\])?')


@frozen
class Step:
    """One column of a record: its name (None of a constant), the wire name of what it fills, and its doing."""

    column: str | None
    wire: str
    fill: Callable[[Row], None]


def column_that_filled(place: str, steps: Iterable[Step]) -> str | None:
    """The column; of a field without anything in it the only column that could have filled it."""
    found = _PLACE.match(place)
    if found is None:
        return None
    wire, part = found[1], found[2] or ""
    row: Row = {}
    possible: list[str | None] = []
    for step in steps:
        if step.wire == wire:
            step.fill(row)
            if wire in row and _holds(row[wire], part, At(wire)):
                return step.column
            possible.append(step.column)
    return possible[0] if len(possible) == 1 and not part else None


def _holds(value: Any, part: str, at: At) -> bool:
    if isinstance(value, dict):
        return any(at.free_key(key).place == at.place + part for key in value)
    if isinstance(value, list):
        return any(at.item(index).place == at.place + part for index in range(len(value)))
    return not part
