"""The one door: what a user gives as a source that is no iterable of records becomes one."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from asyncimport.aside import aside
from asyncimport.records import Record
from asyncimport.sources.columnar import from_arrow
from asyncimport.sources.file import open_source
from asyncimport.sources.handed import is_handed


def source_of(source: Any, record: type[Record]) -> Any:
    """The source that reads what was given: of a file, named by its path or URL, or a file object, `open_source`; of a table with
    `__arrow_c_stream__` `from_arrow`.

    All else is returned as it is. Reads the first lines of a file; a large frame may take seconds to be converted.

    Raises:
        ConfigError: as these.
    """
    if _is_table(source):
        return from_arrow(source, record)
    return open_source(source, record) if _is_file(source) else source


async def opened_source(source: Any, record: type[Record]) -> Any:
    """The same without holding up the event loop: a file is opened, and its first lines are read, in a thread.

    Raises:
        ConfigError: as `source_of`.

    Cancellation: the thread is left behind, which a named pipe without a writer may keep for ever.
    """
    if not (_is_file(source) or _is_table(source)):
        return source
    return await aside(partial(source_of, source, record), "asyncimport-opening")


def _is_table(source: object) -> bool:
    return hasattr(type(source), "__arrow_c_stream__")


def _is_file(source: object) -> bool:
    return isinstance(source, str | os.PathLike) or is_handed(source)
