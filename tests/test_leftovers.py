"""What a sink hands back: each record that was not delivered, within bounds. (How runs end: test_stream_ends, test_sink.)"""

from __future__ import annotations

import orjson

from asyncimport.batch import Positions
from asyncimport.leftovers import MOST_HELD_BYTES, Undelivered, UndeliveredRecords
from asyncimport.outcome import Accepted, Rejected, Unconfirmed, Unsent


def at(*positions: int) -> Positions:
    return Positions.of(positions)


def body(*names: str) -> bytes:
    return orjson.dumps({"publicParams": {}, "data": [{"thirdId": name} for name in names]})


def test_records_come_back_in_order_of_positions_with_their_state() -> None:
    kept = UndeliveredRecords()
    kept.keep(Unsent(positions=at(5, 6), reason="x"), body("e", "f"))
    kept.keep(Accepted(positions=at(0)), body("a"))
    kept.keep(Rejected(positions=at(1), reason="x"), b"")
    kept.keep(Unconfirmed(positions=at(2), reason="x"), body("c"))
    assert list(kept) == [
        Undelivered(position=2, state="unconfirmed", record={"thirdId": "c"}),
        Undelivered(position=5, state="unsent", record={"thirdId": "e"}),
        Undelivered(position=6, state="unsent", record={"thirdId": "f"}),
    ]


def test_of_a_record_that_was_lost_its_position_comes_back() -> None:
    kept = UndeliveredRecords()
    kept.keep(Unsent(positions=at(3), reason="the run broke off"), b"")
    assert list(kept) == [Undelivered(position=3, state="unsent", record=None)]


def test_what_is_beyond_the_bound_is_counted() -> None:
    kept = UndeliveredRecords()
    large = body("x" * (MOST_HELD_BYTES // 2))
    for position in range(3):
        kept.keep(Unsent(positions=at(position), reason="x"), large)
    assert [one.position for one in kept] == [0]
    assert kept.beyond == 2
