"""Exit codes, and errors as one sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from asyncimport.cli.output import tell
from asyncimport.errors import (
    AsyncImportError,
    AuthError,
    ConfigError,
    JournalError,
    PlatformRefused,
    TooManyRejected,
    ValidationError,
)
from asyncimport.outcome import ImportReport

EXIT_REJECTED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INCOMPLETE: Final = 3
EXIT_INTERRUPTED: Final = 130


#: The library's words for what the command takes by options, and the command's; a test holds the left side to the code.
OPTIONS_FOR: Final = {
    "give token= or app=, or set": "give --token-file or --app-id, or set",
    "set base_url= or ASYNCIMPORT_BASE_URL": "give --base-url or set ASYNCIMPORT_BASE_URL",
    "or HttpOptions(allow_insecure_http=True) where": "or give --allow-insecure-http where",
    "give AppCredentials or a callable to have it renewed": "give --app-id and --app-secret-file to have it renewed",
    "check AppCredentials": "check --app-id and its secret",
    "give spool=True too": "give --spool too",
    "journal takes the path": "--journal takes the path",
    "rejects takes the path": "--rejects takes the path",
    "max_rejected allows": "--max-rejected allows",
    "DispatchPolicy.max_in_flight": "--max-in-flight",
    "Rate.requests_per_s": "--requests-per-s",
    "Rate.records_per_s": "--records-per-s",
    "HttpOptions.proxy": "--proxy",
    "deadline takes": "--deadline takes",
    "uuid_from is for": "--uuid-from is for",
    "uuid_from takes the": "--uuid-from takes the",
    "delimiter takes": "--delimiter takes",
    "encoding is no text encoding": "--encoding is no text encoding",
    "separator takes": "--separator takes",
    "or give its encoding": "or give its --encoding",
    "or say its format (": "or say its --format (",
    "map it to a field": "map it to a field (--map)",
    "map it to one": "map it to one (--map, --args)",
    "or ignore it": "or ignore it (--ignore-unknown)",
    "map them to fields, or ignore them": "map them to fields (--map, --args), or ignore them (--ignore-unknown)",
}


@contextmanager
def shown_errors() -> Iterator[None]:
    """Show an error of the package as one sentence, with the exit code that belongs to it."""
    try:
        yield
    except AsyncImportError as error:
        tell_error(error)
        code = exit_code_of(error)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except OSError as error:  # of stdout: everything else is told by errors of the package
        tell_unwritten(error)
        code = EXIT_INCOMPLETE
    else:
        return
    raise typer.Exit(code)


def tell_unwritten(error: OSError) -> None:
    """That stdout does not take the output."""
    tell(f"error: the output cannot be written ({error.strerror or type(error).__name__})")


def tell_error(error: AsyncImportError) -> None:
    """An error and what was noted on it, each a sentence in the command's own terms."""
    for words in (f"{error}", *getattr(error, "__notes__", ())):
        tell(f"error: {in_options(words)}")


def in_options(words: str) -> str:
    """A sentence of the library with the options that the command has for what it advises."""
    for theirs, ours in OPTIONS_FOR.items():
        words = words.replace(theirs, ours)
    return words


def has_lost_rejects(error: AsyncImportError | None) -> bool:
    """Whether an error tells that the file of rejects is not whole."""
    return isinstance(error, JournalError) or bool(getattr(error, "__notes__", ()))


def exit_code(report: ImportReport) -> int:
    """0 all accepted, 1 some rejected, 3 some unconfirmed, unsent or not even read."""
    if report.unconfirmed or report.unsent or report.in_progress or not report.source_ended:
        return EXIT_INCOMPLETE
    return EXIT_REJECTED if report.rejected else 0


def exit_code_of(error: AsyncImportError) -> int:
    """2 for what the user must change, 1 for too many rejections, 3 for the rest."""
    if isinstance(error, ConfigError | AuthError | PlatformRefused | ValidationError):
        return EXIT_USAGE
    return EXIT_REJECTED if isinstance(error, TooManyRejected) else EXIT_INCOMPLETE
