"""Branch coverage of the modules that decide, each by its own test file alone: `make coverage`, or by name.

`python tests/decision_coverage.py [MODULE ...]` prints a table and returns 1 when a line or branch is not reached. Tests by
hypothesis make no examples here: what is covered is covered by a case somebody wrote down, on every run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parent.parent
MODULES = (
    "admission", "breaker", "canonical", "chunker", "codec", "credentials", "derived", "duplicates", "ending", "fields",
    "gate", "guard", "keys", "lane", "limit", "order", "place", "plan", "quick", "rate", "receipt", "renewal", "retry",
    "shape", "split", "structs", "verdict",
)  # fmt: skip


def main() -> int:
    """Measure the modules named on the command line, or all."""
    modules = sys.argv[1:] or MODULES
    if unknown := set(modules) - set(MODULES):
        sys.exit(f"not measured: {', '.join(sorted(unknown))}; choose from {', '.join(MODULES)}")
    is_missed = False
    with TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        for row in pool.map(lambda module: row_of(module, Path(folder)), modules):
            sys.stdout.write(f"{row}\n")
            is_missed |= "not reached" in row
    return int(is_missed)


def row_of(module: str, folder: Path) -> str:
    """The module's line of the table, and below it what its tests did not reach."""
    found = measured(module, folder)
    summary = found["summary"]
    gaps = list(gaps_of(found))
    counts = f"{summary['num_statements']:>4} lines {summary['num_branches']:>3} branches"
    return "\n".join([f"{module:<12}{counts} {summary['percent_covered']:>6.2f} %", *gaps])


def gaps_of(found: Mapping[str, Any]) -> Iterator[str]:
    """What was not reached: the lines, and the ways between lines that were."""
    lines = found["missing_lines"]
    if lines:
        yield f"    not reached: lines {', '.join(map(str, lines))}"
    for start, end in found["missing_branches"]:
        if not {start, end} & set(lines):
            yield f"    not reached: from line {start} to {'the end' if end < 0 else f'line {end}'}"


def measured(module: str, folder: Path) -> dict[str, Any]:
    """What coverage says of a module after its own test file."""
    data, report = folder / module, folder / f"{module}.json"
    tests = ["pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile", "written cases"]
    tests += ["--basetemp", f"{data}.tests", f"tests/test_{module}.py"]
    run("run", "--data-file", f"{data}", "-m", *tests)
    run("json", "--data-file", f"{data}", "--include", f"asyncimport/{module}.py", "-o", f"{report}")
    (found,) = json.loads(report.read_text(encoding="utf-8"))["files"].values()
    return dict(found)


def run(*arguments: str) -> None:
    """A command of coverage, whose output is of interest only when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "coverage", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"coverage {' '.join(arguments)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
