import json
from pathlib import Path
from typing import Any

import canary
import pytest

from asyncimport.errors import ConfigError
from asyncimport.records import Event, Record, UserProfile
from asyncimport.sources import ColumnMapping, read_jsonl
from asyncimport.sources.jsonl_file import LONG_INTEGER
from asyncimport.unreadable import Unreadable


def read(folder: Path, given: Any, record: type[Record], **parts: Any) -> Any:
    path = folder / "records.jsonl"
    path.write_text(given if isinstance(given, str) else json.dumps(given), encoding="utf-8")
    (item,) = read_jsonl(path, record=record, mapping=ColumnMapping(**parts))
    return item


USER: type[Record] = UserProfile


@pytest.mark.parametrize(
    ("given", "parts", "record", "expected"),
    [
        ({"tel": "1", "realName": "a"}, {"columns": {"tel": "phone"}}, USER, {"phone": "1", "realName": "a"}),
        ({"tel": 7}, {"columns": {"tel": "phone"}}, USER, {"phone": 7}),
        ({"tel": None, "real_name": "a"}, {"columns": {"tel": "phone"}}, USER, {"realName": "a"}),
        ({"tel": "", "remark": ""}, {"columns": {"tel": "phone"}}, USER, {"remark": ""}),
        ({"tel": ""}, {"columns": {"tel": "phone"}, "empty": "keep"}, USER, {"phone": ""}),
        ({"sex": 1, "x": 2}, {}, USER, {"sex": 1, "x": 2}),
        ({"phone": "1", "x": 2}, {"rest": "ignore"}, USER, {"phone": "1"}),
        ({"phone": None}, {"constants": {"phone": "7"}}, USER, {"phone": "7"}),
        (
            {"l": "a|b", "customFields": [{"configId": 1, "values": ["x"]}]},
            {"columns": {"l": "customFields.2"}},
            USER,
            {"customFields": [{"configId": 1, "values": ["x"]}, {"configId": 2, "values": ["a", "b"]}]},
        ),
        (
            {"l": ["a|b", 7]},
            {"columns": {"l": "customFields..l"}},
            USER,
            {"customFields": [{"configName": "l", "values": ["a|b", 7]}]},
        ),
        ({"l": 7}, {"columns": {"l": "customFields.2"}}, USER, {"customFields": [{"configId": 2, "values": [7]}]}),
        ({"customFields": "x", "l": "a"}, {"columns": {"l": "customFields.2"}}, USER, {"customFields": "x"}),
        (
            {"price": 1.5, "n": "5", "eventargs": {"a": [1]}},
            {"rest": "arguments"},
            Event,
            {"eventargs": {"a": [1], "price": 1.5, "n": "5"}},
        ),
        (
            {"price": " 1.5 ", "n": True, "eventargs.c": "5"},
            {"arguments": {"price": "number", "n": "auto", "eventargs.c": "text"}},
            Event,
            {"eventargs": {"price": 1.5, "n": True, "c": "5"}},
        ),
        ({"props": {"a": 1}}, {"columns": {"props": "eventargs"}}, Event, {"eventargs": {"a": 1}}),
        ({"real_name": "a", "realName": "b"}, {}, USER, {"real_name": "a", "realName": "b"}),
        ({"phone": "1"}, {"constants": {"remark": ""}, "empty": "keep"}, USER, {"phone": "1", "remark": ""}),
    ],
    ids=[
        "renamed",
        "types-stay",
        "null",
        "empty-moved-alone-is-absent",
        "kept",
        "unknown-left-to-admission",
        "ignored",
        "constant-for-null",
        "added-to-a-list",
        "list-of-texts",
        "value-of-another-type",
        "own-value-of-another-type",
        "rest-into-arguments",
        "arguments",
        "whole-mapping",
        "both-names-left-to-admission",
        "empty-constant",
    ],
)
def test_keys_are_moved_to_their_fields(
    tmp_path: Path, given: Any, parts: dict[str, Any], record: type[Record], expected: Any
) -> None:
    assert read(tmp_path, given, record, **parts) == expected


@pytest.mark.parametrize(
    ("given", "parts", "record", "rule"),
    [
        ({"tel": "1", "phone": "2"}, {"columns": {"tel": "phone"}}, USER, "fills a field twice: 'phone'"),
        ({"sex": "女"}, {"constants": {"sex": "男"}}, USER, "fills a field twice: 'sex'"),
        ({"a": 1, "eventargs": {"a": 2}}, {"rest": "arguments"}, Event, "fills a field twice: 'eventargs.a'"),
        ({"a": "12a"}, {"arguments": {"a": "number"}}, Event, "has no number in argument 'a': write digits"),
        ({"a": True}, {"arguments": {"a": "number"}}, Event, "has no number in argument 'a': write digits"),
        (
            {"a": "1e999"},
            {"arguments": {"a": "number"}},
            Event,
            "has no finite number in argument 'a': it is too large",
        ),
        (
            {"a": str(2**64)},
            {"arguments": {"a": "number"}},
            Event,
            "has a whole number beyond 64 bits in argument 'a': ",
        ),
        ({"x": 1}, {"rest": "ignore"}, USER, "has nothing under any key that is read: see which keys are ignored"),
    ],
    ids=["twice", "constant", "argument", "no-number", "flag", "infinite", "too-large", "all-ignored"],
)
def test_an_object_that_its_mapping_refuses_is_unreadable_with_its_line(
    tmp_path: Path, given: Any, parts: dict[str, Any], record: type[Record], rule: str
) -> None:
    item = read(tmp_path, given, record, **parts)
    assert isinstance(item, Unreadable)
    assert item.rule.startswith(rule)
    assert item.text == json.dumps(given)


def test_a_whole_number_beyond_64_bits_is_refused_wherever_it_is_moved_to(tmp_path: Path) -> None:
    line = '{"n": 123456789012345678901234567890}'
    assert read(tmp_path, line, Event, rest="arguments") == LONG_INTEGER
    assert read(tmp_path, '{"n": 1.5e30}', Event, rest="arguments") == {"eventargs": {"n": 1.5e30}}


def test_what_is_no_object_is_left_as_it_is(tmp_path: Path) -> None:
    assert read(tmp_path, "[1]", USER, rest="ignore") == [1]
    assert isinstance(read(tmp_path, "{", USER, rest="ignore"), Unreadable)


@pytest.mark.parametrize(
    ("parts", "record", "message"),
    [
        ({"columns": {"tel": "fone"}}, USER, "'fone', to which 'tel' is mapped, is no field of UserProfile: did you"),
        ({"columns": {"a": "realName", "b": "real_name"}}, USER, "columns 'a' and 'b' fill the same field: remove one"),
        ({"constants": {"fone": "1"}}, USER, "constant 'fone' is no field of UserProfile: did you mean phone?"),
        ({"constants": {"sex": ""}, "empty": "keep"}, USER, "constant 'sex' cannot be an empty text"),
        ({"rest": "arguments"}, USER, "UserProfile takes no arguments"),
        ({"arguments": {"a": "auto"}}, USER, "UserProfile takes no arguments, so column 'a' cannot be one"),
    ],
)
def test_a_mapping_that_does_not_fit_the_record_is_refused_at_once(
    tmp_path: Path, parts: dict[str, Any], record: type[Record], message: str
) -> None:
    path = tmp_path / "x.jsonl"
    with canary.raises(ConfigError) as refused:
        read(tmp_path, {}, record, **parts)
    assert str(refused.value).startswith(f"{tmp_path / 'records.jsonl'}: {message}")
    with canary.raises(ConfigError, match="a mapping needs the record whose fields it names"):
        read_jsonl(path, mapping=ColumnMapping(**parts))


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ("eventargs.c_price", "price"),
        ("eventargs.own", "eventargs"),
        ("eventargs.own[0].x", "eventargs"),
        ('eventargs["a b"].c[1]', "a b"),
        ("identities[0].identityValue", "identities"),
        ("identities[1].identityValue", "tel"),
        ("eventKey", "event_key"),
        ("time", None),
        ("uuid", None),
        ("identities[7]", None),
        ("", None),
    ],
)
def test_the_key_behind_a_place_is_told(tmp_path: Path, place: str, key: str | None) -> None:
    path = tmp_path / "events.jsonl"
    event = {
        "tel": "1",
        "identities": [{}],
        "price": 5,
        "event_key": 7,
        "a b": {"c": [1, 2]},
        "eventargs": {"own": [{}]},
    }
    path.write_text(json.dumps(event) + "\n[]\n", encoding="utf-8")
    mapping = ColumnMapping(
        columns={"tel": "identities.phone", "price": "eventargs.c_price"},
        constants={"time": "1740758400000"},
        rest="arguments",
    )
    rows = iter(read_jsonl(path, record=Event, mapping=mapping))
    next(rows)
    assert rows.column_of(place) == key
    next(rows)
    assert rows.column_of(place) is None
    rows.close()


MISSPELT = ColumnMapping(columns={"Mobil": "phone", "会员": "thirdId", "tag": "remark"}, rest="ignore")


def unseen_after_each(path: Path, mapping: ColumnMapping | None, record: type[Record]) -> list[tuple[str, ...]]:
    """The keys that are missing before the first record, and after each."""
    rows = iter(read_jsonl(path, record=record, mapping=mapping))
    return [rows.unseen, *(rows.unseen for _ in rows)]


def test_the_mapped_keys_that_no_record_has_had_are_told_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl"
    lines = [
        "[1]",
        '{"x": "1"}',
        '{"会员": "1", "Mobile": "138"}',
        "{",
        '{"Mobile": "139", "tag": null}',
        '{"tag": "a"}',
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    every = ("Mobil", "会员", "tag")
    assert unseen_after_each(path, MISSPELT, USER) == [
        every, every, every, ("Mobil", "tag"), ("Mobil", "tag"), ("Mobil",), ("Mobil",)
    ]  # fmt: skip


def test_named_arguments_are_told_too_and_what_the_mapping_takes_by_the_way_is_not(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"price": 1, "other": 2}\n{"k": "c_buy", "price": "x"}\n', encoding="utf-8")
    mapping = ColumnMapping(
        columns={"k": "eventKey"},
        arguments={"prise": "number", "price": "number"},
        constants={"time": "1740758400000"},
        rest="arguments",
    )
    after = unseen_after_each(path, mapping, Event)
    assert after == [("k", "prise", "price"), ("k", "prise"), ("prise",)], "a record that is refused has its keys too"


def test_without_a_mapping_of_names_nothing_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl"
    path.write_text('{"phone": "1"}\n', encoding="utf-8")
    assert unseen_after_each(path, None, USER) == [(), ()]
    assert unseen_after_each(path, ColumnMapping(rest="ignore"), USER) == [(), ()]


def test_once_every_key_was_seen_records_are_looked_at_no_more(tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl"
    path.write_text('{"Mobil": "1", "会员": "2", "tag": "a"}\n{}\n', encoding="utf-8")
    rows = iter(read_jsonl(path, record=USER, mapping=MISSPELT))
    next(rows)
    seen = rows.unseen
    next(rows)
    assert rows.unseen is seen == ()
    rows.close()
    assert rows.unseen == ()
