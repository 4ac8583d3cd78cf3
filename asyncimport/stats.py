"""What is to be seen of a client's width: where it stands now, and the course that it took while a run went on."""

from __future__ import annotations

from typing import Final

from attrs import define, field, frozen

#: Points of a course: a report stays small however long its run.
MOST_POINTS: Final = 100


@frozen(kw_only=True)
class ClientStats:
    """Where a client stands at one moment: its width, what holds it up, and what there is to do."""

    #: Imports going on.
    runs: int
    #: Requests that may be under way at the same time, and those that are; both 0 while no import is going on.
    width: int
    in_flight: int
    #: Batches of all imports that are not settled: in flight, ready, or waiting for their time.
    batches: int
    #: Seconds that the imports going on still wait because the platform asked for it; 0 when it did not.
    paused_s: float
    #: Requests a second that throttling has taught; None while nothing is known.
    pace_per_s: float | None
    #: Whether the platform is away: then one request asks for it now and then, and all others wait.
    is_breaker_open: bool


@define
class WidthCourse:
    """How wide a run went: (seconds since it began, width from then on) at each change.

    Of more than `MOST_POINTS` the widths that lasted the least are left out, but for the first, the last and the extremes.
    """

    #: Monotonic seconds.
    began_at: float
    _points: list[tuple[float, int]] = field(factory=list)

    @property
    def points(self) -> tuple[tuple[float, int], ...]:
        """The course so far; empty when nothing was booked."""
        return tuple(self._points)

    def book(self, now: float, width: int) -> None:
        """Book the width as of now."""
        if self._points and self._points[-1][1] == width:
            return
        self._points.append((now - self.began_at, width))
        if len(self._points) > MOST_POINTS:
            self._thin()

    def _thin(self) -> None:
        points, widths = self._points, [width for _, width in self._points]
        kept = {widths.index(min(widths)), widths.index(max(widths))}
        inner = [place for place in range(1, len(points) - 1) if place not in kept]
        least = min(inner, key=lambda place: points[place + 1][0] - points[place][0])
        del points[least]
        if points[least][1] == points[least - 1][1]:  # the same width before and after it
            del points[least]
