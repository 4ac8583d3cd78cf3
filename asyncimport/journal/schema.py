"""The SQLite file of a journal: made whole or not at all, and refused when it is not what it was.

A new journal is written beside its place and put there with one rename, so that a file by this name always has its run
id and start in it. An existing one is looked at with `quick_check` before anything in it is believed; each row has a
checksum of its own besides, since a page can be whole and hold something else.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import orjson

from asyncimport.errors import JournalError

#: In the file's header, beside SQLite's own mark: "asim".
APPLICATION_ID: Final = 0x6173696D
VERSION: Final = 3
_MAGIC: Final = b"SQLite format 3\0"
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
#: Readers may hold the write-ahead log for a moment while it is folded into the file.
_BUSY_S: Final = 5.0
_NO_LOG: Final = (
    "cannot be opened: the disk or its file system does not let SQLite keep a write-ahead log there. Check the disk, or "
    "put the journal on a local one"
)

_TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE batches (
    number INTEGER PRIMARY KEY, first INTEGER NOT NULL, "end" INTEGER NOT NULL, count INTEGER NOT NULL,
    digest BLOB NOT NULL, state INTEGER NOT NULL, is_open INTEGER NOT NULL, batch_id INTEGER,
    attempts INTEGER NOT NULL, duplicates INTEGER NOT NULL, sent_bytes INTEGER NOT NULL, elapsed_s REAL NOT NULL,
    mark_position INTEGER, mark_offset INTEGER, mark_line INTEGER, checksum INTEGER NOT NULL
);
CREATE TABLE pieces (
    number INTEGER NOT NULL, first INTEGER NOT NULL, "end" INTEGER NOT NULL, count INTEGER NOT NULL,
    state INTEGER NOT NULL, batch_id INTEGER, checksum INTEGER NOT NULL, PRIMARY KEY (number, first)
) WITHOUT ROWID;
CREATE TABLE segments (
    number INTEGER PRIMARY KEY, batches INTEGER NOT NULL, first INTEGER NOT NULL, "end" INTEGER NOT NULL,
    records INTEGER NOT NULL, accepted INTEGER NOT NULL, attempts INTEGER NOT NULL, retries INTEGER NOT NULL,
    duplicates INTEGER NOT NULL, sent_bytes INTEGER NOT NULL, elapsed_s REAL NOT NULL,
    ids BLOB NOT NULL, entries BLOB NOT NULL, checksum INTEGER NOT NULL
);
CREATE TABLE rejects (
    position INTEGER PRIMARY KEY, state TEXT NOT NULL, is_pending INTEGER NOT NULL, reason TEXT NOT NULL,
    line BLOB NOT NULL, checksum INTEGER NOT NULL
);
CREATE TABLE skips (first INTEGER PRIMARY KEY, "end" INTEGER NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE spool (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, records BLOB NOT NULL, checksum INTEGER NOT NULL);
"""
TABLES: Final = frozenset({"meta", "batches", "pieces", "segments", "rejects", "skips", "spool"})


def create(path: str, meta: Mapping[str, Any]) -> None:
    """Make a journal, durable when this returns. Whoever calls holds the lock.

    Raises:
        JournalError: it cannot be made.
    """
    new = hidden_beside(path)
    with told(path, "cannot be made"):
        with suppress(FileNotFoundError):
            os.unlink(new)  # noqa: PTH108 -- left by a process that was killed while it made it
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, _FILE_MODE))
        try:
            _fill(new, meta)
            os.rename(new, path)  # noqa: PTH104
        except BaseException:
            with suppress(OSError):
                os.unlink(new)  # noqa: PTH108
            raise
        with suppress(PermissionError):  # Windows opens no folders
            _sync(Path(path).absolute().parent)


def _fill(path: str, meta: Mapping[str, Any]) -> None:
    """Write the tables and what is said of the run, and have it on the disk."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            # Nothing of it counts before the rename, so it needs no journal of its own, which could be left behind.
            f"PRAGMA journal_mode=MEMORY; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA application_id={APPLICATION_ID}; "
            f"PRAGMA user_version={VERSION}; BEGIN; {_TABLES}"
        )
        for key, value in meta.items():
            put_meta(connection, key, value)
        connection.execute("COMMIT")
    _sync(path)


@contextmanager
def held_open(path: str) -> Iterator[None]:
    """Have somebody else look at a journal meanwhile: SQLite then folds and removes no log when its writer is closed."""
    with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as reader:
        reader.execute("SELECT COUNT(*) FROM meta").fetchone()
        yield


def hidden_beside(path: str) -> str:
    """A name in the same folder that nobody else uses, for a file that takes the place of this one when it is whole."""
    return str(Path(path).with_name(f".{Path(path).name}.asyncimport-new"))


def make_folder(path: str) -> None:
    """Make the folder of a journal where there is none, for its owner alone.

    Raises:
        JournalError: it cannot be made.
    """
    folder = Path(path).parent
    with told(path, "cannot be made"):
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            each.mkdir(mode=_FOLDER_MODE)


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_there(path: str) -> bool:
    """Whether there is anything by this name.

    Raises:
        JournalError: there is, and it cannot be a journal.
    """
    with told(path, "cannot be opened"):
        try:
            status = os.stat(path, follow_symlinks=False)  # noqa: PTH116
        except FileNotFoundError:
            check_orphans(path)
            return False
        fault = _not_a_file(status)
        if not fault:
            descriptor = os.open(path, os.O_RDWR | _NO_FOLLOW)
            try:
                start = os.read(descriptor, len(_MAGIC))
            finally:
                os.close(descriptor)  # before SQLite opens it: later, this would drop SQLite's locks
            fault = "" if start == _MAGIC else "is no journal: name another file"
    if fault:
        raise JournalError(f"the journal {path} {fault}")
    return True


def check_orphans(path: str) -> None:
    """Refuse a name whose write-ahead log is there without it: SQLite would read the log into a new file."""
    left = [f"{path}{ending}" for ending in ("-wal", "-journal") if _has_content(f"{path}{ending}")]
    if left:
        raise JournalError(f"the journal {path} is missing, but {left[0]} is there: put it back, or move that away too")


def _has_content(path: str) -> bool:
    try:
        return os.stat(path, follow_symlinks=False).st_size > 0  # noqa: PTH116
    except FileNotFoundError:
        return False


def _not_a_file(status: os.stat_result) -> str:
    """The words for what can be no journal."""
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link, which is not followed: name the file itself"
    if stat.S_ISDIR(status.st_mode):
        return "is a directory: name a file in it"
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file: name another"
    if not status.st_size:
        return "is empty: it has lost what it held. Move it away to begin anew"
    return ""


def connect(path: str, *, is_durable: bool) -> sqlite3.Connection:
    """Open a journal that is there, to write it. `is_durable` waits for the disk at each commit.

    Raises:
        JournalError: it is damaged, of a newer version, or no journal.
    """
    with told(path, "cannot be opened"):
        connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)
        try:
            check(connection, path)
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":  # SQLite says so, and raises nothing
                raise JournalError(f"the journal {path} {_NO_LOG}")  # noqa: TRY301 -- it is closed below
            connection.execute(f"PRAGMA synchronous={'FULL' if is_durable else 'NORMAL'}")
            # SQLite's own checkpoints keep their errors to themselves: the file's writer asks for them instead.
            connection.execute("PRAGMA wal_autocheckpoint=0")
            connection.execute("PRAGMA temp_store=MEMORY")
            # What was spooled are people's data, and all of it is deleted in the end.
            connection.execute(f"PRAGMA secure_delete={'ON' if is_durable else 'FAST'}")
        except BaseException:
            connection.close()
            raise
    return connection


def connect_to_read(path: str) -> sqlite3.Connection:
    """Open a journal to look at it, also while an import writes it.

    Raises:
        JournalError: there is none, or it cannot be read.
    """
    if not is_there(path):
        raise JournalError(f"the journal {path} does not exist: check the path")
    with told(path, "cannot be opened"):
        return sqlite3.connect(
            f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=_BUSY_S
        )


def check(connection: sqlite3.Connection, path: str) -> None:
    """Look whether a file is a whole journal of a version known here.

    Raises:
        JournalError: it is not.
        sqlite3.Error: it cannot even be looked at.
    """
    fault = _fault_of(connection)
    if fault:
        raise JournalError(f"the journal {path} {fault}")


def _fault_of(connection: sqlite3.Connection) -> str:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        return "is no journal of asyncimport: name another file"
    if version > VERSION:
        return f"was written by a newer version of asyncimport (format {version}, known here: {VERSION}): update it"
    if version < VERSION:
        return (
            f"was written by an older version of asyncimport (format {version}, known here: {VERSION}): end that import with it, "
            "or move the journal away to begin anew"
        )
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        return (
            f"is damaged ({_short(found)}): nothing in it can be trusted. See `asyncimport status` for what can be read"
        )
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables >= TABLES:
        return "has lost its tables: it cannot be resumed. Move it away to begin anew"
    return ""


def _short(words: str) -> str:
    return " ".join(words.split())[:100]


def put_meta(connection: sqlite3.Connection, key: str, value: Any) -> None:
    """Write one thing about the run as a whole."""
    data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    row = (key, data, checksum_of(key, data))
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", row)


def read_meta(connection: sqlite3.Connection, path: str) -> dict[str, Any]:
    """All that is said about the run as a whole.

    Raises:
        JournalError: a row is damaged.
    """
    found: dict[str, Any] = {}
    for key, data, checksum in connection.execute("SELECT key, value, checksum FROM meta"):
        if checksum_of(key, data) != checksum:
            raise damaged(path, "what it says of its run")
        found[key] = orjson.loads(data)
    return found


def checksum_of(*values: object) -> int:
    """Over all values of a row, and their types, to notice what a disk has changed."""
    checksum = 0
    for value in values:
        checksum = zlib.crc32(value if isinstance(value, bytes) else repr(value).encode(), checksum)
    return checksum


def damaged(path: str, what: str) -> JournalError:
    """The error for a row that is not as it was written."""
    return JournalError(
        f"the journal {path} is damaged: {what} is not as it was written, so nothing in it can be trusted. "
        "Look at it with `asyncimport status`, and check the disk"
    )


@contextmanager
def told(path: str, what: str) -> Iterator[None]:
    """Turn errors of SQLite and of the disk into ours.

    Raises:
        JournalError: with the reason in the system's or SQLite's words, which hold no data.
    """
    fault = ""
    try:
        yield
    except sqlite3.DatabaseError as error:
        reason = _short(str(error))
        name = getattr(error, "sqlite_errorname", "")
        is_damage = name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
        fault = f"is damaged ({reason}): nothing in it can be trusted" if is_damage else f"{what} ({reason})"
    except UnicodeError:  # SQLite's own words repeat what is in the file
        fault = "is damaged (it holds what is no text): nothing in it can be trusted"
    except OSError as error:
        fault = f"{what} ({error.strerror or type(error).__name__}): check the path, its permissions and the disk"
    if fault:
        raise JournalError(f"the journal {path} {fault}")
