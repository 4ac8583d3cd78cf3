"""One import in as many processes as it takes: each is killed, the last one comes to its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import canary
import orjson
from attrs import asdict, define, field

from asyncimport.journal.schema import hidden_beside
from tests.crash.events import Job
from tests.crash.server import Server

ROOT = Path(__file__).parents[2]
#: One life that nobody ends must end by itself in this time, also on a busy machine.
PATIENCE_S = 90.0


@define
class Story:
    """What was done to an import, and what the last of its processes said."""

    #: Each kill, in words that let it be done again.
    kills: list[str] = field(factory=list)
    report: dict[str, Any] = field(factory=dict)

    def __str__(self) -> str:
        return f"{len(self.kills)} kills: {'; '.join(self.kills)}"


@contextmanager
def life(job: Job, *, under: Sequence[str] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """The worker's process, after it said that it has begun; `under` is a command that runs it."""
    command = [*under, sys.executable, "-m", "tests.crash.worker", orjson.dumps(asdict(job)).decode()]
    environment = {**os.environ, "ASYNCIMPORT_TOKEN": canary.TOKEN}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, stdout=pipe, stderr=pipe, bufsize=0, cwd=ROOT, env=environment, start_new_session=True
    )
    with process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def whole_life(job: Job) -> dict[str, Any]:
    """The report of a process that nobody kills."""
    with life(job) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err.decode()
    report: dict[str, Any] = orjson.loads(out)
    return report


def short_life(job: Job, story: Story, after_s: float) -> bool:
    """Kill a process at a moment after it began; False when it had come to its end by then."""
    with life(job) as process:
        try:
            out, err = process.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            story.kills.append(f"after {after_s:.4f} s")
            return True
    assert process.returncode == 0, f"{story}; then: {err.decode()}"
    story.report = orjson.loads(out)
    return False


def hung_life(job: Job, story: Story, server: Server, requests: int, *, under: Sequence[str] = ()) -> None:
    """Kill a process when the platform has had so many requests of it, the last of which it does not answer."""
    before, until = server.requests(), time.monotonic() + PATIENCE_S
    with life(job, under=under) as process:
        while server.requests() < before + requests:
            assert process.poll() is None, story
            assert time.monotonic() < until, story
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    story.kills.append(f"at request {requests}")


def traced_life(job: Job, story: Story, call: str, number: int) -> bool:
    """Kill a process as it makes its call of this name and number on a file of the run's; False when it made none."""
    under = [*strace(job, call), "-e", f"inject={call}:signal=SIGKILL:when={number}"]
    with life(job, under=under) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    if process.returncode == -signal.SIGKILL:
        story.kills.append(f"at {call} {number}")
        return True
    assert process.returncode == 0, f"{story}; then: {err.decode()}"
    story.report = orjson.loads(out)
    return False


def watched_life(job: Job, *calls: str) -> Counter[tuple[str, str]]:
    """Calls of a process that nobody kills: how many by thread and name."""
    output = Path(job.folder) / "calls"
    with life(job, under=strace(job, *calls, output=f"{output}")) as process:
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err.decode()
    found = (re.match(r"(\d+) +(\w+)\(", line) for line in output.read_text().splitlines())
    return Counter((call[1], call[2]) for call in found if call)


def strace(job: Job, *calls: str, output: str = "/dev/null") -> list[str]:
    """The command that watches calls: those on the run's files, or of the network."""
    paths = [f"{job.journal}{ending}" for ending in ("", "-wal", "-shm", ".lock")]
    paths += [job.rejects, hidden_beside(job.journal), hidden_beside(job.rejects)]
    watched = [] if {"sendto", "recvfrom"} & set(calls) else [part for path in paths for part in ("-P", path)]
    return ["strace", "-f", "-qq", "-o", output, *watched, "-e", f"trace={','.join(calls)}"]


def killed_at_random(job: Job, chance: Random, *, kills: int, span_s: float) -> Story:
    """Kill so many processes, each at a moment of its first `span_s`, and let the last one end."""
    story = Story()
    for _ in range(kills):
        if not short_life(job, story, chance.uniform(0, span_s)):
            return story
    story.report = whole_life(job)
    return story
