"""One journal, alone in its process: what it takes on disk, and how long it takes to open.

`python -m benchmarks.journal closed --url URL --records N --width W` imports so many records, in batches of ten because
a journal keeps batches and not records, and prints a `Measurement` as one JSON line: what the closed file takes; with
`open` instead, the most that file and write-ahead log took together while the import ran.
`python -m benchmarks.journal made --file FILE --batches N` makes a journal of so many batches, as an import would have
packed them; `known --file FILE --batches N` measures how long it takes to open.
"""

import argparse
import asyncio
import gc
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from attrs import asdict

from asyncimport import EVENTS, DispatchPolicy, ImportClient
from asyncimport.batch import Positions
from asyncimport.journal import schema
from asyncimport.journal.change import Planned, Settled
from asyncimport.journal.entry import GROUP, Entry, EntryState, digest_of
from asyncimport.journal.file import JournalFile
from asyncimport.journal.known import Run
from asyncimport.journal.rows import segment_of
from asyncimport.rejects import Lines
from benchmarks import records
from benchmarks.meter import Measurement, peak_rss_mib

_SMALL_BATCH: Final = 10
_BATCH: Final = 500
#: Added to a batch's number, so that its id is as long as the platform's.
_ID: Final = 15_314_513_451_345_123


async def size(name: str, *, url: str, count: int, width: int) -> Measurement:
    """Import events, and look at the journal's files after each batch and at the end."""
    policy = DispatchPolicy(max_in_flight=width, batch_size=_SMALL_BATCH)
    events = [records.event(n) for n in range(count)]
    computed_s, started_at = time.process_time(), time.perf_counter()
    with TemporaryDirectory() as folder:
        async with (
            ImportClient(url, token="benchmark", policy=policy) as client,
            client.stream(EVENTS, events, records.EVENT_CONFIG, journal=f"{folder}/journal") as outcomes,
        ):
            taken = [_bytes_in(folder) async for _ in outcomes]
        outcomes.report.raise_if_incomplete()
        taken.append(_bytes_in(folder))
    elapsed_s, cpu_s = time.perf_counter() - started_at, time.process_time() - computed_s
    return Measurement(
        contender=name,
        records=count,
        cpu_us_per_record=cpu_s / count * 1e6,
        records_per_s=count / elapsed_s,
        peak_rss_mib=peak_rss_mib(),
        journal_kb=(max(taken) if name == "open" else taken[-1]) / 1_000,
    )


def _bytes_in(folder: str) -> int:
    """Without the index of the write-ahead log, which is shared memory."""
    return sum(file.stat().st_size for file in Path(folder).glob("journal*") if not file.name.endswith("-shm"))


def make(file: Path, batches: int) -> None:
    """Make a journal of a run that stopped after so many batches, all of them accepted."""
    book = _book(file)
    book.open()
    book.close()
    first_open = batches - batches % GROUP
    segments = (segment_of([_entry(n) for n in range(first, first + GROUP)]) for first in range(0, first_open, GROUP))
    connection = schema.connect(f"{file}", is_durable=False)
    with connection:
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO segments VALUES ({', '.join('?' * 14)})", segments)
    connection.close()
    book = _book(file)
    book.open()
    for entry in map(_entry, range(first_open, batches)):
        positions = Positions((range(entry.first, entry.end),))
        book.write([Planned(number=entry.number, positions=positions, digest=entry.digest, is_open=True)])
        book.write([Settled(number=entry.number, state=entry.state, batch_id=entry.batch_id, attempts=1)])
    book.close()


def opened(name: str, file: Path, batches: int) -> Measurement:
    """Open a journal of so many batches, and close it again.

    Raises:
        RuntimeError: it does not know all of them.
    """
    book = _book(file)
    gc.collect()
    gc.freeze()
    computed_s, started_at = time.process_time(), time.perf_counter()
    book.open()
    open_s, cpu_s = time.perf_counter() - started_at, time.process_time() - computed_s
    sums = book.known.sums
    book.close()
    if (sums.batches, sums.accepted, len(sums.batch_ids)) != (batches, batches * _BATCH, batches):
        raise RuntimeError(f"of {batches} batches the journal knows {sums.batches}, {sums.accepted} records accepted")
    return Measurement(
        contender=name,
        records=sums.accepted,
        cpu_us_per_record=cpu_s / sums.accepted * 1e6,
        records_per_s=sums.accepted / open_s,
        peak_rss_mib=peak_rss_mib(),
        open_s=open_s,
    )


def _entry(number: int) -> Entry:
    return Entry(
        number=number,
        first=number * _BATCH,
        end=(number + 1) * _BATCH,
        count=_BATCH,
        digest=digest_of(b"%d" % number),
        state=EntryState.ACCEPTED,
        batch_id=_ID + number,
        attempts=1,
        sent_bytes=200_000,
        elapsed_s=number / 1_000,
    )


def _book(file: Path) -> JournalFile:
    run = Run(run_id="benchmark", started_ms=0, resource=EVENTS.name, fingerprint={}, is_spooled=False)
    return JournalFile(f"{file}", run, {}, _lines_of)


def _lines_of(run: Run) -> Lines:
    return Lines(resource=run.resource, run_id=run.run_id, params={}, is_stamped=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal")
    parser.add_argument("name", choices=["closed", "open", "made", "known"])
    parser.add_argument("--url")
    parser.add_argument("--records", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--batches", type=int)
    given = parser.parse_args()
    if given.name == "made":
        make(given.file, given.batches)
    else:
        if given.name == "known":
            measurement = opened(given.name, given.file, given.batches)
        else:
            measurement = asyncio.run(size(given.name, url=given.url, count=given.records, width=given.width))
        print(json.dumps(asdict(measurement)))
