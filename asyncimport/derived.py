"""`uuid_from`: the uuid of an event is made of what it says, so that whoever sends the same event again sends the same uuid.

It is the 32 hexadecimal digits of BLAKE2b (16 bytes) over the canonical bytes (`canonical.py`) of

    ["asyncimport/1", eventKey, identities, [[name, values], …]]

`identities` are those of the event, each [identityType, identityValue, platform, mpid] with null for what is absent, as
canonical bytes in ascending order; of a record without a list of them, each field that identifies its user, as [wire name,
value, null, null]. The names of `uuid_from` are full wire names (`eventargs.order_id`) in ascending order, each with its values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

from attrs import define, evolve, field, frozen

from asyncimport.admission import Admission, Item, place_of, rejection
from asyncimport.canonical import canonical
from asyncimport.errors import ConfigError
from asyncimport.fields import At
from asyncimport.keys import Part, parts_of
from asyncimport.outcome import Dropped, Rejected
from asyncimport.resources import Resource
from asyncimport.shape import shape_of
from asyncimport.structs import RecordStruct, Wire, plain

#: Stands first in what is digested; another form of it gets another number.
_FORM: Final = "asyncimport/1"
_DIGEST_BYTES: Final = 16
#: The fields that identify the user of a record without a list of identities (PLATFORM.md, events v1).
_USER_FIELDS: Final = ("openid", "phone", "thirdId", "unionid")


@frozen(kw_only=True)
class Recipe:
    """What a uuid is made of."""

    event_key: tuple[Part, ...]
    identities: tuple[Part, ...]
    #: In ascending order of their names; every record must have them.
    parts: tuple[Part, ...]

    def missing(self, wire: Wire) -> str | None:
        """The first name of which a record has nothing."""
        return next((part.name for part in self.parts if not part.values(wire)), None)

    def uuid_of(self, wire: Wire) -> str:
        """32 hexadecimal digits."""
        key = next((value for part in self.event_key for value in part.values(wire)), None)
        values = [[part.name, part.values(wire)] for part in self.parts]
        identities = b"".join(sorted(canonical(identity) for identity in self._identities_of(wire)))
        content = b"l%b%bl%be%be" % (canonical(_FORM), canonical(key), identities, canonical(values))
        return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()

    def _identities_of(self, wire: Wire) -> list[Any]:
        found = [(part.name, value) for part in self.identities for value in part.values(wire)]
        return [value if isinstance(value, tuple) else (name, value, None, None) for name, value in found]


def recipe_of(resource: Resource, names: Sequence[str]) -> Recipe:
    """What the uuids of a resource are made of.

    Raises:
        ConfigError: its records take no uuid, or a name is none of theirs.
    """
    if not resource.is_stamped:
        raise ConfigError(f"uuid_from is for events: {resource.name} take no uuid")
    record, known = resource.record, shape_of(resource.record).by_name
    parts = sorted(parts_of(record, dict.fromkeys(names), "uuid_from", has_free=True), key=attrgetter("name"))
    if any(part.name == "uuid" for part in parts):
        raise ConfigError("uuid_from takes the fields that a uuid is made of, not the uuid itself")
    users = ["identities"] if "identities" in known else [name for name in _USER_FIELDS if name in known]
    return Recipe(
        event_key=parts_of(record, ["eventKey"] if "eventKey" in known else [], "uuid_from"),
        identities=parts_of(record, users, "uuid_from"),
        parts=tuple(parts),
    )


@define(kw_only=True)
class DerivingAdmission(Admission):
    """Admission that makes the uuid of a record which has none of what it says, and rejects it where that cannot be."""

    recipe: Recipe
    _is_stamped: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Stamp here, and not before."""
        super().__attrs_post_init__()
        self._is_stamped = False

    def admit(self, record: Any, position: int, origin: Any = None) -> Wire | Rejected:
        item = super().admit(record, position, origin)
        return item if isinstance(item, Rejected) else self._derived(item, record, position, origin)

    def admit_all(self, records: Sequence[Any], first: int) -> list[Item]:
        items = super().admit_all(records, first)
        for index, item in enumerate(items):
            if not isinstance(item, Dropped):
                items[index] = self._derived(item, records[index], first + index)
        return items

    def _derived(self, wire: Any, record: Any, position: int, origin: Any = None) -> Wire | Rejected:
        is_struct = isinstance(wire, RecordStruct)
        if (wire.uuid if is_struct else wire.get("uuid")) is None:
            missing = self.recipe.missing(wire)
            if missing is not None:
                problem = At(f"data[{position}]").key(missing).problem(None, "is required: uuid_from names it")
                rejected = rejection(position, [problem], self.content_of(plain(record)))
                return evolve(rejected, place=place_of(origin))
            if is_struct:
                wire.uuid = self.recipe.uuid_of(wire)
            else:
                wire["uuid"] = self.recipe.uuid_of(wire)
        return self._stamped(wire, position)
