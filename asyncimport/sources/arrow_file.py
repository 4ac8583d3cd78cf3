"""Arrow IPC files: record batches with a footer that tells where each is, or the same one after the other (a stream)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, Final

import pyarrow as pa
from attrs import field, frozen
from pyarrow import types

from asyncimport.sources.arrow_rows import Piece, pieces_of
from asyncimport.sources.counted import Counted
from asyncimport.sources.table_file import Table, TableFile

#: Stands at both ends of the file format.
_MAGIC: Final = b"ARROW1"
#: Begins each message of a stream; with a length of zero it ends the stream.
_MESSAGE: Final = b"\xff\xff\xff\xff"
_FEATHER_1: Final = b"FEA1"


@frozen(kw_only=True)
class ArrowFile(TableFile):
    """An Arrow IPC file as a source of records."""

    KIND: ClassVar[str] = "arrow"
    FORMAT: ClassVar[str] = "Arrow"
    GROUP: ClassVar[str] = "record batch"

    @staticmethod
    def table_in(file: Counted) -> Table | str:
        fault = _fault(file)
        if fault is not None:
            return fault
        try:
            table = ArrowTable(file=file, is_stream=file.start(len(_MAGIC)) != _MAGIC)
        except (pa.ArrowException, OSError):
            return "has a schema that cannot be read: make it anew, or copy it again"
        return table


def _fault(file: Counted) -> str | None:
    """What is wrong with both ends of a file."""
    start = file.start(len(_MAGIC))
    if not start:
        return "is empty: an Arrow file has a schema even without rows"
    if start.startswith(_FEATHER_1):
        return "is a Feather file of version 1: write it in version 2, which is Arrow"
    if start != _MAGIC and not start.startswith(_MESSAGE):
        return "is no Arrow file: give the format that it has"
    end = _MAGIC if start == _MAGIC else _MESSAGE + bytes(4)
    return None if file.end(len(end)) == end else "is cut off: copy it again, or wait until it is written"


@frozen(kw_only=True)
class ArrowTable:
    """One opening of an Arrow file."""

    file: Counted
    is_stream: bool
    schema: Any = field(init=False)
    #: Record batches; 0 of a stream, which does not tell.
    batches: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Read the schema.

        Raises:
            ArrowException, OSError: it cannot be read.
        """
        reader = self._reader()
        object.__setattr__(self, "schema", reader.schema)
        object.__setattr__(self, "batches", 0 if self.is_stream else reader.num_record_batches)

    def _reader(self, **options: Any) -> Any:
        self.file.seek(0)
        opened = pa.ipc.open_stream if self.is_stream else pa.ipc.open_file
        return opened(self.file, options=pa.ipc.IpcReadOptions(**options))

    def pieces(self, names: Sequence[str], group: int, row: int) -> Iterator[Piece]:
        """The rows from there on; nothing of the record batches before is read, if it is no stream."""
        wanted = [self.schema.get_field_index(name) for name in names]
        for number, batch in enumerate(self._batches(wanted, group), group):
            _check(batch)
            yield from pieces_of(batch, number, row if number == group else 0)

    def share(self, group: int, row: int) -> float | None:  # noqa: ARG002 -- the rows of a batch are counted in the batch alone
        """By record batches; of a stream nobody knows how many there are."""
        if self.is_stream:
            return None
        return group / self.batches if self.batches else 1.0

    def _batches(self, wanted: list[int], first: int) -> Iterator[Any]:
        reader = self._reader(included_fields=wanted)
        if self.is_stream:
            return islice(reader, first, None)
        return map(reader.get_batch, range(first, reader.num_record_batches))


def _check(batch: Any) -> None:
    """Look whether a batch, which lies in memory as it lay on the disk, points nowhere outside of itself.

    Raises:
        ArrowInvalid: it does. Texts that are no UTF-8 are left for the record that they are of.
    """
    for column in batch.columns:
        is_text = types.is_string(column.type) or types.is_large_string(column.type)
        binary = pa.large_binary() if types.is_large_string(column.type) else pa.binary()
        (column.view(binary) if is_text else column).validate(full=True)
