"""What a journal knows when it is opened: which run it is of, and how far that came."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from asyncimport.journal.entry import Entry
from asyncimport.mark import Mark
from asyncimport.outcome import Sums


class Session(StrEnum):
    """How the last process that wrote the journal left it; RUNNING is one that goes on or was killed."""

    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"


@frozen(kw_only=True)
class Run:
    """Which import a journal is of. On disk before the first request."""

    run_id: str
    #: Wall clock in milliseconds since 1970.
    started_ms: int
    resource: str
    #: What must be the same when it is resumed, by names that messages use.
    fingerprint: Mapping[str, Any]
    is_spooled: bool
    #: The caller's own, kept with it.
    memo: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Known:
    """The state of a journal as it was found."""

    run: Run
    session: Session
    sums: Sums = field(factory=Sums)
    #: Batches to be sent, by number; never more than a window and a hop.
    pending: tuple[Entry, ...] = ()
    next_number: int = 0
    #: The position after the last batch's last record.
    end: int = 0
    #: Where the source can go on so that all pending batches come again; None at its beginning.
    mark: Mark | None = None
    #: Marks of batches with lower numbers are of a file that is not there any more.
    marks_from: int = 0
    #: The source as it was: `size` and `mtime_ns` of a file, `size` and `version` of a remote one.
    source: Mapping[str, Any] = field(factory=dict)
    #: Whether the source had come to its end, everything it gave being on disk.
    has_source_ended: bool = False
    #: The file of rejects as it was last written: path, and what tells it from another.
    rejects_file: Mapping[str, Any] = field(factory=dict)
    changed_ms: int = 0
    #: What kills of earlier processes may have cost a spooled source, all together.
    possibly_lost: int = 0

    @property
    def is_new(self) -> bool:
        """Whether nothing was read by an earlier process."""
        return not self.sums.read

    @property
    def is_finished(self) -> bool:
        return self.session is Session.FINISHED

    @property
    def was_killed(self) -> bool:
        """Whether the process before did not come to an end of its own."""
        return self.session is Session.RUNNING

    @property
    def is_untouched(self) -> bool:
        """Whether nothing of it can have reached the platform, and nothing is in it that could not be had again."""
        was_sent = self.sums.batches > len(self.pending) or any(entry.is_open for entry in self.pending)
        return not (was_sent or self.was_killed or self.is_finished or self.run.is_spooled)
