"""Files that are no paths: binary file objects that somebody else opened, and files that fsspec opens."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from hashlib import sha256
from typing import Any, Final

from attrs import frozen

from asyncimport.errors import ConfigError
from asyncimport.sources.counted import Counted
from asyncimport.sources.input import Input
from asyncimport.sources.raw import Damaged, Raw

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(?:::.*)?://.*")
#: What a URL may have a password or a key in: a user's name and password, and the query.
_SECRETIVE: Final = re.compile(r"(?<=//)[^/@]*@|\?.*")
#: Where `fs.info` has what changes with the content, as the file systems of fsspec name it.
_VERSIONS: Final = (
    "ETag", "etag", "e_tag", "mtime", "LastModified", "last_modified", "Last-Modified", "updated", "md5Hash", "crc32c",
    "content_settings.content_md5", "checksum", "generation", "VersionId", "version_id",
)  # fmt: skip
_NO_READER: Final = "is given as a path, as an open binary file or as what fsspec.open returns"


class HandedRaw(Raw):
    """The bytes of a file object, from `start` on where it can be sought in (None: it cannot)."""

    def __init__(self, file: Any, *, start: int | None, let_go: Callable[[], object]) -> None:
        super().__init__()
        self._file = file
        #: Where the next read begins: it is sought, whoever else has moved the object in between.
        self._at = start
        #: Called once at the end: closes what was opened here; what was handed over stays open.
        self._let_go = let_go
        self._read: Callable[[int], Any] = getattr(file, "read1", None) or file.read

    def seekable(self) -> bool:
        return self._at is not None

    def tell(self) -> int:
        if self._at is None:
            raise io.UnsupportedOperation("seek")
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if self._at is None or whence != os.SEEK_SET:
            raise io.UnsupportedOperation("seek")
        self._at = offset
        return offset

    def _take(self, view: memoryview) -> int:
        try:
            if self._at is not None and self._file.tell() != self._at:
                self._file.seek(self._at)
            taken = self._read(len(view))
            view[: len(taken)] = taken
        except Exception as error:  # the object may be anybody's
            raise Damaged(f"reading it raised {type(error).__name__}", "see the cause, and read it again") from error
        if self._at is not None:
            self._at += len(taken)
        return len(taken)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._let_go()


@frozen(eq=False)
class Handed:
    """An open binary file object. It is read from where it stands, and stays open; where it can be sought in, again and again.

    It then stands where it stood once a reading has ended.
    """

    file: Any
    #: As far as the object tells; empty when it has none.
    path: str
    #: Where it stood; None where it cannot be sought in.
    start: int | None
    is_strict = False

    @property
    def name(self) -> str:
        """As messages name it."""
        return self.path or f"the {type(self.file).__name__}"

    @property
    def comes_once(self) -> bool:
        """Whether it can be read once only."""
        return self.start is None

    def content(self) -> dict[str, Any]:
        """What tells whether it is as it was, the size from where it stood; nothing where one cannot tell."""
        if self.start is None:
            return {}
        found = (
            _content_of(self.file.fs, self.file.path)
            if hasattr(self.file, "fs") and hasattr(self.file, "path")
            else _content_on_disk(self.file)
        )
        return found | {"size": found["size"] - self.start} if found else {}

    def opened(self) -> Input:
        """Begin to read it where it stood.

        Raises:
            ConfigError: it is closed, or begins as no text does.
        """
        if _is_closed(self.file):
            raise ConfigError(f"{self.name} is closed: keep it open while it is read")
        size_bytes = _size_of(self.file)
        left = None if size_bytes is None or self.start is None else max(0, size_bytes - self.start)
        return Input(self.name, HandedRaw(self.file, start=self.start, let_go=self._go_back), left)

    def anywhere(self) -> Counted:
        """Begin to read it, anywhere from where it stood on.

        Raises:
            ConfigError: it is closed, or cannot be sought in.
        """
        size_bytes = None if _is_closed(self.file) else _size_of(self.file)
        if size_bytes is None or self.start is None:
            raise needs_file(self.name)
        return Counted(self.file, max(0, size_bytes - self.start), self._go_back, self.start)

    def _go_back(self) -> None:
        """Leave the object as it was found, so that whoever gives it again gives the same."""
        with suppress(Exception):  # it may be closed by now
            if self.start is not None:
                self.file.seek(self.start)


@frozen(eq=False)
class Remote:
    """What `fsspec.open` returns; each reading opens it anew."""

    file: Any
    comes_once = False
    is_strict = False

    @property
    def path(self) -> str:
        """With its scheme, without what may be a secret."""
        return without_secrets(f"{getattr(self.file, 'full_name', self.file.path)}")

    @property
    def name(self) -> str:
        """As messages name it."""
        return self.path

    def content(self) -> dict[str, Any]:
        """What tells whether it is as it was; nothing where its file system cannot tell."""
        return _content_of(self.file.fs, self.file.path)

    def opened(self) -> Input:
        """Open it.

        Raises:
            ConfigError: it cannot be opened, or begins as no text does.
        """
        again, file = self._again()
        is_plain = again.compression is None
        start = 0 if is_plain and _can_seek(file) else None
        size_bytes = _size_of(file) if is_plain else None
        return Input(self.name, HandedRaw(file, start=start, let_go=again.close), size_bytes)

    def anywhere(self) -> Counted:
        """Open it to be read anywhere in it.

        Raises:
            ConfigError: it cannot be opened, or cannot be sought in.
        """
        again, file = self._again()
        size_bytes = _size_of(file)
        if again.compression is None and size_bytes is not None and _can_seek(file):
            return Counted(file, size_bytes, again.close)
        again.close()
        raise needs_file(self.name)

    def _again(self) -> tuple[Any, Any]:
        """Another opening of it, and the file."""
        again = copy(self.file)
        try:
            return again, again.open()
        except Exception as error:  # noqa: BLE001 -- file systems raise what they like
            why = type(error).__name__
            fault = (
                "does not exist: check the path"
                if isinstance(error, FileNotFoundError)
                else (f"cannot be opened ({why}): check the path and the permissions")
            )
            cause = error
        raise ConfigError(f"{self.name} {fault}") from cause


def needs_file(name: str) -> ConfigError:
    """The error for what can only be read from its beginning, or not at all."""
    return ConfigError(
        f"{name}: Parquet and Arrow are read from both ends, so they need a file in which one can seek, and that is open: "
        "save it as a file first"
    )


def is_handed(given: object) -> bool:
    """Whether it is a file object or an fsspec file, rather than an iterable of records."""
    return (
        isinstance(given, io.IOBase)
        or _is_open_file(given)
        or all(callable(getattr(given, name, None)) for name in ("read", "readable", "close"))
    )


def is_url(text: str) -> bool:
    """Whether a text has a scheme, as in s3://bucket/people.csv."""
    return _URL.fullmatch(text) is not None


def without_secrets(url: str) -> str:
    """A URL without user, password and query."""
    return _SECRETIVE.sub("", url)


def remote_of(url: str) -> Remote:
    """What a URL leads to, by fsspec.

    Raises:
        ConfigError: fsspec, or what it needs for the scheme, is not installed, or there is no such scheme.
    """
    name = without_secrets(url)
    try:
        import fsspec  # noqa: PLC0415 -- not everybody has it
    except ImportError:
        fault = "pip install fsspec, and what it needs for the scheme"
    else:
        try:
            return Remote(fsspec.open(url, "rb"))
        except ImportError as error:
            fault = f"install what fsspec needs for the scheme ({error})"
        except Exception as error:  # noqa: BLE001 -- file systems raise what they like
            fault = f"fsspec cannot make anything of it ({type(error).__name__}): check the scheme and the path"
    raise ConfigError(f"{name} is a URL: {fault}")


def handed_of(given: Any) -> Handed | Remote:
    """A file object, or an fsspec file, to be read.

    Raises:
        ConfigError: it is neither, was opened as text or for writing, or is closed.
    """
    if _is_open_file(given):
        if "b" not in given.mode or "r" not in given.mode:
            raise ConfigError(f"{Remote(given).name} is opened as text or for writing: open it with mode 'rb'")
        return Remote(given)
    if not is_handed(given):
        raise ConfigError(f"a file {_NO_READER}, not by {type(given).__name__}")
    name = _name_of(given)
    fault = _fault_of(given)
    if fault is not None:
        raise ConfigError(f"{name or 'the file'} {fault}")
    return Handed(given, name, given.tell() if _can_seek(given) else None)


def _fault_of(file: Any) -> str | None:
    """Why a file object gives no bytes; None when it may."""
    try:
        if _is_closed(file):
            return "is closed: keep it open while it is read"
        if not file.readable():
            return "is open for writing only: open it with mode 'rb'"
        if isinstance(file, io.TextIOBase) or isinstance(file.read(0), str):
            return "is opened as text: open it with mode 'rb'"
    except Exception as error:  # noqa: BLE001 -- the object may be anybody's
        return f"cannot be read ({type(error).__name__}): give an open binary file"
    return None


def _is_closed(file: Any) -> bool:
    return bool(getattr(file, "closed", False))


def _is_open_file(given: object) -> bool:
    """Whether it is fsspec's `OpenFile`, which nobody needs to have imported."""
    return all(hasattr(given, name) for name in ("fs", "path", "mode", "compression")) and callable(
        getattr(given, "open", None)
    )


def _name_of(file: Any) -> str:
    for name in ("full_name", "name", "path"):
        named = getattr(file, name, None)
        path = os.fspath(named) if isinstance(named, str | os.PathLike) else None
        if isinstance(path, str):
            return without_secrets(path)
    return ""


def _can_seek(file: Any) -> bool:
    with suppress(Exception):  # what cannot say it cannot do it
        return bool(file.seekable()) and file.tell() >= 0
    return False


def _status_of(file: Any) -> os.stat_result | None:
    """Of a regular file; of what is packed the packed one."""
    with suppress(Exception):
        status = os.fstat(file.fileno())
        return status if stat.S_ISREG(status.st_mode) else None
    return None


def _size_of(file: Any) -> int | None:
    """All of its bytes, where that can be told without reading them."""
    if isinstance(file, io.BytesIO):
        return file.getbuffer().nbytes
    size_bytes = getattr(file, "size", None)
    if isinstance(size_bytes, int):
        return size_bytes
    status = _status_of(file) if isinstance(getattr(file, "raw", file), io.FileIO) else None
    return None if status is None else status.st_size


def _content_on_disk(file: Any) -> dict[str, Any]:
    status = _status_of(file)
    return {} if status is None else {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _content_of(fs: Any, path: str) -> dict[str, Any]:
    """Size and version of a file of fsspec; empty where its file system does not tell both."""
    found: dict[str, Any] = {}
    modified = None
    with suppress(Exception):  # a file system that cannot tell: the records are compared then
        found = fs.info(path)
        modified = f"{fs.modified(path)}"
    versions = [f"{name}={found[name]}" for name in _VERSIONS if found.get(name) is not None]
    versions += [] if modified is None else [modified]
    if not versions or not isinstance(found.get("size"), int):
        return {}
    return {"size": found["size"], "version": sha256("\n".join(versions).encode()).hexdigest()[:32]}
