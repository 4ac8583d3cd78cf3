"""A file or stream opened for reading: its lines, unpacked, and the errors of opening it and of reading on."""

from __future__ import annotations

import codecs
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from io import BufferedReader, FileIO
from itertools import chain
from pathlib import Path
from typing import Final

from asyncimport.errors import ConfigError, SourceError
from asyncimport.sources.gunzip import GZIP_MAGIC, Gunzip
from asyncimport.sources.lines import lines_of
from asyncimport.sources.pipe import Pipe
from asyncimport.sources.raw import START_BYTES, Damaged, Interrupted, Raw

#: The path that stands for standard input.
STDIN: Final = "-"
_STDIN_DESCRIPTOR: Final = 0
_BUFFER_BYTES: Final = 2**18
#: A frame, and the sixteen kinds of frames that are to be skipped (RFC 8878).
_ZSTD_MAGICS: Final = (b"\x28\xb5\x2f\xfd", *(bytes((low,)) + b"\x2a\x4d\x18" for low in range(0x50, 0x60)))
#: The byte order mark of UTF-8 and that of GB18030; neither begins a text in any other way.
_BOMS: Final = (codecs.BOM_UTF8, b"\x84\x31\x95\x33")
#: The first bytes of what is given by mistake, and what to do with it.
_NO_TEXT: Final = {
    GZIP_MAGIC: "is compressed once more, by gzip: unpack it once",
    **dict.fromkeys(_ZSTD_MAGICS, "is compressed once more, by zstd: unpack it once"),
    b"BZh": "is compressed by bzip2: unpack it first",
    b"\xfd7zX": "is compressed by xz: unpack it first",
    b"PK\x03\x04": "is a zip archive or an Excel workbook: unpack it, or save it as CSV UTF-8",
    b"PAR1": "is a Parquet file: give the format parquet, or use read_parquet",
    b"ARROW1": "is an Arrow file: give the format arrow, or use read_arrow",
    b"\xff\xfe": "is UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text: save it as UTF-8",
}


class Input:
    """One reading of a file or stream; a byte order mark at its start is passed over."""

    def __init__(self, name: str, raw: FileIO | Raw, size_bytes: int | None) -> None:
        """Begin.

        Raises:
            ConfigError: it begins as no text does.
        """
        self.name = name
        #: What is to be read, as it lies on the disk; None of a pipe.
        self.size_bytes = size_bytes
        #: A FileIO itself, no class of ours: BufferedReader then checks whether it is closed at no cost in each line.
        self._raw = raw
        self._lock = threading.Lock()
        self._bytes_read = 0
        #: Bytes that were passed over by seeking.
        self._sought = 0
        self._file: BufferedReader = BufferedReader(raw, _BUFFER_BYTES)
        fault = self._unpack()
        if fault:
            self.close()
            raise ConfigError(f"{name} {fault}")
        self._lines: Iterator[bytes] = lines_of(self._file)

    def _unpack(self) -> str | None:
        """See what it is, and unpack it; the words for what cannot be read."""
        try:
            start = self._file.peek(START_BYTES)
            if start.startswith(GZIP_MAGIC):
                self._file = BufferedReader(Gunzip(self._file), _BUFFER_BYTES)
            elif start.startswith(_ZSTD_MAGICS):
                self._file = BufferedReader(_unzstd(self._file), _BUFFER_BYTES)
            start = self._file.peek(START_BYTES)
            for bom in _BOMS:
                if start.startswith(bom):
                    self._file.read(len(bom))
        except ImportError:
            return 'is compressed by zstd: pip install "asyncimport[zstd]" to have it unpacked, or unpack it first'
        except Damaged as error:
            return f"cannot be read, {error}"
        except OSError as error:
            return f"cannot be read ({error.strerror}): check the path and its permissions"
        return next((what for magic, what in _NO_TEXT.items() if start.startswith(magic)), None)

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the disk, object or pipe, of a packed file the packed ones; for any thread."""
        with self._lock:  # a descriptor that is closed meanwhile may be that of another file
            if isinstance(self._raw, Raw):
                return self._raw.bytes_read
            return self._bytes_read if self._raw.closed else self._raw.tell() - self._sought

    @property
    def bytes_passed(self) -> int:
        """Bytes of the whole that lie behind, those passed over by seeking among them; for any thread."""
        return self.bytes_read + self._sought

    @property
    def is_closed(self) -> bool:
        return self._file.closed

    def tell(self) -> int | None:
        """The byte at which the next line begins; None of what cannot be sought in: a pipe, what is packed."""
        can_seek = self._file.raw is self._raw and not self._file.closed and self._raw.seekable()
        return self._file.tell() if can_seek else None

    def seek(self, offset: int) -> None:
        """Go on at a byte that `tell` told."""
        with self._lock:
            before = self._raw.tell()
            self._file.seek(offset)
            self._sought += self._raw.tell() - before

    def lines(self) -> Iterator[bytes]:
        """The lines yet to come, as `lines_of`.

        Raises:
            Damaged, OSError: the file cannot be read on; the lines before have been given.
            Interrupted: `interrupt` was called.
        """
        return self._lines

    def give_back(self, lines: Sequence[bytes]) -> None:
        """Let the lines that were just read come again."""
        self._lines = chain(lines, self._lines)

    def failed(self, error: Damaged | OSError | Interrupted, line: int) -> SourceError:
        """The error for a reading that came to no end: `line` is the last that was read."""
        match error:
            case Damaged():
                lost = SourceError(f"{self.name}: {error.what} after line {line:,}: {error.advice}")
                lost.__cause__ = error.__cause__
                return lost
            case Interrupted():
                return SourceError(f"{self.name}: the reading was interrupted after line {line:,}")
            case _:
                why = error.strerror or type(error).__name__
                return SourceError(f"{self.name}: cannot be read on after line {line:,} ({why}): check the disk")

    def interrupt(self) -> None:
        """Let a read that waits for a pipe, and any further one, raise `Interrupted`; at any time, by any thread, again.

        A file on a disk lets nobody wait, and is read on.
        """
        if isinstance(self._raw, Pipe):
            self._raw.interrupt()

    def close(self) -> None:
        """Close the file; a stream cannot be read on then. May be repeated."""
        read_bytes = self.bytes_read
        with self._lock:
            self._bytes_read = read_bytes
            self._file.close()


def _unzstd(packed: BufferedReader) -> Raw:
    """What unpacks zstd.

    Raises:
        ImportError: it is not installed.
    """
    from asyncimport.sources.unzstd import Unzstd  # noqa: PLC0415 -- of an extra

    return Unzstd(packed)


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


def name_of(path: str) -> str:
    """The path as messages name it."""
    return "standard input" if path == STDIN else path


def is_stream(path: str) -> bool:
    """Whether it can be read once only: standard input, a named pipe."""
    try:
        return path == STDIN or stat.S_ISFIFO(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


def is_there(path: str) -> bool:
    """Whether the system knows anything by this path."""
    try:
        Path(path).stat()
    except (OSError, ValueError):
        return False
    return True


def opened(path: str) -> Input:
    """Open a file, a named pipe (which waits for its writer) or standard input.

    Raises:
        ConfigError: it cannot be opened, is none of these, or begins as no text does.
    """
    return Input(name_of(path), *raw_of(path))


def raw_of(path: str) -> tuple[FileIO | Pipe, int | None]:
    """The same without a look at what is in it, and its size on the disk, which a pipe has not.

    Raises:
        ConfigError: it cannot be opened, or is none of these.
    """
    try:
        return _stdin() if path == STDIN else _raw(path)
    except FileNotFoundError:
        fault = "does not exist: check the path"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        fault = f"cannot be opened ({getattr(error, 'strerror', None) or error}): check the path and its permissions"
    raise ConfigError(f"{name_of(path)} {fault}")


def _raw(path: str) -> tuple[FileIO | Pipe, int | None]:
    status = Path(path).stat()
    if stat.S_ISREG(status.st_mode):
        return FileIO(path), status.st_size
    if stat.S_ISFIFO(status.st_mode):
        return Pipe(os.open(path, os.O_RDONLY), is_ours=True), None
    what = "is a directory" if stat.S_ISDIR(status.st_mode) else "is neither a regular file nor a pipe"
    raise ConfigError(f"{path} {what}: give the path of one file")


def _stdin() -> tuple[FileIO | Pipe, int | None]:
    """Standard input, and what is left of a file that is redirected to it."""
    status = os.fstat(_STDIN_DESCRIPTOR)
    if stat.S_ISDIR(status.st_mode):
        raise ConfigError("standard input is a directory: give it one file")
    size_bytes = None
    if stat.S_ISREG(status.st_mode):
        size_bytes = max(0, status.st_size - os.lseek(_STDIN_DESCRIPTOR, 0, os.SEEK_CUR))
    return Pipe(_STDIN_DESCRIPTOR, is_ours=False), size_bytes
