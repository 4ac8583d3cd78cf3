"""Where records come from besides the user's own iterables: CSV and JSON Lines files, and iterators kept on the loop.

A file source is a value that can be iterated any number of times; each `iter()` opens the file anew. Its iterator
blocks on the disk, so the reader pulls it in a thread, and has besides `__next__`:

- `line_num`, the line (from 1) on which the record just returned began; lines end at a line feed
- `close()`, idempotent, to be called by the thread that pulls; the end of the file closes too

It yields mappings for admission to check, and `Unreadable` for what is no record. A line costs at most `LINE_CAP`
bytes of memory whatever its length, a record of several lines as much again while it is put together.
"""

from asyncimport.sources.csv_file import CsvFile, read_csv
from asyncimport.sources.inline import Inline, inline
from asyncimport.sources.jsonl_file import JsonlFile, read_jsonl

__all__ = ["CsvFile", "Inline", "JsonlFile", "inline", "read_csv", "read_jsonl"]
