"""The command `asyncimport users` on a CSV file, alone: `python -m benchmarks.command live --url URL --file FILE --records N`.

Prints one JSON line, a `Measurement`. `quiet` and `live` both run on a pseudo-terminal of 80 x 24 that is being read, so
that nothing but `--quiet` parts them, and are measured whole, from the start of the interpreter to its end. Linux counts
what a process had before it became a command to the command's peak memory: this one stays small, whoever starts it.
"""

import argparse
import json
import os
import pty
import resource
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from attrs import asdict, frozen

from benchmarks.meter import Measurement, mib_of

_ROOT: Final = Path(__file__).parent.parent
_ENTRY: Final = "from asyncimport.cli import main; main()"
#: What each of the two adds to the command.
_EXTRA: Final = {"quiet": ("--quiet",), "live": ()}
#: What a frame begins with: the cursor is hidden.
_FRAME: Final = b"\x1b[?25l"
_ROWS_COLUMNS: Final = (24, 80)
#: A run takes some 15 s; this bounds one that hangs, before its caller gives up.
_TIMEOUT_S: Final = 100.0


@frozen
class Ended:
    """A process that has ended: its exit code, what it cost, and what it wrote on its terminal."""

    code: int
    cost: resource.struct_rusage
    written: bytes


def measure(name: str, *, url: str, file: Path, records: int) -> Measurement:
    """Import a file of so many users.

    Raises:
        RuntimeError: the command failed, did not import every record, or drew when it should not or not when it should.
    """
    command = [sys.executable, "-c", _ENTRY, "users", str(file), "--mode", "partial", "--json", *_EXTRA[name]]
    with TemporaryFile() as stdout:
        started_at = time.perf_counter()
        ended = _on_terminal(command, _environment(url), stdout)
        elapsed_s = time.perf_counter() - started_at
        stdout.seek(0)
        report = stdout.read()
    if ended.code or json.loads(report)["accepted"] != records:
        raise RuntimeError(f"{name} ended with {ended.code}:\n{ended.written.decode()}\n{report.decode()}")
    frames = ended.written.count(_FRAME)
    if bool(frames) != (name == "live"):
        raise RuntimeError(f"{name} drew {frames} frames: the comparison says nothing")
    return Measurement(
        contender=name,
        records=records,
        cpu_us_per_record=(ended.cost.ru_utime + ended.cost.ru_stime) / records * 1e6,
        records_per_s=records / elapsed_s,
        peak_rss_mib=mib_of(ended.cost.ru_maxrss),
        frames=frames,
    )


def _environment(url: str) -> dict[str, str]:
    """Nothing of ours but where programs are: neither another token nor NO_COLOR shall change the run."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "ASYNCIMPORT_BASE_URL": url,
        "ASYNCIMPORT_TOKEN": "benchmark",
    }


def _on_terminal(command: list[str], environment: dict[str, str], stdout: IO[bytes]) -> Ended:
    """Run a command whose stderr is a pseudo-terminal, and read that to its end.

    Raises:
        TimeoutError: it takes too long; it has been killed then.
    """
    terminal, inside = pty.openpty()
    try:
        try:
            termios.tcsetwinsize(terminal, _ROWS_COLUMNS)
            process = subprocess.Popen(
                command, cwd=_ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=stdout, stderr=inside
            )
        finally:
            os.close(inside)
        with process:
            try:
                written = b"".join(_read(terminal))
            except BaseException:
                process.kill()
                raise
            _, status, cost = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        os.close(terminal)
    return Ended(process.returncode, cost, written)


def _read(terminal: int) -> Iterator[bytes]:
    """What is written on a terminal, until nobody has it open any more."""
    ends_at = time.monotonic() + _TIMEOUT_S
    while select.select([terminal], [], [], max(0.0, ends_at - time.monotonic()))[0]:
        try:
            data = os.read(terminal, 65_536)
        except OSError:  # how Linux says that it has ended
            return
        if not data:
            return
        yield data
    raise TimeoutError(f"the command takes longer than {_TIMEOUT_S:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.command")
    parser.add_argument("name", choices=_EXTRA)
    parser.add_argument("--url", required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--records", type=int, required=True)
    given = parser.parse_args()
    print(json.dumps(asdict(measure(given.name, url=given.url, file=given.file, records=given.records))))
