import os
import threading
from pathlib import Path
from typing import Any

import canary
import pytest

from asyncimport.records import UserProfile
from asyncimport.sources import ColumnMapping, open_source
from asyncimport.sources.interruptible import Interruptible

MAPPING = ColumnMapping(columns={"tel": "phone"})


@pytest.mark.parametrize(
    ("name", "content", "mapping"),
    [
        ("x.csv", b"phone\n1\n", None),
        ("x.csv", b"tel\n1\n", MAPPING),
        ("x.jsonl", b'{"phone": "1"}\n', None),
        ("x.jsonl", b'{"tel": "1"}\n', MAPPING),
    ],
    ids=["csv", "csv-mapped", "jsonl", "jsonl-mapped"],
)
def test_the_iterators_of_files_can_be_interrupted_at_any_time_and_stay_without_a_dict(
    tmp_path: Path, name: str, content: bytes, mapping: ColumnMapping | None
) -> None:
    (tmp_path / name).write_bytes(content)
    rows: Any = iter(open_source(tmp_path / name, UserProfile, mapping=mapping))
    rows.interrupt()
    assert list(rows) == [{"phone": "1"}]
    rows.interrupt()
    assert not hasattr(rows, "__dict__")
    assert isinstance(rows, Interruptible)


@pytest.mark.parametrize("before", [0, 4], ids=["closed-before", "closed-meanwhile"])
def test_any_number_of_threads_may_interrupt_a_pipe_that_is_closed(before: int) -> None:
    reading, writing = os.pipe()
    os.write(writing, b'{"phone": "1"}\n')
    rows: Any = iter(open_source(f"/dev/fd/{reading}", UserProfile))
    raised: list[BaseException] = []

    def interrupt() -> None:
        try:
            rows.interrupt()
        except BaseException as error:  # noqa: BLE001 -- the promise is that nothing at all is raised
            raised.append(error)

    threads = [threading.Thread(target=interrupt) for _ in range(8)]
    for thread in threads[:before]:
        thread.start()
    rows.close()
    for thread in threads[before:]:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(reading)
    os.close(writing)
    assert raised == []


def test_what_has_a_method_of_that_name_is_not_taken_for_it() -> None:
    class Rows:
        def interrupt(self) -> None:
            """As that of a sqlite3 connection, which ends the queries of others."""

    assert not isinstance(Rows(), Interruptible)


def test_whoever_promises_it_must_keep_it() -> None:
    class Broken(Interruptible):
        """Says that it can be interrupted, and not how."""

    broken: type[Any] = Broken
    with canary.raises(TypeError, match="interrupt"):
        broken()
