"""Exit codes, and errors as one sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from asyncimport.cli.output import tell
from asyncimport.errors import AsyncImportError, AuthError, ConfigError, TooManyRejected, ValidationError
from asyncimport.outcome import ImportReport

EXIT_REJECTED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INCOMPLETE: Final = 3
EXIT_INTERRUPTED: Final = 130


@contextmanager
def shown_errors() -> Iterator[None]:
    """Show an error of the package as one sentence, with the exit code that belongs to it."""
    try:
        yield
    except AsyncImportError as error:
        tell(f"error: {error}")
        code = max(exit_code_of(error), 0 if error.report is None else exit_code(error.report))
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except OSError as error:  # of stdout: everything else is told by errors of the package
        tell(f"error: the output cannot be written ({error.strerror or type(error).__name__})")
        code = EXIT_INCOMPLETE
    else:
        return
    raise typer.Exit(code)


def exit_code(report: ImportReport) -> int:
    """0 all accepted, 1 some rejected, 3 some unconfirmed, unsent or not even read."""
    if report.unconfirmed or report.unsent or report.in_progress or not report.source_ended:
        return EXIT_INCOMPLETE
    return EXIT_REJECTED if report.rejected else 0


def exit_code_of(error: AsyncImportError) -> int:
    """2 for what the user must change, 1 for too many rejections, 3 for the rest."""
    if isinstance(error, ConfigError | AuthError | ValidationError):
        return EXIT_USAGE
    return EXIT_REJECTED if isinstance(error, TooManyRejected) else EXIT_INCOMPLETE
