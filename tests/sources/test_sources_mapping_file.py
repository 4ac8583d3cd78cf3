"""Mapping files: what TOML comes to, and everything that can be wrong with it, all of it at once."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import canary
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.errors import ConfigError
from asyncimport.sources import ColumnMapping, CustomFieldColumn, IdentityColumn, read_mapping
from asyncimport.sources.mapping_file import MAX_BYTES, mapping_of

WHOLE = """
rest = "ignore"
empty = "keep"
separator = ";"
zone = "Asia/Shanghai"
arguments_prefix = "arg_"

[columns]
Mobile = "identities.phone"
"下单 时间" = "time"

[constants]
event_key = "c_buy"
"eventargs.c_n" = 5
"eventargs.c_r" = 0.5
"eventargs.c_b" = true
intid = ""

[arguments]
arg_price = "number"

[moments]
"下单 时间" = "iso"

[[identities]]
column = "OpenId"
identity_type = "openid"
platform = "gzh"
mpid = "wx1"
is_wechat_ecosystem = true

[[identities]]
column = "UnionId"
identity_type = "unionid"

[[custom_fields]]
column = "Level"
config_id = 12
config_name = "等级"
separator = ","
"""


IN_QUOTES = "a name with other characters than A-Z a-z 0-9 _ - stands in quotes"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "orders.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_part_of_a_mapping_can_be_written(tmp_path: Path) -> None:
    mapping = ColumnMapping(
        columns={"Mobile": "identities.phone", "下单 时间": "time"},
        constants={
            "event_key": "c_buy", "eventargs.c_n": 5, "eventargs.c_r": 0.5, "eventargs.c_b": True, "intid": "",
        },
        identities=[
            IdentityColumn(
                column="OpenId", identity_type="openid", platform="gzh", mpid="wx1", is_wechat_ecosystem=True
            ),
            IdentityColumn(column="UnionId", identity_type="unionid"),
        ],
        custom_fields=[CustomFieldColumn(column="Level", config_id=12, config_name="等级", separator=",")],
        arguments={"arg_price": "number"},
        arguments_prefix="arg_",
        moments={"下单 时间": "iso"},
        zone="Asia/Shanghai",
        rest="ignore",
        empty="keep",
        separator=";",
    )  # fmt: skip
    found = read_mapping(written(tmp_path, WHOLE))
    assert found == mapping
    assert [type(value) for value in found.constants.values()] == [str, int, float, bool, str]
    assert {each.name for each in attrs.fields(ColumnMapping)} == set(read_keys(WHOLE))


def read_keys(text: str) -> list[str]:
    """The keys of the top level."""
    found = [line.strip("[]") for line in text.splitlines() if line.startswith("[")]
    return [*found, *(line.split(" = ")[0] for line in text.partition("[")[0].splitlines() if line)]


@pytest.mark.parametrize(
    "text", ["", "# nothing\r\n", b"\xef\xbb\xbfrest = 'refuse'\r\n"], ids=["empty", "comment", "bom"]
)
def test_what_says_nothing_is_the_mapping_that_does_nothing(tmp_path: Path, text: str | bytes) -> None:
    assert read_mapping(written(tmp_path, text)) == ColumnMapping()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("columns = 7", "columns takes a table, got a whole number"),
        ("columns = ['a']", "columns takes a table, got a list"),
        ("[columns]\na = 7", "columns.a takes text, got a whole number"),
        ("[columns]\na = 7.5", "columns.a takes text, got a number"),
        ("[columns]\na.b = 'phone'", "columns.a takes text, got a table"),
        ("[columns]\n'a b' = true", 'columns."a b" takes text, got true or false'),
        ("[columns]\n'电话' = 2025-03-01", 'columns."电话" takes text, got a date or time'),
        ("[columns]\n'' = 'phone'", "columns has an empty name on its left: write what it stands for, or remove it"),
        ("[constants]\na = []", "constants.a takes text, a number, true or false, got a list"),
        ("[constants]\na = 10:00:00", "constants.a takes text, a number, true or false, got a date or time"),
        ("[constants]\na = ''", "constant 'a' is empty: give it a value, or keep what is empty"),
        ("[arguments]\na = true", "arguments.a takes text, got true or false"),
        ("[arguments]\na = 'float'", "argument 'a' takes one of auto, text, number as its type"),
        ("[moments]\na = 'us'", "moment 'a' takes one of iso, s, ms as its format"),
        ("identities = 'openid'", "identities takes a list of tables, got text"),
        ("[identities]\ncolumn = 'a'", "identities takes a list of tables, got a table"),
        ("identities = ['column']", "identities[0] takes a table, got text"),
        ("identities = [7]", "identities[0] takes a table, got a whole number"),
        ("[[identities]]\ncolumn = 'a'", "identities[0].identity_type is missing"),
        ("[[identities]]\ncolumn = 'a'\nidentity_type = 7", "identities[0].identity_type takes text, got a whole number"),
        ("[[identities]]\ncolumn = 'a'\nidentity_type = 'b'\nplatform = 7",
         "identities[0].platform takes text, got a whole number"),
        ("[[identities]]\ncolumn = 'a'\nidentity_type = 'b'\nis_wechat_ecosystem = 'yes'",
         "identities[0].is_wechat_ecosystem takes true or false, got text"),
        ("[[identities]]\ncolumn = 'a'\nidentity_type = 'b'\nisWeChatEcosystem = true",
         "identities[0].isWeChatEcosystem is no key of a mapping file: did you mean is_wechat_ecosystem?"),
        ("[[identities]]\ncolumn = 'a'\nidentity_type = 'b'\nmpid = 'c'",
         "identity of column 'a': is_wechat_ecosystem: got nothing; is required when mpid is given"),
        ("[[custom_fields]]\ncolumn = 'a'\nconfig_id = true", "custom_fields[0].config_id takes a whole number, got true"),
        ("[[custom_fields]]\ncolumn = 'a'\nconfig_id = 1.0", "custom_fields[0].config_id takes a whole number, got a num"),
        ("[[custom_fields]]\ncolumn = 'a'\nx = 1",
         "custom_fields[0].x is no key of a mapping file: it takes column, config_id, config_name, separator"),
        ("zone = 8", "zone takes text, got a whole number"),
        ("zone = 'Asia/Shangai'", "zone takes an offset such as +08:00, or a name"),
        ("rest = 'drop'", "rest takes one of refuse, ignore, arguments"),
        ("empty = true", "empty takes text, got true or false"),
        ("separator = ''", "separator takes the text that parts the values of a custom field"),
        ("arguments_prefix = 7", "arguments_prefix takes text, got a whole number"),
        ("colums = {}", "colums is no key of a mapping file: did you mean columns?"),
        ("'x y' = 1", '"x y" is no key of a mapping file: it takes columns, constants, identities, custom_fields, '),
        ("a = 1\nb = ", "is no TOML: Invalid value (at "),
        ("[columns]\n电话 = 'phone'", f"is no TOML: Invalid statement (at line 2, column 1): {IN_QUOTES}"),
        ("[columns]\nPaid at = 'time'",
         f"is no TOML: Expected '=' after a key in a key/value pair (at line 2, column 6): {IN_QUOTES}"),
        ("[columns]\n[columns]", "is no TOML: Cannot declare ('columns',) twice (at "),
        (b"rest = 'ignore'\nzone = '\xe4\xb8\xad\xff'", "is no UTF-8 (at line 2, column 10): save it as UTF-8"),
        (b"\xff\xfer\x00", "is no UTF-8 (at line 1, column 1): save it as UTF-8"),
        ("a = " + "[" * 5_000, "is no TOML"),
        ("a = " + "9" * 5_000, "is no TOML that a mapping could be: a number in it is too long"),
        (b"#" * (MAX_BYTES + 1), "is larger than 1,000,000 bytes: give the TOML file that maps the columns, not the rec"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "bytes",
)  # fmt: skip
def test_a_file_that_is_no_mapping_is_refused_by_name_and_place(tmp_path: Path, text: str | bytes, fault: str) -> None:
    path = written(tmp_path, text)
    with canary.raises(ConfigError) as refused:
        read_mapping(path)
    (found,) = refused.value.faults
    assert found.startswith(fault)
    assert str(refused.value) == f"mapping {path}: {found}"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with canary.raises(ConfigError, match=r"none.toml: cannot be read \(No such file or directory\): check the path"):
        read_mapping(tmp_path / "none.toml")
    with canary.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        read_mapping(tmp_path)


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = """
        colums = 1
        zone = 8
        rest = "drop"
        identities = [{ column = "", identity_type = "x", mpid = "y" }, { identityType = "openid" }, 7]
        [columns]
        a = 1
        b = 2
        [moments]
        at = "us"
    """
    with canary.raises(ConfigError) as refused:
        read_mapping(written(tmp_path, text))
    assert sorted(refused.value.faults) == [
        "column takes the name of a column",
        "columns.a takes text, got a whole number",
        "columns.b takes text, got a whole number",
        "colums is no key of a mapping file: did you mean columns?",
        "identities[1].column is missing",
        "identities[1].identityType is no key of a mapping file: did you mean identity_type?",
        "identities[1].identity_type is missing",
        "identities[2] takes a table, got a whole number",
        "identity of column '': is_wechat_ecosystem: got nothing; is required when mpid is given",
        "moment 'at' takes one of iso, s, ms as its format",
        "rest takes one of refuse, ignore, arguments",
        "zone takes text, got a whole number",
    ]
    assert str(refused.value).startswith(f"mapping {tmp_path / 'orders.toml'}: 12 faults:\n  ")


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
PARTS = {
    "columns": st.dictionaries(NAMES, NAMES),
    "constants": st.dictionaries(
        NAMES, NAMES | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(-1e9, 1e9)
    ),
    "arguments": st.dictionaries(NAMES, st.sampled_from(["auto", "text", "number"])),
    "moments": st.dictionaries(NAMES, st.sampled_from(["iso", "s", "ms"])),
    "identities": st.lists(
        st.builds(IdentityColumn, column=NAMES, identity_type=NAMES, platform=NAMES | st.none(), mpid=st.none())
    ),
    "custom_fields": st.lists(
        st.builds(CustomFieldColumn, column=NAMES, config_id=st.none() | st.integers(0, 9), config_name=NAMES)
    ),
    "zone": st.sampled_from([None, "+08:00", "Europe/Berlin"]),
    "rest": st.sampled_from(["refuse", "ignore", "arguments"]),
}


@given(st.builds(ColumnMapping, **PARTS))
def test_a_mapping_comes_back_from_its_plain_values(mapping: ColumnMapping) -> None:
    plain = json.loads(json.dumps(attrs.asdict(mapping)))
    assert mapping_of(plain) == mapping
