"""The `asyncimport` command. stdout carries only the report; progress, notices and errors go to stderr."""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command; without the `cli` extra, say what to install and exit 2."""
    missing = [name for name in ("typer", "rich") if find_spec(name) is None]
    if missing:
        sys.stderr.write(f'the command needs {" and ".join(missing)}: pip install "asyncimport[cli]"\n')
        raise SystemExit(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a report in Chinese also reaches a terminal that has none
    try:
        _run()
    except KeyboardInterrupt:  # while modules are still imported, or after the last line was written
        raise SystemExit(130) from None


def _run() -> None:
    from asyncimport.cli.commands import app  # noqa: PLC0415 -- typer is an extra
    from asyncimport.cli.errors import EXIT_INCOMPLETE, tell_unwritten  # noqa: PLC0415 -- imports typer
    from asyncimport.cli.output import let_go, silence  # noqa: PLC0415 -- imports the package

    try:
        app(prog_name="asyncimport")
    except OSError as error:  # of a help or version that goes to a full disk
        tell_unwritten(error)
        silence(sys.stdout)
        raise SystemExit(EXIT_INCOMPLETE) from None
    finally:
        let_go()
