"""The command in a process of its own: what it prints and its exit code."""

from __future__ import annotations

import asyncio
import os
import sys

import canary
from attrs import frozen


@frozen
class Result:
    """What a command left behind."""

    code: int | None
    out: str
    err: str


async def started(
    *arguments: str, url: str = "", token: str | None = canary.TOKEN, **more: str
) -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASYNCIMPORT_")}
    if token is not None:
        environment["ASYNCIMPORT_TOKEN"] = token
    if url:
        environment["ASYNCIMPORT_BASE_URL"] = url
    environment |= {"COLUMNS": "200", **more}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from asyncimport.cli import main; main()",
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.PIPE if "-" in arguments else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process, stdin: bytes | None = None) -> Result:
    out, err = await asyncio.wait_for(process.communicate(stdin), 60)
    result = Result(process.returncode, out.decode(), err.decode())
    assert canary.leaks(result.out + result.err) == []
    assert "Traceback" not in result.err
    return result


async def ran(*arguments: str, url: str = "", token: str | None = canary.TOKEN, stdin: bytes | None = None) -> Result:
    return await ended(await started(*arguments, url=url, token=token), stdin)
