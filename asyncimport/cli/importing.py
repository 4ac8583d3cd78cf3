"""One import as the command runs it: a screen on stderr, the report on stdout, an honest exit code."""

from __future__ import annotations

import asyncio
import gc
import signal

import orjson
from attrs import frozen

from asyncimport.cli.connecting import ConnectionOptions
from asyncimport.cli.errors import EXIT_INTERRUPTED, exit_code, exit_code_of, has_lost_rejects, tell_error
from asyncimport.cli.metered import Metered
from asyncimport.cli.options import OutputOptions, RunChoices
from asyncimport.cli.output import say, tell
from asyncimport.cli.screen import Screen, open_screen
from asyncimport.cli.signals import caught
from asyncimport.cli.standing import Standing
from asyncimport.client import ImportClient
from asyncimport.configs import Config
from asyncimport.errors import AsyncImportError
from asyncimport.outcome import ImportReport, many
from asyncimport.resources import Resource
from asyncimport.stream import OutcomeStream


@frozen(kw_only=True)
class Job:
    """What to import, where to, how, and how to tell about it."""

    resource: Resource
    source: Metered
    config: Config
    run: RunChoices
    connection: ConnectionOptions
    output: OutputOptions


def run_import(job: Job) -> int:
    """Import a file, and return the exit code.

    Raises:
        AsyncImportError: what ended the import, after its report was printed.
    """
    screen = open_screen(quiet=job.output.quiet, color=job.output.color)
    # Before the event loop runs: it would keep Ctrl-C from a person who is asked for the token.
    client = job.connection.client(job.run.policy(), screen.notice, may_ask=not job.source.is_stdin)
    gc.freeze()  # the modules will not become garbage: looking through them again and again took 15 % of the CPU
    return asyncio.run(_import(job, client, screen))


async def _import(job: Job, client: ImportClient, screen: Screen) -> int:
    async with client:
        outcomes = client.stream(job.resource, job.source, job.config, **job.run.options())
        ending = await follow(outcomes, screen, job.source)
    show(outcomes.report, as_json=job.output.as_json)
    _tell_rest(job, outcomes.report, ending.failure)
    return ending.exit_code(outcomes.report)


def _tell_rest(job: Job, report: ImportReport, failure: AsyncImportError | None) -> None:
    """What the report does not say."""
    if failure is not None:
        tell_error(failure)
    is_kept = job.run.rejects is not None and report.rejected and not has_lost_rejects(failure)
    if is_kept:
        tell(f"{many(report.rejected, 'rejected record is', 'rejected records are')} in {job.run.rejects}")
    if report.read:
        job.source.warn()


@frozen(kw_only=True)
class Ending:
    """How an import ended: by Ctrl-C or not, and by which error, if one ended it."""

    is_interrupted: bool
    failure: AsyncImportError | None = None

    def exit_code(self, report: ImportReport) -> int:
        """The highest that applies."""
        of_failure = 0 if self.failure is None else exit_code_of(self.failure)
        return max(exit_code(report), of_failure, EXIT_INTERRUPTED if self.is_interrupted else 0)


async def follow(outcomes: OutcomeStream, screen: Screen, source: Metered) -> Ending:
    """Run a stream to its end on a screen, and close the screen.

    Raises:
        ConfigError: the import could not begin: there is no report.

    Cancellation: as for the stream.
    """
    interrupt = _Interrupt(outcomes, screen)
    standing = failure = None
    try:
        async with outcomes:
            with caught(interrupt.caught, signal.SIGINT):
                await _read(outcomes, screen, source, interrupt)
    except AsyncImportError as error:
        if error.report is None:
            raise
        failure = error
    except asyncio.CancelledError:
        if not interrupt.has_cancelled():
            raise
        failure = outcomes.failure if isinstance(outcomes.failure, AsyncImportError) else None
    else:
        standing = standing_of(outcomes, source)
    finally:
        screen.close(standing)
    return Ending(is_interrupted=interrupt.count > 0, failure=failure)


async def _read(outcomes: OutcomeStream, screen: Screen, source: Metered, interrupt: _Interrupt) -> None:
    showing = asyncio.create_task(_keep_showing(outcomes, screen, source, interrupt), name="asyncimport-screen")
    try:
        async for _ in outcomes:
            pass
    finally:
        showing.cancel()


async def _keep_showing(outcomes: OutcomeStream, screen: Screen, source: Metered, interrupt: _Interrupt) -> None:
    while True:
        await asyncio.sleep(screen.every_s)
        screen.show(standing_of(outcomes, source, is_stopping=interrupt.count > 0))


def standing_of(outcomes: OutcomeStream, source: Metered, *, is_stopping: bool = False) -> Standing:
    """Where an import stands now."""
    report = outcomes.report
    return Standing(
        label=report.resource,
        read=report.read,
        accepted=report.accepted,
        rejected=report.rejected,
        unconfirmed=report.unconfirmed,
        unsent=report.unsent,
        skipped=report.skipped,
        in_flight=outcomes.in_flight,
        retries=report.retries,
        elapsed_s=report.elapsed_s,
        bytes_read=source.bytes_read,
        size_bytes=source.size_bytes,
        is_stopping=is_stopping,
    )


class _Interrupt:
    """Ctrl-C: the first stops the stream, the second cancels its task."""

    def __init__(self, outcomes: OutcomeStream, screen: Screen) -> None:
        self.count = 0
        self._outcomes = outcomes
        self._screen = screen
        self._task = asyncio.current_task()

    def caught(self, _number: signal.Signals) -> None:
        """Take one Ctrl-C."""
        self.count += 1
        if self.count == 1:
            self._screen.note("interrupted: waiting for what is in flight; once more to stop at once")
            self._outcomes.stop()
        elif self._task is not None:
            self._task.cancel()

    def has_cancelled(self) -> bool:
        """Whether a second Ctrl-C, and nothing else, cancelled the task; the cancellation is then taken back."""
        return self.count > 1 and self._task is not None and self._task.uncancel() == 0


def show(report: ImportReport, *, as_json: bool) -> None:
    """The report on stdout."""
    if as_json:
        say(orjson.dumps(report.to_dict()).decode())
    else:
        say(str(report), is_prose=True)
