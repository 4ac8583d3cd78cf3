from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.gate import MAX_PAUSE_S, Gate, Place

waits = st.none() | st.floats(0.001, 400)


def paused_in_a_row(gate: Gate, count: int) -> list[float | None]:
    """The pauses of throttled attempts that each began after the pause before."""
    pauses, now = [], 100.0
    for _ in range(count):
        now = max(now, gate.opens_at) + 1.0
        pauses.append(gate.throttled(now, now - 0.5, None))
    return pauses


def test_an_open_gate_lets_everybody_pass_at_once() -> None:
    assert [Gate().passes_at(now, 0.7) for now in (0.0, 5.0)] == [0.0, 5.0]


def test_pauses_without_retry_after_double_up_to_the_cap() -> None:
    assert paused_in_a_row(Gate(), 9) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_the_answers_to_one_burst_make_one_pause() -> None:
    gate = Gate()
    assert gate.throttled(now=10.0, started_at=9.0, retry_after_s=None) == 0.5
    assert [gate.throttled(now, started_at=9.5, retry_after_s=None) for now in (10.1, 10.2, 12.0)] == [None] * 3
    assert (gate.opens_at, gate.exponent) == (10.5, 1.0)
    assert gate.throttled(now=12.0, started_at=11.0, retry_after_s=None) == 1.0


def test_b1_retry_after_holds_everybody_back_for_so_long_and_a_fifth_at_most_more() -> None:
    gate = Gate()
    assert gate.throttled(now=10.0, started_at=9.0, retry_after_s=7.0) == 7.0
    assert [gate.passes_at(10.0, share) for share in (0.0, 0.5, 1.0)] == pytest.approx([17.0, 17.7, 18.4])
    assert gate.passes_at(16.999, 0.0) == 17.0
    assert gate.passes_at(17.0, 1.0) == 17.0


def test_a_pause_is_lengthened_and_never_shortened() -> None:
    gate = Gate()
    gate.throttled(now=10.0, started_at=9.0, retry_after_s=7.0)
    assert gate.throttled(now=11.0, started_at=9.0, retry_after_s=2.0) is None
    assert gate.throttled(now=11.0, started_at=10.5, retry_after_s=None) is None
    assert gate.opens_at == 17.0
    assert gate.throttled(now=11.0, started_at=9.0, retry_after_s=7.0) == 7.0
    assert gate.opens_at == 18.0


def test_b4_a_pause_too_long_to_wait_is_told_to_the_caller() -> None:
    pause_s = Gate().throttled(now=10.0, started_at=9.0, retry_after_s=86_400.0)
    assert pause_s is not None
    assert pause_s > MAX_PAUSE_S == 300.0


@pytest.mark.parametrize("pauses", [1, 3, 10_000])
def test_one_accepted_batch_ends_the_row_of_pauses_however_long_it_was(pauses: int) -> None:
    gate = Gate()
    paused_in_a_row(gate, pauses)
    gate.accepted()
    assert paused_in_a_row(gate, 3) == [0.5, 1.0, 2.0]


def test_an_accepted_batch_opens_no_closed_gate() -> None:
    gate = Gate()
    gate.throttled(now=10.0, started_at=9.0, retry_after_s=7.0)
    gate.accepted()
    assert gate.passes_at(11.0, 0.0) == 17.0


def test_a_worker_keeps_its_moment_until_the_pause_is_lengthened() -> None:
    gate, place = Gate(), Place()
    assert gate.moment_of(place, 10.0, 0.5) == 10.0
    gate.throttled(now=10.0, started_at=9.0, retry_after_s=10.0)
    assert [gate.moment_of(place, now, share) for now, share in ((10.0, 0.5), (19.0, 0.0), (20.5, 1.0))] == [21.0] * 3
    gate.throttled(now=20.5, started_at=20.0, retry_after_s=5.0)
    assert gate.moment_of(place, 20.5, 1.0) == pytest.approx(26.5)
    assert gate.moment_of(place, 27.0, 0.0) == 27.0


def test_a_worker_that_comes_after_the_pause_passes_at_once() -> None:
    gate = Gate()
    gate.throttled(now=10.0, started_at=9.0, retry_after_s=10.0)
    assert gate.moment_of(Place(), 20.0, 1.0) == 20.0


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 60), waits), max_size=30), st.floats(0, 1))
def test_the_gate_never_opens_earlier_than_it_said(
    answers: list[tuple[float, float, float | None]], share: float
) -> None:
    gate, now, promised = Gate(), 100.0, 0.0
    for later_s, latency_s, retry_after_s in answers:
        now += later_s
        pause_s = gate.throttled(now, now - latency_s, retry_after_s)
        promised = max(promised, now + (pause_s or 0.0), now + (retry_after_s or 0.0))
        assert gate.opens_at <= promised
        assert retry_after_s is None or gate.opens_at >= now + retry_after_s
        assert pause_s is None or gate.opens_at == now + pause_s
        moment = gate.passes_at(now, share)
        assert max(now, gate.opens_at) <= moment <= max(now, gate.opens_at) + 0.2 * gate.pause_s * 1.0001
