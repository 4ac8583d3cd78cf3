from __future__ import annotations

from typing import Any, get_args

import attrs
import canary
import orjson
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.admission import rejection
from asyncimport.batch import Positions
from asyncimport.errors import IncompleteImport
from asyncimport.fields import At, Problem
from asyncimport.outcome import (
    OTHER_REASONS,
    Accepted,
    BatchOutcome,
    Rejected,
    Skipped,
    Sums,
    Tally,
    Unconfirmed,
    Unsent,
)
from asyncimport.place import Place


def new_tally(read: int = 0) -> Tally:
    tally = Tally(resource="users", run_id="r" * 20, started_at=100.0)
    tally.add_read(read)
    return tally


def at(*positions: int) -> Positions:
    return Positions.of(positions)


def bad(position: int, rule: str = "takes text", line: int | None = None) -> Rejected:
    place = Place(line=line)
    return evolve(rejection(position, [At(f"data[{position}]").key("phone").problem(canary.PERSON, rule)]), place=place)


KINDS = [Accepted, Rejected, Unconfirmed, Unsent, Skipped]
sizes = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 500), st.booleans()), max_size=40)


@given(sizes, st.integers(0, 1000))
def test_counts_add_up_at_every_moment(pieces: list[tuple[Any, int, bool]], ahead: int) -> None:
    tally, position, expected = new_tally(ahead), 0, dict.fromkeys(KINDS, 0)
    still_open: list[int] = []
    for kind, count, has_id in pieces:
        tally.add_read(count)
        positions = Positions((range(position, position + count),))
        tally.settle(kind(positions=positions, batch_id=count if has_id else None, reason="refused"))
        expected[kind] += count
        if kind in (Unconfirmed, Unsent):
            still_open.append(position)
        position += count
        report = tally.report(101.0)
        settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
        assert report.read == settled + report.in_progress
        assert report.in_progress == ahead
    assert [getattr(tally, kind.__name__.lower()) for kind in KINDS] == list(expected.values())
    tally.source_ended = True
    assert tally.report(101.0).resume_from == min(still_open, default=None)
    assert list(tally.batch_ids) == [count for kind, count, has_id in pieces if kind is Accepted and has_id]
    assert sum(tally.report(101.0).rejected_by_reason.values()) == expected[Rejected]


def test_the_union_of_outcomes_is_closed() -> None:
    assert list(get_args(BatchOutcome)) == KINDS


def test_an_outcome_counts_its_records() -> None:
    assert Accepted(positions=at(1, 2, 9)).count == 3


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (bad(7), "record 7: data[7].phone: got text; takes text"),
        (bad(7, line=12), "record 7 (line 12): data[7].phone: got text; takes text"),
        (Rejected(positions=at(1, 2), reason="refused: code 9", code="9", message="参数错误"), "2 records: 参数错误"),
        (Rejected(positions=at(1, 2), reason="refused"), "2 records: refused"),
    ],
)
def test_a_rejection_reads_as_a_sentence(outcome: Rejected, text: str) -> None:
    assert str(outcome) == text


def test_the_first_twenty_rejections_are_listed_and_all_are_counted() -> None:
    tally = new_tally(1000)
    tally.settle(bad(5, line=6))
    tally.settle(Rejected(positions=at(*range(100, 600)), reason="refused: code 9", message="参数错误"))
    tally.settle(bad(900))
    report = tally.report(101.0)
    assert [first.position for first in report.first_rejections] == [5, *range(100, 119)]
    assert report.first_rejections[0].line == 6
    assert report.first_rejections[1].detail == "参数错误"
    assert report.rejected_by_reason == {"phone: takes text": 2, "refused: code 9": 500}


def test_a_hundred_reasons_are_told_apart_and_the_others_are_summed() -> None:
    tally = new_tally(1000)
    for position in range(300):
        tally.settle(bad(position, rule=f"rule {position % 150}"))
    reasons = tally.report(101.0).rejected_by_reason
    assert len(reasons) == 101
    assert set(list(reasons.values())[:100]) == {2}
    assert reasons[OTHER_REASONS] == 100


def test_a_report_stays_small_whatever_is_wrong_with_a_record() -> None:
    tally = new_tally(20)
    for position in range(20):
        problems = [
            Problem(place=f"data[{n}]", field="x", got="float", rule="takes finite numbers") for n in range(5000)
        ]
        tally.settle(rejection(position, problems))
    assert len(str(tally.report(101.0))) < 50_000


def test_a_report_is_a_picture_of_its_moment() -> None:
    tally = new_tally(3)
    tally.settle(bad(0))
    before = tally.report(101.0)
    copy = before.to_dict()
    tally.settle(bad(1))
    tally.settle(Accepted(positions=at(2), batch_id=7))
    assert before.to_dict() == copy
    assert tally.report(102.0).accepted == 1
    with canary.raises(attrs.exceptions.FrozenInstanceError):
        before.accepted = 3  # type: ignore[misc] # the point


def full_report() -> Any:
    tally = new_tally(1_002_500)
    tally.batches, tally.attempts, tally.retries, tally.bytes_sent = 2003, 2010, 7, 400_000_000
    tally.possible_duplicates = 1500
    tally.settle(Accepted(positions=Positions((range(1_000_000),)), batch_id=15314513451345123))
    tally.settle(Rejected(positions=at(1_000_000), reason="refused", code="9", message="bad"))
    tally.settle(bad(1_000_001, line=1_000_003))
    tally.settle(Unconfirmed(positions=Positions((range(1_000_002, 1_000_502),))))
    tally.settle(Unsent(positions=Positions((range(1_000_502, 1_001_002),))))
    tally.settle(Skipped(positions=Positions((range(1_001_002, 1_001_500),))))
    return tally.report(150.0)


def test_a_report_is_plain_json() -> None:
    plain = full_report().to_dict()
    assert orjson.loads(orjson.dumps(plain)) == plain
    assert plain["batch_ids"] == [15314513451345123]
    assert plain["ok"] is False
    assert plain["first_rejections"][1] == {
        "position": 1_000_001,
        "reason": "phone: takes text",
        "line": 1_000_003,
        "offset": None,
        "row_group": None,
        "row": None,
        "detail": "data[1000001].phone: got text; takes text",
    }
    assert set(plain) == {attribute.name for attribute in attrs.fields(type(full_report()))} | {"ok"}


def test_a_width_that_was_found_is_in_the_report_in_words_and_as_plain_json() -> None:
    tally = new_tally(1)
    for now, width in ((100.0, 4), (101.5, 32), (103.0, 2), (104.0, 18)):
        tally.width.book(now, width)
    report = tally.report(105.0)
    assert "  5.00 s, 0 records/s, width 2 to 32, 18 at the end" in str(report).splitlines()
    plain = report.to_dict()
    assert plain["width_course"] == [[0.0, 4], [1.5, 32], [3.0, 2], [4.0, 18]]
    assert orjson.loads(orjson.dumps(plain)) == plain


def test_the_course_of_a_width_is_that_of_this_process_however_long_earlier_ones_took() -> None:
    tally = new_tally()
    tally.restore(Sums(elapsed_s=50.0), now=100.0)
    tally.width.book(101.0, 4)
    report = tally.report(102.0)
    assert (report.elapsed_s, report.width_course) == (52.0, ((1.0, 4),))


def test_a_report_reads_well_and_shows_no_data() -> None:
    assert str(full_report()).splitlines() == [
        "users: 1,002,500 read = 1,000,000 accepted + 2 rejected + 500 unconfirmed + 500 unsent + 498 skipped + 1,000 in progress",
        "  2,003 batches, 1 batch id, 2,010 requests (7 retries), 400,000,000 bytes",
        "  50.00 s, 20,000 records/s",
        "  1,500 records may be there twice (sent again after no answer)",
        "  rejected 1 x refused",
        "  rejected 1 x phone: takes text",
        "    record 1000000: bad",
        "    record 1000001 (line 1000003): data[1000001].phone: got text; takes text",
        "  not settled from record 1,000,002 on",
    ]
    assert canary.leaks(f"{full_report()}{full_report()!r}") == []


def test_an_empty_import_is_fine() -> None:
    tally = new_tally()
    tally.source_ended = True
    report = tally.report(100.0)
    assert (report.ok, report.records_per_s, report.resume_from) == (True, 0.0, None)
    assert str(report).startswith("users: 0 read = 0 of anything\n")
    report.raise_if_incomplete()


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_accepted_or_skipped_is_complete(kind: Any) -> None:
    tally = new_tally(1)
    tally.source_ended = True
    assert not tally.report(101.0).ok
    tally.settle(kind(positions=at(0), reason="refused"))
    report = tally.report(101.0)
    assert report.ok == (kind in (Accepted, Skipped))
    if report.ok:
        report.raise_if_incomplete()
        return
    with canary.raises(
        IncompleteImport, match=f"not every record was accepted: 1 read = 1 {kind.__name__.lower()}"
    ) as caught:
        report.raise_if_incomplete()
    assert caught.value.report is report


def test_a_source_not_read_to_its_end_is_not_complete() -> None:
    tally = new_tally(1)
    tally.settle(Accepted(positions=at(0)))
    report = tally.report(101.0)
    assert (report.ok, report.resume_from) == (False, 1)
    with canary.raises(IncompleteImport, match="the source was not read to its end"):
        report.raise_if_incomplete()
