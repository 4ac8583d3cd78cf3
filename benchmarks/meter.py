"""What one contender cost: CPU, wall time, peak memory, and how long it kept the event loop from others."""

import asyncio
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from attrs import define, frozen

_BEAT_S: Final = 0.001
_MIB: Final = 1024 * 1024


@frozen(kw_only=True)
class Measurement:
    """One run of one contender.

    `stall_ms` is the worst lateness of a heartbeat; `busy_stall_ms` counts of it only what this process spent computing,
    so a machine that gave the CPU to somebody else does not show in it. Both are None without a heartbeat.
    """

    contender: str
    records: int
    #: User and system time of the whole process, all its threads.
    cpu_us_per_record: float
    records_per_s: float
    peak_rss_mib: float
    stall_ms: float | None = None
    busy_stall_ms: float | None = None
    #: Frames drawn on a terminal; None where there is none.
    frames: int | None = None
    #: What a journal takes on disk, in units of 1,000 bytes, and how long it takes to open; None where none is asked for.
    journal_kb: float | None = None
    open_s: float | None = None
    #: Resident memory above that at record 200,000, at most while the rest went through; None where it is not looked at.
    rss_growth_mib: float | None = None
    #: Connections on which requests came to the server; None where there was none.
    connections: int | None = None
    #: How long an import statement takes in a new interpreter, the interpreter's own start taken off; None where there is none.
    import_ms: float | None = None


@define
class Heart:
    """A task that wants to run every millisecond, and how late it was at worst."""

    stall_s: float = 0.0
    busy_stall_s: float = 0.0

    async def beat(self) -> None:
        """Beat until cancelled.

        Cancellation: the only way out.
        """
        while True:
            asleep_at, computed_s = time.perf_counter(), time.process_time()
            await asyncio.sleep(_BEAT_S)
            late_s = time.perf_counter() - asleep_at - _BEAT_S
            self.stall_s = max(self.stall_s, late_s)
            self.busy_stall_s = max(self.busy_stall_s, min(late_s, time.process_time() - computed_s))


@asynccontextmanager
async def heartbeat() -> AsyncIterator[Heart]:
    """Keep a heart beating for the length of the block."""
    heart = Heart()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(heart.beat(), name="heartbeat")
        yield heart
        task.cancel()


def peak_rss_mib() -> float:
    """The most memory this process ever had resident."""
    return mib_of(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def mib_of(maxrss: int) -> float:
    """`ru_maxrss` of the system, which counts KiB on Linux and bytes on macOS."""
    return maxrss / _MIB if sys.platform == "darwin" else maxrss / 1024
