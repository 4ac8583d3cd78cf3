"""The demo: the example files over HTTP into an embedded platform that fails on purpose, and what both sides say of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from asyncimport.cli.errors import EXIT_INTERRUPTED
from asyncimport.cli.importing import follow, show
from asyncimport.cli.metered import Metered
from asyncimport.cli.output import is_terminal, say, tell
from asyncimport.cli.screen import Screen, open_screen
from asyncimport.client import ImportClient
from asyncimport.configs import EventImportConfig, ImportMode, MatchingType, UserImportConfig
from asyncimport.credentials import AppCredentials
from asyncimport.emulator import Emulator, Fault, Ledger, Ok, ResetAfter, ResourceLedger, RevokeToken, Status, Workers
from asyncimport.errors import ConfigError
from asyncimport.outcome import ImportReport
from asyncimport.policy import DispatchPolicy
from asyncimport.records import UserProfile
from asyncimport.resources import EVENTS, USERS
from asyncimport.sources import CsvFile, JsonlFile, read_csv, read_jsonl

#: In the wheel the files lie inside the package, in a checkout beside it.
_PACKAGE: Final = Path(__file__).resolve().parent.parent
EXAMPLES: Final = (_PACKAGE / "examples", _PACKAGE.parent / "examples")
_COUNTED: Final = (
    "read",
    "accepted",
    "rejected",
    "unconfirmed",
    "unsent",
    "skipped",
    "in_progress",
    "possible_duplicates",
)
_COMMITTED: Final = ("distinct", "total", "duplicates")

#: Small batches and a slow platform: 250 requests at 40 a second can be watched, 50 at full speed cannot.
POLICY: Final = DispatchPolicy(batch_size=100, max_in_flight=4)
PACE: Final = Workers(count=2, service_s=0.05)


def _busy(on: str) -> Fault:
    body = '{"code": "429", "errorCode": "FREQUENT", "msg": "too many requests"}'
    return Status(on=on, status=429, headers={"Retry-After": "1"}, body=body)


#: The n-th request for a resource meets the n-th of these, and all after them go well.
SCRIPT: Final[Sequence[Fault]] = (
    *[Ok(on="users")] * 15,
    _busy("users"),
    *[Ok(on="users")] * 15,
    ResetAfter(on="users"),
    *[Ok(on="events")] * 30,
    _busy("events"),
    *[Ok(on="events")] * 40,
    RevokeToken(on="events"),
    *[Ok(on="events")] * 40,
    Status(on="events", status=503, body="", content_type="text/plain"),
    *[Ok(on="events")] * 30,
    _busy("events"),
)
_WORDS: Final = {
    "429": "{} x 429",
    "503": "{} x 503",
    "ResetAfter": "{} reset after the commit",
    "RevokeToken": "{} expired token",
}


async def run_demo(*, color: bool | None = None) -> int:
    """Import both files, print both reports and one JSON document; 0 only when report and ledger agree, 130 interrupted.

    Raises:
        ConfigError: the example files are not there.

    Cancellation: as for an import; client and platform are closed.
    """
    people, events = read_csv(example("users.csv"), UserProfile), read_jsonl(example("events.jsonl"))
    screen = open_screen(quiet=False, color=color)
    async with Emulator() as platform:
        platform.faults.add(PACE)
        platform.faults.script(SCRIPT)
        rows = sum(1 for _ in people) + sum(1 for _ in events)
        screen.note(f"{rows:,} records go to {platform.url}, a platform on this machine")
        screen.note(f"it is made to fail: {in_words(SCRIPT)}")
        app = AppCredentials(app_id=platform.app_id, app_secret=platform.app_secret)
        async with ImportClient(platform.url, app=app, policy=POLICY, observer=screen.notice) as client:
            reports = await _import_both(client, screen, people, events)
    if reports is None:
        return EXIT_INTERRUPTED
    document = compared(reports, platform.ledger)
    sentence = in_a_sentence(document)
    is_watched = is_terminal(sys.stderr)
    if not is_watched:
        tell(sentence)
    say(orjson.dumps(_totals(document) if is_terminal(sys.stdout) else document).decode())
    if is_watched:  # the last thing to read
        tell(sentence)
    return 0 if document["agree"] else 1


async def _import_both(
    client: ImportClient, screen: Screen, people: CsvFile, events: JsonlFile
) -> dict[str, ImportReport] | None:
    """The reports by resource, each shown as soon as it is there; None when Ctrl-C stopped an import."""
    users = UserImportConfig(is_matching=True, import_mode=ImportMode.PARTIAL, matching_type=MatchingType.EXACT)
    reports: dict[str, ImportReport] = {}
    for resource, source, config in (
        (USERS, Metered(people), users),
        (EVENTS, Metered(events), EventImportConfig()),
    ):
        outcomes = client.stream(resource, source, config)
        ending = await follow(outcomes, screen, source)
        show(outcomes.report, as_json=False)
        if ending.failure is not None:
            raise ending.failure
        if ending.is_interrupted:
            return None
        reports[resource.name] = outcomes.report
    return reports


def compared(reports: dict[str, ImportReport], ledger: Ledger) -> dict[str, Any]:
    """What the reports say, what the platform has, and whether they agree."""
    parts = {name: ledger.of(name) for name in reports}
    return {
        "report": _summed({name: report.to_dict() for name, report in reports.items()}, _COUNTED),
        "ledger": _summed({name: part.to_dict() for name, part in parts.items()}, _COMMITTED),
        "agree": not ledger.violations and all(agrees(reports[name], parts[name]) for name in reports),
    }


def agrees(report: ImportReport, ledger: ResourceLedger) -> bool:
    """Whether a report says what the ledger shows: accepted is there, nothing else is, duplicates are covered."""
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    return (
        report.read == settled
        and report.accepted <= ledger.distinct <= report.accepted + report.unconfirmed
        and ledger.duplicates <= report.possible_duplicates
    )


def in_a_sentence(document: dict[str, Any]) -> str:
    """The comparison for a person, on one line or two."""
    said, there = document["report"], document["ledger"]
    if not document["agree"]:
        return (
            f"the platform does not have what the reports say: {there['distinct']:,} records are there, "
            f"{said['accepted']:,} are said to be accepted"
        )
    twice = f"\n{there['duplicates']:,} of them are there twice, as the reports said they may be"
    sentence = f"the platform has exactly what the reports say: {there['distinct']:,} records"
    return sentence + (twice if there["duplicates"] else "")


def in_words(script: Sequence[Fault]) -> str:
    """Which faults a script deals out, for a person."""
    kinds = (f"{fault.status}" if isinstance(fault, Status) else type(fault).__name__ for fault in script)
    return ", ".join(_WORDS[kind].format(count) for kind, count in Counter(kinds).items() if kind in _WORDS)


def example(name: str) -> Path:
    """Where an example file lies.

    Raises:
        ConfigError: nowhere.
    """
    for folder in EXAMPLES:
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"the example {name} is not there: make it with `python examples/make_examples.py` in a checkout")


def _totals(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its parts, which a person has just read as reports."""
    sums = {
        side: {name: value for name, value in document[side].items() if not isinstance(value, dict)}
        for side in ("report", "ledger")
    }
    return sums | {"agree": document["agree"]}


def _summed(parts: dict[str, dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    """The totals over both imports, and each of them whole."""
    return {name: sum(part[name] for part in parts.values()) for name in names} | parts
