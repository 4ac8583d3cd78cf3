from __future__ import annotations

from itertools import pairwise, product

import canary
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.batch import TRANSITIONS, Batch, Positions, State

ascending = st.lists(st.integers(0, 200), unique=True, max_size=60).map(sorted)


def batch(state: State = State.READY) -> Batch:
    return Batch(number=7, positions=Positions.of([3, 4, 9]), body=canary.PERSON.encode(), state=state)


ALLOWED = {
    (State.PLANNED, State.READY),
    (State.PLANNED, State.SETTLED),
    (State.READY, State.IN_FLIGHT),
    (State.READY, State.SPLIT),
    (State.READY, State.SETTLED),
    (State.IN_FLIGHT, State.WAITING),
    (State.IN_FLIGHT, State.SPLIT),
    (State.IN_FLIGHT, State.SETTLED),
    (State.WAITING, State.READY),
    (State.WAITING, State.SETTLED),
}


@pytest.mark.parametrize(("start", "to"), list(product(State, State)), ids=lambda state: state.name)
def test_every_pair_of_states_either_moves_or_raises(start: State, to: State) -> None:
    moved = batch(start)
    if (start, to) in ALLOWED:
        moved.move(to)
        assert moved.state is to
        return
    with canary.raises(AssertionError, match=f"batch 7: {start.name} to {to.name} is no transition"):
        moved.move(to)
    assert moved.state is start


def test_the_table_knows_every_state_and_nothing_leaves_settled_or_split() -> None:
    assert set(TRANSITIONS) == set(State)
    assert [state for state, to in TRANSITIONS.items() if not to] == [State.SPLIT, State.SETTLED]


def test_every_state_is_reached_from_the_first_and_leads_to_the_last() -> None:
    reached = {Batch(number=0, positions=Positions(), body=b"").state}
    for _ in State:
        reached |= {to for state in reached for to in TRANSITIONS[state]}
    assert reached == set(State)
    assert all(State.SETTLED in to for to in TRANSITIONS.values() if to)


def test_a_repr_says_what_a_batch_is_doing_and_shows_no_data() -> None:
    assert repr(batch()) == "<batch 7: 3 records, ready, 0 attempts>"
    assert (batch().count, canary.leaks(repr(batch()))) == (3, [])


def test_batches_are_told_apart_by_identity() -> None:
    assert batch() != batch()
    assert len({batch(), batch()}) == 2


@given(ascending)
def test_positions_are_the_sequence_they_were_made_of(numbers: list[int]) -> None:
    packed = Positions.of(numbers)
    assert list(packed) == numbers
    assert len(packed) == len(numbers)
    assert [packed[index] for index in range(-len(numbers), len(numbers))] == numbers * 2
    assert {number for number in range(-1, 202) if number in packed} == set(numbers)
    assert all(run.stop < after.start for run, after in pairwise(packed.runs))


@given(ascending, st.slices(60))
def test_a_slice_of_positions_is_positions(numbers: list[int], which: slice) -> None:
    if which.step is None or which.step > 0:
        part = Positions.of(numbers)[which]
        assert isinstance(part, Positions)
        assert list(part) == numbers[which]


@pytest.mark.parametrize("index", [-4, 3, 100])
def test_a_position_that_is_not_there_is_an_index_error(index: int) -> None:
    with canary.raises(IndexError, match=f"position {index} of 3"):
        Positions.of([3, 4, 9])[index]


def test_positions_are_small_comparable_and_readable() -> None:
    packed = Positions.of(range(10**6, 10**6 + 500))
    assert packed.runs == (range(10**6, 10**6 + 500),)
    assert packed == Positions((range(10**6, 10**6 + 500),))
    assert repr(Positions.of([1, 3, 4, 5])) == "Positions(1, 3-5)"
    assert None not in packed
