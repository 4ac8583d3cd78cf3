"""What became of records: five outcomes, the tally that adds them up, and the report.

Every record read ends in exactly one outcome, and at every moment
`read = accepted + rejected + unconfirmed + unsent + skipped + in_progress`.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final, assert_never

import attrs
import orjson
from attrs import Factory, define, field, frozen

from asyncimport.batch import Positions
from asyncimport.errors import IncompleteImport
from asyncimport.fields import Problem
from asyncimport.place import NOWHERE, Place
from asyncimport.stats import WidthCourse

#: Rejections listed in a report, and reasons counted apart: a report stays small whatever the input.
FIRST_REJECTIONS: Final = 20
MAX_REASONS: Final = 100
OTHER_REASONS: Final = "other reasons"
#: Problems of one record that are put into words; a list of a million bad numbers is one mistake.
MAX_PROBLEMS: Final = 10


@frozen(kw_only=True)
class _Outcome:
    positions: Positions
    batch_id: int | None = None
    attempts: int = 0
    reason: str = ""

    @property
    def count(self) -> int:
        """Records settled by this outcome."""
        return len(self.positions)


@frozen(kw_only=True)
class Accepted(_Outcome):
    """The platform answered success for the batch; `batch_id` is its import batch id where it gives one."""


@frozen(kw_only=True)
class Rejected(_Outcome):
    """Refused: by validation here (`problems`, one record, 0 attempts) or by the platform (`code`, `message`)."""

    problems: tuple[Problem, ...] = ()
    #: Where in the source the record stands, where the source can tell.
    place: Place = NOWHERE
    code: str | None = None
    #: The platform's words: escaped, cut to 200 characters, without what they echo of the request.
    message: str = ""
    #: The record as JSON where it was refused here and the run keeps rejects; else empty.
    content: bytes = field(default=b"", repr=False, eq=False)

    def __str__(self) -> str:
        where = f"record {self.positions[0]}" if self.count == 1 else f"{self.count} records"
        if self.place.words:
            where += f" ({self.place.words})"
        return f"{where}: {self.detail}"

    @property
    def line(self) -> int | None:
        """The line of the source on which the record begins, where the source has lines."""
        return self.place.line

    @property
    def record(self) -> Any:
        """The record as it came or was sent, in plain JSON values; for `on_reject`, and where the run keeps rejects.

        Text when it could not be read at all, None when it was not kept.
        """
        return orjson.loads(self.content) if self.content else None

    @property
    def detail(self) -> str:
        """Why, in words without data: the problems found here, or what the platform says."""
        return _in_words(self.problems) or self.message or self.reason


@frozen(kw_only=True)
class Unconfirmed(_Outcome):
    """Sent, and no trustworthy answer came within the policy: the platform may or may not have the records."""


@frozen(kw_only=True)
class Unsent(_Outcome):
    """Not sent, because the run stopped first."""


@frozen(kw_only=True)
class Skipped(_Outcome):
    """Dropped by the user's own wish."""


def _in_words(problems: Sequence[Problem]) -> str:
    shown = "; ".join(map(str, problems[:MAX_PROBLEMS]))
    left = len(problems) - MAX_PROBLEMS
    return f"{shown}; and {left:,} more" if left > 0 else shown


BatchOutcome = Accepted | Rejected | Unconfirmed | Unsent | Skipped
#: What becomes of a record before it is in any batch.
Dropped = Rejected | Skipped


@frozen(kw_only=True)
class FirstRejection:
    """One of the first rejections of a run: the position of the record (from 0), where its source has it, and why."""

    position: int
    reason: str
    place: Place = NOWHERE
    detail: str = ""

    @property
    def line(self) -> int | None:
        """The line of the source on which the record begins, where the source has lines."""
        return self.place.line

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain JSON values, the coordinates of the place beside the others."""
        return {"position": self.position, "reason": self.reason, **self.place.to_dict(), "detail": self.detail}


@frozen(kw_only=True)
class ImportReport:
    """What an import did: records by outcome, requests, bytes and time. Holds no record and no secret."""

    resource: str
    run_id: str
    read: int
    accepted: int
    rejected: int
    unconfirmed: int
    unsent: int
    skipped: int
    #: Read and not yet settled; 0 in the report of a run that has ended.
    in_progress: int
    #: Batches formed, and of them the import batch ids the platform gave, packed 8 bytes each, in order of acceptance; of a
    #: resumed run those of earlier processes come first, in no certain order.
    batches: int
    batch_ids: array[int] = field(repr=False)
    #: Requests started, and those of them that repeated a batch.
    attempts: int
    retries: int
    #: Records sent again after an attempt that was not answered to be trusted: at most so many duplicates.
    possible_duplicates: int
    bytes_sent: int
    elapsed_s: float
    records_per_s: float
    rejected_by_reason: Mapping[str, int]
    first_rejections: tuple[FirstRejection, ...]
    #: Whether the source was read to its own end: not stopped, and not broken off.
    source_ended: bool
    #: The lowest position that is neither accepted, rejected nor skipped, unread ones included; None when there is none.
    resume_from: int | None
    #: Records that a spooled source may have given to a process that was killed before they were on disk, at most. They
    #: came after the last one that was read then, and are not counted anywhere.
    possibly_lost: int = 0
    #: How wide this process went: (seconds since it began with the run, requests at the same time from then on) at each
    #: change, at most 100, thinned. Empty when `max_in_flight` fixes the width, or nothing was to be sent.
    width_course: tuple[tuple[float, int], ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether the source was read to its end, and every record accepted or skipped."""
        return self.source_ended and self.read == self.accepted + self.skipped

    def raise_if_incomplete(self) -> None:
        """Do nothing when `ok`.

        Raises:
            IncompleteImport: some records were rejected, or are unconfirmed, unsent, in progress or still in the source;
                it carries the report.
        """
        if not self.ok:
            unread = "" if self.source_ended else "; the source was not read to its end"
            error = IncompleteImport(f"not every record was accepted: {self._counts()}{unread}")
            error.report = self
            raise error

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain JSON values, and `ok`."""
        plain = attrs.asdict(self, recurse=False)
        plain["batch_ids"] = self.batch_ids.tolist()
        plain["rejected_by_reason"] = dict(self.rejected_by_reason)
        plain["first_rejections"] = [first.to_dict() for first in self.first_rejections]
        plain["width_course"] = [list(point) for point in self.width_course]
        return plain | {"ok": self.ok}

    def _counts(self) -> str:
        names = ("accepted", "rejected", "unconfirmed", "unsent", "skipped", "in_progress")
        counts = [f"{getattr(self, name):,} {name.replace('_', ' ')}" for name in names if getattr(self, name)]
        return f"{self.read:,} read = {' + '.join(counts) or '0 of anything'}"

    def __str__(self) -> str:
        ids = f", {many(len(self.batch_ids), 'batch id', 'batch ids')}" if self.batch_ids else ""
        requests = f"{many(self.attempts, 'request')} ({many(self.retries, 'retry', 'retries')})"
        lines = [
            f"{self.resource}: {self._counts()}",
            f"  {many(self.batches, 'batch', 'batches')}{ids}, {requests}, {self.bytes_sent:,} bytes",
            f"  {self.elapsed_s:.2f} s, {self.records_per_s:,.0f} records/s",
        ]
        if self.width_course:
            widths = [width for _, width in self.width_course]
            lines[-1] += f", width {min(widths)} to {max(widths)}, {widths[-1]} at the end"
        if self.possible_duplicates:
            lines.append(f"  {self.possible_duplicates:,} records may be there twice (sent again after no answer)")
        lines += [f"  rejected {count:,} x {reason}" for reason, count in self.rejected_by_reason.items()]
        lines += [f"    {_where(first)}: {first.detail}" for first in self.first_rejections]
        if self.possibly_lost:
            lines.append(
                f"  up to {many(self.possibly_lost, 'record')} that the source gave just before a process was killed "
                "may be lost: they were not on disk yet"
            )
        if self.resume_from is not None:
            lines.append(f"  not settled from record {self.resume_from:,} on")
        return "\n".join(lines)


def many(count: int, one: str, more: str = "") -> str:
    """A number and what it counts, in the singular or the plural."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def _where(first: FirstRejection) -> str:
    return f"record {first.position} ({first.place.words})" if first.place.words else f"record {first.position}"


@frozen(kw_only=True)
class Sums:
    """What the earlier processes of a resumed run add up to."""

    read: int = 0
    accepted: int = 0
    rejected: int = 0
    unconfirmed: int = 0
    skipped: int = 0
    #: Read, and none of these.
    pending: int = 0
    batches: int = 0
    batch_ids: array[int] = field(factory=lambda: array("q"), repr=False)
    attempts: int = 0
    retries: int = 0
    duplicates: int = 0
    sent_bytes: int = 0
    elapsed_s: float = 0.0
    rejected_by_reason: Mapping[str, int] = field(factory=dict)
    first_rejections: tuple[FirstRejection, ...] = ()
    #: The lowest position that stays unconfirmed.
    lowest_unconfirmed: int | None = None


@define(kw_only=True)
class Tally:
    """Adds up one run as it goes; `report` is true at every moment."""

    resource: str
    run_id: str
    started_at: float
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    unconfirmed: int = 0
    unsent: int = 0
    skipped: int = 0
    in_progress: int = 0
    batches: int = 0
    batch_ids: array[int] = field(factory=lambda: array("q"))
    attempts: int = 0
    retries: int = 0
    possible_duplicates: int = 0
    bytes_sent: int = 0
    source_ended: bool = False
    possibly_lost: int = 0
    #: Of this process alone.
    width: WidthCourse = field(default=Factory(lambda self: WidthCourse(self.started_at), takes_self=True))
    _lowest_open: int | None = None
    _reasons: dict[str, int] = field(factory=dict)
    _first: list[FirstRejection] = field(factory=list)

    def restore(self, sums: Sums, now: float) -> None:
        """Begin where an earlier process ended: what is pending is in progress."""
        self.read, self.in_progress = sums.read, sums.pending
        self.accepted, self.rejected, self.unconfirmed = sums.accepted, sums.rejected, sums.unconfirmed
        self.skipped = sums.skipped
        self.batches, self.attempts, self.retries = sums.batches, sums.attempts, sums.retries
        self.batch_ids = sums.batch_ids[:]
        self.possible_duplicates, self.bytes_sent = sums.duplicates, sums.sent_bytes
        self.started_at = now - sums.elapsed_s
        self._reasons = dict(sums.rejected_by_reason)
        self._first = list(sums.first_rejections)
        self._lowest_open = sums.lowest_unconfirmed

    def give_back(self, count: int, first: int, *, is_unconfirmed: bool = False) -> None:
        """Count records that an earlier process read and this one did not come to, the first of them at this position."""
        if not count:
            return
        self.in_progress -= count
        if is_unconfirmed:
            self.unconfirmed += count
        else:
            self.unsent += count
        self._leave_open_from(first)

    def add_read(self, count: int) -> None:
        """Count records that came from the source: they are in progress until an outcome settles them."""
        self.read += count
        self.in_progress += count

    def settle(self, outcome: BatchOutcome) -> None:
        """Count an outcome: its records leave `in_progress`."""
        count = outcome.count
        self.in_progress -= count
        match outcome:
            case Accepted():
                self.accepted += count
                if outcome.batch_id is not None:
                    self.batch_ids.append(outcome.batch_id)
            case Rejected():
                self.rejected += count
                self._count_rejection(outcome)
            case Unconfirmed():
                self.unconfirmed += count
                self._leave_open(outcome.positions)
            case Unsent():
                self.unsent += count
                self._leave_open(outcome.positions)
            case Skipped():
                self.skipped += count
            case _:
                assert_never(outcome)

    def _leave_open(self, positions: Positions) -> None:
        self._leave_open_from(positions[0])

    def _leave_open_from(self, position: int) -> None:
        if self._lowest_open is None or position < self._lowest_open:
            self._lowest_open = position

    def _resume_from(self) -> int | None:
        if self._lowest_open is None and not self.in_progress:
            return None if self.source_ended else self.read
        return self._lowest_open

    def _count_rejection(self, outcome: Rejected) -> None:
        known = outcome.reason in self._reasons or len(self._reasons) < MAX_REASONS
        reason = outcome.reason if known else OTHER_REASONS
        self._reasons[reason] = self._reasons.get(reason, 0) + outcome.count
        for position in outcome.positions[: FIRST_REJECTIONS - len(self._first)]:
            first = FirstRejection(position=position, reason=outcome.reason, place=outcome.place, detail=outcome.detail)
            self._first.append(first)

    def report(self, now: float) -> ImportReport:
        """The report as of `now` (the clock of `started_at`)."""
        elapsed_s = now - self.started_at
        return ImportReport(
            resource=self.resource,
            run_id=self.run_id,
            read=self.read,
            accepted=self.accepted,
            rejected=self.rejected,
            unconfirmed=self.unconfirmed,
            unsent=self.unsent,
            skipped=self.skipped,
            in_progress=self.in_progress,
            batches=self.batches,
            batch_ids=self.batch_ids[:],
            attempts=self.attempts,
            retries=self.retries,
            possible_duplicates=self.possible_duplicates,
            bytes_sent=self.bytes_sent,
            elapsed_s=elapsed_s,
            records_per_s=self.accepted / elapsed_s if elapsed_s > 0 else 0.0,
            rejected_by_reason=dict(self._reasons),
            first_rejections=tuple(self._first),
            source_ended=self.source_ended,
            resume_from=self._resume_from(),
            possibly_lost=self.possibly_lost,
            width_course=self.width.points,
        )
