"""A plan drawn from a seed: what is imported, how the platform behaves, and when its user loses patience."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate
from random import Random
from typing import Final, Literal

import attrs
from attrs import field, frozen

from asyncimport import EVENTS, USERS, DispatchPolicy, Resource, RetryPolicy, Timeouts
from asyncimport.policy import OnUnknown

#: Run and position of a record: what the platform knows it by, whatever else it carries.
Key = tuple[int, int]
#: A poison record is refused by a code, by HTTP 400, or breaks the server; a fat one exceeds the limit of a body alone.
Poison = Literal["code", "http 400", "http 500", "fat"]
Leave = Literal["leaves", "cancels", "closes"]
SOURCES: Final = ("list", "objects", "inline", "async", "async, one dict for all", "async without aclose")

#: Faults that may come in spells of certainty, and how long such a spell is, at most.
SPELLS: Final[Mapping[str, float]] = {
    "refused connection": 60,
    "unknown name": 30,
    "reset before": 120,
    "silence": 120,
    "500": 60,
    "502": 120,
    "503": 120,
    "503 asking to wait": 20,
    "429": 10,
    "429 asking to wait": 30,
    "throttle words": 10,
    "html": 40,
    "redirect": 10,
    "refuses everything": 1,
    "token call fails": 40,
}
#: Faults that come by chance all the time, and the share of requests that they hit, at most.
RATES: Final[Mapping[str, float]] = {
    "refused connection": 0.2,
    "reset before": 0.2,
    "reset after": 0.2,
    "silence": 0.03,
    "silence after": 0.03,
    "late commit": 0.04,
    "stale": 0.3,
    "500": 0.3,
    "500 after": 0.2,
    "500 after a part": 0.15,
    "502": 0.1,
    "502 after": 0.1,
    "503": 0.1,
    "503 after": 0.1,
    "503 asking to wait": 0.05,
    "code 500": 0.1,
    "429": 0.1,
    "429 asking to wait": 0.05,
    "429 asking oddly": 0.05,
    "429 asking for an hour": 0.01,
    "throttle words": 0.1,
    "html": 0.1,
    "html after": 0.1,
    "truncated after": 0.1,
    "no batch id": 0.3,
    "token call fails": 0.5,
}


@frozen(kw_only=True)
class Spell:
    """A fault that hits this share of the requests that the platform judges between two moments of the simulation."""

    kind: str
    begins: float = 0.0
    ends: float = math.inf
    rate: float = 1.0

    def __str__(self) -> str:
        when = "always" if self.ends == math.inf else f"{self.begins:.2f} to {self.ends:.2f} s"
        return f"{self.kind} ({when}, {self.rate:.0%})"


@frozen(kw_only=True)
class Quota:
    """A bucket of tokens; `form` is how the platform says that it is empty."""

    per_s: float
    burst: int
    form: str


@frozen(kw_only=True)
class Overload:
    """More requests than this at the same time get no good answer."""

    above: int
    form: str


@frozen(kw_only=True)
class RunPlan:
    """One import, its source, and its user."""

    number: int
    resource: Resource
    count: int
    source: str
    begins: float = 0.0
    #: A pause after so many records, of an async source.
    pause_s: float = 0.0
    pause_every: int = 1
    #: How long an async source cleans up when it is closed.
    closing_s: float = 0.0
    invalid: frozenset[int] = frozenset()
    #: The source raises instead of giving this record.
    raises_at: int | None = None
    on_unknown: OnUnknown = "resend"
    max_rejected: int | None = None
    deadline: float | None = None
    #: How the user ends it before its time, and when: after so many outcomes, or seconds after its beginning.
    leave: Leave | None = None
    leaves_after: int = 0
    leaves_at: float = 0.0
    #: What the user does with each outcome takes so long.
    slow_s: float = 0.0


@frozen(kw_only=True)
class Plan:
    """One simulation."""

    seed: int
    runs: tuple[RunPlan, ...]
    batch_size: int
    width: int
    max_batch_bytes: int = 1_000_000
    linger_s: float = 5.0
    read_s: float = 60.0
    first_contact_s: float | None = 15.0
    stall_s: float = 900.0
    max_attempts: int = 8
    is_quick: bool = False
    credentials: Literal["fixed", "app", "callable"] = "fixed"
    revoked_at: tuple[float, ...] = ()
    token_life_s: float | None = None
    #: Whether the platform goes on taking a token after it has given out another one.
    keeps_old_tokens: bool = True
    #: The token call refuses the credentials from its n-th time on.
    last_token: int | None = None
    #: How a refused token is told: a status, or a code with HTTP 200.
    auth_form: Literal["401", "code"] = "401"
    latency_s: float = 0.1
    is_exponential: bool = False
    poison: Mapping[Key, Poison] = field(factory=dict)
    spells: tuple[Spell, ...] = ()
    quota: Quota | None = None
    overload: Overload | None = None
    body_limit: int | None = None
    withdrawn_at: float | None = None
    withdrawn_by: Literal["code", "403"] = "code"

    @property
    def policy(self) -> DispatchPolicy:
        quick = {"base_s": 0.02, "cap_s": 0.5, "floor_s": 0.001} if self.is_quick else {}
        return DispatchPolicy(
            batch_size=self.batch_size,
            max_batch_bytes=self.max_batch_bytes,
            max_in_flight=self.width,
            linger_s=self.linger_s,
            first_contact_s=self.first_contact_s,
            stall_s=self.stall_s,
            retry=RetryPolicy(max_attempts=self.max_attempts, **quick),
            timeouts=Timeouts(read_s=self.read_s),
        )

    @property
    def calm_at(self) -> float:
        """When the last spell that ends is over."""
        return max((spell.ends for spell in self.spells if spell.ends < math.inf), default=0.0)

    def source_s(self, run: RunPlan) -> float:
        """How long a source pauses in all."""
        return run.pause_s * (run.count // run.pause_every)

    @property
    def bound_s(self) -> float:
        """How long everything may take: each request its time-out and the longest wait after it, one after another."""
        records = sum(run.count for run in self.runs)
        users_s = sum(run.begins + self.source_s(run) + run.closing_s + run.slow_s * run.count for run in self.runs)
        requests = 2 * (records + 10) * (self.max_attempts + 3)
        quota_s = 0.0 if self.quota is None else 3 * requests / self.quota.per_s
        return self.calm_at + users_s + quota_s + requests * (self.read_s + 40.0) + 1_000.0

    def words(self) -> str:
        """What is not as usual in this plan, one line each."""
        lines = [_differing(self, "runs", "poison", "spells")]
        lines += [_differing(run, "invalid") + f"; {len(run.invalid)} invalid" for run in self.runs]
        lines += [f"poison {kind}: {key}" for key, kind in list(self.poison.items())[:20]]
        return "\n".join([*lines, *map(str, self.spells)])


def _differing(value: Plan | RunPlan, *but: str) -> str:
    """The fields that are not at their defaults."""
    given = {one.name: (one.default, getattr(value, one.name)) for one in attrs.fields(type(value))}
    shown = [
        f"{name}={now.name if isinstance(now, Resource) else now!r}"
        for name, (usual, now) in given.items()
        if name not in but and now != usual
    ]
    return f"{type(value).__name__}: {', '.join(shown)}"


def plan_of(seed: int) -> Plan:
    """The plan of a seed: always the same."""
    draw = Random(seed)
    batch_size, width = draw.randint(5, 50), draw.randint(1, 12)
    latency_s = draw.choice([0.005, 0.05, 0.2, 1.0])
    runs = [_run(draw, 0)]
    if _is_so(draw, 0.15):
        runs.append(attrs.evolve(_run(draw, 1), begins=draw.choice([0.0, draw.uniform(0, 3)])))
    busy_s = sum(run.count for run in runs) / batch_size / width * latency_s
    busy_s += max(run.pause_s * (run.count // run.pause_every) for run in runs)
    plan = Plan(
        seed=seed,
        runs=tuple(_leaving(draw, run, busy_s) for run in runs),
        batch_size=batch_size,
        width=width,
        latency_s=latency_s,
        is_exponential=_is_so(draw, 0.5),
        spells=_spells(draw, busy_s),
        poison={key: kind for run in runs for key, kind in _poison(draw, run).items()},
        max_batch_bytes=draw.choice([2_000, 4_000]) if _is_so(draw, 0.15) else 1_000_000,
        linger_s=draw.choice([0.1, 5.0, 5.0]),
        read_s=draw.choice([5.0, 60.0]),
        first_contact_s=None if _is_so(draw, 0.25) else 15.0,
        stall_s=draw.choice([60.0, 200.0, 900.0, 900.0, 900.0]),
        max_attempts=draw.choice([2, 4, 8, 8, 8]),
        is_quick=_is_so(draw, 0.3),
        quota=Quota(per_s=draw.choice([5, 20]), burst=draw.randint(1, 10), form=draw.choice(_THROTTLES))
        if _is_so(draw, 0.15)
        else None,
        overload=Overload(above=draw.randint(1, width), form=draw.choice(["503", "silence"]))
        if _is_so(draw, 0.1)
        else None,
    )
    return _with_tokens(draw, _with_limits(draw, plan, busy_s), busy_s)


#: Answers that are lost after a commit count double: they are what duplicates come from.
_CHANCES: Final = [*RATES.items(), *((kind, most) for kind, most in RATES.items() if "after" in kind or "late" in kind)]
_THROTTLES: Final = ("429", "429 asking to wait", "throttle words", "503 asking to wait")


def _is_so(draw: Random, chance: float) -> bool:
    return draw.random() < chance


def _run(draw: Random, number: int) -> RunPlan:
    count = draw.choice([draw.randint(0, 3), draw.randint(4, 60), draw.randint(60, 400), draw.randint(100, 900)])
    if _is_so(draw, 0.1):
        count = draw.randint(1_000, 1_500)
    bad = draw.choice([0, 0, 0, 1, 3, count // 20])
    source = draw.choice(SOURCES)
    pauses = source.startswith("async") and _is_so(draw, 0.6)
    return RunPlan(
        number=number,
        resource=draw.choice([USERS, EVENTS]),
        count=count,
        source=source,
        pause_s=draw.choice([0.01, 0.3, 7.0]) if pauses else 0.0,
        pause_every=draw.choice([1, 10, 60]) if count < 100 else draw.choice([25, 150]),
        closing_s=draw.choice([0.0, 0.0, 2.0]) if source in {"async", "async, one dict for all"} else 0.0,
        invalid=frozenset(draw.sample(range(count), min(bad, count))),
        raises_at=draw.randint(0, count) if source not in {"list", "objects"} and _is_so(draw, 0.06) else None,
        on_unknown="park" if _is_so(draw, 0.15) else "resend",
        max_rejected=draw.choice([0, 2, 30]) if _is_so(draw, 0.15) else None,
        slow_s=draw.choice([0.05, 1.0]) if _is_so(draw, 0.1) else 0.0,
    )


def _leaving(draw: Random, run: RunPlan, busy_s: float) -> RunPlan:
    """The run with a user who does not wait for its end, in some plans."""
    at = draw.uniform(0, 2 * busy_s + 1) if _is_so(draw, 0.7) else draw.uniform(0, 100)
    if _is_so(draw, 0.1):
        return attrs.evolve(run, deadline=max(at, 0.001))
    if _is_so(draw, 0.15):
        leave: Leave = draw.choice(["leaves", "cancels", "closes"])
        return attrs.evolve(run, leave=leave, leaves_at=at, leaves_after=draw.randint(0, 20))
    return run


def _poison(draw: Random, run: RunPlan) -> dict[Key, Poison]:
    kinds: list[Poison] = ["code", "http 400", "http 500"]
    many = draw.choice([0, 0, 0, 0, 1, 1, 2, 4, run.count // 25])
    valid = [position for position in range(run.count) if position not in run.invalid]
    chosen = draw.sample(valid, min(many, len(valid)))
    if chosen and _is_so(draw, 0.2):  # in a row
        chosen = valid[valid.index(chosen[0]) :][:many]
    return {(run.number, position): draw.choice(kinds) for position in chosen}


def _spells(draw: Random, busy_s: float) -> tuple[Spell, ...]:
    found: list[Spell] = []
    for _ in range(draw.choice([0, 0, 1, 1, 2, 3])):
        kind, longest = draw.choice(list(SPELLS.items()))
        begins = 0.0 if _is_so(draw, 0.1) else draw.uniform(0, 1.3 * busy_s)
        length = draw.uniform(0.1, 1.0) * (longest if _is_so(draw, 0.5) else min(longest, 5.0))
        found.append(Spell(kind=kind, begins=begins, ends=begins + length))
    for _ in range(draw.choice([0, 1, 1, 2, 4])):
        kind, most = draw.choice(_CHANCES)
        found.append(Spell(kind=kind, rate=draw.uniform(0.1, 1.0) * most))
    is_refusing = [spell for spell in found if spell.kind == "refuses everything"]
    return tuple(spell for spell in found if spell not in is_refusing[1:])


def _with_limits(draw: Random, plan: Plan, busy_s: float) -> Plan:
    if _is_so(draw, 0.06):
        plan = attrs.evolve(
            plan, withdrawn_at=draw.uniform(0, busy_s + 0.5), withdrawn_by=draw.choice(["code", "code", "403"])
        )
    if _is_so(draw, 0.12):
        run = draw.choice(plan.runs)
        valid = [n for n in range(run.count) if n not in run.invalid and (run.number, n) not in plan.poison]
        fat: dict[Key, Poison] = {(run.number, n): "fat" for n in draw.sample(valid, min(len(valid), 1))}
        limit = draw.choice([1_500, 4_000])  # a fat record has more than 1,500 bytes
        plan = attrs.evolve(plan, body_limit=limit, poison=dict(plan.poison) | (fat if limit == 1_500 else {}))
    return plan


def _with_tokens(draw: Random, plan: Plan, busy_s: float) -> Plan:
    credentials: Literal["fixed", "app", "callable"] = draw.choice(["fixed", "fixed", "app", "app", "callable"])
    revoked = draw.choice([0, 0, 0, 1, 1, 2, 3, 5]) if credentials != "fixed" else draw.choice([0] * 25 + [1])
    apart_s = draw.choice([0.0, 6.0, 6.0, 6.0]) * plan.latency_s  # a fresh token that is taken away at once ends a run
    return attrs.evolve(
        plan,
        credentials=credentials,
        revoked_at=tuple(accumulate(apart_s + draw.uniform(0, 0.5 * busy_s) for _ in range(revoked))),
        token_life_s=draw.choice([None, None, None, 100.0, 400.0]) if credentials != "fixed" else None,
        keeps_old_tokens=_is_so(draw, 0.5),
        last_token=draw.choice([None] * 25 + [0, 1]) if credentials == "app" else None,
        auth_form=draw.choice(["401", "code"]),
    )
