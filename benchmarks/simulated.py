"""How near do clients come to what a platform can take, without being told? `python -m benchmarks.simulated [NAME ...]`.

The servers of `platforms.py` are loaded by 1, 4 and 16 real clients in virtual time: everything is the package's own but transport and
clock. What was found is stored in `results/simulated.json`; those that are named replace what it has of them.
`docs/performance.md` has the table.
"""

import argparse
import asyncio
import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from statistics import mean
from typing import Any, Final

from attrs import asdict, define, field, frozen

from asyncimport import DispatchPolicy, ImportClient, ImportMode, Timeouts, UserImportConfig
from benchmarks.platforms import Breaking, Capped, Outage, Platform, Quota, Workers
from benchmarks.results import FOLDER, environment
from benchmarks.virtual import TickingLoop, run_virtual

RESULTS: Final = FOLDER / "simulated.json"
BATCHES: Final = 2_000
CLIENTS: Final = (1, 4, 16)
SEEDS: Final = range(5)
#: A row that is given in round numbers is kept within this.
ROUNDING: Final = 1.03
#: DESIGN.md, section 6: requests a batch, beyond those that the faults force, of one client and of several.
WASTE: Final = (1.15, 1.4, 1.4)
_POLICY: Final = DispatchPolicy(batch_size=1, first_contact_s=None, timeouts=Timeouts(read_s=30.0))
_CONFIG: Final = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)


@frozen
class Load:
    """What a number of clients came to: seconds, and requests for each batch; None where nobody says."""

    seconds: float | None
    requests: float | None = None


@frozen(kw_only=True)
class Case:
    """A server and what there is to compare with. Tuples are for 1, 4 and 16 clients."""

    name: str
    platform: Callable[[random.Random], Platform]
    #: The seconds that all batches take at best, by clients of at most 32 requests that know the server.
    ideal_s: tuple[float, float, float]
    #: Requests a batch that nobody can do without.
    forced: float = 1.0
    #: FAULTS.md, part D: what a first sketch of the controller reached, and a width of 10 with full jitter.
    sketch: tuple[Load, Load, Load] | None = None
    fixed: tuple[Load, Load, Load] | None = None
    #: How many times the ideal it may take.
    factors: tuple[float | None, float | None, float | None] = (None, None, None)

    def at_most(self, clients: int, rounding: float = ROUNDING) -> Load:
        """The bounds: the strictest of the sketch's row and the goals."""
        at = CLIENTS.index(clients)
        sketch, factor = self.sketch[at] if self.sketch else Load(None), self.factors[at]
        seconds = [
            None if sketch.seconds is None else rounding * sketch.seconds,
            None if factor is None else factor * self.ideal_s[at],
        ]
        requests = [None if sketch.requests is None else rounding * sketch.requests, WASTE[at] * self.forced]
        return Load(_least(seconds), _least(requests))


def _least(bounds: Sequence[float | None]) -> float | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _loads(*loads: tuple[float | None, float | None] | float) -> tuple[Load, Load, Load]:
    one, four, sixteen = (Load(*load) if isinstance(load, tuple) else Load(load) for load in loads)
    return one, four, sixteen


def _unhindered(latency_s: float) -> tuple[float, float, float]:
    """Where 32 requests of each client are always under way."""
    one, four, sixteen = (latency_s * BATCHES / (32 * clients) for clients in CLIENTS)
    return one, four, sixteen


def _alike(ideal_s: float) -> tuple[float, float, float]:
    """Where the server sets the pace."""
    return ideal_s, ideal_s, ideal_s


def _quota(per_s: float, burst: float | None = None) -> tuple[float, float, float]:
    """What is saved up, a second's by default, comes at once."""
    return _alike((BATCHES - (burst or per_s)) / per_s)


#: The first nine are the table of FAULTS.md, part D; the others have other numbers, so that nothing is made to measure.
CASES: Final = (
    Case(
        name="unlimited, 0.2 s",
        platform=Platform,
        ideal_s=_unhindered(0.2),
        sketch=_loads(13, 4.0, 1.6),
        fixed=_loads(40, 10, 2.6),
    ),
    Case(
        name="jittery, 0.2 s mean, exponential",
        platform=partial(Platform, is_jittery=True),
        ideal_s=_unhindered(0.2),
        sketch=_loads(20, 7.6, 5.1),
        fixed=_loads(60, 15.5, 4.3),
    ),
    Case(
        name="8 workers, 503 above 16",
        platform=Workers,
        ideal_s=_alike(50.0),
        sketch=_loads((50, 1.01), (51, 1.01), (69, 1.29)),
        fixed=_loads((50, 1.0), (69, 5.8), (71, 7.1)),
        factors=(1.1, 1.1, 1.1),
    ),
    Case(
        name="8 workers, silence above 16",
        platform=partial(Workers, is_silent=True),
        ideal_s=_alike(50.0),
        sketch=_loads(58, 65, 139),
        fixed=_loads(50, 61, 256),
        factors=(1.2, None, 2.0),
    ),
    Case(
        name="quota 20/s",
        platform=partial(Quota, per_s=20.0),
        ideal_s=_quota(20.0),
        sketch=_loads((99, 1.11), (102, 1.25), (120, 1.34)),
        fixed=_loads((116, 7.3), (114, 8.9), (115, 9.0)),
        factors=(1.1, 1.1, 1.1),
    ),
    Case(
        name="quota 20/s, Retry-After 1",
        platform=partial(Quota, per_s=20.0, retry_after="1"),
        ideal_s=_quota(20.0),
        sketch=_loads((110, 1.13), (102, 1.4), (101, 2.0)),
        fixed=_loads((116, 7.3), (116, 8.8), (114, 8.9)),
        factors=(1.1, 1.1, 1.1),
    ),
    Case(
        name="8 workers, an outage from second 10 to 70",
        platform=Outage,
        # What is inside when it begins, 32 requests of each client, is served meanwhile.
        ideal_s=(110.0 - 32 / 40, 110.0 - 128 / 40, 110.0 - 512 / 40),
        sketch=_loads((None, 1.02), (None, 1.04), (None, 1.08)),
        fixed=_loads((None, 7.8), (None, 2.7), (None, 2.2)),
        # That it is over is noticed within the longest of the breaker's pauses, 37.5 s.
        factors=(1.35, 1.35, 1.35),
    ),
    Case(
        name="30 % random 500",
        platform=Breaking,
        ideal_s=_unhindered(0.2 / 0.7),
        forced=1 / 0.7,
        sketch=_loads(51, 57, 47),
        fixed=_loads(69, 50, 54),
    ),
    Case(
        name="32 workers, 4 from second 5 to 35, 503 above twice as many",
        platform=partial(Workers, workers=32, limit=64, course=((5.0, 4), (35.0, 32))),
        # 160 a second before and after, 20 a second for 30 s.
        ideal_s=_alike(30.0 + (BATCHES - 30.0 * 20) / 160),
        sketch=_loads((42, 1.0), (40, 1.01), (40, 1.06)),
        fixed=_loads((58, 1.0), (63, 2.5), (64, 5.2)),
    ),
    Case(
        name="20 workers of 1 s, 503 above 24",
        platform=partial(Workers, latency_s=1.0, workers=20, limit=24),
        ideal_s=_alike(100.0),
        factors=(1.5, 1.5, 1.5),
    ),
    Case(
        name="3 workers of 0.1 s, silence above 12",
        platform=partial(Workers, latency_s=0.1, workers=3, limit=12, is_silent=True),
        ideal_s=_alike(BATCHES * 0.1 / 3),
        factors=(1.5, 2.0, 2.5),
    ),
    Case(
        name="429 above 10 at the same time",
        platform=Capped,
        ideal_s=_alike(40.0),
        factors=(1.6, 2.0, 2.0),
    ),
    Case(name="quota 3/s", platform=partial(Quota, per_s=3.0), ideal_s=_quota(3.0), factors=(1.2, 1.2, 1.2)),
    Case(
        name="quota 3/s, Retry-After 5",
        platform=partial(Quota, per_s=3.0, retry_after="5"),
        ideal_s=_quota(3.0),
        factors=(1.5, 1.5, 1.5),
    ),
    Case(name="quota 100/s", platform=partial(Quota, per_s=100.0), ideal_s=_quota(100.0), factors=(1.5, 1.5, 1.5)),
    Case(
        name="quota 20/s, nothing saved up",
        platform=partial(Quota, per_s=20.0, burst=1.0),
        ideal_s=_quota(20.0, 1.0),
        factors=(1.5, 1.5, 1.5),
    ),
    Case(
        name="unlimited, 2 s",
        platform=partial(Platform, latency_s=2.0),
        ideal_s=_unhindered(2.0),
        factors=(1.5, 1.5, 2),
    ),
)


@define(kw_only=True)
class Run:
    """One load under way, then done."""

    platform: Platform
    #: What the clients say that was accepted.
    reported: int = 0
    #: Batches that were given up after eight attempts: what a server that breaks by chance takes none of.
    unconfirmed: int = 0
    #: When each client was done.
    ends: list[float] = field(factory=list)
    #: When it was looked, the width of each client.
    widths: list[tuple[float, tuple[int, ...]]] = field(factory=list)

    @property
    def took_s(self) -> float:
        """When the last client was done."""
        return max(self.ends)

    @property
    def load(self) -> Load:
        """What it came to."""
        return Load(self.took_s, self.platform.requests / BATCHES)

    @property
    def is_whole(self) -> bool:
        """Whether each batch was accepted exactly once, by the platform's own count, and reported so, or else unconfirmed."""
        is_true = self.reported == self.platform.accepted == len(self.platform.taken)
        return is_true and self.reported + self.unconfirmed == BATCHES


def simulate(case: Case, clients: int, seed: int, *, look_every_s: float | None = None) -> Run:
    """Load a server by clients that know nothing of each other; a seed gives the same run every time."""
    state = random.getstate()
    random.seed(seed)
    try:
        return run_virtual(_run(case, clients, random.Random(seed), look_every_s), TickingLoop)
    finally:
        random.setstate(state)


async def _run(case: Case, clients: int, chance: random.Random, look_every_s: float | None) -> Run:
    run, users = Run(platform=case.platform(chance)), [{"thirdId": f"{n}"} for n in range(BATCHES)]
    own = [
        ImportClient("https://platform.example/api", token="any", transport=run.platform, policy=_POLICY)
        for _ in range(clients)
    ]

    async def one(number: int) -> None:
        async with own[number] as client:
            report = await client.import_users(users[number::clients], _CONFIG)
        run.reported += report.accepted
        run.unconfirmed += report.unconfirmed
        run.ends.append(_since(run.platform))

    async def look(every_s: float) -> None:
        while True:
            run.widths.append((_since(run.platform), tuple(client._lane.limit.width for client in own)))  # noqa: SLF001 -- no public way yet
            await asyncio.sleep(every_s)

    watching = None if look_every_s is None else asyncio.create_task(look(look_every_s), name="look")
    async with asyncio.TaskGroup() as tasks:
        for number in range(clients):
            tasks.create_task(one(number), name=f"client {number}")
    if watching is not None:
        watching.cancel()
    return run


def _since(platform: Platform) -> float:
    return asyncio.get_running_loop().time() - platform.began_at


def measured(asked: tuple[str, int, int]) -> Load:
    """A case by its name, a number of clients, a seed.

    Raises:
        RuntimeError: a batch was lost, or sent twice.
    """
    name, clients, seed = asked
    run = simulate(named(name), clients, seed)
    if not run.is_whole:
        raise RuntimeError(f"{asked}: {run.reported} reported, {run.platform.accepted} accepted of {BATCHES}")
    return run.load


def named(name: str) -> Case:
    """The case of this name."""
    return next(case for case in CASES if case.name == name)


def _found(cases: Sequence[Case]) -> Iterator[dict[str, Any]]:
    """Each case as it is stored, the means of all seeds; shown as soon as it is there."""
    asked = list(product((case.name for case in cases), CLIENTS, SEEDS))
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        loads = processes.map(measured, asked)
        for case in cases:
            runs = [_stored(case, clients, [next(loads) for _ in SEEDS]) for clients in CLIENTS]
            print(f"{case.name:<60}{case.ideal_s[0]:>7.1f}  {' / '.join(map(_shown, runs))}", flush=True)
            yield {"name": case.name, "ideal_s": [round(one, 1) for one in case.ideal_s], "runs": runs}


def _stored(case: Case, clients: int, loads: Sequence[Load]) -> dict[str, Any]:
    seconds = [load.seconds for load in loads if load.seconds is not None]
    return {
        "clients": clients,
        "seconds": round(mean(seconds), 2),
        "low": round(min(seconds), 2),
        "high": round(max(seconds), 2),
        "requests": round(mean(load.requests for load in loads if load.requests is not None), 3),
        "at_most": asdict(case.at_most(clients)),
    }


def missed(run: dict[str, Any]) -> list[str]:
    """Which bounds a stored row is beyond."""
    return [name for name, bound in run["at_most"].items() if bound is not None and run[name] > bound]


def _shown(run: dict[str, Any]) -> str:
    return f"{run['seconds']:.1f} ({run['requests']:.2f}){' !' * len(missed(run))}"


def main() -> None:
    """Simulate all cases, or those that are named, and store what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulated")
    parser.add_argument("name", nargs="*", help="part of a server's name")
    given = parser.parse_args()
    _store([*_found([case for case in CASES if not given.name or any(name in case.name for name in given.name)])])


def _store(found: Sequence[dict[str, Any]]) -> None:
    """Write what was found, and keep what is stored of the other cases."""
    known = json.loads(RESULTS.read_text(encoding="utf-8"))["cases"] if RESULTS.exists() else []
    by_name = {one["name"]: one for one in (*known, *found)}
    stored = {
        "question": "simulated",
        "batches": BATCHES,
        "seeds": len(SEEDS),
        "environment": environment(),
        "cases": [by_name[case.name] for case in CASES if case.name in by_name],
    }
    RESULTS.write_text(f"{json.dumps(stored, indent=2, ensure_ascii=False)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
