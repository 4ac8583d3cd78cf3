"""A process that imports events of its own with an app's token that other processes ask for too.

As a program it says that it is ready, makes one run as a line of JSON then tells it, and prints what came of it. With `shared`, a file, its token comes from there instead of the platform.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from attrs import frozen

from asyncimport import (
    EVENTS,
    Accepted,
    AppCredentials,
    AuthError,
    DispatchPolicy,
    Event,
    EventImportConfig,
    Identity,
    ImportClient,
    RetryPolicy,
)
from asyncimport.observer import TokenRenewed

#: A renewal must not cost a batch its one attempt; more of them in flight would be refused together.
POLICY = DispatchPolicy(batch_size=10, max_in_flight=2, retry=RetryPolicy(max_attempts=1, base_s=0.05, cap_s=0.2))


@frozen
class Job:
    """What a process is to do."""

    name: str
    url: str
    app_id: str
    app_secret: str
    count: int
    shared: str | None = None


async def events(job: Job) -> AsyncIterator[Event]:
    for n in range(job.count):
        yield Event(
            identities=[Identity(identity_type="phone", identity_value=f"138{n:08}")],
            event_key="c_buy",
            uuid=f"{job.name}-{n}",
        )


def way_in(job: Job) -> dict[str, Any]:
    """The app's id and secret, or a callable that reads what somebody else keeps up to date."""
    if job.shared is None:
        return {"app": AppCredentials(app_id=job.app_id, app_secret=job.app_secret)}
    path = Path(job.shared)

    def read() -> str:
        text = path.read_text()
        with reads_of(path, job.name).open("a") as reads:
            reads.write(".")
        return text

    async def token() -> str:
        return await asyncio.to_thread(read)

    return {"token": token}


def reads_of(shared: Path, name: str) -> Path:
    """The file that grows by a byte each time a process has read the shared one."""
    return shared.with_name(f"reads-{name}")


async def imported(job: Job) -> dict[str, Any]:
    fetched: list[int] = []
    accepted: list[int] = []
    error = None

    def observer(notice: object) -> None:
        if isinstance(notice, TokenRenewed):
            fetched.append(notice.generation)

    async with ImportClient(job.url, policy=POLICY, observer=observer, **way_in(job)) as client:
        outcomes = client.stream(EVENTS, events(job), EventImportConfig())
        try:
            async with outcomes:
                async for outcome in outcomes:
                    if isinstance(outcome, Accepted):
                        accepted += outcome.positions
        except AuthError as refused:
            error = str(refused)
    return outcomes.report.to_dict() | {"accepted_ids": accepted, "error": error, "fetched": len(fetched)}


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    say("ready")
    job = Job(**json.loads(sys.stdin.readline()))
    say(json.dumps(asyncio.run(imported(job))))


if __name__ == "__main__":
    main()
