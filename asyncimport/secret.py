"""A secret that does not show itself."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from asyncimport.errors import ConfigError

#: What fits into a header as it is: aiohttp refuses CR, LF and NUL, but would send blanks and other letters.
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]{1,4096}")


class Secret:
    """Text that is revealed by one method only; repr, str and format show `***`, pickle and copy refuse."""

    __slots__ = ("_text",)

    def __init__(self, text: str, name: str) -> None:
        """Take printable ASCII of 1 to 4096 characters.

        Raises:
            ConfigError: anything else; it names `name`, never the text.
        """
        if not isinstance(text, str) or not _PRINTABLE.fullmatch(text):
            del text  # error trackers show the locals of this frame
            raise ConfigError(f"the {name} must be 1 to 4096 printable ASCII characters without blanks")
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one expression that sends it."""
        return self._text

    def is_same_as(self, other: Secret) -> bool:
        """Whether both are the same text."""
        return self._text == other._text

    def __repr__(self) -> str:
        return "***"

    def __format__(self, _spec: str) -> str:
        return "***"

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled and not copied")
