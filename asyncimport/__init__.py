"""Stream user-profile and event imports of any size into the marketing platform.

    source ─▶ reader ─▶ admission ─▶ chunker ─▶ codec ─▶ dispatcher ─▶ session ─▶ transport ─▶ platform
              positions  check, copy  ≤ 500      bytes,   bounded       X-Token    one POST       │
                         uuid, time   items      once     concurrency                             ▼
                                                   ▲        retry · stop ◀──── verdict ◀──── attempt
                                                   └── outcome ──▶ report

Each word of the drawing is a module. The flow is on one page in `client.py`.
"""

from asyncimport.batch import Positions
from asyncimport.client import ImportClient
from asyncimport.configs import EventImportConfig, IdentifyWay, ImportMode, MatchingType, UserImportConfig
from asyncimport.credentials import AppCredentials
from asyncimport.errors import (
    AsyncImportError,
    AuthError,
    ConfigError,
    IncompleteImport,
    SourceError,
    StateError,
    TooManyRejected,
    UploadStalled,
    ValidationError,
)
from asyncimport.options import RunOptions
from asyncimport.outcome import Accepted, BatchOutcome, ImportReport, Rejected, Skipped, Unconfirmed, Unsent
from asyncimport.policy import DispatchPolicy, Meaning, RetryPolicy, Share, Timeouts
from asyncimport.records import CustomField, Event, Identity, UserProfile
from asyncimport.resources import EVENTS, USERS, Resource
from asyncimport.stream import OutcomeStream
from asyncimport.transport import HttpOptions
from asyncimport.version import __version__

__all__ = [
    "EVENTS",
    "USERS",
    "Accepted",
    "AppCredentials",
    "AsyncImportError",
    "AuthError",
    "BatchOutcome",
    "ConfigError",
    "CustomField",
    "DispatchPolicy",
    "Event",
    "EventImportConfig",
    "HttpOptions",
    "IdentifyWay",
    "Identity",
    "ImportClient",
    "ImportMode",
    "ImportReport",
    "IncompleteImport",
    "MatchingType",
    "Meaning",
    "OutcomeStream",
    "Positions",
    "Rejected",
    "Resource",
    "RetryPolicy",
    "RunOptions",
    "Share",
    "Skipped",
    "SourceError",
    "StateError",
    "Timeouts",
    "TooManyRejected",
    "Unconfirmed",
    "Unsent",
    "UploadStalled",
    "UserImportConfig",
    "UserProfile",
    "ValidationError",
    "__version__",
]
