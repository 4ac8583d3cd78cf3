import csv
import gc
import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.mark import Mark
from asyncimport.place import Place
from asyncimport.sources import read_csv
from asyncimport.sources.csv_rows import CsvRows
from asyncimport.sources.lines import LINE_CAP, LONG_LINE
from asyncimport.unreadable import Unreadable

HEADER = b"phone,realName\n"


def written(folder: Path, content: bytes) -> Path:
    path = folder / "users.csv"
    path.write_bytes(HEADER + content)
    return path


def rows_of(path: Path) -> CsvRows:
    return iter(read_csv(path))


def numbered(path: Path) -> list[tuple[int, str]]:
    """The line of each item, and its phone or the reason why it is none."""
    rows = rows_of(path)
    return [(rows.line_num, item.reason if isinstance(item, Unreadable) else item.get("phone", "")) for item in rows]


MISFIT = "does not fit the header"
NO_CSV = "is no CSV record"
NO_TEXT = "is no utf-8 text"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"1,a\n2,b\n", [(2, "1"), (3, "2")]),
        (b"1,a\n\n  \n,\n,,,\n2,b\n", [(2, "1"), (7, "2")]),
        (b'1,"a\nb\r\nc"\n2,b\n', [(2, "1"), (5, "2")]),
        (b'1,"a ""b"" c"\n2,5" disk\n', [(2, "1"), (3, "2")]),
        (b"1,a,x\n2,b\n", [(2, MISFIT), (3, "2")]),
        (b"1\n2,b\n", [(2, MISFIT), (3, "2")]),
        (b'1,"a"b\n2,b\n', [(2, NO_CSV), (3, "2")]),
        (b"1,a\rb\n2,b\n", [(2, NO_CSV), (3, "2")]),
        (b"1,\xff\n2,b\n", [(2, NO_TEXT), (3, "2")]),
        (b'1,"a\n\xff"\n2,b\n', [(2, NO_TEXT), (4, "2")]),
        (b"\xff\n2,b\n", [(2, NO_TEXT), (3, "2")]),
        (b'1,"a\n2,b\n3,c\n', [(2, NO_CSV), (3, "2"), (4, "3")]),
        (b'1,"a\n2,b\n3,"c"\n4,d\n', [(2, NO_CSV), (3, "2"), (4, "3"), (5, "4")]),
        (b'1,"a\n2,b\n3"\n4,d\n', [(2, "1"), (5, "4")]),
        (b'1,"a\n\n2,\xff\n3\n4,d",x\n5,e\n', [(2, MISFIT), (4, NO_TEXT), (5, MISFIT), (6, MISFIT), (7, "5")]),
        (b'1,"\xff\n2,b\n', [(2, NO_CSV), (3, "2")]),
        (b'1,"', [(2, NO_CSV)]),
        (b"1," + b"x" * 200_000 + b"\n2,b\n", [(2, NO_CSV), (3, "2")]),
        (b"1,a\x00b\n2,b\n", [(2, "1"), (3, "2")]),
    ],
    ids=[
        "plain",
        "nothing-in-it",
        "several-lines",
        "quotes-within",
        "too-many",
        "too-few",
        "after-the-quote",
        "bare-cr",
        "undecodable",
        "undecodable-second-line",
        "undecodable-and-short",
        "unclosed-to-the-end",
        "unclosed-to-a-quote",
        "closed-three-lines-on",
        "swallowed-lines-of-every-kind",
        "unclosed-and-undecodable",
        "ends-in-a-quote",
        "cell-above-the-limit-of-csv",
        "nul",
    ],
)
def test_a_bad_record_costs_its_own_line_and_every_item_knows_its_line(
    tmp_path: Path, content: bytes, expected: list[tuple[int, str]]
) -> None:
    assert numbered(written(tmp_path, content)) == expected


def test_lines_are_counted_from_the_start_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(b"\n\n" + HEADER + b"1,a\n")
    assert numbered(path) == [(4, "1")]


def test_the_rule_tells_the_numbers_and_nothing_of_the_content(tmp_path: Path) -> None:
    path = written(tmp_path, b'1,canary,canary\n"canary"x,1\ncanary,\xff\n')
    rules = [item.rule for item in rows_of(path) if isinstance(item, Unreadable)]
    assert rules == [
        "does not fit the header: 3 cells for 2 columns, look for a broken quote or a bare delimiter",
        "is no CSV record: ',' expected after '\"', look for a broken quote",
        "is no utf-8 text: byte 8 of the line cannot be decoded",
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CR LF"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
def test_where_a_record_stands_is_its_line_and_its_first_byte_in_the_file(
    tmp_path: Path, end: bytes, bom: bytes
) -> None:
    long = b"3," + b"x" * (LINE_CAP + 1)
    lines = [b"1,a", "2,张".encode(), long, b'4,"b', b'c"', b"", b'5,"d', b"6,e", b"7,\xff", b"8,f,g", b'9,"h', b'i"']
    path = tmp_path / "users.csv"
    path.write_bytes(bom + HEADER.replace(b"\n", end) + end.join(lines))
    content = path.read_bytes()
    rows = iter(read_csv(path))
    begun = []
    for row in rows:
        place = rows.where()
        assert place.line == rows.line_num
        assert place.offset is not None
        begun.append(content[place.offset : place.offset + 2])
        assert content[: place.offset].count(b"\n") == rows.line_num - 1
        assert not isinstance(row, dict) or begun[-1][:1] == row["phone"].encode()
    # The quote that 5 left open is closed by that of 9, so that each line of them stands for itself.
    assert begun == [b"1,", b"2,", b"3,", b"4,", b"5,", b"6,", b"7,", b"8,", b"9,", b'i"']


def test_where_a_record_stands_is_its_line_alone_in_what_cannot_be_sought_in(tmp_path: Path) -> None:
    path = tmp_path / "users.csv.gz"
    path.write_bytes(gzip.compress(HEADER + b"1,a\n2,b\n"))
    rows = iter(read_csv(path))
    assert [rows.where() for _ in rows] == [Place(line=2), Place(line=3)]


def test_where_is_known_after_a_seek_too(tmp_path: Path) -> None:
    source = read_csv(written(tmp_path, b"1,a\n2,b\n3,c\n"))
    rows = iter(source.starting_at(Mark(position=1, offset=len(HEADER) + 4, line=3)))
    assert [(rows.where(), row["phone"]) for row in rows if isinstance(row, dict)] == [
        (Place(line=3, offset=len(HEADER) + 4), "2"),
        (Place(line=4, offset=len(HEADER) + 8), "3"),
    ]


def test_a_line_above_the_cap_is_unreadable_also_within_quotes(tmp_path: Path) -> None:
    long = b"x" * (LINE_CAP + 1) + b"\n"
    path = written(tmp_path, b"1,a\n" + long + b'2,"b\n' + long + b"3,c\n")
    assert numbered(path) == [(2, "1"), (3, LONG_LINE.reason), (4, NO_CSV), (5, LONG_LINE.reason), (6, "3")]


def test_a_quote_broken_on_every_line_costs_little_time_and_memory(tmp_path: Path) -> None:
    # Each of these lines closes the quote that the line before left open, and opens another. If each swallowed
    # the rest once more, the time limit of a test would run out.
    path = written(tmp_path, b'1,"\n' + b'x","\n' * 600_000 + b'"\n2,b\n')
    rows = rows_of(path)
    tracemalloc.start()
    first = next(rows)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    read_bytes = rows.bytes_read
    last = [item for item in rows if not isinstance(item, Unreadable)]
    assert isinstance(first, Unreadable)
    assert read_bytes < 0.7 * path.stat().st_size, "given up long before the end: 320,000 lines cost the cap"
    assert last == [{"phone": "2", "realName": "b"}]
    assert peak_bytes < 4 * LINE_CAP


def test_records_are_streamed_not_gathered(tmp_path: Path) -> None:
    path = written(tmp_path, b"13800138000,Zhang San\n" * 200_000)
    rows = rows_of(path)
    tracemalloc.start()
    count = sum(1 for _ in rows)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 200_000
    assert peak_bytes < 2**20


def test_closing_ends_the_iteration_and_may_be_repeated(tmp_path: Path) -> None:
    rows = rows_of(written(tmp_path, b'1,"a\n2,b\n3,c\n'))
    assert isinstance(next(rows), Unreadable)
    rows.close()
    rows.close()
    assert list(rows) == []
    del rows
    gc.collect()  # an open file would warn here, and warnings are errors


def test_the_end_of_the_file_closes_it_and_stays_the_end(tmp_path: Path) -> None:
    rows = rows_of(written(tmp_path, b"1,a\n"))
    assert len(list(rows)) == 1
    assert rows._input.is_closed
    assert next(rows, "end") == "end"


def test_the_limit_of_the_csv_module_is_left_as_it_is(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    list(rows_of(written(tmp_path, b"1,a\n")))
    assert csv.field_size_limit() == before


@given(st.lists(st.sampled_from([b'"', b",", b"\n", b"\r\n", b"x", b"\xff", b"\r", b"1,a\n", '张"\n'.encode()])))
def test_whatever_the_bytes_every_line_with_something_in_it_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    # A line that decodes, or three that do not would tell of a wrong encoding at once.
    path = written(tmp_path_factory.mktemp("csv"), "张,a\n".encode() + b"".join(pieces))
    lines = path.read_bytes().splitlines(keepends=True) if b"\r" not in b"".join(pieces) else None
    rows = rows_of(path)
    numbers: list[int] = []
    items: list[Any] = []
    for item in rows:
        numbers.append(rows.line_num)
        items.append(item)
    assert numbers == sorted(set(numbers)), "in order, and no line twice"
    assert all(isinstance(item, Unreadable) or item for item in items)
    if lines is not None and b'"' not in b"".join(pieces):
        filled = [number for number, line in enumerate(lines, 1) if line.strip(b", \n")]
        assert numbers == filled[1:]
