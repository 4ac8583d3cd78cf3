"""One contender, alone in its process: `python -m benchmarks.contender typed --url URL --records N --width W`.

Prints one JSON line, a `Measurement`. Records of a list exist before the clock starts, and are frozen out of the garbage
collector's sight as a program's long-lived data would be; the lazy contenders make theirs while they send, those of files read.
"""

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil
from attrs import asdict, define, field, frozen

from asyncimport import EVENTS, USERS, DispatchPolicy, ImportClient, JournalError, Resource, RunOptions
from asyncimport.configs import Config
from asyncimport.sources import open_source
from benchmarks import records
from benchmarks.meter import Heart, Measurement, heartbeat, peak_rss_mib
from benchmarks.raw import post_all, post_all_at_once

Send = Callable[[Iterable[Any], str, int], Awaitable[None]]
#: A list has so many different records at most, again and again: making more takes longer than sending them.
_DISTINCT: Final = 50_000
#: Records after which memory should not grow any more, and between two looks at it.
_SETTLED: Final = 200_000
_LOOK_EVERY: Final = 100_000


def _raw(resource: Resource, config: Config, post: Callable[..., Awaitable[None]] = post_all) -> Send:
    async def send(source: Iterable[Any], url: str, width: int) -> None:
        await post(source, config.to_wire(), url + resource.path, width)

    return send


def _ours(resource: Resource, config: Config, *, is_adaptive: bool = False) -> Send:
    async def send(source: Iterable[Any], url: str, width: int) -> None:
        policy = DispatchPolicy(max_in_flight=None if is_adaptive else width)
        async with ImportClient(url, token="benchmark", policy=policy) as client:
            (await client.run(resource, source, config)).raise_if_incomplete()

    return send


def _journaled(resource: Resource, config: Config, *, spool: bool = False) -> Send:
    """With a journal that is made anew."""

    async def send(source: Iterable[Any], url: str, width: int) -> None:
        policy = DispatchPolicy(max_in_flight=width)
        with TemporaryDirectory() as folder:
            run = RunOptions(journal=Path(folder) / "journal", spool=spool)
            async with ImportClient(url, token="benchmark", policy=policy) as client:
                (await client.run(resource, source, config, **run)).raise_if_incomplete()

    return send


def _on_slow_disk(send: Send) -> Send:
    """Where the disk may take longer over its part than the end of the run waits for it."""

    async def patient(source: Iterable[Any], url: str, width: int) -> None:
        try:
            await send(source, url, width)
        except JournalError as late:
            if late.report is None or not late.report.ok:
                raise

    return patient


async def _build(source: Iterable[Any], _url: str, _width: int) -> None:
    deque(source, maxlen=0)


def _rss_mib() -> float:
    """The memory this process has resident now."""
    return float(psutil.Process().memory_info().rss) / 2**20


@define
class Looks:
    """A source of records made before, and how much memory this process had while they were taken."""

    rss_mib: list[float] = field(factory=list)

    def of(self, made: Iterable[Any], count: int) -> Iterator[Any]:
        for number, record in enumerate(islice(cycle(made), count)):
            if number >= _SETTLED and not number % _LOOK_EVERY:
                self.rss_mib.append(_rss_mib())
            yield record

    @property
    def growth_mib(self) -> float | None:
        return max(self.rss_mib) - self.rss_mib[0] if self.rss_mib else None


def _frame(file: Path) -> Iterable[Any]:
    import pandas as pd  # noqa: PLC0415 -- of one contender alone

    frame: Iterable[Any] = pd.read_parquet(file)
    return frame


@frozen(kw_only=True)
class Contender:
    """How record number n is made, or which file holds them, and how they are sent."""

    make: Callable[[int], Any] | None = None
    file: str | None = None
    send: Send
    #: Whether the file is a frame of pandas before the clock starts.
    is_frame: bool = False
    is_lazy: bool = False
    #: Whether few records come again and again, and memory is looked at meanwhile.
    is_watched: bool = False
    #: The package whose loop it runs on, where that is not asyncio's own.
    loop: str | None = None

    def source(self, count: int, folder: Path, looks: Looks) -> Iterable[Any]:
        """So many records, as they are before the clock starts."""
        if self.file is not None and self.is_frame:
            return _frame(folder / self.file)
        if self.file is not None:
            opened: Iterable[Any] = open_source(folder / self.file, USERS.record)
            return opened
        if self.make is None:
            raise ValueError("neither a file nor a way to make records")
        if self.is_lazy:
            return map(self.make, range(count))
        made = [self.make(n) for n in range(1_000 if self.is_watched else min(count, _DISTINCT))]
        return looks.of(made, count) if self.is_watched else list(islice(cycle(made), count))


_RAW_USERS: Final = _raw(USERS, records.USER_CONFIG)
_RAW_EVENTS: Final = _raw(EVENTS, records.EVENT_CONFIG)
_OUR_USERS: Final = _ours(USERS, records.USER_CONFIG)
_OUR_EVENTS: Final = _ours(EVENTS, records.EVENT_CONFIG)
_OUR_JOURNALED_EVENTS: Final = _journaled(EVENTS, records.EVENT_CONFIG)

CONTENDERS: Final[dict[str, Contender]] = {
    "raw": Contender(make=records.user_wire, send=_RAW_USERS),
    "naive": Contender(make=records.user_wire, send=_raw(USERS, records.USER_CONFIG, post_all_at_once)),
    "typed": Contender(make=records.user, send=_OUR_USERS),
    "typed_default": Contender(make=records.user, send=_ours(USERS, records.USER_CONFIG, is_adaptive=True)),
    "mapping_wire": Contender(make=records.user_wire, send=_OUR_USERS),
    "mapping_python": Contender(make=records.user_python, send=_OUR_USERS),
    "csv": Contender(file="users.csv", send=_OUR_USERS),
    "jsonl": Contender(file="users.jsonl", send=_OUR_USERS),
    "parquet": Contender(file="users.parquet", send=_OUR_USERS),
    "pandas": Contender(file="users.parquet", send=_OUR_USERS, is_frame=True),
    "raw_generator": Contender(make=records.user_wire, send=_RAW_USERS, is_lazy=True),
    "mapping_generator": Contender(make=records.user_wire, send=_OUR_USERS, is_lazy=True),
    "typed_generator": Contender(make=records.user, send=_OUR_USERS, is_lazy=True),
    "raw_events": Contender(make=records.event_wire, send=_RAW_EVENTS),
    "events_typed": Contender(make=records.event, send=_OUR_EVENTS),
    "events_wire": Contender(make=records.event_wire, send=_OUR_EVENTS),
    "typed_journal": Contender(make=records.user, send=_journaled(USERS, records.USER_CONFIG)),
    "events_journal": Contender(make=records.event, send=_OUR_JOURNALED_EVENTS),
    "events_spool": Contender(make=records.event, send=_journaled(EVENTS, records.EVENT_CONFIG, spool=True)),
    "events_slow_disk": Contender(make=records.event, send=_on_slow_disk(_OUR_JOURNALED_EVENTS)),
    "build_mapping": Contender(make=records.user_wire, send=_build, is_lazy=True),
    "build_typed": Contender(make=records.user, send=_build, is_lazy=True),
    "raw_uvloop": Contender(make=records.user_wire, send=_RAW_USERS, loop="uvloop"),
    "typed_uvloop": Contender(make=records.user, send=_OUR_USERS, loop="uvloop"),
    "watched": Contender(make=records.user_wire, send=_OUR_USERS, is_watched=True),
}


async def measure(name: str, *, url: str, count: int, width: int, folder: Path, with_heartbeat: bool) -> Measurement:
    """Make the records, then send them under the clock."""
    contender, looks = CONTENDERS[name], Looks()
    source = contender.source(count, folder, looks)
    gc.collect()
    gc.freeze()
    computed_s, started_at = time.process_time(), time.perf_counter()
    heart: Heart | None
    async with heartbeat() if with_heartbeat else nullcontext() as heart:
        await contender.send(source, url, width)
    elapsed_s, cpu_s = time.perf_counter() - started_at, time.process_time() - computed_s
    return Measurement(
        contender=name,
        records=count,
        cpu_us_per_record=cpu_s / count * 1e6,
        records_per_s=count / elapsed_s,
        peak_rss_mib=peak_rss_mib(),
        stall_ms=None if heart is None else heart.stall_s * 1e3,
        busy_stall_ms=None if heart is None else heart.busy_stall_s * 1e3,
        rss_growth_mib=looks.growth_mib,
    )


def _new_loop(name: str | None) -> Callable[[], asyncio.AbstractEventLoop]:
    if name is None:
        return asyncio.new_event_loop
    __import__(name)
    factory: Callable[[], asyncio.AbstractEventLoop] = sys.modules[name].new_event_loop
    return factory


def main() -> None:
    """Run the contender that is named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contender")
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--heartbeat", action="store_true")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=_new_loop(CONTENDERS[given.name].loop)) as runner:
        measurement = runner.run(
            measure(
                given.name,
                url=given.url,
                count=given.records,
                width=given.width,
                folder=given.folder,
                with_heartbeat=given.heartbeat,
            )
        )
    print(json.dumps(asdict(measurement)))


if __name__ == "__main__":
    main()
