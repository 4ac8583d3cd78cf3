"""Admission: any record or mapping comes in, its clean wire copy goes out, or a rejection that says why.

The copy is as deep as the record, because generators reuse their dicts. A missing `uuid` and `time` of a stamped
resource are filled here, once, so that every attempt and every resume sends the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from asyncimport.batch import Positions
from asyncimport.compiled import Fast, compile_record
from asyncimport.fields import At, Problem
from asyncimport.outcome import Rejected
from asyncimport.resources import Resource
from asyncimport.shape import Shape, copy_record, shape_of
from asyncimport.unreadable import Unreadable

Wire = dict[str, Any]


@frozen(kw_only=True)
class Hop:
    """Records that came from the source together, and where: positions count from `first`."""

    records: Sequence[Any]
    first: int = 0
    #: The line each record began on, for sources that have lines.
    lines: Sequence[int] | None = None
    #: Wall clock when they were read, in milliseconds since 1970.
    read_ms: int = 0

    def line(self, position: int) -> int | None:
        return None if self.lines is None else self.lines[position - self.first]


@frozen(kw_only=True)
class Admitted:
    """Wire copies of neighbouring records, the first of them at position `first`."""

    wires: list[Wire]
    first: int


@define(kw_only=True)
class Admission:
    """Admits the records of one run. `fast` is the generated code; whatever it doubts goes to the reference."""

    resource: Resource
    config: object
    run_id: str
    shape: Shape = field(init=False)
    fast: Fast = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Generate the code for this resource and config."""
        self.shape = shape_of(self.resource.record)
        self.fast = compile_record(self.shape, self.config)

    def admit(self, hop: Hop) -> Iterator[Admitted | Rejected]:
        """Runs of admitted neighbours and single rejections, in source order; each record in exactly one of them."""
        fast, stamp, wires, first = self.fast, self._stamp, list[Wire](), hop.first
        stamped = self.resource.is_stamped
        for position, record in enumerate(hop.records, hop.first):
            wire = fast(record) or self._explained(record, position, hop)
            if type(wire) is Rejected:
                if wires:
                    yield Admitted(wires=wires, first=first)
                    wires = []
                yield wire
                first = position + 1
                continue
            if stamped:
                stamp(wire, position, hop.read_ms)
            wires.append(wire)
        if wires:
            yield Admitted(wires=wires, first=first)

    def _stamp(self, wire: Wire, position: int, read_ms: int) -> None:
        if "uuid" not in wire:
            wire["uuid"] = f"{self.run_id}{position:016x}"
        if "time" not in wire:
            wire["time"] = read_ms

    def _explained(self, record: Any, position: int, hop: Hop) -> Any:
        """The wire form by the reference, or the rejection with every problem."""
        problems: list[Problem] = []
        at = At(f"data[{position}]")
        if isinstance(record, Unreadable):
            problems.append(at.named("an unreadable line", record.rule))
            return evolve(rejection(position, problems, hop.line(position)), reason=record.reason)
        try:
            wire = copy_record(self.shape, record, at, problems, self.config)
        except Exception as error:  # noqa: BLE001 -- a mapping of the user's may raise anything; it costs him this record, not the run
            problems.append(at.named(type(record).__name__, f"raised {type(error).__name__} when it was read"))
        return rejection(position, problems, hop.line(position)) if problems else wire

    def recheck(self, wire: Wire, position: int) -> Wire | Rejected:
        """Look again at a wire form that the encoder refused: what the generated code leaves to it, with its place."""
        problems: list[Problem] = []
        repaired = copy_record(self.shape, wire, At(f"data[{position}]"), problems, self.config)
        return rejection(position, problems) if problems else repaired


def rejection(position: int, problems: Sequence[Problem], line: int | None = None) -> Rejected:
    """The rejection of one record, counted under the first of its problems."""
    positions = Positions((range(position, position + 1),))
    return Rejected(positions=positions, reason=problems[0].reason, problems=tuple(problems), line=line)
