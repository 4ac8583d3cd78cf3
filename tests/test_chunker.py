from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.admission import Admitted
from asyncimport.chunker import Chunk, Chunker


def admitted(first: int, count: int) -> Admitted:
    return Admitted(wires=[{"phone": str(n)} for n in range(first, first + count)], first=first)


def flat(chunks: list[Chunk]) -> list[tuple[int, Any]]:
    return [pair for chunk in chunks for pair in zip(chunk.positions, chunk.wires, strict=True)]


#: Sizes of runs of neighbours, and how many rejected records lie before each.
runs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=12)


@given(runs, st.integers(1, 17), st.data())
def test_joining_the_chunks_gives_the_input(given_runs: list[tuple[int, int]], size: int, data: st.DataObject) -> None:
    chunker, chunks, fed, position = Chunker(size), list[Chunk](), list[tuple[int, Any]](), 0
    for gap, count in given_runs:
        position += gap
        run = admitted(position, count)
        fed += enumerate(run.wires, position)
        chunks += chunker.feed(run, now=0.0)
        position += count
        if data.draw(st.booleans()):
            chunks += chunker.flush()
    chunks += chunker.flush()
    assert flat(chunks) == fed
    assert all(1 <= len(chunk.wires) <= size for chunk in chunks)
    assert list(chunker.flush()) == []


@given(runs, st.integers(1, 17))
def test_only_the_last_chunk_may_be_short(given_runs: list[tuple[int, int]], size: int) -> None:
    chunker, chunks, position = Chunker(size), list[Chunk](), 0
    for gap, count in given_runs:
        chunks += chunker.feed(admitted(position + gap, count), now=0.0)
        position += gap + count
    assert {len(chunk.wires) for chunk in chunks} <= {size}
    assert sum(len(chunk.wires) for chunk in chunker.flush()) < size


@pytest.mark.parametrize(
    ("count", "full", "rest"),
    [(0, 0, 0), (1, 0, 1), (499, 0, 499), (500, 1, 0), (501, 1, 1), (1500, 3, 0)],
)
def test_d13_exact_counts_and_a_full_chunk_leaves_at_once(count: int, full: int, rest: int) -> None:
    chunker = Chunker(500)
    assert len(list(chunker.feed(admitted(0, count), now=0.0))) == full
    assert sum(len(chunk.wires) for chunk in chunker.flush()) == rest


def test_a_chunk_of_one_holds_nothing_back() -> None:
    chunker = Chunker(1)
    assert [list(chunk.positions) for chunk in chunker.feed(admitted(5, 3), now=0.0)] == [[5], [6], [7]]
    assert chunker.opened_at is None


def test_positions_are_packed_and_leave_out_what_was_rejected() -> None:
    chunker = Chunker(6)
    (first,) = [
        *chunker.feed(admitted(0, 2), 0.0),
        *chunker.feed(admitted(2, 1), 0.0),
        *chunker.feed(admitted(7, 3), 0.0),
    ]
    assert first.positions.runs == (range(3), range(7, 10))


def test_an_open_chunk_knows_when_its_first_record_came() -> None:
    chunker = Chunker(3)
    opened = [chunker.opened_at]
    for now, first, count in ((10.0, 0, 1), (11.0, 1, 1), (12.0, 2, 2)):
        list(chunker.feed(admitted(first, count), now))
        opened.append(chunker.opened_at)
    list(chunker.flush())
    opened.append(chunker.opened_at)
    list(chunker.feed(admitted(4, 0), now=13.0))
    opened.append(chunker.opened_at)
    assert opened == [None, 10.0, 10.0, 12.0, None, None]


def test_a_chunker_made_smaller_lets_what_it_holds_go_before_the_next_record() -> None:
    chunker = Chunker(10)
    assert list(chunker.feed(admitted(0, 6), now=0.0)) == []
    chunker.size = 4
    assert [len(chunk.wires) for chunk in chunker.feed(admitted(6, 5), now=1.0)] == [6, 4]
    assert (list(chunker.positions), chunker.opened_at) == ([10], 1.0)


def test_the_open_chunk_tells_the_positions_of_its_records() -> None:
    chunker = Chunker(6)
    told = [chunker.positions.runs]
    for first, count in ((0, 2), (2, 1), (7, 2), (9, 3)):
        list(chunker.feed(admitted(first, count), now=0.0))
        told.append(chunker.positions.runs)
    assert told == [(), (range(2),), (range(3),), (range(3), range(7, 9)), (range(10, 12),)]
