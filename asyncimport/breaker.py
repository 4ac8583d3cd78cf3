"""The breaker: a platform that is away is asked by one request now and then, not by everybody all the time.

| circuit | an answer          | a failure                                  | a request that wants to start        |
|---------|--------------------|--------------------------------------------|--------------------------------------|
| CLOSED  | the row begins anew| one more in the row; the eighth: OPEN      | starts                               |
| OPEN    | CLOSED             | nothing: it had started before             | waits; after the pause it is PROBING |
| PROBING | CLOSED             | of the probe: OPEN, the pause doubled      | waits for what becomes of the probe  |

An answer is one that accepts or refuses; one that throttles, or is about the token, ends a probe too, but no row of
failures: the gateway in front of a platform that is away may give it.

The pause is 1 s, doubled up to 30 s, give or take a quarter, so that clients which lost the platform together do not all
come back together. What fails for reasons of its own (a token that cannot be had, a batch that the platform breaks on) is no failure.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, assert_never

from attrs import define

#: Failures in a row that open it (DESIGN.md, section 5).
FAILURES: Final = 8
BASE_S: Final = 1.0
CAP_S: Final = 30.0
#: How far a pause may lie from its length, as a share of it.
SPREAD: Final = 0.25
#: The pause has long reached its cap by then.
_MAX_DOUBLINGS: Final = 10


class Circuit(Enum):
    """Whether requests may start."""

    CLOSED = auto()
    OPEN = auto()
    PROBING = auto()


@define
class Breaker:
    """One for all runs of a client."""

    circuit: Circuit = Circuit.CLOSED
    #: Failures in a row while it is closed, and pauses in a row since.
    failures: int = 0
    pauses: int = 0
    #: When the next probe may start; of use only while it is OPEN.
    retry_at: float = 0.0

    @property
    def is_closed(self) -> bool:
        """Whether attempts count against their batches: those of an outage do not."""
        return self.circuit is Circuit.CLOSED

    def opens_at(self, now: float) -> float | None:
        """When a request may start: now, later, or None: when something has become of the probe."""
        match self.circuit:
            case Circuit.CLOSED:
                return now
            case Circuit.OPEN:
                return max(now, self.retry_at)
            case Circuit.PROBING:
                return None
            case _:
                assert_never(self.circuit)

    def start(self) -> bool:
        """Book a request that starts; True when it is the probe."""
        if self.circuit is not Circuit.OPEN:
            return False
        self.circuit = Circuit.PROBING
        return True

    def answered(self) -> bool:
        """Book an answer; True when the platform has come back with it."""
        has_come_back = self.circuit is not Circuit.CLOSED
        self.circuit, self.failures, self.pauses = Circuit.CLOSED, 0, 0
        return has_come_back

    def failed(self, now: float, share: float, *, is_probe: bool) -> bool:
        """Book a failure; True when it opens. `share`, 0 to 1, is where in its spread the pause lies."""
        if self.circuit is Circuit.CLOSED:
            self.failures += 1
            if self.failures < FAILURES:
                return False
        elif not is_probe:
            return False
        pause_s = min(CAP_S, BASE_S * 2 ** min(self.pauses, _MAX_DOUBLINGS))
        self.circuit, self.pauses = Circuit.OPEN, self.pauses + 1
        self.retry_at = now + pause_s * (1 - SPREAD + 2 * SPREAD * share)
        return True

    def ask_again(self) -> None:
        """Let a probe start without waiting: somebody new wants to know."""
        self.retry_at = 0.0

    def dropped(self, now: float) -> None:
        """Book that the probe said nothing of the platform, or was cut off: another one may start."""
        if self.circuit is Circuit.PROBING:
            self.circuit, self.retry_at = Circuit.OPEN, now
