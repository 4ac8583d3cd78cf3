"""A journal as a run wrote it with every state its commits went through, and what holds of its files when they are damaged."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import journals
from journals import FRAME_BYTES, WAL_HEADER_BYTES, Told
from scripted import ScriptedTransport, Sent

from asyncimport import JournalError
from asyncimport.attempt import Attempt
from asyncimport.journal.known import Run

#: The words of every refusal say what is wrong, in one of these ways.
REASONS = (
    "is damaged",
    "is no journal",
    "newer version",
    "older version",
    "has lost its tables",
    "cannot be opened",
    "cannot be read",
    "is empty",
    "belongs to another import",
)


class Whole:
    """A journal as it was written, and every state that its commits went through."""

    def __init__(self, run: Run, main: bytes, wal: bytes, folder: Path) -> None:
        self.run = run
        self.main = main
        self.wal = wal
        self.folder = folder
        self.states: list[Told] = []

    def __repr__(self) -> str:
        return f"<a journal of {len(self.main):,} bytes with a log of {len(self.wal):,}>"

    def put(self, main: bytes, wal: bytes) -> Path:
        """The files of a journal that something has happened to."""
        journal = self.folder / "copy" / "journal"
        shutil.rmtree(journal.parent, ignore_errors=True)
        journal.parent.mkdir()
        journal.write_bytes(main)
        if wal:
            Path(f"{journal}-wal").write_bytes(wal)
        return journal

    def is_refused_or_true(self, main: bytes, wal: bytes) -> bool:
        """What every test here holds of files that are not as they were written."""
        try:
            found = journals.told(self.put(main, wal), self.run)
        except JournalError as error:
            return any(reason in str(error) for reason in REASONS)
        return found in self.states


def written(folder: Path, source: list[Any], *, copy_at: int | None, keeps_log: bool, **options: Any) -> Whole:
    """Import people of whom some are refused here, some by the platform, and some are lost on their way.

    What is kept is the journal at its end, or as it was copied at an answer, with its log or with that folded into it.
    """
    folder.mkdir(exist_ok=True)
    journal, last = folder / "journal", folder / "last" / "journal"

    def reply(sent: Sent) -> Attempt:
        if copy_at is not None and len(transport.posts) >= copy_at and not last.exists():
            journals.copied(journal, last)
        return journals.like_a_platform(sent)

    transport = ScriptedTransport(otherwise=reply, delay_s=0.001)
    asyncio.run(journals.imported(source, journal, transport, **options))
    run = journals.look(journal).run
    kept = journal if copy_at is None else last
    if not keeps_log:
        fold(kept)
    wal = Path(f"{kept}-wal").read_bytes() if keeps_log else b""
    whole = Whole(run=run, main=kept.read_bytes(), wal=wal, folder=folder)
    for end in range(WAL_HEADER_BYTES if wal else 0, len(wal) + 1, FRAME_BYTES):
        state = journals.told(whole.put(whole.main, wal[:end]), run)
        whole.states.extend([] if state in whole.states else [state])
    return whole


def fold(journal: Path) -> None:
    """Fold the log of a journal into its file."""
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
