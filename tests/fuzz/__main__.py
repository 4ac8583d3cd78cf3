"""The fuzz targets under atheris: `python -m tests.fuzz --seconds 60` runs each for so long, in a process of its own.

libFuzzer ends the process it runs in, and leaves the bytes that broke a target in a file that it names.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Run each fuzz target for a while.")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", help="run this one here, as libFuzzer wants it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.target is not None:
            fuzz(arguments.target, arguments.seconds, Path(folder))
        names = list(importlib.import_module("tests.fuzz.targets").TARGETS)
        command = [sys.executable, "-m", "tests.fuzz", "--seconds", f"{arguments.seconds}", "--target"]
        broken = [name for name in names if subprocess.run([*command, name], check=False).returncode]
    sys.stdout.write(f"broken: {', '.join(broken)}\n" if broken else f"{len(names)} targets held\n")
    return bool(broken)


def fuzz(name: str, seconds: int, folder: Path) -> None:
    """Run one target from its seeds; this never returns."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["asyncimport"]):
        target = importlib.import_module("tests.fuzz.targets").TARGETS[name]
    (corpus := folder / "corpus").mkdir()
    for number, seed in enumerate(target.seeds):
        (corpus / f"{number}").write_bytes(seed)
    Path("build").mkdir(exist_ok=True)
    options = [f"-max_total_time={seconds}", "-max_len=4096", "-verbosity=0", f"-artifact_prefix=build/fuzz-{name}-"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: target.run(data, folder))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
