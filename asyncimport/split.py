"""What to do with a batch that the platform refuses, or breaks on: one verdict for up to 500 records.

The platform says yes or no to a whole batch and does not name the record it dislikes. Rejecting the batch would lose up
to 499 good records to one bad one; sending every record by itself would take 500 requests. So a refused batch is split
in halves, and each half that is refused again is split again, down to single records: one culprit costs two requests
for each of the nine halvings.

That alone is not enough, since not every refusal is about a record. The permission may have been withdrawn, the config
may be wrong, or the platform may be out of its mind for a second: then splitting would reject all the innocent, one by
one, with a thousand requests a batch. So a refusal is believed only against a witness:

- A single record is rejected when it was refused alone twice, and something else, sent after the first refusal, was
  accepted before the second: at that time the platform was taking records, and not this one.
- At the end of a source there may be nothing left to be a witness. Then a record is tried a last time after two seconds, and
  what counts is whether anything was accepted since the refusal of the piece that it was split from. Where only one or two
  are left without that, it is enough that the run was accepted anything: two bad rows at the end of a file are more
  likely than a permission withdrawn just there. Three and more are the platform's doing, here as in the next rule.
- After a refusal, and until something is accepted again, the run is in doubt: one request at a time, and what was split last
  goes first, both halves before their parts. Beyond eight refusals in a row they are paced, five seconds in all, so that a
  platform that comes to itself meanwhile has refused nobody for good.
- Twenty refusals in a row, three of them of single records, and a last question about a batch that was never asked about,
  where there is one: the run ends with `PlatformRefused`. What was under way together is one refusal in this row, since it
  is one moment of the platform. The run ends so too when its end leaves more than two records without a witness.

| answer                          | of several records    | of one record                                          |
|---------------------------------|-----------------------|--------------------------------------------------------|
| refused                         | split                 | held until there is a witness; then again; rejected    |
| refused, nothing else is left   | split                 | a last try; rejected if anything vouched for the platform |
| 413                             | split                 | rejected once anything was accepted; until then held   |
| 500 for the third time          | split, if it is the batch's doing | unconfirmed, if it is the record's doing   |
| 500 of a piece of such a batch  | split at once, if it is the piece's doing | unconfirmed at the third           |

A 500 is the batch's doing when something that was sent after the server first broke on it was accepted: the server works, and
not for this one. Else the platform is away, which is the breaker's business. With nothing else under way there is no telling,
and the way down to one record is tried once. Such a record ends unconfirmed: the server broke, and may have taken it.
A 413 blames nobody, unless a body as large was taken before: then it is a refusal like any other. The sizes that passed and
that did not are remembered, so that later batches are cut smaller; after two hundred of them a larger one is tried again.
"""

from __future__ import annotations

from typing import Final

from attrs import define, frozen

from asyncimport.batch import Batch

#: Refusals in a row, and single records among them, after which it is not the records (DESIGN.md, section 5).
HOPELESS: Final = 20
HOPELESS_SINGLES: Final = 3
#: Answers of a broken server before a batch is suspected, or a single record given up.
FAULTS: Final = 3
#: Splits of a batch that a server breaks on while nothing vouches for the server: enough for one way down to one record.
BLIND_SPLITS: Final = 12
#: Accepted bodies near the size that fits, after which a larger one is tried.
TRIED_AFTER: Final = 200
#: Refusals in a row that are answered at once, and the wait after each further one: five seconds up to the twentieth.
_UNPACED: Final = 8
_PACE_S: Final = 0.1
_PACE_CAP_S: Final = 0.5
#: The wait before a last try.
LAST_TRY_S: Final = 2.0


@frozen
class Split:
    """Let its records go on in two pieces."""


@frozen
class Hold:
    """Wait until something else is accepted, then send it again."""


@frozen
class Reject:
    """The platform refuses the content."""


@define
class Refusals:
    """What one run knows of refusals."""

    #: Whether the platform has ever taken anything of the run, in an earlier process or in this one.
    has_accepted: bool = False
    #: Refusals since something was accepted, and those of single records among them; what was under way together counts once.
    in_a_row: int = 0
    singles: int = 0
    #: When the last of them was answered.
    refused_at: float = float("-inf")
    #: Whether a batch that was never asked about was tried since, to be sure.
    asked_another: bool = False
    #: The latest start of an attempt that was accepted.
    witness_at: float = float("-inf")
    #: When the next attempt may start while in doubt.
    not_before: float = 0.0
    #: Splits for a broken server since something was accepted.
    blind_splits: int = 0
    #: The smallest body that was too large, the largest that was taken, and how many near the size that fits were.
    too_large: int | None = None
    passed: int = 0
    near_it: int = 0

    @property
    def is_in_doubt(self) -> bool:
        """Whether one request goes at a time."""
        return self.in_a_row > 0

    @property
    def is_hopeless(self) -> bool:
        """Whether it is not the records."""
        return self.in_a_row >= HOPELESS and self.singles >= HOPELESS_SINGLES

    @property
    def fits(self) -> int | None:
        """The size of a body that should be taken; None while none was too large."""
        return None if self.too_large is None else max(self.passed, self.too_large // 2)

    def is_too_large(self, size: int) -> bool:
        """Whether a body of this size was refused for it, and none as large was taken."""
        return self.too_large is not None and size >= self.too_large

    def accepted(self, size: int, started_at: float, now: float) -> None:
        """Book an accepted body, and when its attempt had started."""
        self.in_a_row = self.singles = self.blind_splits = 0
        self.has_accepted, self.asked_another = True, False
        self.not_before = now
        self.witness_at = max(self.witness_at, started_at)
        self.passed = max(self.passed, size)
        if self.too_large is not None:
            self._relax(self.too_large, size)

    def _relax(self, too_large: int, size: int) -> None:
        """Try larger bodies again: what was too large in one moment need not be for ever."""
        self.near_it += 2 * size >= max(self.passed, too_large // 2)
        if size >= too_large:
            self.too_large = None
        elif self.near_it >= TRIED_AFTER:
            self.too_large, self.near_it = 2 * too_large, 0

    def refused(self, batch: Batch, started_at: float, now: float, *, is_too_large: bool) -> Split | Hold | Reject:
        """Book a refused body, and say what follows for it."""
        is_news, is_single = started_at >= self.refused_at, batch.count == 1
        self.in_a_row += is_news
        self.singles += is_news and is_single
        self.refused_at = now
        self.not_before = now + _pace_s(self.in_a_row)
        is_too_large &= len(batch.body) > self.passed
        if not is_single:
            if is_too_large:
                self._note_too_large(len(batch.body))
            batch.suspected_at = now
            return Split()
        batch.suspected_at = min(batch.suspected_at, now)
        is_proven = self.has_accepted if is_too_large else self._has_witness(batch)
        batch.refusals_alone += 1
        batch.refused_at = now
        return Reject() if is_proven else Hold()

    def _has_witness(self, batch: Batch) -> bool:
        """Whether the refusal of a single record is the second one, and the platform took something else in between."""
        if not batch.refusals_alone:
            return False
        if batch.is_one_of_few:
            return self.has_accepted
        return self.witness_at >= (batch.suspected_at if batch.is_last_try else batch.refused_at)

    def is_vouched_for(self, batch: Batch) -> bool:
        """Whether anything was accepted since the refusal of the piece that a single record was split from."""
        return self.witness_at >= batch.suspected_at

    def _note_too_large(self, size: int) -> None:
        self.too_large = size if self.too_large is None else min(size, self.too_large)
        self.near_it = 0

    def is_known_for(self, batch: Batch) -> bool:
        """Whether a server that broke on this batch often enough did so because of it, since it took others meanwhile.

        Never of a record that was not in such a batch before: it has all the attempts of any other.
        """
        return _is_suspect(batch) and self.witness_at >= batch.broken_at

    def breaks(self, batch: Batch, *, is_alone: bool) -> bool:
        """Whether to treat a server that broke again as broken by this batch. `is_alone`: nothing else is under way.

        Alone a batch is split without a witness, but no record is given up when nothing was accepted since its batch broke first: the
        server may be away.
        """
        if self.is_known_for(batch):
            return True
        if batch.count == 1 and self.witness_at < batch.whole.broken_at:
            return False
        if not (is_alone and _is_suspect(batch)) or self.blind_splits >= BLIND_SPLITS:
            return False
        self.blind_splits += 1
        return True


def _is_suspect(batch: Batch) -> bool:
    """Whether a server broke on it often enough: a piece of a suspect needs one answer, and a record must come from one."""
    if batch.count == 1:
        return batch.is_poisoned and batch.server_faults >= FAULTS
    return batch.server_faults >= (1 if batch.is_poisoned else FAULTS)


def _pace_s(in_a_row: int) -> float:
    if in_a_row <= _UNPACED:
        return 0.0
    return min(_PACE_CAP_S, _PACE_S * 2.0 ** (in_a_row - _UNPACED - 1))
