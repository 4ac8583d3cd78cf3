"""When a token is fetched, and when it is not: its age, refusals and failures decide. It holds no token.

A token is renewed ahead of its end, and at once when it is refused. One that is taken away again is taken by somebody
else: the second and third renewal within five minutes wait for a moment of their own, so that processes that take the
token from each other fall out of step, and a fourth is not made. The token call has a back-off of its own.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final

from attrs import define, field

#: A token lives 7200 s (PLATFORM.md, E); the answer's own `expire` is 0 in the documented example and not trusted.
LIFE_S: Final = 7200.0
#: Renewed ahead at this share of its life, give or take the other, so that processes do not renew together.
AHEAD: Final = 0.8
AHEAD_SPREAD: Final = 0.05
#: A fourth renewal within this time means that somebody else keeps taking the token away.
RENEWALS: Final = 3
WITHIN_S: Final = 300.0
#: The longest wait before the second and third: some batches' time for whoever has the token, little of the five minutes.
APART_S: Final = 5.0
#: The token call's back-off is the breaker's: 1 s doubling to 30 s, give or take a quarter.
BACK_OFF_S: Final = 1.0
CAP_S: Final = 30.0
SPREAD: Final = 0.25
#: Credentials or a fresh token that were refused are not tried anew before that (FAULTS.md B15).
REST_S: Final = 30.0
#: The back-off has long reached its cap by then.
_MAX_STEPS: Final = 16


@define
class Renewal:
    """The moments of a client's token on one monotonic clock. A `share` is a random number from 0 to 1."""

    #: The number of the token: how many were received, and when the last one was.
    generation: int = 0
    received_at: float = -inf
    renew_at: float = -inf
    ends_at: float = -inf
    #: No token call before this moment.
    not_before: float = -inf
    #: Token calls that failed in a row.
    failures: int = 0
    _renewed: deque[float] = field(factory=lambda: deque(maxlen=RENEWALS))

    def received(self, now: float, share: float) -> None:
        """Book a new token; the first is no renewal."""
        if self.generation:
            self._renewed.append(now)
        self.generation += 1
        self.received_at = now
        self.renew_at = now + LIFE_S * (AHEAD + _either_way(share, AHEAD_SPREAD))
        self.ends_at = now + LIFE_S
        self.not_before, self.failures = -inf, 0

    def failed(self, now: float, share: float) -> None:
        """Book a token call that gave no token."""
        delay_s = min(CAP_S, BACK_OFF_S * 2 ** min(self.failures, _MAX_STEPS))
        self.failures += 1
        self.not_before = now + delay_s * (1 + _either_way(share, SPREAD))

    def denied(self, now: float) -> None:
        """Book that the credentials were refused."""
        self.not_before = now + REST_S

    def refused(self, now: float, share: float) -> bool:
        """Book that the token was refused; whether it may be renewed."""
        recent = sum(now - at < WITHIN_S for at in self._renewed)
        if recent == RENEWALS:
            return False
        self.end(now)
        if recent:
            self.not_before = max(self.not_before, now + share * APART_S)
        return True

    def is_fresh(self, now: float) -> bool:
        """Whether the token was received so lately that its refusal cannot be about what happened since."""
        return now - self.received_at < REST_S

    def end(self, now: float) -> None:
        """The token is good for nothing any more."""
        self.renew_at = self.ends_at = now

    def rest(self, now: float) -> None:
        """The token was refused as no token should be: a later run may ask for another, after a rest."""
        is_full = len(self._renewed) == RENEWALS
        self.renew_at = min(self.renew_at, max(now + REST_S, self._renewed[0] + WITHIN_S if is_full else now))


def _either_way(share: float, spread: float) -> float:
    """From `-spread` to `spread`."""
    return (2 * share - 1) * spread
