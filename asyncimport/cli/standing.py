"""Where an import stands, how fast it goes, how long it will take, and what keeps it: values and arithmetic, no screen."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from math import ceil
from typing import Final

from attrs import define, field, frozen

from asyncimport.observer import AttemptFailed, Notice, Paused

#: The rate is of the last seconds; the time left is of a minute, so that a pause of seconds does not throw it about.
RATE_OVER_S: Final = 5.0
LEFT_OVER_S: Final = 60.0
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
    """Where an import stands, for showing. Bytes are of the input, as it lies on disk; None when not known."""

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
    bytes_read: int | None = None
    size_bytes: int | None = None

    @property
    def share(self) -> float | None:
        """How much of the input is done, 0 to 1: what was read of it, less what is read and not settled yet."""
        if self.bytes_read is None or not self.size_bytes:
            return None
        settled = self.accepted + self.rejected + self.unconfirmed + self.unsent + self.skipped
        return min(1.0, self.bytes_read / self.size_bytes) * (settled / self.read if self.read else 0.0)


@frozen
class Point:
    """How far an import had come at a moment of its own time."""

    at_s: float
    accepted: int
    share: float | None


def records_per_s(points: Sequence[Point]) -> float:
    """Records accepted a second over the last `RATE_OVER_S`; the last of the points is now."""
    first, last = _before(points, RATE_OVER_S), points[-1]
    return (last.accepted - first.accepted) / (last.at_s - first.at_s) if last.at_s > first.at_s else 0.0


def left_s(points: Sequence[Point]) -> float | None:
    """Seconds until the whole input is done, at the pace of the last `LEFT_OVER_S`; None while there is nothing to say."""
    first, last = _before(points, LEFT_OVER_S), points[-1]
    if first.share is None or last.share is None or last.at_s < LEFT_AFTER_S or last.share < LEFT_AFTER_SHARE:
        return None
    done, took_s = last.share - first.share, last.at_s - first.at_s
    return (1.0 - last.share) * took_s / done if done > 0 and took_s > 0 else None


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


def many(count: int, one: str, more: str) -> str:
    """A count with its noun: `1 retry`, `1,200 retries`."""
    return f"{count:,} {one if count == 1 else more}"


@define
class Pace:
    """The points of one import that rate and time left are told by: about two a second of the last minute."""

    _kept: deque[Point] = field(factory=deque)

    def at(self, standing: Standing) -> list[Point]:
        """The points up to now."""
        now = Point(standing.elapsed_s, standing.accepted, standing.share)
        if self._kept and now.at_s < self._kept[-1].at_s:
            self._kept.clear()  # another import
        points = [*self._kept, now]
        if not self._kept or now.at_s >= self._kept[-1].at_s + POINT_EVERY_S:
            self._kept.append(now)
        while len(self._kept) > 1 and now.at_s - self._kept[1].at_s >= LEFT_OVER_S:
            self._kept.popleft()
        return points


@define
class Trouble:
    """What keeps an import from going on: a pause, or the last failure until something is accepted again."""

    _now: Callable[[], float] = time.monotonic
    _paused_until: float = float("-inf")
    _reason: str = ""
    _failed: AttemptFailed | None = None
    _failed_at: float = 0.0
    _accepted: int | None = None

    @property
    def is_paused(self) -> bool:
        return self._now() < self._paused_until

    def notice(self, notice: Notice) -> None:
        match notice:
            case Paused(pause_s=pause_s, reason=reason):
                self._paused_until, self._reason = max(self._paused_until, self._now() + pause_s), reason
                self._failed = None
            case AttemptFailed() if not self.is_paused:
                self._failed, self._failed_at, self._accepted = notice, self._now(), None
            case _:
                pass

    def forget_failure(self) -> None:
        """Another import begins: what failed was of the last one. A pause is of the client, and goes on."""
        self._failed = None

    def words(self, accepted: int) -> str:
        """What is wrong now, given the records accepted by now; empty when nothing is."""
        now = self._now()
        if now < self._paused_until:
            return f"paused, {_seconds(self._paused_until - now)} left: {self._reason}"
        if self._failed is None:
            return ""
        self._accepted = accepted if self._accepted is None else self._accepted
        if accepted > self._accepted and now > self._failed_at + READABLE_S:
            self._failed = None
            return ""
        return failure_words(self._failed, self._failed_at - now)


def failure_words(failed: AttemptFailed, shift_s: float = 0.0) -> str:
    """A failed request, and when it is sent again; `shift_s` is added to that."""
    why = f"{failed.detail or failed.reason}{f': {failed.message}' if failed.message else ''}"
    if failed.retry_in_s is None:
        return f"a request failed for good: {why}"
    wait_s = failed.retry_in_s + shift_s
    return f"a request failed, again {f'in {_seconds(wait_s)}' if wait_s > 0 else 'now'}: {why}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"  # noqa: PLR2004 -- tenths matter below
