"""The file of rejects of a real run: what is in it, who may read it, and what a disk that fails does to the run."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import stat
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import canary
import pytest
from scripted import OK, ScriptedTransport, envelope

from asyncimport import (
    USERS,
    ConfigError,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    ImportReport,
    JournalError,
    Rejected,
    TooManyRejected,
    UserImportConfig,
    UserProfile,
)
from asyncimport.batch import Positions
from asyncimport.clock import SystemClock
from asyncimport.disk import MAX_PENDING_BYTES, DiskWriter
from asyncimport.rejects import Line, Lines, Rejection
from asyncimport.rejects_file import RejectsFile
from asyncimport.sources import read_csv

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
BAD = {"thirdId": 7, "realName": canary.PERSON}


def client_of(transport: ScriptedTransport, **arguments: Any) -> ImportClient:
    return ImportClient("https://platform.example/api/open", token=canary.TOKEN, transport=transport, **arguments)


REFUSED = envelope("100999", msg="no")


async def imported(source: Any, path: Path, *script: Any, policy: DispatchPolicy | None = None) -> ImportReport:
    async with client_of(ScriptedTransport(script), policy=policy) as client:
        return await client.run(USERS, source, CONFIG, rejects=path)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_each_rejected_record_is_a_line_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "rejects.ndjson"
    report = await imported([UserProfile(third_id="1"), BAD, {"thirdId": "2", "sex": "x"}], path)
    assert (report.accepted, report.rejected) == (1, 2)
    assert [(line["position"], line["state"], line["record"]) for line in lines_of(path)] == [
        (1, "rejected", BAD),
        (2, "rejected", {"thirdId": "2", "sex": "x"}),
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {line["run_id"] for line in lines_of(path)} == {report.run_id}


async def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await imported([BAD], tmp_path / "rejects")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "rejects").stat().st_mode) == 0o600


async def test_lines_of_a_file_are_named_and_unreadable_ones_kept_as_text(tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("thirdId,sex\n1,男\n2,x\n3,女,too many\n", encoding="utf-8")
    await imported(read_csv(people, UserProfile), tmp_path / "rejects")
    assert [(line["line"], line["position"], line["record"]) for line in lines_of(tmp_path / "rejects")] == [
        (3, 1, {"thirdId": "2", "sex": "x"}),
        (4, 2, "3,女,too many"),
    ]


async def test_what_the_platform_refused_is_kept_as_it_was_sent(tmp_path: Path) -> None:
    people = [UserProfile(third_id=str(n)) for n in range(25)]
    policy = DispatchPolicy(batch_size=10, max_in_flight=1)
    transport = ScriptedTransport(otherwise=lambda sent: REFUSED if {"thirdId": "13"} in sent.records else OK)
    async with client_of(transport, policy=policy) as client:
        report = await client.run(USERS, people, CONFIG, rejects=tmp_path / "rejects")
    assert report.rejected == 1
    assert [line["record"] for line in lines_of(tmp_path / "rejects")] == [{"thirdId": "13"}]
    assert {line["code"] for line in lines_of(tmp_path / "rejects")} == {"100999"}


async def test_a_file_without_lines_does_not_stay(tmp_path: Path) -> None:
    await imported([UserProfile(third_id="1")], tmp_path / "rejects")
    assert not (tmp_path / "rejects").exists()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda folder: (folder / "there").write_text("of value", encoding="utf-8"), "exists already: name another"),
        (lambda folder: (folder / "there").symlink_to(folder / "elsewhere"), "exists already"),
        (lambda folder: (folder / "there").mkdir(), "exists already"),
    ],
    ids=["file", "link", "folder"],
)
async def test_what_exists_is_refused_before_anything_is_sent(tmp_path: Path, make: Any, told: str) -> None:
    make(tmp_path)
    transport = ScriptedTransport()
    async with client_of(transport) as client:
        with canary.raises(ConfigError, match=told):
            await client.run(USERS, [BAD], CONFIG, rejects=tmp_path / "there")
    assert transport.posts == []
    assert not (tmp_path / "elsewhere").exists()


async def test_a_folder_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with canary.raises(ConfigError, match="its folder does not exist"):
        await imported([BAD], tmp_path / "nowhere" / "rejects")


async def test_a_cancelled_run_still_has_its_lines(tmp_path: Path) -> None:
    async def endless() -> Any:
        yield BAD
        yield BAD
        await asyncio.Event().wait()

    async with client_of(ScriptedTransport()) as client:
        task = asyncio.create_task(client.run(USERS, endless(), CONFIG, rejects=tmp_path / "rejects"))
        while not (tmp_path / "rejects").exists() or len(lines_of(tmp_path / "rejects")) < 2:  # noqa: ASYNC110 -- a file has no event
            await asyncio.sleep(0.01)
        task.cancel()
        with canary.raises(asyncio.CancelledError):
            await task
    assert len(lines_of(tmp_path / "rejects")) == 2


async def test_many_rejects_are_all_written(tmp_path: Path) -> None:
    source = ({"thirdId": 7, "realName": "x" * 1000} for _ in range(30_000))
    report = await imported(source, tmp_path / "rejects")
    assert report.rejected == len(lines_of(tmp_path / "rejects")) == 30_000


class Held:
    """Lines that a disk does not take until it is let."""

    def __init__(self) -> None:
        self.is_free = threading.Event()
        self.asked = threading.Event()

    def of(self, rejection: Rejection) -> Iterator[Line]:
        self.asked.set()
        assert self.is_free.wait(30)
        yield Line(position=0, state="rejected", reason="r", text=b"line\n")


async def opened(path: Path, lines: object, failed: Any = lambda _: None) -> DiskWriter[Rejection]:
    file = DiskWriter("rejects", RejectsFile(path, cast("Lines", lines)), SystemClock(), failed=failed)
    await file.open()
    return file


def rejection(size: int = 0) -> Rejection:
    outcome = Rejected(positions=Positions.of([0]), reason="r")
    return Rejection(outcome=outcome, body=b" " * size, settled_ms=0)


async def test_the_run_waits_while_the_disk_holds_much(tmp_path: Path) -> None:
    held, failures = Held(), list[Exception]()
    file = await opened(tmp_path / "rejects", held, failures.append)
    few = MAX_PENDING_BYTES // rejection().size
    for _ in range(few):
        file.put(rejection(), rejection().size)
    await file.room()  # there is some
    file.put(rejection(), rejection().size)
    waiting = asyncio.create_task(file.room())
    await asyncio.to_thread(held.asked.wait, 30)
    await asyncio.sleep(0)
    assert not waiting.done()
    held.is_free.set()
    await waiting
    await file.aclose(SystemClock().now() + 30)
    assert failures == []
    assert (tmp_path / "rejects").read_bytes() == b"line\n" * (few + 1)


async def test_a_small_record_counts_for_what_its_outcome_takes(tmp_path: Path) -> None:
    assert rejection().size > 4_000  # else a million bad rows of 40 bytes would fill the memory


async def test_a_disk_that_takes_nothing_ends_the_wait_and_is_told(tmp_path: Path) -> None:
    held, failures = Held(), list[Exception]()
    file = await opened(tmp_path / "rejects", held, failures.append)
    file.put(rejection(), rejection().size)
    assert not await file.aclose(0.0)
    assert failures == []  # the run says what it means
    held.is_free.set()


async def test_a_defect_in_a_line_ends_the_run_too(tmp_path: Path) -> None:
    class Broken:
        def of(self, rejection: Rejection) -> Iterator[Line]:
            raise LookupError

    failures = list[Exception]()
    file = await opened(tmp_path / "rejects", Broken(), failures.append)
    file.put(rejection(), rejection().size)
    await file.aclose(SystemClock().now() + 30)
    assert "cannot be written (LookupError)" in str(failures[0])


def test_a_disk_that_wakes_after_the_loop_has_gone_harms_nobody(tmp_path: Path) -> None:
    held = Held()

    async def main() -> None:
        file = await opened(tmp_path / "rejects", held)
        file.put(rejection(), rejection().size)
        await file.aclose(0.0)

    asyncio.run(main())
    (thread,) = [each for each in threading.enumerate() if each.name == "asyncimport-rejects"]
    held.is_free.set()
    thread.join(30)
    assert not thread.is_alive()  # and no exception in it, which would be a warning, and warnings are errors


async def test_an_empty_file_is_left_when_another_has_taken_its_place(tmp_path: Path) -> None:
    file = await opened(tmp_path / "rejects", None)
    (tmp_path / "rejects").unlink()
    (tmp_path / "rejects").write_text("somebody else's", encoding="utf-8")
    await file.aclose(SystemClock().now() + 30)
    assert (tmp_path / "rejects").read_text(encoding="utf-8") == "somebody else's"


async def left_early(client: ImportClient, source: Any, path: Path) -> ImportReport:
    async with client.stream(USERS, source, CONFIG, rejects=path) as outcomes:
        async for _ in outcomes:
            break
    return outcomes.report


async def stopped(client: ImportClient, source: Any, path: Path) -> ImportReport:
    return await client.run(USERS, source, CONFIG, rejects=path, deadline=0.2)


async def refused(client: ImportClient, source: Any, path: Path) -> ImportReport:
    with canary.raises(TooManyRejected) as caught:
        await client.run(USERS, source, CONFIG, rejects=path, max_rejected=10)
    assert isinstance(caught.value.report, ImportReport)
    return caught.value.report


@pytest.mark.parametrize("end", [left_early, stopped, refused])
async def test_every_rejected_record_has_its_line_however_a_run_ends(tmp_path: Path, end: Any) -> None:
    async def source() -> AsyncIterator[dict[str, Any]]:
        for n in range(100_000):
            yield BAD if n % 3 else {"thirdId": str(n)}
            await asyncio.sleep(0)

    policy = DispatchPolicy(batch_size=10, max_in_flight=2)
    transport = ScriptedTransport(otherwise=envelope("100999"), delay_s=0.05)
    async with client_of(transport, policy=policy) as client:
        report = await end(client, source(), tmp_path / "rejects")
    assert report.rejected > 0
    lines = lines_of(tmp_path / "rejects")
    assert len({line["position"] for line in lines}) == len(lines)
    counts = Counter(line["state"] for line in lines)
    assert counts == +Counter(rejected=report.rejected, unconfirmed=report.unconfirmed, unsent=report.unsent)


async def test_a_failing_file_is_noted_on_what_ended_the_run_first(tmp_path: Path) -> None:
    transport = ScriptedTransport()
    async with client_of(transport) as client:
        outcomes = client.stream(USERS, [BAD] * 20, CONFIG, rejects=tmp_path / "rejects", max_rejected=5)
        with canary.raises(TooManyRejected) as caught:
            async with outcomes:
                outcomes.stop(TooManyRejected("first"))
                outcomes.stop(JournalError("the rejects file cannot be written"))
                async for _ in outcomes:
                    pass
    assert caught.value.__notes__ == ["the rejects file cannot be written"]


FULL_DISK = textwrap.dedent(
    """
    import asyncio, resource, sys
    from asyncimport import ImportClient, ImportMode, JournalError, USERS, UserImportConfig
    from scripted import ScriptedTransport

    async def source():
        for n in range(100_000):
            yield {"thirdId": 7, "realName": "x" * 500}
            await asyncio.sleep(0)

    async def main():
        config = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
        async with ImportClient("https://platform.example/x", token="t", transport=ScriptedTransport()) as client:
            try:
                await client.run(USERS, source(), config, rejects=sys.argv[1])
            except JournalError as error:
                counts = error.report
                assert counts.read == counts.rejected + counts.unsent < 100_000, counts
                print(error)

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    asyncio.run(main())
    """
)


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on the size of files")
async def test_a_disk_that_is_full_ends_the_run_and_says_so(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        FULL_DISK,
        str(tmp_path / "rejects"),
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent / "support")},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert b"cannot be written (File too large): what was rejected from there on is not in it" in out
