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
    #: Of all calls that a process makes with few batches, and of the last ones that it makes with many; None is every one.
    calls: tuple[int | None, int | None]


SOME = Scale(kills=4, count=12_000, batch_size=20, calls=(11, 4))
ALL = Scale(kills=50, count=60_000, batch_size=20, calls=(None, None))


@pytest.fixture(scope="session")
def scale() -> Scale:
    return ALL if os.environ.get("ASYNCIMPORT_SOAK") else SOME
