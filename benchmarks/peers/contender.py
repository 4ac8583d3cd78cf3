"""One contender, alone in its process: `python -m benchmarks.peers.contender mixpanel send --url URL --records N`.

Prints one JSON line, a `Measurement`. The events exist before the clock starts; it stops when the contender says that all
is delivered. A warning that it logs, or an event that it does not count as delivered, is a failure.
"""

import argparse
import gc
import json
import logging
import time
from contextlib import chdir
from importlib import import_module
from tempfile import TemporaryDirectory

from attrs import asdict

from benchmarks.meter import Measurement, peak_rss_mib


class _Warnings(logging.Handler):
    """Keeps what is logged as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def measure(module: str, send: str, *, url: str, count: int) -> Measurement:
    """Make the events, then send them under the clock.

    Raises:
        RuntimeError: the contender does not say of every event that it was delivered.
    """
    peer = import_module(f"benchmarks.peers.{module}")
    sender = getattr(peer, send)
    events = [peer.make(n) for n in range(count)]
    logging.getLogger().addHandler(warnings := _Warnings())
    gc.collect()
    gc.freeze()
    computed_s, started_at = time.process_time(), time.perf_counter()
    delivered = sender(events, url)
    elapsed_s, cpu_s = time.perf_counter() - started_at, time.process_time() - computed_s
    if warnings.said or delivered not in {None, count}:
        raise RuntimeError(f"{module} delivered {delivered} of {count}: {warnings.said[:3]}")
    return Measurement(
        contender=module,
        records=count,
        cpu_us_per_record=cpu_s / count * 1e6,
        records_per_s=count / elapsed_s,
        peak_rss_mib=peak_rss_mib(),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.contender")
    parser.add_argument("module")
    parser.add_argument("send")
    parser.add_argument("--url", required=True)
    parser.add_argument("--records", type=int, required=True)
    given = parser.parse_args()
    # Where a peer may leave files of what it lost.
    with TemporaryDirectory() as folder, chdir(folder):
        measured = measure(given.module, given.send, url=given.url, count=given.records)
    print(json.dumps(asdict(measured)))
