"""What was really committed, whatever the client was told: the witness every test calls."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
from attrs import asdict, define, field

from asyncimport.emulator.body import Batch
from asyncimport.emulator.endpoints import EVENTS, EVENTS_V1, GROUPS, RESOURCES, TAGS, USERS, USERS_V2


@define(kw_only=True)
class LoggedRequest:
    """One import request, from arrival to end.

    Attributes:
        arrived_s: monotonic time at which its last byte was read.
        body_digest: digest of the bytes as sent: equal on every retry of equal bytes.
        records: items in the body; 0 when it could not be read.
        token_generation: the token by its number in the order of issue; `None` for one the platform never issued.
        status: the HTTP status answered; `None` when no whole answer was sent.
        committed: records committed by this request.
        batch_id: the batch id given to it, answered or not.
        fault: the kind of the fault that struck it.
    """

    resource: str
    arrived_s: float
    body_digest: str
    records: int
    token_generation: int | None
    status: int | None = None
    committed: int = 0
    batch_id: int | None = None
    fault: str | None = None


@define(kw_only=True)
class ResourceLedger:
    """The commits of one resource.

    Cost: about 150 bytes a distinct record for its key and count, and its canonical bytes besides when bodies are
    kept; 1,000,000 distinct records without bodies stay below 200 MB.

    Attributes:
        name: the resource.
        by_key: commits per key. The key of an event is its uuid; where there is none, and for all others, it is the
            digest of the whole record (`record_key`).
        batches: every request for this resource, in order of arrival.
    """

    name: str
    keep_records: bool
    by_key: Counter[str] = field(factory=Counter, repr=False)
    batches: list[LoggedRequest] = field(factory=list, repr=False)
    _total: int = 0
    _canonical: list[bytes] = field(factory=list, repr=False)

    @property
    def distinct(self) -> int:
        """Records committed, each key once."""
        return len(self.by_key)

    @property
    def total(self) -> int:
        """Records committed, each as often as it was."""
        return self._total

    @property
    def duplicates(self) -> int:
        """Commits beyond the first of each key."""
        return self._total - len(self.by_key)

    def records(self) -> list[dict[str, Any]]:
        """Give the committed records in commit order.

        Raises:
            RuntimeError: the emulator was started with `keep_records=False`.
        """
        if not self.keep_records:
            raise RuntimeError("the records were not kept: start the emulator with keep_records=True")
        return [orjson.loads(record) for record in self._canonical]

    def commit(self, batch: Batch, request: LoggedRequest) -> None:
        """Enter a batch, in its order."""
        self.by_key.update(batch.keys)
        self._total += len(batch.keys)
        request.committed += len(batch.keys)
        if self.keep_records:
            self._canonical += batch.canonical

    def to_dict(self, *, keys: bool = False) -> dict[str, Any]:
        """Give the counts; with `keys`, also every key's count and every request."""
        counts = {
            "distinct": self.distinct,
            "total": self.total,
            "duplicates": self.duplicates,
            "requests": len(self.batches),
        }
        if not keys:
            return counts
        return counts | {"by_key": dict(self.by_key), "batches": [asdict(request) for request in self.batches]}


@define(kw_only=True)
class Ledger:
    """The whole record of what came and what was committed.

    Attributes:
        violations: one short sentence per broken rule of the contract, in order of arrival, without any value.
        max_in_flight: the most import requests that were open at one moment.
        in_flight: import requests open now.
        connections: TCP connections opened to the API.
        token_requests: requests for a token.
        broken_off: import requests whose sender left before the last byte of the body.
    """

    keep_records: bool = True
    #: The names of the resources it has a ledger of each.
    names: Sequence[str] = field(factory=lambda: tuple(resource.name for resource in RESOURCES), repr=False)
    violations: list[str] = field(factory=list)
    in_flight: int = 0
    max_in_flight: int = 0
    connections: int = 0
    token_requests: int = 0
    broken_off: int = 0
    _resources: dict[str, ResourceLedger] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._resources = {name: ResourceLedger(name=name, keep_records=self.keep_records) for name in self.names}

    @property
    def users(self) -> ResourceLedger:
        """The commits of users v1."""
        return self.of(USERS.name)

    @property
    def events(self) -> ResourceLedger:
        """The commits of events v2."""
        return self.of(EVENTS.name)

    @property
    def users_v2(self) -> ResourceLedger:
        """The commits of users v2."""
        return self.of(USERS_V2.name)

    @property
    def events_v1(self) -> ResourceLedger:
        """The commits of events v1."""
        return self.of(EVENTS_V1.name)

    @property
    def tags(self) -> ResourceLedger:
        """The commits of tags v2."""
        return self.of(TAGS.name)

    @property
    def groups(self) -> ResourceLedger:
        """The commits of groups v2."""
        return self.of(GROUPS.name)

    @property
    def requests(self) -> int:
        """Import requests that arrived whole."""
        return sum(len(resource.batches) for resource in self.resources)

    @property
    def resources(self) -> tuple[ResourceLedger, ...]:
        """The ledgers of all resources."""
        return tuple(self._resources.values())

    def of(self, name: str) -> ResourceLedger:
        """Give the ledger of a resource by its name."""
        return self._resources[name]

    def connect(self) -> None:
        """Count a connection."""
        self.connections += 1

    def enter(self) -> None:
        """Count an import request as open."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def leave(self) -> None:
        """Count an open import request as ended."""
        self.in_flight -= 1

    def accuse(self, where: str, problems: Sequence[object]) -> None:
        """Enter broken rules as violations."""
        self.violations += [f"{where}: {problem}" for problem in problems]

    def to_dict(self, *, keys: bool = False) -> dict[str, Any]:
        """Give the counts as JSON can carry them; with `keys`, also keys, requests and the violations' texts."""
        summary: dict[str, Any] = {name: one.to_dict(keys=keys) for name, one in self._resources.items()}
        summary |= {
            "requests": self.requests,
            "violations": len(self.violations),
            "max_in_flight": self.max_in_flight,
            "connections": self.connections,
            "token_requests": self.token_requests,
            "broken_off": self.broken_off,
        }
        return summary | {"violation_texts": list(self.violations)} if keys else summary
