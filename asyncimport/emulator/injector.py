"""Which fault strikes which request.

A request meets, in this order: the limits (at the door, before anything waits), the gates, the workers, and then what
is dealt to it: the first step of the script that fits, the standing faults in the order they were added, the mixes.
Delays and token revocations among these all happen; of the others the first one strikes, and `Ok` strikes by letting
the request pass.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from random import Random
from typing import Self

from attrs import define, field, frozen

from asyncimport.emulator.endpoints import RESOURCES, TOKEN
from asyncimport.emulator.faults import (
    IMPORTS_ONLY,
    STANDING_ONLY,
    Bucket,
    Delay,
    Fault,
    Limit,
    Ok,
    Overload,
    Poison,
    Quota,
    RevokeToken,
    SilentDrop,
    Strike,
    TokenExpiresAfter,
    Workers,
)
from asyncimport.emulator.gate import Gate
from asyncimport.emulator.meters import Meter, SlidingWindow, TokenBucket
from asyncimport.emulator.tokens import Tokens

TARGETS = frozenset({TOKEN, *(resource.name for resource in RESOURCES)})

Step = Fault | Sequence[Fault]
"""What one request of a script meets: a fault, or several together."""


def fits(on: str | None, target: str) -> bool:
    """Tell whether a fault's scope covers an endpoint."""
    return target != TOKEN if on is None else on == target


@frozen(kw_only=True)
class Dealt:
    """What one request was dealt."""

    delay_s: float = 0.0
    strike: Strike | None = None
    poisons: tuple[Poison, ...] = ()

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> Self:
        """Put faults together: delays add up, poisons gather, the first strike decides."""
        delay_s, strike, poisons = 0.0, None, []
        for fault in faults:
            match fault:
                case Delay(seconds=seconds):
                    delay_s += seconds
                case Poison():
                    poisons.append(fault)
                case Ok():
                    break
                case _ if strike is None and isinstance(fault, Strike):
                    strike = fault
                case _:
                    pass
        return cls(delay_s=delay_s, strike=strike, poisons=tuple(poisons))


@define(kw_only=True)
class _Mix:
    share: float
    faults: tuple[Fault, ...]
    random: Random

    def deal(self, target: str) -> Fault | None:
        candidates = [fault for fault in self.faults if fits(fault.on, target)]
        if not candidates or self.random.random() >= self.share:
            return None
        return self.random.choice(candidates)


@define(kw_only=True)
class Faults:
    """The programmable set of faults. Without any, the platform is well.

    Attributes:
        in_service: import requests being served now, by which `Overload` and `SilentDrop` judge.
    """

    _tokens: Tokens
    _now: Callable[[], float]
    #: What a fault's scope may name.
    _targets: Collection[str] = TARGETS
    in_service: int = field(init=False, default=0)
    _standing: list[Fault] = field(init=False, factory=list)
    _meters: dict[int, Meter] = field(init=False, factory=dict)
    _workers: list[tuple[Workers, asyncio.Semaphore]] = field(init=False, factory=list)
    _script: deque[tuple[Fault, ...]] = field(init=False, factory=deque)
    _mixes: list[_Mix] = field(init=False, factory=list)
    _gates: list[Gate] = field(init=False, factory=list)

    @property
    def pending(self) -> int:
        """Steps of the script that no request has met yet."""
        return len(self._script)

    def add(self, *faults: Fault) -> None:
        """Let faults stand for every request they fit, until `clear()`.

        Raises:
            ValueError: a scope that is no endpoint.
        """
        check_standing(faults, self._targets)
        for fault in faults:
            match fault:
                case Quota():
                    self._meters[len(self._standing)] = SlidingWindow(per_s=fault.per_s)
                case Bucket():
                    self._meters[len(self._standing)] = TokenBucket(per_s=fault.per_s, burst=fault.burst)
                case Workers():
                    self._workers.append((fault, asyncio.Semaphore(fault.count)))
                case _:
                    pass
            self._standing.append(fault)

    def script(self, steps: Iterable[Step]) -> None:
        """Let the next requests meet these steps, one each, in order; appended to what is still pending.

        A request takes the first step whose faults all fit its endpoint.

        Raises:
            ValueError: a scope that is no endpoint, or a fault that can only stand.
        """
        bundles = [(step,) if isinstance(step, Fault) else tuple(step) for step in steps]
        for bundle in bundles:
            check_dealt(bundle, self._targets)
        self._script.extend(bundles)

    def rate(self, share: float, faults: Sequence[Fault], *, seed: int) -> None:
        """Let this share of the requests meet one of the faults, each as likely; equal seeds deal equally.

        Raises:
            ValueError: a share outside 0..1, no faults, a scope that is no endpoint, a fault that can only stand.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"the share of requests is {share}, it must lie between 0 and 1")
        check_dealt(faults, self._targets)
        # No secret hangs on it, and the same seed must deal the same faults.
        self._mixes.append(_Mix(share=share, faults=tuple(faults), random=Random(seed)))  # noqa: S311 - see above

    def hold(self, on: str | None = None) -> Gate:
        """Put up a gate that requests wait at until it is opened."""
        check_standing([Ok(on=on)], self._targets)
        gate = Gate(on=on)
        self._gates.append(gate)
        return gate

    def clear(self) -> None:
        """Forget every fault and open every gate; requests struck already stay struck."""
        for gate in self._gates:
            gate.open()
        for state in (self._standing, self._meters, self._workers, self._script, self._mixes, self._gates):
            state.clear()

    def at_the_door(self, target: str) -> Limit | None:
        """Tell which limit turns away a request that has just come, if any. It must be in `in_service` already."""
        for place, fault in enumerate(self._standing):
            if isinstance(fault, Limit) and fits(fault.on, target) and self._exceeded(fault, place):
                return fault
        return None

    def gates(self, target: str) -> list[Gate]:
        """Give the gates a request has to pass, in the order they were put up."""
        return [gate for gate in self._gates if fits(gate.on, target)]

    def workers(self, target: str) -> list[tuple[Workers, asyncio.Semaphore]]:
        """Give the groups of workers a request has to pass."""
        return [(workers, seats) for workers, seats in self._workers if fits(workers.on, target)]

    def deal(self, target: str) -> Dealt:
        """Deal a request its faults, and carry out what concerns tokens."""
        faults = [fault for fault in self._candidates(target) if not isinstance(fault, Limit)]
        if any(isinstance(fault, RevokeToken) for fault in faults):
            self._tokens.revoke()
        return Dealt.of(faults)

    def token_uses(self, target: str) -> int | None:
        """Give how many requests a token serves; `None` when its time alone ends it."""
        standing = (
            fault for fault in self._standing if isinstance(fault, TokenExpiresAfter) and fits(fault.on, target)
        )
        return min((fault.requests for fault in standing), default=None)

    def _candidates(self, target: str) -> list[Fault]:
        step = next((step for step in self._script if all(fits(fault.on, target) for fault in step)), ())
        if step:
            self._script.remove(step)
        standing = [fault for fault in self._standing if fits(fault.on, target)]
        mixed = [fault for mix in self._mixes if (fault := mix.deal(target)) is not None]
        return [*step, *standing, *mixed]

    def _exceeded(self, fault: Limit, place: int) -> bool:
        match fault:
            case Overload() | SilentDrop():
                return self.in_service > fault.above
            case Quota() | Bucket():
                return not self._meters[place].admit(self._now())


def check_standing(faults: Iterable[Fault], targets: Collection[str] = TARGETS) -> None:
    """Make sure that faults can stand.

    Raises:
        ValueError: a scope that is no endpoint, or one at which the fault means nothing.
    """
    for fault in faults:
        if fault.on is not None and fault.on not in targets:
            raise ValueError(f"no endpoint is named {fault.on!r}; there are {', '.join(sorted(targets))}")
        if fault.on == TOKEN and isinstance(fault, IMPORTS_ONLY):
            raise ValueError(f"{type(fault).__name__} concerns imports: it cannot strike the token endpoint")


def check_dealt(faults: Sequence[Fault], targets: Collection[str] = TARGETS) -> None:
    """Make sure that faults can be dealt to single requests, by a script or a mix.

    Raises:
        ValueError: no fault, a fault that can only stand, or what `check_standing` finds.
    """
    if not faults:
        raise ValueError("there must be at least one fault; Ok() lets a request pass")
    check_standing(faults, targets)
    watching = [type(fault).__name__ for fault in faults if isinstance(fault, STANDING_ONLY)]
    if watching:
        raise ValueError(f"{watching[0]} watches all requests: let it stand with add()")
