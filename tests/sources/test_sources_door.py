import asyncio
import io
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import canary
import fsspec
import journals
import pyarrow as pa
import pytest
from scripted import ScriptedTransport
from sourced import CONFIGS, counts, sourced

from asyncimport import EVENTS, USERS, ConfigError, SourceError
from asyncimport.records import Event, UserProfile
from asyncimport.sources import CsvFile, JsonlFile
from asyncimport.sources.door import opened_source, source_of

CSV = b"thirdId,phone\n1,138\n2,139\n"
JSONL = b'{"thirdId": "1", "phone": "138"}\n{"thirdId": "2", "phone": "139"}\n'


def on_disk(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def in_memory(folder: Path, name: str, content: bytes) -> str:
    fsspec.filesystem("memory").pipe(f"{folder}/{name}", content)
    return f"memory://{folder}/{name}"


#: What is given, of a folder, lines of CSV and lines of JSON.
Way = Callable[[Path, bytes, bytes], Any]
WAYS: dict[str, Way] = {
    "text": lambda folder, csv, _: str(on_disk(folder, "people.csv", csv)),
    "path": lambda folder, _, jsonl: on_disk(folder, "people.jsonl", jsonl),
    "bytesio": lambda _, __, jsonl: io.BytesIO(jsonl),
    "url": lambda folder, csv, _: in_memory(folder, "people.csv", csv),
    "fsspec": lambda folder, csv, _: fsspec.open(in_memory(folder, "people.csv", csv)),
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@ways
async def test_a_file_given_as_the_source_is_read_as_its_resource(tmp_path: Path, way: Way) -> None:
    ended = await sourced(way(tmp_path, CSV, JSONL), resource=USERS)
    assert (ended.failure, counts(ended.report), ended.ledger.distinct) == (None, (2, 0, 0, 0), 2)


@ways
async def test_a_dry_run_takes_the_same(tmp_path: Path, way: Way) -> None:
    async with journals.client_of(ScriptedTransport()) as client:
        checked = await client.check(USERS, way(tmp_path, CSV, JSONL), CONFIGS["users"])
    assert (checked.ok, checked.read) == (True, 2)


async def test_the_header_is_held_against_the_record_of_the_resource(tmp_path: Path) -> None:
    async with journals.client_of(ScriptedTransport()) as client:
        with canary.raises(ConfigError, match="its first line names no field of Event"):
            await client.check(EVENTS, on_disk(tmp_path, "people.csv", CSV), CONFIGS["events"])


@ways
async def test_a_journal_sees_what_was_opened_and_goes_on_in_it(tmp_path: Path, way: Way) -> None:
    csv = b"thirdId,phone\n" + b"".join(b"%d,%d\n" % (number, number) for number in range(200))
    jsonl = b"".join(b'{"thirdId": "%d"}\n' % number for number in range(200))
    source, journal = way(tmp_path, csv, jsonl), tmp_path / "journal"
    first, second = ScriptedTransport(), ScriptedTransport()
    await journals.stopped(source, journal, first, 3)
    known = journals.look(journal)
    assert known.run.fingerprint["kind"] in {"csv", "jsonl"}
    assert bool(known.source) != isinstance(source, io.BytesIO), "of bytes in memory the records are compared"
    report = await journals.imported(source, journal, second)
    assert (report.read, report.accepted, report.ok) == (200, 200, True)
    sent = [*journals.third_ids(first), *journals.third_ids(second)]
    assert sorted(map(int, set(sent))) == list(range(200))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nobody.csv", "nobody.csv does not exist: check the path"),
        (Path("nobody.xlsx"), "nobody.xlsx: a file ending in .xlsx is not known"),
        (b"people.csv", "the source must be an iterable of records, not one bytes: put it into a list"),
        (io.StringIO("phone\n1\n"), "the file is opened as text: open it with mode 'rb'"),
        ("nowhere://people.csv", "nowhere://people.csv is a URL: fsspec cannot make anything of it"),
    ],
    ids=["missing", "ending", "bytes", "text", "scheme"],
)
async def test_what_cannot_be_opened_is_an_error_on_entering_and_nothing_is_sent(source: Any, message: str) -> None:
    transport = ScriptedTransport()
    async with journals.client_of(transport) as client:
        stream = client.stream(USERS, source, CONFIGS["users"])
        with canary.raises(ConfigError) as refused:
            async with stream:
                pass
        assert str(refused.value).startswith(message)
        with canary.raises(ConfigError) as refused:
            await client.check(USERS, source, CONFIGS["users"])
        assert str(refused.value).startswith(message)
    assert transport.posts == []


async def test_a_file_is_opened_in_a_thread_and_its_own_errors_end_the_run_as_a_sources_do() -> None:
    threads: list[str] = []

    class Witness(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            threads.append(threading.current_thread().name)
            if self.tell() >= 400:
                raise LookupError("out of reach")
            return super().read1(200)

    ended = await sourced(Witness(b"thirdId\n" + b"1\n" * 1_000), resource=USERS, copies_are_meant=True)
    assert isinstance(ended.failure, SourceError)
    assert "reading it raised LookupError after line" in str(ended.failure)
    assert ended.report.accepted == ended.report.read == 196
    assert threads[0] == "asyncimport-opening"
    assert set(threads[1:]) == {"asyncimport-source", "asyncimport-opening"} or set(threads[1:]) == {
        "asyncimport-source"
    }


async def test_the_event_loop_goes_on_while_a_named_pipe_waits_for_its_writer(tmp_path: Path) -> None:
    pipe = tmp_path / "people.csv"
    os.mkfifo(pipe)
    transport = ScriptedTransport()
    async with journals.client_of(transport) as client:
        run = asyncio.create_task(client.import_users(str(pipe), CONFIGS["users"]))
        await asyncio.sleep(0)
        writer = threading.Thread(target=pipe.write_bytes, args=(CSV,))
        writer.start()
        report = await run
        writer.join()
    assert (report.read, report.accepted) == (2, 2)


async def test_a_pipe_without_a_writer_lets_the_import_be_cancelled(tmp_path: Path) -> None:
    pipe = tmp_path / "people.csv"
    os.mkfifo(pipe)
    async with journals.client_of(ScriptedTransport()) as client:
        begun = time.monotonic()
        with canary.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.import_users(pipe, CONFIGS["users"])
        assert time.monotonic() - begun < 5
    pipe.write_bytes(CSV)  # lets the thread go that was left behind


def test_what_is_a_source_already_is_returned_as_it_is(tmp_path: Path) -> None:
    values: list[Any] = [[], iter(()), {"a": 1}, None, 7]
    for given in values:
        assert source_of(given, UserProfile) is given
    assert isinstance(source_of(on_disk(tmp_path, "people.csv", CSV), UserProfile), CsvFile)
    assert isinstance(source_of(io.BytesIO(JSONL), UserProfile), JsonlFile)


async def test_a_table_stands_for_its_rows() -> None:
    table = pa.table({"event_key": ["k"]})
    assert list(source_of(table, Event)) == list(await opened_source(table, Event)) == [{"eventKey": "k"}]


async def test_a_table_that_takes_long_does_not_keep_the_event_loop() -> None:
    waited = threading.Event()

    class Slow:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            assert waited.wait(10.0)
            return pa.table({"phone": ["1"]}).__arrow_c_stream__(requested_schema)

    opening = asyncio.create_task(opened_source(Slow(), UserProfile))
    await asyncio.sleep(0)
    waited.set()
    assert list(await opening) == [{"phone": "1"}]


async def test_everything_else_stands_for_itself() -> None:
    class Anything:
        def __getattr__(self, name: str) -> str:
            return name

    given: tuple[Any, ...] = ([], (), iter(()), Anything(), None)
    for source in given:
        assert source_of(source, UserProfile) is await opened_source(source, UserProfile) is source
