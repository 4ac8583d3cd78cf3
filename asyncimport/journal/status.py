"""What a journal says of its run, for whoever only looks: a value, in JSON and in words."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import attrs
from attrs import field, frozen

from asyncimport.outcome import many

#: In a memo: who wrote it. What it holds besides is the command's own, but for `file`, `is_stream` and `rejects`.
COMMAND: Final = "asyncimport"
_HIDDEN: Final = ("memo", "identity", "config", "started_ms", "changed_ms")


class JournalState(StrEnum):
    """What a journal's run does now."""

    RUNNING = "running"
    STOPPED = "stopped"
    #: Its process ended without a word: killed, or the machine went down.
    KILLED = "killed"
    FINISHED = "finished"
    #: The journal is damaged there.
    UNKNOWN = "unknown"


@frozen(kw_only=True)
class JournalStatus:
    """Where a journal's run stands: `read = accepted + rejected + unconfirmed + skipped + pending`. Holds no record."""

    path: str
    state: JournalState
    #: The process that runs it.
    pid: int | None
    resource: str
    run_id: str
    #: Wall clock in milliseconds since 1970; 0 where it is not known.
    started_ms: int
    changed_ms: int
    #: Of a damaged journal the sums of what can be read.
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    unconfirmed: int = 0
    skipped: int = 0
    #: Read, and still to be sent or answered.
    pending: int = 0
    batches: int = 0
    batch_ids: int = 0
    pending_batches: int = 0
    possible_duplicates: int = 0
    rejected_by_reason: Mapping[str, int] = field(factory=dict)
    is_spooled: bool = False
    #: Whether everything the source gave is in the journal.
    source_ended: bool = False
    #: What is imported, and where rejects go, as far as the journal says.
    file: str | None = None
    rejects: str | None = None
    #: What is not as it was written; empty of a whole journal.
    damage: tuple[str, ...] = ()
    #: What whoever began it keeps with it.
    memo: Mapping[str, Any] = field(factory=dict, repr=False)
    #: What tells the source from others, as the journal knows it.
    identity: Mapping[str, Any] = field(factory=dict, repr=False)
    #: The config in its wire form.
    config: Mapping[str, Any] = field(factory=dict, repr=False)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to be sent or read."""
        return self.state is JournalState.FINISHED

    @property
    def is_begun(self) -> bool:
        return self.read > 0 or self.is_finished

    @property
    def is_commands(self) -> bool:
        """Whether the command began it, and can resume it."""
        return self.memo.get("by") == COMMAND

    @property
    def is_stream(self) -> bool:
        """Whether the command read what comes only once, such as standard input."""
        return bool(self.memo.get("is_stream"))

    @property
    def next(self) -> str:
        """What to do next."""
        if self.damage:
            return "it is not resumed: put a copy of it back, or import anew with another journal"
        match self.state:
            case JournalState.RUNNING:
                return f"process {self.pid} is at it"
            case JournalState.FINISHED:
                return "nothing is left to be sent"
        if not self.is_commands:
            return "make the same call again, with this journal"
        if not self.is_stream or self.source_ended:
            return self._resume
        if not self.read:
            return "nothing was read yet: give the same command again"
        rest = f"give {self.source_name} again from record {self.read:,} on (counted from 0), with another journal"
        return f"{self._resume}\n  then: {rest}" if self.pending else rest

    @property
    def source_name(self) -> str:
        """What is imported, as a sentence names it."""
        return "standard input" if self.file in {None, "-"} else f"{self.file}"

    @property
    def _resume(self) -> str:
        return f"asyncimport resume {shlex.quote(self.path)}"

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain JSON values, the moments in UTC, and `next`."""
        plain = {name: value for name, value in attrs.asdict(self, recurse=False).items() if name not in _HIDDEN}
        plain["rejected_by_reason"] = dict(self.rejected_by_reason)
        moments = {"started_at": _moment(self.started_ms), "changed_at": _moment(self.changed_ms)}
        return plain | {"state": self.state.value, "damage": list(self.damage)} | moments | {"next": self.next}

    def __str__(self) -> str:
        names = ("accepted", "rejected", "unconfirmed", "skipped", "pending")
        counted = [f"{getattr(self, name):,} {name}" for name in names]
        counts = " + ".join(count for count in counted if not count.startswith("0 ")) or "nothing yet"
        state = f"running, process {self.pid}" if self.state is JournalState.RUNNING else self.state.value
        lines = [
            f"{self.resource or 'unknown resource'}: {self.read:,} read = {counts}",
            f"  journal {self.path}: {state}",
        ]
        lines += [f"  damaged: {fault}" for fault in self.damage]
        lines += ["  the counts are of what can still be read"] if self.damage else []
        lines.append(f"  run {self.run_id or 'unknown'}, started {_said(self.started_ms)}")
        lines.append(f"  last change {_said(self.changed_ms)}")
        lines.append(
            f"  {many(self.batches, 'batch', 'batches')} ({self.pending_batches:,} pending), "
            f"{many(self.batch_ids, 'batch id', 'batch ids')}"
        )
        if self.possible_duplicates:
            lines.append(f"  {self.possible_duplicates:,} records may be there twice (sent again after no answer)")
        lines += [f"  rejected {count:,} x {reason}" for reason, count in self.rejected_by_reason.items()]
        if self.file is not None:
            lines.append(f"  of {self.source_name}{', spooled' if self.is_spooled else ''}")
        if self.rejects is not None:
            lines.append(f"  what is not accepted goes to {self.rejects}")
        return "\n".join([*lines, f"  next: {self.next}"])


def _moment(since_1970_ms: int) -> str | None:
    if not since_1970_ms:
        return None
    return datetime.fromtimestamp(since_1970_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _said(since_1970_ms: int) -> str:
    """A moment for people, to the second."""
    return f"{datetime.fromtimestamp(since_1970_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC" if since_1970_ms else "unknown"
