"""What is wrong with a mapping: collected, so that all of it is told at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from attrs import define, field

from asyncimport.errors import ConfigError

#: Faults that one message lists; more than a screen of them have one cause, such as the wrong file.
_SHOWN: Final = 20

T = TypeVar("T")


@define
class Faults:
    """The faults found so far, each a sentence; the same one is told once."""

    found: list[str] = field(factory=list)

    def add(self, fault: str) -> None:
        """Keep a fault, in the order found."""
        if fault not in self.found:
            self.found.append(fault)

    def attempt(self, make: Callable[[], T]) -> T | None:
        """What `make` returns; None when it raises ConfigError, whose faults are kept."""
        try:
            return make()
        except ConfigError as error:
            for fault in error.faults or (str(error),):
                self.add(fault)
            return None

    def raise_any(self) -> None:
        """End with what was found.

        Raises:
            ConfigError: there are faults.
        """
        if self.found:
            raise ConfigError(told(self.found), self.found)


def told(faults: Sequence[str]) -> str:
    """One fault as it is; of several the number, and each on a line of its own."""
    if len(faults) == 1:
        return faults[0]
    left = [f"and {len(faults) - _SHOWN:,} more"] if len(faults) > _SHOWN else []
    return "\n  ".join([f"{len(faults):,} faults:", *faults[:_SHOWN], *left])
