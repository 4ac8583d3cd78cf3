"""The two meters behind the rate limits. They are told the time and hold no clock."""

from collections import deque

from attrs import define, field

WINDOW_S = 1.0


@define(kw_only=True)
class SlidingWindow:
    """At most `per_s` admissions within any one second."""

    per_s: int
    _admitted_s: deque[float] = field(init=False, factory=deque)

    def admit(self, now_s: float) -> bool:
        """Tell whether one more fits now, and count it when it does."""
        while self._admitted_s and self._admitted_s[0] <= now_s - WINDOW_S:
            self._admitted_s.popleft()
        if len(self._admitted_s) >= self.per_s:
            return False
        self._admitted_s.append(now_s)
        return True


@define(kw_only=True)
class TokenBucket:
    """`burst` admissions at once, refilled by `per_s` each second; starts full."""

    per_s: float
    burst: int
    _level: float = field(init=False)
    _filled_s: float | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._level = float(self.burst)

    def admit(self, now_s: float) -> bool:
        """Tell whether one more fits now, and take it out when it does."""
        if self._filled_s is not None:
            self._level = min(self.burst, self._level + (now_s - self._filled_s) * self.per_s)
        self._filled_s = now_s
        if self._level < 1:
            return False
        self._level -= 1
        return True


Meter = SlidingWindow | TokenBucket
