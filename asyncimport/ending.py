"""How a batch ends, as an outcome, and how a run ends that the platform brought to an end, as an error. Words, no decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from asyncimport.batch import Batch
from asyncimport.errors import PlatformRefused, UploadStalled
from asyncimport.gate import MAX_PAUSE_S
from asyncimport.outcome import Accepted, Rejected, Unconfirmed, Unsent, many
from asyncimport.redaction import shown
from asyncimport.split import Refusals
from asyncimport.verdict import Verdict

_ADVICE: Final = "What is undecided is unsent: check the app's permissions, the config, and how the records are made"


def accepted(batch: Batch, verdict: Verdict) -> Accepted:
    """The platform answered success."""
    return Accepted(positions=batch.positions, batch_id=verdict.batch_id, attempts=batch.attempts)


def rejected(batch: Batch, verdict: Verdict, message: str) -> Rejected:
    """The platform refuses the content; `message` is what it says, fit to be shown."""
    reason = verdict.reason if verdict.code is None else f"{verdict.reason}: code {shown(verdict.code)}"
    return Rejected(
        positions=batch.positions, attempts=batch.attempts, reason=reason, code=verdict.code, message=message
    )


def unconfirmed(batch: Batch) -> Unconfirmed:
    """Sent, and no answer that can be trusted."""
    return Unconfirmed(positions=batch.positions, attempts=batch.attempts, reason=batch.last_fault)


def given_back(batch: Batch) -> Unconfirmed | Unsent:
    """The run stops: unconfirmed when an attempt went unanswered, else unsent."""
    if batch.unanswered:
        return unconfirmed(batch)
    return Unsent(positions=batch.positions, attempts=batch.attempts, reason="the run stopped")


def stalled(pause_s: float) -> UploadStalled:
    """The platform asks for a longer wait than a run takes."""
    resume_at = datetime.now(UTC) + timedelta(seconds=pause_s)
    return UploadStalled(
        f"the platform asks to wait {pause_s:,.0f} s, longer than the {MAX_PAUSE_S:.0f} s a run waits: "
        f"run the import again after {resume_at:%Y-%m-%d %H:%M:%S} UTC",
        resume_at,
    )


def refused_everything(refusals: Refusals, verdict: Verdict, message: str) -> PlatformRefused:
    """It is not the records; `verdict` is the last refusal."""
    return PlatformRefused(
        f"the platform refuses whatever it is given: {many(refusals.in_a_row, 'refusal', 'refusals')} in a row, "
        f"{refusals.singles:,} of single records, and nothing accepted since; last: {_said(verdict, message)}. {_ADVICE}",
        verdict.code,
        message,
    )


def unvouched_for(records: int, verdict: Verdict, message: str) -> PlatformRefused:
    """The end of the source leaves only records that were refused alone, with nothing accepted since."""
    were = "record was" if records == 1 else f"{records:,} records were"
    return PlatformRefused(
        f"the last {were} refused, twice and each alone, and nothing is left whose acceptance would show that it is "
        f"the records and not the platform; last: {_said(verdict, message)}. {_ADVICE}",
        verdict.code,
        message,
    )


def _said(verdict: Verdict, message: str) -> str:
    return f"{verdict.detail}: {message}" if message else verdict.detail
