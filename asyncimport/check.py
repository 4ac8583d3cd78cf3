"""The dry run: a source goes through every stage before the dispatcher, and a report says what would be refused and why."""

from __future__ import annotations

import asyncio
import builtins
import secrets
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
import orjson
from attrs import define, field, frozen

from asyncimport.batch import Batch
from asyncimport.clock import Clock, wall_ms
from asyncimport.configs import Config
from asyncimport.fields import Problem
from asyncimport.order import Piece, Turn
from asyncimport.outcome import MAX_REASONS, OTHER_REASONS, Dropped, Rejected, Skipped, many
from asyncimport.place import Place
from asyncimport.policy import DispatchPolicy
from asyncimport.resources import Resource
from asyncimport.stages import Source, Stages, check_kinds, stages_of
from asyncimport.structs import json_bytes
from asyncimport.treatment import Treatment

#: Errors of one kind that are shown with their place and the pattern of their value.
EXAMPLES: Final = 5
#: Positions of one kind that the readable form lists.
_LISTED: Final = 10
_MAX_SHOWN_CHARS: Final = 2_000
#: Places that are turned into JSON at once: some 400 KB.
_PLACES_AT_ONCE: Final = 10_000


@frozen(kw_only=True)
class ErrorExample:
    """One error: where, what was found there, and the rule; `got` is empty where there was nothing to read.

    `pattern` is the value's form, never the value (`138-0000`: `999-9999`).
    """

    position: int
    source_place: Place
    column: str | None
    place: str
    got: str
    pattern: str
    rule: str

    @property
    def line(self) -> int | None:
        """The line of the source on which the record begins, where the source has lines."""
        return self.source_place.line

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain JSON values, the coordinates in the source beside the others."""
        plain = attrs.asdict(self)
        coordinates: dict[str, Any] = plain.pop("source_place")
        return coordinates | plain

    def __str__(self) -> str:
        where = self.source_place.words or f"record {self.position}"
        column = f", column {self.column[:40]!r}" if self.column else f", {self.place}" if self.place else ""
        if not self.got:
            return f"{where}: {self.rule}"
        return f"{where}{column}: got {self.got}{f' like {self.pattern!r}' if self.pattern else ''}"


@frozen(kw_only=True)
class ErrorGroup:
    """All errors of one kind in one column: how many, where each one is, and the first of them as examples."""

    reason: str
    #: The column of the file, where it has columns.
    column: str | None
    examples: tuple[ErrorExample, ...]
    #: Positions of the records from 0, one for each error, in order, packed 8 bytes each; and their lines, 0 where none is known.
    positions: array[int] = field(repr=False)
    lines: array[int] = field(repr=False)

    @property
    def count(self) -> int:
        """Errors of this kind."""
        return len(self.positions)

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain JSON values."""
        return self._described() | {"positions": self.positions.tolist(), "lines": self.lines.tolist()}

    def json_parts(self) -> Iterator[bytes]:
        """What `orjson.dumps` makes of `to_dict()`, in pieces of at most `_PLACES_AT_ONCE` places."""
        yield orjson.dumps(self._described()).removesuffix(b"}")
        for name, places in (("positions", self.positions), ("lines", self.lines)):
            yield f',"{name}":['.encode()
            for first in range(0, len(places), _PLACES_AT_ONCE):
                piece = orjson.dumps(places[first : first + _PLACES_AT_ONCE].tolist())[1:-1]
                yield b"," + piece if first else piece
            yield b"]"
        yield b"}"

    def _described(self) -> dict[str, Any]:
        """All but the places, in plain JSON values."""
        examples = [example.to_dict() for example in self.examples]
        return {"reason": self.reason, "column": self.column, "count": self.count, "examples": examples}

    def __str__(self) -> str:
        shown = [f"  {self.count:,} x {self.reason}", *(f"      {example}" for example in self.examples)]
        further = slice(len(self.examples), len(self.examples) + _LISTED)
        name, places = ("line", self.lines) if all(self.lines[further]) else ("record", self.positions)
        listed = ", ".join(map(str, places[further]))
        if listed:
            left = self.count - len(self.examples) - _LISTED
            shown.append(f"      and {name} {listed}" + (f", and {left:,} more" if left > 0 else ""))
        return "\n".join(shown)


@frozen(kw_only=True)
class CheckReport:
    """What an import would do, without anything sent. Holds one record, `first_record`; the rest is counts and places."""

    resource: str
    #: The first good record as it would be sent, in JSON; empty when there is none. Personal data of the user's own.
    first_record: bytes = field(repr=False)
    read: int
    #: Records with at least one error: they would be rejected.
    rejected: int
    #: Records that `before_send` or `deduplicate` would drop.
    skipped: int = 0
    batches: int
    #: Of all request bodies together, and of the largest.
    bytes: int
    largest_batch_bytes: int
    errors: tuple[ErrorGroup, ...]
    #: Whether the source was read to its own end.
    source_ended: bool

    @property
    def ok(self) -> bool:
        """Whether the source was read to its end and every record would be sent."""
        return self.source_ended and not self.rejected

    @property
    def rejected_by_reason(self) -> Mapping[str, int]:
        """Errors of each kind."""
        counts = Counter[str]()
        for group in self.errors:
            counts[group.reason] += group.count
        return dict(counts)

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain JSON values, and `ok`; each error is in it with its position and line."""
        plain = attrs.asdict(self, recurse=False)
        plain["errors"] = [group.to_dict() for group in self.errors]
        plain["first_record"] = orjson.loads(self.first_record) if self.first_record else None
        return plain | {"ok": self.ok}

    def json_parts(self) -> Iterator[builtins.bytes]:
        """What `orjson.dumps` makes of `to_dict()`, piece by piece: a million errors need no memory for their places.

        Each piece is whole in UTF-8, and joined they are one document.
        """
        head, brackets, tail = orjson.dumps(attrs.evolve(self, errors=()).to_dict()).rpartition(b"[]")
        yield head + brackets[:1]
        for number, group in enumerate(self.errors):
            yield b"," if number else b""
            yield from group.json_parts()
        yield brackets[1:] + tail

    def __str__(self) -> str:
        good = self.read - self.rejected - self.skipped
        size = f"{many(self.batches, 'batch', 'batches')} of {self.bytes:,} bytes"
        skipped = f", {self.skipped:,} skipped" if self.skipped else ""
        lines = [
            f"{self.resource}: {self.read:,} read, {self.rejected:,} with errors{skipped}; {good:,} would be sent in {size}"
        ]
        if not self.source_ended:
            lines.append("  the source was not read to its end")
        return "\n".join([*lines, *map(str, self.errors)])

    def first_record_shown(self) -> str:
        """The first good record, indented for reading, cut to 2,000 characters; empty when there is none."""
        if not self.first_record:
            return ""
        text = orjson.dumps(orjson.loads(self.first_record), option=orjson.OPT_INDENT_2).decode()
        return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}\n… ({len(text):,} characters)"


@define
class _Group:
    """A group under way."""

    examples: list[ErrorExample] = field(factory=list)
    positions: array[int] = field(factory=lambda: array("q"))
    lines: array[int] = field(factory=lambda: array("q"))


@define(kw_only=True)
class Check:
    """One dry run. `report` is true at every moment; 16 bytes are kept of each error."""

    resource: Resource
    stages: Stages
    read: int = 0
    rejected: int = 0
    skipped: int = 0
    source_ended: bool = False
    _batches: int = 0
    _bytes: int = 0
    _largest: int = 0
    _first_record: bytes = b""
    _groups: dict[tuple[str, str | None], _Group] = field(factory=dict)

    async def run(self) -> None:
        """Take the source through all stages.

        Raises:
            SourceError: the source raised; `report` tells of what it had given.

        Cancellation: the source is closed within 5 s, and CancelledError goes on.
        """
        reader = self.stages.reader
        try:
            while not reader.is_done:
                items = await reader.pull(None)
                first, self.read = self.read, self.read + len(items)
                self._keep_first(items, first)
                for piece in self.stages.pieces(items, first):
                    self._add(piece)
                self.stages.fit()
                await asyncio.sleep(0)  # a source that never waits lets others in between its hops
            for piece in self.stages.flushed():
                self._add(piece)
        finally:
            await reader.aclose()
        self.source_ended = reader.is_exhausted
        failure = reader.failure(self.read)
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """Read no more; `run` returns soon."""
        self.stages.reader.stop()

    def report(self) -> CheckReport:
        """What was found so far."""
        groups = (
            ErrorGroup(
                reason=reason,
                column=column,
                examples=tuple(group.examples),
                positions=group.positions[:],
                lines=group.lines[:],
            )
            for (reason, column), group in sorted(self._groups.items(), key=lambda item: -len(item[1].positions))
        )
        return CheckReport(
            resource=self.resource.name,
            read=self.read,
            rejected=self.rejected,
            skipped=self.skipped,
            batches=self._batches,
            bytes=self._bytes,
            largest_batch_bytes=self._largest,
            errors=tuple(groups),
            first_record=self._first_record,
            source_ended=self.source_ended,
        )

    def _keep_first(self, items: list[Any], first: int) -> None:
        for position, item in () if self._first_record else enumerate(items, first):
            checked = item if isinstance(item, Dropped) else self.stages.encoder.checked(item, position)
            if not isinstance(checked, Dropped):
                self._first_record = json_bytes(checked)
                return

    def _add(self, piece: Piece) -> None:
        if isinstance(piece, Turn):
            return
        if isinstance(piece, Batch):
            self._batches += 1
            self._bytes += len(piece.body)
            self._largest = max(self._largest, len(piece.body))
            return
        if isinstance(piece, Skipped):
            self.skipped += piece.count
            return
        self.rejected += piece.count
        for problem in piece.problems:
            self._add_error(problem, piece)

    def _add_error(self, problem: Problem, rejected: Rejected) -> None:
        reason = rejected.reason if len(rejected.problems) == 1 else problem.reason
        is_unread = reason != problem.reason  # then the rule has particulars of its own
        kind = (reason, problem.column)
        if kind not in self._groups and len(self._groups) >= MAX_REASONS:
            kind = (OTHER_REASONS, None)
        group = self._groups.setdefault(kind, _Group())
        position = rejected.positions[0]
        group.positions.append(position)
        group.lines.append(rejected.line or 0)
        if len(group.examples) < EXAMPLES:
            example = ErrorExample(
                position=position,
                source_place=rejected.place,
                column=problem.column,
                place=problem.place_in(position),
                got="" if is_unread else problem.got,
                pattern=problem.example,
                rule=problem.rule,
            )
            group.examples.append(example)


def check_of(
    resource: Resource,
    source: Source,
    config: Config,
    policy: DispatchPolicy,
    clock: Clock,
    *,
    treatment: Treatment = Treatment(),  # noqa: B008 -- frozen
) -> Check:
    """Set up a dry run; nothing is read yet.

    Raises:
        ConfigError: a resource, config or source that cannot work.
    """
    check_kinds(resource, config)
    stages = stages_of(
        resource,
        source,
        config,
        policy=policy,
        run_id=secrets.token_hex(10),
        clock=clock,
        wall_ms=wall_ms,
        treated=treatment.of(resource),
    )
    return Check(resource=resource, stages=stages)
