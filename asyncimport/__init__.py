"""Stream user-profile and event imports of any size into the marketing platform.

    source ─▶ reader ─▶ admission ─▶ chunker ─▶ codec ─▶ dispatcher ─▶ session ─▶ transport ─▶ platform
              positions  check, copy  ≤ 500      bytes,   bounded       X-Token    one POST       │
                         uuid, time   items      once     concurrency                             ▼
                                                   ▲        retry · split · stop ◀── verdict ◀── attempt
                                                   └── journal, rejects ◀── outcome ──▶ report

Each word of the drawing is a module. The flow is on one page in `client.py`. A name is imported when it
is first asked for, so that the command can show its help, and a program its own, without the network's libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from asyncimport.version import __version__

if TYPE_CHECKING:
    from asyncimport.batch import Positions
    from asyncimport.check import CheckReport, ErrorExample, ErrorGroup
    from asyncimport.client import ImportClient
    from asyncimport.configs import (
        EventImportConfig,
        EventImportConfigV1,
        GroupImportConfig,
        IdentifyWay,
        ImportMode,
        MatchingType,
        OptType,
        TagImportConfig,
        UserImportConfig,
        UserImportConfigV2,
    )
    from asyncimport.credentials import AppCredentials
    from asyncimport.errors import (
        AsyncImportError,
        AuthError,
        ConfigError,
        IncompleteImport,
        JournalError,
        PlatformRefused,
        SourceError,
        StateError,
        TooManyRejected,
        UploadStalled,
        ValidationError,
    )
    from asyncimport.leftovers import Undelivered
    from asyncimport.options import RunOptions
    from asyncimport.outcome import Accepted, BatchOutcome, ImportReport, Rejected, Skipped, Unconfirmed, Unsent
    from asyncimport.policy import DispatchPolicy, Meaning, Rate, RetryPolicy, Share, Timeouts
    from asyncimport.receipt import Receipt, Receipts
    from asyncimport.records import (
        CustomField,
        Event,
        EventV1,
        GroupAssignment,
        Identity,
        TagAssignment,
        UserProfile,
        UserProfileV2,
    )
    from asyncimport.resources import EVENTS, EVENTS_V1, GROUPS, TAGS, USERS, USERS_V2, Resource
    from asyncimport.sink import Sink, SinkStatistics
    from asyncimport.stats import ClientStats
    from asyncimport.stream import OutcomeStream
    from asyncimport.thread_sink import ThreadSink
    from asyncimport.transport import HttpOptions

__all__ = [
    "EVENTS",
    "EVENTS_V1",
    "GROUPS",
    "TAGS",
    "USERS",
    "USERS_V2",
    "Accepted",
    "AppCredentials",
    "AsyncImportError",
    "AuthError",
    "BatchOutcome",
    "CheckReport",
    "ClientStats",
    "ConfigError",
    "CustomField",
    "DispatchPolicy",
    "ErrorExample",
    "ErrorGroup",
    "Event",
    "EventImportConfig",
    "EventImportConfigV1",
    "EventV1",
    "GroupAssignment",
    "GroupImportConfig",
    "HttpOptions",
    "IdentifyWay",
    "Identity",
    "ImportClient",
    "ImportMode",
    "ImportReport",
    "IncompleteImport",
    "JournalError",
    "MatchingType",
    "Meaning",
    "OptType",
    "OutcomeStream",
    "PlatformRefused",
    "Positions",
    "Rate",
    "Receipt",
    "Receipts",
    "Rejected",
    "Resource",
    "RetryPolicy",
    "RunOptions",
    "Share",
    "Sink",
    "SinkStatistics",
    "Skipped",
    "SourceError",
    "StateError",
    "TagAssignment",
    "TagImportConfig",
    "ThreadSink",
    "Timeouts",
    "TooManyRejected",
    "Unconfirmed",
    "Undelivered",
    "Unsent",
    "UploadStalled",
    "UserImportConfig",
    "UserImportConfigV2",
    "UserProfile",
    "UserProfileV2",
    "ValidationError",
    "__version__",
]

#: Where each name lives.
_HOMES = {
    "batch": ("Positions",),
    "check": ("CheckReport", "ErrorExample", "ErrorGroup"),
    "client": ("ImportClient",),
    "configs": (
        "EventImportConfig",
        "EventImportConfigV1",
        "GroupImportConfig",
        "IdentifyWay",
        "ImportMode",
        "MatchingType",
        "OptType",
        "TagImportConfig",
        "UserImportConfig",
        "UserImportConfigV2",
    ),
    "credentials": ("AppCredentials",),
    "errors": (
        "AsyncImportError",
        "AuthError",
        "ConfigError",
        "IncompleteImport",
        "JournalError",
        "PlatformRefused",
        "SourceError",
        "StateError",
        "TooManyRejected",
        "UploadStalled",
        "ValidationError",
    ),
    "leftovers": ("Undelivered",),
    "options": ("RunOptions",),
    "outcome": ("Accepted", "BatchOutcome", "ImportReport", "Rejected", "Skipped", "Unconfirmed", "Unsent"),
    "policy": ("DispatchPolicy", "Meaning", "Rate", "RetryPolicy", "Share", "Timeouts"),
    "receipt": ("Receipt", "Receipts"),
    "records": (
        "CustomField",
        "Event",
        "EventV1",
        "GroupAssignment",
        "Identity",
        "TagAssignment",
        "UserProfile",
        "UserProfileV2",
    ),
    "resources": ("EVENTS", "EVENTS_V1", "GROUPS", "Resource", "TAGS", "USERS", "USERS_V2"),
    "sink": ("Sink", "SinkStatistics"),
    "stats": ("ClientStats",),
    "stream": ("OutcomeStream",),
    "thread_sink": ("ThreadSink",),
    "transport": ("HttpOptions",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
