"""What files of row groups and of record batches have in common: a schema, and rows that are read from any of them on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, ClassVar, Protocol, Self

from attrs import field, frozen

from asyncimport.errors import ConfigError
from asyncimport.records import Record
from asyncimport.sources.arrow_columns import ArrowColumns, arrow_columns_of
from asyncimport.sources.arrow_rows import GroupedRows, Piece
from asyncimport.sources.counted import Counted
from asyncimport.sources.file_source import FileSource
from asyncimport.sources.mapping import ColumnMapping, reading_of
from asyncimport.sources.origin import File, Origin, opening_of


class Table(Protocol):
    """One opening of such a file."""

    @property
    def schema(self) -> Any:
        """All of its columns, as Arrow has them."""

    def pieces(self, names: Sequence[str], group: int, row: int) -> Iterator[Piece]:
        """The rows from there on, with these columns and perhaps others."""

    def share(self, group: int, row: int) -> float | None:
        """How much of the file lies before this row, 0 to 1; None where one cannot tell."""


@frozen(kw_only=True)
class TableFile(FileSource):
    """A file of tables as a source of records; each iteration opens it anew and expects the same schema."""

    #: How messages name the format, and what has a number in a file of it.
    FORMAT: ClassVar[str]
    GROUP: ClassVar[str]

    columns: ArrowColumns = field(repr=False)
    schema: Any = field(repr=False, eq=False)

    @staticmethod
    @abstractmethod
    def table_in(file: Counted) -> Table | str:
        """Open the table, or say what is wrong with the file."""

    @classmethod
    def of(cls, given: File, record: type[Record], mapping: ColumnMapping | None) -> Self:
        """Read the schema of a file, and what its columns mean.

        Raises:
            ConfigError: as `read_parquet`.
        """
        opening = opening_of(given)
        with closing(opening.anywhere()) as file:
            schema, size_bytes = cls._opened(file, opening.name).schema, file.size_bytes
        try:
            columns = arrow_columns_of(schema, record, mapping)
        except ConfigError as error:
            fault, faults = f"{error}", error.faults
        except UnicodeDecodeError:  # of a damaged name
            fault, faults = "it has a column whose name is no UTF-8: make it anew, or copy it again", ()
        else:
            told = schema.to_string(show_field_metadata=False, show_schema_metadata=False)
            reading = reading_of(record.__name__, told, mapping=mapping)
            origin = Origin(opening, size_bytes, None)
            return cls(path=opening.path, origin=origin, reading=reading, columns=columns, schema=schema)
        raise ConfigError(f"{opening.name}: {fault}", faults)

    @classmethod
    def _opened(cls, file: Counted, name: str) -> Table:
        table = cls.table_in(file)
        if isinstance(table, str):
            raise ConfigError(f"{name} {table}")
        return table

    def __iter__(self) -> GroupedRows:
        """Open the file.

        Raises:
            ConfigError: it can no longer be opened, or has another schema.
        """
        start = (0, 0) if self.start is None else (self.start.offset, self.start.line)
        file = self.origin.anywhere()
        try:
            table = self._table(file)
        except BaseException:
            file.close()
            raise
        pieces = table.pieces(self.columns.names, *start)
        name, group = self.origin.name, self.GROUP
        return GroupedRows(pieces, self.columns, file=file, name=name, group=group, start=start, share=table.share)

    def _table(self, file: Counted) -> Table:
        table = self._opened(file, self.origin.name)
        if not table.schema.equals(self.schema):
            raise ConfigError(f"{self.origin.name} has another schema than when it was first read: read it again")
        return table
