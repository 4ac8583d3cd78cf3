"""A process that has no file descriptor left."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_descriptors() -> Iterator[list[int]]:
    """Leave none for the length of a block, or until what is yielded is given to `given_back`."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    try:
        probe = os.open(os.devnull, os.O_RDONLY)
        held.append(probe)
        resource.setrlimit(resource.RLIMIT_NOFILE, (probe + 1, limits[1]))
        while True:
            try:
                held.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        yield held
    finally:
        given_back(held)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def given_back(held: list[int]) -> None:
    """There are descriptors again."""
    while held:
        os.close(held.pop())
