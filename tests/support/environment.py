"""Variables of the environment as a test sets them, first of all those that the package reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

NAMES = ("ASYNCIMPORT_BASE_URL", "ASYNCIMPORT_TOKEN", "ASYNCIMPORT_APP_ID", "ASYNCIMPORT_APP_SECRET")


@contextmanager
def with_only(variables: Mapping[str, str], *, of: Iterable[str] = NAMES) -> Iterator[None]:
    """Hold these variables and no other of those names, and put all back."""
    before = {name: os.environ.pop(name, None) for name in {*of, *variables}}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
