"""The bytes that keys and uuids are made of: the same for equal values, for ever."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import canary
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncimport.canonical import canonical


class Kind(StrEnum):
    PHONE = "phone"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, b"n"),
        (True, b"t"),
        (False, b"f"),
        ("", b"0:"),
        ("张", b"3:\xe5\xbc\xa0"),
        (Kind.PHONE, b"5:phone"),
        (0, b"i0e"),
        (-12, b"i-12e"),
        (12.0, b"i12e"),
        (-0.0, b"i0e"),
        (0.5, b"x3fe0000000000000"),
        (1e300, b"x7e37e43c8800759c"),
        ([], b"le"),
        (["a", ("b", None)], b"l1:al1:bnee"),
        ({"b": 1, "a": {"c": None}}, b"d1:ade1:bi1ee"),
    ],
    ids=repr,
)
def test_a_value_has_the_bytes_that_the_docs_tell(value: Any, written: bytes) -> None:
    assert canonical(value) == written


ITEMS = st.text(max_size=3) | st.integers(0, 3) | st.booleans()


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=3), ITEMS | st.dictionaries(st.text(max_size=3), ITEMS), max_size=5))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@settings(max_examples=100)
@given(st.lists(ITEMS, max_size=3), st.lists(ITEMS, max_size=3))
def test_lists_that_differ_have_bytes_that_differ(one: list[Any], other: list[Any]) -> None:
    is_same = [(type(item), item) for item in one] == [(type(item), item) for item in other]
    assert (canonical(one) == canonical(other)) is is_same


def test_what_is_no_json_value_is_a_defect_told_without_the_value() -> None:
    with canary.raises(TypeError, match="bytes is no JSON value"):
        canonical(canary.PERSON.encode())
