"""How many requests a second a client begins: at most what the user allows, and what a platform that throttles has taught.

A pause after 429 says that it was too much, not what would be right: whoever returns to the old speed is throttled again at
once, and sixteen clients of one quota spend half their requests on that. So what is accepted between one throttling and a later
one is counted, the pauses included: over such a cycle a quota gives exactly its rate (`Pace`). The next cycle begins at 95 % of it, and
the rate doubles every 6 s, so that a quota that was raised is found; a quota saves up about a second's worth, which hides the
growth for a while. Where pauses are long the rate grows as much more slowly, or most of the time would be paused. The first
request after a pause has a moment of its own within the time that one takes at this rate: clients that were throttled together
do not return together. A single throttling teaches nothing, and after a minute without any nothing is held back.
AWS's SDKs learn a rate from throttling too (adaptive mode); they cut what was measured by 30 %, having no burst to hide in.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, log
from typing import Final

from attrs import define, field

from asyncimport.policy import Rate

#: Where a cycle begins, as a share of the rate measured, and the seconds in which it doubles.
BEGIN: Final = 0.95
DOUBLING_S: Final = 6.0
#: A cycle measures something when so much was accepted in it; throttled before, the rate is only cut.
FEW: Final = 3
CUT: Final = 0.7
#: A platform saves up what is not used for about so long.
BURST_S: Final = 1.0
#: After so many doublings without any throttling it is over: of 6 s each, a minute.
OVER_DOUBLINGS: Final = 10
#: What is taken to be there: sums of floating-point numbers fall short by less.
MARGIN: Final = 1e-9


@define
class Pace:
    """The rate that throttling has taught. Moments are monotonic seconds."""

    #: Requests a second that were accepted in the last cycle; None while nothing is known.
    per_s: float | None = None
    #: What was accepted in this one.
    accepted: int = 0
    #: When it began; None before the first throttling.
    _since: float | None = None
    #: From when on the rate grows, how fast, and until when the last pause lasts.
    _grows_from: float = float("-inf")
    _doubling_s: float = DOUBLING_S
    _throttled_at: float = float("-inf")
    _next_at: float = float("-inf")

    def rest(self) -> None:
        """Nothing is sent for a while: what there is of the cycle measures nothing."""
        self._since, self.accepted = None, 0

    @property
    def _over_s(self) -> float:
        return OVER_DOUBLINGS * self._doubling_s

    def opens_at(self, now: float) -> float:
        """When the next request may begin: now, or later."""
        return max(now, self._next_at)

    def started(self, now: float) -> None:
        """Book a request that begins."""
        if self.per_s is None:
            return
        if now >= self._grows_from + self._over_s:
            self.per_s = self._since = None
            return
        # When the growing rate amounts to one more request.
        scale_s = self._doubling_s / log(2)
        grown = exp((max(now, self._next_at) - self._grows_from) / scale_s)
        self._next_at = self._grows_from + scale_s * log(grown + 1 / (BEGIN * self.per_s * scale_s))

    def throttled(
        self, started_at: float, now: float, *, pause_s: float, retry_after_s: float | None, share: float
    ) -> None:
        """Book a throttled request, after which nobody sends for `pause_s`. Those of one burst are one message.

        `share`, 0 to 1, is where in the time of one request the next one begins.
        """
        if started_at < self._throttled_at:
            return
        is_over = self._since is None or now >= self._throttled_at + self._over_s
        self._throttled_at = now
        # Of a long pause a second counts: more is not saved up.
        self._grows_from = now + max(0.0, pause_s - BURST_S)
        if is_over:
            self.per_s, self._since, self.accepted = None, self._grows_from, 0
        elif self.accepted >= FEW and self._since is not None:
            self.per_s = self.accepted / (now - self._since)
            self._since, self.accepted = self._grows_from, 0
        elif self.per_s is not None:
            self.per_s *= CUT
        self._doubling_s = DOUBLING_S * max(1.0, 2 * (retry_after_s or 0.0) - 1)
        if self.per_s is not None:
            self._next_at = now + pause_s + share / (BEGIN * self.per_s)


@define
class Bucket:
    """A token bucket: `per_s` tokens a second, of which at most a second's are saved up. The last taken may overdraw it."""

    per_s: float
    left: float
    at: float

    def opens_at(self, now: float) -> float:
        """When something may be taken: now, or later."""
        self._fill(now)
        short = min(1.0, self.per_s * BURST_S) - self.left
        return now if short < MARGIN else now + short / self.per_s

    def take(self, now: float, tokens: float) -> None:
        """Take tokens, also some that are not there yet."""
        self._fill(now)
        self.left -= tokens

    def _fill(self, now: float) -> None:
        self.left = min(self.per_s * BURST_S, self.left + (now - self.at) * self.per_s)
        self.at = now


@define
class Allowance:
    """What the user lets a client begin: the strictest of what its running imports allow, shared by them."""

    _rates: list[Rate] = field(factory=list)
    _requests: Bucket | None = None
    _records: Bucket | None = None

    def join(self, rate: Rate | None, now: float) -> None:
        """Book a run that allows so much, or anything."""
        self._set([*self._rates, rate] if rate else self._rates, now)

    def leave(self, rate: Rate | None, now: float) -> None:
        """Take a run back."""
        left = self._rates[:]
        if rate is not None:
            left.remove(rate)
        self._set(left, now)

    def _set(self, rates: list[Rate], now: float) -> None:
        self._rates = rates
        self._requests = _refitted(self._requests, [rate.requests_per_s for rate in rates], now)
        self._records = _refitted(self._records, [rate.records_per_s for rate in rates], now)

    def opens_at(self, now: float) -> float:
        """When a request may begin: now, or later."""
        return max((bucket.opens_at(now) for bucket in (self._requests, self._records) if bucket), default=now)

    def started(self, now: float, records: int) -> None:
        """Book a request that begins."""
        for bucket, tokens in ((self._requests, 1), (self._records, records)):
            if bucket is not None:
                bucket.take(now, tokens)


def _refitted(bucket: Bucket | None, rates: Iterable[float | None], now: float) -> Bucket | None:
    """The bucket of the strictest rate: the same one as long as it is, else one that has a second's worth."""
    per_s = min((rate for rate in rates if rate is not None), default=None)
    if per_s is None:
        return None
    return bucket if bucket is not None and bucket.per_s == per_s else Bucket(per_s=per_s, left=per_s * BURST_S, at=now)
