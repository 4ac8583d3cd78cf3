"""How many requests a client has in flight at the same time: what its runs ask for, or as many as the platform is well with.

A run that fixes its width gets it. For the others the width is looked for (`Adaptive`), from 4, between 1 and 32:

| seen                                              | width                                                                  |
|---------------------------------------------------|------------------------------------------------------------------------|
| an answer, at first, while all of it is in use    | one more, above 16 a half: twice as many, or half more, every round trip |
| a window of answers, all of the width in use      | one more, or 5 %                                                       |
| a window that is slow: the brake                  | stays: more would only wait there; two in a row end the first row      |
| 429, 503, silence                                 | halved, once a round trip; the place is remembered                     |
| calm windows just below the remembered place      | goes past it after 8 of them, 16, at most 24 as often as it was wrong; then in steps that double |

A window is a round trip: as many answers as may be in flight. It is slow when three of four of its answers took longer than
1.25 times the platform's best: latency that merely varies does not look like that, a queue does. The best is the lowest median of
16 answers in a row; after 50 slow windows it is measured anew, at half the width for three windows, since a platform
may have become slower for good.

A request that has been under way for twice as long as the slowest of the last 16 is overdue. Another may go in its
place: what a platform lets fall in silence would otherwise hold it until the timeout. When so many are overdue that it is a quarter of
the width, that is silence like a timeout. Growth after it is slow, since it is noticed late.

After an outage all begins anew with one request, and each accepted batch lets one more in: twice as many every round trip.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Final

from attrs import define, field

#: DESIGN.md, section 5: where the width begins, and its bounds.
FIRST: Final = 4
MOST: Final = 32
CUT: Final = 0.5
GROWTH: Final = 0.05
#: Up to here the width doubles at first; then half of it is added, since what is too much comes all at once.
DOUBLED: Final = 16
#: The brake, as a factor on the best latency, for the quickest quarter of a window.
SLOW: Final = 1.25
#: Answers that tell a platform's latency from its noise.
SAMPLE: Final = 16
#: Slow windows before the best latency is measured anew.
DOUBT: Final = 50
#: Windows that it takes: two in which what was under way comes back, the measurement at half the width, and one of what was
#: sent into the empty queue.
_ANEW: Final = 4
#: Calm windows before the place of a cut is passed: the first time, and at most.
PATIENCE: Final = 8
MOST_PATIENCE: Final = 24
#: So much longer where the last cut came of silence: a request that is let fall costs a whole timeout.
SILENT_PATIENCE: Final = 8
#: A cut within this share of the last one's place was at the same place.
SAME: Final = 0.75
#: When a request is overdue: so many times the slowest of late, and at least so long; as long as nothing was answered, the last.
OVERDUE: Final = 2.0
OVERDUE_AT_LEAST_S: Final = 0.5
OVERDUE_AT_FIRST_S: Final = 5.0
#: So many of those begun since the last cut, as a share of the width, and more than one, are silence.
SILENCE: Final = 0.25
#: A timer that is this late says that the loop stood still: what looks overdue has a little longer, to be read.
LATE_S: Final = 0.05
GRACE_S: Final = 0.2
#: Answers to one burst that may tell of it, to whoever counts failures in a row: half of what opens the breaker.
ECHOES: Final = 4


@define
class Adaptive:
    """The width that is looked for. Moments are monotonic seconds."""

    width: float = FIRST
    is_slow_start: bool = True
    #: Whether all of the width was in use since the window began: what is not used says nothing of more.
    was_full: bool = False
    cut_at: float = float("-inf")
    grown_at: float = float("-inf")
    #: Where the last cut came, how many calm windows it is kept away from, and how many there were.
    ceiling: float = float("inf")
    patience: int = PATIENCE
    calm: int = 0
    step: float = 1.0
    #: Whether the last cut came of silence.
    was_silent: bool = False
    #: Attempts that told of the last cut's burst.
    echoes: int = 0
    #: The latency of the platform when nothing waits there, and windows in which something did.
    best_s: float | None = None
    slow_windows: int = 0
    was_slow: bool = False
    #: Windows until it has been measured anew, and the width before.
    _anew: int = 0
    _before: float = FIRST
    _size: int = FIRST
    _window: list[float] = field(factory=list)
    _recent: deque[float] = field(factory=lambda: deque(maxlen=SAMPLE))

    @property
    def has_answers(self) -> bool:
        """Whether anything was answered yet."""
        return bool(self._recent)

    @property
    def overdue_s(self) -> float:
        """How long a request may be under way."""
        return max(OVERDUE_AT_LEAST_S, OVERDUE * max(self._recent)) if self._recent else OVERDUE_AT_FIRST_S

    def answered(self, latency_s: float, now: float) -> None:
        """Book an answer that accepts or refuses."""
        self._recent.append(latency_s)
        self._window.append(latency_s)
        if self.is_slow_start and self.was_full and not self.was_slow:
            self.width = min(MOST, self.width + (1.0 if self.width < DOUBLED else 0.5))
        if len(self._window) >= self._size:
            self._end_window(now)

    def _end_window(self, now: float) -> None:
        if self._anew:
            self._anew -= 1
            if self._anew == 1:
                self.best_s, self.width = median(self._window), self._before
        elif self._is_slow():
            self.is_slow_start &= not self.was_slow
            self.was_slow = True
            self.slow_windows += 1
            if self.slow_windows >= DOUBT:
                self.slow_windows, self._anew = 0, _ANEW
                self._before, self.width = self.width, max(1.0, self.width / 2)
        else:
            self.was_slow = False
            if self.was_full and not self.is_slow_start:
                self._grow(now)
        self._begin_window()

    def _is_slow(self) -> bool:
        usual = median(self._recent)
        self.best_s = usual if self.best_s is None else min(self.best_s, usual)
        return sorted(self._window)[len(self._window) // 4] > SLOW * self.best_s

    def _begin_window(self) -> None:
        self.was_full = False
        self._size = int(self.width)
        self._window.clear()

    def _grow(self, now: float) -> None:
        self.calm += 1
        if self.was_silent and now < self.grown_at + self.overdue_s:
            return
        following = self.width + max(self.step, GROWTH * self.width)
        if following >= self.ceiling and self.calm < self.patience * (SILENT_PATIENCE if self.was_silent else 1):
            return
        if self.width >= self.ceiling - 1:  # nothing happened at the place of the last cut
            self.step = min(2 * self.step, self.width)
        self.width, self.grown_at = min(MOST, following), now

    def overloaded(self, started_at: float, now: float, *, is_silent: bool) -> bool:
        """Book an attempt that was too much; True when it only tells again, and often enough, of what is known."""
        if started_at < self.cut_at:
            self.echoes += 1
            return self.echoes > ECHOES
        if self._anew > 1:
            self.width = self._before
        self._anew = 0
        is_same = self.width >= SAME * self.ceiling
        self.patience = min(2 * self.patience, MOST_PATIENCE) if is_same else PATIENCE
        self.ceiling, self.width = self.width, max(1.0, CUT * self.width)
        self.cut_at = self.grown_at = now
        self.was_silent, self.is_slow_start = is_silent, False
        self.echoes, self.calm, self.step = 1, 0, 1.0
        self._begin_window()
        return False

    def begin_anew(self) -> None:
        """After an outage: one request, then twice as many every round trip."""
        self.width, self.is_slow_start, self._anew = 1.0, True, 0
        self._begin_window()


@define
class Limit:
    """Counts what is in flight against the widths that the client's runs ask for."""

    adaptive: Adaptive = field(factory=Adaptive)
    _widths: list[int | None] = field(factory=list)
    #: How far a fixed width has grown again; None when nothing cut it.
    _grown: int | None = None
    #: When each request began that is under way, in this order.
    _begun: dict[int, float] = field(factory=dict)
    _last: int = 0
    #: When somebody is to look again whether something is overdue.
    _look_at: float = float("inf")

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return len(self._begun)

    @property
    def is_adaptive(self) -> bool:
        """Whether a run leaves the width to the client."""
        return None in self._widths

    @property
    def width(self) -> int:
        """Requests at the same time; 0 while no run is going on."""
        fixed = self._fixed if self._grown is None else min(self._fixed, self._grown)
        return max(fixed, int(self.adaptive.width)) if self.is_adaptive else fixed

    @property
    def _fixed(self) -> int:
        return max((width for width in self._widths if width is not None), default=0)

    def planned(self, width: int | None) -> int:
        """For how many requests a run that asks for a width holds batches: not fewer than at first, whatever was cut."""
        return width or max(FIRST, int(self.adaptive.width))

    def join(self, width: int | None) -> None:
        """Book a run that asks for a width, or leaves it to the client."""
        self._widths.append(width)

    def leave(self, width: int | None) -> None:
        """Take a run back."""
        self._widths.remove(width)

    def begin_anew(self) -> None:
        """Go back to one request: the platform has just come back."""
        self._grown = 1
        self.adaptive.begin_anew()

    def start(self, now: float) -> int:
        """Book a request that starts; its number is for `finish`."""
        self._last += 1
        self._begun[self._last] = now
        self.adaptive.was_full |= self.in_flight >= int(self.adaptive.width)
        return self._last

    def finish(self, number: int) -> None:
        """Book the end of a request."""
        del self._begun[number]

    def accepted(self) -> None:
        """Book an accepted batch: of a fixed width that begins anew, one more request may start for it."""
        if self._grown is not None:
            self._grown += 1
            if self._grown >= self._fixed:
                self._grown = None

    def has_room_at(self, now: float) -> float | None:
        """When one more request may start: now, when one under way will be overdue, or None: when one ends."""
        if self.in_flight < self.width:
            return now
        if not self.is_adaptive:
            return None
        if now > self._look_at + LATE_S:
            self._look_at = now + GRACE_S
            return self._look_at
        adaptive, limit_s = self.adaptive, self.adaptive.overdue_s
        begun = list(self._begun.values())
        overdue = sum(moment + limit_s <= now for moment in begun)
        news = [moment for moment in begun[:overdue] if moment >= adaptive.cut_at]
        if len(news) > 1 and len(news) >= SILENCE * self.width and adaptive.has_answers:
            adaptive.overloaded(news[0], now, is_silent=True)
        if self.in_flight < MOST and self.in_flight - overdue < (self.width if adaptive.has_answers else 1):
            self._look_at = float("inf")
            return now
        self._look_at = begun[overdue] + limit_s if overdue < len(begun) else float("inf")
        return None if self._look_at == float("inf") else self._look_at
