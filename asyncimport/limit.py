"""How many requests a client has in flight at the same time: the widest that any of its running imports asks for.

After an outage it begins anew with one request, and each accepted batch lets one more in: twice as many every round trip.
"""

from __future__ import annotations

from attrs import define, field


@define
class Limit:
    """Counts what is in flight against a width that the client's runs share."""

    in_flight: int = 0
    _widths: list[int] = field(factory=list)
    #: How far the width has grown again; None when nothing cut it.
    _grown: int | None = None

    @property
    def width(self) -> int:
        """Requests at the same time; 0 while no run is going on."""
        asked = max(self._widths, default=0)
        return asked if self._grown is None else min(asked, self._grown)

    def join(self, width: int) -> None:
        """Book a run that asks for a width."""
        self._widths.append(width)

    def leave(self, width: int) -> None:
        """Take a run back."""
        self._widths.remove(width)

    def begin_anew(self) -> None:
        """Go back to one request: the platform has just come back."""
        self._grown = 1

    def accepted(self) -> bool:
        """Book an accepted batch; True when one more request may start for it."""
        if self._grown is None:
            return False
        self._grown += 1
        if self._grown >= max(self._widths, default=0):
            self._grown = None
        return True

    def has_room(self) -> bool:
        """Whether one more request may start."""
        return self.in_flight < self.width
