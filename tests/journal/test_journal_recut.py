from __future__ import annotations

from collections import deque
from typing import Any

import canary
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.batch import Batch, Positions
from asyncimport.codec import Encoder
from asyncimport.errors import JournalError
from asyncimport.journal.entry import Entry, EntryState, Piece, digest_of
from asyncimport.journal.recut import Recut
from asyncimport.outcome import Rejected

REJECTED = Rejected(positions=Positions.of([0]), reason="r")


def encoder(max_bytes: int = 10**6) -> Encoder:
    return Encoder(public_params={"importMode": 2}, max_bytes=max_bytes, recheck=lambda wire, _: REJECTED)


def body(wires: list[Any]) -> bytes:
    return orjson.dumps({"publicParams": {"importMode": 2}, "data": wires})


def entry(number: int, first: int, wires: list[Any], end: int | None = None, **more: Any) -> Entry:
    count, digest = len(wires), digest_of(body(wires))
    return Entry(number=number, first=first, end=end or first + count, count=count, digest=digest, **more)


def person(n: int) -> dict[str, Any]:
    return {"thirdId": str(n)}


def recut(*expected: Entry, max_bytes: int = 10**6) -> Recut:
    return Recut("a.journal", encoder(max_bytes), deque(expected))


def test_records_come_again_as_the_batches_they_were() -> None:
    first, second = [person(n) for n in (0, 1, 2)], [person(n) for n in (4, 6)]
    cutting = recut(entry(0, 0, first), entry(1, 4, second, end=7))
    items: list[Any] = [*first, REJECTED, person(4), REJECTED, person(6), person(7)]
    batches = [batch for at in range(len(items)) for batch in cutting.feed(at, [items[at]])]
    assert [(batch.number, batch.body, list(batch.positions)) for batch in batches] == [
        (0, body(first), [0, 1, 2]),
        (1, body(second), [4, 6]),
    ]
    assert all(batch.is_resumed for batch in batches)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(1, 40))
def test_how_the_records_arrive_does_not_matter(sizes: list[int], hop: int) -> None:
    records = [person(n) for n in range(sum(sizes))]
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    cut = [entry(n, at, records[at : at + size]) for n, (at, size) in enumerate(zip(starts, sizes, strict=True))]
    cutting = recut(*cut)
    hops = range(0, len(records), hop)
    batches: list[Batch] = [batch for at in hops for batch in cutting.feed(at, records[at : at + hop])]
    assert [digest_of(batch.body) for batch in batches] == [one.digest for one in cut]
    assert not cutting.expected


def test_what_is_settled_is_compared_and_not_sent() -> None:
    records = [person(n) for n in range(4)]
    settled = entry(0, 0, records[:2], state=EntryState.ACCEPTED)
    (batch,) = recut(settled, entry(1, 2, records[2:])).feed(0, records)
    assert batch.number == 1
    with canary.raises(JournalError, match="positions 0 to 1 differ"):
        list(recut(settled).feed(0, [person(0), person(7)]))


@pytest.mark.parametrize(
    "items",
    [
        [person(9), person(0), person(1)],
        [person(0), person(1), REJECTED],
        [REJECTED, REJECTED, REJECTED],
        [person(0), {"thirdId": "1", "phone": "1"}, person(2)],
        [person(0), {"thirdId": "\ud800"}, person(2)],
    ],
    ids=["one inserted", "one rejected", "all rejected", "one changed", "one that cannot be encoded"],
)
def test_a_difference_is_named_by_its_positions(items: list[Any]) -> None:
    cutting = recut(entry(0, 0, [person(n) for n in range(3)]))
    with canary.raises(JournalError, match="positions 0 to 2 differ.*Nothing was sent"):
        list(cutting.feed(0, items))


def test_a_batch_keeps_its_size_whatever_the_policy_says_now() -> None:
    records = [person(n) for n in range(100)]
    (batch,) = recut(entry(0, 0, records), max_bytes=100).feed(0, records)
    assert batch.count == 100


def test_a_record_that_could_not_be_encoded_is_left_out_again() -> None:
    good = [person(0), person(2)]
    (batch,) = recut(entry(0, 0, good, end=3)).feed(0, [person(0), {"thirdId": "\ud800"}, person(2)])
    assert list(batch.positions) == [0, 2]


def test_a_batch_that_may_have_been_sent_counts_as_unanswered() -> None:
    records = [person(0)]
    (batch,) = recut(entry(3, 0, records, is_open=True, attempts=2, duplicates=1, sent_bytes=9)).feed(0, records)
    assert (batch.number, batch.attempts, batch.unanswered, batch.unrepeated) == (3, 2, 1, 1)
    assert (batch.whole.duplicates, batch.whole.sent_bytes, batch.counted) == (1, 9, 0)


def test_records_before_the_first_batch_are_passed_over() -> None:
    records = [person(n) for n in range(6)]
    (batch,) = recut(entry(5, 4, records[4:])).feed(0, records)
    assert batch.number == 5


def test_of_a_batch_that_was_split_what_is_in_no_settled_piece_comes_again_together() -> None:
    records = [person(n) for n in range(6)]
    pieces = tuple(
        Piece(number=3, first=first, end=end, count=end - first, state=EntryState.ACCEPTED)
        for first, end in ((0, 2), (4, 5))
    )
    (batch,) = recut(entry(3, 0, records, pieces=pieces, is_open=True)).feed(0, records)
    assert (batch.number, list(batch.positions), batch.whole.is_split) == (3, [2, 3, 5], True)
    assert batch.body == body([person(2), person(3), person(5)])
    assert (batch.unanswered, batch.is_resumed) == (1, True)


def test_a_batch_that_was_split_is_compared_whole() -> None:
    piece = Piece(number=3, first=0, end=1, count=1, state=EntryState.REJECTED)
    with canary.raises(JournalError, match="positions 0 to 2 differ"):
        list(
            recut(entry(3, 0, [person(n) for n in range(3)], pieces=(piece,))).feed(
                0, [person(9), person(1), person(2)]
            )
        )
