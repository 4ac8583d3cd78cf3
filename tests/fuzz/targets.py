"""What bytes from outside may come to, whatever they are: each target takes some, and raises where the package breaks its word.

Hypothesis runs them in `make test` (`test_fuzz.py`), atheris, which is guided by coverage, in `make soak` (`__main__.py`).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import journals
import whole
from attrs import frozen

from asyncimport import EVENTS, USERS, ConfigError, EventImportConfig, ImportMode, JournalError, UserImportConfig
from asyncimport.admission import Admission
from asyncimport.attempt import Answer
from asyncimport.codec import BATCH_ID, Encoder
from asyncimport.errors import SourceError
from asyncimport.journal.inspection import read_status
from asyncimport.outcome import Rejected
from asyncimport.policy import DispatchPolicy
from asyncimport.redaction import MAX_SHOWN, shown
from asyncimport.resources import Resource
from asyncimport.sources import read_csv, read_jsonl
from asyncimport.structs import json_bytes
from asyncimport.unreadable import Unreadable
from asyncimport.verdict import Happened, judge
from asyncimport.verdict import retry_after as seconds_of

POLICY: Final = DispatchPolicy()
#: A Retry-After that is longer is none.
TOO_FAR_S: Final = 10_000_000
USERS_CONFIG: Final = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
HEADER: Final = b"phone,realName\n"


def answer(data: bytes, _folder: Path) -> None:
    """A status in two bytes, then a body: no verdict fails, and only what is documented as success accepts."""
    status, body = 100 + int.from_bytes(data[:2], "big") % 500, data[2:]
    verdict = judge(Answer(status=status, body=body), POLICY)
    assert verdict.happened is not Happened.NOT_SENT
    assert verdict.happened is not Happened.ACCEPTED or _is_success(status, body)
    assert verdict.batch_id is None or (verdict.happened is Happened.ACCEPTED and verdict.batch_id in BATCH_ID)
    assert verdict.detail.isprintable()
    words = shown(verdict.message, body)
    assert words.isprintable() or not words
    assert len(words) <= MAX_SHOWN


def _is_success(status: int, body: bytes) -> bool:
    """The documented success as the standard library reads it, which is a second opinion."""
    try:
        envelope = json.loads(body.decode())
    except (ValueError, RecursionError):
        return False
    if status not in {200, 201} or type(envelope) is not dict:
        return False
    code = envelope.get("code")
    return code == "200" or (type(code) is int and code == 200)


def retry_after(data: bytes, _folder: Path) -> None:
    """A Retry-After and a Date, parted by a line feed: none, or a wait that is above zero and has an end."""
    wait, _, date = data.decode("latin-1").partition("\n")
    seconds = seconds_of(Answer(status=429, body=b"", retry_after=wait, date=date or None))
    assert seconds is None or 0 < seconds < TOO_FAR_S


def csv(data: bytes, folder: Path) -> None:
    """A CSV file of users."""
    _read(data, folder, read_csv, USERS, USERS_CONFIG)


def jsonl(data: bytes, folder: Path) -> None:
    """A JSON Lines file of events."""
    _read(data, folder, read_jsonl, EVENTS, EventImportConfig())


def _read(data: bytes, folder: Path, read: Callable[[Path], Any], resource: Resource, config: Any) -> None:
    """A file is refused by name, or gives items in the order of their lines, each a request's record or a rejection."""
    path = folder / "input"
    path.write_bytes(data)
    try:
        rows = iter(read(path))
    except ConfigError as error:
        assert str(error).startswith(str(path))
        return
    admission = Admission(resource=resource, config=config, run_id="r" * 20, now_ms=lambda: 1605490615673)
    encoder = Encoder(public_params=config.to_wire(), max_bytes=POLICY.max_batch_bytes, recheck=admission.recheck)
    line = 0
    try:
        for position, item in enumerate(rows):
            assert rows.line_num > line
            line = rows.line_num
            admitted = admission.admit(item, position, rows)
            assert isinstance(admitted, Rejected) or not isinstance(item, Unreadable)
            final = admitted if isinstance(admitted, Rejected) else encoder.checked(admitted, position)
            if isinstance(final, Rejected):
                assert final.reason.isprintable()
                assert final.positions[0] == position
            else:
                json_bytes(final)
    except SourceError as error:
        assert str(error).startswith(str(path))
        assert "line" in str(error)
    finally:
        rows.close()


def journal(data: bytes, folder: Path) -> None:
    """A journal that is any bytes (a leading 0), is cut off (1), or has bytes overwritten: refused, or a state that it had."""
    written = _written(folder, keeps_log=data[:1] == b"\x01")
    main, wal = bytearray(written.main), written.wal
    if data[:1] == b"\x00":
        main[:] = data[1:]
    elif data[:1] == b"\x01":
        wal = wal[: int.from_bytes(data[1:4], "big") % len(wal)] + data[4:]
    else:
        for start in range(0, len(data) - 3, 4):
            main[int.from_bytes(data[start : start + 3], "big") % len(main)] = data[start + 3]
    assert written.is_refused_or_true(bytes(main), wal)
    try:
        read_status(str(written.put(bytes(main), wal)))
    except JournalError as error:
        assert str(error).isprintable()


@cache
def _written(folder: Path, *, keeps_log: bool) -> whole.Whole:
    """A journal in the middle of its run with a log of its own, or at its end without."""
    name, copy_at = ("logged", 16) if keeps_log else ("finished", None)
    return whole.written(folder / name, journals.mixed(200), copy_at=copy_at, keeps_log=keeps_log)


@frozen(kw_only=True)
class Target:
    """One target, and real bytes to begin with."""

    run: Callable[[bytes, Path], None]
    seeds: tuple[bytes, ...]


_EVENT: Final = (
    b'{"eventKey": "c_buy", "identities": [{"identityType": "phone", "identityValue": "1"}], "eventargs": {"c_a": 1.5}}'
)
_ROWS: Final = HEADER + '138,张三\n139,"a\nb"\n"140"x,\n'.encode()
#: HTTP 200, 201, 202 and 400, as the first two bytes say them.
_OK, _CREATED, _NEITHER, _BAD = b"\x00\x64", b"\x00\x65", b"\x00\x66", b"\x01\x2c"

TARGETS: Final = {
    "answer": Target(
        run=answer,
        seeds=(
            _OK + b'{"code":"200","errorCode":"SUCCESS","msg":"ok","data":15314513451345123}',
            _OK + '{"code":"1","msg":"操作频繁,请稍后重试"}'.encode(),
            _BAD + b'{"code":100200,"data":{"a":[null]}}',
            _BAD + b"<html></html>",
            _CREATED + b'{"code":"200"}',
            _NEITHER + b'{"code":"200"}',
        ),
    ),
    "retry_after": Target(
        run=retry_after,
        seeds=(
            b"7",
            b"9999999",
            b"Mon, 16 Nov 2020 01:00:07 GMT\nMon, 16 Nov 2020 01:00:00 GMT",
            b"Mon, 16 Nov 99999999999999999999 01:00:07 GMT\nMon, 16 Nov 2020 01:00:00 GMT",
            b"Fri, 31 Dec 9999 23:59:59 -2359\nMon, 1 Jan 0001 00:00:00 +2359",
        ),
    ),
    "csv": Target(
        run=csv, seeds=(_ROWS, b"\xef\xbb\xbf" + _ROWS.replace(b"\n", b"\r\n"), gzip.compress(_ROWS, mtime=0))
    ),
    "jsonl": Target(
        run=jsonl, seeds=(_EVENT + b"\n\n" + _EVENT, b"\xef\xbb\xbf{}\n[1]\n1e999\n", gzip.compress(_EVENT, mtime=0))
    ),
    "journal": Target(
        run=journal,
        seeds=(b"\x02\x00\x10\x01\x02\x20\x10\x02", b"\x01\x01\x00\x00", b"\x00SQLite format 3\x00" + bytes(100)),
    ),
}
