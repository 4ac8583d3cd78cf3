import sys
from pathlib import Path
from typing import Any

import canary
import pytest
from packers import zstd

from asyncimport.errors import ConfigError, SourceError
from asyncimport.records import UserProfile
from asyncimport.sources import open_source, read_csv
from asyncimport.sources.unzstd import WINDOW_LOG, Unzstd

CONTENT = b"phone\n1\n2\n"
ROWS = [{"phone": "1"}, {"phone": "2"}]


def windowed(content: bytes, window_log: int) -> bytes:
    """Packed as a stream, so that the frame asks for its whole window, whatever there is in it."""
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    return packer.compress(content) + packer.flush()


def skippable(content: bytes) -> bytes:
    return b"\x5a\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content


@pytest.mark.parametrize("name", ["users.csv.zst", "USERS.CSV.ZSTD", "users.csv"])
def test_a_file_is_unpacked_whatever_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(zstd.compress(CONTENT))
    source = open_source(tmp_path / name, UserProfile)
    rows: Any = iter(source)
    assert list(rows) == ROWS
    assert rows.bytes_read == source.size_bytes == len(zstd.compress(CONTENT))


@pytest.mark.parametrize("at", [0, 1, 2], ids=["first", "between", "last"])
def test_what_is_in_a_skippable_frame_is_skipped(tmp_path: Path, at: int) -> None:
    frames = [zstd.compress(CONTENT[:8]), zstd.compress(CONTENT[8:])]
    frames.insert(at, skippable(bytes(range(256)) * 1000))
    (tmp_path / "users.csv").write_bytes(b"".join(frames))
    assert list(read_csv(tmp_path / "users.csv")) == ROWS


def test_a_frame_that_asks_for_a_huge_window_is_refused_before_it_gets_any_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.zst"
    path.write_bytes(windowed(CONTENT, 31))
    with canary.raises(ConfigError) as refused:
        read_csv(path)
    assert str(refused.value) == (
        f"{path} cannot be read, its zstd window is larger than 128 MiB: pack it with --long=27 or less"
    )


def test_a_later_frame_with_a_huge_window_ends_the_reading_after_what_was_whole(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.zst"
    path.write_bytes(windowed(CONTENT, WINDOW_LOG) + windowed(b"3\n", WINDOW_LOG + 1))
    rows = iter(read_csv(path))
    assert [next(rows), next(rows)] == ROWS
    with canary.raises(SourceError, match="its zstd window is larger than 128 MiB after line 3"):
        next(rows)


def test_without_the_package_it_is_told_which_extra_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "users.csv.zst"
    path.write_bytes(zstd.compress(CONTENT))
    monkeypatch.delitem(sys.modules, Unzstd.__module__)
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with canary.raises(ConfigError) as refused:
        read_csv(path)
    assert str(refused.value) == (
        f'{path} is compressed by zstd: pip install "asyncimport[zstd]" to have it unpacked, or unpack it first'
    )
