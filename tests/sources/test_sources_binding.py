"""A mapping held against a record: every fault of it, for the header of a CSV file and for JSON keys alike."""

from __future__ import annotations

from typing import Any

import canary
import pytest

from asyncimport.errors import ConfigError
from asyncimport.records import Event, Record, UserProfile
from asyncimport.sources import ColumnMapping, CustomFieldColumn, IdentityColumn
from asyncimport.sources.csv_columns import columns_of
from asyncimport.sources.json_keys import keys_of

USER: type[Record] = UserProfile
OPENID = IdentityColumn(column="a", identity_type="openid")
LEVEL = CustomFieldColumn(column="a", config_id=1)


def faults_of(record: type[Record], mapping: ColumnMapping, header: str | None) -> tuple[str, ...]:
    with canary.raises(ConfigError) as refused:
        keys_of(record, mapping) if header is None else columns_of(header.split(","), record, mapping)
    faults: tuple[str, ...] = refused.value.faults
    return faults


@pytest.mark.parametrize("as_json", [False, True], ids=["csv", "json"])
@pytest.mark.parametrize(
    ("parts", "record", "fault"),
    [
        ({"identities": [OPENID]}, USER, "UserProfile takes no identities, so column 'a' cannot be one: map it to a"),
        ({"custom_fields": [LEVEL]}, Event, "Event takes no custom fields, so column 'a' cannot be one: map it to a"),
        ({"columns": {"a": "uuid"}, "arguments": {"a": "text"}}, Event,
         "arguments names column 'a', which another part of the mapping names too: choose one"),
        ({"identities": [OPENID, OPENID]}, Event,
         "identities names column 'a', which another part of the mapping names too: choose one"),
        ({"columns": {"a": "phone"}, "custom_fields": [LEVEL]}, USER,
         "custom_fields names column 'a', which another part of the mapping names too: choose one"),
        ({"columns": {"a": "uuid"}, "moments": {"a": "iso"}}, Event,
         "column 'a' is given as a moment and fills uuid, which holds none"),
        ({"arguments": {"a": "auto"}, "moments": {"a": "iso"}}, Event,
         "column 'a' is given as a moment and fills eventargs.a, which holds none"),
        ({"columns": {"a": "uuid"}, "constants": {"sex": "男"}}, Event, "constant 'sex' is no field of Event: it takes"),
        ({"columns": {"a": "uuid"}, "constants": {"time": "noon"}}, Event,
         "constant 'time': got text; takes milliseconds since 1970 (int) or an aware datetime"),
        ({"columns": {"a": "uuid"}, "constants": {"time": 1740758400}}, Event,
         "constant 'time': got int; takes milliseconds since 1970: this looks like seconds, multiply by 1000"),
        ({"columns": {"a": "uuid"}, "constants": {"time": True}}, Event,
         "constant 'time': got bool; takes milliseconds since 1970"),
        ({"columns": {"a": "phone"}, "constants": {"sex": "x"}}, USER, "constant 'sex': got another text; takes one of"),
        ({"columns": {"a": "phone"}, "constants": {"remark": 7}}, USER, "constant 'remark': got int; takes text: write"),
        ({"columns": {"a": "phone"}, "constants": {"customFields.1": 7}}, USER, "constant 'customFields.1': got int; ta"),
        ({"columns": {"a": "uuid"}, "constants": {"identities.phone": 138}}, Event, "constant 'identities.phone': got in"),
        ({"columns": {"a": "uuid"}, "constants": {"eventargs.n": float("nan")}}, Event,
         "constant 'eventargs.n': got float; takes finite numbers"),
        ({"columns": {"a": "uuid"}, "constants": {"eventargs.n": 2**64}}, Event, "constant 'eventargs.n': got int; take"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_record_is_told(
    parts: dict[str, Any], record: type[Record], fault: str, as_json: bool
) -> None:
    (told,) = faults_of(record, ColumnMapping(**parts), None if as_json else "a")
    assert told.startswith(fault)


def test_a_moment_of_a_column_that_is_no_field_is_told() -> None:
    mapping = ColumnMapping(moments={"tiem": "iso"})
    assert faults_of(Event, mapping, None) == ("'tiem' is no field of Event: did you mean time?",)
    assert "column 'tiem' is no field of Event: did you mean time?" in faults_of(Event, mapping, "eventKey,tiem")


def test_every_kind_of_fault_is_told_at_once_of_a_header() -> None:
    mapping = ColumnMapping(
        columns={"Mobil": "identities.phone", "b": "tiem", "c": "event_key", "d": "uuid"},
        arguments={"d": "text"},
        constants={"eventKey": "c_buy", "time": "noon"},
        moments={"c": "iso"},
    )
    assert faults_of(Event, mapping, "Mobile,b,c,d,e,f,,intit,tiem") == (
        "'tiem', to which column 'b' is mapped, is no field of Event: did you mean time?",
        "arguments names column 'd', which another part of the mapping names too: choose one",
        "column 'c' is given as a moment and fills eventKey, which holds none",
        "constant 'time': got text; takes milliseconds since 1970 (int) or an aware datetime",
        "it has no column 'Mobil' to be mapped: did you mean 'Mobile'?",
        "column 'intit' is no field of Event: did you mean intid? Else map it to a field, or ignore it",
        "column 'tiem' is no field of Event: did you mean time? Else map it to a field, or ignore it",
        "columns 'e', 'f' are no fields of Event: map them to fields, or ignore them",
        "column 7 has no name: name it or remove it",
        "columns 'c' and (constant) 'eventKey' fill the same field: remove one",
    )


def test_every_kind_of_fault_is_told_at_once_of_keys() -> None:
    mapping = ColumnMapping(
        columns={"a": "phone", "b": "fone", "c": "phone"},
        arguments={"d": "text"},
        constants={"sex": "x"},
        rest="arguments",
    )
    assert faults_of(USER, mapping, None) == (
        "'fone', to which 'b' is mapped, is no field of UserProfile: did you mean phone?",
        "UserProfile takes no arguments, so column 'd' cannot be one: map it to a field, or ignore it",
        "constant 'sex': got another text; takes one of 男, 女",
        "columns 'a' and 'c' fill the same field: remove one",
        "UserProfile takes no arguments, so no other keys can be some: ignore them",
    )


def test_of_a_first_row_taken_for_a_header_only_the_mapping_is_quoted() -> None:
    mapping = ColumnMapping(columns={"tel": "fone"}, moments={"at": "iso"})
    faults = faults_of(USER, mapping, f"13800138000,{canary.PERSON}")
    assert canary.leaks(str(faults)) == []
    assert [fault[:31] for fault in faults] == [
        "'fone', to which column 'tel' i", "column 'at' is no field of User", "its first line has none of the "
    ]  # fmt: skip


def test_a_prefix_of_arguments_is_refused_at_once_for_a_record_that_takes_none() -> None:
    (fault,) = faults_of(USER, ColumnMapping(arguments_prefix="arg_"), None)
    assert fault == "UserProfile takes no arguments, so no other keys can be some: ignore them"
