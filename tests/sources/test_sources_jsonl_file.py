import gc
import json
from pathlib import Path
from typing import Any

import canary
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.errors import ConfigError
from asyncimport.records import TagAssignment, UserProfile
from asyncimport.sources import ColumnMapping, read_jsonl
from asyncimport.sources.jsonl_file import LONG_INTEGER
from asyncimport.sources.lines import LINE_CAP, LONG_LINE
from asyncimport.unreadable import Unreadable


def written(folder: Path, content: bytes) -> Path:
    path = folder / "events.jsonl"
    path.write_bytes(content)
    return path


def numbered(path: Path) -> list[tuple[int, Any]]:
    rows = iter(read_jsonl(path))
    return [(rows.line_num, item) for item in rows]


@pytest.mark.parametrize(
    ("content", "items"),
    [
        (b'{"a": 1}\n{"a": 2}\n', [(1, {"a": 1}), (2, {"a": 2})]),
        (b'{"a": 1}\r\n{"a": 2}\r\n', [(1, {"a": 1}), (2, {"a": 2})]),
        (b'\xef\xbb\xbf{"a": 1}\n', [(1, {"a": 1})]),
        (b'{"a": 1}\n{"a": 2}', [(1, {"a": 1}), (2, {"a": 2})]),
        (b'\n \t\r\n{"a": 1}\n\n\n{"a": 2}\n\n', [(3, {"a": 1}), (6, {"a": 2})]),
        (b"", []),
        (b"\xef\xbb\xbf", []),
        (b"[1]\nnull\n7\n", [(1, [1]), (2, None), (3, 7)]),
        ('{"姓名": "张\u2028三\x85"}\n'.encode(), [(1, {"姓名": "张\u2028三\x85"})]),
    ],
    ids=["lf", "crlf", "bom", "last-without-end", "blank-lines", "empty", "bom-alone", "no-objects", "other-line-ends"],
)
def test_each_line_is_a_record_with_its_number(tmp_path: Path, content: bytes, items: list[Any]) -> None:
    assert numbered(written(tmp_path, content)) == items


@pytest.mark.parametrize(
    ("line", "start", "end"),
    [
        (b'{"a": 1 "b": 2}', "is no JSON: ", "at column 9"),
        (b'{"a": NaN}', "is no JSON: ", "at column 7"),
        (b'{"a": 1}{"a": 2}', "is no JSON: ", "at column 9"),
        (b'{"a": "canary-person-', "is no JSON: ", ""),
        (b'{"a": "\\ud800"}', "is no JSON: ", ""),
        (b"[" * 100_000, "is no JSON: ", ""),
        (b"\xef\xbb\xbf{}", "is no JSON: ", "at column 1"),
        ('{"a": "张"}'.encode("gb18030"), "is no utf-8 text: ", "byte 8 of the line cannot be decoded"),
    ],
    ids=["comma", "nan", "two-values", "cut", "lone-surrogate", "depth", "bom-within", "gb18030"],
)
def test_a_line_that_is_no_json_is_unreadable_and_the_rest_goes_on(
    tmp_path: Path, line: bytes, start: str, end: str
) -> None:
    first, (number, bad), last = numbered(written(tmp_path, b'{"a": 1}\n' + line + b'\n{"a": 2}\n'))
    assert (first, last) == ((1, {"a": 1}), (3, {"a": 2}))
    assert number == 2
    assert isinstance(bad, Unreadable)
    assert bad.rule.startswith(start)
    assert bad.rule.endswith(end)
    assert "canary" not in repr(bad)


def test_the_reason_is_the_same_whatever_the_column(tmp_path: Path) -> None:
    rules = [item for _, item in numbered(written(tmp_path, b"{]\n[1,2 3]\n"))]
    assert rules[0] != rules[1]
    assert {bad.reason for bad in rules} == {"is no JSON"}


def test_a_line_above_the_cap_is_unreadable_and_counts_as_a_line(tmp_path: Path) -> None:
    path = written(tmp_path, b"{}\n" + b" " * (LINE_CAP + 1) + b"\n{}\n")
    assert numbered(path) == [(1, {}), (2, LONG_LINE), (3, {})]


def test_each_iteration_opens_the_file_anew(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"a": 1}\n')
    source = read_jsonl(path)
    assert list(source) == list(source) == [{"a": 1}]
    path.write_bytes(b'{"a": 2}\n')
    assert list(source) == [{"a": 2}]
    path.unlink()
    with canary.raises(ConfigError, match="does not exist"):
        iter(source)


def test_closing_ends_the_iteration_and_may_be_repeated(tmp_path: Path) -> None:
    rows = iter(read_jsonl(written(tmp_path, b"{}\n{}\n{}\n")))
    assert next(rows) == {}
    rows.close()
    rows.close()
    assert list(rows) == []
    del rows
    gc.collect()  # an open file would warn here, and warnings are errors


def test_the_end_of_the_file_closes_it_and_stays_the_end(tmp_path: Path) -> None:
    rows = iter(read_jsonl(written(tmp_path, b"{}\n")))
    assert list(rows) == [{}]
    assert rows._input.is_closed
    assert next(rows, "end") == "end"


@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=5), st.text() | st.integers(-(2**63), 2**63 - 1) | st.none() | st.lists(st.booleans())
        )
    ),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_json_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, records: list[Any], ascii_only: bool, end: str
) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "records.jsonl"
    path.write_bytes("".join(json.dumps(record, ensure_ascii=ascii_only) + end for record in records).encode())
    assert list(read_jsonl(path)) == records


@pytest.mark.parametrize("mapping", [None, ColumnMapping(columns={"tel": "phone"})], ids=["plain", "mapped"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
def test_where_a_record_stands_is_its_line_and_its_first_byte_in_the_file(
    tmp_path: Path, bom: bytes, mapping: ColumnMapping | None
) -> None:
    lines = [
        b'{"phone": "1"}\n',
        b"\n",
        '{"remark": "张"}\r\n'.encode(),
        b"x" * (LINE_CAP + 1) + b"\n",
        b"oops\n",
        b"{}",
    ]
    path = written(tmp_path, bom + b"".join(lines))
    content = path.read_bytes()
    rows = iter(read_jsonl(path, record=UserProfile, mapping=mapping))
    places = [rows.where() for _ in rows]
    assert [place.line for place in places] == [1, 3, 4, 5, 6]
    begun = [content[place.offset or 0 :].split(b"\n")[0][:7] for place in places]
    assert begun == [b'{"phone', b'{"remar', b"xxxxxxx", b"oops", b"{}"]


def test_records_are_streamed_not_gathered(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    line = orjson.dumps({"eventKey": "c_view", "eventargs": {"c_goods": "龙井茶" * 40}}) + b"\n"
    path.write_bytes(line * 50_000)
    rows = iter(read_jsonl(path))
    next(rows)
    assert rows.bytes_read < path.stat().st_size / 10
    rows.close()


@pytest.mark.parametrize(
    ("number", "is_refused"),
    [
        ("18446744073709551615", False),
        ("18446744073709551616", True),
        ("-9223372036854775809", True),
        ("12345678901234567890123", True),
        ("1.5e30", False),
        ("1e19", False),
    ],
)
@pytest.mark.parametrize("place", ['{"c_n":%s}', '{"c":[{"n":%s}]}'], ids=["flat", "nested"])
def test_an_integer_beyond_64_bits_is_refused_and_never_made_a_float(
    tmp_path: Path, number: str, is_refused: bool, place: str
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"eventKey":"c","eventargs":' + place % number + "}\n", encoding="utf-8")
    (record,) = read_jsonl(path)
    assert (record == LONG_INTEGER) == is_refused


def test_a_line_nested_deeper_than_python_recurses_is_left_to_admission(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    deep = "[" * 900 + "1e30" + "]" * 900
    path.write_text('{"eventargs":{"c":' + deep + ',"d":1e30}}\n', encoding="utf-8")
    (record,) = read_jsonl(path)
    assert record["eventargs"]["d"] == 1e30


@pytest.mark.parametrize(
    "line",
    ['{"operateTags":[{"id":NUMBER}]}', '{"operate_tags":[[NUMBER]]}', '{"anything":{"of":["a declared", NUMBER]}}'],
)
@pytest.mark.parametrize("mapping", [None, ColumnMapping(columns={"tags": "operateTags"})], ids=["plain", "mapped"])
def test_an_integer_beyond_64_bits_is_refused_in_every_free_part(
    tmp_path: Path, line: str, mapping: ColumnMapping | None
) -> None:
    path = tmp_path / "tags.jsonl"
    path.write_text("".join(line.replace("NUMBER", digits) + "\n" for digits in (str(2**64), "1e30")), encoding="utf-8")
    refused, taken = read_jsonl(path, record=TagAssignment, mapping=mapping)
    assert isinstance(refused, Unreadable)
    assert refused.rule == "holds a whole number beyond 64 bits: send it as text"
    assert not isinstance(taken, Unreadable)
