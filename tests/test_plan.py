from __future__ import annotations

from collections.abc import Callable

import pytest

from asyncimport.batch import Batch, Positions, State
from asyncimport.plan import Plan
from asyncimport.split import Refusals


def new_plan() -> Plan:
    return Plan(Refusals())


def batch(number: int, state: State = State.PLANNED, pair: int = 0, first: int = 0) -> Batch:
    return Batch(number=number, positions=Positions((range(first, first + 1),)), body=b"{}", state=state, pair=pair)


def order(plan: Plan) -> list[int]:
    """The numbers of what goes, in order."""
    numbers = []
    while plan.has_ready:
        numbers.append(plan.pop().number)
    return numbers


def held(plan: Plan, number: int, refused_at: float) -> Batch:
    one = batch(number, State.WAITING)
    one.refused_at = one.suspected_at = refused_at
    plan.hold(one)
    return one


def test_batches_go_in_order_once_the_journal_has_them() -> None:
    plan = new_plan()
    for number in range(3):
        plan.keep(batch(number))
    assert not plan.has_ready
    assert plan.planned([1, 0, 7]) == 2
    assert order(plan) == [1, 0]
    assert not plan.is_empty
    assert plan.planned([2]) == 1


def test_waiting_batches_go_before_others_when_they_are_due_and_equal_moments_are_no_trouble() -> None:
    plan = new_plan()
    plan.make_ready(batch(0))
    for number, due in ((1, 5.0), (2, 3.0), (2, 3.0), (3, 9.0)):
        plan.wait(batch(number, State.WAITING), due)
    assert plan.due_at == 3.0
    plan.look(2.9)
    assert order(plan) == [0]
    plan.look(5.0)
    assert sorted(order(plan)) == [1, 2, 2]
    assert plan.due_at == 9.0


def test_pieces_go_before_all_others_and_both_halves_before_their_parts() -> None:
    plan = new_plan()
    plan.make_ready(batch(9))
    plan.insert([batch(1, pair=1), batch(2, pair=1)], 0)
    refused = plan.pop()
    plan.insert([batch(3, pair=2), batch(4, pair=2)], refused.pair)
    assert order(plan) == [2, 3, 4, 9]


def test_parts_of_what_was_split_last_go_first() -> None:
    plan = new_plan()
    plan.insert([batch(1, pair=1), batch(2, pair=1)], 0)
    first, second = plan.pop(), plan.pop()
    plan.insert([batch(3, pair=2), batch(4, pair=2)], first.pair)
    plan.insert([batch(5, pair=3), batch(6, pair=3)], second.pair)
    assert order(plan) == [5, 6, 3, 4]


def test_what_is_held_goes_first_when_a_witness_that_was_sent_since_has_come() -> None:
    plan = new_plan()
    plan.make_ready(batch(9))
    held(plan, 1, 10.0)
    held(plan, 2, 11.0)
    held(plan, 3, 12.5)
    plan.refusals.accepted(10, 12.0, 13.0)
    assert plan.accepted() == 2
    assert (order(plan), plan.held) == ([1, 2, 9], 1)
    assert plan.accepted() == 0


def test_only_held_is_when_nothing_can_be_a_witness() -> None:
    plan, found = new_plan(), []
    keeps: list[Callable[[], object]] = [
        lambda: None,
        lambda: plan.keep(batch(2)),
        lambda: plan.make_ready(batch(4)),
        lambda: plan.wait(batch(3, State.WAITING), 1.0),
    ]
    for keep in keeps:
        plan.clear()
        held(plan, 1, 10.0)
        keep()
        found.append(plan.has_only_held)
    assert found == [True, False, False, False]
    plan.clear()
    assert (plan.has_only_held, plan.is_empty) == (False, True)


def test_last_tries_are_made_once_two_seconds_later_what_is_vouched_for_first() -> None:
    plan = new_plan()
    held(plan, 1, 10.0)
    vouched = held(plan, 2, 11.0)
    vouched.suspected_at = 5.0
    plan.refusals.accepted(10, 6.0, 7.0)
    assert plan.last_tries(11.5) == 13.0
    assert plan.last_tries(13.0) == 13.0
    tried = [plan.pop(), plan.pop()]
    assert [(one.number, one.is_last_try) for one in tried] == [(2, True), (1, True)]
    for one in tried:
        one.state = State.WAITING
        plan.hold(one)
    assert plan.last_tries(20.0) is None


@pytest.mark.parametrize(("count", "vouched", "are_few"), [(1, 0, True), (2, 0, True), (3, 0, False), (9, 7, True)])
def test_one_or_two_that_nothing_vouches_for_are_few(count: int, vouched: int, are_few: bool) -> None:
    plan = new_plan()
    left = [held(plan, number, 10.0) for number in range(count)]
    for one in left[:vouched]:
        one.suspected_at = 5.0
    plan.refusals.accepted(10, 6.0, 7.0)
    plan.last_tries(12.0)
    assert {one.is_one_of_few for one in left} == {are_few}


def test_another_batch_is_asked_about_once_and_only_one_that_was_never_sent() -> None:
    plan = new_plan()
    sent = batch(1)
    sent.whole.attempts = 1
    plan.make_ready(sent)
    assert not plan.ask_another()
    plan.make_ready(batch(2))
    assert plan.ask_another()
    assert not plan.ask_another()
    assert order(plan) == [2, 1]
    plan.refusals.accepted(10, 0.0, 0.0)
    assert not plan.ask_another()


def test_clearing_gives_everything_back_in_order() -> None:
    plan = new_plan()
    plan.keep(batch(4))
    plan.make_ready(batch(2, first=7))
    plan.make_ready(batch(2, first=3))
    plan.wait(batch(3, State.WAITING), 1.0)
    held(plan, 1, 0.0)
    assert [(one.number, one.positions[0]) for one in plan.clear()] == [(1, 0), (2, 3), (2, 7), (3, 0), (4, 0)]
    assert plan.is_empty


def test_what_was_passed_is_taken_out_when_its_witness_comes_and_all_else_goes_again() -> None:
    plan = new_plan()
    passed = held(plan, 1, refused_at=5.0)
    plan.let_pass()
    again = held(plan, 2, refused_at=6.0)
    assert plan.condemned() == []
    plan.refusals.witness_at = 7.0
    assert plan.accepted() == 1
    assert order(plan) == [again.number]
    assert plan.condemned() == [passed]
    assert plan.held == 0
