"""The promise of an iterator that a wait of it can be ended from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Interruptible(ABC):
    """An iterator whose `__next__` may wait for others, and ends that wait when it is asked to.

    Only what inherits this is ever asked: a method of that name on somebody else's iterator may mean anything.
    """

    __slots__ = ()

    @abstractmethod
    def interrupt(self) -> None:
        """Let a `__next__` that waits, and any further one that would, end soon: by SourceError, or as the end.

        For any thread and any time, while `__next__` runs and after the end too. Idempotent; never raises, never waits.
        """
