"""What can be imported: one row a resource. A further resource of the same form is a further row, or a user's own value."""

from __future__ import annotations

import re
from typing import Any, Final

import attrs
from attrs import frozen

from asyncimport.configs import (
    Config,
    EventImportConfig,
    EventImportConfigV1,
    GroupImportConfig,
    TagImportConfig,
    UserImportConfig,
    UserImportConfigV2,
)
from asyncimport.errors import ConfigError
from asyncimport.fields import ListOf, Millis, Text
from asyncimport.records import (
    Event,
    EventV1,
    GroupAssignment,
    Record,
    TagAssignment,
    UserProfile,
    UserProfileV2,
)
from asyncimport.shape import NamesFilled, Needs, NeedsOneOf, ObjectOf, Requirement, Shape, shape_of

#: A plain path under the base URL; also what `endpoints` takes in its place.
PLAIN_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_PLAIN_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: To whom the names belong by which journals, files of rejects and `endpoints` speak of a resource.
_OWNERS: Final[dict[str, type[Any] | None]] = {
    "users": UserProfile,
    "users_v2": UserProfileV2,
    "events": Event,
    "events_v1": EventV1,
    "tags": TagAssignment,
    "groups": GroupAssignment,
    "token": None,
}


@frozen(kw_only=True)
class Resource:
    """A row: its name, the path under the base URL, its record and config, whether an answer carries a batch id.

    Raises:
        ConfigError: a name, path, record or config that cannot work.
    """

    #: Lower case, digits and underscores; it stands in journals, files of rejects and reports.
    name: str
    path: str
    record: type[Record]
    config: type[Config]
    #: Users, tags and groups answer `data`: the import batch id. Events answer without it (E).
    has_batch_id: bool
    #: Records that take a `uuid` and a `time` get them at admission, where they are missing.
    is_stamped: bool = False

    def __attrs_post_init__(self) -> None:
        """Check the declaration."""
        if not isinstance(self.name, str) or not _PLAIN_NAME.fullmatch(self.name):
            raise ConfigError("the name of a resource takes at most 40 of a-z, 0-9 and _, as in coupons")
        if self.name in _OWNERS and self.record is not _OWNERS[self.name]:
            raise ConfigError(f"the name {self.name!r} is taken: give the resource a name of its own")
        if not is_plain_path(self.path):
            raise ConfigError(
                f"{self.name}: the path must be a plain path under the base URL, such as /audience/info/batchAdd"
            )
        _check_config(self.name, self.config)
        shape = _declared_shape(self.name, self.record)
        if self.is_stamped and not (_is_field(shape, "uuid", Text) and _is_field(shape, "time", Millis)):
            raise ConfigError(f"{self.name}: stamped records take the fields uuid (Text) and time (Millis)")


def is_plain_path(path: object) -> bool:
    """Whether it is a path and nothing more: no host, no query, no fragment, no escapes, no `..`."""
    return isinstance(path, str) and PLAIN_PATH.fullmatch(path) is not None and ".." not in path


def _check_config(name: str, config: Any) -> None:
    if not _is_subclass(config, Config) or "__attrs_attrs__" not in vars(config):
        raise ConfigError(f"{name}: config takes a subclass of Config made by attrs.frozen, got {_named(config)}")
    bare = [attribute.name for attribute in attrs.fields(config) if "wire" not in attribute.metadata]
    if bare:
        raise ConfigError(f"{name}: {config.__name__}.{bare[0]} has no wire name: give metadata={{'wire': ...}}")


def _declared_shape(name: str, record: Any) -> Shape:
    """The shape of a record whose declaration, and those of the records in it, can work."""
    if not _is_subclass(record, Record) or "__attrs_attrs__" not in vars(record):
        raise ConfigError(f"{name}: record takes a subclass of Record made by attrs.define, got {_named(record)}")
    place = f"{name}: {record.__name__}"
    if record.__repr__ is not Record.__repr__:
        raise ConfigError(f"{place} would show people's data in its repr: give attrs.define repr=False")
    bare = [attribute.name for attribute in attrs.fields(record) if not _has_kind(attribute)]
    if bare:
        raise ConfigError(f"{place}.{bare[0]} has no wire name and kind: give metadata=wire('{bare[0]}', Text())")
    shape = shape_of(record)
    if len({field.wire for field in shape.fields}) < len(shape.fields):
        raise ConfigError(f"{place} has two fields of one wire name")
    unknown = [field for rule in shape.requirements for field in _fields_of(rule) if field not in shape.by_name]
    if unknown:
        raise ConfigError(f"{place}: REQUIREMENTS name {unknown[0]!r}, which is no field of it")
    for field in shape.fields:
        if isinstance(field.kind, ListOf) and isinstance(field.kind.item, ObjectOf):
            _declared_shape(name, field.kind.item.record)
    return shape


def _has_kind(attribute: attrs.Attribute[Any]) -> bool:
    kind = attribute.metadata.get("kind")
    return hasattr(kind, "copy") and not isinstance(kind, type)


def _fields_of(rule: Requirement) -> tuple[str, ...]:
    match rule:
        case Needs(field=field, other=other):
            return field, other
        case NeedsOneOf(field=field, others=others):
            return field, *others
        case NamesFilled(field=field, names=names):
            return field, *names.values()
        case _:
            return ()  # a rule of the user's own


def _is_field(shape: Shape, name: str, kind: type[Any]) -> bool:
    return any(field.name == field.wire == name and isinstance(field.kind, kind) for field in shape.fields)


def _is_subclass(given: Any, base: type[Any]) -> bool:
    return isinstance(given, type) and issubclass(given, base)


def _named(given: Any) -> str:
    return given.__name__ if isinstance(given, type) else type(given).__name__


#: Path: E. The seed's own address, `/api/integrate/import/user/batchAdd`, is being retired.
USERS: Final = Resource(
    name="users",
    path="/audience/info/batchAdd",
    record=UserProfile,
    config=UserImportConfig,
    has_batch_id=True,
)
#: Path: E.
USERS_V2: Final = Resource(
    name="users_v2",
    path="/audience/info/v2/batchAdd",
    record=UserProfileV2,
    config=UserImportConfigV2,
    has_batch_id=True,
)
#: Path: I, written only with the older prefix `/api/integrate`.
EVENTS: Final = Resource(
    name="events",
    path="/event/v2/batchAdd",
    record=Event,
    config=EventImportConfig,
    has_batch_id=False,
    is_stamped=True,
)
#: Path: E. Being retired.
EVENTS_V1: Final = Resource(
    name="events_v1",
    path="/event/batchAdd",
    record=EventV1,
    config=EventImportConfigV1,
    has_batch_id=False,
    is_stamped=True,
)
#: Path: I, written only with the older prefix. The batch id: E.
TAGS: Final = Resource(
    name="tags",
    path="/audience/tag/v2/batchAdd",
    record=TagAssignment,
    config=TagImportConfig,
    has_batch_id=True,
)
#: Path: E.
GROUPS: Final = Resource(
    name="groups",
    path="/audience/group/rel/v2/batchAdd",
    record=GroupAssignment,
    config=GroupImportConfig,
    has_batch_id=True,
)

RESOURCES: Final = (USERS, USERS_V2, EVENTS, EVENTS_V1, TAGS, GROUPS)
#: The same by their names, as journals and files of rejects have them.
BY_NAME: Final = {resource.name: resource for resource in RESOURCES}
