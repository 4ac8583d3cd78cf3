"""The emulator in a process of its own: `python -m asyncimport.emulator --port 8080 --faults faults.json`."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from asyncimport.emulator.faultfile import FaultFileError, read_faults
from asyncimport.emulator.server import Emulator
from asyncimport.version import __version__


async def emulate(
    *,
    port: int,
    faults: Path | None = None,
    token: str | None = None,
    strict: bool = True,
    keep_records: bool = False,
    control: bool = True,
    ready: Callable[[Emulator], None] | None = None,
) -> None:
    """Serve on loopback until cancelled; `ready` is called once with the emulator when it serves.

    Cancellation: the only way out; requests being served end, the port is free again.

    Raises:
        FaultFileError: an entry of the fault file is wrong; nothing was served.
        OSError: the file cannot be read, or the port is taken.
    """
    plan = None if faults is None else await asyncio.to_thread(read_faults, faults)
    async with Emulator(port=port, token=token, strict=strict, keep_records=keep_records, control=control) as platform:
        if plan is not None:
            plan.install(platform.faults)
        if ready is not None:
            ready(platform)
        await asyncio.Event().wait()


def announce(platform: Emulator) -> None:
    """Print the one line that a parent process waits for: where to find what. It holds no secret."""
    where = {"url": platform.url, "port": platform.port, "control": platform.control_url}
    sys.stdout.write(f"{json.dumps(where)}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run the emulator until SIGTERM or SIGINT; gives 0 then, and 2 when it could not start."""
    chosen = _parser().parse_args(arguments)
    try:
        asyncio.run(_until_signal(chosen))
    except (FaultFileError, OSError) as error:
        sys.stderr.write(f"emulator: {error}\n")
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
    return 0


async def _until_signal(chosen: argparse.Namespace) -> None:
    task = asyncio.current_task()
    if sys.platform != "win32" and task is not None:
        # SIGINT is asyncio.run's own: it cancels this task too.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await emulate(
        port=chosen.port,
        faults=chosen.faults,
        token=chosen.token,
        strict=not chosen.lenient,
        keep_records=chosen.keep_records,
        ready=announce,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m asyncimport.emulator",
        description="The marketing platform on loopback, for tests. Prints one JSON line when it is ready.",
    )
    parser.add_argument("--port", type=int, default=0, help="the port; 0 takes a free one")
    parser.add_argument("--faults", type=Path, help="a fault file")
    parser.add_argument("--token", help="the X-Token to accept; otherwise ask the control door")
    parser.add_argument("--lenient", action="store_true", help="count records and check nothing else")
    parser.add_argument("--keep-records", action="store_true", help="keep the bodies of committed records")
    parser.add_argument("--version", action="version", version=__version__)
    return parser
