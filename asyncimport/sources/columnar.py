"""The doors to Parquet and Arrow, for which pyarrow is imported when one of them is opened."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from asyncimport.errors import ConfigError
from asyncimport.records import Record, UserProfile
from asyncimport.sources.mapping import ColumnMapping
from asyncimport.sources.origin import File

if TYPE_CHECKING:
    from asyncimport.sources.arrow_file import ArrowFile
    from asyncimport.sources.arrow_stream import ArrowStream
    from asyncimport.sources.parquet_file import ParquetFile


def read_parquet(
    file: File, record: type[Record] = UserProfile, *, mapping: ColumnMapping | None = None
) -> ParquetFile:
    """Read records from a Parquet file whose columns name the fields of `record` as the header of a CSV file does.

    Columns are named as for `read_csv`: wire or Python names, `customFields.<configId>.<configName>`,
    `identities.<identityType>`, `eventargs.<key>`; a whole list or mapping may also be one column: lists of structs for
    `customFields` and `identities`, a struct or a map for `eventargs`. A `mapping` works as for CSV. Only the columns
    that are needed are read, row group by row group, in bounded memory.

    `file` is as for `read_csv`: a path, a URL or an open binary file, in which one can seek.

    Values keep their types, as in JSON Lines. Null, NaN and NaT are absent, empty texts too unless the mapping keeps them.

    - Text fields take texts, whole numbers and decimals (their digits: ids and phones are often stored as numbers), dates,
      times and timestamps (ISO 8601, with the offset of their time zone where they have one). A float is no identifier:
      1.38e10 is no phone. So do `identities.<type>` and `customFields.<id>.<name>`, which takes a list of those as well.
    - `time` takes whole numbers (milliseconds since 1970) and timestamps with a time zone of any unit. One without is in
      no certain place, and refused, as datetimes without one are everywhere, unless the mapping names its column in `moments`.
    - `eventargs` take any value but bytes: decimals of at most 15 digits and floats are numbers, longer decimals text, moments
      ISO 8601 text. An argument of the mapping's type `text` is made text as a Text field is, one of type `number` is
      read from text.

    Dictionaries are decoded. A row that has nothing in any column that is read is yielded as `Unreadable`, as is one whose
    text is no number where one is asked for. A file that cannot be read to its end ends the iteration with SourceError.

    Raises:
        ConfigError: at once, when the file cannot be opened, is no whole Parquet file or is encrypted; with every column that
            is unknown, doubled or of a type that cannot fill its field; when a column or field of the mapping is none;
            without pyarrow.
    """
    check_pyarrow()
    from asyncimport.sources.parquet_file import ParquetFile  # noqa: PLC0415 -- pyarrow

    return ParquetFile.of(file, record, mapping)


def read_arrow(file: File, record: type[Record] = UserProfile, *, mapping: ColumnMapping | None = None) -> ArrowFile:
    """Read records from an Arrow IPC file (Feather 2), of the file or of the stream format: columns as for `read_parquet`.

    A record batch is read as a whole, so memory is that of the largest. A stream can only be read from its beginning.

    Raises:
        ConfigError: as `read_parquet`, of an Arrow file.
    """
    check_pyarrow()
    from asyncimport.sources.arrow_file import ArrowFile  # noqa: PLC0415 -- pyarrow

    return ArrowFile.of(file, record, mapping)


def from_arrow(table: Any, record: type[Record] = UserProfile, *, mapping: ColumnMapping | None = None) -> ArrowStream:
    """Take records from a pandas or polars frame, a DuckDB relation, a pyarrow table or reader: any object with `__arrow_c_stream__`.

    Columns are as for `read_parquet`. The index of a pandas frame is a column when it has a name. A
    `pyarrow.RecordBatchReader` is iterated once, everything else as often as it hands itself over. pandas converts a frame
    as a whole in this call, whatever of it is not stored as Arrow already.

    Raises:
        ConfigError: at once, as `read_parquet`; of an object that is no table.
    """
    check_pyarrow()
    from asyncimport.sources.arrow_stream import ArrowStream  # noqa: PLC0415 -- pyarrow

    return ArrowStream(table, record, mapping)


def check_pyarrow() -> None:
    """Look whether pyarrow is there.

    Raises:
        ConfigError: it is not.
    """
    if find_spec("pyarrow") is None:
        raise ConfigError('Parquet and Arrow need pyarrow: pip install "asyncimport[arrow]"')
