"""One import as the command runs it: progress lines on stderr, the report on stdout, an honest exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import orjson
import typer
from attrs import frozen

from asyncimport.client import ImportClient
from asyncimport.configs import Config
from asyncimport.errors import AsyncImportError, AuthError, ConfigError, TooManyRejected, ValidationError
from asyncimport.observer import Notice, Paused, SourceAbandoned, TokenRenewed
from asyncimport.outcome import ImportReport
from asyncimport.resources import Resource
from asyncimport.stream import OutcomeStream

PROGRESS_EVERY_S: Final = 2.0
EXIT_REJECTED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INCOMPLETE: Final = 3
EXIT_INTERRUPTED: Final = 130


@frozen(kw_only=True)
class Job:
    """What to import, and how to tell about it."""

    resource: Resource
    source: Any
    config: Config
    quiet: bool = False
    as_json: bool = False


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
    else:
        return
    raise typer.Exit(code)


def exit_code(report: ImportReport) -> int:
    """0 all accepted, 1 some rejected, 3 some unconfirmed or unsent."""
    if report.unconfirmed or report.unsent or report.in_progress:
        return EXIT_INCOMPLETE
    return EXIT_REJECTED if report.rejected else 0


def exit_code_of(error: AsyncImportError) -> int:
    """2 for what the user must change, 1 for too many rejections, 3 for the rest."""
    if isinstance(error, ConfigError | AuthError | ValidationError):
        return EXIT_USAGE
    return EXIT_REJECTED if isinstance(error, TooManyRejected) else EXIT_INCOMPLETE


def tell(line: str) -> None:
    """A line on stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def run_job(job: Job, base_url: str | None, token: str | None) -> int:
    """Import, print the report, and return the exit code.

    Ctrl-C once stops reading, drains and reports; twice stops at once.
    """
    return asyncio.run(_import(job, base_url, token))


async def _import(job: Job, base_url: str | None, token: str | None) -> int:
    observer = None if job.quiet else _tell_notice
    async with ImportClient(base_url, token=token, observer=observer) as client:
        outcomes = client.stream(job.resource, job.source, job.config)
        try:
            interrupted = await follow(outcomes, quiet=job.quiet)
        except AsyncImportError as error:
            if error.report is not None:
                show(error.report, as_json=job.as_json)
            raise
    show(outcomes.report, as_json=job.as_json)
    return EXIT_INTERRUPTED if interrupted else exit_code(outcomes.report)


async def follow(outcomes: OutcomeStream, *, quiet: bool) -> bool:
    """Run a stream to its end with progress lines; True when Ctrl-C stopped it.

    Cancellation: as for the stream.
    """
    interrupt = _Interrupt(outcomes)
    try:
        async with outcomes:
            with interrupt.caught():
                await _read(outcomes, quiet=quiet)
    except asyncio.CancelledError:
        if not interrupt.has_cancelled():
            raise
    if not quiet:
        tell(progress_line(outcomes.report))
    return interrupt.count > 0


async def _read(outcomes: OutcomeStream, *, quiet: bool) -> None:
    progress = None if quiet else asyncio.create_task(_progress(outcomes), name="asyncimport-progress")
    try:
        async for _ in outcomes:
            pass
    finally:
        if progress is not None:
            progress.cancel()


class _Interrupt:
    """Ctrl-C: the first stops the stream, the second cancels its task."""

    def __init__(self, outcomes: OutcomeStream) -> None:
        self.count = 0
        self._outcomes = outcomes
        self._task = asyncio.current_task()

    @contextmanager
    def caught(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        with suppress(
            NotImplementedError, RuntimeError, ValueError
        ):  # Windows, or no main thread: Ctrl-C cancels at once
            loop.add_signal_handler(signal.SIGINT, self._interrupted)
        try:
            yield
        finally:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(signal.SIGINT)

    def _interrupted(self) -> None:
        self.count += 1
        if self.count == 1:
            tell("interrupted: waiting for what is in flight; once more to stop at once")
            self._outcomes.stop()
        elif self._task is not None:
            self._task.cancel()

    def has_cancelled(self) -> bool:
        """Whether a second Ctrl-C, and nothing else, cancelled the task; the cancellation is then taken back."""
        return self.count > 1 and self._task is not None and self._task.uncancel() == 0


async def _progress(outcomes: OutcomeStream) -> None:
    while True:
        await asyncio.sleep(PROGRESS_EVERY_S)
        tell(progress_line(outcomes.report))


def progress_line(report: ImportReport) -> str:
    """Where an import stands, in one line."""
    counts = [f"{report.read:,} read", f"{report.accepted:,} accepted"]
    for name in ("rejected", "unconfirmed", "unsent", "in_progress", "retries"):
        value = getattr(report, name)
        if value:
            counts.append(f"{value:,} {name.replace('_', ' ')}")
    return f"{report.resource}: {', '.join(counts)}, {report.records_per_s:,.0f} records/s"


def _tell_notice(notice: Notice) -> None:
    match notice:
        case Paused(pause_s=pause_s):
            tell(f"paused for {pause_s:.1f} s: the platform asks for fewer requests")
        case TokenRenewed(generation=generation) if generation > 1:
            tell("the token was renewed")
        case SourceAbandoned(waited_s=waited_s):
            tell(f"the source was still busy {waited_s:.0f} s after the stop and was left behind")
        case _:
            pass


def show(report: ImportReport, *, as_json: bool) -> None:
    """The report on stdout."""
    text = orjson.dumps(report.to_dict()).decode() if as_json else str(report)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
