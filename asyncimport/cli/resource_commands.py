"""`asyncimport import RESOURCE FILE` and `asyncimport check RESOURCE FILE`: the same two commands for every row of one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import typer
from attrs import frozen

from asyncimport.cli.choices import OutputOptions, SpoolChoices, TreatmentChoices
from asyncimport.cli.connecting import ConnectionOptions
from asyncimport.cli.errors import shown_errors
from asyncimport.cli.grouped import grouped
from asyncimport.cli.options import CheckedUserOptions, EventOptions, InputOptions, UserOptions
from asyncimport.cli.order import RESOURCE_OF, Order
from asyncimport.cli.parameters import (
    CheckedGroupOptions,
    CheckedTagOptions,
    CheckedUserV2Options,
    EventV1Options,
    GroupOptions,
    TagOptions,
    UserV2Options,
)
from asyncimport.cli.signals import terminated_as_interrupted

IMPORT_CODES: Final = (
    "0 all accepted, 1 some rejected, 2 wrong use or credentials, 3 some not delivered, 130 interrupted; the highest "
    "that applies."
)
CHECK_CODES: Final = "0 no error, 1 some, 2 wrong use, 3 the file broke off, 130 interrupted."


@frozen
class _Row:
    """A resource as the command has it: its name, what it is, its options, those of a dry run, and an example of both."""

    name: str
    noun: str
    params: type[Any]
    checked: type[Any]
    example: str
    options: str = ""


_ROWS: Final = (
    _Row("users", "user profiles", UserOptions, CheckedUserOptions, "people.csv", "--mode partial"),
    _Row("users-v2", "user profiles, v2", UserV2Options, CheckedUserV2Options, "people.csv", "--mode partial"),
    _Row("events", "behaviour events", EventOptions, EventOptions, "events.jsonl"),
    _Row("events-v1", "behaviour events, v1", EventV1Options, EventV1Options, "events.jsonl"),
    _Row("tags", "assignments of tags", TagOptions, CheckedTagOptions, "tags.jsonl", "--operation add"),
    _Row("groups", "assignments of groups", GroupOptions, CheckedGroupOptions, "groups.csv", "--operation delete"),
)


def epilog(*examples: str, codes: str = "") -> str:
    """What stands below the options: a paragraph an example, and the exit codes."""
    shown = (f"[cyan]{example}[/cyan]" for example in examples)
    return "\n\n".join(["[bold]Examples[/bold]", *shown, *([f"[bold]Exit code[/bold]: {codes}"] if codes else [])])


def import_commands() -> typer.Typer:
    """`import RESOURCE`, of every resource."""
    return _commands("import", "Import a file of any resource.", _importing, IMPORT_CODES)


def check_commands() -> typer.Typer:
    """`check RESOURCE`, of every resource."""
    words = "Read a file as an import would, send nothing, and list every error with its line and column."
    return _commands("check", words, _checking, CHECK_CODES)


def _commands(verb: str, words: str, command_of: Callable[[_Row], Callable[..., None]], codes: str) -> typer.Typer:
    commands = typer.Typer(name=verb, help=words, no_args_is_help=True)
    for row in _ROWS:
        options = f" {row.options}" if row.options and verb == "import" else ""
        example = f"asyncimport {verb} {row.name} {row.example}{options}"
        commands.command(name=row.name, epilog=epilog(example, codes=codes))(command_of(row))
    return commands


def _importing(row: _Row) -> Callable[..., None]:
    def command(
        given: InputOptions, params: Any, run: SpoolChoices, connection: ConnectionOptions, output: OutputOptions
    ) -> None:
        do_import(Order(command=row.name, given=given, params=params, run=run, connection=connection), output)

    command.__doc__ = f"Import {row.noun} from a file."
    command.__annotations__["params"] = row.params
    return grouped(command)


def do_import(order: Order, output: OutputOptions) -> None:
    """Carry out an order, and exit with its code."""
    from asyncimport.cli.resuming import begin  # noqa: PLC0415 -- aiohttp, which no help needs

    with shown_errors(), terminated_as_interrupted():
        raise typer.Exit(begin(order, output))


def _checking(row: _Row) -> Callable[..., None]:
    def command(given: InputOptions, params: Any, treatment: TreatmentChoices, output: OutputOptions) -> None:
        from asyncimport.cli.checking import run_check  # noqa: PLC0415 -- asyncio's network side, which no help needs

        resource = RESOURCE_OF[row.name]
        with shown_errors(), terminated_as_interrupted():
            source, config = given.source(resource.record), params.config()
            raise typer.Exit(run_check(resource, source, config, output, treatment.treatment()))

    command.__doc__ = f"Find every error in a file of {row.noun}."
    command.__annotations__["params"] = row.checked
    return grouped(command)
