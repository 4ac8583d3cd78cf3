"""A file is gone on with where it was left: what lies before is not read again. The witness is the object that gives the bytes."""

import io
from pathlib import Path
from typing import Any

import journals
import pytest
from scripted import ScriptedTransport

from asyncimport import DispatchPolicy
from asyncimport.mark import Mark
from asyncimport.records import UserProfile
from asyncimport.sources import open_source

RECORDS = 40_000
#: Of two buffers: the header is looked at again before the place is sought.
HEAD_BYTES = 2 * 2**18


class Counted(io.FileIO):
    """An open file that counts what is taken from it."""

    taken_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        taken = super().read(size) or b""
        self.taken_bytes += len(taken)
        return taken


def csv_of(encoding: str) -> bytes:
    rows = (f"{number},{'张伟' * 20},{'x' * 100}\n" for number in range(RECORDS))
    return ("thirdId,realName,remark\n" + "".join(rows)).encode(encoding)


def jsonl() -> bytes:
    return b"".join(b'{"thirdId": "%d", "remark": "%s"}\n' % (number, b"x" * 200) for number in range(RECORDS))


FILES: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "csv": ("people.csv", csv_of("utf-8"), {}),
    "gb18030": ("people.csv", csv_of("gb18030"), {"encoding": "gb18030"}),
    "jsonl": ("people.jsonl", jsonl(), {}),
}
files = pytest.mark.parametrize(("name", "content", "how"), FILES.values(), ids=FILES)


@files
def test_from_a_mark_on_nothing_before_it_is_read_but_the_header(
    tmp_path: Path, name: str, content: bytes, how: dict[str, Any]
) -> None:
    (tmp_path / name).write_bytes(content)
    with Counted(tmp_path / name) as file:
        source = open_source(file, UserProfile, **how)
        rows: Any = iter(source)
        for _ in range(RECORDS * 3 // 4):
            next(rows)
        offset, line = rows.place()
        rest = list(rows)
        file.taken_bytes = 0
        again: Any = iter(source.starting_at(Mark(position=RECORDS * 3 // 4, offset=offset, line=line)))
        assert list(again) == rest
        assert file.taken_bytes == again.bytes_read <= len(content) - offset + HEAD_BYTES < 0.4 * len(content)
        assert again.bytes_passed == len(content) == source.size_bytes


@files
def test_a_plain_file_tells_what_was_taken_and_how_far_it_has_come_apart(
    tmp_path: Path, name: str, content: bytes, how: dict[str, Any]
) -> None:
    (tmp_path / name).write_bytes(content)
    source = open_source(tmp_path / name, UserProfile, **how)
    rows: Any = iter(source)
    for _ in range(RECORDS * 3 // 4):
        next(rows)
    offset, line = rows.place()
    rows.close()
    again: Any = iter(source.starting_at(Mark(position=RECORDS * 3 // 4, offset=offset, line=line)))
    before = rchar()
    assert sum(1 for _ in again) == RECORDS // 4
    assert again.bytes_passed == len(content)
    assert len(content) - offset <= again.bytes_read <= len(content) - offset + HEAD_BYTES
    if before is not None:
        assert (rchar() or 0) - before <= again.bytes_read + 2**16, "the system's own count says the same"


def rchar() -> int | None:
    """Bytes that this process has read, as Linux counts them; some are of this question itself."""
    counts = Path("/proc/self/io")
    return int(counts.read_text(encoding="ascii").split()[1]) if counts.exists() else None


@files
async def test_a_resumed_import_takes_from_the_file_what_was_left_and_no_more(
    tmp_path: Path, name: str, content: bytes, how: dict[str, Any]
) -> None:
    (tmp_path / name).write_bytes(content)
    journal, policy = tmp_path / "journal", DispatchPolicy(batch_size=500, max_in_flight=2)
    first, second = ScriptedTransport(), ScriptedTransport()
    with Counted(tmp_path / name) as file:
        stopped = await journals.stopped(
            open_source(file, UserProfile, **how), journal, first, RECORDS // 500 * 3 // 4, policy=policy
        )
        file.taken_bytes = 0
        report = await journals.imported(open_source(file, UserProfile, **how), journal, second, policy=policy)
        taken_bytes = file.taken_bytes
    assert stopped.accepted >= RECORDS * 0.7
    assert (report.read, report.accepted, report.ok) == (RECORDS, RECORDS, True)
    assert len(second.posts) <= RECORDS // 500 * 0.3
    assert taken_bytes < 0.3 * len(content) + 2 * HEAD_BYTES
    sent = [*journals.third_ids(first), *journals.third_ids(second)]
    assert len(set(sent)) == RECORDS
