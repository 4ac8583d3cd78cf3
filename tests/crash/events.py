"""The events that the crash tests import, by number; the client itself fills uuid and time, and refuses some of them."""

from __future__ import annotations

import csv
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
from attrs import frozen

from asyncimport import Event
from asyncimport.sources import read_csv, read_jsonl

#: Every so many events one is bad, each kind of them for another reason.
NO_KEY, NO_IDENTITY = 97, 151
END = b"end\n"


@frozen(kw_only=True)
class Job:
    """One import, as the test and the worker's process know it."""

    kind: str
    url: str
    folder: str
    count: int
    batch_size: int
    width: int = 8
    #: Where the queue listens, when the source is one.
    port: int = 0

    @property
    def journal(self) -> str:
        return f"{self.folder}/run.journal"

    @property
    def rejects(self) -> str:
        return f"{self.folder}/rejects.ndjson"

    @property
    def is_spooled(self) -> bool:
        return self.kind in {"spooled", "queue"}


def is_bad(number: int) -> bool:
    return number % NO_KEY == 5 or number % NO_IDENTITY == 7


def event(number: int) -> dict[str, Any]:
    identity = {"identityType": "phone", "identityValue": "" if number % NO_IDENTITY == 7 else f"139{number:08}"}
    key = "" if number % NO_KEY == 5 else "c_buy"
    return {"identities": [identity], "eventKey": key, "eventargs": {"c_number": number, "c_name": f"第{number}名"}}


def made(count: int) -> Iterator[Event | dict[str, Any]]:
    """A generator of mappings and of records in turn."""
    for number in range(count):
        wire = event(number)
        yield (
            wire
            if number % 2
            else Event(identities=wire["identities"], event_key=wire["eventKey"], eventargs=wire["eventargs"])
        )


def asked_for(port: int) -> Iterator[dict[str, Any]]:
    """What a queue gives, one for each time it is asked, each once for ever."""
    with socket.create_connection(("127.0.0.1", port)) as queue, queue.makefile("rb") as answers:
        while True:
            queue.sendall(b"\n")
            line = answers.readline()
            if line == END:
                return
            yield orjson.loads(line)


def source_of(job: Job) -> Iterable[Any]:
    match job.kind:
        case "generator":
            return made(job.count)
        case "csv":
            return read_csv(f"{job.folder}/events.csv", record=Event)
        case "jsonl":
            return read_jsonl(f"{job.folder}/events.jsonl")
        case "spooled":
            return list(made(job.count))
        case _:
            return asked_for(job.port)


def write_files(job: Job) -> None:
    """The job's folder, and the file that it reads, if it reads one."""
    folder = Path(job.folder)
    folder.mkdir()
    if job.kind == "jsonl":
        lines = (orjson.dumps(event(number), option=orjson.OPT_APPEND_NEWLINE) for number in range(job.count))
        (folder / "events.jsonl").write_bytes(b"".join(lines))
    if job.kind == "csv":
        with (folder / "events.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["identities.phone", "eventKey", "eventargs.c_number", "eventargs.c_name"])
            rows.writerows(_cells(event(number)) for number in range(job.count))


def _cells(wire: dict[str, Any]) -> list[Any]:
    args = wire["eventargs"]
    return [wire["identities"][0]["identityValue"], wire["eventKey"], args["c_number"], args["c_name"]]
