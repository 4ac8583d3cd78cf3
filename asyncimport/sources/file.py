"""A file by its name: which format it has, and the source that reads it."""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from pathlib import Path
from typing import Final

import orjson

from asyncimport.errors import ConfigError
from asyncimport.records import Record
from asyncimport.sources.csv_file import CsvFile, check_delimiter, csv_file_of, read_csv
from asyncimport.sources.encoding import codec_of
from asyncimport.sources.input import STDIN, is_stream, is_there, opened, path_of
from asyncimport.sources.jsonl_file import JsonlFile, jsonl_file_of
from asyncimport.sources.mapping import ColumnMapping
from asyncimport.sources.origin import Origin, origin_of

_FORMATS: Final = ("csv", "tsv", "jsonl")
_ENDINGS: Final = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}
_PACKED: Final = (".gz", ".gzip")
_UTF_8: Final = ("utf-8", "ascii")


def open_source(
    path: str | os.PathLike[str],
    record: type[Record],
    *,
    format: str | None = None,  # noqa: A002 -- what users call it
    encoding: str = "utf-8-sig",
    delimiter: str | None = None,
    mapping: ColumnMapping | None = None,
) -> CsvFile | JsonlFile:
    """Read records from a file of any format: `read_csv` or `read_jsonl`.

    `format` is csv, tsv or jsonl. None tells it by the ending (.csv .tsv .tab .jsonl .ndjson, also before .gz), of
    standard input (`-`) and of pipes without such an ending by what comes first: a brace means JSON Lines. A .json
    file must hold JSON Lines, as many programs write under that name.

    Raises:
        ConfigError: a format that is not known, JSON Lines with an encoding other than UTF-8 or with a delimiter; and
            as `read_csv` and `read_jsonl`.
    """
    name = path_of(path)
    known = _format_of(name, format)
    if known in {"csv", "tsv"}:
        return read_csv(name, record, encoding=encoding, delimiter=delimiter or _delimiter(known), mapping=mapping)
    codec = codec_of(encoding)
    check_delimiter(delimiter)
    origin = origin_of(name)
    if known is None and not _begins_as_json(origin):
        return csv_file_of(origin, record, codec, delimiter, mapping)
    if known == "json":
        _check_json_lines(origin)
    if codec not in _UTF_8:
        raise ConfigError(f"{origin.name}: JSON Lines are UTF-8: convert it, as in iconv -f {codec} -t utf-8")
    if delimiter is not None:
        raise ConfigError(f"{origin.name}: JSON Lines have no delimiter: leave it out, or give the format csv")
    return jsonl_file_of(origin, record, mapping)


def _delimiter(known: str | None) -> str | None:
    return "\t" if known == "tsv" else None


def _format_of(path: str, given: str | None) -> str | None:
    """The format, json for what may be JSON Lines, None for what only the content tells."""
    if given is not None:
        if given not in _FORMATS:
            raise ConfigError(f"the format takes one of {', '.join(_FORMATS)}")
        return given
    if path == STDIN:
        return None
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    while suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    ending = suffixes[-1] if suffixes else ""
    if ending not in _ENDINGS and not is_stream(path):
        if is_there(path):
            opened(path).close()  # of a directory, a device or a workbook the ending is not what is wrong
        raise ConfigError(
            f"{path}: a file ending in {ending or 'nothing'} is not known: give .csv, .tsv, .jsonl or .ndjson, "
            f"packed by gzip or not, or say its format ({', '.join(_FORMATS)})"
        )
    return _ENDINGS.get(ending)


def _first_line(origin: Origin) -> bytes:
    """The first line that is not blank."""
    with origin.first_lines() as lines:
        for number, line in enumerate(lines):
            text = line if number else line.removeprefix(BOM_UTF8)
            if text.strip():
                return text
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
