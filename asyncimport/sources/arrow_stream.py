"""Tables in memory, or made as they are read: whatever hands itself over as a stream of Arrow's record batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from asyncimport.errors import ConfigError
from asyncimport.records import Record
from asyncimport.sources.arrow_columns import arrow_columns_of
from asyncimport.sources.arrow_rows import PIECE_ROWS, ArrowRows, Piece
from asyncimport.sources.mapping import ColumnMapping

#: What pyarrow says beside the value that it could not convert, and what it says where no value was looked at.
_OF_A_COLUMN: Final = "Conversion failed for column "
_OF_A_SCHEMA: Final = ("Cannot import schema", "Invalid or unsupported format string", "Duplicate column names found")


class ArrowStream:
    """An object with `__arrow_c_stream__` as a source of records, iterated as often as it hands itself over."""

    def __init__(self, table: Any, record: type[Record], mapping: ColumnMapping | None) -> None:
        """Ask for its schema.

        Raises:
            ConfigError: as `from_arrow`.
        """
        self._table = table
        reader = _reader(table)
        self._schema = reader.schema
        self._columns = arrow_columns_of(self._schema, record, mapping)
        #: Asked for already: to be read by the first iteration.
        self._reader: Any = reader
        self._comes_once = isinstance(table, pa.RecordBatchReader)

    def __iter__(self) -> ArrowRows:
        """Begin to read it.

        Raises:
            ConfigError: it comes only once and was read already, or has another schema now.
        """
        reader, self._reader = self._reader, None
        if reader is None:
            if self._comes_once:
                raise ConfigError("the reader was read already and comes only once: make it a table to read it again")
            reader = _reader(self._table)
        if not reader.schema.equals(self._schema):
            raise ConfigError("the table has another schema than when it was first read: call from_arrow again")
        return ArrowRows(_pieces(reader), self._columns)

    def __repr__(self) -> str:
        return f"<ArrowStream of {type(self._table).__name__}>"


def _pieces(reader: Any) -> Iterator[Piece]:
    """The rows, counted through all record batches."""
    first = 0
    for batch in reader:
        for start in range(0, batch.num_rows, PIECE_ROWS):
            yield Piece(group=0, first=first + start, batch=batch.slice(start, PIECE_ROWS), is_last=False)
        first += batch.num_rows


def _reader(table: Any) -> Any:
    """The table as a stream of record batches.

    Raises:
        ConfigError: it does not hand itself over as one.
    """
    kind = type(table).__name__
    if not hasattr(type(table), "__arrow_c_stream__"):
        raise ConfigError(f"from_arrow takes an object with __arrow_c_stream__, such as a frame or a table, got {kind}")
    try:
        return pa.RecordBatchReader.from_stream(table)
    except Exception as error:  # noqa: BLE001 -- libraries raise what they like, with values of the rows in it
        why = _why(error)
    raise ConfigError(f"the {kind} cannot be handed over as a table: {why}")


def _why(error: Exception) -> str:
    """What an error says of columns and types; what it may say of values is left out."""
    column = next((each for each in error.args[1:] if f"{each}".startswith(_OF_A_COLUMN)), None)
    if column is not None:
        return f"{column}: give it values of one type"
    text = f"{error}".partition("\n")[0][:200]
    return text if text.startswith(_OF_A_SCHEMA) else type(error).__name__
