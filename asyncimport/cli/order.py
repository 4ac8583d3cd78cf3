"""What a command was asked to import: all that is needed to do it again, which a journal keeps as its memo."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import evolve, frozen

from asyncimport.cli.choices import RunChoices, SpoolChoices
from asyncimport.cli.connecting import ConnectionOptions
from asyncimport.cli.mapped import FileMapping, file_mapping, stored_mapping
from asyncimport.cli.metered import Metered
from asyncimport.cli.options import EventOptions, InputOptions, UserOptions
from asyncimport.cli.parameters import EventV1Options, GroupOptions, TagOptions, UserV2Options
from asyncimport.cli.replaying import ReplayOptions
from asyncimport.configs import Config
from asyncimport.errors import ConfigError, JournalError
from asyncimport.journal.status import COMMAND, JournalStatus
from asyncimport.resources import EVENTS, EVENTS_V1, GROUPS, TAGS, USERS, USERS_V2, Resource
from asyncimport.sources.handed import is_url, without_secrets
from asyncimport.sources.input import STDIN

#: Of the memo's form; another one is of another version of the command.
_FORM: Final = 1
_GROUPS: Final[Mapping[str, tuple[type[Any], type[Any] | None, type[Any]]]] = {
    "users": (InputOptions, UserOptions, SpoolChoices),
    "users-v2": (InputOptions, UserV2Options, SpoolChoices),
    "events": (InputOptions, EventOptions, SpoolChoices),
    "events-v1": (InputOptions, EventV1Options, SpoolChoices),
    "tags": (InputOptions, TagOptions, SpoolChoices),
    "groups": (InputOptions, GroupOptions, SpoolChoices),
    "replay": (ReplayOptions, None, RunChoices),
}
#: By the name that the command has for them.
RESOURCE_OF: Final[Mapping[str, Resource]] = {
    "users": USERS,
    "users-v2": USERS_V2,
    "events": EVENTS,
    "events-v1": EVENTS_V1,
    "tags": TAGS,
    "groups": GROUPS,
}
#: Options of the connection that name a file.
_FILES: Final = ("token_file", "app_secret_file", "ca_file")
_SECRETS: Final = ("token", "app_secret")
#: What a proxy's URL has in it only when it may hold a password or key.
_SECRETIVE: Final = frozenset("@?")


Parameters = UserOptions | UserV2Options | EventOptions | EventV1Options | TagOptions | GroupOptions


@frozen(kw_only=True)
class Order:
    """One import as the options ask for it; `command` is replay, or the resource by the command's name for it."""

    command: str
    given: InputOptions | ReplayOptions
    #: None where the file itself says it.
    params: Parameters | None = None
    #: What the mapping file had in it, once that was read.
    mapping: FileMapping | None = None
    run: RunChoices
    connection: ConnectionOptions

    def with_mapping(self) -> Order:
        """The same once its mapping file was read, which is then never looked at again.

        Raises:
            ConfigError: the file is no mapping.
        """
        if isinstance(self.given, ReplayOptions) or self.given.mapping_file is None:
            return self
        mapping = file_mapping(self.given.mapping_file)
        return evolve(self, mapping=mapping, given=evolve(self.given, mapping_file=None))

    def opened(self) -> tuple[Resource, Metered, Config]:
        """What is imported, from where, and how.

        Raises:
            ConfigError: the file cannot be read, or options do not go together.
        """
        if isinstance(self.given, ReplayOptions):
            return self.given.opened()
        resource = RESOURCE_OF[self.command]
        of_file = None if self.mapping is None else self.mapping.content
        return resource, self.given.source(resource.record, of_file), self.config()

    def config(self) -> Config:
        """The config that the options come to.

        Raises:
            ConfigError: they do not go together, or there are none.
        """
        if self.params is None:
            raise ConfigError("the lines of a file of rejects say what it is of, no option does")
        return self.params.config()

    def memo(self) -> dict[str, Any]:
        """All of it as plain JSON values, so that it can be done again from any folder; without secrets.

        Whether the source comes only once is for whoever opened it to add, as `is_stream`.
        """
        run, connection = self.run, _without_secrets(self.connection)
        if run.rejects is not None:
            run = evolve(run, rejects=run.rejects.absolute())
        return {
            "by": COMMAND,
            "form": _FORM,
            "command": self.command,
            "file": _absolute(self.given.file),
            "rejects": None if run.rejects is None else f"{run.rejects}",
            "given": _plain(evolve(self.given, file=_absolute(self.given.file))),
            "mapping": None if self.mapping is None else self.mapping.plain(),
            "params": None if self.params is None else _plain(self.params),
            "run": _plain(run, "journal"),
            "connection": _plain(connection, *_SECRETS),
            "has_secret_proxy": connection.proxy != self.connection.proxy,
        }

    def check_same_input(self, status: JournalStatus) -> None:
        """Hold the file and how it is read against those that a journal was begun with.

        Raises:
            JournalError: they are others.
        """
        ours, theirs = self.memo(), status.memo
        mappings = [(memo.get("mapping") or {}).get("content") for memo in (ours, theirs)]
        if mappings[0] != mappings[1] or any(ours[part] != theirs.get(part) for part in ("command", "given")):
            raise JournalError(
                f"the journal {status.path} belongs to another import: its file, or how that is read, differs. "
                "Name another journal, or move this one away"
            )


def _absolute(file: str) -> str:
    """The file from any folder. A link stays one: what it leads to may be another file tomorrow.

    Raises:
        ConfigError: a URL that may hold a secret, which no journal keeps.
    """
    if file == STDIN:
        return file
    if is_url(file):
        if without_secrets(file) != file:
            raise ConfigError(
                "a journal keeps no URL that may hold a password or a key: let fsspec's configuration have it"
            )
        return file
    whole = Path(file).absolute()
    short = Path(os.path.normpath(whole))
    with suppress(OSError):
        return f"{short if short.samefile(whole) else whole}"
    return f"{whole}"


def _without_secrets(connection: ConnectionOptions) -> ConnectionOptions:
    files = {name: getattr(connection, name) for name in _FILES}
    absolute: dict[str, Any] = {name: file.absolute() for name, file in files.items() if file is not None}
    if connection.proxy is not None and _SECRETIVE & set(connection.proxy):
        absolute["proxy"] = None
    return evolve(connection, token=None, app_secret=None, **absolute)


def _plain(group: Any, *without: str) -> dict[str, Any]:
    values = attrs.asdict(group, recurse=False)
    return {name: _plain_value(value) for name, value in values.items() if name not in without}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list):
        return [_plain_value(item) for item in value]
    return f"{value}" if isinstance(value, Path) else value


def order_of(status: JournalStatus) -> Order:
    """The order that a journal was begun with.

    Raises:
        JournalError: the journal was begun by somebody else, or by another version of the command.
    """
    from cattrs import Converter  # noqa: PLC0415 -- 50 ms that no other command needs
    from cattrs.errors import BaseValidationError  # noqa: PLC0415

    memo = status.memo
    if not status.is_commands:
        raise JournalError(
            f"the journal {status.path} was begun from Python, which alone knows its source: make the same call again"
        )
    converter = Converter(forbid_extra_keys=True)
    try:
        given, params, run = {_FORM: _GROUPS}[memo["form"]][memo["command"]]
        return Order(
            command=memo["command"],
            given=converter.structure(memo["given"], given),
            params=None if params is None else converter.structure(memo["params"], params),
            mapping=stored_mapping(memo.get("mapping")),
            run=evolve(converter.structure(memo["run"], run), journal=Path(status.path)),
            connection=converter.structure(memo["connection"], ConnectionOptions),
        )
    except (BaseValidationError, ConfigError, KeyError, TypeError, ValueError):
        fault = "was begun by another version of the command: give the same command again"
    raise JournalError(f"the journal {status.path} {fault}")


def with_connection(order: Order, given: ConnectionOptions, status: JournalStatus) -> Order:
    """An order with what is given now instead of what its journal has.

    Raises:
        ConfigError: its proxy has to be given again.
    """
    stored = order.connection
    if given.token is not None or given.token_file is not None:
        stored = evolve(stored, token_file=None, app_id=None, app_secret_file=None)
    if given.app_id is not None or given.app_secret is not None or given.app_secret_file is not None:
        stored = evolve(stored, token_file=None, app_secret_file=None)
    gone = {name: None for name in ("token_file", "app_secret_file") if not _is_there(getattr(stored, name))}
    names = (each.name for each in attrs.fields(ConnectionOptions))
    now = {name: getattr(given, name) for name in names if getattr(given, name)}
    if status.memo.get("has_secret_proxy") and given.proxy is None:
        raise ConfigError(
            "the import went through a proxy whose URL may hold a password, which no journal keeps: give --proxy again"
        )
    return evolve(order, connection=evolve(stored, **(gone | now)))


def _is_there(file: Path | None) -> bool:
    return file is not None and file.exists()
