from pathlib import Path

import canary
import pytest

from asyncimport.errors import ConfigError
from asyncimport.sources import read_csv, read_jsonl
from asyncimport.sources.encoding import LOOK_BYTES, look
from asyncimport.unreadable import Unreadable

HEADER = b"phone,realName\n"
ZHANG = "1,张三\n"
REMEDY = "save the file as UTF-8 or give its encoding"


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (HEADER + b"0,a\n" + ZHANG.encode("gb18030") * 3, "utf-8-sig", f"line 3 is no utf-8 text, nor is any of the next ones beyond ASCII: {REMEDY} (gb18030?)"),
        (HEADER + "1,é\n".encode("latin-1") * 3, "utf-8", f"line 2 is no utf-8 text, nor is any of the next ones beyond ASCII: {REMEDY}"),
        (HEADER + ZHANG.encode() * 3, "ascii", f"line 2 is no ascii text, nor is any of the next ones beyond ASCII: {REMEDY} (utf-8?)"),
        ("phone,备注\n".encode("gb18030"), "utf-8", f"its header is no utf-8 text: {REMEDY} (gb18030?)"),
        ("phone,é\n".encode("latin-1"), "utf-8", f"its header is no utf-8 text: {REMEDY}"),
    ],
    ids=["gb18030", "latin-1", "ascii", "header", "header-latin-1"],
)  # fmt: skip
def test_a_wrong_encoding_is_told_before_anything_is_read(
    tmp_path: Path, content: bytes, encoding: str, message: str
) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(content)
    with canary.raises(ConfigError) as refused:
        read_csv(path, encoding=encoding)
    assert str(refused.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    "content",
    [
        ZHANG.encode("gb18030") * 2,
        ZHANG.encode("gb18030") * 3 + ZHANG.encode(),
        b"1,a\n" * (LOOK_BYTES // 4) + ZHANG.encode("gb18030") * 3,
    ],
    ids=["two-lines", "one-that-decodes", "far"],
)
def test_lines_that_are_damaged_alone_cost_themselves(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(HEADER + content)
    bad = [item.rule for item in read_csv(path) if isinstance(item, Unreadable)]
    assert 2 <= len(bad) <= 3
    assert set(bad) == {"is no utf-8 text: byte 3 of the line cannot be decoded"}


def test_json_lines_in_another_encoding_are_told_too(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes('{"eventKey": "张三"}\n'.encode("gb18030") * 3)
    with canary.raises(ConfigError) as refused:
        read_jsonl(path)
    assert str(refused.value).endswith("JSON Lines are UTF-8, convert it from its own encoding (gb18030?)")


def test_a_look_takes_whole_lines_and_one_that_ends_beyond_it() -> None:
    lines = iter([b"x" * (LOOK_BYTES - 1), b"yy\n", b"z\n"])
    assert [len(line) for line in look(lines)] == [LOOK_BYTES - 1, 3]
