"""The emulator in a process of its own, and what its ledger says."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import canary
import orjson
from attrs import define, frozen

#: After these nobody can know whether the batch is there.
UNANSWERED = {"reset_before", "reset_after", "close_before", "truncate", "html", "status", "gzip"}
#: Struck in equal parts; those that commit first leave duplicates.
MIX: list[dict[str, Any]] = [
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "truncate"},
    {"kind": "truncate", "content_length": False},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 500, "committed": True},
    {"kind": "status", "status": 503},
]
THROTTLED: dict[str, Any] = {"kind": "status", "status": 429}


@frozen(kw_only=True)
class Entered:
    """What the ledger has since a moment: copies of each uuid, and the requests of each body."""

    keys: Counter[str]
    bodies: dict[str, list[dict[str, Any]]]
    requests: int
    violations: list[str]

    @property
    def duplicates(self) -> int:
        return self.keys.total() - len(self.keys)


@define
class Server:
    """The emulator."""

    url: str
    control: str

    def ledger(self, run_id: str = "", since: int = 0) -> Entered:
        """What came from a run, whose requests are those after the first `since`."""
        everything = self._asked("ledger?keys=1")
        events = everything["events"]
        requests = events["batches"][since:]
        bodies: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for request in requests:
            bodies[request["body_digest"]].append(request)
        keys = Counter({key: copies for key, copies in events["by_key"].items() if key.startswith(run_id)})
        return Entered(keys=keys, bodies=dict(bodies), requests=len(requests), violations=everything["violation_texts"])

    def requests(self) -> int:
        return int(self._asked("ledger")["requests"])

    def set_faults(self, share: float, mix: Sequence[dict[str, Any]], *, seed: int, delay_s: float = 0.0) -> None:
        standing = [{"kind": "delay", "seconds": delay_s, "on": "events"}] if delay_s else []
        self._set({"standing": standing, "rates": [{"share": share, "seed": seed, "faults": list(mix)}]})

    def script(self, *steps: dict[str, Any]) -> None:
        """Let the next requests meet these, and all others nothing."""
        self._set({"script": list(steps)})

    def hang(self) -> None:
        """Answer nobody, and commit nothing."""
        self._set({"standing": [{"kind": "hang"}]})

    def _set(self, faults: dict[str, Any]) -> None:
        with urlopen(Request(f"{self.control}/faults", data=orjson.dumps(faults)), timeout=10) as answer:
            assert answer.status == 200

    def _asked(self, what: str) -> dict[str, Any]:
        with urlopen(f"{self.control}/{what}", timeout=30) as answer:
            found: dict[str, Any] = orjson.loads(answer.read())
        return found


@contextmanager
def served() -> Iterator[Server]:
    command = [sys.executable, "-m", "asyncimport.emulator", "--token", canary.TOKEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            where = orjson.loads(process.stdout.readline())
            yield Server(where["url"], where["control"])
        finally:
            process.terminate()
