from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.batch import Batch, Positions
from asyncimport.split import Hold, Refusals, Reject, Split


def batch_of(count: int, size: int = 100) -> Batch:
    return Batch(number=0, positions=Positions((range(count),)), body=b"x" * size)


def refused(
    refusals: Refusals, batch: Batch, now: float = 0.0, *, is_too_large: bool = False, started_at: float | None = None
) -> object:
    return refusals.refused(batch, now if started_at is None else started_at, now, is_too_large=is_too_large)


class TestARefusal:
    def test_of_several_records_splits_them(self) -> None:
        assert refused(Refusals(), batch_of(2)) == Split()

    def test_of_a_record_alone_holds_it(self) -> None:
        assert refused(Refusals(), batch_of(1)) == Hold()

    def test_of_a_record_alone_for_the_second_time_rejects_it_when_something_sent_in_between_was_accepted(self) -> None:
        refusals, one = Refusals(), batch_of(1)
        refused(refusals, one, 10.0)
        refusals.accepted(100, started_at=10.0, now=11.0)
        assert refused(refusals, one, 12.0) == Reject()

    def test_is_not_believed_against_a_witness_that_was_sent_before(self) -> None:
        refusals, one = Refusals(), batch_of(1)
        refused(refusals, one, 10.0)
        refusals.accepted(100, started_at=9.9, now=11.0)
        assert refused(refusals, one, 12.0) == Hold()

    def test_needs_a_witness_after_the_last_one(self) -> None:
        refusals, one = Refusals(), batch_of(1)
        refusals.accepted(100, started_at=1.0, now=2.0)
        assert [refused(refusals, one, now) for now in (10.0, 11.0, 12.0)] == [Hold()] * 3

    def test_is_final_at_the_end_when_something_was_accepted_since_the_first_one_of_what_held_the_record(self) -> None:
        refusals, one = Refusals(), batch_of(1)
        one.suspected_at = 10.0
        refusals.accepted(100, started_at=10.5, now=11.0)
        assert refused(refusals, one, 12.0) == Hold()
        assert refusals.is_vouched_for(one)
        one.is_last_try = True
        assert refused(refusals, one, 14.0) == Reject()

    def test_is_not_final_at_the_end_when_nothing_was_accepted_since(self) -> None:
        refusals, one = Refusals(), batch_of(1)
        refusals.accepted(100, started_at=1.0, now=2.0)
        refused(refusals, one, 12.0)
        one.is_last_try = True
        assert not refusals.is_vouched_for(one)
        assert refused(refusals, one, 14.0) == Hold()

    @pytest.mark.parametrize(("has_accepted", "step"), [(True, Reject()), (False, Hold())])
    def test_of_the_very_last_record_is_final_when_the_run_was_accepted_anything(
        self, has_accepted: bool, step: object
    ) -> None:
        refusals, one = Refusals(), batch_of(1)
        if has_accepted:
            refusals.accepted(100, started_at=1.0, now=2.0)
        refused(refusals, one, 12.0)
        one.is_last_try = one.is_one_of_few = True
        assert refused(refusals, one, 14.0) == step

    def test_is_not_final_at_the_first_time_however_last_the_record_is(self) -> None:
        refusals, one = Refusals(), batch_of(1)
        refusals.accepted(100, started_at=1.0, now=2.0)
        one.is_last_try = one.is_one_of_few = True
        assert refused(refusals, one, 14.0) == Hold()

    def test_remembers_when_a_record_was_first_suspected(self) -> None:
        refusals, one = Refusals(), batch_of(1)
        one.suspected_at = 3.0
        refused(refusals, one, 5.0)
        assert (one.suspected_at, one.refused_at, one.refusals_alone) == (3.0, 5.0, 1)


class TestDoubt:
    def test_begins_with_a_refusal_and_ends_with_anything_accepted(self) -> None:
        refusals = Refusals()
        found = [refusals.is_in_doubt]
        refused(refusals, batch_of(500))
        found.append(refusals.is_in_doubt)
        refusals.accepted(100, 0.0, 1.0)
        assert [*found, refusals.is_in_doubt] == [False, True, False]
        assert (refusals.in_a_row, refusals.singles) == (0, 0)

    def test_counts_what_was_under_way_together_as_one(self) -> None:
        refusals = Refusals()
        for now in (1.0, 1.1, 1.2):
            refused(refusals, batch_of(2), now, started_at=0.0)
        assert refusals.in_a_row == 1
        refused(refusals, batch_of(1), 2.0, started_at=1.2)
        refused(refusals, batch_of(1), 2.1, started_at=1.2)
        assert (refusals.in_a_row, refusals.singles) == (2, 1)

    def test_is_paced_beyond_eight_refusals_in_a_row_for_five_seconds_in_all(self) -> None:
        refusals, waits = Refusals(), []
        for _ in range(20):
            refused(refusals, batch_of(2), 100.0)
            waits.append(refusals.not_before - 100.0)
        assert waits[:11] == pytest.approx([0.0] * 8 + [0.1, 0.2, 0.4])
        assert max(waits) == pytest.approx(0.5)
        assert sum(waits) == pytest.approx(5.2)

    @pytest.mark.parametrize(
        ("singles", "several", "is_hopeless"), [(3, 17, True), (2, 30, False), (3, 16, False), (20, 0, True)]
    )
    def test_is_despair_after_twenty_in_a_row_of_which_three_were_single_records(
        self, singles: int, several: int, is_hopeless: bool
    ) -> None:
        refusals = Refusals()
        for count in [2] * several + [1] * singles:
            refused(refusals, batch_of(count))
        assert refusals.is_hopeless is is_hopeless


class TestSizes:
    def test_nothing_is_too_large_until_it_was_refused_for_it(self) -> None:
        refusals = Refusals()
        assert (refusals.fits, refusals.is_too_large(10**9)) == (None, False)

    def test_half_of_what_was_too_large_should_fit_until_more_has_passed(self) -> None:
        refusals = Refusals()
        assert refused(refusals, batch_of(500, 1000), is_too_large=True) == Split()
        assert (refusals.fits, refusals.is_too_large(1000), refusals.is_too_large(999)) == (500, True, False)
        refusals.accepted(700, 0.0, 1.0)
        assert refusals.fits == 700

    def test_the_smallest_that_was_too_large_counts_but_for_those_as_large_as_what_was_taken(self) -> None:
        refusals = Refusals()
        refusals.accepted(600, 0.0, 1.0)
        for size in (1000, 400, 800, 600):
            assert refused(refusals, batch_of(500, size), is_too_large=True) == Split()
        assert (refusals.too_large, refusals.fits) == (800, 600)

    def test_a_single_record_teaches_no_size(self) -> None:
        refusals = Refusals()
        refused(refusals, batch_of(1, 1000), is_too_large=True)
        assert refusals.too_large is None

    def test_a_record_no_larger_than_what_was_taken_needs_a_witness_as_for_any_refusal(self) -> None:
        refusals, one = Refusals(), batch_of(1, 1000)
        refusals.accepted(1000, 0.0, 1.0)
        assert [refused(refusals, one, now, is_too_large=True) for now in (2.0, 3.0)] == [Hold(), Hold()]
        refusals.accepted(10, 3.0, 4.0)
        assert refused(refusals, one, 5.0, is_too_large=True) == Reject()

    def test_a_larger_one_is_tried_again_after_two_hundred_that_were_near_it(self) -> None:
        refusals = Refusals()
        refused(refusals, batch_of(500, 1000), is_too_large=True)
        for _ in range(210):
            refusals.accepted(100, 0.0, 1.0)
        assert refusals.too_large == 1000
        for _ in range(199):
            refusals.accepted(500, 0.0, 1.0)
        assert refusals.too_large == 1000
        refusals.accepted(500, 0.0, 1.0)
        assert (refusals.too_large, refusals.fits) == (2000, 1000)

    def test_what_is_taken_after_all_was_not_too_large(self) -> None:
        refusals = Refusals()
        refused(refusals, batch_of(500, 1000), is_too_large=True)
        refusals.accepted(1000, 0.0, 1.0)
        assert refusals.fits is None

    def test_a_record_too_large_alone_is_rejected_once_anything_was_accepted(self) -> None:
        refusals, one = Refusals(), batch_of(1, 1000)
        assert refused(refusals, one, is_too_large=True) == Hold()
        refusals.accepted(10, 0.0, 1.0)
        assert refused(refusals, one, is_too_large=True) == Reject()
        assert refused(refusals, batch_of(1, 1000), is_too_large=True) == Reject()


class TestABrokenServer:
    @pytest.mark.parametrize(
        ("count", "is_poisoned", "faults", "breaks"),
        [
            (500, False, 2, False),
            (500, False, 3, True),
            (250, True, 0, False),
            (250, True, 1, True),
            (1, True, 2, False),
            (1, True, 3, True),
        ],
    )
    def test_is_the_batchs_doing_at_the_third_time_and_of_a_piece_at_once(
        self, count: int, is_poisoned: bool, faults: int, breaks: bool
    ) -> None:
        refusals, batch = Refusals(), batch_of(count)
        batch.is_poisoned, batch.server_faults, batch.broken_at = is_poisoned, faults, 5.0
        refusals.accepted(100, 5.0, 6.0)
        assert refusals.breaks(batch, is_alone=False) is breaks
        assert refusals.is_known_for(batch) is breaks

    def test_is_nobodys_doing_when_nothing_that_was_sent_since_was_accepted(self) -> None:
        refusals, batch = Refusals(), batch_of(500)
        batch.server_faults, batch.broken_at = 3, 5.0
        refusals.accepted(100, 4.9, 6.0)
        assert not refusals.is_known_for(batch)
        assert not refusals.breaks(batch, is_alone=False)
        assert refusals.breaks(batch, is_alone=True)

    def test_is_looked_for_in_the_dark_one_way_down_and_no_further(self) -> None:
        refusals, batch = Refusals(), batch_of(500)
        batch.server_faults = 3
        assert [refusals.breaks(batch, is_alone=True) for _ in range(14)] == [True] * 12 + [False] * 2
        refusals.accepted(100, 0.0, 0.0)
        assert refusals.blind_splits == 0

    def test_never_is_a_records_doing_that_was_not_in_such_a_batch(self) -> None:
        refusals, one = Refusals(), batch_of(1)
        one.server_faults, one.broken_at = 7, 5.0
        refusals.accepted(100, 6.0, 7.0)
        assert not refusals.breaks(one, is_alone=False)

    def test_is_not_looked_for_in_the_dark_for_a_record_that_always_was_alone(self) -> None:
        one = batch_of(1)
        one.server_faults = 3
        assert not Refusals().breaks(one, is_alone=True)
        one.is_poisoned = True
        assert not Refusals().breaks(one, is_alone=True)

    def test_is_not_blamed_on_a_record_when_nothing_was_accepted_since_its_batch_broke_first(self) -> None:
        one, refusals = batch_of(1), Refusals()
        one.server_faults, one.is_poisoned = 3, True
        one.broken_at = one.whole.broken_at = 5.0
        refusals.accepted(100, 4.0, 4.5)
        assert not refusals.breaks(one, is_alone=True)
        one.broken_at = 7.0
        refusals.accepted(100, 6.0, 6.5)
        assert refusals.breaks(one, is_alone=True)


@given(st.lists(st.tuples(st.sampled_from(["refused", "accepted", "single"]), st.floats(0, 3)), max_size=60))
def test_no_record_is_rejected_without_a_witness_in_between(moves: list[tuple[str, float]]) -> None:
    refusals, one, now, witness, refusal = Refusals(), batch_of(1), 0.0, -1.0, float("inf")
    for move, later_s in moves:
        now += later_s + 0.001
        match move:
            case "accepted":
                refusals.accepted(100, now, now)
                witness = now
            case "refused":
                assert refused(refusals, batch_of(7), now) == Split()
            case _:
                assert (refused(refusals, one, now) == Reject()) == (witness >= refusal)
                refusal = now
