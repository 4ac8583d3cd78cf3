"""The file of rejects: made before the first request, written by a thread of its own, for its owner's eyes alone.

A run with a journal keeps its rejects there, and writes the file from it at its end, whole: so each record is in it
once, however often the run was killed and resumed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from asyncimport.errors import ConfigError, JournalError
from asyncimport.rejects import Lines, Rejection

_MODE: Final = 0o600
#: Nothing that exists is opened, and no symbolic link followed: it might lead the people's data of the file elsewhere.
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


class RejectsFile:
    """A book (`disk.py`) that takes rejections. A file that stays empty is removed at the end."""

    def __init__(self, path: str | os.PathLike[str], lines: Lines) -> None:
        self._path = os.fspath(path)
        self._lines = lines
        self._file: BinaryIO

    def open(self) -> None:
        """Make the file.

        Raises:
            ConfigError: it exists, or cannot be made.
        """
        self._file = open(made(self._path), "wb")  # noqa: SIM115 -- a descriptor; `close` closes it

    def write(self, things: Sequence[Rejection]) -> None:
        """Write the lines of rejections.

        Raises:
            JournalError: the disk does not take them.
        """
        try:
            for rejection in things:
                self._file.writelines(line.text for line in self._lines.of(rejection))
            self._file.flush()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the run must hear of it
            fault = error
        else:
            return
        raise _unwritten(self._path, fault, "what was rejected from there on is not in it")

    def close(self) -> None:
        """Close it, and remove it when nothing is in it."""
        with self._file:
            if self._file.tell() == 0:
                self._remove(os.fstat(self._file.fileno()))

    def abandon(self) -> None:
        """Close it as it is."""
        with suppress(OSError):
            self._file.close()

    def _remove(self, ours: os.stat_result) -> None:
        """Remove the file, unless another has taken its place."""
        with suppress(FileNotFoundError):
            if os.path.samestat(ours, os.stat(self._path, follow_symlinks=False)):  # noqa: PTH116 -- beside os.fstat
                Path(self._path).unlink()


def made(path: str) -> int:
    """Make a file that does not exist, and open it.

    Raises:
        ConfigError: it exists, or cannot be made.
    """
    try:
        return os.open(path, _FLAGS, _MODE)
    except FileExistsError:
        fault = "exists already: name another file, or move it away"
    except FileNotFoundError:
        fault = "cannot be made: its folder does not exist"
    except OSError as error:
        fault = f"cannot be made ({error.strerror}): check the path and its permissions"
    raise ConfigError(f"the rejects file {path} {fault}")


def check_replaceable(path: str, before: Mapping[str, Any]) -> dict[str, Any] | None:
    """Look whether a file of rejects can be written at the end of a run: it must not be there, or be as we left it.

    Its identity when it is there. `before` is that of the last we wrote, and under `replaced` that of the one before: a
    process that was killed may not have put the last in its place.

    Raises:
        ConfigError: it is there and another one, or was changed since (somebody may have repaired records in it), or
            its folder takes no file.
    """
    try:
        status = os.stat(path, follow_symlinks=False)  # noqa: PTH116
    except FileNotFoundError:
        if not os.path.lexists(_new(path)):
            os.close(made(_new(path)))
            Path(_new(path)).unlink()
        return None
    except OSError as error:
        raise ConfigError(f"the rejects file {path} cannot be made ({error.strerror}): check the path") from None
    found = identity_of(path, status)
    ours = [{key: known.get(key) for key in found} for known in (before, before.get("replaced") or {})]
    if found not in ours:
        fault = "was changed since this import wrote it" if before.get("path") == found["path"] else "exists already"
        raise ConfigError(f"the rejects file {path} {fault}: name another file, or move it away")
    return found


def identity_of(path: str, status: os.stat_result) -> dict[str, Any]:
    """What tells a file from another, and from itself after a change."""
    return {
        "path": os.path.realpath(Path(path).parent) + os.sep + Path(path).name,
        "inode": status.st_ino,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
    }


def write_whole(
    path: str, lines: Iterable[bytes], before: Mapping[str, Any], noted: Callable[[dict[str, Any]], None]
) -> None:
    """Write a file of rejects, which takes its place when it is whole; none when there are no lines.

    `before` is the identity of the one it replaces; `noted` is told its own before it takes its place.

    Raises:
        JournalError: the disk does not take it.
    """
    new = _new(path)
    try:
        Path(new).unlink(missing_ok=True)  # left by a process that was killed while it wrote it
        replaced = check_replaceable(path, before)
        with open(made(new), "wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
            status = os.fstat(file.fileno())
        if status.st_size:
            noted(identity_of(path, status) | {"replaced": replaced})
            Path(new).replace(path)
        else:
            Path(new).unlink()
            Path(path).unlink(missing_ok=True)
    except (OSError, ConfigError) as error:
        fault: Exception = error
    else:
        return
    raise _unwritten(path, fault, "the journal has what was rejected; resume the run to have the file written")


def _new(path: str) -> str:
    return str(Path(path).with_name(f".{Path(path).name}.asyncimport-new"))


def _unwritten(path: str, error: Exception, consequence: str) -> JournalError:
    why = getattr(error, "strerror", None) or type(error).__name__
    return JournalError(f"the rejects file {path} cannot be written ({why}): {consequence}")
