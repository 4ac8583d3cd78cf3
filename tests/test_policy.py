from __future__ import annotations

import math
import pickle
from typing import Any

import attrs
import canary
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.errors import ConfigError
from asyncimport.policy import DispatchPolicy, Meaning, Rate, RetryPolicy, Share, Timeouts, allowed_rejections

BAD_SECONDS = [0, -1, math.nan, True, "5"]
BAD_COUNTS = [0, -1, True, 1.0, "5"]


def bad(kind: type[Any], name: str, values: list[Any]) -> list[Any]:
    return [pytest.param(kind, name, value, id=f"{kind.__name__}-{name}-{value!r}") for value in values]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        *bad(DispatchPolicy, "batch_size", [*BAD_COUNTS, 501, None]),
        *bad(DispatchPolicy, "max_batch_bytes", [999, 1024 * 1024 + 1, 1e6, None]),
        *bad(DispatchPolicy, "max_in_flight", [*BAD_COUNTS, 10_001]),
        *bad(DispatchPolicy, "max_rate", [20, {"requests_per_s": 20}]),
        *bad(DispatchPolicy, "linger_s", [*BAD_SECONDS, None]),
        *bad(DispatchPolicy, "first_contact_s", BAD_SECONDS),
        *bad(DispatchPolicy, "drain_s", [*BAD_SECONDS, None]),
        *bad(DispatchPolicy, "stall_s", [*BAD_SECONDS, None]),
        *bad(DispatchPolicy, "retry", [None, 8, {"max_attempts": 3}]),
        *bad(DispatchPolicy, "timeouts", [None, 60]),
        *bad(DispatchPolicy, "codes", [None, ["1"], {1: Meaning.REFUSED}, {"1": "REFUSED"}, {"1": None}]),
        *bad(DispatchPolicy, "throttle_messages", [None, "操作频繁", [""], ("",), (b"x",), (1,)]),
        *bad(RetryPolicy, "max_attempts", BAD_COUNTS),
        *bad(RetryPolicy, "base_s", [*BAD_SECONDS, None]),
        *bad(RetryPolicy, "cap_s", [*BAD_SECONDS, None]),
        *bad(RetryPolicy, "floor_s", [*BAD_SECONDS, None]),
        *bad(Timeouts, "connect_s", [*BAD_SECONDS, None]),
        *bad(Timeouts, "read_s", [*BAD_SECONDS, None]),
        *bad(Timeouts, "attempt_s", [*BAD_SECONDS, None]),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(kind: type[Any], name: str, value: Any) -> None:
    with canary.raises(ConfigError, match=f"{kind.__name__}.{name} takes"):
        kind(**{name: value})


@pytest.mark.parametrize("share", [-0.01, 1.01, math.nan, "0.01", None])
def test_a_share_is_a_number_from_0_to_1(share: Any) -> None:
    with canary.raises(ConfigError, match="Share takes a number from 0 to 1"):
        Share(share)


def test_the_defaults_are_those_of_the_design() -> None:
    assert attrs.asdict(DispatchPolicy()) == {
        "batch_size": 500,
        "max_batch_bytes": 1_000_000,
        "max_in_flight": None,
        "max_rate": None,
        "linger_s": 5.0,
        "first_contact_s": 15.0,
        "drain_s": 10.0,
        "stall_s": 900.0,
        "retry": {"max_attempts": 8, "base_s": 0.5, "cap_s": 30.0, "floor_s": 0.05},
        "timeouts": {"connect_s": 10.0, "read_s": 60.0, "attempt_s": 120.0},
        "codes": {},
        "throttle_messages": ("操作频繁",),
    }


@pytest.mark.parametrize(
    "given_fields",
    [
        {"batch_size": 1},
        {"batch_size": 500},
        {"max_batch_bytes": 1_000},
        {"max_in_flight": 1},
        {"max_rate": Rate(requests_per_s=0.1)},
        {"linger_s": 1},
        {"first_contact_s": None},
        {"codes": {"40029": Meaning.THROTTLED}},
        {"throttle_messages": ()},
    ],
    ids=repr,
)
def test_values_at_the_edge_of_their_range_pass(given_fields: dict[str, Any]) -> None:
    policy = DispatchPolicy(**given_fields)
    assert {name: getattr(policy, name) for name in given_fields} == given_fields


@pytest.mark.parametrize("given_fields", [{}, {"requests_per_s": 0}, {"records_per_s": -1.0}, {"requests_per_s": True}])
def test_a_rate_that_bounds_nothing_or_everything_is_refused(given_fields: dict[str, Any]) -> None:
    with canary.raises(ConfigError, match="Rate"):
        Rate(**given_fields)


def test_a_policy_is_a_value_that_nothing_changes() -> None:
    codes = {"40029": Meaning.THROTTLED}
    policy = DispatchPolicy(codes=codes, max_rate=Rate(requests_per_s=20, records_per_s=5_000.0))
    codes["40029"] = Meaning.REFUSED
    assert policy.meaning("40029") is Meaning.THROTTLED
    with canary.raises(TypeError):
        policy.codes["40029"] = Meaning.REFUSED  # type: ignore[index] # the point
    with canary.raises(attrs.exceptions.FrozenInstanceError):
        policy.linger_s = 1.0  # type: ignore[misc] # the point
    assert hash(policy) == hash(attrs.evolve(policy))
    assert attrs.evolve(policy) == policy != DispatchPolicy()
    assert pickle.loads(pickle.dumps(policy)) == policy


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("200", Meaning.ACCEPTED),
        ("100100", Meaning.AUTH),
        ("100200", Meaning.AUTH),
        ("100300", Meaning.AUTH),
        ("500", Meaning.UNANSWERED),
        ("599", Meaning.UNANSWERED),
        ("499", Meaning.REFUSED),
        ("600", Meaning.REFUSED),
        ("5000", Meaning.REFUSED),
        ("5٣٣", Meaning.REFUSED),
        ("", Meaning.REFUSED),
    ],
)
def test_a_code_means_what_is_documented_and_else_a_refusal(code: str, meaning: Meaning) -> None:
    assert DispatchPolicy().meaning(code) is meaning


@given(st.text())
def test_every_code_has_a_meaning(code: str) -> None:
    assert isinstance(DispatchPolicy().meaning(code), Meaning)


@pytest.mark.parametrize(
    ("limit", "read", "at_end", "allowed"),
    [
        (None, 10**9, True, math.inf),
        (0, 10**9, False, 0),
        (7, 3, True, 7),
        (Share(0.01), 0, False, 10),
        (Share(0.01), 50, False, 10),
        (Share(0.01), 50, True, 0.5),
        (Share(0.01), 1_000_000, False, 10_000),
        (Share(0), 10**6, True, 0),
    ],
)
def test_a_share_of_rejections_is_judged_as_of_a_thousand_until_the_end(
    limit: int | Share | None, read: int, at_end: bool, allowed: float
) -> None:
    assert allowed_rejections(limit, read, at_end=at_end) == allowed
