import os
import tracemalloc
from pathlib import Path

import pytest

from asyncimport.sources import read_csv, read_jsonl
from asyncimport.sources.lines import LINE_CAP, LONG_LINE, TOO_LONG, lines_of, with_text
from asyncimport.unreadable import Unreadable


@pytest.mark.parametrize(
    "content",
    [b"", b"a", b"a\n", b"a\nb", b"\n\n", b"a\r\nb\r\n", b"a\rb\n"],
    ids=["empty", "no-end", "one", "last-without-end", "blank", "crlf", "bare-cr"],
)
def test_joining_the_lines_gives_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(content)
    with path.open("rb") as file:
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
    with path.open("rb") as file:
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


@pytest.mark.parametrize(
    ("lines", "encoding", "text"),
    [
        ([b"a,b\r\n"], "utf-8", "a,b"),
        ([b'a,"b\n', b'c"\n'], "utf-8", 'a,"b\nc"'),
        ([b"a,\xff\xe5\n"], "utf-8", "a,\\xff\\xe5"),
        (["张\n".encode("gb18030")], "gb18030", "张"),
        ([b"x" * 2**16], "utf-8", "x" * 2**16),
        ([b"x" * 2**16, b"\n"], "utf-8", None),
        ([b"a\n", TOO_LONG], "utf-8", None),
    ],
    ids=["line", "lines", "undecodable", "gb18030", "longest", "longer", "skipped"],
)
def test_the_lines_of_an_unreadable_record_are_kept_and_never_shown(
    lines: list[bytes], encoding: str, text: str | None
) -> None:
    plain = Unreadable(rule="is no CSV record")
    kept = with_text(plain, lines, encoding)
    assert kept.text == text
    assert kept == plain
    assert repr(kept) == "Unreadable(rule='is no CSV record')"
