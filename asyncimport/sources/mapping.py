"""The mapping of a file's columns, or of its JSON keys, to the fields of a record: plain data, checked when built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

import orjson
from attrs import Attribute, asdict, field, frozen

from asyncimport.errors import ConfigError

ARGUMENT_TYPES: Final = ("auto", "text", "number")
RESTS: Final = ("refuse", "ignore", "arguments")
EMPTIES: Final = ("absent", "keep")


def _copied(given: Any) -> Any:
    return dict(given) if isinstance(given, Mapping) else given


def _texts(instance: Any, attribute: Attribute[Any], given: Any) -> None:
    del instance
    if not isinstance(given, dict) or not all(isinstance(text, str) for pair in given.items() for text in pair):
        raise ConfigError(f"{attribute.name} takes a mapping of text to text, got {type(given).__name__}")
    if "" in given:
        raise ConfigError(f"{attribute.name} has an empty name on its left: write what it stands for, or remove it")


def _one_of(choices: tuple[str, ...]) -> Callable[[Any, Attribute[Any], Any], None]:
    def check(instance: Any, attribute: Attribute[Any], given: Any) -> None:
        del instance
        if given not in choices:
            raise ConfigError(f"{attribute.name} takes one of {', '.join(choices)}")

    return check


@frozen(kw_only=True)
class ColumnMapping:
    """Which column fills which field. What is not named here is read by its header as without a mapping.

    A field is written as in a header: its wire or Python name, `customFields.<configId>.<configName>`,
    `identities.<identityType>` or `eventargs.<key>`. In JSON Lines the keys of each object are the columns, a whole
    list or mapping may be named too (`eventargs`), and values keep their types: texts are not made numbers, save for
    an argument given as `number`.

    Raises:
        ConfigError: a part of another type, an empty name, a column or a field named twice.
    """

    #: Column to field.
    columns: Mapping[str, str] = field(factory=dict, converter=_copied, validator=_texts)
    #: Field to its value in every record, converted like a cell of that field.
    constants: Mapping[str, str] = field(factory=dict, converter=_copied, validator=_texts, repr=False)
    #: Column to type: it goes into `eventargs` under its own name (of `eventargs.x` that is x). `auto` takes a cell for
    #: a number when it is plainly written as one, `text` never; `number` refuses the record whose cell is none.
    arguments: Mapping[str, str] = field(factory=dict, converter=_copied, validator=_texts)
    #: Columns neither named here nor a field: `refuse` the file (of JSON Lines the record), `ignore` them, or put them
    #: into `eventargs` as they are named, with type auto.
    rest: str = field(default="refuse", validator=_one_of(RESTS))
    #: Empty cells, and empty texts under JSON keys that are named here, are absent or kept as empty text. Absent in any
    #: case where no empty text can be: numbers, flags, moments, identities, fields with fixed values or never empty.
    empty: str = field(default="absent", validator=_one_of(EMPTIES))
    #: Parts the values in one cell of a custom field.
    separator: str = "|"

    def __attrs_post_init__(self) -> None:
        """Check what concerns several parts."""
        if not isinstance(self.separator, str) or not self.separator:
            raise ConfigError("separator takes the text that parts the values of a custom field, as in '|'")
        for column, kind in self.arguments.items():
            if kind not in ARGUMENT_TYPES:
                raise ConfigError(f"argument {quoted(column)} takes one of {', '.join(ARGUMENT_TYPES)} as its type")
        both = next((column for column in self.columns if column in self.arguments), None)
        if both is not None:
            raise ConfigError(f"column {quoted(both)} is mapped to a field and is an argument too: choose one")
        twice = _first_twice([*self.columns.values(), *self.constants])
        if twice is not None:
            raise ConfigError(f"field {quoted(twice)} is filled twice by the mapping: leave one column or constant")
        for name, value in self.constants.items():
            if not value and self.empty == "absent":
                raise ConfigError(f"constant {quoted(name)} is empty: give it a value, or keep what is empty")


def reading_of(*parts: bytes | str, mapping: ColumnMapping | None) -> str:
    """A digest of how a file is read: two readings of one file with the same digest give the same records."""
    plain = orjson.dumps(None if mapping is None else asdict(mapping), option=orjson.OPT_SORT_KEYS)
    digest = sha256(plain)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()[:32]


def quoted(name: str) -> str:
    """A name of the user's as a message shows it."""
    return repr(name[:40])


def _first_twice(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
