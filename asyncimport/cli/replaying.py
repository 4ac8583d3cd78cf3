"""A file of rejects as what is imported: its lines say of which resource and under which config."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Annotated, Any, get_args, get_type_hints

import attrs
import typer
from attrs import frozen

from asyncimport.cli.metered import Metered
from asyncimport.configs import Config
from asyncimport.errors import ConfigError
from asyncimport.rejects import STATES
from asyncimport.resources import BY_NAME, Resource
from asyncimport.sources import ReplayFile, replay


class State(StrEnum):
    """Why a record is in the file."""

    REJECTED = "rejected"
    UNCONFIRMED = "unconfirmed"
    UNSENT = "unsent"


@frozen(kw_only=True)
class ReplayOptions:
    """The file, and which of its lines."""

    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A file that --rejects wrote, repaired where that is needed.")
    ]
    states: Annotated[
        list[State] | None,
        typer.Option(
            "--state",
            rich_help_panel="Input",
            help="Send only what is in this state. Repeatable; all three when not given.",
        ),
    ] = None

    def opened(self) -> tuple[Resource, Metered, Config]:
        """The resource and the config that the file's lines name, and the file as a source.

        Raises:
            ConfigError: it cannot be read, or is no file of rejects.
        """
        source = replay(self.file, states=[state.value for state in self.states or ()] or STATES)
        resource = _resource_of(source)
        return resource, Metered(source), config_of(resource, source.params, self.file)


def _resource_of(source: ReplayFile) -> Resource:
    if not source.resource:
        what = "is empty" if source.size_bytes == 0 else "has none"
        raise ConfigError(
            f"{source.path}: a file that --rejects wrote has lines with record, state, resource and params; this one {what}"
        )
    resource = BY_NAME.get(source.resource)
    if resource is None:
        raise ConfigError(
            f"{source.path}: its first line names the resource {source.resource[:40]!r}: known are {', '.join(BY_NAME)}"
        )
    return resource


def config_of(resource: Resource, params: Mapping[str, Any], file: str) -> Config:
    """A config from its wire form, as a file's line has it under `params`.

    Raises:
        ConfigError: it is not the wire form of the resource's config.
    """
    kinds = get_type_hints(resource.config)
    left = dict(params)
    values: dict[str, Any] = {}
    fault = ""
    for attribute in attrs.fields(resource.config):
        wire = attribute.metadata["wire"]
        if wire in left:
            values[attribute.name] = _member(kinds[attribute.name], left.pop(wire))
        elif attribute.default is attrs.NOTHING:
            fault = fault or f"{wire} is missing"
    if left:
        fault = fault or f"{next(iter(left))[:40]!r} is not known"
    if not fault:
        try:
            return resource.config(**values)
        except ConfigError as error:
            fault = f"{error}"
    raise ConfigError(f"{file}: params of its first line are not those of {resource.name}: {fault}")


def _member(kind: Any, value: Any) -> Any:
    """The member of an enum that a number or text stands for; whatever is none is left to the config to refuse."""
    enums = [each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, Enum)]
    try:
        return enums[0](value) if enums and type(value) in {int, str} else value
    except ValueError:
        return value
