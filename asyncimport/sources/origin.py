"""Where the value of a file source reads: a file, opened anew for each iteration, or a stream, which comes once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

from attrs import define, frozen

from asyncimport.errors import ConfigError
from asyncimport.sources.counted import Counted
from asyncimport.sources.handed import handed_of, is_handed, is_url, needs_file, remote_of
from asyncimport.sources.input import Input, is_stream, name_of, opened, path_of, raw_of
from asyncimport.sources.raw import Damaged

#: What may be given as a file: a path, a URL, an open binary file object or what `fsspec.open` returns.
File = str | os.PathLike[str] | Any


class Opening(Protocol):
    """What a user names as a file."""

    @property
    def path(self) -> str:
        """By whose ending the format may be told; empty where there is none."""

    @property
    def name(self) -> str:
        """As messages name it."""

    @property
    def is_strict(self) -> bool:
        """Whether an ending that is not known is an error; else the content tells."""

    @property
    def comes_once(self) -> bool:
        """Whether it can be read once only."""

    def opened(self) -> Input:
        """Open it.

        Raises:
            ConfigError: it cannot be opened, or begins as no text does.
        """

    def anywhere(self) -> Counted:
        """Open it to be read anywhere in it, whatever is in it.

        Raises:
            ConfigError: it cannot be opened, or comes only once.
        """

    def content(self) -> dict[str, int | str]:
        """What tells whether it is as it was: its size, and its time of change or its version; nothing where none tells.

        Raises:
            ConfigError: it is not there any more.
        """


@frozen(eq=False)
class OnDisk:
    """A path: of a file, a named pipe or standard input."""

    path: str

    @property
    def name(self) -> str:
        return name_of(self.path)

    @property
    def is_strict(self) -> bool:
        return not self.comes_once

    @property
    def comes_once(self) -> bool:
        return is_stream(self.path)

    def opened(self) -> Input:
        return opened(self.path)

    def anywhere(self) -> Counted:
        if not self.comes_once:
            raw, size_bytes = raw_of(self.path)
            if isinstance(raw, FileIO) and size_bytes is not None:
                return Counted(raw, size_bytes, raw.close)
        raise needs_file(self.name)

    def content(self) -> dict[str, int | str]:
        try:
            status = Path(self.path).stat()
        except OSError as error:
            raise ConfigError(f"{self.name} cannot be looked at ({error.strerror}): check the path") from None
        return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def opening_of(file: File) -> Opening:
    """What a user names as a file; not opened yet.

    Raises:
        ConfigError: it is none, was opened as text or for writing, or its URL cannot be opened here.
    """
    if is_handed(file):
        return handed_of(file)
    path = path_of(file)
    return remote_of(path) if is_url(path) else OnDisk(path)


@define(eq=False)
class Origin:
    """A file, or a stream that is open until one iteration has taken it."""

    _opening: Opening
    #: As it lies on the disk, packed or not; None of a pipe.
    size_bytes: int | None
    _stream: Input | None
    _is_taken: bool = False

    @property
    def path(self) -> str:
        """As it was given; empty of an object that has none."""
        return self._opening.path

    @property
    def name(self) -> str:
        """As messages name it."""
        return self._opening.name

    @property
    def is_stream(self) -> bool:
        """Whether it can be read once only."""
        return self._stream is not None

    def content(self) -> dict[str, int | str]:
        """What tells whether a file is as it was: its size, and its time of change or its version; nothing of a stream.

        Raises:
            ConfigError: it is not there any more.
        """
        return {} if self.is_stream else self._opening.content()

    def opened(self) -> Input:
        """Open it for an iteration.

        Raises:
            ConfigError: it can no longer be opened, or is a stream that was read already.
        """
        if self._stream is None:
            return self._opening.opened()
        if self._is_taken:
            raise ConfigError(f"{self.name} was read already and comes only once: save it as a file to read it again")
        self._is_taken = True
        return self._stream

    def anywhere(self) -> Counted:
        """Open it to be read anywhere in it.

        Raises:
            ConfigError: it can no longer be opened, or comes only once.
        """
        return self._opening.anywhere()

    @contextmanager
    def first_lines(self) -> Iterator[Iterator[bytes]]:
        """Look at the first lines, which an iteration gives again; those of a stream are held until then.

        Raises:
            ConfigError: the file cannot be read that far.
        """
        file = self._stream or self._opening.opened()
        seen: list[bytes] = []
        fault = ""
        try:
            yield _kept(file.lines(), seen)
        except Damaged as error:
            fault = f", {error}"
        except OSError as error:
            fault = f" ({error.strerror})"
        finally:
            if self.is_stream:
                file.give_back(seen)
            else:
                file.close()
        if fault:
            raise ConfigError(f"{self.name} cannot be read{fault}")


def origin_of(opening: Opening) -> Origin:
    """Open a file or stream for the first time.

    Raises:
        ConfigError: as `Opening.opened`.
    """
    file = opening.opened()
    if opening.comes_once:
        return Origin(opening, file.size_bytes, file)
    file.close()
    return Origin(opening, file.size_bytes, None)


def _kept(lines: Iterable[bytes], seen: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        seen.append(line)
        yield line
