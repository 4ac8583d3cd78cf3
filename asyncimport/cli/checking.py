"""One dry run as the command runs it: a screen on stderr, the report on stdout."""

from __future__ import annotations

import asyncio
import signal

from asyncimport.check import Check, CheckReport, check_of
from asyncimport.cli.choices import OutputOptions
from asyncimport.cli.errors import EXIT_INTERRUPTED, EXIT_REJECTED
from asyncimport.cli.metered import Metered
from asyncimport.cli.output import say, say_pieces
from asyncimport.cli.screen import Screen, open_screen
from asyncimport.cli.signals import caught
from asyncimport.cli.standing import Standing
from asyncimport.clock import SystemClock
from asyncimport.configs import Config
from asyncimport.errors import SourceError
from asyncimport.policy import DispatchPolicy
from asyncimport.resources import Resource
from asyncimport.treatment import Treatment


def run_check(resource: Resource, source: Metered, config: Config, output: OutputOptions, treatment: Treatment) -> int:
    """Check a file, print what is wrong with it, and return the exit code; Ctrl-C and SIGTERM end it with what was found so far.

    Raises:
        ConfigError: the file is not what it was when its header was read.
        SourceError: the file broke off; what was found before is printed.
    """
    check = check_of(resource, source, config, DispatchPolicy(), SystemClock(), treatment=treatment)
    return asyncio.run(_check(check, source, output))


async def _check(check: Check, source: Metered, output: OutputOptions) -> int:
    screen = open_screen(quiet=output.quiet, color=output.color)
    showing = asyncio.create_task(_keep_showing(check, screen, source), name="asyncimport-screen")
    try:
        with caught(lambda _: check.stop(), signal.SIGINT, signal.SIGTERM):
            await check.run()
    except SourceError:
        screen.close(None)
        _show(check.report(), as_json=output.as_json)
        raise
    finally:
        showing.cancel()
        screen.close(None)
    report = check.report()
    _show(report, as_json=output.as_json)
    if report.read:
        source.warn()
    if not report.source_ended:
        return EXIT_INTERRUPTED
    return EXIT_REJECTED if report.rejected else 0


async def _keep_showing(check: Check, screen: Screen, source: Metered) -> None:
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    while True:
        await asyncio.sleep(screen.every_s)
        standing = Standing(
            label=f"checking {check.resource.name}",
            read=check.read,
            accepted=check.read - check.rejected - check.skipped,
            rejected=check.rejected,
            unconfirmed=0,
            unsent=0,
            skipped=check.skipped,
            in_flight=0,
            retries=0,
            elapsed_s=loop.time() - started_at,
            bytes_passed=source.bytes_passed,
            size_bytes=source.size_bytes,
            is_check=True,
        )
        screen.show(standing)


def _show(report: CheckReport, *, as_json: bool) -> None:
    if as_json:
        say_pieces(part.decode() for part in report.json_parts())
        return
    say(str(report), is_prose=True)
    if report.first_record:
        say(f"the first record as it would be sent:\n{report.first_record_shown()}")
