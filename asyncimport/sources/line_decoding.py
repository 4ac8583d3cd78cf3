"""The promise of an iterator that its lines may be made records by somebody who does it faster."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from typing import Any


class LineDecoding(ABC):
    """An iterator over lines, each of which is one record as it stands.

    What `decode` makes of a line is yielded as it is; where it gives None, the iterator reads the line itself.
    """

    __slots__ = ()

    decode: Callable[[bytes], Any]
