"""The variables that the package reads, as a test sets them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

NAMES = ("ASYNCIMPORT_BASE_URL", "ASYNCIMPORT_TOKEN", "ASYNCIMPORT_APP_ID", "ASYNCIMPORT_APP_SECRET")


@contextmanager
def with_only(variables: Mapping[str, str]) -> Iterator[None]:
    """Hold these variables and none of the others, and put all back."""
    before = {name: os.environ.pop(name, None) for name in NAMES}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
