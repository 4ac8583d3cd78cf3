"""The fuzz targets, each with some hundred inputs: any bytes, and real ones that were changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

Edit = tuple[int, int, bytes]
EDITS = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 6), st.binary(max_size=6)), max_size=4)


def edited(seed: bytes, edits: Sequence[Edit]) -> bytes:
    """The bytes with stretches of them cut out and others put in."""
    for at, cut, put in edits:
        start = at % (len(seed) + 1)
        seed = seed[:start] + put + seed[start + cut :]
    return seed


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=100)
@given(data=st.data())
def test_any_bytes_are_taken_refused_or_named_and_nothing_else(name: str, folder: Path, data: st.DataObject) -> None:
    target = TARGETS[name]
    near = st.builds(edited, st.sampled_from(target.seeds), EDITS)
    target.run(data.draw(near | st.binary(max_size=200)), folder)
