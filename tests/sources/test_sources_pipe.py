import os
import threading
from collections.abc import Iterator
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

import canary
import pytest

from asyncimport.errors import ConfigError, SourceError
from asyncimport.records import UserProfile
from asyncimport.sources import open_source, read_csv, read_jsonl
from asyncimport.sources.pipe import Pipe
from asyncimport.sources.raw import Interrupted


@pytest.fixture
def pipe() -> Iterator[tuple[str, FileIO]]:
    """The path of a pipe, and its writing end."""
    reading, writing = os.pipe()
    with FileIO(writing, "w") as writer:
        yield f"/dev/fd/{reading}", writer
    os.close(reading)


def test_the_first_read_waits_for_enough_to_tell_what_a_file_is(pipe: tuple[str, FileIO]) -> None:
    path, writer = pipe
    raw = Pipe(os.open(path, os.O_RDONLY), is_ours=True)
    threads = [threading.Timer(0.01 * n, writer.write, (b"x",)) for n in range(4)]
    for thread in threads:
        thread.start()
    with BufferedReader(raw) as file:
        assert file.peek(4) == b"xxxx"
    for thread in threads:
        thread.join()


def test_the_first_read_waits_for_no_more_than_a_line(pipe: tuple[str, FileIO]) -> None:
    path, writer = pipe
    writer.write(b"{}\n")
    rows = iter(read_jsonl(path))
    assert next(rows) == {}
    rows.close()


def test_a_record_is_handed_over_as_soon_as_its_line_is_there(pipe: tuple[str, FileIO]) -> None:
    path, writer = pipe
    writer.write(b"phone\n1\n2")
    rows = iter(read_csv(path))
    assert next(rows) == {"phone": "1"}
    writer.write(b"2\n33\n")
    assert [next(rows), next(rows)] == [{"phone": "22"}, {"phone": "33"}]
    writer.close()
    assert list(rows) == []
    assert rows.bytes_read == 14


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"phone\n1\n",))
    writer.start()
    source = read_csv(path)
    writer.join()
    assert source.size_bytes is None
    assert list(source) == [{"phone": "1"}]
    with canary.raises(ConfigError, match="pipe was read already and comes only once"):
        iter(source)


@pytest.mark.parametrize("start", [b"phone\n1\n", b'{"phone": "1"}\n'], ids=["csv", "jsonl"])
def test_a_read_that_waits_is_interrupted_from_another_thread(pipe: tuple[str, FileIO], start: bytes) -> None:
    path, writer = pipe
    writer.write(start)
    rows: Any = iter(open_source(path, UserProfile))
    assert next(rows) == {"phone": "1"}
    line = start.count(b"\n")
    timer = threading.Timer(0.05, rows.interrupt)
    timer.start()
    with canary.raises(SourceError, match=f"{path}: the reading was interrupted after line {line}$"):
        next(rows)
    timer.join()
    rows.interrupt()
    assert next(rows, "end") == "end"
    rows.close()
    rows.interrupt()


def test_what_is_interrupted_before_it_reads_reads_nothing(pipe: tuple[str, FileIO]) -> None:
    path, writer = pipe
    raw = Pipe(os.open(path, os.O_RDONLY), is_ours=True)
    writer.write(b"1\n2\n")
    raw.interrupt()
    with canary.raises(Interrupted):
        raw.readinto(bytearray(10))
    raw.close()
    raw.close()


def test_a_record_of_several_lines_is_not_made_unreadable_by_an_interruption(pipe: tuple[str, FileIO]) -> None:
    path, writer = pipe
    writer.write(b'phone,realName\n1,"a\nb')
    rows = iter(read_csv(path))
    timer = threading.Timer(0.05, rows.interrupt)
    timer.start()
    with canary.raises(SourceError, match="interrupted after line 1"):
        next(rows)
    timer.join()


def test_an_interruption_is_seen_by_whoever_its_alarm_wakes(pipe: tuple[str, FileIO]) -> None:
    path, _ = pipe
    for _ in range(300):
        raw = Pipe(os.open(path, os.O_RDONLY), is_ours=True)
        reader = threading.Thread(target=lambda raw=raw: read_interrupted(raw), daemon=True)
        reader.start()
        raw.interrupt()
        reader.join(5)
        assert not reader.is_alive()
        raw.close()


def read_interrupted(raw: Pipe) -> None:
    with canary.raises(Interrupted):
        raw.readinto(bytearray(10))


def test_a_file_on_a_disk_lets_nobody_wait_and_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(b"phone\n1\n")
    rows = iter(read_csv(path))
    rows.interrupt()
    assert list(rows) == [{"phone": "1"}]
    rows.interrupt()


def test_closing_leaves_a_descriptor_of_others_open(pipe: tuple[str, FileIO]) -> None:
    path, _ = pipe
    descriptor = os.open(path, os.O_RDONLY)
    Pipe(descriptor, is_ours=False).close()
    assert os.fstat(descriptor)
    os.close(descriptor)


def test_an_end_of_a_terminal_stays_the_end() -> None:
    ours, theirs = os.openpty()
    raw = Pipe(theirs, is_ours=True)
    os.write(ours, b"phone\n\x04")  # Ctrl-D
    assert raw.readinto(bytearray(10)) == 6
    assert raw.readinto(bytearray(10)) == 0
    os.write(ours, b"more\n")
    assert raw.readinto(bytearray(10)) == 0
    raw.close()
    os.close(ours)


def test_an_end_stays_the_end(pipe: tuple[str, FileIO]) -> None:
    path, writer = pipe
    raw = Pipe(os.open(path, os.O_RDONLY), is_ours=True)
    writer.close()
    assert raw.readinto(bytearray(5)) == raw.readinto(bytearray(5)) == 0
    raw.close()


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: tuple[str, FileIO]) -> None:
    path, writer = pipe
    raw = Pipe(os.open(path, os.O_RDONLY | os.O_NONBLOCK), is_ours=True)
    timer = threading.Timer(0.02, writer.write, (b"12345",))
    timer.start()
    assert raw.readinto(bytearray(5)) == 5
    timer.join()
    raw.close()
