"""The demo: the example files over HTTP into the embedded platform, and what both sides say of it afterwards."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import orjson

from asyncimport.cli.importing import follow, show, tell
from asyncimport.client import ImportClient
from asyncimport.configs import EventImportConfig, ImportMode, MatchingType, UserImportConfig
from asyncimport.credentials import AppCredentials
from asyncimport.emulator import Emulator, ResourceLedger
from asyncimport.errors import ConfigError
from asyncimport.outcome import ImportReport
from asyncimport.records import UserProfile
from asyncimport.resources import EVENTS, USERS
from asyncimport.sources import read_csv, read_jsonl

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


async def run_demo() -> int:
    """Import both files, print both reports and one JSON document, and return 0 only when report and ledger agree.

    Raises:
        ConfigError: the example files are not there.
    """
    people, events = example("users.csv"), example("events.jsonl")
    plain = UserImportConfig(is_matching=True, import_mode=ImportMode.PARTIAL, matching_type=MatchingType.EXACT)
    async with Emulator() as platform:
        tell(f"the platform listens on {platform.url}")
        app = AppCredentials(app_id=platform.app_id, app_secret=platform.app_secret)
        async with ImportClient(platform.url, app=app) as client:
            reports = {
                "users": await _followed(client.stream(USERS, read_csv(people, UserProfile), plain)),
                "events": await _followed(client.stream(EVENTS, read_jsonl(events), EventImportConfig())),
            }
        ledgers = {"users": platform.ledger.users, "events": platform.ledger.events}
        violations = len(platform.ledger.violations)
    agree = violations == 0 and all(agrees(reports[name], ledgers[name]) for name in reports)
    document = {
        "report": _summed({name: report.to_dict() for name, report in reports.items()}, _COUNTED),
        "ledger": _summed({name: ledger.to_dict() for name, ledger in ledgers.items()}, _COMMITTED),
        "agree": agree,
    }
    sys.stdout.write(orjson.dumps(document).decode() + "\n")
    return 0 if agree else 1


def agrees(report: ImportReport, ledger: ResourceLedger) -> bool:
    """Whether a report says what the ledger shows: accepted is there, nothing else is, duplicates are covered."""
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    return (
        report.read == settled
        and report.accepted <= ledger.distinct <= report.accepted + report.unconfirmed
        and ledger.duplicates <= report.possible_duplicates
    )


def example(name: str) -> Path:
    """Where an example file lies.

    Raises:
        ConfigError: nowhere.
    """
    for folder in EXAMPLES:
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"the example {name} is not there: make it with `python examples/make_examples.py` in a checkout")


async def _followed(outcomes: Any) -> ImportReport:
    await follow(outcomes, quiet=False)
    report: ImportReport = outcomes.report
    show(report, as_json=False)
    return report


def _summed(parts: dict[str, dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    """The totals over both imports, and each of them whole."""
    return {name: sum(part[name] for part in parts.values()) for name in names} | parts
