from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import canary
import pytest

from asyncimport.errors import JournalError
from asyncimport.journal.lock import JournalLock, holder_of

HOLDING = "import sys; from asyncimport.journal.lock import JournalLock; JournalLock(sys.argv[1]); print('held', flush=True); input()"


def test_one_holds_and_the_next_is_told_who(tmp_path: Path) -> None:
    journal = str(tmp_path / "a.journal")
    held = JournalLock(journal)
    assert holder_of(journal) == os.getpid()
    with canary.raises(JournalError, match=f"locked by process {os.getpid()}"):
        JournalLock(journal)
    assert stat.S_IMODE((tmp_path / "a.journal.lock").stat().st_mode) == 0o600
    held.release()
    held.release()
    assert holder_of(journal) is None
    assert list(tmp_path.iterdir()) == []
    JournalLock(journal).release()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    journal = str(tmp_path / "a.journal")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, journal], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == b"held\n"
        assert holder_of(journal) == one.pid
        with canary.raises(JournalError, match=f"locked by process {one.pid}"):
            JournalLock(journal)
        one.kill()
    assert holder_of(journal) is None
    JournalLock(journal).release()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.journal.lock").symlink_to(tmp_path / "elsewhere")
    with canary.raises(JournalError, match="cannot be locked"):
        JournalLock(str(tmp_path / "a.journal"))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("content", [b"", b"no number", b"\xff"])
def test_a_lock_file_left_behind_with_anything_in_it_is_taken(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.journal.lock").write_bytes(content)
    assert holder_of(str(tmp_path / "a.journal")) is None
    JournalLock(str(tmp_path / "a.journal")).release()
