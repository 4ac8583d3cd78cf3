from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.window import Window

MIB = 1024 * 1024


@pytest.mark.parametrize("width", [1, 8])
def test_four_batches_a_request_fit(width: int) -> None:
    window = Window(lambda: width)
    for _ in range(4 * width):
        assert window.has_room(100)
        window.enter(100)
    assert not window.has_room(100)
    window.leave(100)
    assert window.has_room(100)


def test_outcomes_that_nobody_has_read_take_room() -> None:
    window = Window(lambda: 2)
    window.unread = 7
    assert window.has_room(1)
    window.unread = 8
    assert not window.has_room(1)


def test_32_mib_fit_and_no_byte_more() -> None:
    window = Window(lambda: 100)
    for _ in range(31):
        window.enter(MIB)
    assert window.has_room(MIB)
    assert not window.has_room(MIB + 1)


def test_one_batch_always_fits_however_large() -> None:
    window = Window(lambda: 1)
    assert window.has_room(100 * MIB)
    window.enter(100 * MIB)
    assert not window.has_room(1)


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), st.integers(1, 4 * MIB)), max_size=60))
def test_bounds_hold_whatever_enters_and_leaves(width: int, moves: list[tuple[bool, int]]) -> None:
    window, inside = Window(lambda: width), list[int]()
    for is_coming, size in moves:
        if is_coming and window.has_room(size):
            window.enter(size)
            inside.append(size)
        elif not is_coming and inside:
            window.leave(inside.pop())
        assert (window.batches, window.bytes) == (len(inside), sum(inside))
        assert window.batches <= 4 * width
        assert window.bytes <= 32 * MIB
