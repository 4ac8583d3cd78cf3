"""A gate in front of the platform: tests hold requests there instead of sleeping."""

import asyncio

from attrs import define, field


@define(kw_only=True)
class Gate:
    """Requests wait here, in order, until `open()`; afterwards they pass.

    Attributes:
        on: the endpoint held; `None` for every import.
        waiting: requests that stand here now.
        seen: requests that came here at all.
    """

    on: str | None
    waiting: int = field(init=False, default=0)
    seen: int = field(init=False, default=0)
    _opened: asyncio.Event = field(init=False, factory=asyncio.Event, repr=False)
    _changed: asyncio.Condition = field(init=False, factory=asyncio.Condition, repr=False)

    def open(self) -> None:
        """Let every request pass, those that wait and those to come."""
        self._opened.set()

    async def arrived(self, count: int) -> None:
        """Wait until `count` requests stand here at once.

        Cancellation: ends the wait, and changes nothing at the gate.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self.waiting >= count)

    async def wait(self) -> None:
        """Stand here until the gate opens: the emulator's side.

        Cancellation: the request leaves the gate.
        """
        if self._opened.is_set():
            return
        self.waiting += 1
        self.seen += 1
        try:
            async with self._changed:
                self._changed.notify_all()
            await self._opened.wait()
        finally:
            self.waiting -= 1
