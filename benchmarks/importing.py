"""What an import statement costs: `python -m benchmarks.importing aiohttp`. Prints one JSON line, a `Measurement`.

It is timed in new interpreters, and the start of one that imports nothing is taken off. The quickest of some is taken: what
others do on the machine only ever adds.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Final

from attrs import asdict

from benchmarks.meter import Measurement, mib_of

STATEMENTS: Final = {
    "aiohttp": "import aiohttp",
    "asyncimport": "import asyncimport",
    "client": "from asyncimport import ImportClient, UserImportConfig, UserProfile",
    "help": "import sys; sys.argv = ['asyncimport', '--help']; from asyncimport.cli import main\ntry: main()\nexcept SystemExit: pass",
}
_RUNS: Final = 3


def import_s(statement: str) -> float:
    """Seconds from the start of an interpreter to its end."""
    started_at = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started_at


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.importing")
    parser.add_argument("name", choices=STATEMENTS)
    given = parser.parse_args()
    bare, whole = (min(import_s(code) for _ in range(_RUNS)) for code in ("", STATEMENTS[given.name]))
    measured = Measurement(
        contender=given.name,
        records=0,
        cpu_us_per_record=0.0,
        records_per_s=0.0,
        peak_rss_mib=mib_of(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss),
        import_ms=1e3 * (whole - bare),
    )
    print(json.dumps(asdict(measured)))
