"""The one door: what a user gives as a source that is no iterable of records becomes one."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from asyncimport.aside import aside
from asyncimport.records import Record
from asyncimport.sources.file import open_source
from asyncimport.sources.handed import is_handed


def source_of(source: Any, record: type[Record]) -> Any:
    """The source that reads what was given: a file named by its path or URL, or a file object, by `open_source`.

    All else is returned as it is. Reads the first lines of a file.

    Raises:
        ConfigError: as `open_source`.
    """
    return open_source(source, record) if _is_file(source) else source


async def opened_source(source: Any, record: type[Record]) -> Any:
    """The same without holding up the event loop: a file is opened, and its first lines are read, in a thread.

    Raises:
        ConfigError: as `open_source`.

    Cancellation: the thread is left behind, which a named pipe without a writer may keep for ever.
    """
    if not _is_file(source):
        return source_of(source, record)
    return await aside(partial(source_of, source, record), "asyncimport-opening")


def _is_file(source: object) -> bool:
    return isinstance(source, str | os.PathLike) or is_handed(source)
