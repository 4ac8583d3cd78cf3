"""The emulator as the command runs it: where it listens on stdout, and on stderr what arrives."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import time
from collections import Counter, deque
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from attrs import define, field, frozen

from asyncimport.cli.output import can_draw, tell
from asyncimport.cli.region import Line, Region, packed
from asyncimport.cli.screen import LIVE_EVERY_S, PLAIN_EVERY_S
from asyncimport.cli.signals import caught
from asyncimport.emulator import Emulator, FaultFileError, Ledger, LoggedRequest, emulate
from asyncimport.emulator.standalone import announce
from asyncimport.errors import ConfigError
from asyncimport.outcome import many

RATE_OVER_S: Final = 5.0
#: How far back the last answer is looked for: the newest requests may still be waiting for theirs.
_LAST_ANSWERS: Final = 100
#: Columns of a resource's name.
_NAME: Final = 8
#: 128 and the signal's number, as a shell has it of a command that a signal ended: what comes after `emulate` in a
#: script is not run, as with every other command of ours that Ctrl-C ends.
EXIT_CODES: Final = {signal.SIGINT: 130, signal.SIGTERM: 143}


async def run_emulator(
    *, port: int, faults: Path | None, token: str | None, quiet: bool = False, color: bool | None = None
) -> int:
    """Serve until Ctrl-C or SIGTERM, show what arrives, and return the exit code: 130 or 143.

    Without a token it accepts the one of ASYNCIMPORT_TOKEN, which is never printed; without either it makes one up.

    Cancellation: the emulator is closed.

    Raises:
        ConfigError: the fault file is wrong, or the port is taken.
    """
    ending = _Ending()
    token = token or os.environ.get("ASYNCIMPORT_TOKEN") or None
    served = _Served(quiet=quiet, color=color, has_token=token is not None)
    try:
        with caught(ending.caught, *EXIT_CODES):
            await served.serve(port=port, faults=faults, token=token)
    except asyncio.CancelledError:
        if not ending.takes_back():
            raise
    finally:
        served.close()
    return EXIT_CODES[ending.by]


class _Ending:
    """The signals that end the emulator: they cancel the task that serves."""

    def __init__(self) -> None:
        self.by = signal.SIGINT
        self._count = 0
        self._task = asyncio.current_task()

    def caught(self, number: signal.Signals) -> None:
        """Take one signal."""
        self.by = number
        self._count += 1
        if self._task is not None:
            self._task.cancel()

    def takes_back(self) -> bool:
        """Whether signals, and nothing else, cancelled the task; the cancellations are then taken back."""
        for _ in range(self._count):
            if self._task is not None:
                self._task.uncancel()
        return self._count > 0 and self._task is not None and not self._task.cancelling()


@define(kw_only=True)
class _Served:
    """An emulator that serves, and what is shown of it."""

    quiet: bool
    color: bool | None
    has_token: bool
    _platform: Emulator | None = None
    _region: Region | None = None
    _shown: str = ""

    async def serve(self, *, port: int, faults: Path | None, token: str | None) -> None:
        fault: Exception | None = None
        try:
            async with asyncio.TaskGroup() as tasks:

                def ready(platform: Emulator) -> None:
                    self._begin(platform)
                    tasks.create_task(self._keep_showing(Arrivals(ledger=platform.ledger)), name="asyncimport-screen")

                await emulate(port=port, faults=faults, token=token, ready=ready)
        except* (FaultFileError, OSError) as group:
            fault = group.exceptions[0]
        if fault is not None:
            raise ConfigError(f"the emulator cannot start: {_why(fault, port)}")

    def _begin(self, platform: Emulator) -> None:
        self._platform = platform
        announce(platform)
        stream: TextIO | None = sys.stderr
        made_up = "" if self.has_token else f" ASYNCIMPORT_TOKEN={platform.token}"
        tell(f"export ASYNCIMPORT_BASE_URL={platform.url}{made_up}")
        if not self.quiet and stream is not None and can_draw(stream):
            self._region = Region(stream, color=self.color)

    async def _keep_showing(self, arrivals: Arrivals) -> None:
        while not self.quiet:
            if self._region is None:
                self._tell(arrivals.standing(time.monotonic()).plain())
            else:
                self._draw(self._region, arrivals.standing(time.monotonic()))
            await asyncio.sleep(PLAIN_EVERY_S if self._region is None else LIVE_EVERY_S)

    def _tell(self, line: str) -> None:
        if line != self._shown:
            tell(line)
        self._shown = line

    def _draw(self, region: Region, arrived: Arrived) -> None:
        """Nothing is drawn while nothing changes: an emulator may be left running for days."""
        lines = arrived.lines(region.width)
        drawn = f"{region.width}{lines}"
        if drawn != self._shown:
            region.draw(lines)
        self._shown = drawn

    def close(self) -> None:
        """Erase what is live, and say what arrived in all."""
        if self._region is not None:
            self._region.draw(())
        if self._platform is not None and not self.quiet:
            totals = Arrivals(ledger=self._platform.ledger).standing(0.0).totals()
            tell("\n  ".join(["the emulator has ended", *(totals or ["no request arrived"])]))


def _why(fault: Exception, port: int) -> str:
    """Why it cannot start, and what to do; asyncio's own words of a port hold its number twice and an errno."""
    if not isinstance(fault, OSError):
        return f"{fault}"
    why = fault.strerror if fault.errno is None else os.strerror(fault.errno)
    if fault.filename is not None:
        return f"--faults {fault.filename} cannot be read ({why})"
    if fault.errno == errno.EADDRINUSE:
        return f"port {port} is taken: choose another with --port"
    return f"port {port} cannot be opened ({why}): choose another with --port"


@frozen(kw_only=True)
class Arrived:
    """What an emulator has received by now."""

    #: Requests, and records committed, by resource.
    resources: dict[str, tuple[int, int]]
    #: Faults that struck, by kind.
    faults: dict[str, int]
    violations: int
    open_requests: int
    last_status: int | None
    requests_per_s: float

    def totals(self) -> list[str]:
        """Requests, records, faults and violations, a line each."""
        lines = [
            f"{name}: {_arrived(requests)}, {_committed(records)}"
            for name, (requests, records) in self.resources.items()
        ]
        lines += [f"faults: {self._struck()}"] if self.faults else []
        return lines + ([many(self.violations, "violation", "violations")] if self.violations else [])

    def plain(self) -> str:
        """Where it stands, in one line."""
        if not self.resources:
            return "waiting for requests; Ctrl-C ends it"
        last = [] if self.last_status is None else [f"last answer {self.last_status}"]
        return "; ".join([*self.totals(), *last, f"{self.requests_per_s:,.0f} requests/s"])

    def lines(self, width: int) -> list[Line]:
        """The same for a terminal of that width."""
        if not self.resources:
            return [[("waiting for requests", "dim"), ("  Ctrl-C ends it", "dim")]]
        lines: list[Line] = []
        for name, (requests, records) in self.resources.items():
            first, *more = packed([(_arrived(requests), ""), (_committed(records), "")], width, indent=" " * _NAME)
            lines += [[(f"{name:<{_NAME}}", "bold"), *first[1:]], *more]
        last = [] if self.last_status is None else [(f"last answer {self.last_status}", _mark(self.last_status))]
        lines += packed(
            [*last, (f"{self.open_requests:,} open", ""), (f"{self.requests_per_s:,.0f} requests/s", "")], width
        )
        if self.faults:
            lines.append([("  faults: ", ""), (self._struck(), "yellow")])
        if self.violations:
            broken = many(self.violations, "violation", "violations")
            lines.append([("! ", "bold red"), (f"{broken} of the contract", "red")])
        return lines

    def _struck(self) -> str:
        return ", ".join(f"{kind} {count:,}" for kind, count in self.faults.items())


def _arrived(requests: int) -> str:
    return many(requests, "request", "requests")


def _committed(records: int) -> str:
    return f"{many(records, 'record', 'records')} committed"


def _mark(status: int) -> str:
    return "green" if status == 200 else "yellow"  # noqa: PLR2004 -- an HTTP status is its own name


@define(kw_only=True)
class Arrivals:
    """Adds up a ledger as it grows: each look costs what arrived since the last one."""

    ledger: Ledger
    _faults: Counter[str] = field(factory=Counter)
    _looked: Counter[str] = field(factory=Counter)
    #: Requests that may still be struck.
    _undecided: list[LoggedRequest] = field(factory=list)
    _seen: deque[tuple[float, int]] = field(factory=deque)

    def standing(self, now: float) -> Arrived:
        """What has arrived by now (any monotonic seconds)."""
        every = self.ledger.resources
        for resource in every:
            self._undecided += resource.batches[self._looked[resource.name] :]
            self._looked[resource.name] = len(resource.batches)
        self._faults.update(request.fault for request in self._undecided if request.fault is not None)
        self._undecided = [request for request in self._undecided if request.fault is None and request.status is None]
        recent = (request for resource in every for request in islice(reversed(resource.batches), _LAST_ANSWERS))
        answered = [request for request in recent if request.status is not None]
        last = max(answered, key=lambda request: request.arrived_s, default=None)
        return Arrived(
            resources={one.name: (len(one.batches), one.total) for one in every if one.batches},
            faults=dict(self._faults),
            violations=len(self.ledger.violations),
            open_requests=self.ledger.in_flight,
            last_status=None if last is None else last.status,
            requests_per_s=self._rate(now, self.ledger.requests),
        )

    def _rate(self, now: float, requests: int) -> float:
        """Requests a second over the last `RATE_OVER_S`."""
        self._seen.append((now, requests))
        while len(self._seen) > 1 and now - self._seen[1][0] >= RATE_OVER_S:
            self._seen.popleft()
        first_s, first = self._seen[0]
        return (requests - first) / (now - first_s) if now > first_s else 0.0
