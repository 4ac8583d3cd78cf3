"""Admission: any record or mapping comes in, its clean wire copy goes out, or a rejection that says why.

It happens where the record is pulled, before the source is asked for the next one: generators reuse their dicts, so the
copy is made at once and as deep as the record. A missing `uuid` and `time` of a stamped resource are filled here,
once, so that every attempt and every resume sends the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, cast

from attrs import define, evolve, field, frozen

from asyncimport.batch import Positions
from asyncimport.fields import At, Problem
from asyncimport.outcome import Dropped, Rejected, Skipped
from asyncimport.place import NOWHERE, Place
from asyncimport.quick import Quick
from asyncimport.rejects import made_uuid, not_kept
from asyncimport.resources import Resource
from asyncimport.shape import Shape, copy_record, shape_of
from asyncimport.structs import Names, RecordStruct, Wire, plain, struct_of
from asyncimport.unreadable import Unreadable


class Origin(Protocol):
    """The iterator of a file, asked about the record it returned last, before the next one is pulled.

    It may have `column_of(place)` too: the column of the file that a place of a problem came from, or None; and `where()`:
    the `Place` at which the record stands, as far as it is known.
    """

    @property
    def line_num(self) -> int:
        """The line, from 1, on which the record began."""


#: What a record comes to: its wire copy, or why it has none.
Item = Wire | Dropped


class Admits(Protocol):
    """What a reader has done with each record where it was pulled."""

    def admit(self, record: Any, position: int, origin: Any = None) -> Item:
        """Admit one record."""

    def admit_all(self, records: Sequence[Any], first: int) -> list[Item]:
        """Admit records that nobody changes meanwhile."""

    def of_line(self, line: bytes) -> Wire | None:
        """The wire copy of a record that is a line of JSON, yet to be admitted; None in doubt."""


@frozen(kw_only=True)
class Admitted:
    """Wire copies of neighbouring records, the first of them at position `first`."""

    wires: list[Wire]
    first: int


@define(kw_only=True)
class Admission:
    """Admits the records of one run: by structs and their guards, and what those doubt by the reference."""

    resource: Resource
    config: object
    #: 20 characters; with 16 digits of the position they make the `uuid` of an event that has none.
    run_id: str
    #: Wall clock in milliseconds since 1970.
    now_ms: Callable[[], int]
    #: What a rejection keeps of its record.
    content_of: Callable[[object], bytes] = not_kept
    _shape: Shape = field(init=False)
    _is_stamped: bool = field(init=False)
    _quick: Quick = field(init=False)
    _struct: type[RecordStruct] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Look up the structs of this resource."""
        self._shape = shape_of(self.resource.record)
        self._is_stamped = self.resource.is_stamped
        self._quick = Quick(self._shape, self.config)
        self._struct = struct_of(self._shape.record, Names.WIRE)

    def admit(self, record: Any, position: int, origin: Any = None) -> Wire | Rejected:
        """The wire copy of one record, or its rejection with every problem and where in its file it is wrong."""
        wire: Wire | None = record if type(record) is self._struct else self._quick.of_alike(record)
        if wire is None:
            wire = self._quick.of_other(record)
        if wire is None:
            missed = self._missed(record, position, origin)
            if isinstance(missed, Rejected):
                return missed
            wire = missed
        return self._stamped(wire, position) if self._is_stamped else wire

    def of_line(self, line: bytes) -> RecordStruct | None:
        """The wire copy of a record that is a JSON object, yet to be admitted; None where it takes a longer look."""
        made: RecordStruct | None = self._quick.of_line(line)
        return made

    def admit_all(self, records: Sequence[Any], first: int) -> list[Item]:
        """The same for records that nobody changes meanwhile, the first of them at position `first`: a pass in C."""
        wires: list[Item] | None = self._quick.of_all(records)
        if wires is None:
            return [self.admit(record, position) for position, record in enumerate(records, first)]
        if self._is_stamped:
            for position, wire in enumerate(wires, first):
                self._stamped(wire, position)
        return wires

    def _missed(self, record: Any, position: int, origin: Origin | None) -> Wire | Rejected:
        explained = self._explained(record, position)
        if origin is None or not isinstance(explained, Rejected):
            return explained
        problems = tuple(_with_column(problem, position, origin) for problem in explained.problems)
        return evolve(explained, place=place_of(origin), problems=problems)

    def _stamped(self, wire: Any, position: int) -> Wire:
        """The wire copy with a `uuid` and a `time`: the same struct, or another mapping."""
        if type(wire) is dict:
            made = {"uuid": made_uuid(self.run_id, position), "time": self.now_ms()}
            return self._ordered(made | wire)
        struct: Any = wire
        if struct.uuid is None:
            struct.uuid = made_uuid(self.run_id, position)
        if struct.time is None:
            struct.time = self.now_ms()
        return wire  # type: ignore[no-any-return] # a struct

    def _explained(self, record: Any, position: int) -> Wire | Rejected:
        """The wire form by the reference, or the rejection."""
        at = At(f"data[{position}]")
        if isinstance(record, Unreadable):
            problem = at.named(f"an unreadable {record.unit}", record.rule)
            return evolve(rejection(position, [problem], self.content_of(record)), reason=record.reason)
        wire, problems = self._copied(record, at)
        return rejection(position, problems, self.content_of(record)) if problems else wire

    def recheck(self, wire: Wire, position: int) -> Wire | Rejected:
        """Look again at a wire form that the encoder refused: what structs leave to it, with its place."""
        given = plain(wire)
        repaired, problems = self._copied(given, At(f"data[{position}]"))
        return rejection(position, problems, self.content_of(given)) if problems else self._ordered(repaired)

    def _copied(self, record: Any, at: At) -> tuple[dict[str, Any], list[Problem]]:
        """What the reference makes of a record, and every breach."""
        problems: list[Problem] = []
        wire: dict[str, Any] = {}
        try:
            wire = copy_record(self._shape, record, at, problems, self.config)
        except Exception as error:  # noqa: BLE001 -- a mapping or text of the user's may raise anything; it costs him this record, not the run
            problems.append(at.named(type(record).__name__, f"raised {type(error).__name__} when it was read"))
        return wire, problems

    def _ordered(self, wire: dict[str, Any]) -> dict[str, Any]:
        """In the order in which a struct is written: a record has the same bytes, whoever copied it."""
        return {spec.wire: wire[spec.wire] for spec in self._shape.fields if spec.wire in wire}


def place_of(origin: Origin | None) -> Place:
    """Where the record that an iterator returned last stands in its source."""
    if origin is None:
        return NOWHERE
    where = getattr(origin, "where", None)
    return Place(line=origin.line_num) if where is None else where()


def _with_column(problem: Problem, position: int, origin: Origin) -> Problem:
    column_of = getattr(origin, "column_of", None)
    place = problem.place_in(position)
    return evolve(problem, column=column_of(place)) if column_of is not None and place else problem


def neighbours(items: list[Item], first: int) -> Iterator[Admitted | Dropped]:
    """Group what was admitted at positions from `first` on: runs of neighbours, and each record that was not, in order."""
    start = 0
    for index, dropped in _dropped(items):
        if index > start:
            yield Admitted(wires=_wires(items[start:index]), first=first + start)
        yield dropped
        start = index + 1
    if start < len(items):
        yield Admitted(wires=_wires(items[start:]), first=first + start)


_DROPPED: Final = frozenset({Rejected, Skipped})


def _dropped(items: list[Item]) -> list[tuple[int, Dropped]]:
    """Records without a wire copy, and where they are. Most hops have none, which one pass in C finds out."""
    if _DROPPED.isdisjoint(map(type, items)):
        return []
    return [(index, item) for index, item in enumerate(items) if isinstance(item, Dropped)]


def together(skipped: Iterable[Skipped]) -> Iterator[Skipped]:
    """One outcome for all records that were skipped for one reason."""
    positions: dict[str, list[int]] = {}
    for each in skipped:
        positions.setdefault(each.reason, []).extend(each.positions)
    for reason, found in positions.items():
        yield Skipped(positions=Positions.of(found), reason=reason)


def _wires(items: list[Item]) -> list[Wire]:
    return cast("list[Wire]", items)  # the slice between two that were dropped


def rejection(position: int, problems: Sequence[Problem], content: bytes = b"") -> Rejected:
    """The rejection of one record, counted under the first of its problems."""
    positions = Positions((range(position, position + 1),))
    return Rejected(positions=positions, reason=problems[0].reason, problems=tuple(problems), content=content)
