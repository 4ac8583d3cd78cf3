from __future__ import annotations

import canary
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.limit import Limit


def test_nobody_starts_while_no_run_goes_on() -> None:
    assert (Limit().width, Limit().has_room()) == (0, False)


@given(st.lists(st.integers(1, 32), min_size=1))
def test_the_width_is_the_widest_of_the_runs_that_go_on(widths: list[int]) -> None:
    limit = Limit()
    for width in widths:
        limit.join(width)
    for gone, width in enumerate(widths):
        assert limit.width == max(widths[gone:])
        limit.leave(width)
    assert limit.width == 0


def test_there_is_room_until_the_width_is_in_flight() -> None:
    limit = Limit()
    limit.join(2)
    room = []
    for limit.in_flight in range(4):
        room.append(limit.has_room())
    assert room == [True, True, False, False]


def test_a_run_that_never_joined_cannot_leave() -> None:
    with canary.raises(ValueError):
        Limit().leave(1)


def test_after_an_outage_the_width_begins_at_one_and_doubles_every_round_trip() -> None:
    limit = Limit()
    limit.join(8)
    limit.begin_anew()
    widths = []
    for _ in range(4):
        widths.append(limit.width)
        for _ in range(limit.width):
            limit.accepted()
    assert widths == [1, 2, 4, 8]
    assert not limit.accepted()


def test_an_accepted_batch_says_whether_it_made_room_for_another() -> None:
    limit = Limit()
    limit.join(3)
    assert not limit.accepted()
    limit.begin_anew()
    assert [limit.accepted() for _ in range(4)] == [True, True, False, False]
    assert limit.width == 3


def test_a_run_that_asks_for_less_keeps_to_it_while_the_width_grows() -> None:
    limit = Limit()
    limit.join(2)
    limit.begin_anew()
    for _ in range(9):
        limit.accepted()
    assert limit.width == 2
