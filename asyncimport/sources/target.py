"""What the name of a column says: the field, or the part of a list or mapping, that it fills."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import tzinfo
from typing import Any, Final

from attrs import frozen

from asyncimport.errors import ConfigError
from asyncimport.fields import Flag, Int64, JsonList, JsonObject, Kind, ListOf, Millis, Text
from asyncimport.records import CustomField, Identity
from asyncimport.shape import ObjectOf, Shape
from asyncimport.sources.mapping import ColumnMapping, CustomFieldColumn, IdentityColumn, quoted

#: 30 digits: admission says what is wrong above 64 bits, and `int` never meets thousands of digits.
WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,30}")


@frozen
class Whole:
    """A field as a whole."""

    wire: str
    kind: Kind

    @property
    def key(self) -> str:
        return self.wire


@frozen
class Moment:
    """A field that holds a moment, and how its column writes it (`ColumnMapping.moments`)."""

    wire: str
    column: str
    format: str
    zone: tzinfo | None

    @property
    def key(self) -> str:
        return self.wire


@frozen
class Argument:
    """One key of a free mapping, and how a cell is converted (`ColumnMapping.arguments`)."""

    wire: str
    name: str
    type: str = "auto"

    @property
    def key(self) -> str:
        return f"{self.wire}.{self.name}"


@frozen
class OneIdentity:
    """One identity in a list of them."""

    wire: str
    identity_type: str
    platform: str | None = None
    mpid: str | None = None
    is_wechat_ecosystem: bool | None = None

    @property
    def key(self) -> str:
        """Apps know the same person by different values of one type."""
        app = filter(None, (self.platform, self.mpid))
        return ".".join((self.wire, self.identity_type, *app))

    @property
    def named(self) -> dict[str, Any]:
        """Its wire form but for the value."""
        named = {
            "identityType": self.identity_type,
            "platform": self.platform,
            "mpid": self.mpid,
            "isWeChatEcosystem": self.is_wechat_ecosystem,
        }
        return {name: part for name, part in named.items() if part is not None}


@frozen
class OneCustomField:
    """One custom field in a list of them, by its id or name or both."""

    wire: str
    config_id: int | None
    config_name: str
    #: Of its own; None takes that of the mapping.
    separator: str | None = None

    @property
    def key(self) -> str:
        return f"{self.wire}.{'' if self.config_id is None else self.config_id}.{self.config_name}"

    @property
    def named(self) -> dict[str, Any]:
        """The part of its wire form that names it."""
        named: dict[str, Any] = {} if self.config_id is None else {"configId": self.config_id}
        return named | ({"configName": self.config_name} if self.config_name else {})


#: `key` is the full wire name, the same for all names of one target.
Target = Whole | Moment | Argument | OneIdentity | OneCustomField


def target_of(name: str, shape: Shape, spoken: str, *, of_json: bool = False) -> Target:
    """Read a name; `spoken` is how a message speaks of it. JSON can carry any field as a whole, a cell cannot.

    Raises:
        ConfigError: it is no field, or lacks a part that it needs.
    """
    head, dot, part = name.partition(".")
    field = shape.by_name.get(head)
    if field is None:
        raise ConfigError(f"{spoken} is no field of {shape.record.__name__}: {_hint(head, shape)}")
    if not dot and (of_json or isinstance(field.kind, Text | Int64 | Millis | Flag)):
        return Whole(field.wire, field.kind)
    if part and isinstance(field.kind, JsonObject):
        return Argument(field.wire, part)
    if dot and _items(field.kind) is CustomField:
        return _custom_field(field.wire, part, spoken)
    if part and "." not in part and _items(field.kind) is Identity:
        return OneIdentity(field.wire, part)
    if isinstance(field.kind, JsonList):
        raise ConfigError(f"{spoken} takes a list of JSON values, which no cell can hold: use JSON Lines")
    form = _form(field.wire, field.kind)
    raise ConfigError(f"{spoken} cannot be read: " + (f"write it as {form}" if form else "use JSON Lines"))


def _custom_field(wire: str, part: str, spoken: str) -> OneCustomField:
    config_id, _, config_name = part.partition(".")
    if config_id and not WHOLE_NUMBER.fullmatch(config_id):
        rule = f"configId is a whole number; with a name alone write {wire}..<configName>"
        raise ConfigError(f"{spoken} cannot be read: {rule}")
    if not config_id and not config_name:
        raise ConfigError(f"{spoken} cannot be read: write it as {wire}.<configId>.<configName>")
    return OneCustomField(wire, int(config_id) if config_id else None, config_name)


def argument_of(column: str, shape: Shape, kind: str = "auto", prefix: str = "") -> Argument:
    """The argument that a column is under its own name, or under what follows the prefix.

    Raises:
        ConfigError: the record has no free mapping.
    """
    for field in shape.fields:
        if isinstance(field.kind, JsonObject):
            key = column.removeprefix(prefix)
            return Argument(field.wire, key.removeprefix(f"{field.wire}.") or column, kind)
    message = f"{shape.record.__name__} takes no arguments, so column {quoted(column)} cannot be one"
    raise ConfigError(f"{message}: map it to a field, or ignore it")


def identity_of(column: IdentityColumn, shape: Shape) -> OneIdentity:
    """The identity that a column holds.

    Raises:
        ConfigError: the record has no list of identities.
    """
    wire = _list_of(Identity, shape, f"identities, so column {quoted(column.column)} cannot be one")
    return OneIdentity(wire, column.identity_type, column.platform, column.mpid, column.is_wechat_ecosystem)


def custom_field_of(column: CustomFieldColumn, shape: Shape) -> OneCustomField:
    """The custom field that a column holds.

    Raises:
        ConfigError: the record has no custom fields.
    """
    wire = _list_of(CustomField, shape, f"custom fields, so column {quoted(column.column)} cannot be one")
    return OneCustomField(wire, column.config_id, column.config_name, column.separator)


def _list_of(record: type[Any], shape: Shape, what: str) -> str:
    """The wire name of the field that lists such records."""
    for field in shape.fields:
        if _items(field.kind) is record:
            return field.wire
    raise ConfigError(f"{shape.record.__name__} takes no {what}: map it to a field, or ignore it")


def moment_of(target: Target, column: str, rules: ColumnMapping) -> Moment:
    """The same field, read as the mapping says that the column writes its moment.

    Raises:
        ConfigError: the field holds no moment.
    """
    if not (isinstance(target, Whole) and isinstance(target.kind, Millis)):
        raise ConfigError(f"column {quoted(column)} is given as a moment and fills {target.key}, which holds none")
    return Moment(target.wire, column, rules.moments[column], rules.tzinfo)


def known_forms(shape: Shape) -> str:
    """How the columns of a record are written, for a message."""
    return ", ".join(filter(None, (_form(field.wire, field.kind) for field in shape.fields)))


def near_miss(name: str, names: Iterable[str]) -> str | None:
    """The one of the names that was probably meant, whatever the case of its letters."""
    lowered = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1)
    return lowered[near[0]] if near else None


def _hint(head: str, shape: Shape) -> str:
    near = near_miss(head, shape.by_name)
    return f"did you mean {near}?" if near else f"it takes {known_forms(shape)}"


def _items(kind: Kind) -> type[Any] | None:
    if isinstance(kind, ListOf) and isinstance(kind.item, ObjectOf):
        return kind.item.record
    return None


def _form(wire: str, kind: Kind) -> str:
    """How a column of this kind is written; empty when CSV has no form for it."""
    if isinstance(kind, Text | Int64 | Millis | Flag):
        return wire
    if isinstance(kind, JsonObject):
        return f"{wire}.<key>"
    forms = {CustomField: f"{wire}.<configId>.<configName>", Identity: f"{wire}.<identityType>"}
    items = _items(kind)
    return forms.get(items, "") if items else ""
