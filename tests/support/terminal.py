"""A pseudo-terminal for tests: a command on it, what stands on its screen, keys, and its size."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import pyte

#: Makes the pseudo-terminal the controlling one, so that Ctrl-C is a signal, and becomes the command.
_ENTER = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
CTRL_C = "\x03"


class Terminal:
    """`async with Terminal(command, ...) as terminal`: stdin, stdout and stderr of the command are a terminal.

    `stdout` may be another descriptor, as after `> file`. `seen` has every distinct screen, in order, as it stood after
    each read; a read may end within a frame.
    """

    def __init__(
        self,
        *command: str,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
        stdout: int | None = None,
    ) -> None:
        self._command, self._stdout = command, stdout
        self._env = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        for name in ("COLUMNS", "LINES"):  # the terminal has a size of its own
            self._env.pop(name, None)
        self._env |= env or {}
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self.seen: list[str] = []
        self.raw = bytearray()
        self._news = asyncio.Event()
        self._is_over = False

    async def __aenter__(self) -> Self:
        self._fd, inside = pty.openpty()
        termios.tcsetwinsize(self._fd, (self.screen.lines, self.screen.columns))
        try:
            self.process = subprocess.Popen(  # noqa: ASYNC220 -- forks and returns
                [sys.executable, "-c", _ENTER, *self._command],
                stdin=inside,
                stdout=inside if self._stdout is None else self._stdout,
                stderr=inside,
                env=self._env,
                start_new_session=True,
            )
        finally:
            os.close(inside)
        asyncio.get_running_loop().add_reader(self._fd, self._read)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        await asyncio.to_thread(self.process.wait)
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 65_536)
        except OSError:  # Linux says so when nobody has the other end open any more
            data = b""
        if not data:
            self._is_over = True
            asyncio.get_running_loop().remove_reader(self._fd)
        self.raw += data
        self._stream.feed(data)
        if not self.seen or self.seen[-1] != self.text:
            self.seen.append(self.text)
        self._news.set()

    @property
    def lines(self) -> list[str]:
        """The screen's lines without blanks at their ends, and without empty ones at its end."""
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    async def until(self, holds: Callable[[str], bool], within_s: float = 30.0) -> str:
        """Wait until the screen is such, and return it."""
        try:
            async with asyncio.timeout(within_s):
                while not holds(self.text):
                    if self._is_over:
                        raise AssertionError(f"the command ended, and its screen is:\n{self.text}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s; the screen is:\n{self.text}") from None
        return self.text

    async def shows(self, words: str, within_s: float = 30.0) -> str:
        """Wait until these words stand on the screen, and return it."""
        return await self.until(lambda text: words in text, within_s)

    async def ended(self, within_s: float = 60.0) -> int:
        """Wait until the command has ended and all it wrote was read; its exit code."""
        async with asyncio.timeout(within_s):
            while not self._is_over:
                self._news.clear()
                await self._news.wait()
        return await asyncio.to_thread(self.process.wait)

    def send(self, keys: str | bytes) -> None:
        os.write(self._fd, keys if isinstance(keys, bytes) else keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Change the size, as dragging the window's corner does; the screen cuts lines off, it does not reflow."""
        self.screen.resize(rows, columns)
        termios.tcsetwinsize(self._fd, (rows, columns))
