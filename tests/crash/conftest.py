"""How much is killed: some in each `make test`, all that there is in `make soak`."""

from __future__ import annotations

import os

import pytest
from attrs import frozen


@frozen(kw_only=True)
class Scale:
    """How long the crash tests may take."""

    #: Of each kind of source.
    kills: int
    count: int
    batch_size: int
    #: Kills at calls of each kind of run: with few batches, and at the end of one with many. None is every call.
    calls: tuple[int, int] | None


SOME = Scale(kills=3, count=12_000, batch_size=20, calls=(10, 5))
ALL = Scale(kills=50, count=60_000, batch_size=20, calls=None)


@pytest.fixture(scope="session")
def scale() -> Scale:
    return ALL if os.environ.get("ASYNCIMPORT_SOAK") else SOME
