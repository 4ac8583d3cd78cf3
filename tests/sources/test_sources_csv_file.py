import csv
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import canary
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.errors import ConfigError
from asyncimport.records import Event
from asyncimport.sources import read_csv

ZHANG = {"phone": "138", "realName": "张三"}


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "users.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "phone,realName\n138,张三\n",
        "phone,realName\r\n138,张三\r\n",
        "phone,realName\n138,张三",
        "\ufeffphone,realName\n138,张三\n",
        "\ufeff\n \nphone,realName\n138,张三\n",
        "phone\trealName\n138\t张三\n",
        "phone;realName\n138;张三\n",
        '"phone","realName"\n"138","张三"\n',
    ],
    ids=["lf", "crlf", "no-last-end", "bom", "blank-lines-before", "tab", "semicolon", "quoted"],
)
def test_a_file_is_read_as_spreadsheets_write_it(tmp_path: Path, text: str) -> None:
    assert list(read_csv(written(tmp_path, text))) == [ZHANG]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "UTF8", "gb18030", "gbk", "big5hkscs"])
def test_any_encoding_with_a_line_feed_of_one_byte_is_read(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, "phone,realName\n138,張三\n", encoding)
    assert list(read_csv(path, encoding=encoding)) == [{"phone": "138", "realName": "張三"}]


def test_a_record_class_other_than_users_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, "event_key,identities.phone,time\nc_buy,138,1740758400000\n")
    event = {
        "eventKey": "c_buy",
        "time": 1740758400000,
        "identities": [{"identityType": "phone", "identityValue": "138"}],
    }
    assert list(read_csv(path, Event)) == [event]


def test_a_delimiter_that_is_given_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path, "phone:realName\n138:张,三\n")
    assert list(read_csv(path, delimiter=":")) == [{"phone": "138", "realName": "张,三"}]


@pytest.mark.parametrize("delimiter", ["", ",,", "\n", "\r"])
def test_a_delimiter_that_cannot_part_cells_is_refused(tmp_path: Path, delimiter: str) -> None:
    with canary.raises(ConfigError, match="delimiter takes one character"):
        read_csv(written(tmp_path, "phone\n"), delimiter=delimiter)


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("klingon", "encoding is no text encoding that Python knows"),
        ("base64", "encoding is no text encoding that Python knows"),
        ("a\0b", "encoding is no text encoding that Python knows"),
        ("utf-16", "encoding utf-16 cannot be read line by line: save the file as UTF-8"),
        ("cp037", "encoding cp037 cannot be read line by line: save the file as UTF-8"),
    ],
)
def test_an_encoding_that_cannot_be_read_is_refused(tmp_path: Path, encoding: str, message: str) -> None:
    with canary.raises(ConfigError, match=message):
        read_csv(written(tmp_path, "phone\n"), encoding=encoding)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing: its first line must be a header that names the fields"),
        (b"\xef\xbb\xbf\r\n \n", "begins with nothing: its first line must be a header that names the fields"),
        (b"\n" * 100 + b"phone\n", "begins with nothing: its first line must be a header that names the fields"),
        ("phone,备注\n".encode("gb18030"), "its header is no utf-8 text: save the file as UTF-8 or give its encoding"),
        (b"phone\rrealName\r138\r", "its header line does not end: save it with line feeds, as CSV UTF-8"),
        (b"phone," + b"x" * 2**24, "its header line does not end: save it with line feeds, as CSV UTF-8"),
        (b'phone,"realName\n138,x\n', "its header is no CSV: look for a quote that is not closed"),
        (b"phone,reelName\n", "column 'reelName' is no field of UserProfile: did you mean realName?"),
        (b"phone,phone\n", "columns 'phone' and 'phone' fill the same field: remove one"),
        (b"138,canary-person\n", "its first line names no field of UserProfile: give it a header line of"),
    ],
    ids=["empty", "blank", "far", "encoding", "bare-cr", "endless", "quote", "unknown", "doubled", "no-header"],
)
def test_a_header_that_cannot_be_read_is_refused_when_the_file_is_named(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(content)
    with canary.raises(ConfigError) as refused:
        read_csv(path)
    assert str(refused.value).startswith(str(path))
    assert message in str(refused.value)
    assert "canary" not in str(refused.value)
    gc.collect()  # a file left open would warn here, and warnings are errors


def test_each_iteration_opens_the_file_anew(tmp_path: Path) -> None:
    path = written(tmp_path, "phone\n1\n")
    source = read_csv(path)
    assert list(source) == list(source) == [{"phone": "1"}]
    path.write_bytes(b"phone\n2\n3\n")
    assert list(source) == [{"phone": "2"}, {"phone": "3"}]


@pytest.mark.parametrize("content", [b"openid\n1\n", b"", b"\nphone\n1\n"], ids=["other", "emptied", "moved"])
def test_a_header_that_has_changed_since_is_refused(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path, "phone\n1\n")
    source = read_csv(path)
    path.write_bytes(content)
    with canary.raises(ConfigError, match="has another header than when it was first read"):
        iter(source)
    gc.collect()


def test_the_repr_of_a_source_shows_where_it_reads_and_no_content(tmp_path: Path) -> None:
    path = written(tmp_path, "phone,customFields..canary-column\n1,x\n")
    dialect = "Dialect(encoding='utf-8', delimiter=',', quotechar='\"', escapechar=None, doublequote=True)"
    assert repr(read_csv(path)) == f"CsvFile(path={str(path)!r}, dialect={dialect})"


NAMES = ("phone", "realName", "address", "remark")
CELLS = st.text(st.characters(codec="utf-8"), max_size=12)
# A cell of blanks alone in every column is a blank line, and so is skipped; one cell with something keeps the row.
ROWS = st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS))


@given(ROWS, st.sampled_from(["\n", "\r\n"]), st.sampled_from(",;\t"), st.sampled_from(["utf-8-sig", "gb18030"]))
def test_what_csv_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: Sequence[tuple[str, ...]], end: str, delimiter: str, encoding: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "users.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        # QUOTE_ALL, since csv.writer of Python before 3.13 leaves a lone carriage return unquoted
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
        writer.writerows([NAMES, *rows])
    expected: list[dict[str, Any]] = [
        {name: cell for name, cell in zip(NAMES, row, strict=True) if cell} for row in rows
    ]
    assert list(read_csv(path, encoding=encoding)) == [row for row in expected if row]
