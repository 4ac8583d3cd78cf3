"""The mapping of a file's columns, or of its JSON keys, to the fields of a record: plain data, checked when built."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta, timezone, tzinfo
from hashlib import sha256
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from attrs import asdict, field, fields, frozen

from asyncimport.fields import INT64, At, Problem
from asyncimport.records import Identity
from asyncimport.shape import copy_record, shape_of
from asyncimport.sources.faults import Faults

ARGUMENT_TYPES: Final = ("auto", "text", "number")
MOMENT_FORMATS: Final = ("iso", "s", "ms")
RESTS: Final = ("refuse", "ignore", "arguments")
EMPTIES: Final = ("absent", "keep")

#: The value of a constant.
Constant = str | int | float | bool

#: No zone of this world is further from UTC than 14 hours.
_OFFSET: Final = re.compile(r"([+-])(0[0-9]|1[0-4]):([0-5][0-9])")


@frozen(kw_only=True)
class IdentityColumn:
    """A column that holds identities: the cell is the value of one, its other parts are the same in every record.

    Raises:
        ConfigError: a part of another type, no type of identity, or an `mpid` without `is_wechat_ecosystem`.
    """

    column: str
    identity_type: str
    platform: str | None = None
    mpid: str | None = None
    #: Required with `mpid` (PLATFORM.md, E).
    is_wechat_ecosystem: bool | None = None

    def __attrs_post_init__(self) -> None:
        """Hold the parts against the contract, with a value that is good."""
        faults = Faults(list(_column_faults(self.column)))
        problems: list[Problem] = []
        parts = {each.name: getattr(self, each.name) for each in fields(IdentityColumn) if each.name != "column"}
        copy_record(shape_of(Identity), Identity(identity_value="x", **parts), At(), problems, None)
        for problem in problems:
            name = shape_of(Identity).by_name[problem.field].name
            faults.add(f"identity of column {quoted(self.column)}: {name}: got {problem.got}; {problem.rule}")
        faults.raise_any()


@frozen(kw_only=True)
class CustomFieldColumn:
    """A column that holds a custom field: the cell holds its values, parted by `separator` (that of the mapping when None).

    Raises:
        ConfigError: a part of another type, or neither id nor name.
    """

    column: str
    config_id: int | None = None
    config_name: str = ""
    separator: str | None = None

    def __attrs_post_init__(self) -> None:
        """Check the parts."""
        Faults(list(self._faults())).raise_any()

    def _faults(self) -> Iterator[str]:
        yield from _column_faults(self.column)
        spoken = f"custom field of column {quoted(self.column)}"
        if self.config_id is not None and (type(self.config_id) is not int or self.config_id not in INT64):
            yield f"{spoken}: config_id takes a whole number of 64 bits"
        if not _is_text(self.config_name):
            yield f"{spoken}: config_name takes text"
        if self.config_id is None and not self.config_name:
            yield f"{spoken}: give it a config_id, a config_name, or both"
        if self.separator is not None:
            yield from _separator_faults(self.separator)


def _column_faults(column: Any) -> Iterator[str]:
    if not isinstance(column, str) or not column:
        yield "column takes the name of a column"


def _copied(given: Any) -> Any:
    return dict(given) if isinstance(given, Mapping) else given


def _listed(given: Any) -> Any:
    return tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else given


@frozen(kw_only=True)
class ColumnMapping:
    """Which column fills which field. What is not named here is read by its header as without a mapping.

    A field is written as in a header: its wire or Python name, `customFields.<configId>.<configName>`,
    `identities.<identityType>` or `eventargs.<key>`. In JSON Lines the keys of each object are the columns, a whole
    list or mapping may be named too (`eventargs`), and values keep their types: texts are not made numbers, save for
    an argument given as `number` and for `moments`.

    The parts are checked when the mapping is built. What they name is held against the record, and against the header
    where there is one, when a file is opened with it: columns and fields that are none, and what is named or filled
    twice. Either way all faults come in one error.

    Raises:
        ConfigError: a part of another type, an empty name, a value that is not known; `faults` has all of them.
    """

    #: Column to field.
    columns: Mapping[str, str] = field(factory=dict, converter=_copied)
    #: Field to its value in every record. Text is converted like a cell of that field (but stays text in `eventargs`).
    constants: Mapping[str, Constant] = field(factory=dict, converter=_copied, repr=False)
    #: Columns of identities, with all parts of these; any number of them.
    identities: Sequence[IdentityColumn] = field(default=(), converter=_listed)
    #: Columns of custom fields, each with a separator of its own if need be.
    custom_fields: Sequence[CustomFieldColumn] = field(default=(), converter=_listed)
    #: Column to type: it goes into `eventargs` under its own name (of `eventargs.x` that is x). `auto` takes a cell for
    #: a number when it is plainly written as one, `text` never; `number` refuses the record whose cell is none.
    arguments: Mapping[str, str] = field(factory=dict, converter=_copied)
    #: Columns whose names begin with it go into `eventargs` under what follows, with type auto when they are not named
    #: in `arguments`. Empty: none do.
    arguments_prefix: str = ""
    #: Column of a moment (`time`) to how it is written: `iso` (ISO 8601), or `s` or `ms` since 1970. What is written
    #: otherwise refuses its record.
    moments: Mapping[str, str] = field(factory=dict, converter=_copied)
    #: Of ISO 8601 without one: an offset (`+08:00`) or a name (`Asia/Shanghai`). None refuses a record with such a time.
    zone: str | None = None
    #: Columns neither named here nor a field: `refuse` the file (of JSON Lines the record), `ignore` them, or put them
    #: into `eventargs` as they are named, with type auto.
    rest: str = "refuse"
    #: Empty cells, and empty texts under JSON keys that are named here, are absent or kept as empty text. Absent in any
    #: case where no empty text can be: numbers, flags, moments, identities, fields with fixed values or never empty.
    empty: str = "absent"
    #: Parts the values in one cell of a custom field.
    separator: str = "|"

    def __attrs_post_init__(self) -> None:
        """Check every part."""
        Faults(list(self._faults())).raise_any()

    def _faults(self) -> Iterator[str]:
        yield from _map_faults("columns", self.columns, _is_text, "text to text")
        yield from _map_faults("constants", self.constants, _is_constant, "text to text, numbers, True or False")
        yield from _list_faults("identities", self.identities, IdentityColumn)
        yield from _list_faults("custom_fields", self.custom_fields, CustomFieldColumn)
        yield from _choice_faults("argument", "arguments", self.arguments, ARGUMENT_TYPES, "as its type")
        yield from _choice_faults("moment", "moments", self.moments, MOMENT_FORMATS, "as its format")
        if not _is_text(self.arguments_prefix):
            yield "arguments_prefix takes what the names of columns begin with, as in 'arg_'"
        if self.zone is not None:
            yield from _zone_faults(self.zone)
        for name, choices in (("rest", RESTS), ("empty", EMPTIES)):
            if getattr(self, name) not in choices:
                yield f"{name} takes one of {', '.join(choices)}"
        yield from _separator_faults(self.separator)
        for name, value in self.constants.items() if isinstance(self.constants, dict) else ():
            if value == "" and self.empty == "absent":
                yield f"constant {quoted(name)} is empty: give it a value, or keep what is empty"

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that are named, in the order of the parts; one that several parts name comes several times."""
        identities, custom_fields = ([each.column for each in part] for part in (self.identities, self.custom_fields))
        return (*self.columns, *self.arguments, *identities, *custom_fields)

    def has_prefix(self, column: str) -> bool:
        """Whether a column is an argument by its prefix, if it is neither named nor a field: something follows that."""
        prefix = self.arguments_prefix
        return bool(prefix) and column != prefix and column.startswith(prefix)

    @property
    def tzinfo(self) -> tzinfo | None:
        """The zone as a value."""
        return None if self.zone is None else _zone_of(self.zone)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_constant(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _map_faults(name: str, given: Any, is_good: Callable[[Any], bool], takes: str) -> Iterator[str]:
    """Of a part that maps names."""
    if not isinstance(given, dict):
        yield f"{name} takes a mapping of {takes}, got {type(given).__name__}"
        return
    for key, value in given.items():
        if not isinstance(key, str):
            yield f"{name} takes a mapping of {takes}, got {type(key).__name__} on its left"
        elif not is_good(value):
            yield f"{name} takes a mapping of {takes}, got {type(value).__name__} for {quoted(key)}"
    if "" in given:
        yield f"{name} has an empty name on its left: write what it stands for, or remove it"


def _choice_faults(spoken: str, name: str, given: Any, choices: tuple[str, ...], as_what: str) -> Iterator[str]:
    """Of a part that maps columns to one of a few words."""
    wrong = list(_map_faults(name, given, _is_text, "text to text"))
    yield from wrong
    for column, choice in () if wrong else given.items():
        if choice not in choices:
            yield f"{spoken} {quoted(column)} takes one of {', '.join(choices)} {as_what}"


def _list_faults(name: str, given: Any, kind: type[Any]) -> Iterator[str]:
    if not isinstance(given, tuple) or not all(isinstance(item, kind) for item in given):
        yield f"{name} takes a list of {kind.__name__}"


def _separator_faults(separator: Any) -> Iterator[str]:
    if not isinstance(separator, str) or not separator:
        yield "separator takes the text that parts the values of a custom field, as in '|'"


def _zone_faults(zone: Any) -> Iterator[str]:
    try:
        _zone_of(zone)
    except (LookupError, OSError, TypeError, ValueError):  # whatever zoneinfo makes of names that are none
        yield "zone takes an offset such as +08:00, or a name that this machine knows, such as Asia/Shanghai"


def _zone_of(zone: str) -> tzinfo:
    offset = _OFFSET.fullmatch(zone)
    if offset is None:
        return ZoneInfo(zone)
    delta = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
    return timezone(-delta if offset[1] == "-" else delta)


def reading_of(*parts: bytes | str, mapping: ColumnMapping | None) -> str:
    """A digest of how a file is read: two readings of one file with the same digest give the same records."""
    plain = orjson.dumps(None if mapping is None else asdict(mapping), option=orjson.OPT_SORT_KEYS)
    digest = sha256(plain)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()[:32]


def quoted(name: Any) -> str:
    """A name of the user's as a message shows it."""
    return repr(name[:40] if isinstance(name, str) else name)
