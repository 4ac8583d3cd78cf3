import json
import pickle
from pathlib import Path
from typing import Any

import attrs
import canary
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.errors import ConfigError
from asyncimport.records import Event, UserProfile
from asyncimport.sources import ColumnMapping, read_csv, read_jsonl
from asyncimport.unreadable import Unreadable


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"columns": ["tel"]}, "columns takes a mapping of text to text, got list"),
        ({"columns": {"tel": 7}}, "columns takes a mapping of text to text"),
        ({"constants": {"sex": None}}, "constants takes a mapping of text to text"),
        ({"columns": {"": "phone"}}, "columns has an empty name on its left"),
        ({"arguments": {"price": "float"}}, "argument 'price' takes one of auto, text, number as its type"),
        ({"rest": "drop"}, "rest takes one of refuse, ignore, arguments"),
        ({"empty": ""}, "empty takes one of absent, keep"),
        ({"separator": ""}, "separator takes the text that parts the values"),
        ({"columns": {"a": "time"}, "arguments": {"a": "auto"}}, "column 'a' is mapped to a field and is an argument"),
        ({"columns": {"a": "phone", "b": "phone"}}, "field 'phone' is filled twice by the mapping"),
        ({"columns": {"a": "sex"}, "constants": {"sex": "女"}}, "field 'sex' is filled twice by the mapping"),
        ({"constants": {"remark": ""}}, "constant 'remark' is empty: give it a value, or keep what is empty"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_when_it_is_built(parts: dict[str, Any], message: str) -> None:
    with canary.raises(ConfigError) as refused:
        ColumnMapping(**parts)
    assert str(refused.value).startswith(message)


def test_a_mapping_is_frozen_plain_data_that_shares_nothing() -> None:
    columns = {"tel": "phone"}
    mapping = ColumnMapping(columns=columns, constants={"realName": canary.PERSON})
    columns["tel"] = "openid"
    assert mapping.columns == {"tel": "phone"}
    assert pickle.loads(pickle.dumps(mapping)) == mapping
    assert canary.leaks(repr(mapping)) == []
    with canary.raises(attrs.exceptions.FrozenInstanceError):
        setattr(mapping, "rest", "ignore")  # noqa: B010 -- a plain assignment is refused by mypy already


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=6) | st.sampled_from(
    ["", "a|b", "||", "12", "-1.5", "007", "1e3", " 7 "]
)
COLUMNS = ["电话", "等级", "标签", "备注", "多余"]


@given(st.lists(st.tuples(*[TEXTS] * 5)), st.sampled_from(["absent", "keep"]), st.sampled_from(["|", "a", "||"]))
def test_a_mapping_means_the_same_for_cells_and_for_json_texts(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], empty: str, separator: str
) -> None:
    mapping = ColumnMapping(
        columns={"电话": "phone", "等级": "customFields.1.等级", "标签": "custom_fields..标签", "备注": "remark"},
        constants={"sex": "女", "customFields.9": "x|y"},
        rest="ignore",
        empty=empty,
        separator=separator,
    )
    agree(tmp_path_factory.mktemp("users"), rows, UserProfile, mapping)


@given(st.lists(st.tuples(*[TEXTS] * 5)), st.sampled_from(["absent", "keep"]))
def test_a_mapping_of_events_means_the_same_too(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], empty: str
) -> None:
    mapping = ColumnMapping(
        columns={
            "电话": "identities.phone",
            "等级": "identities.openid",
            "标签": "event_key",
            "备注": "eventargs.备注",
        },
        constants={"time": "1740758400000", "eventargs.c_n": "5"},
        arguments={"多余": "number"},
        empty=empty,
    )
    agree(tmp_path_factory.mktemp("events"), rows, Event, mapping, ignored_args={"备注"})


def agree(
    folder: Path, rows: list[tuple[str, ...]], record: type[Any], mapping: ColumnMapping, ignored_args: Any = ()
) -> None:
    """Read the same texts from both formats. JSON keeps its types, so an argument of type auto stays text there."""
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in (COLUMNS, *rows)]
    (folder / "x.csv").write_text("\n".join(quoted) + "\n", encoding="utf-8", newline="")
    lines = [json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in rows if any(row)]
    (folder / "x.jsonl").write_text("\n".join(lines), encoding="utf-8")
    of_cells = list(read_csv(folder / "x.csv", record, delimiter=",", mapping=mapping))
    of_json = list(read_jsonl(folder / "x.jsonl", record=record, mapping=mapping))
    assert [plain(item, ignored_args) for item in of_cells] == [plain(item, ignored_args) for item in of_json]


def plain(item: Any, ignored_args: Any) -> Any:
    if isinstance(item, Unreadable):
        return item.reason.replace("in any column", "under any key")
    item.get("eventargs", {}).update(dict.fromkeys(ignored_args, None))
    return {
        name: sorted(value, key=str) if isinstance(value, list) else value
        for name, value in item.items()
        if name not in ignored_args
    }
