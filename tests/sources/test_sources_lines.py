import gzip
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import canary
import pytest

from asyncimport.errors import ConfigError
from asyncimport.sources import read_csv, read_jsonl
from asyncimport.sources.lines import LINE_CAP, LONG_LINE, TOO_LONG, lines_of, opened

READERS: list[Callable[[Any], Any]] = [read_csv, read_jsonl]


@pytest.fixture(params=READERS, ids=["csv", "jsonl"])
def read(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    reader: Callable[[Any], Any] = request.param
    return reader


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (gzip.compress(b"phone\n1\n"), "is compressed by gzip: unpack it first"),
        (gzip.compress(bytes(50_000_000)), "is compressed by gzip: unpack it first"),
        (b"\x28\xb5\x2f\xfd\x00", "is compressed by zstd: unpack it first"),
        (b"PK\x03\x04\x14\x00", "is a zip archive or an Excel workbook: unpack it, or save it as CSV UTF-8"),
        (b"PAR1\x15\x04", "is a Parquet file: read it as such, or save it as CSV UTF-8"),
        ("phone\n1\n".encode("utf-16"), "is UTF-16 text: save it as UTF-8"),
    ],
    ids=["gzip", "gzip-bomb", "zstd", "workbook", "parquet", "utf-16"],
)
def test_what_is_no_text_file_is_refused_at_once_with_advice(
    read: Callable[[Any], Any], tmp_path: Path, content: bytes, advice: str
) -> None:
    path = tmp_path / "people"
    path.write_bytes(content)
    with canary.raises(ConfigError) as refused:
        read(path)
    assert str(refused.value) == f"{path} {advice}"


def test_a_missing_file_is_refused_at_once(read: Callable[[Any], Any], tmp_path: Path) -> None:
    with canary.raises(ConfigError, match="does not exist: check the path"):
        read(tmp_path / "nobody.csv")


def test_a_directory_is_refused_at_once(read: Callable[[Any], Any], tmp_path: Path) -> None:
    with canary.raises(ConfigError, match="is a directory: give the path of one file"):
        read(tmp_path)


def test_a_pipe_is_refused_without_waiting_for_its_writer(read: Callable[[Any], Any], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with canary.raises(ConfigError, match="is no regular file"):
        read(pipe)


def test_a_path_that_the_system_refuses_is_a_sentence_too(read: Callable[[Any], Any], tmp_path: Path) -> None:
    with canary.raises(ConfigError, match=r"cannot be opened \(.+\): check the path and its permissions"):
        read(tmp_path / ("x" * 5000))
    with canary.raises(ConfigError, match="cannot be opened"):
        read("nul\0byte")


@pytest.mark.parametrize("path", [7, b"users.csv", None], ids=["int", "bytes", "nothing"])
def test_only_text_and_pathlike_are_paths(read: Callable[[Any], Any], path: Any) -> None:
    with canary.raises(ConfigError, match="a file is given by its path"):
        read(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"a", b"a\n", b"a\nb", b"\n\n", b"a\r\nb\r\n", b"a\rb\n"],
    ids=["empty", "no-end", "one", "last-without-end", "blank", "crlf", "bare-cr"],
)
def test_joining_the_lines_gives_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(content)
    with opened(str(path)) as file:
        lines = list(lines_of(file))
    assert b"".join(lines) == content
    assert all(line.find(b"\n") in (-1, len(line) - 1) for line in lines)


@pytest.mark.parametrize(
    ("length", "end", "fits"),
    [
        (LINE_CAP - 1, b"\n", True),
        (LINE_CAP, b"", True),
        (LINE_CAP, b"\n", False),
        (LINE_CAP + 1, b"", False),
        (LINE_CAP * 2 + 5, b"\n", False),
    ],
    ids=["with-end", "last", "end-beyond", "last-beyond", "far-beyond"],
)
def test_a_line_of_the_cap_is_read_and_a_longer_one_is_skipped(
    tmp_path: Path, length: int, end: bytes, fits: bool
) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"before\n" + b"x" * length + end + b"after\n" * bool(end))
    with opened(str(path)) as file:
        before, line, *after = lines_of(file)
    assert before == b"before\n"
    assert len(line) == (length + len(end) if fits else len(TOO_LONG))
    assert after == [b"after\n"] * bool(end)


@pytest.mark.parametrize(("head", "good"), [(b"phone\n", b"1\n"), (b"", b'{"phone": "1"}\n')], ids=["csv", "jsonl"])
def test_a_huge_line_is_one_unreadable_and_is_never_held_whole(tmp_path: Path, head: bytes, good: bytes) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.write(head + good)
        file.truncate(file.tell() + 300 * 2**20)  # a hole: a line of NULs that costs no disk
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + good)
    source = read_csv(path) if head else read_jsonl(path)
    tracemalloc.start()
    items = list(source)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert items == [{"phone": "1"}, LONG_LINE, {"phone": "1"}]
    assert peak_bytes < 3 * LINE_CAP
