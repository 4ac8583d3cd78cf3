"""The doctor as the command runs it: each finding on stdout as soon as it is there, and an exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import aclosing

from asyncimport.cli.connecting import ConnectionOptions, Credentials
from asyncimport.cli.doctor import examine
from asyncimport.cli.finding import exit_code, render
from asyncimport.cli.output import is_terminal, say


def run_doctor(connection: ConnectionOptions, *, no_color: bool, timeout_s: float) -> int:
    """Look, tell, and return the exit code; each step on the network takes at most `timeout_s` seconds.

    Raises:
        ConfigError: credentials or a file of certificates that cannot be read.
    """
    is_colored = is_terminal(sys.stdout) and not no_color and not os.environ.get("NO_COLOR")
    given = connection.credentials(may_ask=True)  # before the event loop runs: it would keep Ctrl-C from a prompt
    return asyncio.run(_examine(connection, given, is_colored=is_colored, timeout_s=timeout_s))


async def _examine(connection: ConnectionOptions, given: Credentials, *, is_colored: bool, timeout_s: float) -> int:
    findings = []
    steps = examine(
        connection.base_url,
        token=given.token,
        app=given.app,
        credentials_from=given.origin,
        endpoints=connection.paths(),
        http=connection.http(),
        timeout_s=timeout_s,
    )
    async with aclosing(steps):
        async for finding in steps:
            findings.append(finding)
            say(render(finding, color=is_colored))
    return exit_code(findings)
