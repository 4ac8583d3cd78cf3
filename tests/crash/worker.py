"""The process that is killed: `python -m tests.crash.worker JOB`. Says "begun" and, when it comes to its end, its report."""

from __future__ import annotations

import asyncio
import sys

import orjson

from asyncimport import DispatchPolicy, EventImportConfig, ImportClient, ImportReport, RetryPolicy
from tests.crash.events import Job, source_of


async def imported(job: Job) -> ImportReport:
    retry = RetryPolicy(base_s=0.01, cap_s=0.1, floor_s=0.001)
    policy = DispatchPolicy(batch_size=job.batch_size, max_in_flight=job.width, retry=retry)
    async with ImportClient(job.url, policy=policy) as client:
        return await client.import_events(
            source_of(job), EventImportConfig(), journal=job.journal, rejects=job.rejects, spool=job.is_spooled
        )


def main() -> None:
    job = Job(**orjson.loads(sys.argv[1]))
    sys.stdout.buffer.write(b"begun\n")
    sys.stdout.buffer.flush()
    report = asyncio.run(imported(job))
    sys.stdout.buffer.write(orjson.dumps(report.to_dict()))


if __name__ == "__main__":
    main()
