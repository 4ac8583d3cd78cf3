from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import canary
import pytest

from asyncimport.batch import Batch, Positions
from asyncimport.ending import accepted, given_back, refused_everything, rejected, stalled, unconfirmed, unvouched_for
from asyncimport.outcome import Accepted, Rejected, Unconfirmed, Unsent
from asyncimport.split import Refusals
from asyncimport.verdict import Happened, Verdict

POSITIONS = Positions((range(4, 6),))


def batch(**further: Any) -> Batch:
    return Batch(number=3, positions=POSITIONS, body=b"{}", attempts=2, **further)


def refusal(code: str | None = "40001") -> Verdict:
    return Verdict(happened=Happened.REFUSED, reason="refused", detail="HTTP 400", code=code)


def test_an_accepted_batch_has_the_number_that_the_platform_gave_it() -> None:
    verdict = Verdict(happened=Happened.ACCEPTED, reason="", batch_id=15314513451345123)
    assert accepted(batch(), verdict) == Accepted(positions=POSITIONS, attempts=2, batch_id=15314513451345123)


@pytest.mark.parametrize(
    ("code", "reason"),
    [(None, "refused"), ("40001", "refused: code 40001")],
    ids=["without-a-code", "with-a-code"],
)
def test_a_rejected_batch_is_counted_by_its_code_and_has_the_platforms_words(code: str | None, reason: str) -> None:
    assert rejected(batch(), refusal(code), "no such field") == Rejected(
        positions=POSITIONS, attempts=2, reason=reason, code=code, message="no such field"
    )


def test_an_unconfirmed_batch_says_what_went_wrong_last() -> None:
    assert unconfirmed(batch(last_fault="timeout")) == Unconfirmed(positions=POSITIONS, attempts=2, reason="timeout")


@pytest.mark.parametrize(
    ("unanswered", "outcome"),
    [
        (0, Unsent(positions=POSITIONS, attempts=2, reason="the run stopped")),
        (1, Unconfirmed(positions=POSITIONS, attempts=2, reason="timeout")),
    ],
    ids=["all-answered", "one-unanswered"],
)
def test_a_batch_given_back_is_unsent_only_if_nothing_of_it_can_have_been_taken(
    unanswered: int, outcome: Unsent | Unconfirmed
) -> None:
    assert given_back(batch(unanswered=unanswered, last_fault="timeout")) == outcome


def test_a_stalled_run_says_when_to_come_back() -> None:
    before = datetime.now(UTC)
    error = stalled(3600.0)
    assert error.resume_at is not None
    assert before <= error.resume_at - timedelta(hours=1) <= datetime.now(UTC)
    assert "asks to wait 3,600 s, longer than the 300 s" in str(error)
    assert f"{error.resume_at:%Y-%m-%d %H:%M:%S} UTC" in str(error)


@pytest.mark.parametrize(
    ("message", "said"), [("", "last: HTTP 400. "), ("no", "last: HTTP 400: no. ")], ids=["silent", "with-words"]
)
def test_a_refusal_of_everything_counts_the_refusals_and_has_the_last_words(message: str, said: str) -> None:
    error = refused_everything(Refusals(in_a_row=1200, singles=17), refusal(), message)
    assert "1,200 refusals in a row, 17 of single records" in str(error)
    assert said in str(error)
    assert (error.code, error.platform_message) == ("40001", message)
    assert canary.scan(error) == []


@pytest.mark.parametrize(
    ("records", "were"),
    [(1, "the last record was refused"), (1200, "the last 1,200 records were refused")],
    ids=["one", "several"],
)
def test_records_that_nothing_vouches_for_are_counted(records: int, were: str) -> None:
    error = unvouched_for(records, refusal(), "no")
    assert were in str(error)
    assert "last: HTTP 400: no. " in str(error)
    assert (error.code, error.platform_message) == ("40001", "no")
