"""Carries out the plan of a seed: the real client in virtual time, its sources and its users, and what came of it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import canary
from attrs import define, field
from chaos import Plan, RunPlan, plan_of
from simulated import SimulatedPlatform

from asyncimport import (
    USERS,
    AppCredentials,
    AsyncImportError,
    BatchOutcome,
    Event,
    EventImportConfig,
    Identity,
    ImportClient,
    ImportMode,
    ImportReport,
    OutcomeStream,
    UserImportConfig,
    UserProfile,
)
from asyncimport.observer import Notice, RunEnded, SourceAbandoned
from asyncimport.sources import inline
from benchmarks.virtual import VirtualLoop

CONFIGS: Final = {
    "users": UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL),
    "events": EventImportConfig(),
}


#: Turns of the loop without a jump of its clock: more is a loop that spins.
MOST_TURNS: Final = 200_000


class TickingLoop(VirtualLoop):
    """Virtual time in which a turn of the loop takes a nanosecond, so that moments an ulp apart do pass."""

    turns = 0
    seen_s = 0.0

    def _run_once(self) -> None:
        self._jumping.skipped_s += 1e-9
        if self.time() > self.seen_s + 1e-3:
            self.turns, self.seen_s = 0, self.time()
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise RuntimeError("I8: the loop spins")
        super()._run_once()  # type: ignore[misc]


class SourceBroke(Exception):
    """What a source raises in some plans."""


@define
class Tap:
    """The source of one run, and how far it has been drunk."""

    plan: Plan
    run: RunPlan
    given: int = 0
    opened: int = 0
    closed: int = 0

    def record(self, position: int) -> dict[str, Any]:
        """The record at a position, as a mapping with wire names."""
        name = f"{self.run.number}:{position}"
        filler = "x" * 1_500 if self.plan.poison.get((self.run.number, position)) == "fat" else "x" * (position % 40)
        if self.run.resource is USERS:
            sex = "?" if position in self.run.invalid else "男"
            return {"thirdId": name, "realName": f"{canary.PERSON}{position}", "sex": sex, "remark": filler}
        event = {
            "identities": [{"identityType": "phone", "identityValue": f"138{position:08}"}],
            "eventKey": "" if position in self.run.invalid else "c_buy",
            "eventargs": {"k": name, "c_name": canary.PERSON, "c_text": filler},
        }
        return event | ({"uuid": f"{self.run.number}-{position}", "time": 1_769_860_800_000} if position % 3 else {})

    def typed(self, position: int) -> UserProfile | Event:
        """The same as an instance of the record class."""
        wire = self.record(position)
        if self.run.resource is USERS:
            return UserProfile(
                third_id=wire["thirdId"], real_name=wire["realName"], sex=wire["sex"], remark=wire["remark"]
            )
        identity = Identity(identity_type="phone", identity_value=wire["identities"][0]["identityValue"])
        return Event(
            identities=[identity],
            event_key=wire["eventKey"],
            eventargs=wire["eventargs"],
            uuid=wire.get("uuid"),
            time=wire.get("time"),
        )

    def open(self) -> Any:
        """The source."""
        match self.run.source:
            case "list":
                self.given = self.run.count
                return [self.record(position) for position in range(self.run.count)]
            case "objects":
                self.given = self.run.count
                return [self.typed(position) for position in range(self.run.count)]
            case "inline":
                return inline(self._records())
            case "async without aclose":
                return _Bare(self._arriving())
            case _:
                return self._arriving()

    def _next(self, position: int) -> Any:
        if position == self.run.raises_at:
            raise SourceBroke
        self.given += 1
        return self.record(position) if position % 7 or "one dict" in self.run.source else self.typed(position)

    def _records(self) -> Iterator[Any]:
        self.opened += 1
        try:
            for position in range(self.run.count):
                yield self._next(position)
            if self.run.raises_at == self.run.count:
                raise SourceBroke
        finally:
            self.closed += 1

    async def _arriving(self) -> AsyncIterator[Any]:
        self.opened += 1
        reused: dict[str, Any] = {}
        try:
            for position in range(self.run.count):
                if self.run.pause_s and position % self.run.pause_every == self.run.pause_every - 1:
                    await asyncio.sleep(self.run.pause_s)
                given = self._next(position)
                if "one dict" in self.run.source:
                    reused.clear()
                    reused.update(given)
                    given = reused
                yield given
            if self.run.raises_at == self.run.count:
                raise SourceBroke
        finally:
            self.closed += 1
            await asyncio.sleep(self.run.closing_s)


class _Bare:
    """An async iterator that cannot be closed."""

    def __init__(self, records: AsyncIterator[Any]) -> None:
        self._records = records

    def __aiter__(self) -> _Bare:
        return self

    async def __anext__(self) -> Any:
        return await anext(self._records)


@define
class Ending:
    """How one run went for its user."""

    run: RunPlan
    tap: Tap
    outcomes: list[BatchOutcome] = field(factory=list)
    report: ImportReport | None = None
    error: BaseException | None = None
    began: float = 0.0
    #: When its user left, cancelled or closed it; when the import told that it was over.
    left_at: float | None = None
    ended: float | None = None
    #: Records taken from the source of which the user had not read the outcome, at most.
    held: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing ended the run before its own end."""
        return self.error is None and self.left_at is None and self.run.deadline is None


@define
class Course:
    """What came of a simulation."""

    plan: Plan
    platform: SimulatedPlatform
    endings: list[Ending]
    logs: list[logging.LogRecord]
    notices: list[Notice] = field(factory=list)
    #: When each run told that it was over, by its id.
    ends: dict[str, float] = field(factory=dict)
    left_tasks: list[str] = field(factory=list)
    ended: float = 0.0

    def notice(self, notice: Notice) -> None:
        """The client's observer."""
        self.notices.append(notice)
        if isinstance(notice, RunEnded):
            assert notice.report.run_id not in self.ends
            self.ends[notice.report.run_id] = self.platform.now()

    def trace(self) -> list[tuple[float, float, Any, str]]:
        """The requests in order, without what differs by nature from run to run."""
        posts = [(one.began, one.ended, one.keys, f"{one.fate} {one.what}") for one in self.platform.requests]
        return sorted(
            [*posts, *((began, ended, (), what) for began, ended, what in self.platform.token_calls)], key=str
        )


def simulate(seed: int) -> Course:
    """Run one seed. Everything random comes from it, the package's own jitter too."""
    return carry_out(plan_of(seed))


def carry_out(plan: Plan) -> Course:
    """Run one plan."""
    state = random.getstate()
    random.seed(plan.seed)
    try:
        with _logs() as logs, asyncio.Runner(loop_factory=TickingLoop) as runner:
            course = runner.run(_simulated(plan, logs))
    finally:
        random.setstate(state)
    course.platform.settle_late(course.ended)
    return course


class _Keeping(logging.Handler):
    def __init__(self, kept: list[logging.LogRecord]) -> None:
        super().__init__(logging.DEBUG)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(record)


@contextmanager
def _logs() -> Iterator[list[logging.LogRecord]]:
    """All that is logged meanwhile, whoever logs it."""
    kept: list[logging.LogRecord] = []
    handler = _Keeping(kept)
    root, ours = logging.getLogger(), logging.getLogger("asyncimport")
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.DEBUG)
    try:
        yield kept
    finally:
        root.removeHandler(handler)
        ours.setLevel(level)


async def _simulated(plan: Plan, logs: list[logging.LogRecord]) -> Course:
    platform = SimulatedPlatform(plan)
    taps = [Tap(plan, run) for run in plan.runs]
    course = Course(plan, platform, [Ending(tap.run, tap) for tap in taps], logs)
    async with asyncio.timeout(plan.bound_s):  # with nothing else to wait for the clock jumps there (I8)
        client = _client(course)
        async with client, asyncio.TaskGroup() as users:
            for ending in course.endings:
                user = users.create_task(_use(client, ending, course), name=f"user-{ending.run.number}")
                if ending.run.leave in {"cancels", "closes"}:
                    users.create_task(_disturb(client, ending, user), name=f"disturber-{ending.run.number}")
    course.ended = platform.now()
    course.left_tasks = [repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    return course


def _client(course: Course) -> ImportClient:
    plan, platform = course.plan, course.platform
    credentials: dict[str, Any]
    match plan.credentials:
        case "fixed":
            credentials = {"token": platform.tokens.issue(1000.0)}
        case "app":
            credentials = {"app": AppCredentials(app_id="app", app_secret=canary.TOKEN)}
        case _:
            credentials = {"token": platform.called_token}
    url = "https://platform.example/api/open"
    return ImportClient(url, policy=plan.policy, transport=platform, observer=course.notice, **credentials)


async def _disturb(client: ImportClient, ending: Ending, user: asyncio.Task[None]) -> None:
    """Cancel the run or close the client at the plan's moment, if it still goes on."""
    await asyncio.sleep(ending.run.begins + ending.run.leaves_at)
    if user.done():
        return
    ending.left_at = asyncio.get_running_loop().time()
    if ending.run.leave == "cancels":
        user.cancel()
    else:
        await client.aclose()


async def _use(client: ImportClient, ending: Ending, course: Course) -> None:
    """One user: reads the outcomes of his run, or does not, and keeps what came of it."""
    run, loop = ending.run, asyncio.get_running_loop()
    stream: OutcomeStream | None = None
    try:
        await asyncio.sleep(run.begins)
        ending.began = loop.time()
        stream = _stream(client, ending)
        async with stream:
            await _read(stream, ending)
    except AsyncImportError as error:
        ending.error = error
    except asyncio.CancelledError as error:
        ending.error = error
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
    ending.ended = loop.time()
    if stream is None or stream._parts is None:  # before the run began
        return
    with suppress(AsyncImportError):  # what ended the run comes after its last outcome
        async for outcome in stream:
            ending.outcomes.append(outcome)
    ending.report = stream.report
    ending.ended = course.ends[ending.report.run_id]


def _stream(client: ImportClient, ending: Ending) -> OutcomeStream:
    run, options = ending.run, dict[str, Any]()
    for name in ("deadline", "max_rejected"):
        if getattr(run, name) is not None:
            options[name] = getattr(run, name)
    source = ending.tap.open()
    return client.stream(run.resource, source, CONFIGS[run.resource.name], on_unknown=run.on_unknown, **options)


async def _read(stream: OutcomeStream, ending: Ending) -> None:
    run, read = ending.run, 0
    async for outcome in stream:
        ending.outcomes.append(outcome)
        ending.held = max(ending.held, ending.tap.given - read)
        read += outcome.count
        if run.slow_s:
            await asyncio.sleep(run.slow_s)
        if run.leave == "leaves" and len(ending.outcomes) > run.leaves_after:
            ending.left_at = asyncio.get_running_loop().time()
            return


def abandoned(course: Course) -> bool:
    """Whether a source was still blocked at the end of a run."""
    return any(isinstance(notice, SourceAbandoned) for notice in course.notices)
