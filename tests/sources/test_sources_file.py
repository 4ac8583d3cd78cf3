import gzip
import os
from pathlib import Path
from typing import Any

import canary
import pytest

from asyncimport.errors import ConfigError
from asyncimport.records import UserProfile
from asyncimport.sources import ColumnMapping, CsvFile, JsonlFile, open_source

CSV = b"phone,realName\n1,a\n"
TSV = b"phone\trealName\n1\ta\n"
JSONL = b'{"phone": "1", "realName": "a"}\n'
RECORD = {"phone": "1", "realName": "a"}


@pytest.mark.parametrize(
    ("name", "content", "how", "kind"),
    [
        ("users.csv", CSV, {}, CsvFile),
        ("USERS.CSV", CSV, {}, CsvFile),
        ("users.tsv", TSV, {}, CsvFile),
        ("users.tab", TSV, {}, CsvFile),
        ("users.jsonl", JSONL, {}, JsonlFile),
        ("users.ndjson", JSONL, {}, JsonlFile),
        ("users.json", b"\n" + JSONL, {}, JsonlFile),
        ("users.json", b"", {}, JsonlFile),
        ("users.csv.gz", gzip.compress(CSV, mtime=0), {}, CsvFile),
        ("users.2025.jsonl.GZ", gzip.compress(JSONL, mtime=0), {}, JsonlFile),
        ("users.csv", gzip.compress(CSV, mtime=0), {}, CsvFile),
        ("users", CSV, {"format": "csv"}, CsvFile),
        ("users.txt", TSV, {"format": "tsv"}, CsvFile),
        ("users.csv", JSONL, {"format": "jsonl"}, JsonlFile),
        ("users.tsv", CSV, {"delimiter": ","}, CsvFile),
        ("users.jsonl", JSONL, {"encoding": "utf-8"}, JsonlFile),
        ("users.jsonl", JSONL, {"encoding": "ascii"}, JsonlFile),
    ],
)
def test_the_format_is_told_by_the_ending_or_given(
    tmp_path: Path, name: str, content: bytes, how: dict[str, Any], kind: type[Any]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    source = open_source(path, UserProfile, **how)
    assert isinstance(source, kind)
    assert source.size_bytes == len(content)
    assert list(source) == [RECORD] * bool(content)


@pytest.mark.parametrize(
    ("name", "content", "how", "message"),
    [
        (
            "users.xlsx",
            b"PK",
            {},
            "users.xlsx: a file ending in .xlsx is not known: give .csv, .tsv, .jsonl or .ndjson",
        ),
        ("users.gz", b"", {}, "users.gz: a file ending in nothing is not known"),
        ("users", CSV, {}, "users: a file ending in nothing is not known: give .csv, .tsv, .jsonl or .ndjson"),
        ("users.csv", CSV, {"format": "xml"}, "the format takes one of csv, tsv, jsonl"),
        ("users.json", b"[\n" + JSONL, {}, "users.json holds JSON, but no JSON Lines: write each record on a line"),
        ("users.json", b"[]", {}, "users.json holds JSON, but no JSON Lines: write each record on a line"),
        (
            "users.json",
            b'{\n"phone": "1"}',
            {},
            "users.json holds JSON, but no JSON Lines: write each record on a line",
        ),
        (
            "users.jsonl",
            JSONL,
            {"encoding": "gbk"},
            "users.jsonl: JSON Lines are UTF-8: convert it, as in iconv -f gbk",
        ),
        ("users.jsonl", JSONL, {"encoding": "x"}, "encoding is no text encoding that Python knows"),
        ("users.jsonl", JSONL, {"delimiter": ";"}, "users.jsonl: JSON Lines have no delimiter: leave it out"),
        ("users.csv", CSV, {"format": "csv", "delimiter": ";;"}, "delimiter takes one character"),
        ("missing.csv", None, {}, "missing.csv does not exist: check the path"),
        ("missing.xlsx", None, {}, "missing.xlsx: a file ending in .xlsx is not known: give .csv"),
        ("nul\0byte", None, {}, "nul\0byte: a file ending in nothing is not known: give .csv"),
        ("users.xlsx", b"PK\x03\x04", {}, "users.xlsx is a zip archive or an Excel workbook: unpack it, or save it"),
    ],
)
def test_what_cannot_be_opened_so_is_refused_with_advice(
    tmp_path: Path, name: str, content: bytes | None, how: dict[str, Any], message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with canary.raises(ConfigError) as refused:
        open_source(tmp_path / name, UserProfile, **how)
    assert str(refused.value).removeprefix(f"{tmp_path}/").startswith(message)


@pytest.mark.parametrize(
    ("content", "kind", "lines"),
    [
        (CSV, CsvFile, [2]),
        (TSV, CsvFile, [2]),
        (JSONL, JsonlFile, [1]),
        (b"\n\n" + CSV, CsvFile, [4]),
        (b"\n \n" + JSONL + b"\n" + JSONL, JsonlFile, [3, 5]),
        (b"\xef\xbb\xbf" + JSONL, JsonlFile, [1]),
        (b"\xef\xbb\xbf" + CSV, CsvFile, [2]),
        (gzip.compress(JSONL, mtime=0), JsonlFile, [1]),
    ],
    ids=["csv", "tsv", "jsonl", "csv-after-blanks", "jsonl-after-blanks", "bom", "csv-bom", "gzip"],
)
def test_the_format_of_a_pipe_is_told_by_what_comes_first(content: bytes, kind: type[Any], lines: list[int]) -> None:
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    source = open_source(f"/dev/fd/{reading}", UserProfile)
    os.close(reading)
    assert isinstance(source, kind)
    assert source.size_bytes is None
    rows = iter(source)
    assert [(rows.line_num, item) for item in rows] == [(line, RECORD) for line in lines]
    assert rows.bytes_read == len(content)


@pytest.mark.parametrize("name", ["exports", "exports.d", "exports.csv"], ids=["no-ending", "unknown", "known"])
def test_of_a_directory_that_is_told_and_not_its_ending(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with canary.raises(ConfigError) as refused:
        open_source(tmp_path / name, UserProfile)
    assert str(refused.value) == f"{tmp_path / name} is a directory: give the path of one file"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".", ". is a directory: give the path of one file"),
        (os.devnull, f"{os.devnull} is neither a regular file nor a pipe: give the path of one file"),
    ],
    ids=["here", "device"],
)
def test_of_what_is_no_file_that_is_told_and_not_its_ending(path: str, message: str) -> None:
    with canary.raises(ConfigError) as refused:
        open_source(path, UserProfile)
    assert str(refused.value) == message


def test_a_delimiter_that_is_none_is_refused_for_a_pipe_too() -> None:
    reading, writing = os.pipe()
    os.write(writing, CSV)
    os.close(writing)
    with canary.raises(ConfigError, match="delimiter takes one character"):
        open_source(f"/dev/fd/{reading}", UserProfile, delimiter=";;")
    os.close(reading)


def test_an_array_in_a_pipe_is_refused_with_advice() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"[" + JSONL)
    os.close(writing)
    with canary.raises(ConfigError, match="holds JSON, but no JSON Lines"):
        open_source(f"/dev/fd/{reading}", UserProfile)
    os.close(reading)


@pytest.mark.parametrize(("name", "content"), [("x.csv", b"tel\n1\n"), ("x.jsonl", b'{"tel": "1"}')])
def test_a_mapping_is_taken_for_each_format(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    mapping = ColumnMapping(columns={"tel": "phone"})
    assert list(open_source(tmp_path / name, UserProfile, mapping=mapping)) == [{"phone": "1"}]
