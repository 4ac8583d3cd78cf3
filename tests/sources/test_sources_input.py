import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import canary
import pytest
from packers import zstd

from asyncimport.errors import ConfigError
from asyncimport.sources import read_csv, read_jsonl
from asyncimport.sources.input import opened

READERS: list[Callable[[Any], Any]] = [read_csv, read_jsonl]
GZIP_CUT = "cannot be read, its gzip stream ends too early: it was cut off, copy it or pack it again"
ZSTD_CUT = GZIP_CUT.replace("gzip", "zstd")


@pytest.fixture(params=READERS, ids=["csv", "jsonl"])
def read(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    reader: Callable[[Any], Any] = request.param
    return reader


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (gzip.compress(gzip.compress(b"phone\n1\n")), "is compressed once more, by gzip: unpack it once"),
        (zstd.compress(gzip.compress(b"phone\n1\n")), "is compressed once more, by gzip: unpack it once"),
        (gzip.compress(zstd.compress(b"phone\n1\n")), "is compressed once more, by zstd: unpack it once"),
        (gzip.compress("phone\n1\n".encode("utf-16")), "is UTF-16 text: save it as UTF-8"),
        (gzip.compress(b"phone\n1\n")[:12], GZIP_CUT),
        (b"\x1f\x8b", GZIP_CUT),
        (b"\x1f\x8bphone\n", "cannot be read, its gzip stream is damaged: copy it or pack it again"),
        (b"BZh91AY", "is compressed by bzip2: unpack it first"),
        (b"\xfd7zXZ\x00", "is compressed by xz: unpack it first"),
        (b"\x28\xb5\x2f\xfd\x00", ZSTD_CUT),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 20, "cannot be read, its zstd stream is damaged: copy it or pack it again"),
        (b"PK\x03\x04\x14\x00", "is a zip archive or an Excel workbook: unpack it, or save it as CSV UTF-8"),
        (b"PAR1\x15\x04", "is a Parquet file: give the format parquet, or use read_parquet"),
        (b"ARROW1\x00\x00", "is an Arrow file: give the format arrow, or use read_arrow"),
        ("phone\n1\n".encode("utf-16"), "is UTF-16 text: save it as UTF-8"),
    ],
    ids=[
        "twice",
        "gzip-in-zstd",
        "zstd-in-gzip",
        "packed-utf-16",
        "cut",
        "cut-at-once",
        "no-gzip",
        "bzip2",
        "xz",
        "zstd-cut",
        "no-zstd",
        "workbook",
        "parquet",
        "arrow",
        "utf-16",
    ],
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


def test_a_path_that_the_system_refuses_is_a_sentence_too(read: Callable[[Any], Any], tmp_path: Path) -> None:
    with canary.raises(ConfigError, match=r"cannot be opened \(.+\): check the path and its permissions"):
        read(tmp_path / ("x" * 5000))
    with canary.raises(ConfigError, match="cannot be opened"):
        read("nul\0byte")


@pytest.mark.parametrize("path", [7, b"users.csv", None], ids=["int", "bytes", "nothing"])
def test_only_text_and_pathlike_are_paths(read: Callable[[Any], Any], path: Any) -> None:
    with canary.raises(ConfigError, match="a file is given by its path"):
        read(path)


def test_a_device_is_refused_at_once(read: Callable[[Any], Any]) -> None:
    with canary.raises(ConfigError, match="is neither a regular file nor a pipe: give the path of one file"):
        read(os.devnull)


def test_lines_given_back_come_again_in_order(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"1\n2\n3\n4\n")
    file = opened(str(path))
    first = [next(file.lines()), next(file.lines()), next(file.lines())]
    file.give_back(first)
    file.give_back([next(file.lines())])
    assert list(file.lines()) == [b"1\n", b"2\n", b"3\n", b"4\n"]
    file.close()


def test_bytes_are_counted_as_they_lie_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "packed"
    path.write_bytes(gzip.compress(b"phone\n" * 10_000))
    file = opened(str(path))
    assert len(list(file.lines())) == 10_000
    assert file.bytes_read == file.size_bytes == path.stat().st_size < 1000
    file.close()
    assert file.bytes_read == path.stat().st_size, "also when it is closed"


STDIN = """
import sys
from asyncimport.sources import read_csv
source = read_csv("-")
rows = iter(source)
for row in rows:
    print(rows.line_num, row["phone"], flush=True)
print(source.size_bytes, rows.bytes_read)
try:
    iter(source)
except Exception as error:
    print(type(error).__name__, error)
"""


def child(code: str, **how: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, **how)


def test_standard_input_hands_over_each_record_when_its_line_is_there_and_comes_once() -> None:
    with child(STDIN, stdin=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for piece, said in [(b"ph", b""), (b"one\n1", b""), (b"3\n", b"2 13\n"), (b"14\n15\n", b"3 14\n4 15\n")]:
            process.stdin.write(piece)
            lines = [process.stdout.readline() for _ in said.splitlines()]
            assert b"".join(lines) == said
        process.stdin.close()
        assert process.stdout.read().decode().splitlines() == [
            "None 15",
            "ConfigError standard input was read already and comes only once: save it as a file to read it again",
        ]


def test_a_file_behind_standard_input_has_a_size(tmp_path: Path) -> None:
    path = tmp_path / "users.csv.gz"
    path.write_bytes(gzip.compress(b"phone\n" + b"1\n" * 3))
    with path.open("rb") as file, child(STDIN, stdin=file) as process:
        assert process.stdout is not None
        lines = process.stdout.read().decode().splitlines()
    size_bytes = path.stat().st_size
    assert lines[:4] == ["2 1", "3 1", "4 1", f"{size_bytes} {size_bytes}"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"phone,reelName\n", "standard input: column 'reelName' is no field of UserProfile: did you mean realName?"),
        (b"", "standard input: it begins with nothing"),
        (b"PK\x03\x04", "standard input is a zip archive or an Excel workbook"),
    ],
    ids=["header", "empty", "workbook"],
)
def test_what_is_wrong_with_standard_input_is_told_at_once(content: bytes, message: str) -> None:
    code = "from asyncimport.sources import read_csv\ntry: read_csv('-')\nexcept Exception as error: print(error)"
    with child(code, stdin=subprocess.PIPE) as process:
        said, _ = process.communicate(content, timeout=30)
    assert said.decode().startswith(message)


def test_closed_standard_input_is_a_sentence() -> None:
    code = "import os; os.close(0)\nfrom asyncimport.sources import read_csv\n"
    code += "try: read_csv('-')\nexcept Exception as error: print(error)"
    with child(code) as process:
        said, _ = process.communicate(timeout=30)
    assert said.decode().startswith("standard input cannot be opened (Bad file descriptor)")
