"""The commands as typer reads them: what each takes, nothing of how it is done. What is heavy is imported when it is run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from attrs import frozen

from asyncimport.cli.choices import OutputOptions, RunChoices, SpoolChoices
from asyncimport.cli.connecting import ConnectionOptions, ResumeConnection
from asyncimport.cli.errors import shown_errors
from asyncimport.cli.grouped import grouped
from asyncimport.cli.options import EventOptions, InputOptions, UserOptions
from asyncimport.cli.order import Order
from asyncimport.cli.replaying import ReplayOptions
from asyncimport.cli.resource_commands import IMPORT_CODES, check_commands, do_import, epilog, import_commands
from asyncimport.cli.signals import terminated_as_interrupted
from asyncimport.version import __version__

app = typer.Typer(
    name="asyncimport",
    help="Import user profiles and events into the marketing platform: every record is accounted for.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(import_commands())
app.add_typer(check_commands())

NoColor = Annotated[bool, typer.Option("--no-color", help="No color; NO_COLOR does the same.")]


@frozen(kw_only=True)
class JournalOption:
    """The journal of an import."""

    journal: Annotated[Path, typer.Argument(metavar="JOURNAL", help="The file that --journal named.")]


@frozen(kw_only=True)
class StatusOutput:
    """How a look at a journal is told."""

    as_json: Annotated[bool, typer.Option("--json", help="Print it as one JSON document.")] = False


@frozen(kw_only=True)
class LookOptions:
    """How the doctor looks."""

    timeout_s: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long each step on the network may take.")
    ] = 10.0
    no_color: NoColor = False


_STATUS_CODES = "0 all of it can be read, 3 it is damaged, or no journal."


def _print_version(wanted: bool) -> None:  # noqa: FBT001 -- typer hands over the option's value
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Import user profiles and events into the marketing platform: every record is accounted for.

    The address comes from --base-url or ASYNCIMPORT_BASE_URL; the token from ASYNCIMPORT_TOKEN, --token-file or a prompt.
    """


@app.command(
    epilog=epilog(
        "asyncimport users people.csv --mode partial",
        "asyncimport users crm.csv.gz --mode partial --matching exact --map mobile=phone --const identityType=phone "
        "--ignore-unknown --rejects rejects.ndjson",
        "zcat people.tsv.gz | asyncimport users - --format tsv --mode full --json > report.json",
        "asyncimport users people.csv --mode partial --journal people.journal",
        codes=IMPORT_CODES,
    )
)
@grouped
def users(
    given: InputOptions, params: UserOptions, run: SpoolChoices, connection: ConnectionOptions, output: OutputOptions
) -> None:
    """Import user profiles from a file."""
    do_import(Order(command="users", given=given, params=params, run=run, connection=connection), output)


@app.command(
    epilog=epilog(
        "asyncimport events events.jsonl",
        "asyncimport events orders.csv --map openid=identities.openid --const event_key=c_buy --args 'price:number,sku'",
        "asyncimport events clicks.csv --args '*' --max-rejected 1% --rejects rejects.ndjson",
        "tail -f clicks.jsonl | asyncimport events - --journal clicks.journal --spool",
        codes=IMPORT_CODES,
    )
)
@grouped
def events(
    given: InputOptions, params: EventOptions, run: SpoolChoices, connection: ConnectionOptions, output: OutputOptions
) -> None:
    """Import behaviour events from a file."""
    do_import(Order(command="events", given=given, params=params, run=run, connection=connection), output)


@app.command(
    epilog=epilog(
        "asyncimport replay rejects.ndjson --rejects again.ndjson",
        "asyncimport replay rejects.ndjson --state unconfirmed --state unsent",
        codes=IMPORT_CODES,
    )
)
@grouped
def replay(given: ReplayOptions, run: RunChoices, connection: ConnectionOptions, output: OutputOptions) -> None:
    """Send again what a file of rejects holds, after it was repaired; it says itself what it is of."""
    do_import(Order(command="replay", given=given, run=run, connection=connection), output)


@app.command(
    epilog=epilog(
        "asyncimport resume people.journal", "asyncimport resume people.journal --token-file token", codes=IMPORT_CODES
    )
)
@grouped
def resume(journal: JournalOption, connection: ResumeConnection, output: OutputOptions) -> None:
    """Go on with an import from its journal, which knows the file and all options but the token."""
    from asyncimport.cli.resuming import resume as go_on  # noqa: PLC0415 -- aiohttp, which no help needs

    with shown_errors(), terminated_as_interrupted():
        raise typer.Exit(go_on(journal.journal, connection, output))


@app.command(epilog=epilog("asyncimport status people.journal", codes=_STATUS_CODES))
@grouped
def status(journal: JournalOption, output: StatusOutput) -> None:
    """Show where the import of a journal stands, also while it is running. Changes nothing."""
    from asyncimport.cli.looking import show_status  # noqa: PLC0415 -- SQLite, which no help needs

    with shown_errors():
        raise typer.Exit(show_status(journal.journal, as_json=output.as_json))


@app.command(
    epilog=epilog(
        "asyncimport doctor",
        "asyncimport doctor --base-url https://integrate.rabbitpre.com/api/open --token-file token",
        codes="0 all good, 2 something to change here, 3 the platform does not answer.",
    )
)
@grouped
def doctor(connection: ConnectionOptions, look: LookOptions) -> None:
    """Look whether an import could work: versions, address, network, TLS, token. Imports nothing."""
    from asyncimport.cli.diagnosing import run_doctor  # noqa: PLC0415 -- aiohttp, which no help needs

    with shown_errors():
        raise typer.Exit(run_doctor(connection, no_color=look.no_color, timeout_s=look.timeout_s))


@app.command()
def demo(no_color: NoColor = False) -> None:
    """Import the example files into a platform on this machine that fails on purpose, and compare what both sides say."""
    from asyncimport.cli.demo import run_demo  # noqa: PLC0415 -- aiohttp, which no help needs

    with shown_errors():
        raise typer.Exit(asyncio.run(run_demo(color=False if no_color else None)))


@app.command(
    epilog=epilog(
        "asyncimport emulate --port 8080 --token secret",
        "asyncimport emulate --faults faults.json",
    )
)
def emulate(
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port on loopback; 0 takes a free one.")] = 0,
    faults: Annotated[Path | None, typer.Option("--faults", help="A JSON file of faults to inject.")] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", help="The token to accept; when not given, ASYNCIMPORT_TOKEN, else made up."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not show what arrives.")] = False,
    no_color: NoColor = False,
) -> None:
    """Serve the platform's emulator on loopback until Ctrl-C. stdout carries one JSON line: where it listens."""
    from asyncimport.cli.emulating import run_emulator  # noqa: PLC0415 -- aiohttp, which no help needs

    color = False if no_color else None
    with shown_errors():
        raise typer.Exit(asyncio.run(run_emulator(port=port, faults=faults, token=token, quiet=quiet, color=color)))
