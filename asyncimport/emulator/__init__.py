"""The marketing platform on loopback: a real server that checks, commits, keeps a ledger, and fails on demand.

    async with Emulator() as platform:
        platform.faults.script([ResetAfter(), Ok()])
        ...                                          # platform.url, platform.token
        assert platform.ledger.users.duplicates == 1
        assert not platform.ledger.violations

It is the independent witness of what a client did: it shares no code with the client in this package.

    listener ─▶ server ─▶ exchange ─▶ platform ─▶ ledger
    sockets     routes    faults,      token, contract,  what was
                          gates        commit            really committed
"""

from asyncimport.emulator.assumptions import Assumptions
from asyncimport.emulator.body import record_key
from asyncimport.emulator.contract import Contract
from asyncimport.emulator.endpoints import EVENTS, EVENTS_V1, GROUPS, TAGS, USERS, USERS_V2, Resource
from asyncimport.emulator.faultfile import FaultFileError, FaultPlan, parse_faults, read_faults
from asyncimport.emulator.faults import (
    Bucket,
    CloseBefore,
    Delay,
    Envelope,
    Fault,
    Gzip,
    Hang,
    Html,
    Ok,
    Overload,
    PartialCommit,
    Poison,
    Quota,
    ResetAfter,
    ResetBefore,
    RevokeToken,
    SilentDrop,
    Status,
    ThrottleMessage,
    TokenExpiresAfter,
    Truncate,
    Workers,
)
from asyncimport.emulator.gate import Gate
from asyncimport.emulator.injector import Faults
from asyncimport.emulator.ledger import Ledger, LoggedRequest, ResourceLedger
from asyncimport.emulator.server import Emulator
from asyncimport.emulator.standalone import emulate

__all__ = [
    "EVENTS",
    "EVENTS_V1",
    "GROUPS",
    "TAGS",
    "USERS",
    "USERS_V2",
    "Assumptions",
    "Bucket",
    "CloseBefore",
    "Contract",
    "Delay",
    "Emulator",
    "Envelope",
    "Fault",
    "FaultFileError",
    "FaultPlan",
    "Faults",
    "Gate",
    "Gzip",
    "Hang",
    "Html",
    "Ledger",
    "LoggedRequest",
    "Ok",
    "Overload",
    "PartialCommit",
    "Poison",
    "Quota",
    "ResetAfter",
    "ResetBefore",
    "Resource",
    "ResourceLedger",
    "RevokeToken",
    "SilentDrop",
    "Status",
    "ThrottleMessage",
    "TokenExpiresAfter",
    "Truncate",
    "Workers",
    "emulate",
    "parse_faults",
    "read_faults",
    "record_key",
]
