"""Where the value of a file source reads: a file, opened anew for each iteration, or a stream, which comes once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define

from asyncimport.errors import ConfigError
from asyncimport.sources.input import Input, is_stream, name_of, opened
from asyncimport.sources.raw import Damaged


@define(eq=False)
class Origin:
    """A file, or a stream that is open until one iteration has taken it."""

    path: str
    #: As it lies on the disk, packed or not; None of a pipe.
    size_bytes: int | None
    _stream: Input | None
    _is_taken: bool = False

    @property
    def name(self) -> str:
        """As messages name it."""
        return name_of(self.path)

    @property
    def is_stream(self) -> bool:
        """Whether it can be read once only."""
        return self._stream is not None

    def content(self) -> dict[str, int]:
        """What tells whether a file is as it was: its size and its time of change; nothing of a stream.

        Raises:
            ConfigError: it is not there any more.
        """
        if self.is_stream:
            return {}
        try:
            status = Path(self.path).stat()
        except OSError as error:
            raise ConfigError(f"{self.name} cannot be looked at ({error.strerror}): check the path") from None
        return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}

    def opened(self) -> Input:
        """Open it for an iteration.

        Raises:
            ConfigError: it can no longer be opened, or is a stream that was read already.
        """
        if self._stream is None:
            return opened(self.path)
        if self._is_taken:
            raise ConfigError(f"{self.name} was read already and comes only once: save it as a file to read it again")
        self._is_taken = True
        return self._stream

    @contextmanager
    def first_lines(self) -> Iterator[Iterator[bytes]]:
        """Look at the first lines, which an iteration gives again; those of a stream are held until then.

        Raises:
            ConfigError: the file cannot be read that far.
        """
        file = self._stream or opened(self.path)
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


def origin_of(path: str) -> Origin:
    """Open a file or stream for the first time.

    Raises:
        ConfigError: as `opened`.
    """
    file = opened(path)
    if is_stream(path):
        return Origin(path, file.size_bytes, file)
    file.close()
    return Origin(path, file.size_bytes, None)


def _kept(lines: Iterable[bytes], seen: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        seen.append(line)
        yield line
