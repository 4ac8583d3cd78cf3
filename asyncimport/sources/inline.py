"""The marker for iterators that are bound to the event loop's thread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import frozen


@frozen
class Inline:
    """An iterable that the reader pulls on the event loop itself, which waits while it makes a record."""

    records: Iterable[Any]


def inline(records: Iterable[Any]) -> Inline:
    """Keep an iterable on the event loop's thread, for database cursors and others that refuse any other thread.

    The loop stands still while the iterable makes a record: only for iterables that are quick at it.
    """
    return Inline(records)
