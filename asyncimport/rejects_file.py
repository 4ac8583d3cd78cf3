"""The file of rejects: made before the first request, written by a thread of its own, for its owner's eyes alone."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from asyncimport.clock import Bell, Clock
from asyncimport.errors import ConfigError, JournalError
from asyncimport.rejects import Lines, Rejection

#: Rejections on their way to the disk, in bytes, before the run waits for it: some batches' worth.
MAX_PENDING_BYTES: Final = 8 * 1024 * 1024
#: How long a disk may hold up the end of a run, which waits for the source as long; and at least, when that took it all.
PATIENCE_S: Final = 5.0
_LEAST_S: Final = 0.5
#: Rejections written together: one flush each would cost more than the writing.
_TOGETHER: Final = 200
_MODE: Final = 0o600
#: Nothing that exists is opened, and no symbolic link followed: it might lead the people's data of the file elsewhere.
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


class RejectsFile:
    """Takes rejections on the loop and writes them in a thread. A file that stays empty is removed at the end."""

    def __init__(
        self, path: str | os.PathLike[str], lines: Lines, clock: Clock, failed: Callable[[Exception], None]
    ) -> None:
        """Make the file.

        Raises:
            ConfigError: it exists, or cannot be made.
        """
        self._path = os.fspath(path)
        self._lines = lines
        self._clock = clock
        #: Told the one error after which nothing more is written.
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._bell = Bell(clock)
        self._queue: queue.SimpleQueue[Rejection | None] = queue.SimpleQueue()
        self._pending_bytes = 0
        self._has_ended = False
        self._descriptor = _made(self._path)
        threading.Thread(target=self._write_all, name="asyncimport-rejects", daemon=True).start()

    def put(self, rejection: Rejection) -> None:
        """Hand a rejection over. Never waits."""
        if not self._has_ended:
            self._pending_bytes += rejection.size
            self._queue.put(rejection)

    async def room(self) -> None:
        """Wait while much is on its way to the disk.

        Cancellation: safe.
        """
        while self._pending_bytes > MAX_PENDING_BYTES and not self._has_ended:
            await self._bell.wait()

    async def aclose(self, until: float) -> None:
        """Write what is left, and close the file; a disk that takes longer than `until` (at least 0.5 s) is a failure.

        Cancellation: what is left is still written unless the process ends.
        """
        self._queue.put(None)
        until = max(until, self._clock.now() + _LEAST_S)
        while not self._has_ended:
            if self._clock.now() >= until:
                words = f"the disk does not take the rejects file {self._path} in time"
                self._failed(JournalError(f"{words}: lines of it are missing"))
                return
            await self._bell.wait(until)

    def _write_all(self) -> None:
        """The thread: to the end, or to the first error of the disk."""
        fault: Exception | None = None
        try:
            with open(self._descriptor, "wb") as file:  # noqa: PTH123 -- a descriptor, not a path
                for rejections in iter(self._taken, []):
                    for rejection in rejections:
                        file.writelines(self._lines.of(rejection))
                    file.flush()
                    self._tell(partial(self._written, sum(rejection.size for rejection in rejections)))
                if file.tell() == 0:
                    self._remove(os.fstat(file.fileno()))
        except Exception as error:  # noqa: BLE001 -- whatever it is, the run must hear of it
            fault = error
        self._tell(partial(self._end, fault))

    def _taken(self) -> list[Rejection]:
        """What waits to be written, up to `_TOGETHER`; nothing at the end."""
        taken = [self._queue.get()]
        with suppress(queue.Empty):
            while taken[-1] is not None and len(taken) < _TOGETHER:
                taken.append(self._queue.get_nowait())
        rejections = [each for each in taken if each is not None]
        if rejections and len(rejections) < len(taken):
            self._queue.put(None)  # the end comes after these
        return rejections

    def _remove(self, ours: os.stat_result) -> None:
        """Remove the file, unless another has taken its place."""
        with suppress(FileNotFoundError):
            if os.path.samestat(ours, os.stat(self._path, follow_symlinks=False)):  # noqa: PTH116 -- beside os.fstat
                Path(self._path).unlink()

    def _tell(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            return  # the loop was closed meanwhile: nobody listens any more

    def _written(self, size: int) -> None:
        self._pending_bytes -= size
        self._bell.ring()

    def _end(self, fault: Exception | None) -> None:
        self._has_ended = True
        if fault is not None:
            why = getattr(fault, "strerror", None) or type(fault).__name__
            words = f"the rejects file {self._path} cannot be written ({why})"
            self._failed(JournalError(f"{words}: what was rejected from there on is not in it"))
        self._bell.ring()


def _made(path: str) -> int:
    try:
        return os.open(path, _FLAGS, _MODE)
    except FileExistsError:
        fault = "exists already: name another file, or move it away"
    except FileNotFoundError:
        fault = "cannot be made: its folder does not exist"
    except OSError as error:
        fault = f"cannot be made ({error.strerror}): check the path and its permissions"
    raise ConfigError(f"the rejects file {path} {fault}")
