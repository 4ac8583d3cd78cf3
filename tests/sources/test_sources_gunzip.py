import gzip
import os
import random
import tracemalloc
import zlib
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import canary
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.errors import ConfigError, SourceError
from asyncimport.sources import read_csv, read_jsonl
from asyncimport.sources.gunzip import Gunzip
from asyncimport.unreadable import Unreadable

HEADER = b"phone,realName\n"


def unpacked(packed: bytes, buffer_bytes: int = 8192) -> bytes:
    with BufferedReader(Gunzip(BufferedReader(BytesIO(packed), 7)), buffer_bytes) as file:
        return file.read()


@given(st.lists(st.binary(max_size=200), min_size=1), st.sampled_from([4, 16, 8192]), st.integers(0, 20))
def test_unpacking_what_gzip_packed_gives_it_back_whatever_the_members(
    members: list[bytes], buffer_bytes: int, zeros: int
) -> None:
    packed = b"".join(map(gzip.compress, members)) + bytes(zeros)
    assert unpacked(packed, buffer_bytes) == b"".join(members)


def test_random_bytes_come_through_small_buffers() -> None:
    content = random.Random(7).randbytes(300_000)
    assert unpacked(gzip.compress(content, 1), 16) == content


PIECES = st.sampled_from([b"1,a\n", b'2,"b\n', b'c"\n', b"\xff\n", b"\n", b",\n", b"x", b'{"a": 1}\n', b"[]\n"])


@given(st.lists(PIECES))
def test_a_packed_file_is_read_as_the_plain_one(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("gzip")
    content = HEADER + "张,a\n".encode() + b"".join(pieces)
    for name, packed in (("plain", content), ("packed.gz", gzip.compress(content))):
        (folder / name).write_bytes(packed)
    readers: list[Any] = [read_csv, read_jsonl]
    for read in readers:
        plain, packed_rows = iter(read(folder / "plain")), iter(read(folder / "packed.gz"))
        expected = [(plain.line_num, item) for item in plain]
        assert [(packed_rows.line_num, item) for item in packed_rows] == expected


def rows_until_error(path: Path) -> tuple[list[Any], str]:
    items: list[Any] = []
    rows = iter(read_csv(path))
    with canary.raises(SourceError) as raised:
        items.extend(iter(lambda: next(rows), None))
    assert next(rows, "end") == "end"
    return items, str(raised.value)


def content_of(rows: int) -> bytes:
    shuffled = random.Random(7)
    return HEADER + b"".join(b"%d,canary-person-%d\n" % (n, shuffled.getrandbits(64)) for n in range(rows))


def test_a_cut_off_file_gives_what_is_whole_and_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "users.csv.gz"
    packed = gzip.compress(content_of(50_000))
    path.write_bytes(packed[: len(packed) // 2])
    items, message = rows_until_error(path)
    assert [item["phone"] for item in items] == [str(n) for n in range(len(items))]
    assert 20_000 < len(items) < 30_000
    assert message == (
        f"{path}: its gzip stream ends too early after line {len(items) + 1:,}: it was cut off, copy it or pack it again"
    )


def test_a_cut_off_checksum_is_noticed_after_the_last_record(tmp_path: Path) -> None:
    path = tmp_path / "users.csv.gz"
    path.write_bytes(gzip.compress(content_of(10))[:-1])
    items, message = rows_until_error(path)
    assert len(items) == 10
    assert "ends too early after line 11" in message


@pytest.mark.parametrize("at", [-8, -1], ids=["checksum", "length"])
def test_a_wrong_checksum_is_damage_also_when_all_records_look_good(tmp_path: Path, at: int) -> None:
    path = tmp_path / "users.csv.gz"
    packed = bytearray(gzip.compress(content_of(50_000)))
    packed[at] ^= 1
    path.write_bytes(packed)
    items, message = rows_until_error(path)
    assert [item["phone"] for item in items] == [str(n) for n in range(len(items))]
    assert message == f"{path}: its gzip stream is damaged after line {len(items) + 1:,}: copy it or pack it again"


def test_damage_in_the_first_piece_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "users.csv.gz"
    packed = bytearray(gzip.compress(content_of(10)))
    packed[-1] ^= 1
    path.write_bytes(packed)
    with canary.raises(ConfigError, match="cannot be read, its gzip stream is damaged: copy it or pack it again"):
        read_csv(path)


def test_a_quote_left_open_where_the_file_is_cut_off_swallows_no_record(tmp_path: Path) -> None:
    path = tmp_path / "users.csv.gz"
    path.write_bytes(gzip.compress(HEADER + b'1,a\n2,"b\n3,c\n4,d\n')[:-4])
    items, message = rows_until_error(path)
    assert [item.reason if isinstance(item, Unreadable) else item["phone"] for item in items] == [
        "1",
        "is no CSV record",
        "3",
        "4",
    ]
    assert "after line 5" in message


def test_json_lines_that_are_cut_off_end_with_the_same_error(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(gzip.compress(b'{"a": 1}\n{"a": 2}\n')[:-4])
    rows = iter(read_jsonl(path))
    assert [next(rows), next(rows)] == [{"a": 1}, {"a": 2}]
    with canary.raises(SourceError, match="its gzip stream ends too early after line 2: it was cut off"):
        next(rows)
    assert next(rows, "end") == "end"


def test_a_header_beyond_the_cut_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(gzip.compress(b"phone" + random.Random(7).randbytes(100).hex().encode() + b"\n")[:60])
    with canary.raises(ConfigError, match="its gzip stream ends too early: it was cut off"):
        read_csv(path)


def test_a_bomb_costs_no_more_memory_than_a_long_line(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(HEADER + b"1,a\n" + bytes(200_000_000) + b"\n2,b\n"))
    tracemalloc.start()
    items = list(read_csv(path))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [item.reason if isinstance(item, Unreadable) else item["phone"] for item in items] == [
        "1",
        "is longer than 16 MiB",
        "2",
    ]
    assert peak_bytes < 64 * 2**20


def test_what_a_packer_flushes_into_a_pipe_is_handed_over_before_its_end() -> None:
    reading, writing = os.pipe()
    packer = zlib.compressobj(wbits=31)

    def flush(content: bytes) -> None:
        os.write(writing, packer.compress(content) + packer.flush(zlib.Z_SYNC_FLUSH))

    flush(HEADER + b"1,a\n")
    rows = iter(read_csv(f"/dev/fd/{reading}"))
    assert next(rows) == {"phone": "1", "realName": "a"}
    flush(b"2,b\n")
    assert next(rows) == {"phone": "2", "realName": "b"}
    rows.close()
    os.close(reading)
    os.close(writing)
