from __future__ import annotations

from math import inf

import pytest

from asyncimport.renewal import APART_S, LIFE_S, RENEWALS, REST_S, WITHIN_S, Renewal

NOW = 1000.0


def renewed(*at: float) -> Renewal:
    """A token that was renewed at these moments."""
    renewal = Renewal()
    for moment in (0.0, *at):
        renewal.received(moment, 0.5)
    return renewal


@pytest.mark.parametrize(("share", "part"), [(0, 0.75), (0.5, 0.8), (1, 0.85)])
def test_a_token_is_to_be_renewed_at_four_fifths_of_its_life_give_or_take_a_twentieth(
    share: float, part: float
) -> None:
    renewal = Renewal()
    renewal.received(NOW, share)
    assert renewal.renew_at == pytest.approx(NOW + LIFE_S * part)
    assert renewal.ends_at == NOW + LIFE_S
    assert renewal.generation == 1


@pytest.mark.parametrize(
    ("earlier", "may", "wait_s"),
    [
        ([], True, 0),
        ([NOW - 10], True, APART_S),
        ([NOW - 20, NOW - 10], True, APART_S),
        ([NOW - 30, NOW - 20, NOW - 10], False, 0),
        ([NOW - WITHIN_S, NOW - 20, NOW - 10], True, APART_S),
        ([NOW - WITHIN_S - 1], True, 0),
    ],
    ids=["first", "second", "third", "fourth", "fourth, the first long ago", "second, the first long ago"],
)
def test_a_renewal_is_at_once_then_waits_and_the_fourth_in_five_minutes_is_not_made(
    earlier: list[float], may: bool, wait_s: float
) -> None:
    renewal = renewed(*earlier)
    assert renewal.refused(NOW, 1.0) is may
    assert max(0.0, renewal.not_before - NOW) == wait_s
    assert (renewal.ends_at == NOW) is may


def test_the_wait_before_a_second_renewal_is_anything_from_nothing_to_its_bound() -> None:
    for share in (0.0, 0.25, 1.0):
        renewal = renewed(NOW - 10)
        renewal.refused(NOW, share)
        assert renewal.not_before == NOW + share * APART_S


@pytest.mark.parametrize(("share", "part"), [(0, 0.75), (0.5, 1), (1, 1.25)])
def test_failed_token_calls_back_off_from_one_second_to_thirty(share: float, part: float) -> None:
    renewal = Renewal()
    waits = []
    for _ in range(100):
        renewal.failed(NOW, share)
        waits.append(renewal.not_before - NOW)
    assert waits[:7] == pytest.approx([part * wait for wait in (1, 2, 4, 8, 16, 30, 30)])
    assert waits[-1] == pytest.approx(30 * part)
    renewal.received(NOW, share)
    assert (renewal.failures, renewal.not_before) == (0, -inf)


def test_a_back_off_is_not_shortened_by_a_refusal() -> None:
    renewal = renewed(NOW - 10)
    renewal.denied(NOW)
    renewal.refused(NOW, 0.1)
    assert renewal.not_before == NOW + REST_S


@pytest.mark.parametrize(
    ("earlier", "at"),
    [([NOW - 10], NOW + REST_S), ([NOW - 200, NOW - 20, NOW - 10], NOW - 200 + WITHIN_S)],
    ids=["some", "as many as may be"],
)
def test_a_token_that_rests_is_replaced_as_soon_as_the_limits_allow(earlier: list[float], at: float) -> None:
    renewal = renewed(*earlier)
    renewal.rest(NOW)
    renewal.rest(NOW + 5)
    assert renewal.renew_at == at
    assert len(earlier) <= RENEWALS


def test_a_token_is_fresh_for_half_a_minute() -> None:
    renewal = Renewal()
    assert not renewal.is_fresh(100.0)
    renewal.received(100.0, 0.5)
    assert [renewal.is_fresh(now) for now in (100.0, 129.9, 130.0)] == [True, True, False]
