"""Tables of tests: written as Parquet or Arrow files, or taken as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from asyncimport.records import Record, UserProfile
from asyncimport.sources import ColumnMapping, from_arrow

FORMATS = ("parquet", "arrow", "arrows")


def people(count: int, first: int = 0) -> Any:
    """Users whose ids and phones are numbers, told apart by them."""
    numbers = range(first, first + count)
    return pa.table(
        {"thirdId": pa.array(numbers, pa.int64()), "phone": pa.array([13_800_000_000 + n for n in numbers], pa.int64())}
    )


def written(table: Any, path: Path, group: int = 1_000) -> Path:
    """A table as a file of the format that its name says, in row groups or record batches of so many rows."""
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=group)
        return path
    new = pa.ipc.new_stream if path.suffix == ".arrows" else pa.ipc.new_file
    with path.open("wb") as file, new(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=group)
    return path


def rows(
    columns: Mapping[str, Any] | Any, record: type[Record] = UserProfile, mapping: ColumnMapping | None = None
) -> list[Any]:
    """What the rows of a table become; nulls are left out, as they are absent."""
    table = pa.table(columns) if isinstance(columns, Mapping) else columns
    return [present(row) for row in from_arrow(table, record, mapping=mapping)]


def present(row: Any) -> Any:
    return {name: value for name, value in row.items() if value is not None} if isinstance(row, dict) else row
