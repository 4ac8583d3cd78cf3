from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncimport.breaker import Breaker, Circuit

MIDDLE = 0.5


def opened(breaker: Breaker, now: float = 100.0) -> Breaker:
    for _ in range(8):
        breaker.failed(now, MIDDLE, is_probe=False)
    return breaker


def probed(breaker: Breaker) -> float:
    """Let the next probe fail; the pause after it."""
    now = breaker.retry_at
    assert breaker.opens_at(now) == now
    assert breaker.start()
    assert breaker.failed(now, MIDDLE, is_probe=True)
    return breaker.retry_at - now


def test_a_closed_breaker_lets_everybody_start_and_nobody_is_a_probe() -> None:
    breaker = Breaker()
    assert (breaker.opens_at(5.0), breaker.start(), breaker.is_closed) == (5.0, False, True)


def test_the_eighth_failure_in_a_row_opens_it() -> None:
    breaker = Breaker()
    assert [breaker.failed(10.0, MIDDLE, is_probe=False) for _ in range(8)] == [False] * 7 + [True]
    assert (breaker.circuit, breaker.opens_at(10.0), breaker.is_closed) == (Circuit.OPEN, 11.0, False)


def test_an_answer_begins_the_row_anew() -> None:
    breaker = Breaker()
    for _ in range(7):
        breaker.failed(10.0, MIDDLE, is_probe=False)
    assert not breaker.answered()
    assert not any(breaker.failed(10.0, MIDDLE, is_probe=False) for _ in range(7))
    assert breaker.is_closed


def test_one_probe_goes_after_the_pause_and_the_others_wait_for_it() -> None:
    breaker = opened(Breaker(), 100.0)
    assert breaker.opens_at(100.5) == 101.0
    assert breaker.opens_at(101.5) == 101.5
    assert breaker.start()
    assert (breaker.circuit, breaker.opens_at(200.0)) == (Circuit.PROBING, None)
    assert not breaker.start()


def test_pauses_double_up_to_thirty_seconds() -> None:
    breaker = opened(Breaker())
    assert [probed(breaker) for _ in range(7)] == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_pause_lies_within_a_quarter_of_its_length() -> None:
    pauses = []
    for share in (0.0, 1.0):
        breaker = Breaker(failures=7)
        breaker.failed(100.0, share, is_probe=False)
        pauses.append(breaker.retry_at - 100.0)
    assert pauses == [0.75, 1.25]


def test_the_answer_to_the_probe_closes_it_and_the_next_outage_begins_with_a_short_pause() -> None:
    breaker = opened(Breaker())
    probed(breaker)
    breaker.start()
    assert breaker.answered()
    assert (breaker.circuit, breaker.failures, breaker.pauses) == (Circuit.CLOSED, 0, 0)
    assert opened(breaker, 500.0).retry_at == 501.0


def test_what_had_started_before_neither_lengthens_the_pause_nor_ends_the_probe() -> None:
    breaker = opened(Breaker(), 100.0)
    assert not breaker.failed(100.9, MIDDLE, is_probe=False)
    assert breaker.retry_at == 101.0
    breaker.start()
    assert not breaker.failed(101.1, MIDDLE, is_probe=False)
    assert breaker.circuit is Circuit.PROBING


def test_an_answer_to_what_had_started_before_closes_it() -> None:
    assert opened(Breaker()).answered()


def test_whoever_comes_anew_may_ask_at_once_by_one_probe() -> None:
    breaker = opened(Breaker(), 100.0)
    breaker.ask_again()
    assert (breaker.opens_at(100.0), breaker.circuit) == (100.0, Circuit.OPEN)
    assert breaker.start()


def test_a_probe_that_says_nothing_lets_another_one_start_at_once() -> None:
    breaker = opened(Breaker(), 100.0)
    breaker.start()
    breaker.dropped(105.0)
    assert (breaker.circuit, breaker.opens_at(105.0)) == (Circuit.OPEN, 105.0)
    assert breaker.start()
    assert breaker.answered()
    breaker.dropped(106.0)
    assert breaker.is_closed


@given(st.lists(st.tuples(st.sampled_from(["start", "answer", "fail", "drop"]), st.floats(0, 5)), max_size=80))
def test_there_is_never_more_than_one_probe_and_never_a_wait_without_end(moves: list[tuple[str, float]]) -> None:
    breaker, now, is_probing = Breaker(), 100.0, False
    for move, later_s in moves:
        now += later_s
        opens_at = breaker.opens_at(now)
        assert (opens_at is None) == is_probing
        assert opens_at is None or opens_at <= now + 37.5
        match move:
            case "start" if opens_at is not None and opens_at <= now:
                is_probing = breaker.start()
            case "answer":
                breaker.answered()
                is_probing = False
            case "fail":
                breaker.failed(now, MIDDLE, is_probe=is_probing)
                is_probing = False
            case "drop" if is_probing:
                breaker.dropped(now)
                is_probing = False
            case _:
                pass
