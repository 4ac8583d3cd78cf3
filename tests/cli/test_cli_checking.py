"""The dry run as the command runs it: its screen, Ctrl-C, and a JSON document that comes in pieces."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import canary
import orjson
import pytest
from attrs import evolve
from command import ran
from terminal import CTRL_C, Terminal

from asyncimport.check import CheckReport, ErrorExample, ErrorGroup
from asyncimport.place import Place

COMMAND = (sys.executable, "-c", "from asyncimport.cli import main; main()")
#: As the streams are where nobody asked for anything else.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
EXAMPLE = ErrorExample(
    position=0, source_place=Place(line=2), column="性别", place="", got="", pattern="x", rule="takes one of 男, 女"
)
NOTHING = CheckReport(
    resource="users",
    first_record=b"",
    read=0,
    rejected=0,
    batches=0,
    bytes=0,
    largest_batch_bytes=0,
    errors=(),
    source_ended=True,
)
#: The words that the parts are found by stand in the data too.
TRAP = evolve(NOTHING, first_record=b'{"errors":[],"a":"\\"errors\\":[]"}', source_ended=False)


def group(count: int, *examples: ErrorExample) -> ErrorGroup:
    places = range(count)
    return ErrorGroup(
        reason="sex: 男[]",
        column=None,
        examples=examples,
        positions=array("q", places),
        lines=array("q", (2 + place for place in places)),
    )


@pytest.mark.parametrize(
    "report",
    [
        NOTHING,
        TRAP,
        evolve(TRAP, errors=(group(1, EXAMPLE),)),
        evolve(NOTHING, errors=(group(10_000), group(10_001, EXAMPLE), group(25_000), group(0))),
    ],
    ids=["nothing", "empty lists in the data", "one", "many"],
)
def test_a_report_in_pieces_is_the_same_document(report: CheckReport) -> None:
    parts = list(report.json_parts())
    assert b"".join(parts) == orjson.dumps(report.to_dict())
    assert "".join(part.decode() for part in parts) == orjson.dumps(report.to_dict()).decode()
    assert max(map(len, parts)) < 100_000


def test_the_pieces_of_a_large_report_need_little_memory() -> None:
    report = evolve(NOTHING, errors=(group(300_000),))
    tracemalloc.start()
    try:
        size = sum(len(part) for part in report.json_parts())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 3_000_000
    assert peak < 4_000_000  # orjson asks for six times what it needs; all places at once are 30 MB


async def test_json_of_a_check_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("thirdId,sex\n" + "".join(f"{n},x\n" for n in range(12_000)) + "a,男\n", encoding="utf-8")
    result = await ran("check", "users", str(path), "--json")
    assert result.code == 1
    document = orjson.loads(result.out)
    assert result.out == orjson.dumps(document).decode() + "\n"
    assert document["errors"][0]["lines"] == list(range(2, 12_002))
    assert document["first_record"] == {"thirdId": "a", "sex": "男"}


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_a_report_that_nobody_reads_changes_no_exit_code(tmp_path: Path, more: list[str]) -> None:
    path = tmp_path / "people.csv"
    path.write_text("thirdId,sex\n" + "".join(f"{n},x\n" for n in range(5_000)), encoding="utf-8")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [*COMMAND, "check", "users", str(path), *more],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            env=BUFFERED,
            check=False,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")


@contextmanager
def endless(folder: Path) -> Iterator[str]:
    """A named pipe with three records in it, two of them wrong, that somebody still may write to."""
    path = folder / "people.csv"
    os.mkfifo(path)
    opened = os.open(path, os.O_RDWR)
    try:
        os.write(opened, "thirdId,sex\n1,男\n2,x\n3,yy\n".encode())
        yield str(path)
    finally:
        os.close(opened)


async def test_the_screen_shows_what_is_read_and_nothing_of_a_platform(tmp_path: Path) -> None:
    with endless(tmp_path) as path:
        async with Terminal(*COMMAND, "check", "users", path) as terminal:
            screen = await terminal.shows("3 read  2 with errors")
            assert "checking users" in screen
            assert "records/s" in screen
            assert not [word for word in ("accepted", "rejected", "in flight") if word in screen]
            terminal.send(CTRL_C)
            assert await terminal.ended() == 130


async def test_ctrl_c_ends_a_check_with_what_was_found_so_far(tmp_path: Path) -> None:
    with endless(tmp_path) as path:
        async with Terminal(*COMMAND, "check", "users", path) as terminal:
            await terminal.shows("3 read")
            terminal.send(CTRL_C)
            assert await terminal.ended() == 130
            text = terminal.text
    assert "users: 3 read, 2 with errors; 1 would be sent" in text
    assert "the source was not read to its end" in text
    assert "line 4, column 'sex'" in text
    assert "Traceback" not in text
    assert "checking" not in text


async def test_ctrl_c_ends_a_check_with_one_json_document(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with endless(tmp_path) as path, report.open("wb") as out:
        async with Terminal(*COMMAND, "check", "users", path, "--json", stdout=out.fileno()) as terminal:
            await terminal.shows("3 read")
            terminal.send(CTRL_C)
            assert await terminal.ended() == 130
            assert canary.leaks(terminal.text) == []
    document = orjson.loads(report.read_bytes())
    assert (document["read"], document["rejected"]) == (3, 2)
    assert (document["source_ended"], document["ok"]) == (False, False)


HELD = """
import sys
from asyncimport.cli import main
from asyncimport.cli.commands import app

@app.command()
def held() -> None:
    print("held", end="", file=sys.stdout)
    print("held", end="", file=sys.stderr)
    raise SystemExit(3)

main()
"""


@pytest.mark.parametrize("redirection", [">&{pipe}", "2>&{pipe}", ">/dev/full", "2>/dev/full"])
def test_what_a_stream_still_holds_at_the_end_changes_no_exit_code(redirection: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = f'"$0" -c "$1" held {redirection.format(pipe=writing)}'
        ended = subprocess.run(
            ["bash", "-c", command, sys.executable, HELD],
            pass_fds=[writing],
            env=BUFFERED,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stdout + ended.stderr) == (3, "held")


@pytest.mark.parametrize("more", ["", "--json"], ids=["text", "json"])
def test_a_full_disk_under_the_report_is_told_once(tmp_path: Path, more: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text("thirdId\n1\n", encoding="utf-8")
    ended = subprocess.run(
        ["bash", "-c", f'"$@" check users {path} {more} > /dev/full', "bash", *COMMAND],
        env=BUFFERED,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert ended.stderr == "error: the output cannot be written (No space left on device)\n"
