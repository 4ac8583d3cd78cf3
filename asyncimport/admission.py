"""Admission: any record or mapping comes in, its clean wire copy goes out, or a rejection that says why.

It happens where the record is pulled, before the source is asked for the next one: generators reuse their dicts, so the
copy is made at once and as deep as the record. A missing `uuid` and `time` of a stamped resource are filled here,
once, so that every attempt and every resume sends the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from attrs import define, evolve, field, frozen

from asyncimport.batch import Positions
from asyncimport.compiled import Fast, Names, compile_record
from asyncimport.fields import At, Problem
from asyncimport.outcome import Rejected
from asyncimport.resources import Resource
from asyncimport.shape import Shape, copy_record, shape_of
from asyncimport.unreadable import Unreadable

Wire = dict[str, Any]


@frozen(kw_only=True)
class Admitted:
    """Wire copies of neighbouring records, the first of them at position `first`."""

    wires: list[Wire]
    first: int


@define(kw_only=True)
class Admission:
    """Admits the records of one run: by generated code, and what that doubts by the reference."""

    resource: Resource
    config: object
    #: 20 characters; with 16 digits of the position they make the `uuid` of an event that has none.
    run_id: str
    #: Wall clock in milliseconds since 1970.
    now_ms: Callable[[], int]
    _shape: Shape = field(init=False)
    _is_stamped: bool = field(init=False)
    #: The generated function that fitted last, and the one for dicts with the other names.
    _fast: Fast = field(init=False)
    _other: Fast = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Generate the code for this resource and config."""
        self._shape = shape_of(self.resource.record)
        self._is_stamped = self.resource.is_stamped
        self._fast = compile_record(self._shape, self.config, Names.WIRE)
        self._other = compile_record(self._shape, self.config, Names.PYTHON)

    def admit(self, record: Any, position: int, line: int | None = None) -> Wire | Rejected:
        """The wire copy of one record, or its rejection with every problem. `line` is where it began in its file."""
        wire = self._fast(record)
        if wire is None:
            doubted = self._doubted(record, position, line)
            if isinstance(doubted, Rejected):
                return doubted
            wire = doubted
        if self._is_stamped:
            if "uuid" not in wire:
                wire["uuid"] = f"{self.run_id}{position:016x}"
            if "time" not in wire:
                wire["time"] = self.now_ms()
        return wire

    def _doubted(self, record: Any, position: int, line: int | None) -> Wire | Rejected:
        """Try the other names first: the records of one source mostly use the same."""
        wire = self._other(record) if type(record) is dict else None
        if wire is None:
            return self._explained(record, position, line)
        self._fast, self._other = self._other, self._fast
        return wire

    def _explained(self, record: Any, position: int, line: int | None) -> Wire | Rejected:
        """The wire form by the reference, or the rejection."""
        problems: list[Problem] = []
        at = At(f"data[{position}]")
        if isinstance(record, Unreadable):
            problems.append(at.named("an unreadable line", record.rule))
            return evolve(rejection(position, problems, line), reason=record.reason)
        wire: Wire = {}
        try:
            wire = copy_record(self._shape, record, at, problems, self.config)
        except Exception as error:  # noqa: BLE001 -- a mapping of the user's may raise anything; it costs him this record, not the run
            problems.append(at.named(type(record).__name__, f"raised {type(error).__name__} when it was read"))
        return rejection(position, problems, line) if problems else wire

    def recheck(self, wire: Wire, position: int) -> Wire | Rejected:
        """Look again at a wire form that the encoder refused: what the generated code leaves to it, with its place."""
        problems: list[Problem] = []
        repaired = copy_record(self._shape, wire, At(f"data[{position}]"), problems, self.config)
        return rejection(position, problems) if problems else repaired


def neighbours(items: list[Wire | Rejected], first: int) -> Iterator[Admitted | Rejected]:
    """Group what was admitted at positions from `first` on: runs of neighbours, and single rejections, in order."""
    start = 0
    for index, rejected in _rejections(items):
        if index > start:
            yield Admitted(wires=_wires(items[start:index]), first=first + start)
        yield rejected
        start = index + 1
    if start < len(items):
        yield Admitted(wires=_wires(items[start:]), first=first + start)


def _rejections(items: list[Wire | Rejected]) -> list[tuple[int, Rejected]]:
    """The rejections and where they are. Most hops have none, which one pass in C finds out."""
    if Rejected not in set(map(type, items)):
        return []
    return [(index, item) for index, item in enumerate(items) if isinstance(item, Rejected)]


def _wires(items: list[Wire | Rejected]) -> list[Wire]:
    return cast("list[Wire]", items)  # the slice between two rejections


def rejection(position: int, problems: Sequence[Problem], line: int | None = None) -> Rejected:
    """The rejection of one record, counted under the first of its problems."""
    positions = Positions((range(position, position + 1),))
    return Rejected(positions=positions, reason=problems[0].reason, problems=tuple(problems), line=line)
