"""FAULTS.md G18: files that are damaged, huge or packed. The ledger is the witness."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import canary
import fsspec
import orjson
import psutil
import pytest
from packers import zstd
from sourced import Ended, counts, sourced

from asyncimport import USERS, SourceError, UserProfile
from asyncimport.sources import read_csv, read_jsonl

MIB = 2**20
HEAD = b"thirdId,realName\r\n"


def row(number: int) -> bytes:
    return f"{number},{canary.PERSON}\r\n".encode()


def line(number: int) -> bytes:
    return orjson.dumps({"thirdId": str(number), "realName": canary.PERSON}) + b"\r\n"


#: What reads a file, what stands at its top, and how a good record is written.
Format = tuple[Callable[..., Any], bytes, Callable[[int], bytes]]
FORMATS: dict[str, Format] = {
    "csv": (lambda path: read_csv(path, record=UserProfile), HEAD, row),
    "jsonl": (read_jsonl, b"", line),
}
formats = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
PACKED = {"plain": lambda data: data, "gzip": gzip.compress, "zstd": zstd.compress}


def on_disk(content: bytes, folder: Path) -> Any:
    return written(folder / "file", content)


def in_memory(content: bytes, folder: Path) -> Any:
    fsspec.filesystem("memory").pipe(f"{folder}/file", content)
    return fsspec.open(f"memory://{folder}/file")


#: Where a file lies: on the disk, in a file system of fsspec, in an object that is open, in one that cannot be sought in.
PLACES: dict[str, Callable[[bytes, Path], Any]] = {
    "disk": on_disk,
    "fsspec": in_memory,
    "object": lambda content, _: BytesIO(content),
    "stream": lambda content, _: Once(content),
}
places = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)


class Once(BytesIO):
    """Comes once, as a socket."""

    def seekable(self) -> bool:
        return False


def rejected_lines(ended: Ended) -> dict[int, str]:
    return {one.line or 0: one.reason for one in ended.rejections.values()}


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


BAD_CSV = {
    "too many cells": b"7,a,b,c\r\n",
    "too few cells": b"7\r\n",
    "no UTF-8": b"7,\xff\xfe\r\n",
    "open quote": b'7,"open\r\n',
}
BAD_JSONL = {
    "no JSON": b"{\r\n",
    "cut off": b'{"thirdId":"7","realName":"\r\n',
    "no UTF-8": b'{"thirdId":"\xff"}\r\n',
    "no object": b"[1]\r\n",
    "number": b"7\r\n",
    "NaN": b'{"thirdId":NaN}\r\n',
    "another field": b'{"third":"7"}\r\n',
    "5,000 digits": b'{"thirdId":' + b"9" * 5_000 + b"}\r\n",
    "deep": b'{"customFields":' + b"[" * 100_000 + b"]" * 100_000 + b"}\r\n",
    "two objects": b'{"thirdId":"7"}{"thirdId":"8"}\r\n',
}
BAD = [("csv", name, text) for name, text in BAD_CSV.items()] + [
    ("jsonl", name, text) for name, text in BAD_JSONL.items()
]


@pytest.mark.breakage("csv rows, jsonl file: end at the first line that cannot be read")
@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, _, text in BAD], ids=[f"{k}-{n}" for k, n, _ in BAD])
async def test_g18_a_bad_line_is_rejected_by_its_number_and_the_rest_is_delivered(
    tmp_path: Path, kind: str, text: bytes, pack: Callable[[bytes], bytes]
) -> None:
    form = FORMATS[kind]
    top = form[1]
    good = b"".join(map(form[2], range(6)))
    more = b"".join(map(form[2], range(6, 40)))
    ended = await sourced(form[0](written(tmp_path / "file", pack(top + good + text + more))), resource=USERS)
    assert ended.failure is None
    assert counts(ended.report) == (40, 1, 0, 0)
    assert ended.ledger.distinct == 40
    assert list(rejected_lines(ended)) == [7 + bool(top)]


@pytest.mark.breakage("csv rows, jsonl file: end at the first line that cannot be read")
@places
@formats
async def test_g18_a_bad_line_costs_itself_alone_wherever_the_file_lies(
    tmp_path: Path, form: Format, place: Callable[[bytes, Path], Any]
) -> None:
    content = form[1] + b"".join(map(form[2], range(6))) + b'"\xff\r\n' + b"".join(map(form[2], range(6, 40)))
    ended = await sourced(form[0](place(content, tmp_path)), resource=USERS)
    assert (ended.failure, counts(ended.report), ended.ledger.distinct) == (None, (40, 1, 0, 0), 40)
    assert list(rejected_lines(ended)) == [7 + bool(form[1])]


@pytest.mark.breakage("unpacked: take a stream that is cut off for its end")
@places
@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@formats
async def test_g18_what_is_whole_of_a_packed_file_that_was_cut_off_is_sent_before_it_is_told(
    tmp_path: Path, form: Format, kind: str, place: Callable[[bytes, Path], Any]
) -> None:
    content = form[1] + b"".join(map(form[2], range(40)))
    packed = PACKED[kind](content) + PACKED[kind](form[2](40) * 100)[:-3]
    ended = await sourced(form[0](place(packed, tmp_path)), resource=USERS, copies_are_meant=True)
    assert isinstance(ended.failure, SourceError)
    assert f"its {kind} stream ends too early after line" in str(ended.failure)
    assert ended.report.accepted >= 40
    assert counts(ended.report) == (ended.report.read, 0, 0, 0)
    assert ended.ledger.distinct == min(41, ended.report.read)


@pytest.mark.breakage("input: pass over no byte order mark")
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CR LF"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "open"])
@formats
async def test_g18_byte_order_mark_and_line_ends_belong_to_no_value(
    tmp_path: Path, form: Format, end: bytes, last: bool
) -> None:
    content = form[1] + b"".join(map(form[2], range(25)))
    content = b"\xef\xbb\xbf" + content.replace(b"\r\n", end)
    path = written(tmp_path / "file", content if last else content.removesuffix(end))
    ended = await sourced(form[0](path), resource=USERS)
    assert (ended.failure, counts(ended.report)) == (None, (25, 0, 0, 0))
    names = {record["thirdId"]: record["realName"] for record in ended.ledger.records()}
    assert names == {str(number): canary.PERSON for number in range(25)}


@pytest.mark.breakage("lines: no cap on the length of a line")
@formats
async def test_g18_a_line_of_a_gigabyte_costs_one_rejection_and_no_memory(tmp_path: Path, form: Format) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.write(form[1] + form[2](0))
        file.truncate(file.tell() + 2**30)  # a hole: a line of NULs that takes no disk
        file.seek(0, 2)
        file.write(b"\r\n" + form[2](1))
    process = psutil.Process()
    before = process.memory_info().rss
    ended = await sourced(form[0](path), resource=USERS)
    assert (ended.failure, counts(ended.report)) == (None, (2, 1, 0, 0))
    assert rejected_lines(ended) == {2 + bool(form[1]): "is longer than 16 MiB"}
    assert ended.ledger.distinct == 2
    assert process.memory_info().rss - before < 128 * MIB


def bomb(form: Format) -> bytes:
    """256 MiB of blanks between two good records, in a quarter of one."""
    blanks = gzip.compress(b" " * 64 * MIB, 9)
    return gzip.compress(form[1] + form[2](0)) + blanks * 4 + gzip.compress(b"\r\n" + form[2](1))


@pytest.mark.breakage("lines: no cap on the length of a line")
@formats
async def test_g18_a_bomb_of_gzip_costs_one_rejection_and_no_memory(tmp_path: Path, form: Format) -> None:
    path = written(tmp_path / "bomb.gz", bomb(form))
    assert path.stat().st_size < MIB
    process = psutil.Process()
    before = process.memory_info().rss
    ended = await sourced(form[0](path), resource=USERS)
    assert (ended.failure, counts(ended.report)) == (None, (2, 1, 0, 0))
    assert ended.ledger.distinct == 2
    assert process.memory_info().rss - before < 128 * MIB
