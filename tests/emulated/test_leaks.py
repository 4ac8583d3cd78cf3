"""Many short imports that fail in every way, in one process, which is then as it was before them (FAULTS.md I6).

This file is also the program that imports: `python test_leaks.py COUNT FOLDER`, one JSON line on stdout. In pytest's own
process the logs it keeps would count as memory.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

import psutil
import pytest
import yarl
from leftovers import back_to, resources

from asyncimport import (
    USERS,
    AppCredentials,
    AsyncImportError,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    OutcomeStream,
    RetryPolicy,
    Timeouts,
    UserImportConfig,
    ValidationError,
)
from asyncimport.clock import SystemClock
from asyncimport.emulator import (
    CloseBefore,
    Emulator,
    Gzip,
    Hang,
    Html,
    Ok,
    ResetAfter,
    ResetBefore,
    RevokeToken,
    Status,
    ThrottleMessage,
    Truncate,
)
from asyncimport.emulator.injector import Step
from asyncimport.sources import inline

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
POLICY = DispatchPolicy(
    batch_size=3,
    max_in_flight=4,
    first_contact_s=5.0,
    retry=RetryPolicy(base_s=0.1, cap_s=0.5, floor_s=0.01),
    timeouts=Timeouts(read_s=0.05),
)
#: How much faster than the loop's the imports' clock goes: a pause of a second, as a header asks for, takes little of the test.
HASTE = 20
COUNT = 5_000 if os.environ.get("ASYNCIMPORT_SOAK") else 200
#: Imports at the same time, each with a platform of its own: most of their time is waiting.
AT_ONCE = 8
#: After so many, each fault has met each ending, and caches are full.
WARM_UP = 104
#: What the rest may add however many there are: something that each import leaves behind comes to more.
MOST = {"resident KiB": 8 * 1024, "blocks": 4_000, "objects": 400}

#: The numbers of the faults, endings, sources and books have no common factor: any two of them meet.
FAULTS: list[Step] = [
    ResetBefore(),
    ResetAfter(),
    CloseBefore(),
    Truncate(),
    Truncate(content_length=False),
    Hang(),
    Html(),
    Gzip(),
    Status(status=500, committed=True),
    Status(status=429, headers={"Retry-After": "1"}),
    ThrottleMessage(),
    RevokeToken(),
    Status(status=413),
]
LEAVING = ["left", "broken", "cancelled", "closed"]
ENDINGS = [*LEAVING, "the end", "lost source", "wrong token", "nobody there"]
BOOKS = [(), ("rejects",), ("journal",), ("journal", "rejects"), ("journal", "spool")]


@pytest.mark.timeout(3600)
@pytest.mark.breakage(
    "transport: close no session; thread reader: let the thread wait at its end; clock: leave the sleeper of a bell; "
    "journal: keep the lock; client: keep each stream in a list"
)
def test_i6_failing_imports_leave_nothing_behind(tmp_path: Path) -> None:
    folder, temporary = tmp_path / "books", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, str(COUNT), str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    # A ResourceWarning, or an exception that nobody retrieved, would stand there.
    assert (done.returncode, done.stderr) == (0, "")
    seen = json.loads(done.stdout)
    assert seen["told"] == []
    assert seen["left"] == {"threads": [], "descriptors": [], "sockets": [], "suffixes": [".journal", ".rejects"]}
    assert list(temporary.iterdir()) == []
    assert [name for name, more in seen["more"].items() if more > MOST[name]] == [], seen["more"]
    ends = {"nothing", "Broken", "CancelledError", "StateError", "SourceError", "AuthError", "ConfigError"}
    assert ends <= seen["ended"].keys()
    assert sum(seen["ended"].values()) > COUNT


class Broken(Exception):
    """What the user's own code raises."""


class Hurried(SystemClock):
    """The loop's time, some times as fast."""

    def now(self) -> float:
        return super().now() * HASTE

    async def sleep(self, delay_s: float) -> None:
        await super().sleep(delay_s / HASTE)


def people(ending: str) -> Iterator[dict[str, Any]]:
    """A few; without end where the import is left, so that a thread is left that waits for room."""
    for number in count() if ending in LEAVING else range(15):
        if ending == "lost source" and number == 10:
            raise Broken
        yield {"thirdId": str(number)} if number % 7 else {"thirdId": ""}


async def arriving(records: Iterable[Any]) -> AsyncIterator[Any]:
    for record in records:
        yield record
        await asyncio.sleep(0)


#: A generator is pulled in a thread, an async one in a task, an inline one on the loop.
SOURCES: list[Callable[[Iterator[Any]], Any]] = [iter, arriving, inline]
#: Of the imports those whose records are put.
SINK_EVERY = 7


async def read(client: ImportClient, source: Any, ending: str, run: dict[str, Any]) -> str:
    """Read an import until its ending; tell by which error it ended."""
    outcomes = client.stream(USERS, source, CONFIG, **run)
    first = asyncio.Event()
    reading = asyncio.create_task(_outcomes(client, outcomes, ending, first))
    if ending == "cancelled":
        waiting = asyncio.create_task(first.wait())
        await asyncio.wait({reading, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        reading.cancel()
    try:
        await reading
    except (AsyncImportError, Broken, asyncio.CancelledError) as error:
        return type(error).__name__
    return "nothing"


async def _outcomes(client: ImportClient, outcomes: OutcomeStream, ending: str, first: asyncio.Event) -> None:
    async with outcomes:
        async for _ in outcomes:
            first.set()
            match ending:
                case "left":
                    break
                case "broken":
                    raise Broken
                case "closed":
                    await client.aclose()
                case _:
                    pass


async def put(client: ImportClient, records: Iterator[Any], ending: str, run: dict[str, Any]) -> str:
    """The same records put into a sink until its ending."""
    putting = asyncio.create_task(_put(client, records, ending, run))
    try:
        await putting
    except (AsyncImportError, Broken, asyncio.CancelledError) as error:
        return type(error).__name__
    return "nothing"


async def _put(client: ImportClient, records: Iterator[Any], ending: str, run: dict[str, Any]) -> None:
    kept = run | {"spool": True} if "journal" in run else run
    async with client.open_sink(USERS, CONFIG, **kept) as sink:
        for number, record in enumerate(records):
            with suppress(ValidationError):
                await sink.put(record)
            if ending not in LEAVING or number < 5:
                continue
            match ending:
                case "left":
                    break
                case "broken":
                    raise Broken
                case "cancelled":
                    own = asyncio.current_task()
                    assert own is not None
                    own.cancel()  # met by the next await
                case _:
                    await client.aclose()


async def one(number: int, folder: Path) -> list[str]:
    """An import that meets two faults, and one that goes on with its journal where its source ends; by what each ended."""
    ending, books = ENDINGS[number % len(ENDINGS)], BOOKS[number % len(BOOKS)]
    run: dict[str, Any] = {book: book == "spool" or folder / f"{number}.{book}" for book in books}
    async with Emulator(keep_records=False) as platform:
        platform.faults.script([Ok(), FAULTS[number % len(FAULTS)], FAULTS[(number + 1) % len(FAULTS)]])
        app = AppCredentials(app_id=platform.app_id, app_secret=platform.app_secret)

        async def imported(url: str, ending: str, **credentials: Any) -> str:
            async with ImportClient(url, policy=POLICY, clock=Hurried(), **credentials) as client:
                if number % SINK_EVERY == 0:
                    return await put(client, people(ending), ending, run)
                source = SOURCES[number % len(SOURCES)](people(ending))
                return await read(client, source, ending, run)

        match ending:
            case "wrong token":
                ended = [await imported(platform.url, ending, token="wrong")]
            case "nobody there":
                ended = [await imported("http://127.0.0.1:9/api/open", ending, app=app)]
            case _:
                ended = [await imported(platform.url, ending, app=app)]
        if "journal" in books and ending not in LEAVING:
            ended.append(await imported(platform.url, "the end", app=app))
    return ended


def memory() -> dict[str, int]:
    yarl.cache_clear()  # bounded, and each platform here has a port of its own
    gc.collect()
    resident, blocks = psutil.Process().memory_info().rss // 1024, sys.getallocatedblocks()
    return dict(zip(MOST, (resident, blocks, len(gc.get_objects())), strict=True))


async def all_of_them(imports: int, folder: Path) -> dict[str, Any]:
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(repr(context)))
    ended: Counter[str] = Counter()

    async def wave(numbers: range) -> None:
        async with asyncio.TaskGroup() as tasks:
            runs = [tasks.create_task(one(number, folder)) for number in numbers]
        ended.update(chain.from_iterable(run.result() for run in runs))
        await asyncio.sleep(0)
        told.extend(name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("asyncimport"))

    before = resources()
    for first in range(0, WARM_UP, AT_ONCE):
        await wave(range(first, first + AT_ONCE))
    await back_to(before, within_s=10)
    settled = memory()
    for first in range(WARM_UP, imports, AT_ONCE):
        await wave(range(first, first + AT_ONCE))
    await back_to(before, within_s=10)
    more = {name: now - settled[name] for name, now in memory().items()}
    return {"told": told, "ended": ended, "more": more}


def main(imports: int, folder: Path) -> None:
    process, before = psutil.Process(), set(Path("/proc/self/fd").iterdir())
    seen = asyncio.run(all_of_them(imports, folder))
    left = {
        "threads": [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()],
        "descriptors": sorted(one.name for one in set(Path("/proc/self/fd").iterdir()) - before),
        "sockets": [str(one.laddr) for one in process.net_connections()],
        "suffixes": sorted({path.suffix for path in folder.iterdir()}),
    }
    sys.stdout.write(json.dumps(seen | {"left": left}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
