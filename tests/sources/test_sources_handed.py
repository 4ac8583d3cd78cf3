import gzip
import http.client
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import canary
import fsspec
import pytest

from asyncimport.errors import ConfigError, SourceError
from asyncimport.records import Event, UserProfile
from asyncimport.rejects import STATES
from asyncimport.sources import CsvFile, JsonlFile, open_source, read_csv, read_jsonl, replay

CSV = b"phone,realName\n1,a\n2,b\n"
JSONL = b'{"phone": "1", "realName": "a"}\n{"phone": "2", "realName": "b"}\n'
RECORDS = [{"phone": "1", "realName": "a"}, {"phone": "2", "realName": "b"}]


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's file system in memory, empty before and after."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


class Wire(io.RawIOBase):
    """A file object that can be read once, in pieces of any size, as a socket's."""

    def __init__(self, content: bytes, piece: int = 7) -> None:
        super().__init__()
        self._left = memoryview(content)
        self._piece = piece

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = min(len(buffer), self._piece, len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


class Broken(io.BytesIO):
    """Fails beyond its first bytes, by an exception of its own kind."""

    def read1(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise LookupError("out of reach")
        return super().read1(size)


def of_path(content: bytes, folder: Path) -> Any:
    (folder / "people").write_bytes(content)
    return (folder / "people").open("rb")


def of_zip(content: bytes, folder: Path) -> Any:
    with zipfile.ZipFile(folder / "people.zip", "w") as archive:
        archive.writestr("people", content)
    return zipfile.ZipFile(folder / "people.zip").open("people")


def of_spool(content: bytes, folder: Path) -> Any:
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115 -- closed by the test
    file.write(content)
    file.seek(0)
    return file


def of_text() -> Any:
    return tempfile.TemporaryFile("w+")


def of_fsspec(content: bytes, folder: Path) -> Any:
    (folder / "people").write_bytes(content)
    return fsspec.open(f"file://{folder}/people").open()


MADE: dict[str, Callable[[bytes, Path], Any]] = {
    "bytesio": lambda content, _: io.BytesIO(content),
    "open": of_path,
    "zip": of_zip,
    "spool": of_spool,
    "fsspec": of_fsspec,
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
@pytest.mark.parametrize(
    ("content", "kind"), [(CSV, CsvFile), (JSONL, JsonlFile), (gzip.compress(CSV, mtime=0), CsvFile)]
)
def test_an_open_object_is_read_again_and_again_and_stays_open(
    tmp_path: Path, make: Callable[[bytes, Path], Any], content: bytes, kind: type[Any]
) -> None:
    with make(content, tmp_path) as file:
        source = open_source(file, UserProfile)
        assert isinstance(source, kind)
        assert not source.is_stream
        assert list(source) == list(source) == RECORDS
        assert source.size_bytes in (len(content), None)
        assert not file.closed


@pytest.mark.parametrize("make", [MADE["bytesio"], MADE["open"]], ids=["bytesio", "open"])
def test_it_begins_where_it_stood_when_it_was_given(tmp_path: Path, make: Callable[[bytes, Path], Any]) -> None:
    with make(b"# a comment\n" + CSV, tmp_path) as file:
        assert file.readline() == b"# a comment\n"
        source = read_csv(file)
        assert list(source) == list(source) == RECORDS
        assert source.size_bytes == len(CSV)
        assert list(read_csv(file)) == RECORDS, "it stands where it stood, for whoever gives it again"


def test_two_readings_of_one_object_at_once_do_not_disturb_each_other() -> None:
    content = b"phone\n" + b"".join(b"%d\n" % number for number in range(50_000))
    source = read_csv(io.BytesIO(content))
    first, second = iter(source), iter(source)
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        assert one == other == {"phone": str(number)}


def test_what_cannot_be_sought_in_comes_once() -> None:
    source = open_source(Wire(JSONL), UserProfile)
    assert isinstance(source, JsonlFile)
    assert source.is_stream
    rows = iter(source)
    assert list(rows) == RECORDS
    assert rows.bytes_read == len(JSONL)
    with canary.raises(ConfigError, match="the Wire was read already and comes only once: save it as a file"):
        iter(source)


def test_an_answer_of_http_is_a_file_too() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + CSV)
    theirs.close()
    response = http.client.HTTPResponse(ours)
    response.begin()
    with ours, response:
        assert list(open_source(response, UserProfile)) == RECORDS


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [("people.csv", CSV, CsvFile), ("people.tsv", CSV.replace(b",", b"\t"), CsvFile), ("people.jsonl", JSONL, JsonlFile),
     ("people.jsonl.gz", gzip.compress(JSONL, mtime=0), JsonlFile), ("people", JSONL, JsonlFile), ("people.txt", CSV, CsvFile)],
)  # fmt: skip
@pytest.mark.parametrize("way", ["open", "opened", "url"])
def test_a_file_of_fsspec_is_known_by_its_name_else_by_what_it_holds(
    memory: Any, name: str, content: bytes, kind: type[Any], way: str
) -> None:
    memory.pipe(f"/{name}", content)
    url = f"memory://{name}"
    ways: dict[str, Callable[[], Any]] = {
        "open": lambda: fsspec.open(url),
        "opened": lambda: memory.open(f"/{name}"),
        "url": lambda: url,
    }
    given = ways[way]()
    source = open_source(given, UserProfile)
    assert isinstance(source, kind)
    assert list(source) == list(source) == RECORDS
    assert source.size_bytes == len(content)


def test_what_fsspec_unpacks_is_read_as_it_comes_and_again(memory: Any) -> None:
    import bz2  # noqa: PLC0415 -- of this test only

    memory.pipe("/people.csv.bz2", bz2.compress(CSV))
    source = open_source(fsspec.open("memory://people.csv.bz2", compression="bz2"), UserProfile, format="csv")
    assert list(source) == list(source) == RECORDS
    assert source.size_bytes is None


def test_readers_of_each_format_and_of_rejects_take_the_same(memory: Any) -> None:
    assert list(read_csv(io.BytesIO(CSV))) == list(read_jsonl(io.BytesIO(JSONL))) == RECORDS
    memory.pipe("/rejects", b'{"record": {"phone": "1"}, "state": "rejected", "resource": "users", "params": {}}\n')
    ways: list[Callable[[], Any]] = [
        lambda: fsspec.open("memory://rejects"),
        lambda: memory.open("/rejects"),
        lambda: "memory://rejects",
    ]
    for given in ways:
        again = replay(given(), states=STATES)
        assert (again.resource, list(again)) == ("users", [{"phone": "1"}])


def test_a_file_of_fsspec_is_told_from_what_it_was_by_size_and_version(memory: Any) -> None:
    memory.pipe("/people.csv", CSV)
    source = read_csv("memory://people.csv")
    before = source.identity()
    assert {"size", "version"} <= set(before)
    assert read_csv(fsspec.open("memory://people.csv")).identity() == before == source.identity()
    memory.pipe("/people.csv", CSV.replace(b"b", b"c"))
    after = source.identity()
    assert (after["size"], after["reading"]) == (before["size"], before["reading"])
    assert after["version"] != before["version"]


def test_a_plain_file_that_is_open_is_told_by_size_and_time_as_its_path_is(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(CSV)
    with path.open("rb") as file:
        assert read_csv(file).identity() == read_csv(path).identity()
    assert set(read_csv(io.BytesIO(CSV)).identity()) == {"kind", "reading"}, "of bytes nothing but the records tells"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: io.StringIO("phone\n1\n"), "the file is opened as text: open it with mode 'rb'"),
        (lambda path: path.open(encoding="utf-8"), "{path} is opened as text: open it with mode 'rb'"),
        (lambda _: of_text(), "the file is opened as text: open it with mode 'rb'"),
        (lambda path: path.open("ab"), "{path} is open for writing only: open it with mode 'rb'"),
        (lambda path: fsspec.open(f"{path}", "rt"), "file://{path} is opened as text or for writing: open it with"),
        (lambda path: fsspec.open(f"{path}", "wb"), "file://{path} is opened as text or for writing: open it with"),
    ],
    ids=["stringio", "text", "temporary", "writing", "fsspec-text", "fsspec-writing"],
)
def test_what_gives_no_bytes_is_refused_with_the_mode_to_open_it_with(
    tmp_path: Path, make: Callable[[Path], Any], message: str
) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(CSV)
    file = make(path)
    readers: list[Callable[[Any], Any]] = [read_csv, read_jsonl, replay, lambda given: open_source(given, Event)]
    for read in readers:
        with canary.raises(ConfigError) as refused:
            read(file)
        assert str(refused.value).startswith(message.format(path=path))
    getattr(file, "close", lambda: None)()


class Odd:
    """Looks like a file, and is none."""

    def read(self, size: int = -1) -> bytes:
        raise LookupError(size)

    def readable(self) -> bool:
        return True

    def close(self) -> None: ...


def test_what_only_looks_like_a_file_is_refused_by_a_sentence() -> None:
    for read in (read_csv, read_jsonl):
        with canary.raises(ConfigError) as refused:
            read(Odd())
        assert str(refused.value) == "the file cannot be read (LookupError): give an open binary file"


def test_a_closed_object_is_refused_when_it_is_given_and_when_it_is_iterated(tmp_path: Path) -> None:
    with of_path(CSV, tmp_path) as file:
        source = read_csv(file)
    for read in (lambda: iter(source), lambda: read_csv(file)):
        with canary.raises(ConfigError, match="people is closed: keep it open while it is read"):
            read()


def test_an_object_that_fails_ends_the_reading_by_its_line_with_its_own_exception_as_the_cause() -> None:
    head = b"phone\n" + b"1\n" * 200_000
    rows = iter(read_csv(Broken(head)))
    taken: list[Any] = []
    with canary.raises(SourceError) as raised:
        taken.extend(iter(lambda: next(rows), None))
    assert taken == [{"phone": "1"}] * len(taken)
    assert len(taken) == 2**18 // 2 - 3, "the first read brought so many whole lines, which were given"
    assert str(raised.value) == (
        f"the Broken: reading it raised LookupError after line {len(taken) + 1:,}: see the cause, and read it again"
    )
    assert isinstance(raised.value.__cause__, LookupError)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://nobody.csv", "memory:///nobody.csv does not exist: check the path"),
        ("nowhere://people.csv", "nowhere://people.csv is a URL: fsspec cannot make anything of it (ValueError)"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused(memory: Any, url: str, message: str) -> None:
    with canary.raises(ConfigError) as refused:
        open_source(url, UserProfile)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(("missing", "said"), [("fsspec", "pip install fsspec"), ("s3fs", "install what fsspec needs")])
def test_what_a_url_needs_and_is_not_installed_is_named(missing: str, said: str) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None
from asyncimport.sources import read_csv
try:
    read_csv("s3://key:canary-secret@bucket/people.csv?sign=canary-secret")
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith(f"ConfigError s3://bucket/people.csv is a URL: {said}"), done.stderr
    assert "canary" not in done.stdout


def test_fsspec_is_not_imported_for_paths_and_objects(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(CSV)
    code = f"""
import io, sys
from asyncimport.sources import read_csv
assert list(read_csv({str(tmp_path / "people.csv")!r})) == list(read_csv(io.BytesIO({CSV!r}))) == {RECORDS!r}
print("fsspec" in sys.modules)
"""
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True).stdout == b"False\n"
    )


def test_a_url_does_not_show_what_may_be_a_secret(memory: Any) -> None:
    memory.pipe("/people.csv?token=canary-secret", CSV)
    source = read_csv(fsspec.open("memory://people.csv?token=canary-secret"))
    assert list(source) == RECORDS
    assert source.path == "memory:///people.csv"
    assert "canary" not in repr(source)


def test_an_object_is_read_in_the_thread_that_iterates() -> None:
    threads: list[str] = []

    class Witness(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            threads.append(threading.current_thread().name)
            return super().read1(size)

    source = read_csv(Witness(CSV))
    threads.clear()
    reading = threading.Thread(target=list, args=(source,), name="reading")
    reading.start()
    reading.join()
    assert set(threads) == {"reading"}


def test_a_pipe_that_is_wrapped_in_an_object_is_a_stream(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, CSV)
    os.close(writing)
    with open(reading, "rb") as file:  # noqa: PTH123 -- a descriptor
        source = open_source(file, UserProfile)
        assert source.is_stream
        assert list(source) == RECORDS
