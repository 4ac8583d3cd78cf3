"""Whether a journal and a call belong to the same import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from asyncimport.errors import JournalError
from asyncimport.journal.known import Known, Run

#: What a fingerprint holds, and how a message names it.
PARTS: Final = {
    "resource": "the resource",
    "config": "the config",
    "url": "the address",
    "kind": "the kind of source",
    "reading": "how the source is read (its format, header or mapping)",
    "source_id": "source_id",
    "spool": "spool",
    "order_by": "order_by",
    "deduplicate": "deduplicate",
    "uuid_from": "uuid_from",
    "before_send": "whether there is a before_send",
}
#: Of a file: when these are as they were, so is its content.
CONTENT: Final = ("size", "mtime_ns", "version")


def check_same(path: str, known: Known, wanted: Run, source: Mapping[str, Any]) -> None:
    """Compare a journal with what a call wants to import.

    Raises:
        JournalError: it is of another import, or of one that has ended and whose file has changed since.
    """
    before, now = known.run.fingerprint, wanted.fingerprint
    different = [words for part, words in PARTS.items() if before.get(part) != now.get(part)]
    if different:
        verb = "differs" if len(different) == 1 else "differ"
        raise JournalError(
            f"the journal {path} belongs to another import: {' and '.join(different)} {verb}. "
            "Name another journal, or move this one away"
        )
    if known.is_new and not known.is_finished:
        return
    has_changed = bool(known.source) and not is_unchanged(known.source, source)
    if has_changed and known.is_finished:
        raise JournalError(
            f"the journal {path} is of an import that has ended, and the file has changed since: "
            "name another journal to import it anew"
        )
    if has_changed and known.run.is_spooled:  # what was spooled and sent cannot be compared any more
        raise JournalError(
            f"the journal {path} is of a spooled import of this file, which has changed since: "
            "give the file as it was, or name another journal"
        )


def is_unchanged(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a file is as it was; False of what is no file."""
    has_version = "mtime_ns" in before or "version" in before
    return "size" in before and has_version and all(before.get(part) == now.get(part) for part in CONTENT)
