"""Where records come from besides the user's own iterables: CSV and JSON Lines files, and iterators kept on the loop.

A file source is a value that can be iterated any number of times; each `iter()` opens the file anew (standard input,
pipes and file objects that cannot be sought in come once). Its iterator blocks on the disk or pipe, so the reader pulls it in a thread, and has besides `__next__`:

- `line_num`, the line (from 1) on which the record just returned began; lines end at a line feed
- `close()`, idempotent, to be called by the thread that pulls; the end of the file closes too
- `column_of(place)`, the column or key that filled a place of the record just returned; called by the thread that pulls
- `where()`, the `Place` of the record just returned: its line, and its first byte in a plain file; called by that thread too
- `bytes_read`, how much was taken from the disk or pipe, and `bytes_passed`, the same and what was passed over by seeking
  (`size_bytes` of the source is the whole); for any thread
- `unseen`, the keys that a mapping of JSON names and no record has had so far, for any thread; of CSV always none, its
  header is held against the mapping before anything is read
- `interrupt()`, idempotent, for any thread: a `__next__` that waits for a pipe raises SourceError soon

It yields mappings for admission to check, and `Unreadable` for what is no record. A line costs at most `LINE_CAP`
bytes of memory whatever its length, a record of several lines as much again while it is put together. A file packed by
gzip or zstd is unpacked on the way.
"""

from asyncimport.sources.columnar import from_arrow, read_arrow, read_parquet
from asyncimport.sources.csv_file import CsvFile, read_csv
from asyncimport.sources.dialect import CsvOptions
from asyncimport.sources.file import open_source
from asyncimport.sources.inline import Inline, inline
from asyncimport.sources.jsonl_file import JsonlFile, read_jsonl
from asyncimport.sources.mapping import ColumnMapping, CustomFieldColumn, IdentityColumn
from asyncimport.sources.mapping_file import read_mapping
from asyncimport.sources.replay import ReplayFile, replay

__all__ = [
    "ColumnMapping",
    "CsvFile",
    "CsvOptions",
    "CustomFieldColumn",
    "IdentityColumn",
    "Inline",
    "JsonlFile",
    "ReplayFile",
    "from_arrow",
    "inline",
    "open_source",
    "read_arrow",
    "read_csv",
    "read_jsonl",
    "read_mapping",
    "read_parquet",
    "replay",
]
