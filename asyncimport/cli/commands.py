"""The commands and their options, as typer reads them: what each takes, nothing of how it is done."""

from __future__ import annotations

import asyncio
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from asyncimport.cli.demo import run_demo
from asyncimport.cli.importing import Job, run_job, shown_errors, tell
from asyncimport.configs import EventImportConfig, IdentifyWay, ImportMode, MatchingType, UserImportConfig
from asyncimport.emulator import Emulator, FaultFileError, emulate
from asyncimport.emulator.standalone import announce
from asyncimport.errors import ConfigError
from asyncimport.records import Event, UserProfile
from asyncimport.resources import EVENTS, USERS
from asyncimport.sources import CsvFile, JsonlFile, read_csv, read_jsonl
from asyncimport.version import __version__

app = typer.Typer(
    name="asyncimport",
    help="Import user profiles and events into the marketing platform. The token comes from ASYNCIMPORT_TOKEN or --token-file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


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
    """Import user profiles and events into the marketing platform. The token comes from ASYNCIMPORT_TOKEN or --token-file."""


class Mode(StrEnum):
    """How users are imported."""

    FULL = "full"
    PARTIAL = "partial"


class Matching(StrEnum):
    """How users are recognised."""

    NONE = "none"
    EXACT = "exact"
    FUZZY = "fuzzy"


class Way(StrEnum):
    """The order of identities in fuzzy matching."""

    UNIONID = "unionid-first"
    USER_ID = "user-id-first"


_MATCHING_TYPES = {Matching.NONE: None, Matching.EXACT: MatchingType.EXACT, Matching.FUZZY: MatchingType.FUZZY}
_WAYS = {None: None, Way.UNIONID: IdentifyWay.UNIONID_FIRST, Way.USER_ID: IdentifyWay.USER_ID_FIRST}

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="CSV (.csv) or JSON Lines (.jsonl, .ndjson).")]
BaseUrl = Annotated[
    str | None, typer.Option("--base-url", envvar="ASYNCIMPORT_BASE_URL", help="Address of the platform.")
]
TokenFile = Annotated[Path | None, typer.Option("--token-file", help="A file that holds the token, and nothing else.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress lines.")]
MatchingOption = Annotated[Matching, typer.Option("--matching", help="How users are recognised.")]


@app.command()
def users(
    file: FileArgument,
    mode: Annotated[
        Mode, typer.Option("--mode", help="Import mode; required, because they treat absent fields differently.")
    ],
    matching: MatchingOption = Matching.NONE,
    identify_way: Annotated[
        Way | None, typer.Option("--identify-way", help="Order of identities; required with fuzzy.")
    ] = None,
    accurate_match_type: Annotated[
        str | None, typer.Option(help="Kind of app for exact matching, such as gzh.")
    ] = None,
    accurate_match_value: Annotated[str | None, typer.Option(help="Id of the app for exact matching.")] = None,
    base_url: BaseUrl = None,
    token_file: TokenFile = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Import user profiles. Exit code: 0 all accepted, 1 some rejected, 2 wrong use, 3 some not delivered, 130 interrupted."""
    with shown_errors():
        if matching is Matching.FUZZY and identify_way is None:
            raise ConfigError("--matching fuzzy needs --identify-way unionid-first or user-id-first")
        config = UserImportConfig(
            is_matching=matching is not Matching.NONE,
            import_mode=ImportMode.FULL if mode is Mode.FULL else ImportMode.PARTIAL,
            matching_type=_MATCHING_TYPES[matching],
            identify_way=_WAYS[identify_way],
            accurate_match_type=accurate_match_type,
            accurate_match_value=accurate_match_value,
        )
        job = Job(resource=USERS, source=_opened(file, UserProfile), config=config, quiet=quiet, as_json=as_json)
        raise typer.Exit(run_job(job, base_url, _token(token_file)))


@app.command()
def events(
    file: FileArgument,
    matching: MatchingOption = Matching.NONE,
    base_url: BaseUrl = None,
    token_file: TokenFile = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Import behaviour events. Exit codes as for users."""
    with shown_errors():
        is_matching = None if matching is Matching.NONE else True
        config = EventImportConfig(matching_type=_MATCHING_TYPES[matching], is_matching=is_matching)
        job = Job(resource=EVENTS, source=_opened(file, Event), config=config, quiet=quiet, as_json=as_json)
        raise typer.Exit(run_job(job, base_url, _token(token_file)))


@app.command()
def demo() -> None:
    """Import the example files into the embedded platform, and compare the reports with what it has."""
    with shown_errors():
        raise typer.Exit(asyncio.run(run_demo()))


@app.command(name="emulate")
def emulate_command(
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port on loopback; 0 takes a free one.")] = 0,
    faults: Annotated[Path | None, typer.Option("--faults", help="A JSON file of faults to inject.")] = None,
    token: Annotated[str | None, typer.Option("--token", help="The token to accept; made up when not given.")] = None,
) -> None:
    """Serve the platform's emulator on loopback until Ctrl-C. stdout carries one JSON line: where it listens."""
    with shown_errors():
        try:
            asyncio.run(emulate(port=port, faults=faults, token=token, ready=_announce))
        except (FaultFileError, OSError) as error:
            fault = f"{error}"
        raise ConfigError(f"the emulator cannot start: {fault}")


def _announce(platform: Emulator) -> None:
    announce(platform)
    if "ASYNCIMPORT_TOKEN" not in os.environ:
        tell(f"export ASYNCIMPORT_BASE_URL={platform.url} ASYNCIMPORT_TOKEN={platform.token}")


def _opened(file: Path, record: type[UserProfile | Event]) -> CsvFile | JsonlFile:
    match file.suffix.lower():
        case ".csv":
            return read_csv(file, record)
        case ".jsonl" | ".ndjson":
            return read_jsonl(file)
        case other:
            raise ConfigError(
                f"{file.name}: a file ending in {other or 'nothing'} is not known: give .csv, .jsonl or .ndjson"
            )


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        fault = type(error).__name__
    raise ConfigError(f"the token file {file.name} cannot be read ({fault})")
