"""How the bytes of a CSV file become cells, and cells columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypedDict

from attrs import Attribute, field, fields, frozen

from asyncimport.errors import ConfigError
from asyncimport.sources.encoding import codec_of

_DELIMITER: Final = ","


class CsvOptions(TypedDict, total=False):
    """Keyword arguments of `read_csv` and `open_source`, named as those of the csv module."""

    #: Any whose line feed is one byte, such as gb18030; utf-8 when it is not given. A BOM is ignored.
    encoding: str
    #: What parts cells; None finds comma, tab or semicolon in the header.
    delimiter: str | None
    #: What cells are put between that hold a delimiter or a line end; `"` when it is not given, None where nothing is.
    quotechar: str | None
    #: What takes the meaning from the character after it; nothing when it is not given.
    escapechar: str | None
    #: Whether a quote within quotes is written twice; True when it is not given. Else it is escaped.
    doublequote: bool
    #: The names of the columns, for a file that has no header of its own; None takes the first line for one.
    header: Sequence[str] | None


def _a_character(_dialect: object, attribute: Attribute[Any], given: Any) -> None:
    if given is not None and (not isinstance(given, str) or len(given) != 1 or given in "\r\n\0"):
        none = "to find it" if attribute.name == "delimiter" else "for none"
        raise ConfigError(f"{attribute.name} takes one character that is no line end, or None {none}")


def _names(given: Any) -> Any:
    if isinstance(given, str) or (given is not None and not isinstance(given, Sequence)):
        return given
    return None if given is None else tuple(given)


@frozen(kw_only=True)
class Dialect:
    """The same, checked and complete; `encoding` is the codec of single lines.

    Raises:
        ConfigError: a value of another kind, or some that do not go together.
    """

    encoding: str = field(default="utf-8", converter=codec_of)
    delimiter: str | None = field(default=None, validator=_a_character)
    quotechar: str | None = field(default='"', validator=_a_character)
    escapechar: str | None = field(default=None, validator=_a_character)
    doublequote: bool = True
    header: tuple[str, ...] | None = field(default=None, converter=_names, repr=False)

    def __attrs_post_init__(self) -> None:
        """Check what concerns several parts."""
        named = [(name, getattr(self, name)) for name in ("delimiter", "quotechar", "escapechar")]
        for index, (name, character) in enumerate(named):
            other = next((other for other, same in named[:index] if same == character), None)
            if character is not None and other is not None:
                raise ConfigError(f"{name} is the same character as {other}: each takes one of its own, or None")
        if type(self.doublequote) is not bool:
            raise ConfigError("doublequote takes True or False")
        if self.header is not None and not (
            isinstance(self.header, tuple) and self.header and all(isinstance(name, str) for name in self.header)
        ):
            raise ConfigError("header takes the names of the columns, as in ['phone', 'realName'], or None")

    @property
    def particulars(self) -> dict[str, Any]:
        """What is not as it is when nothing is said, the encoding aside."""
        return {
            part.name: getattr(self, part.name)
            for part in fields(Dialect)
            if part.name != "encoding" and getattr(self, part.name) != part.default
        }

    def reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """The csv module's reader; strict, for a quote inside a quoted cell is the first sign of a broken one."""
        return csv.reader(
            lines,
            delimiter=self.delimiter or _DELIMITER,
            quotechar=self.quotechar,
            escapechar=self.escapechar,
            doublequote=self.doublequote,
            quoting=csv.QUOTE_NONE if self.quotechar is None else csv.QUOTE_MINIMAL,
            strict=True,
        )
