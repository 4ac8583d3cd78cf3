"""One contender, alone in its process: `python -m benchmarks.contender typed --url URL --records N --width W`.

Prints one JSON line, a `Measurement`. Records of a list exist before the clock starts, and are frozen out of the garbage
collector's sight as a program's long-lived data would be; the lazy contenders make theirs while they send.
"""

import argparse
import asyncio
import gc
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from attrs import asdict, frozen

from asyncimport import EVENTS, USERS, DispatchPolicy, ImportClient, JournalError, Resource, RunOptions
from asyncimport.configs import Config
from benchmarks import records
from benchmarks.meter import Heart, Measurement, heartbeat, peak_rss_mib
from benchmarks.raw import post_all

Send = Callable[[Iterable[Any], str, int], Awaitable[None]]


def _raw(resource: Resource, config: Config) -> Send:
    async def send(source: Iterable[Any], url: str, width: int) -> None:
        await post_all(source, config.to_wire(), url + resource.path, width)

    return send


def _ours(resource: Resource, config: Config) -> Send:
    async def send(source: Iterable[Any], url: str, width: int) -> None:
        policy = DispatchPolicy(max_in_flight=width)
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


@frozen(kw_only=True)
class Contender:
    """How record number n is made, and how records are sent."""

    make: Callable[[int], Any]
    send: Send
    is_lazy: bool = False


_RAW_USERS: Final = _raw(USERS, records.USER_CONFIG)
_OUR_USERS: Final = _ours(USERS, records.USER_CONFIG)
_OUR_JOURNALED_EVENTS: Final = _journaled(EVENTS, records.EVENT_CONFIG)

CONTENDERS: Final[dict[str, Contender]] = {
    "raw": Contender(make=records.user_wire, send=_RAW_USERS),
    "typed": Contender(make=records.user, send=_OUR_USERS),
    "mapping_wire": Contender(make=records.user_wire, send=_OUR_USERS),
    "mapping_python": Contender(make=records.user_python, send=_OUR_USERS),
    "raw_generator": Contender(make=records.user_wire, send=_RAW_USERS, is_lazy=True),
    "typed_generator": Contender(make=records.user, send=_OUR_USERS, is_lazy=True),
    "raw_events": Contender(make=records.event_wire, send=_raw(EVENTS, records.EVENT_CONFIG)),
    "events_typed": Contender(make=records.event, send=_ours(EVENTS, records.EVENT_CONFIG)),
    "typed_journal": Contender(make=records.user, send=_journaled(USERS, records.USER_CONFIG)),
    "events_journal": Contender(make=records.event, send=_OUR_JOURNALED_EVENTS),
    "events_spool": Contender(make=records.event, send=_journaled(EVENTS, records.EVENT_CONFIG, spool=True)),
    "events_slow_disk": Contender(make=records.event, send=_on_slow_disk(_OUR_JOURNALED_EVENTS)),
    "build_mapping": Contender(make=records.user_wire, send=_build, is_lazy=True),
    "build_typed": Contender(make=records.user, send=_build, is_lazy=True),
}


async def measure(name: str, *, url: str, count: int, width: int, with_heartbeat: bool) -> Measurement:
    """Make the records, then send them under the clock."""
    contender = CONTENDERS[name]
    source: Iterable[Any] = map(contender.make, range(count))
    if not contender.is_lazy:
        source = list(source)
    gc.collect()
    gc.freeze()
    heart: Heart | None = None
    computed_s, started_at = time.process_time(), time.perf_counter()
    if with_heartbeat:
        async with heartbeat() as heart:
            await contender.send(source, url, width)
    else:
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
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contender")
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--heartbeat", action="store_true")
    given = parser.parse_args()
    measurement = asyncio.run(
        measure(given.name, url=given.url, count=given.records, width=given.width, with_heartbeat=given.heartbeat)
    )
    print(json.dumps(asdict(measurement)))
