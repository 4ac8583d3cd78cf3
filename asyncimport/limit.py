"""How many requests a client has in flight at the same time: the widest that any of its running imports asks for."""

from __future__ import annotations

from attrs import define, field


@define
class Limit:
    """Counts what is in flight against a width that the client's runs share."""

    in_flight: int = 0
    _widths: list[int] = field(factory=list)

    @property
    def width(self) -> int:
        """Requests at the same time; 0 while no run is going on."""
        return max(self._widths, default=0)

    def join(self, width: int) -> None:
        """Book a run that asks for a width."""
        self._widths.append(width)

    def leave(self, width: int) -> None:
        """Take a run back."""
        self._widths.remove(width)

    def has_room(self) -> bool:
        """Whether one more request may start."""
        return self.in_flight < self.width
