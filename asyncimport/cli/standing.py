"""Where an import stands, how fast it goes, how long it will take, and what keeps it: values and arithmetic, no screen."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from math import ceil
from typing import Final

from attrs import define, evolve, field, frozen

from asyncimport.observer import AttemptFailed, Notice, Paused

#: The rate is of the last seconds; the time left is of a minute, so that a pause of seconds does not throw it about.
RATE_OVER_S: Final = 5.0
LEFT_OVER_S: Final = 60.0
#: Shorter pauses come again and again, and belong to the pace; a longer one is told, and added to the time left.
LONG_PAUSE_S: Final = 5.0
POINT_EVERY_S: Final = 0.5
#: Before this much time and work an estimate of the time left is a guess, and none is shown.
LEFT_AFTER_S: Final = 2.0
LEFT_AFTER_SHARE: Final = 0.01
#: A failure stays this long even when the next request is accepted at once, or nobody could read it.
READABLE_S: Final = 1.5
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


@frozen(kw_only=True)
class Standing:
    """Where an import stands, for showing. Bytes are of the input, as it lies on disk; None when not known: how far into it was come, and all."""

    label: str
    read: int
    accepted: int
    rejected: int
    unconfirmed: int
    unsent: int
    skipped: int
    #: Requests under way.
    in_flight: int
    retries: int
    elapsed_s: float
    bytes_passed: int | None = None
    size_bytes: int | None = None
    #: Ctrl-C came: nothing is read any more, and what is in flight is waited for.
    is_stopping: bool = False
    #: A dry run: what would be accepted, and nothing in flight.
    is_check: bool = False

    @property
    def done(self) -> int:
        """Records that came to something. One that is unsent did not: the import has to be run again for it."""
        return self.accepted + self.rejected + self.unconfirmed + self.skipped

    @property
    def share(self) -> float | None:
        """How much of the input is done, 0 to 1: what was read of it, less what was read and is not done."""
        if self.bytes_passed is None or not self.size_bytes:
            return None
        return min(1.0, self.bytes_passed / self.size_bytes) * (self.done / self.read if self.read else 0.0)

    @property
    def is_ending(self) -> bool:
        """Whether the import ends before its input does: only then is a record given back unsent."""
        return self.is_stopping or self.unsent > 0


@frozen
class Point:
    """How far an import had come at a moment of its own time."""

    at_s: float
    done: int
    share: float | None


@frozen(kw_only=True)
class Course:
    """How fast an import goes, and how long it will take; `left_s` is None while there is nothing to say."""

    records_per_s: float
    left_s: float | None


def records_per_s(points: Sequence[Point]) -> float:
    """Records done a second over the last `RATE_OVER_S`; the last of the points is now."""
    first, last = _before(points, RATE_OVER_S), points[-1]
    return (last.done - first.done) / (last.at_s - first.at_s) if last.at_s > first.at_s else 0.0


def left_s(points: Sequence[Point]) -> float | None:
    """Seconds until the whole input is done, at the pace of the last `LEFT_OVER_S`; None while there is nothing to say."""
    first, last = _before(points, LEFT_OVER_S), points[-1]
    if first.share is None or last.share is None or not LEFT_AFTER_SHARE <= last.share < 1.0:
        return None
    done, took_s = last.share - first.share, last.at_s - first.at_s
    return (1.0 - last.share) * took_s / done if done > 0 and took_s >= LEFT_AFTER_S else None


def _before(points: Sequence[Point], over_s: float) -> Point:
    """The last point that is at least so old, else the first: points may lie further apart than that."""
    old = (point for point in reversed(points) if point.at_s <= points[-1].at_s - over_s)
    return next(old, points[0])


def left_words(seconds: float) -> str:
    """Time left as one says it, rounded up: `7 s`, `45 s`, `3 min`, `2 h 05 min`."""
    if seconds <= _MINUTE_S - 5:
        return f"{ceil(seconds) if seconds <= 10 else 5 * ceil(seconds / 5)} s"  # noqa: PLR2004 -- counts down singly at the end
    minutes = ceil(seconds / _MINUTE_S)
    return f"{minutes} min" if minutes < _MINUTE_S else f"{minutes // 60:,} h {minutes % 60:02} min"


def clock_words(seconds: float) -> str:
    """Time gone by: `1:05`, `2:00:07`."""
    whole = int(seconds)
    hours, minutes = whole // _HOUR_S, whole // _MINUTE_S % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


@define
class Pace:
    """The points of one import that rate and time left are told by: about two a second of some seconds and of a minute."""

    _seconds: deque[Point] = field(factory=deque)
    #: In working time, which stands still in a long pause: it is no part of the pace of what follows.
    _minute: deque[Point] = field(factory=deque)

    def at(self, standing: Standing, *, pause_s: float = 0.0, paused_s: float = 0.0) -> Course:
        """The course now. `pause_s` is what is left of a pause, `paused_s` what all long ones have taken by now."""
        now = Point(standing.elapsed_s, standing.done, standing.share)
        if self._seconds and now.at_s < self._seconds[-1].at_s:  # another import
            self._seconds.clear()
            self._minute.clear()
        if not self._seconds:  # every import begins with nothing done
            begin = Point(0.0, 0, None if now.share is None else 0.0)
            self._seconds.append(begin)
            self._minute.append(evolve(begin, at_s=-paused_s))
        rate = records_per_s(_added(self._seconds, now, RATE_OVER_S))
        wait_s = left_s(_added(self._minute, evolve(now, at_s=now.at_s - paused_s), LEFT_OVER_S))
        if wait_s is None or standing.is_ending:
            return Course(records_per_s=rate, left_s=None)
        return Course(records_per_s=rate, left_s=wait_s + pause_s)


def _added(kept: deque[Point], now: Point, over_s: float) -> list[Point]:
    """The points up to now, which is kept when the last one is old enough; what is older than needed is dropped."""
    points = [*kept, now]
    if now.at_s >= kept[-1].at_s + POINT_EVERY_S:
        kept.append(now)
    while len(kept) > 1 and now.at_s - kept[1].at_s >= over_s:
        kept.popleft()
    return points


@define
class Trouble:
    """What keeps an import from going on: a pause, or the last failure until something is accepted again."""

    _now: Callable[[], float] = time.monotonic
    _paused_until: float = float("-inf")
    #: Of long pauses, with what is still to come of one.
    _paused_s: float = 0.0
    _is_long: bool = False
    _reason: str = ""
    _failed: AttemptFailed | None = None
    _failed_at: float = 0.0
    _accepted: int | None = None

    @property
    def is_paused(self) -> bool:
        return self._now() < self._paused_until

    @property
    def pause_s(self) -> float:
        """What is left of a pause."""
        return max(0.0, self._paused_until - self._now())

    @property
    def paused_s(self) -> float:
        """What all long pauses have taken by now."""
        return self._paused_s - (self.pause_s if self._is_long else 0.0)

    def notice(self, notice: Notice) -> None:
        match notice:
            case Paused(pause_s=pause_s, reason=reason):
                self._pause(pause_s)
                self._reason, self._failed = reason, None
            case AttemptFailed() if not self.is_paused and not is_about_the_token(notice):
                self._failed, self._failed_at, self._accepted = notice, self._now(), None
            case _:
                pass

    def _pause(self, pause_s: float) -> None:
        """A pause is only lengthened; what is left of it counts when that is long, or when it was a long one before."""
        gone_s, was_long = self.paused_s, self._is_long and self.is_paused
        self._paused_until = max(self._paused_until, self._now() + pause_s)
        self._is_long = was_long or self.pause_s >= LONG_PAUSE_S
        self._paused_s = gone_s + (self.pause_s if self._is_long else 0.0)

    def forget_failure(self) -> None:
        """Another import begins: what failed was of the last one. A pause is of the client, and goes on."""
        self._failed = None

    def words(self, accepted: int) -> str:
        """What is wrong now, given the records accepted by now; empty when nothing is."""
        if self.is_paused:
            return f"paused, {_seconds(self.pause_s)} left: {self._reason}"
        now = self._now()
        if self._failed is None:
            return ""
        self._accepted = accepted if self._accepted is None else self._accepted
        if accepted > self._accepted and now > self._failed_at + READABLE_S:
            self._failed = None
            return ""
        return failure_words(self._failed, self._failed_at - now)


def is_about_the_token(failed: AttemptFailed) -> bool:
    """Whether a request failed for its token alone: it is renewed, or the import ends, and either is told."""
    return failed.reason == "auth" and failed.retry_in_s is not None


def failure_words(failed: AttemptFailed, shift_s: float = 0.0) -> str:
    """A failed request, and when it is sent again; `shift_s` is added to that."""
    why = f"{failed.detail or failed.reason}{f': {failed.message}' if failed.message else ''}"
    if failed.retry_in_s is None:
        return f"a request failed for good: {why}"
    wait_s = failed.retry_in_s + shift_s
    return f"a request failed, again {f'in {_seconds(wait_s)}' if wait_s > 0 else 'now'}: {why}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"  # noqa: PLR2004 -- tenths matter below
