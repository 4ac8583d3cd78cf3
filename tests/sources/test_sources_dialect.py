import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import canary
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.errors import ConfigError
from asyncimport.sources import ColumnMapping, read_csv
from asyncimport.unreadable import Unreadable

NAMES = ["phone", "realName", "remark"]


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "users.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("row", "how", "remark"),
    [
        ("1,'it''s',x", {"quotechar": "'"}, "x"),
        ("1,a,'x,y'", {"quotechar": "'"}, "x,y"),
        ('1,a,12" tape', {"quotechar": None}, '12" tape'),
        ('1,a,"x', {"quotechar": None}, '"x'),
        ("1,a,x\\,y", {"escapechar": "\\"}, "x,y"),
        ("1,a,x\\\ny", {"escapechar": "\\"}, "x\ny"),
        ("1,a,x\\,y", {"escapechar": "\\", "quotechar": None}, "x,y"),
        ('1,a,"x\\"y"', {"escapechar": "\\", "doublequote": False}, 'x"y'),
        ('1,a,"x""y"', {"escapechar": "\\"}, 'x"y'),
        ("1|a|x,y", {"delimiter": "|"}, "x,y"),
        ('1"a"x', {"delimiter": '"', "quotechar": None}, "x"),
    ],
)
def test_cells_are_taken_out_of_a_row_as_the_dialect_says(
    tmp_path: Path, row: str, how: dict[str, Any], remark: str
) -> None:
    parted = how.get("delimiter", ",")
    (record,) = read_csv(written(tmp_path, f"{parted.join(NAMES)}\n{row}\n"), **how)
    assert isinstance(record, dict)
    assert record["remark"] == remark


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1), st.text("a'\\;\"\n"))
    ),
    st.sampled_from([None, "'", "|"]),
    st.sampled_from(["\\", "~"]),
)
def test_what_csv_writes_in_a_dialect_is_read_back_in_it(
    tmp_path_factory: pytest.TempPathFactory, rows: Sequence[tuple[str, str]], quote: str | None, escape: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "users.csv"
    quoting: Any = csv.QUOTE_NONE if quote is None else csv.QUOTE_ALL
    how: dict[str, Any] = {"delimiter": ";", "quotechar": quote, "escapechar": escape, "doublequote": False}
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=quoting, lineterminator="\n", **how).writerows([("phone", "remark"), *rows])
    # A row of blanks alone is a blank line, and skipped, unless its cells are quoted.
    found: list[Any] = list(read_csv(path, **how))
    cells = [(row.get("phone", ""), row.get("remark", "")) for row in found]
    assert [row for row in cells if any(map(str.strip, row))] == [row for row in rows if any(map(str.strip, row))]


@pytest.mark.parametrize(
    "how",
    [{"quotechar": "'"}, {"escapechar": "\\"}, {"doublequote": False}, {"quotechar": None}, {"header": ["phone"]}],
    ids=lambda how: next(iter(how)),
)
def test_another_dialect_is_another_reading_of_the_file_for_a_journal(tmp_path: Path, how: dict[str, Any]) -> None:
    path = written(tmp_path, "phone\n1\n")
    if "header" in how:
        path = written(tmp_path, "1\n2\n")
        assert read_csv(path, header=["remark"]).identity() != read_csv(path, **how).identity()
    else:
        assert read_csv(path).identity() != read_csv(path, **how).identity()


def test_what_is_found_and_what_is_said_alike_is_one_reading(tmp_path: Path) -> None:
    path = written(tmp_path, "phone;remark\n1;x\n")
    assert read_csv(path).identity() == read_csv(path, delimiter=";", quotechar='"', header=None).identity()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"quotechar": ""}, "quotechar takes one character that is no line end, or None for none"),
        ({"escapechar": "\\\\"}, "escapechar takes one character that is no line end, or None for none"),
        ({"quotechar": 7}, "quotechar takes one character"),
        ({"delimiter": "\0"}, "delimiter takes one character that is no line end, or None to find it"),
        ({"delimiter": '"'}, "quotechar is the same character as delimiter: each takes one of its own, or None"),
        ({"escapechar": '"'}, "escapechar is the same character as quotechar"),
        ({"delimiter": "\\", "escapechar": "\\"}, "escapechar is the same character as delimiter"),
        ({"doublequote": None}, "doublequote takes True or False"),
        ({"header": "phone,remark"}, "header takes the names of the columns, as in ['phone', 'realName'], or None"),
        ({"header": []}, "header takes the names of the columns"),
        ({"header": [7]}, "header takes the names of the columns"),
    ],
)
def test_what_cannot_work_together_is_refused_before_the_file_is_looked_at(how: dict[str, Any], message: str) -> None:
    with canary.raises(ConfigError) as refused:
        read_csv("no such file", **how)
    assert str(refused.value).startswith(message)


def test_a_quote_or_escape_is_not_found_as_the_delimiter(tmp_path: Path) -> None:
    path = written(tmp_path, ";phone;,;remark;\n;1;,;x;\n")
    assert list(read_csv(path, quotechar=";")) == [{"phone": "1", "remark": "x"}]


@pytest.mark.parametrize("bom", ["", "\ufeff"], ids=["plain", "bom"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_a_file_without_header_takes_names_for_its_columns(tmp_path: Path, bom: str, encoding: str) -> None:
    codec = encoding.removesuffix("-sig")
    path = written(tmp_path, f"{bom}张,138\n李,139\n", codec)
    rows = iter(read_csv(path, encoding=encoding, header=["realName", "phone"]))
    records = [(rows.line_num, row) for row in rows]
    assert records == [(1, {"realName": "张", "phone": "138"}), (2, {"realName": "李", "phone": "139"})]


def test_names_given_for_columns_are_mapped_as_a_header_is(tmp_path: Path) -> None:
    path = written(tmp_path, "138;Beijing;x\n")
    mapping = ColumnMapping(columns={"Tel": "phone", "City": "address"}, rest="ignore")
    assert list(read_csv(path, header=["Tel", "City", "Note"], mapping=mapping)) == [
        {"phone": "138", "address": "Beijing"}
    ]


def test_the_delimiter_of_a_file_without_header_is_the_one_that_makes_as_many_cells_as_names(tmp_path: Path) -> None:
    path = written(tmp_path, "138\tRoad 1, House 2, Room 3, Beijing\n")
    (record,) = read_csv(path, header=["phone", "address"])
    assert record == {"phone": "138", "address": "Road 1, House 2, Room 3, Beijing"}


@pytest.mark.parametrize(
    ("text", "header", "message"),
    [
        ("phone,remark\n1,x\n", ["phone", "remark"], "its first line is the header that is given: leave header out"),
        ("1,x\n", ["phone", "colour"], "column 'colour' is no field of UserProfile"),
        ("1,x\n", ["tel", "colour"], "the header given names no field of UserProfile: it takes"),
        ("1,x\r2,y\r", ["phone", "remark"], "its first line does not end: save it with line feeds, as CSV UTF-8"),
    ],
)
def test_a_header_given_that_does_not_fit_is_refused(
    tmp_path: Path, text: str, header: list[str], message: str
) -> None:
    path = written(tmp_path, text)
    with canary.raises(ConfigError) as refused:
        read_csv(path, header=header)
    assert str(refused.value).startswith(f"{path}: {message}")


def test_a_first_row_that_is_damaged_costs_itself_alone_where_names_are_given(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(b"\xff,x\n1,y,z\n2,x\n")
    rows = iter(read_csv(path, header=["phone", "remark"]))
    found = [(rows.line_num, row.reason if isinstance(row, Unreadable) else row) for row in rows]
    assert found == [(1, "is no utf-8 text"), (2, "does not fit the header"), (3, {"phone": "2", "remark": "x"})]


def test_an_empty_file_has_no_records_where_names_are_given(tmp_path: Path) -> None:
    assert list(read_csv(written(tmp_path, ""), header=["phone"])) == []


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("sep=|\nphone|remark\n1|x,y\n", {}),
        ("\ufeffSEP=;\r\nphone;remark\r\n1;x,y\r\n", {}),
        ('"sep=;"\nphone;remark\n1;x,y\n', {}),
        ("sep=\t\nphone\tremark\n1\tx,y\n", {}),
        ("sep=;\nphone|remark\n1|x,y\n", {"delimiter": "|"}),
        ("sep=|\n1|x,y\n", {"header": ["phone", "remark"]}),
    ],
    ids=["bar", "excel", "quoted", "tab", "said-otherwise", "no-header"],
)
def test_a_first_line_that_names_the_delimiter_is_taken_at_its_word(
    tmp_path: Path, text: str, how: dict[str, Any]
) -> None:
    source = read_csv(written(tmp_path, text), **how)
    rows = iter(source)
    assert [(rows.line_num, row) for row in rows] == [(text.count("\n"), {"phone": "1", "remark": "x,y"})]
    assert list(source) == [{"phone": "1", "remark": "x,y"}]
