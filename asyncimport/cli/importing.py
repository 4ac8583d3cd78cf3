"""One import as the command runs it: a screen on stderr, the report on stdout, an honest exit code."""

from __future__ import annotations

import asyncio
import gc
import shlex
import signal
from pathlib import Path
from typing import Final

import orjson
from attrs import frozen

from asyncimport.cli.choices import OutputOptions
from asyncimport.cli.errors import EXIT_INTERRUPTED, exit_code, exit_code_of, has_lost_rejects, tell_error
from asyncimport.cli.gone import Gone
from asyncimport.cli.metered import Metered
from asyncimport.cli.order import Order
from asyncimport.cli.output import say, tell
from asyncimport.cli.screen import Screen, open_screen
from asyncimport.cli.signals import caught
from asyncimport.cli.standing import Standing
from asyncimport.client import ImportClient
from asyncimport.configs import Config
from asyncimport.errors import AsyncImportError, JournalError
from asyncimport.journal.inspection import read_status
from asyncimport.options import RunOptions
from asyncimport.outcome import ImportReport, many
from asyncimport.resources import Resource
from asyncimport.stream import OutcomeStream

Source = Metered | Gone
#: What is left of the 10 s that container runtimes give between SIGTERM and SIGKILL, when Python's own end is taken off.
TERMINATED_WITHIN_S: Final = 8.0
_LINES_AT_ONCE: Final = 2**20


@frozen(kw_only=True)
class Job:
    """What was asked for, and what that is when the file has been looked at."""

    order: Order
    resource: Resource
    source: Source
    config: Config
    output: OutputOptions

    def options(self) -> RunOptions:
        """The options of the run; a journal keeps the order too."""
        options = self.order.run.options()
        if self.order.run.journal is not None:
            options["memo"] = self.order.memo() | {"is_stream": self.source.is_stream}
        return options


def run_import(job: Job) -> int:
    """Import a file, and return the exit code.

    Raises:
        AsyncImportError: what ended the import, after its report was printed.
    """
    screen = open_screen(quiet=job.output.quiet, color=job.output.color)
    # Before the event loop runs: it would keep Ctrl-C from a person who is asked for the token.
    policy = job.order.run.policy()
    client = job.order.connection.client(policy, screen.notice, may_ask=not job.source.is_stdin)
    gc.freeze()  # the modules will not become garbage: looking through them again and again took 15 % of the CPU
    return asyncio.run(_import(job, client, screen))


async def _import(job: Job, client: ImportClient, screen: Screen) -> int:
    async with client:
        outcomes = client.stream(job.resource, job.source, job.config, **job.options())
        ending = await follow(outcomes, screen, job.source)
    show(outcomes.report, as_json=job.output.as_json)
    _tell_rest(job, outcomes.report, ending.failure)
    return ending.exit_code(outcomes.report)


def _tell_rest(job: Job, report: ImportReport, failure: AsyncImportError | None) -> None:
    """What the report does not say."""
    if failure is not None:
        tell_error(failure)
    rejects = job.order.run.rejects
    kept = 0 if rejects is None or has_lost_rejects(failure) else _lines_of(rejects)
    if kept:
        words = ("rejected record is", "rejected records are")
        if kept != report.rejected:
            words = ("record that was not accepted is", "records that were not accepted are")
        tell(f"{many(kept, *words)} in {rejects}")
    if report.read:
        job.source.warn()
    if job.order.run.journal is not None:
        _tell_how_to_go_on(job, job.order.run.journal, report)


def _tell_how_to_go_on(job: Job, journal: Path, report: ImportReport) -> None:
    """How what is left is sent, and from where on a source that comes once has to be given again."""
    if report.ok:
        return
    try:
        status = read_status(f"{journal}")
    except JournalError:
        return  # gone or damaged: the run's own error has told that
    is_cut_off = job.source.is_stream and not report.source_ended
    if not status.is_finished and (status.pending or not is_cut_off):
        tell(f"to go on: asyncimport resume {shlex.quote(f'{journal}')}")
    if is_cut_off:
        tell(
            f"{job.source.name} had not ended: give it again from record {report.read:,} on (counted from 0), "
            "with another journal"
        )


def _lines_of(rejects: Path) -> int:
    """How many lines the file of rejects has; 0 when there is none."""
    try:
        with rejects.open("rb") as file:
            return sum(piece.count(b"\n") for piece in iter(lambda: file.read(_LINES_AT_ONCE), b""))
    except OSError:
        return 0


@frozen(kw_only=True)
class Ending:
    """How an import ended: by a signal or not, and by which error, if one ended it."""

    is_interrupted: bool
    failure: AsyncImportError | None = None

    def exit_code(self, report: ImportReport) -> int:
        """The highest that applies."""
        of_failure = 0 if self.failure is None else exit_code_of(self.failure)
        return max(exit_code(report), of_failure, EXIT_INTERRUPTED if self.is_interrupted else 0)


async def follow(outcomes: OutcomeStream, screen: Screen, source: Source) -> Ending:
    """Run a stream to its end on a screen, and close the screen.

    Raises:
        ConfigError: the import could not begin: there is no report.

    Cancellation: as for the stream.
    """
    interrupt = _Interrupt(outcomes, screen)
    standing = failure = None
    try:
        async with outcomes:
            _greet(outcomes.report, screen)
            with caught(interrupt.caught, signal.SIGINT, signal.SIGTERM):
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


def _greet(report: ImportReport, screen: Screen) -> None:
    """Say that an import goes on from where it was, or had ended."""
    if report.source_ended and not report.in_progress:
        screen.note("the journal is of an import that has ended: nothing is left to be sent")
    elif report.read:
        screen.note(f"going on after {many(report.read, 'record')} read before, {report.accepted:,} of them accepted")


async def _read(outcomes: OutcomeStream, screen: Screen, source: Source, interrupt: _Interrupt) -> None:
    showing = asyncio.create_task(_keep_showing(outcomes, screen, source, interrupt), name="asyncimport-screen")
    try:
        async for _ in outcomes:
            pass
    finally:
        showing.cancel()


async def _keep_showing(outcomes: OutcomeStream, screen: Screen, source: Source, interrupt: _Interrupt) -> None:
    while True:
        await asyncio.sleep(screen.every_s)
        screen.show(standing_of(outcomes, source, is_stopping=interrupt.count > 0))


def standing_of(outcomes: OutcomeStream, source: Source, *, is_stopping: bool = False) -> Standing:
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
        bytes_passed=source.bytes_passed,
        size_bytes=source.size_bytes,
        is_stopping=is_stopping,
    )


class _Interrupt:
    """Ctrl-C and SIGTERM: the first stops the stream, the second, of either kind, cancels its task."""

    def __init__(self, outcomes: OutcomeStream, screen: Screen) -> None:
        self.count = 0
        self._outcomes = outcomes
        self._screen = screen
        self._task = asyncio.current_task()

    def caught(self, number: signal.Signals) -> None:
        """Take one signal."""
        self.count += 1
        if self.count > 1:
            if self._task is not None:
                self._task.cancel()
        elif number == signal.SIGTERM:
            self._screen.note("terminated: what is in flight has a few seconds; once more to stop at once")
            self._outcomes.stop(within_s=TERMINATED_WITHIN_S)
        else:
            self._screen.note("interrupted: waiting for what is in flight; once more to stop at once")
            self._outcomes.stop()

    def has_cancelled(self) -> bool:
        """Whether further signals, and nothing else, cancelled the task; the cancellations are then taken back."""
        for _ in range(self.count - 1):
            if self._task is not None:
                self._task.uncancel()
        return self.count > 1 and self._task is not None and not self._task.cancelling()


def show(report: ImportReport, *, as_json: bool) -> None:
    """The report on stdout."""
    if as_json:
        say(orjson.dumps(report.to_dict()).decode())
    else:
        say(str(report), is_prose=True)
