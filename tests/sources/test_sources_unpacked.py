import gzip
import os
import random
import tracemalloc
import zlib
from collections.abc import Callable
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import canary
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from packers import zstd

from asyncimport.errors import ConfigError, SourceError
from asyncimport.sources import read_csv, read_jsonl
from asyncimport.sources.gunzip import Gunzip
from asyncimport.sources.unpacked import Unpacked
from asyncimport.sources.unzstd import Unzstd
from asyncimport.unreadable import Unreadable

HEADER = b"phone,realName\n"


@frozen
class Packing:
    """What packs, what unpacks, and the ending of a name."""

    unpacker: type[Unpacked]
    ending: str
    pack: Callable[[bytes], bytes]
    #: What packs piece by piece, and how all that was given is flushed.
    packer: Callable[[], Any]
    flush: Any

    @property
    def name(self) -> str:
        return self.unpacker.KIND


def zstd_packed(content: bytes) -> bytes:
    return zstd.compress(content, options={zstd.CompressionParameter.checksum_flag: 1})


PACKINGS = [
    Packing(Gunzip, ".gz", gzip.compress, lambda: zlib.compressobj(wbits=31), zlib.Z_SYNC_FLUSH),
    Packing(Unzstd, ".zst", zstd_packed, zstd.ZstdCompressor, zstd.ZstdCompressor.FLUSH_BLOCK),
]


@pytest.fixture(params=PACKINGS, ids=lambda packing: packing.name)
def packing(request: pytest.FixtureRequest) -> Packing:
    given: Packing = request.param
    return given


def unpacked(packing: Packing, packed: bytes, buffer_bytes: int = 8192) -> bytes:
    with BufferedReader(packing.unpacker(BufferedReader(BytesIO(packed), 7)), buffer_bytes) as file:
        return file.read()


@given(
    st.sampled_from(PACKINGS),
    st.lists(st.binary(max_size=200), min_size=1),
    st.sampled_from([4, 16, 8192]),
    st.integers(0, 20),
)
def test_unpacking_what_was_packed_gives_it_back_whatever_the_members(
    packing: Packing, members: list[bytes], buffer_bytes: int, zeros: int
) -> None:
    packed = b"".join(map(packing.pack, members)) + bytes(zeros)
    assert unpacked(packing, packed, buffer_bytes) == b"".join(members)


def test_random_bytes_come_through_small_buffers(packing: Packing) -> None:
    content = random.Random(7).randbytes(300_000)
    assert unpacked(packing, packing.pack(content), 16) == content


PIECES = st.sampled_from([b"1,a\n", b'2,"b\n', b'c"\n', b"\xff\n", b"\n", b",\n", b"x", b'{"a": 1}\n', b"[]\n"])


@given(st.sampled_from(PACKINGS), st.lists(PIECES))
def test_a_packed_file_is_read_as_the_plain_one(
    tmp_path_factory: pytest.TempPathFactory, packing: Packing, pieces: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("packed")
    content = HEADER + "张,a\n".encode() + b"".join(pieces)
    for name, packed in (("plain", content), ("packed.gz", packing.pack(content))):
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


def test_a_cut_off_file_gives_what_is_whole_and_names_the_line(tmp_path: Path, packing: Packing) -> None:
    path = tmp_path / f"users.csv{packing.ending}"
    packed = packing.pack(content_of(50_000))
    path.write_bytes(packed[: len(packed) // 2])
    items, message = rows_until_error(path)
    assert [item["phone"] for item in items] == [str(n) for n in range(len(items))]
    assert 20_000 < len(items) < 30_000
    assert message == (
        f"{path}: its {packing.name} stream ends too early after line {len(items) + 1:,}: it was cut off, copy it or pack it again"
    )


def test_a_cut_off_checksum_is_noticed_after_the_last_record(tmp_path: Path, packing: Packing) -> None:
    path = tmp_path / f"users.csv{packing.ending}"
    path.write_bytes(packing.pack(content_of(10))[:-1])
    items, message = rows_until_error(path)
    assert len(items) == 10
    assert "ends too early after line 11" in message


@pytest.mark.parametrize(
    ("packing", "at"),
    [(PACKINGS[0], -8), (PACKINGS[0], -1), (PACKINGS[1], -1)],
    ids=["gzip-checksum", "gzip-length", "zstd-checksum"],
)
def test_a_wrong_checksum_is_damage_also_when_all_records_look_good(tmp_path: Path, packing: Packing, at: int) -> None:
    path = tmp_path / f"users.csv{packing.ending}"
    packed = bytearray(packing.pack(content_of(50_000)))
    packed[at] ^= 1
    path.write_bytes(packed)
    items, message = rows_until_error(path)
    assert [item["phone"] for item in items] == [str(n) for n in range(len(items))]
    assert (
        message
        == f"{path}: its {packing.name} stream is damaged after line {len(items) + 1:,}: copy it or pack it again"
    )


def test_damage_in_the_first_piece_is_told_at_once(tmp_path: Path, packing: Packing) -> None:
    path = tmp_path / f"users.csv{packing.ending}"
    packed = bytearray(packing.pack(content_of(10)))
    packed[-1] ^= 1
    path.write_bytes(packed)
    with canary.raises(
        ConfigError, match=f"cannot be read, its {packing.name} stream is damaged: copy it or pack it again"
    ):
        read_csv(path)


def test_a_quote_left_open_where_the_file_is_cut_off_swallows_no_record(tmp_path: Path, packing: Packing) -> None:
    path = tmp_path / f"users.csv{packing.ending}"
    path.write_bytes(packing.pack(HEADER + b'1,a\n2,"b\n3,c\n4,d\n')[:-4])
    items, message = rows_until_error(path)
    assert [item.reason if isinstance(item, Unreadable) else item["phone"] for item in items] == [
        "1",
        "is no CSV record",
        "3",
        "4",
    ]
    assert "after line 5" in message


def test_json_lines_that_are_cut_off_end_with_the_same_error(tmp_path: Path, packing: Packing) -> None:
    path = tmp_path / "events"
    path.write_bytes(packing.pack(b'{"a": 1}\n{"a": 2}\n')[:-4])
    rows = iter(read_jsonl(path))
    assert [next(rows), next(rows)] == [{"a": 1}, {"a": 2}]
    with canary.raises(SourceError, match=f"its {packing.name} stream ends too early after line 2: it was cut off"):
        next(rows)
    assert next(rows, "end") == "end"


def test_a_header_beyond_the_cut_is_told_at_once(tmp_path: Path, packing: Packing) -> None:
    path = tmp_path / "events"
    path.write_bytes(packing.pack(b"phone" + random.Random(7).randbytes(100).hex().encode() + b"\n")[:60])
    with canary.raises(ConfigError, match=f"its {packing.name} stream ends too early: it was cut off"):
        read_csv(path)


def test_a_bomb_costs_no_more_memory_than_a_long_line(tmp_path: Path, packing: Packing) -> None:
    path = tmp_path / f"bomb{packing.ending}"
    path.write_bytes(packing.pack(HEADER + b"1,a\n" + bytes(200_000_000) + b"\n2,b\n"))
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


def test_what_a_packer_flushes_into_a_pipe_is_handed_over_before_its_end(packing: Packing) -> None:
    reading, writing = os.pipe()
    packer = packing.packer()

    def flush(content: bytes) -> None:
        os.write(writing, packer.compress(content) + packer.flush(packing.flush))

    flush(HEADER + b"1,a\n")
    rows = iter(read_csv(f"/dev/fd/{reading}"))
    assert next(rows) == {"phone": "1", "realName": "a"}
    flush(b"2,b\n")
    assert next(rows) == {"phone": "2", "realName": "b"}
    rows.close()
    os.close(reading)
    os.close(writing)
