"""The users of `records.py` as a file: `python -m benchmarks.table FILE --records N`.

What an import makes of its rows is byte for byte what the contenders send of the same numbers.
"""

import argparse
import csv
from pathlib import Path

import orjson

from benchmarks import records

#: As `--custom "COLUMN=ID:NAME"` does without a mapping: the header itself names the custom field.
_CUSTOM_COLUMN = "customFields.{}."
_ROW_GROUP = 100_000


def row(n: int) -> dict[str, str]:
    """The cells of user number n by their columns, in the order of the wire."""
    cells = records.user_wire(n)
    custom = cells.pop("customFields")
    return cells | {_CUSTOM_COLUMN.format(field["configId"]): "|".join(field["values"]) for field in custom}


def write(file: Path, count: int) -> None:
    """Write a file of so many users, CSV, JSON Lines or Parquet by its name; always the same."""
    if file.suffix == ".parquet":
        _write_parquet(file, count)
        return
    if file.suffix == ".jsonl":
        with file.open("wb") as lines:
            lines.writelines(orjson.dumps(records.user_wire(n), option=orjson.OPT_APPEND_NEWLINE) for n in range(count))
        return
    with file.open("w", encoding="utf-8", newline="") as opened:
        rows = csv.DictWriter(opened, row(0))
        rows.writeheader()
        rows.writerows(map(row, range(count)))


def _write_parquet(file: Path, count: int) -> None:
    """Texts as in CSV, in row groups of one size, as large files have them."""
    import pyarrow as pa  # noqa: PLC0415 -- of this format alone
    from pyarrow.parquet import ParquetWriter  # noqa: PLC0415

    schema = pa.schema([(column, pa.string()) for column in row(0)])
    with ParquetWriter(file, schema) as writer:
        for first in range(0, count, _ROW_GROUP):
            users = map(row, range(first, min(first + _ROW_GROUP, count)))
            writer.write_table(pa.Table.from_pylist([*users], schema))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table")
    parser.add_argument("file", type=Path)
    parser.add_argument("--records", type=int, required=True)
    given = parser.parse_args()
    write(given.file, given.records)
