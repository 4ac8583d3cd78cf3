"""A file by its name: which format it has, and the source that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Unpack

import orjson
from attrs import evolve

from asyncimport.errors import ConfigError
from asyncimport.records import Record
from asyncimport.sources.columnar import read_arrow, read_parquet
from asyncimport.sources.csv_file import CsvFile, csv_file_of
from asyncimport.sources.dialect import CsvOptions, Dialect
from asyncimport.sources.input import STDIN, is_there
from asyncimport.sources.jsonl_file import JsonlFile, jsonl_file_of
from asyncimport.sources.mapping import ColumnMapping
from asyncimport.sources.origin import File, Opening, Origin, opening_of, origin_of

if TYPE_CHECKING:
    from asyncimport.sources.arrow_file import ArrowFile
    from asyncimport.sources.parquet_file import ParquetFile

_FORMATS: Final = ("csv", "tsv", "jsonl", "parquet", "arrow")
_ENDINGS: Final = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".feather": "arrow", ".arrows": "arrow", ".ipc": "arrow",
}  # fmt: skip
_PACKED: Final = (".gz", ".gzip", ".zst", ".zstd")
_UTF_8: Final = ("utf-8", "ascii")


def open_source(
    file: File,
    record: type[Record],
    *,
    format: str | None = None,  # noqa: A002 -- what users call it
    mapping: ColumnMapping | None = None,
    **dialect: Unpack[CsvOptions],
) -> CsvFile | JsonlFile | ParquetFile | ArrowFile:
    """Read records from a file of any format: `read_csv`, `read_jsonl`, `read_parquet` or `read_arrow`, which tell what `file` may be.

    `format` is csv, tsv, jsonl, parquet or arrow. None tells it by the ending (.csv .tsv .tab .jsonl .ndjson, also before
    .gz and .zst; .parquet .pq; .arrow .feather .arrows .ipc), of standard input (`-`), pipes, file objects and URLs without such an ending by what comes first: a brace means JSON
    Lines. A .json file must hold JSON Lines, as many programs write under that name.

    Raises:
        ConfigError: a format that is not known, JSON Lines with an encoding other than UTF-8 or with any other part of a
            dialect, Parquet and Arrow with any; and as the function that reads the format.
    """
    asked = Dialect(**dialect)
    opening = opening_of(file)
    known = _format_of(opening, format)
    if known in {"parquet", "arrow"}:
        if asked.encoding not in _UTF_8:
            raise ConfigError(f"{opening.name}: a file of the format {known} has no encoding: leave it out")
        for part in asked.particulars:
            raise ConfigError(f"{opening.name}: a file of the format {known} has no {part}: leave it out")
        return (read_parquet if known == "parquet" else read_arrow)(file, record, mapping=mapping)
    origin = origin_of(opening)
    if known == "tsv" and asked.delimiter is None:
        asked = evolve(asked, delimiter="\t")
    if known in {"csv", "tsv"} or (known is None and not _begins_as_json(origin)):
        return csv_file_of(origin, record, asked, mapping)
    if known == "json":
        _check_json_lines(origin)
    if asked.encoding not in _UTF_8:
        raise ConfigError(f"{origin.name}: JSON Lines are UTF-8: convert it, as in iconv -f {asked.encoding} -t utf-8")
    for part in asked.particulars:
        raise ConfigError(f"{origin.name}: JSON Lines have no {part}: leave it out, or give the format csv")
    return jsonl_file_of(origin, record, mapping)


def _format_of(opening: Opening, given: str | None) -> str | None:
    """The format, json for what may be JSON Lines, None for what only the content tells."""
    if given is not None:
        if given not in _FORMATS:
            raise ConfigError(f"the format takes one of {', '.join(_FORMATS)}")
        return given
    path = opening.path
    if path == STDIN:
        return None
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    while suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    ending = suffixes[-1] if suffixes else ""
    if ending not in _ENDINGS and opening.is_strict:
        if is_there(path):
            opening.opened().close()  # of a directory, a device or a workbook the ending is not what is wrong
        raise ConfigError(
            f"{path}: a file ending in {ending or 'nothing'} is not known: give .csv, .tsv, .jsonl or .ndjson, "
            f"packed by gzip or zstd or not, .parquet or .arrow, or say its format ({', '.join(_FORMATS)})"
        )
    return _ENDINGS.get(ending)


def _first_line(origin: Origin) -> bytes:
    """The first line that is not blank."""
    with origin.first_lines() as lines:
        for line in lines:
            if line.strip():
                return line
    return b""


def _begins_as_json(origin: Origin) -> bool:
    start = _first_line(origin).lstrip()[:1]
    if start == b"[":
        raise _no_json_lines(origin)
    return start == b"{"


def _check_json_lines(origin: Origin) -> None:
    try:
        is_object = type(orjson.loads(_first_line(origin) or b"{}")) is dict
    except orjson.JSONDecodeError:
        is_object = False
    if not is_object:
        raise _no_json_lines(origin)


def _no_json_lines(origin: Origin) -> ConfigError:
    return ConfigError(
        f"{origin.name} holds JSON, but no JSON Lines: write each record on a line of its own, as in jq -c '.[]'"
    )
