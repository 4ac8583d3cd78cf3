"""A mapping in a file: TOML whose keys are the parts of `ColumnMapping`, read with every fault at once."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from functools import partial
from pathlib import Path
from types import GenericAlias, UnionType
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

import attrs

from asyncimport.errors import ConfigError
from asyncimport.sources.faults import Faults, told
from asyncimport.sources.mapping import ColumnMapping, Constant
from asyncimport.sources.target import near_miss

if TYPE_CHECKING:
    from cattrs import Converter

#: A mapping of a thousand columns has 50 kB; larger is the file of records, given by mistake.
MAX_BYTES: Final = 1_000_000
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
#: What tomllib says of names such as 下单时间 and Paid at, which TOML wants in quotes.
_OF_A_KEY: Final = ("Invalid statement", "Expected '=' after a key")
_WORDS: Final = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}


def read_mapping(path: str | os.PathLike[str]) -> ColumnMapping:
    """Read a mapping from a TOML file. Its keys are those of `ColumnMapping`, `IdentityColumn` and `CustomFieldColumn`.

    Raises:
        ConfigError: the file cannot be read, is no TOML (with line and column), has a key that is none or a value of
            another type; and as `ColumnMapping`. `faults` has everything that is wrong.
    """
    name = os.fspath(path)
    fault = ""
    try:
        with Path(name).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        plain = _parsed(data)
    except OSError as error:
        fault = f"cannot be read ({error.strerror}): check the path"
    except ValueError as error:
        fault = str(error)
    if fault:
        raise ConfigError(f"mapping {name}: {fault}", (fault,))
    try:
        return mapping_of(plain)
    except ConfigError as error:
        faults = error.faults
    raise ConfigError(f"mapping {name}: {told(faults)}", faults)


def mapping_of(plain: Mapping[str, Any]) -> ColumnMapping:
    """A mapping from plain values, as TOML and JSON have them.

    Raises:
        ConfigError: as `read_mapping`.
    """
    from cattrs import BaseValidationError  # noqa: PLC0415 -- 50 ms that nobody needs who has no mapping file

    try:
        return _converter().structure(plain, ColumnMapping)
    except BaseValidationError as error:
        faults = Faults(list(dict.fromkeys(_faults_in(error, plain, (), ColumnMapping))))
        failed = {_part_of(each)[0] for each in getattr(error, "exceptions", ())}
    known = {each.name for each in attrs.fields(ColumnMapping)} - failed
    readable = {key: value for key, value in plain.items() if key in known}
    if readable.keys() != plain.keys():  # their values are checked by the mapping, which could not be built
        faults.attempt(partial(mapping_of, readable))
    raise ConfigError(told(faults.found), faults.found)


def _parsed(data: bytes) -> dict[str, Any]:
    """What TOML has in it.

    Raises:
        ValueError: none; the message says where.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"is larger than {MAX_BYTES:,} bytes: give the TOML file that maps the columns, not the records"
        )
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        place = f"at line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"
        fault = f"is no UTF-8 ({place}): save it as UTF-8"
    except RecursionError:
        fault = "is no TOML that a mapping could be: it is nested too deeply"
    except tomllib.TOMLDecodeError as error:
        is_key = f"{error}".startswith(_OF_A_KEY)
        advice = ": a name with other characters than A-Z a-z 0-9 _ - stands in quotes" if is_key else ""
        fault = f"is no TOML: {error}{advice}"
    except ValueError:  # CPython's `int`, of thousands of digits
        fault = "is no TOML that a mapping could be: a number in it is too long"
    raise ValueError(fault)


def _converter() -> Converter:
    """What makes a mapping of plain values: no key that is none, nothing made text or number that is not."""
    from cattrs import Converter  # noqa: PLC0415 -- as above

    converter = Converter(forbid_extra_keys=True)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly)
    converter.register_structure_hook(Constant, lambda value, _: _one_of(value, str, int, float, bool))

    def listed(value: Any, kind: Any) -> Any:
        items: Any = GenericAlias(list, get_args(kind))
        return converter.structure(_one_of(value, list), items)

    converter.register_structure_hook_func(_is_list, listed)
    return converter


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is Sequence


def _exactly(value: Any, kind: type[Any]) -> Any:
    return _one_of(value, kind)


def _one_of(value: Any, *kinds: type[Any]) -> Any:
    if type(value) not in kinds:
        raise TypeError
    return value


def _faults_in(error: BaseException, value: Any, path: tuple[str | int, ...], kind: Any) -> Iterator[str]:
    """Every fault of a value, of this kind and at this path, that cattrs or a constructor found."""
    from cattrs import BaseValidationError, ForbiddenExtraKeysError  # noqa: PLC0415 -- as above

    spoken = f"{_shown(path)} " if path else ""
    if isinstance(error, ConfigError):
        yield from error.faults
    elif isinstance(error, ForbiddenExtraKeysError):
        for key in sorted(error.extra_fields):
            yield f"{_shown((*path, key))} is no key of a mapping file: {_hint(key, error.cl)}"
    elif isinstance(error, KeyError):
        yield f"{spoken}is missing"
    elif isinstance(error, BaseValidationError) and isinstance(value, dict | list):
        for each in error.exceptions:
            part, part_kind = _part_of(each)
            inner = _at(value, part)
            yield from _faults_in(each, inner, path if part is None else (*path, part), part_kind or kind)
    else:
        yield f"{spoken}takes {_takes(kind)}, got {_got(value)}"


def _part_of(error: BaseException) -> tuple[str | int | None, Any]:
    """The key or index that an error is of, and the kind that was asked for there; None when it is of the whole."""
    from cattrs import AttributeValidationNote, IterableValidationNote  # noqa: PLC0415 -- as above

    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return note.name, note.type
        if isinstance(note, IterableValidationNote):
            return note.index, note.type
    return None, None


def _at(value: Any, part: Any) -> Any:
    if part is None:
        return value
    return value[part] if isinstance(value, list) else value.get(part)


def _shown(path: tuple[str | int, ...]) -> str:
    """A path as TOML writes it, `identities[0].mpid`."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else json.dumps(part[:40], ensure_ascii=False)
            shown += f".{key}" if shown else key
    return shown


def _hint(key: str, kind: type[Any]) -> str:
    names = [each.name for each in attrs.fields(kind)]
    near = near_miss(key, names)
    return f"did you mean {near}?" if near else f"it takes {', '.join(names)}"


def _takes(kind: Any) -> str:
    """What a kind takes, in the words of TOML."""
    if kind == Constant:
        return "text, a number, true or false"
    kinds = [each for each in get_args(kind) if each is not type(None)] if isinstance(kind, UnionType) else [kind]
    if _is_list(kinds[0]):
        return "a list of tables"
    return _WORDS.get(kinds[0], "a table")


def _got(value: Any) -> str:
    return "a date or time" if isinstance(value, date | time) else _WORDS.get(type(value), "a table")
