"""FAULTS.md B27: four processes share an app whose new token ends the old one; in real processes and in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import canary
import pytest
import sharing
from attrs import asdict, define, field
from leftovers import nothing_left_behind
from token_office import Call, Office, ended, keeps_count

from asyncimport import (
    USERS,
    AppCredentials,
    AuthError,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    ImportReport,
    RetryPolicy,
    UserImportConfig,
    UserProfile,
)
from asyncimport.emulator import Assumptions, Delay, Emulator
from benchmarks.virtual import run_virtual

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
NAMES = ("a", "b", "c", "d")
#: Events of each process: those that fight must have work for longer than their renewals last.
MANY, SOME = 1000, 200
#: Requests of all four together.
IN_FLIGHT = 4 * 2
#: What the design allows: three renewals in five minutes; the first token is none.
RENEWALS, WITHIN_S = 3, 300.0
#: The second and third wait so long at most, and come some time after the answer that asked for them.
APART_S = 5.0


@define
class Child:
    """A process that imports."""

    job: sharing.Job
    process: asyncio.subprocess.Process
    result: dict[str, Any] = field(factory=dict)

    @classmethod
    async def ready(cls, job: sharing.Job) -> Child:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, sharing.__file__),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert (await process.stdout.readline()).strip() == b"ready"
        return cls(job, process)

    def start(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{json.dumps(asdict(self.job))}\n".encode())

    async def finish(self) -> None:
        try:
            out, err = await self.process.communicate()
        finally:
            if self.process.returncode is None:
                self.process.kill()
        assert canary.leaks(out.decode() + err.decode()) == []
        assert (self.process.returncode, err) == (0, b"")
        self.result = json.loads(out)


async def when(is_so: Callable[..., bool]) -> None:
    """Wait until the ledger says so."""
    while not is_so():  # noqa: ASYNC110 -- the ledger has no event
        await asyncio.sleep(0.005)


async def four_processes(
    platform: Emulator, count: int, shared: str | None, play: Callable[[list[Child]], Awaitable[None]]
) -> list[Child]:
    """Four processes, ready to import; `play` starts them."""
    jobs = [sharing.Job(name, platform.url, "app", canary.TOKEN, count, shared) for name in NAMES]
    async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
        children = [await one for one in [tasks.create_task(Child.ready(job)) for job in jobs]]
        for child in children:
            tasks.create_task(child.finish())
        await play(children)
    return children


def adds_up(child: Child, platform: Emulator) -> None:
    """Nothing is lost, and what the process calls accepted was committed, once (I1 to I3)."""
    report, by_key = child.result, platform.ledger.events.by_key
    settled = sum(report[name] for name in ("accepted", "rejected", "unconfirmed", "unsent", "skipped"))
    assert (report["in_progress"], report["rejected"], report["unconfirmed"]) == (0, 0, 0)
    assert report["read"] == settled
    assert report["possible_duplicates"] == 0
    accepted = {f"{child.job.name}-{position}" for position in report["accepted_ids"]}
    assert accepted == {key for key in by_key if key.startswith(f"{child.job.name}-")}
    assert len(accepted) == report["accepted"]


def has_read(shared: Path, name: str, times: int) -> bool:
    reads = sharing.reads_of(shared, name)
    return reads.exists() and reads.stat().st_size >= times


def refusals(platform: Emulator) -> int:
    return sum(request.status == 401 for request in platform.ledger.events.batches)


def taking_turns() -> Emulator:
    platform = Emulator(app_id="app", app_secret=canary.TOKEN, assumptions=Assumptions(one_token_at_a_time=True))
    platform.faults.add(Delay(seconds=0.04))
    return platform


@pytest.mark.breakage("credentials: renew whatever is refused, as often as it is refused")
async def test_b27_four_processes_that_take_the_token_from_each_other_stop_soon_name_the_cause_and_lose_nothing() -> (
    None
):
    async def one_after_the_other(children: list[Child]) -> None:
        """Each begins when the one before has something accepted, so that none is refused from the start."""
        for child in children:
            child.start()
            await when(lambda child=child: f"{child.job.name}-0" in platform.ledger.events.by_key or bool(child.result))

    async with taking_turns() as platform:
        children = await four_processes(platform, MANY, None, one_after_the_other)
        for child in children:
            adds_up(child, platform)
            assert child.result["fetched"] <= 1 + RENEWALS
            if child.result["error"] is None:
                assert child.result["accepted"] == MANY
            else:
                assert "another process renews the same app's token" in child.result["error"]
                assert canary.leaks(child.result["error"]) == []
        assert refusals(platform) >= len(NAMES) - 1  # they did take it from each other
        assert any(child.result["error"] is None for child in children)  # the last one keeps it
        # What the processes say of themselves is what the platform saw.
        assert platform.ledger.token_requests == sum(child.result["fetched"] for child in children)
        assert len(platform.ledger.events.batches) == sum(child.result["attempts"] for child in children)
        assert platform.ledger.events.duplicates == 0
        assert platform.ledger.violations == []


@pytest.mark.breakage("credentials: take the refused token for a new one when the callable returns it again")
async def test_b27_four_processes_with_a_token_from_a_shared_file_have_everything_accepted(tmp_path: Path) -> None:
    shared = tmp_path / "token"

    async with taking_turns() as platform:

        def renew() -> None:
            """What whoever keeps the file does: nobody may read half a token."""
            shared.with_suffix(".new").write_text(platform.token)
            shared.with_suffix(".new").replace(shared)

        async def end_it(children: list[Child]) -> None:
            """The token ends, and the file has the new one only after every process has read the old one again."""
            accepting = platform.faults.hold()
            for child in children:
                child.start()
            await accepting.arrived(IN_FLIGHT)
            refusing = platform.faults.hold()
            accepting.open()
            await refusing.arrived(IN_FLIGHT)
            platform.tokens.issue()
            refusing.open()
            await when(lambda: all(has_read(shared, name, 2) for name in NAMES))
            renew()

        renew()
        children = await four_processes(platform, SOME, str(shared), end_it)
        for child in children:
            adds_up(child, platform)
            assert (child.result["error"], child.result["accepted"]) == (None, SOME)
            assert child.result["fetched"] == 2
        assert refusals(platform) == IN_FLIGHT
        assert platform.ledger.token_requests == 0
        assert platform.ledger.events.distinct == platform.ledger.events.total == len(NAMES) * SOME


async def slowly(name: str, seconds: int) -> AsyncIterator[UserProfile]:
    for second in range(seconds):
        for n in range(8):
            yield UserProfile(third_id=f"{name}-{second}-{n}", real_name=canary.PERSON)
        await asyncio.sleep(1)


POLICY = DispatchPolicy(batch_size=2, max_in_flight=4, linger_s=0.5, retry=RetryPolicy(max_attempts=1))


async def fights(office: Office, name: str, start_s: float) -> tuple[ImportReport, str | None]:
    await asyncio.sleep(start_s)
    app = AppCredentials(app_id="app", app_secret=canary.TOKEN)
    client = ImportClient("https://platform.example/api/open", app=app, transport=office.client(name), policy=POLICY)
    async with client:
        outcomes = client.stream(USERS, slowly(name, 400), CONFIG)
        refused: AuthError | None = None
        try:
            async with outcomes:
                async for _ in outcomes:
                    pass
        except AuthError as error:
            refused = error
    if refused is None:
        return outcomes.report, None
    return ended(refused, office.taken_from(name)), str(refused)


def waits(office: Office, name: str) -> list[float]:
    """How long after the first refusal of its last token a client asked for each further one."""
    calls = [call for call in office.calls if call.client == name]
    found = []
    for before, call in itertools.pairwise(calls):
        refused = [post.at for post in office.refused if post.client == name and before.at < post.at < call.at]
        found.append(call.at - refused[0])
    return found


@pytest.mark.breakage("renewal: no wait before the second and third renewal; or no limit of renewals")
@pytest.mark.parametrize("clients", [2, 4, 8])
def test_b27_renewals_after_the_first_wait_a_moment_of_their_own_while_requests_wait_with_them(clients: int) -> None:
    async def main() -> None:
        office = Office(one_at_a_time=True)
        names = [f"client{number}" for number in range(clients)]
        async with nothing_left_behind(), asyncio.TaskGroup() as tasks:
            running = {name: tasks.create_task(fights(office, name, 1.3 * number)) for number, name in enumerate(names)}
        ends = {name: task.result() for name, task in running.items()}
        for name, (report, error) in ends.items():
            keeps_count(report, office.taken_from(name))
            assert (report.rejected, report.unconfirmed) == (0, 0)
            assert report.attempts == sum(post.client == name for post in office.posts)
            assert error is None or "another process renews the same app's token" in error
            assert within_limits([call for call in office.calls if call.client == name])
        assert [error is None for _, error in ends.values()].count(True) == 1  # one is left with the token
        found = [waits(office, name) for name in names]
        assert all(wait < 0.1 for some in found for wait in some[:1])
        later = [wait for some in found for wait in some[1:]]
        assert len(later) >= 2
        assert max(later) <= APART_S + 0.1
        assert max(later) > 0.1

    run_virtual(main())


def within_limits(calls: list[Call]) -> bool:
    """At most three renewals in any five minutes."""
    renewals = [call.at for call in calls[1:]]
    return all(late - early >= WITHIN_S for early, late in zip(renewals, renewals[RENEWALS:], strict=False))
