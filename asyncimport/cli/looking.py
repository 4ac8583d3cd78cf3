"""A look at a journal as the command takes it: on stdout what it says, and an exit code."""

from __future__ import annotations

import os
from pathlib import Path

import orjson

from asyncimport.cli.errors import EXIT_INCOMPLETE
from asyncimport.cli.output import say, tell
from asyncimport.journal.inspection import read_status


def show_status(journal: Path, *, as_json: bool) -> int:
    """Print where a journal's run stands; 0 when all of it could be read, 3 when it is damaged.

    Raises:
        JournalError: nothing of it can be read.
    """
    status = read_status(os.fspath(journal))
    say(orjson.dumps(status.to_dict()).decode() if as_json else f"{status}", is_prose=not as_json)
    if not status.damage:
        return 0
    tell(f"error: the journal {status.path} is damaged: {'; '.join(status.damage)}")
    return EXIT_INCOMPLETE
