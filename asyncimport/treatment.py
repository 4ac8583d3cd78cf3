"""What a run does to records between their source and their batch, as its caller asks for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from attrs import frozen

from asyncimport.derived import Recipe, recipe_of
from asyncimport.errors import ConfigError
from asyncimport.keys import Part, parts_of
from asyncimport.resources import Resource


@frozen(kw_only=True)
class Treatment:
    """The names of fields, and the hook; `treatment_of` makes one."""

    order_by: tuple[str, ...] = ()
    deduplicate: tuple[str, ...] = ()
    uuid_from: tuple[str, ...] = ()
    before_send: Callable[[Any], Any] | None = None

    def of(self, resource: Resource) -> Treated:
        """The same for the records of a resource.

        Raises:
            ConfigError: a name that is none of theirs.
        """
        return Treated(
            order_by=parts_of(resource.record, self.order_by, "order_by"),
            deduplicate=parts_of(resource.record, self.deduplicate, "deduplicate"),
            recipe=recipe_of(resource, self.uuid_from) if self.uuid_from else None,
            before_send=self.before_send,
        )

    def fingerprint(self) -> dict[str, Any]:
        """What must be the same when a journal is resumed; nothing of what is not asked for."""
        names = {"order_by": self.order_by, "deduplicate": self.deduplicate, "uuid_from": self.uuid_from}
        asked: dict[str, Any] = {name: sorted(value) for name, value in names.items() if value}
        return asked if self.before_send is None else asked | {"before_send": True}


def treatment_of(
    *, order_by: Any = None, deduplicate: Any = None, uuid_from: Any = None, before_send: Any = None
) -> Treatment:
    """The treatment that the options of these names ask for.

    Raises:
        ConfigError: one of them is no list of names, or `before_send` no function.
    """
    if before_send is not None and not callable(before_send):
        raise ConfigError("before_send takes a function that is given each record")
    return Treatment(
        order_by=_names(order_by, "order_by"),
        deduplicate=_names(deduplicate, "deduplicate"),
        uuid_from=_names(uuid_from, "uuid_from"),
        before_send=before_send,
    )


def _names(value: Any, option: str) -> tuple[str, ...]:
    if value is None:
        return ()
    is_list = isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)  # read more than once
    names = tuple(value) if is_list else ()
    if not (is_list and all(isinstance(name, str) for name in names)):
        raise ConfigError(f'{option} takes a list of names, as in ["phone"]')
    return tuple(dict.fromkeys(map(str.__str__, names)))


@frozen(kw_only=True)
class Treated:
    """What is done to the records of one resource."""

    order_by: tuple[Part, ...] = ()
    deduplicate: tuple[Part, ...] = ()
    recipe: Recipe | None = None
    before_send: Callable[[Any], Any] | None = None
