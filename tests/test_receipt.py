from __future__ import annotations

import asyncio

import canary
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.batch import Positions
from asyncimport.clock import Bell, SystemClock
from asyncimport.errors import StateError
from asyncimport.outcome import Accepted, Rejected, Unsent
from asyncimport.receipt import PAGE, Page, Receipt, Receipts
from benchmarks.virtual import run_virtual


def page(first: int = 0) -> Page:
    return Page(first, Bell(SystemClock()), lambda: None)


def at(*positions: int) -> Positions:
    return Positions.of(positions)


def test_whoever_awaits_receipts_of_one_page_is_woken_by_the_outcome_of_his_own() -> None:
    async def main() -> None:
        shared = page()
        waits = [asyncio.create_task(_outcome(Receipt(position, shared))) for position in (0, 1, 2)]
        await asyncio.sleep(0)
        refused, accepted = Rejected(positions=at(1), reason="x"), Accepted(positions=at(0, 2))
        shared.add(refused)
        await asyncio.sleep(1)
        assert [wait.done() for wait in waits] == [False, True, False]
        shared.add(accepted)
        assert [await wait for wait in waits] == [accepted, refused, accepted]

    run_virtual(main())


async def _outcome(receipt: Receipt) -> object:
    return await receipt


def test_cancelling_the_wait_for_one_receipt_leaves_the_others_waiting() -> None:
    async def main() -> None:
        shared = page()
        first, second = (asyncio.create_task(_outcome(Receipt(position, shared))) for position in (0, 1))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        outcome = Unsent(positions=at(0, 1), reason="x")
        assert Receipt(0, shared).outcome is None
        shared.add(outcome)
        assert await second is outcome
        assert await Receipt(0, shared) is outcome

    run_virtual(main())


def test_a_receipt_whose_outcome_will_not_come_says_so() -> None:
    async def main() -> None:
        shared = page()
        wait = asyncio.create_task(_outcome(Receipt(0, shared)))
        await asyncio.sleep(0)
        shared.close()
        with canary.raises(StateError, match="record 0 is not known"):
            await wait

    run_virtual(main())


@given(st.sets(st.integers(0, 2 * PAGE - 1), max_size=40), st.integers(0, 2 * PAGE))
def test_a_page_counts_the_positions_of_its_own(positions: set[int], end: int) -> None:
    shared = page(first=PAGE)
    if positions:
        shared.add(Unsent(positions=Positions.of(sorted(positions)), reason="x"))
    own = {position for position in positions if position >= PAGE}
    assert shared.settled == len(own)
    assert shared.is_settled_below(end) == (own >= set(range(PAGE, end)))


def test_a_page_is_complete_when_all_of_its_positions_are_settled() -> None:
    shared = page(first=PAGE + 36)
    for run in (range(PAGE + 36, PAGE + 40), range(PAGE + 40, 2 * PAGE + 7)):
        assert not shared.is_complete
        assert not shared.is_settled_below(2 * PAGE)
        shared.add(Unsent(positions=Positions((run,)), reason="x"))
        assert shared.is_settled_below(PAGE + 40)
    assert shared.is_complete
    assert shared.is_settled_below(2 * PAGE)
    assert shared.is_settled_below(PAGE)


def test_a_receipt_is_not_awaited_where_its_sink_is_not() -> None:
    def elsewhere() -> None:
        raise StateError("elsewhere")

    async def main() -> None:
        shared = Page(0, Bell(SystemClock()), elsewhere)
        with canary.raises(StateError, match="elsewhere"):
            await Receipt(0, shared)

    run_virtual(main())


def test_who_waits_looks_at_each_outcome_once() -> None:
    shared = page()
    for position in range(3):
        shared.add(Accepted(positions=at(position)))
    assert shared.outcome_of(2, 2) is shared.outcomes[2]
    assert shared.outcome_of(1, 2) is None


def test_receipts_of_many_records_give_each_outcome_once_in_order() -> None:
    async def main() -> None:
        pages = {0: page(), 1: page(first=PAGE)}
        receipts = Receipts(at(PAGE - 2, PAGE - 1, PAGE, PAGE + 5), pages)
        across = Accepted(positions=at(PAGE - 1, PAGE))
        first, last = Accepted(positions=at(PAGE - 2)), Rejected(positions=at(PAGE + 5), reason="x")
        for each in pages.values():
            for outcome in (last, across, first):
                each.add(outcome)
        assert await receipts == (first, across, last)
        assert [receipt.position for receipt in receipts] == list(receipts.positions)
        assert len(receipts) == 4

    run_virtual(main())
