"""From the options of a call to its journal, and from what that knows to where the source and the counts begin."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from asyncimport.clock import Clock
from asyncimport.disk import DiskWriter
from asyncimport.errors import ConfigError
from asyncimport.intake import Intake
from asyncimport.journal.file import JournalFile
from asyncimport.journal.fingerprint import CONTENT, is_unchanged
from asyncimport.journal.journal import Journal
from asyncimport.journal.known import Known, Run
from asyncimport.mark import Identified
from asyncimport.options import Options
from asyncimport.outcome import Tally
from asyncimport.parts import Call
from asyncimport.reader import MAX_AHEAD
from asyncimport.rejects import Lines, Rejection
from asyncimport.rejects_file import RejectsFile


def run_of(url: str, call: Call, *, started_ms: int) -> Run:
    """Which run a call is, if it has no journal that knows better.

    Raises:
        ConfigError: the source comes only once, and the journal does not keep what it gives.
    """
    options = call.options
    if options.journal is not None and not options.spool and _comes_once(call.source):
        raise ConfigError(
            "a pipe or standard input cannot be read again after a crash: give spool=True too, or save it as a file"
        )
    fingerprint = {
        "resource": call.resource.name,
        "config": call.config.to_wire(),
        "url": url,
        "kind": "records",
        "source_id": options.source_id,
        "spool": options.spool,
    }
    read = {part: value for part, value in _identity_of(call.source).items() if part not in CONTENT}
    return Run(
        run_id=secrets.token_hex(10),
        started_ms=started_ms,
        resource=call.resource.name,
        fingerprint=fingerprint | options.treatment.fingerprint() | read,
        is_spooled=options.spool,
        memo=options.memo or {},
    )


def journal_of(
    call: Call,
    wanted: Run,
    clock: Clock,
    *,
    planned: Callable[[Sequence[int]], None],
    failed: Callable[[Exception], None],
) -> Journal | None:
    """The journal that a call asks for, not open yet."""
    options = call.options
    if options.journal is None:
        return None
    content = {part: value for part, value in _identity_of(call.source).items() if part in CONTENT}
    return Journal(
        JournalFile(_absolute(options.journal), wanted, content, partial(_lines_of, call)),
        clock,
        on_unknown=options.on_unknown,
        rejects=None if options.rejects is None else _absolute(options.rejects),
        planned=planned,
        failed=failed,
    )


def rejects_of(
    call: Call, run: Run, clock: Clock, *, failed: Callable[[Exception], None]
) -> DiskWriter[Rejection] | None:
    """The file of rejects that a call without a journal asks for, not open yet."""
    if call.options.rejects is None:
        return None
    return DiskWriter(
        "rejects", RejectsFile(_absolute(call.options.rejects), _lines_of(call, run)), clock, failed=failed
    )


def _absolute(path: str | os.PathLike[str]) -> str:
    """The path as it is meant now, whatever folder the program goes to; links are not followed."""
    return str(Path(path).absolute())


def _lines_of(call: Call, run: Run) -> Lines:
    return Lines(
        resource=call.resource.name,
        run_id=run.run_id,
        params=call.config.to_wire(),
        is_stamped=call.resource.is_stamped,
        makes_uuid=not call.options.uuid_from,
        time_ms=run.started_ms if is_repeatable(call.options) else None,
    )


def is_repeatable(options: Options) -> bool:
    """Whether the source is read again after a crash: a missing `time` must then be the same each time."""
    return options.journal is not None and not options.spool


def start_of(source: Any, known: Known, options: Options) -> tuple[Any, int]:
    """What to read of the source, and the position of its first record.

    A file is sought, unless what stands before must be known to tell which of its records were seen.
    """
    if known.run.is_spooled:
        return source, 0 if can_be_read_again(source) else known.sums.read
    if options.deduplicate:
        return source, 0
    if known.mark is not None and isinstance(source, Identified) and is_unchanged(known.source, source.identity()):
        return source.starting_at(known.mark), known.mark.position
    return source, 0


def is_at_end(source: object, known: Known) -> bool:
    """Whether nothing of the source is read any more: it has ended, or is a pipe whose first part went to another process."""
    return known.has_source_ended or (_comes_once(source) and not known.is_new)


def can_be_read_again(source: object) -> bool:
    """Whether a source is known to begin anew with each call."""
    return isinstance(source, list | tuple) or (isinstance(source, Identified) and not source.is_stream)


def _comes_once(source: object) -> bool:
    return isinstance(source, Identified) and source.is_stream


def _identity_of(source: object) -> Mapping[str, Any]:
    return source.identity() if isinstance(source, Identified) else {}


def is_unknown(call: Call) -> bool:
    """Whether only its records tell a source from another: it is no file, and the caller does not name it."""
    return not (isinstance(call.source, Identified) or call.options.spool or call.options.source_id)


def begin_tally(tally: Tally, known: Known, source: object, now: float) -> None:
    """Count on from what earlier processes did."""
    tally.restore(known.sums, now)
    tally.source_ended = known.has_source_ended or known.is_finished
    tally.possibly_lost = known.possibly_lost
    comes_on = known.run.is_spooled and not can_be_read_again(source) and not isinstance(source, Intake)
    if comes_on and known.was_killed and not known.has_source_ended:
        tally.possibly_lost += MAX_AHEAD
