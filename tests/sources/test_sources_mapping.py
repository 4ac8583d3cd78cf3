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
from asyncimport.sources import ColumnMapping, CustomFieldColumn, IdentityColumn, read_csv, read_jsonl
from asyncimport.sources.mapping import reading_of
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
        ({"constants": {"remark": ""}}, "constant 'remark' is empty: give it a value, or keep what is empty"),
        ({"columns": {7: "phone"}}, "columns takes a mapping of text to text, got int on its left"),
        (
            {"constants": {"time": [1]}},
            "constants takes a mapping of text to text, numbers, True or False, got list for",
        ),
        ({"constants": 7}, "constants takes a mapping of text to text, numbers, True or False, got int"),
        ({"identities": "openid"}, "identities takes a list of IdentityColumn"),
        ({"identities": [{"column": "a"}]}, "identities takes a list of IdentityColumn"),
        ({"custom_fields": 7}, "custom_fields takes a list of CustomFieldColumn"),
        ({"arguments": {"price": 7}}, "arguments takes a mapping of text to text, got int for 'price'"),
        ({"arguments_prefix": None}, "arguments_prefix takes what the names of columns begin with"),
        ({"moments": {"at": "us"}}, "moment 'at' takes one of iso, s, ms as its format"),
        ({"moments": ["at"]}, "moments takes a mapping of text to text, got list"),
        (
            {"zone": "Asia/Shangai"},
            "zone takes an offset such as +08:00, or a name that this machine knows, such as Asia",
        ),
        ({"zone": "+8"}, "zone takes an offset such as +08:00"),
        ({"zone": "+15:00"}, "zone takes an offset such as +08:00"),
        ({"zone": "../etc/passwd"}, "zone takes an offset such as +08:00"),
        ({"zone": ""}, "zone takes an offset such as +08:00"),
        ({"zone": 8}, "zone takes an offset such as +08:00"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_when_it_is_built(parts: dict[str, Any], message: str) -> None:
    with canary.raises(ConfigError) as refused:
        ColumnMapping(**parts)
    assert str(refused.value).startswith(message)
    assert refused.value.faults == (str(refused.value),)


@pytest.mark.parametrize(
    ("kind", "parts", "message"),
    [
        (IdentityColumn, {"column": "", "identity_type": "openid"}, "column takes the name of a column"),
        (IdentityColumn, {"column": "a", "identity_type": ""}, "identity of column 'a': identity_type: got an empty str"),
        (IdentityColumn, {"column": "a", "identity_type": 7}, "identity of column 'a': identity_type: got int; takes te"),
        (IdentityColumn, {"column": "a", "identity_type": "x", "platform": 7}, "identity of column 'a': platform: got i"),
        (IdentityColumn, {"column": "a", "identity_type": "x", "mpid": "wx1"},
         "identity of column 'a': is_wechat_ecosystem: got nothing; is required when mpid is given"),
        (IdentityColumn, {"column": "a", "identity_type": "x", "mpid": "wx1", "is_wechat_ecosystem": "yes"},
         "identity of column 'a': is_wechat_ecosystem: got text; takes True or False"),
        (CustomFieldColumn, {"column": None, "config_id": 1}, "column takes the name of a column"),
        (CustomFieldColumn, {"column": "a"}, "custom field of column 'a': give it a config_id, a config_name, or both"),
        (CustomFieldColumn, {"column": "a", "config_id": True}, "custom field of column 'a': config_id takes a whole nu"),
        (CustomFieldColumn, {"column": "a", "config_id": 2**63}, "custom field of column 'a': config_id takes a whole n"),
        (CustomFieldColumn, {"column": "a", "config_name": 7}, "custom field of column 'a': config_name takes text"),
        (CustomFieldColumn, {"column": "a", "config_id": 1, "separator": ""}, "separator takes the text that parts"),
    ],
)  # fmt: skip
def test_a_column_of_a_list_that_cannot_work_is_refused_when_it_is_built(
    kind: type[Any], parts: dict[str, Any], message: str
) -> None:
    with canary.raises(ConfigError) as refused:
        kind(**parts)
    assert str(refused.value).startswith(message)


def test_all_faults_of_a_mapping_are_told_at_once() -> None:
    with canary.raises(ConfigError) as refused:
        ColumnMapping(columns={"": 7}, moments={"at": "us"}, zone="x", rest="drop", empty="", constants={"sex": ""})
    assert [fault.partition(" ")[0] for fault in refused.value.faults] == [
        "columns", "columns", "moment", "zone", "rest", "empty"
    ]  # fmt: skip
    assert str(refused.value) == "\n  ".join(["6 faults:", *refused.value.faults])
    assert pickle.loads(pickle.dumps(refused.value)).faults == refused.value.faults


@pytest.mark.parametrize(
    "part",
    [
        {"columns": {"a": "phone"}}, {"constants": {"sex": "女"}}, {"arguments": {"a": "text"}}, {"moments": {"a": "s"}},
        {"arguments_prefix": "a"}, {"zone": "+08:00"}, {"rest": "ignore"}, {"empty": "keep"}, {"separator": ";"},
        {"identities": [IdentityColumn(column="a", identity_type="b")]},
        {"identities": [IdentityColumn(column="a", identity_type="b", platform="c")]},
        {"custom_fields": [CustomFieldColumn(column="a", config_id=1)]},
        {"custom_fields": [CustomFieldColumn(column="a", config_id=1, separator=",")]},
    ],
    ids=str,
)  # fmt: skip
def test_every_part_tells_one_reading_from_others(part: dict[str, Any]) -> None:
    other = reading_of("Event", mapping=ColumnMapping(**part))
    assert other != reading_of("Event", mapping=ColumnMapping())
    assert other == reading_of("Event", mapping=ColumnMapping(**part))


def test_a_constant_of_another_type_is_another_reading() -> None:
    readings = {reading_of(mapping=ColumnMapping(constants={"eventargs.a": value})) for value in (1, 1.0, True, "1")}
    assert len(readings) == 4


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
MOMENTS = st.sampled_from(["2025-03-01T10:00:00", "2025-03-01 10:00:00Z", "2025-03-01", "1740758400", "1740758400123"])
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


@given(
    st.lists(st.tuples(*[TEXTS | MOMENTS] * 5)), st.sampled_from(["iso", "s", "ms"]), st.sampled_from(["+08:00", None])
)
def test_lists_prefixes_and_moments_mean_the_same_too(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], format_: str, zone: str | None
) -> None:
    mapping = ColumnMapping(
        columns={"备注": "time"},
        constants={"event_key": "c_buy", "eventargs.c_n": 5, "eventargs.c_t": "5", "eventargs.c_b": True},
        identities=[
            IdentityColumn(column="电话", identity_type="openid", platform="gzh", mpid="a", is_wechat_ecosystem=True),
            IdentityColumn(column="等级", identity_type="openid", mpid="b", is_wechat_ecosystem=False),
        ],
        arguments={"多余": "text"},
        arguments_prefix="多",
        moments={"备注": format_},
        zone=zone,
        rest="ignore",
    )
    agree(tmp_path_factory.mktemp("events"), rows, Event, mapping)


@given(st.lists(st.tuples(*[TEXTS] * 5)), st.sampled_from(["absent", "keep"]))
def test_custom_fields_with_separators_of_their_own_mean_the_same_too(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], empty: str
) -> None:
    mapping = ColumnMapping(
        columns={"电话": "phone"},
        custom_fields=[
            CustomFieldColumn(column="等级", config_id=1, config_name="等级", separator="-"),
            CustomFieldColumn(column="标签", config_name="标签"),
        ],
        rest="ignore",
        empty=empty,
    )
    agree(tmp_path_factory.mktemp("users"), rows, UserProfile, mapping)


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
