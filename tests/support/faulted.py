"""Imports that meet faults, run to whatever end they have, and what must hold of every such end (FAULTS.md I1 to I10).

The witness is the other side of the wire: a scripted platform in virtual time, a TCP server, or the emulator's ledger.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import canary
import orjson
from attrs import define, evolve, field, frozen
from leftovers import back_to, resources
from scripted import OK, Reply, ScriptedTransport, Sent
from wire import Handler, http, says, tcp_server

from asyncimport import (
    USERS,
    Accepted,
    AsyncImportError,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    ImportReport,
    OutcomeStream,
    Rejected,
    RetryPolicy,
    UserImportConfig,
    UserProfile,
)
from asyncimport.attempt import Attempt
from asyncimport.emulator import Emulator
from asyncimport.emulator.injector import Step
from asyncimport.observer import AttemptFailed, Notice, Paused
from asyncimport.outcome import BatchOutcome
from benchmarks.virtual import run_virtual

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
#: Repeats in real time wait this little.
QUICK = RetryPolicy(base_s=0.02, cap_s=0.05, floor_s=0.001)
URL = "https://platform.example/api/open"


def people(count: int, prefix: str = "") -> list[UserProfile]:
    return [UserProfile(third_id=f"{prefix}{n}", real_name=canary.PERSON) for n in range(count)]


def ids_of(body: bytes) -> list[str]:
    return [record["thirdId"] for record in orjson.loads(body)["data"]]


@define
class Witness:
    """What the other side saw, request by request, and how often it took each record."""

    bodies: list[bytes] = field(factory=list)
    #: The first line of each request, where there are lines.
    asked: list[str] = field(factory=list)
    taken: Counter[str] = field(factory=Counter)

    def saw(self, body: bytes, *, took: bool) -> None:
        self.bodies.append(body)
        if took:
            self.taken.update(ids_of(body))


@frozen(kw_only=True)
class Ended:
    """How an import ended, and what the other side knows of it."""

    report: ImportReport
    outcomes: tuple[BatchOutcome, ...]
    failure: AsyncImportError | None
    prefix: str = ""
    notices: tuple[Notice, ...] = ()
    witness: Witness = field(factory=Witness)
    connections: int = 0

    @property
    def pauses(self) -> list[float]:
        """How long everybody was held back, pause by pause."""
        return [notice.pause_s for notice in self.notices if isinstance(notice, Paused)]

    def of(self, kind: type[BatchOutcome]) -> list[BatchOutcome]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, kind)]

    @property
    def rejections(self) -> list[Rejected]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, Rejected)]


def counts(ended: Ended) -> tuple[int, int, int, int]:
    """Records accepted, rejected, unconfirmed, unsent."""
    report = ended.report
    return report.accepted, report.rejected, report.unconfirmed, report.unsent


def holds(ended: Ended) -> Ended:
    """Assert the invariants of every end, by what the witness knows."""
    report, witness = ended.report, ended.witness
    # I1: every record has one outcome, and the counts say so.
    assert report.in_progress == 0
    assert report.read == sum(counts(ended)) + report.skipped
    assert sorted(position for outcome in ended.outcomes for position in outcome.positions) == list(range(report.read))
    # I2: what is called accepted was taken.
    accepted = {f"{ended.prefix}{n}" for outcome in ended.of(Accepted) for n in outcome.positions}
    assert len(accepted) == report.accepted
    assert accepted <= witness.taken.keys()
    # I3: copies are at most what is reported.
    copies = [count for one, count in witness.taken.items() if _is_of(one, ended.prefix)]
    assert sum(copies) - len(copies) <= report.possible_duplicates
    _hold_bodies(ended)
    # I7: nothing the user is given shows a secret.
    shown = f"{report}{report!r}{report.to_dict()}{ended.notices!r}{ended.outcomes!r}{[*map(str, ended.rejections)]}"
    assert canary.leaks(shown) == []
    return ended


def _hold_bodies(ended: Ended) -> None:
    """I9 and I10: batches are cut in source order, the same records are the same bytes, and repeats are no more than told."""
    bodies = [body for body in ended.witness.bodies if all(_is_of(one, ended.prefix) for one in ids_of(body))]
    forms: dict[tuple[str, ...], bytes] = {}
    for body in bodies:
        ids = ids_of(body)
        numbers = [_number(one) for one in ids]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert forms.setdefault(tuple(ids), body) == body
    seen = Counter(one for body in bodies for one in ids_of(body))
    assert not bodies or ended.report.possible_duplicates <= sum(seen.values()) - len(seen)
    assert ended.report.attempts >= len(bodies)


def _is_of(one: str, prefix: str) -> bool:
    return re.fullmatch(rf"{prefix}\d+", one) is not None


def _number(one: str) -> int:
    return int(re.sub(r"\D", "", one))


async def to_its_end(stream: OutcomeStream) -> tuple[tuple[BatchOutcome, ...], AsyncImportError | None]:
    """The outcomes of an import, and the error that ended it, which shows no secret."""
    outcomes: list[BatchOutcome] = []
    failure: AsyncImportError | None = None
    try:
        async with stream:
            async for outcome in stream:
                outcomes.append(outcome)  # noqa: PERF401 -- those before the error count too
    except AsyncImportError as error:
        failure = error
    if failure is not None:
        assert canary.scan(failure) == []
        failure.with_traceback(None)
    return tuple(outcomes), failure


async def run_out(client: ImportClient, count: int, *, prefix: str = "", **run: Any) -> Ended:
    """Run an import to whatever end it has."""
    stream = client.stream(USERS, people(count, prefix), CONFIG, **run)
    outcomes, failure = await to_its_end(stream)
    return Ended(report=stream.report, outcomes=outcomes, failure=failure, prefix=prefix)


async def imported(
    where: ScriptedTransport | str, count: int, *, policy: DispatchPolicy, within_s: float, http: Any = None, **run: Any
) -> Ended:
    """One client, one import. It ends within `within_s` (I8), and leaves no task of its own (I6)."""
    notices: list[Notice] = []
    transport = where if isinstance(where, ScriptedTransport) else None
    url = where if isinstance(where, str) else URL
    client = ImportClient(
        url, token=canary.TOKEN, policy=policy, http=http, transport=transport, observer=notices.append
    )
    async with client, asyncio.timeout(within_s):
        ended = await run_out(client, count, **run)
    await asyncio.sleep(0)
    assert [name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("asyncimport")] == []
    return evolve(ended, notices=tuple(notices))


@frozen
class Takes:
    """An answer, and the batch is taken whatever it says."""

    answer: Any


@define
class VirtualPlatform:
    """A platform in virtual time that gives the answers of a script, then the last one. `OK` takes the batch, others do not."""

    script: Sequence[Reply | Takes] = ()
    otherwise: Reply | Takes = OK
    delay_s: float = 0.01
    witness: Witness = field(factory=Witness)
    transport: ScriptedTransport = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.transport = ScriptedTransport(
            script=[self._witnessed(reply) for reply in self.script],
            otherwise=self._witnessed(self.otherwise),
            delay_s=self.delay_s,
        )

    @property
    def times(self) -> list[float]:
        """When requests left, in seconds from the start."""
        return [sent.at - 1000 for sent in self.transport.posts]

    def _witnessed(self, reply: Reply | Takes) -> Reply:
        def answer(sent: Sent) -> Attempt:
            said = reply.answer if isinstance(reply, Takes) else reply
            attempt: Any = said(sent) if callable(said) else said
            self.witness.saw(sent.body, took=isinstance(reply, Takes) or attempt is OK)
            return attempt  # type: ignore[no-any-return]

        return answer


def width_around(failing: Attempt) -> tuple[int, int]:
    """The width that an import had found, at most 32, when the 30th of its requests failed so; and right after it was told."""
    before, after = list[int](), list[int]()

    def fails(_sent: Sent) -> Attempt:
        before.append(client._lane.limit.width)
        return failing

    def told(notice: Notice) -> None:
        if isinstance(notice, AttemptFailed):
            after.append(client._lane.limit.width)

    transport = ScriptedTransport(script=[*[OK] * 29, fails])
    policy = spacious(max_in_flight=None)
    client = ImportClient(URL, token=canary.TOKEN, policy=policy, transport=transport, observer=told)

    async def imported() -> Ended:
        async with client:
            return await run_out(client, 800)

    assert counts(run_virtual(imported())) == (800, 0, 0, 0)
    assert len(before) == len(after) == 1
    return before[0], after[0]


def spacious(**changes: Any) -> DispatchPolicy:
    """Small batches, four at a time."""
    return DispatchPolicy(**{"batch_size": 10, "max_in_flight": 4, **changes})


def virtually(
    platform: VirtualPlatform, count: int, policy: DispatchPolicy | None = None, *, within_s: float = 900.0, **run: Any
) -> Ended:
    """One import in virtual time, and the invariants."""
    ended = run_virtual(imported(platform.transport, count, policy=policy or spacious(), within_s=within_s, **run))
    return holds(evolve(ended, witness=platform.witness))


async def over_tcp(
    *steps: Handler | Takes,
    count: int = 40,
    policy: DispatchPolicy | None = None,
    within_s: float = 30.0,
    tls: Any = None,
    **run: Any,
) -> Ended:
    """One import over real sockets to a server that gives these bytes, request by request, and then takes everything."""
    before, witness = resources(), Witness()
    handlers = [_witnessed(step, witness) for step in (*steps, Takes(says(http())))]
    options = {} if tls is None else {"ssl": tls}
    async with tcp_server(*handlers, **options) as server:
        chosen = policy or spacious(max_in_flight=1, retry=QUICK)
        ended = await imported(server.url, count, policy=chosen, within_s=within_s, **run)
        ended = evolve(ended, witness=witness, connections=server.connections)
    await back_to(before)
    return holds(ended)


def _witnessed(step: Handler | Takes, witness: Witness) -> Handler:
    handler: Handler = step.answer if isinstance(step, Takes) else step

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        witness.asked.append(request.partition(b"\r\n")[0].decode())
        witness.saw(request.partition(b"\r\n\r\n")[2], took=isinstance(step, Takes))
        await handler(reader, writer, request)

    return handle


async def over_emulator(
    *steps: Step, count: int = 40, policy: DispatchPolicy | None = None, within_s: float = 30.0, **run: Any
) -> Ended:
    """One import into the emulator, whose first requests meet these faults."""
    before = resources()
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script(steps)
        chosen = policy or spacious(max_in_flight=1, retry=QUICK)
        ended = await imported(platform.url, count, policy=chosen, within_s=within_s, **run)
        ended = evolve(ended, witness=ledger_witness(platform), connections=platform.ledger.connections)
        assert platform.ledger.violations == []
        assert len({request.body_digest for request in platform.ledger.users.batches}) <= ended.report.batches
    await back_to(before)
    return holds(ended)


def ledger_witness(platform: Emulator) -> Witness:
    """What the emulator's ledger knows of users."""
    return Witness(taken=Counter(record["thirdId"] for record in platform.ledger.users.records()))


def was_repeated(ended: Ended, count: int, *, copies: int) -> None:
    """Everything was delivered in the end; what went unanswered was repeated, and nothing was refused."""
    assert ended.failure is None
    assert counts(ended) == (count, 0, 0, 0)
    assert len(ended.witness.taken) == count
    assert sum(ended.witness.taken.values()) - count == copies
    assert ended.report.retries > 0


def resent_virtually(answer: Attempt, **changes: Any) -> None:
    """An answer that is none, once to a batch that was not taken and once to one that was: sent again, or parked."""

    def platform() -> VirtualPlatform:
        return VirtualPlatform(script=[OK, answer, Takes(answer)])

    policy = spacious(max_in_flight=1, **changes)
    ended = virtually(platform(), 50, policy)
    was_repeated(ended, 50, copies=10)
    assert ended.report.possible_duplicates == 20
    parked = virtually(platform(), 50, policy, on_unknown="park")
    assert (counts(parked), parked.report.retries) == ((30, 0, 20, 0), 0)


async def resent_over_tcp(handler: Handler, **run: Any) -> Ended:
    """The same for bytes, which are sent again."""
    ended = await over_tcp(Takes(says(http())), handler, Takes(handler), count=50, **run)
    was_repeated(ended, 50, copies=10)
    assert ended.report.possible_duplicates == 20
    return ended


def one_line(texts: Iterable[str], longest: int = 200) -> None:
    """Words from outside, as they are shown: printable, on one line, and short."""
    for text in texts:
        assert text.isprintable()
        assert len(text) <= longest
