"""One process at a time: a lock that the system drops when its holder ends, however it ends."""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import suppress
from typing import Final

from asyncimport.errors import JournalError

if sys.platform != "win32":  # which has no flock: two processes on one journal are not noticed there
    import fcntl

_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MODE: Final = 0o600
_NO_LOCKS: Final = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
#: Another process may remove the file between our opening and our locking it, but not for ever.
_TRIES: Final = 20
#: Whoever asks for the holder holds the lock himself, for an instant.
_MOMENTS: Final = 5
_MOMENT_S: Final = 0.02


class JournalLock:
    """Held from construction to `release`: flock on `<journal>.lock`, a file that holds the process id."""

    def __init__(self, journal: str) -> None:
        """Take the lock.

        Raises:
            JournalError: another process or run holds it, or there can be no lock.
        """
        self._path = f"{journal}.lock"
        self._descriptor = _locked(journal, self._path)

    def release(self) -> None:
        """Let go, and remove the file. Idempotent; raises nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108 -- beside os.open; ours, as long as it is locked
            os.close(descriptor)


def holder_of(journal: str) -> int | None:
    """The process that holds the journal now; None when none does."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = os.open(f"{journal}.lock", os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _pid_in(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _locked(journal: str, path: str) -> int:
    for _ in range(_TRIES):
        try:
            descriptor = os.open(path, _FLAGS, _MODE)
        except OSError as error:
            fault = f"cannot be locked: {path} cannot be made ({error.strerror}): check the folder and its permissions"
            break
        fault = _flock(descriptor)
        if not fault and _is_still_there(descriptor, path):
            fault = _signed(descriptor)
            if not fault:
                return descriptor
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108 -- locked, so ours
        os.close(descriptor)
        if fault:
            break
    else:
        fault = "cannot be locked: its lock file is removed again and again"
    raise JournalError(f"the journal {journal} {fault}")


def _signed(descriptor: int) -> str:
    """Write down who holds the lock; the words for why that cannot be."""
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    except OSError as error:
        return f"cannot be locked ({error.strerror}): check the folder and the disk"
    return ""


def _flock(descriptor: int) -> str:
    """Lock; the words for why that cannot be."""
    if sys.platform == "win32":
        return ""
    for _ in range(_MOMENTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_MOMENT_S)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return "lies on a file system without locks, where two imports could write it: put it on a local disk"
            return f"cannot be locked ({error.strerror})"
        else:
            return ""
    pid = _pid_in(descriptor)
    return f"is in use: it is locked by process {pid or 'unknown'}. Let that one end, or name another journal"


def _is_still_there(descriptor: int, path: str) -> bool:
    """Whether the file locked is the one that others would lock: its last holder removes it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))  # noqa: PTH116
    except OSError:
        return False


def _pid_in(descriptor: int) -> int | None:
    with suppress(OSError, ValueError):
        return int(os.pread(descriptor, 20, 0))
    return None
