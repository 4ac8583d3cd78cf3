"""The lines of a file as bytes, of bounded length, and the errors of opening it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Final

from asyncimport.errors import ConfigError
from asyncimport.unreadable import Unreadable

#: The longest line that is read, in bytes. No request takes as much (DESIGN.md: 1 MB a batch): such a line is damage.
LINE_CAP: Final = 16 * 2**20
#: Stands for a line above the cap, which is skipped; no line of a file is empty, each but the last has its end.
TOO_LONG: Final = b""
LONG_LINE: Final = Unreadable(rule=f"is longer than {LINE_CAP // 2**20} MiB: look for a missing line end or quote")

_BUFFER_BYTES: Final = 2**18
#: The first bytes of what is given by mistake, and what to do with it.
_NO_TEXT: Final = {
    b"\x1f\x8b": "is compressed by gzip: unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd: unpack it first",
    b"PK\x03\x04": "is a zip archive or an Excel workbook: unpack it, or save it as CSV UTF-8",
    b"PAR1": "is a Parquet file: read it as such, or save it as CSV UTF-8",
    b"\xff\xfe": "is UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text: save it as UTF-8",
}


def path_of(path: str | os.PathLike[str]) -> str:
    """The path as text.

    Raises:
        ConfigError: neither str nor os.PathLike[str].
    """
    if isinstance(path, str | os.PathLike):
        name = os.fspath(path)
        if isinstance(name, str):
            return name
    raise ConfigError(f"a file is given by its path, as str or os.PathLike[str], not by {type(path).__name__}")


def opened(path: str) -> BufferedReader:
    """Open a file for `lines_of`.

    Raises:
        ConfigError: it cannot be opened, is no regular file, or begins as no text file does.
    """
    try:
        mode = Path(path).stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe can be read once only, and opening one may wait for ever
            what = "is a directory" if stat.S_ISDIR(mode) else "is no regular file"
            raise ConfigError(f"{path} {what}: give the path of one file")
        file: BufferedReader = BufferedReader(FileIO(path), _BUFFER_BYTES)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist: check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path} cannot be opened ({reason}): check the path and its permissions") from error
    _refuse_no_text(path, file)
    return file


def _refuse_no_text(path: str, file: BufferedReader) -> None:
    start = file.peek(4)
    for magic, what in _NO_TEXT.items():
        if start.startswith(magic):
            file.close()
            raise ConfigError(f"{path} {what}")


def lines_of(file: BufferedReader) -> Iterator[bytes]:
    """The lines with their ends, in order; `TOO_LONG` for each above `LINE_CAP`. Never holds more than one."""
    for line in iter(partial(file.readline, LINE_CAP + 1), b""):
        if len(line) <= LINE_CAP:
            yield line
        else:
            if not line.endswith(b"\n"):
                _skip_line(file)
            yield TOO_LONG


def _skip_line(file: BufferedReader) -> None:
    for piece in iter(partial(file.readline, _BUFFER_BYTES), b""):
        if piece.endswith(b"\n"):
            return


def not_decodable(error: UnicodeDecodeError) -> Unreadable:
    """The rule for a line whose bytes are no text of its encoding."""
    return Unreadable(rule=f"is no {error.encoding} text: byte {error.start + 1} of the line cannot be decoded")
