"""Mapping files of the command: what a check says of them, options beside them, and journals of imports that had one."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import canary
import orjson
import pytest
from command import Result, ended, ran, started

from asyncimport.cli.mapped import file_mapping, stored_mapping
from asyncimport.cli.options import Empty, InputOptions
from asyncimport.emulator import Emulator, Hang
from asyncimport.errors import ConfigError, JournalError
from asyncimport.records import Event
from asyncimport.sources import ColumnMapping, CustomFieldColumn, IdentityColumn

HEADER = "Order,Mobile,OpenId,Paid at,arg_price,arg_sku,Shop\n"
ROWS = "A-1,138,o-1,2025-03-01 10:00:00,5998,007,West\nA-2,139,,2025-03-01T02:30:00Z,12.5,SKU-7,East\n"
MAPPING = """
rest = "ignore"
zone = "+08:00"
arguments_prefix = "arg_"
[columns]
Order = "uuid"
Mobile = "identities.phone"
"Paid at" = "time"
[constants]
eventKey = "c_buy"
[moments]
"Paid at" = "iso"
[arguments]
arg_price = "number"
[[identities]]
column = "OpenId"
identity_type = "openid"
mpid = "wx1"
is_wechat_ecosystem = true
"""
FIRST = {
    "identities": [
        {"identityType": "phone", "identityValue": "138"},
        {"identityType": "openid", "identityValue": "o-1", "mpid": "wx1", "isWeChatEcosystem": True},
    ],
    "time": 1740794400000,
    "uuid": "A-1",
    "eventKey": "c_buy",
    "eventargs": {"price": 5998, "sku": "007"},
}


def written(folder: Path, mapping: str = MAPPING, rows: str = ROWS) -> tuple[str, str]:
    """The file of orders and that of the mapping."""
    orders, path = folder / "orders.csv", folder / "orders.toml"
    orders.write_text(HEADER + rows, encoding="utf-8")
    path.write_text(mapping, encoding="utf-8")
    return str(orders), str(path)


def shown(result: Result) -> Any:
    return orjson.loads(result.out.partition("the first record as it would be sent:\n")[2])


BAD = "A-1,138,o,yesterday,5,7,x\nA-2,138,o,2025-03-01,1_000,7,x\n"


@pytest.mark.parametrize(("ending", "line"), [("csv", 2), ("jsonl", 1)])
async def test_what_the_mapping_refuses_is_told_and_the_first_good_record_is_shown(
    tmp_path: Path, ending: str, line: int
) -> None:
    path, mapping = written(tmp_path, rows=BAD + ROWS)
    if ending == "jsonl":
        path, names = str(tmp_path / "orders.jsonl"), HEADER.strip().split(",")
        rows = (dict(zip(names, row.split(","), strict=True)) for row in (BAD + ROWS).splitlines())
        (tmp_path / "orders.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    result = await ran("check", "events", path, "--mapping", mapping)
    assert result.code == 1
    assert "events: 4 read, 2 with errors" in result.out
    assert f"line {line}: has no moment in column 'Paid at': write it as ISO 8601" in result.out
    assert f"line {line + 1}: has no number in argument 'price'" in result.out
    assert shown(result) == FIRST


async def test_a_check_tells_five_faults_at_once(tmp_path: Path) -> None:
    orders, mapping = written(
        tmp_path,
        """
        rest = "ignore"
        [columns]
        Order = "uuid"
        Mobil = "identities.phone"
        OpenId = "identity.openid"
        "Paid at" = "time"
        Shop = "event_key"
        [constants]
        eventKey = "c_buy"
        intid = 7
        [moments]
        Order = "iso"
        """,
    )
    result = await ran("check", "events", orders, "--mapping", mapping)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines() == [
        f"error: {orders}: 5 faults:",
        "  'identity.openid', to which column 'OpenId' is mapped, is no field of Event: did you mean identities?",
        "  column 'Order' is given as a moment and fills uuid, which holds none",
        "  constant 'intid': got int; takes text: write the number as a string",
        "  it has no column 'Mobil' to be mapped: did you mean 'Mobile'?",
        "  columns 'Shop' and (constant) 'eventKey' fill the same field: remove one",
    ]


GIVEN = ColumnMapping(
    columns={"a": "phone", "b": "remark"},
    constants={"sex": "女"},
    identities=[IdentityColumn(column="c", identity_type="openid")],
    custom_fields=[CustomFieldColumn(column="d", config_id=1)],
    arguments={"e": "number"},
    rest="ignore",
    empty="keep",
    separator=";",
)


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({}, {}),
        ({"columns": ["a=openid"]}, {"columns": {"a": "openid", "b": "remark"}}),
        ({"columns": ["c=openid", "e=intid"]},
         {"columns": {"a": "phone", "b": "remark", "c": "openid", "e": "intid"}, "identities": [], "arguments": {}}),
        ({"custom": ["d=2:L"]},
         {"columns": {"a": "phone", "b": "remark", "d": "customFields.2.L"}, "custom_fields": []}),
        ({"constants": ["sex=男", "eventargs.n=5", "eventargs.t=007", "intid=5"]},
         {"constants": {"sex": "男", "eventargs.n": 5, "eventargs.t": "007", "intid": "5"}}),
        ({"arguments": ["a:text,e"]}, {"columns": {"b": "remark"}, "arguments": {"a": "text", "e": "auto"}}),
        ({"arguments": ["*"]}, {"rest": "arguments"}),
        ({"ignore_unknown": True}, {"rest": "ignore"}),
        ({"empty": Empty.ABSENT}, {"empty": "absent"}),
        ({"separator": "|"}, {"separator": "|"}),
    ],
    ids=["nothing", "map", "map-other-parts", "custom", "const", "args", "all-args", "ignore", "empty", "separator"],
)  # fmt: skip
def test_options_add_to_a_mapping_file_and_count_where_both_speak(
    options: dict[str, Any], changed: dict[str, Any]
) -> None:
    asked = InputOptions(file="x.csv", **options).mapping(GIVEN)
    parts = {
        name: getattr(GIVEN, name) for name in ("columns", "constants", "identities", "custom_fields", "arguments")
    }
    assert asked == ColumnMapping(**{**parts, "rest": "ignore", "empty": "keep", "separator": ";", **changed})


def test_no_mapping_file_and_no_option_is_no_mapping(tmp_path: Path) -> None:
    assert InputOptions(file="x.csv").mapping() is None
    (tmp_path / "x.toml").write_text("rest = 'ignore'", encoding="utf-8")
    assert InputOptions(file="x.csv", mapping_file=tmp_path / "x.toml").mapping() == ColumnMapping(rest="ignore")


def test_a_field_that_file_and_option_fill_is_a_conflict_with_both_names(tmp_path: Path) -> None:
    orders, mapping = written(tmp_path)
    given = InputOptions(file=orders, mapping_file=Path(mapping), columns=["Shop=uuid"])
    with canary.raises(ConfigError, match="orders.csv: columns 'Order' and 'Shop' fill the same field: remove one"):
        given.source(Event)


def test_a_mapping_file_that_is_none_is_told_of_before_the_records_are_looked_at(tmp_path: Path) -> None:
    _, mapping = written(tmp_path, 'rest = "drop"\nzone = 8\n')
    with canary.raises(ConfigError, match="orders.toml: 2 faults:"):
        InputOptions(file="none.csv", mapping_file=Path(mapping)).source(Event)


async def killed(platform: Emulator, *arguments: str) -> None:
    """An import that was killed before anything was answered."""
    platform.faults.add(Hang())
    process = await started("events", *arguments, url=platform.url)
    async with asyncio.timeout(60):
        while not platform.ledger.in_flight:  # noqa: ASYNC110 -- a ledger does not tell that it has changed
            await asyncio.sleep(0.01)
    process.kill()
    await ended(process)
    platform.faults.clear()


async def test_an_import_goes_on_when_its_mapping_file_is_gone(tmp_path: Path) -> None:
    orders, mapping = written(tmp_path)
    relative, journal = os.path.relpath(mapping), str(tmp_path / "a.journal")  # noqa: ASYNC240 -- asks no disk
    async with Emulator(token=canary.TOKEN) as platform:
        await killed(platform, orders, "--mapping", relative, "--journal", journal)
        os.unlink(mapping)  # noqa: PTH108 -- pathlib's is taken for a call that blocks
        result = await ran("resume", journal, url=platform.url)
        assert result.code == 0, result.err
        assert next(iter(platform.ledger.events.records())) == FIRST


async def test_an_import_does_not_go_on_when_its_mapping_file_says_something_else(tmp_path: Path) -> None:
    orders, mapping = written(tmp_path)
    journal = str(tmp_path / "a.journal")
    arguments = (orders, "--mapping", mapping, "--journal", journal)
    async with Emulator(token=canary.TOKEN) as platform:
        await killed(platform, *arguments)
        requests = platform.ledger.requests
        written(tmp_path, MAPPING.replace("+08:00", "+09:00"))
        resumed = await ran("resume", journal, url=platform.url)
        again = await ran("events", *arguments, url=platform.url)
        assert platform.ledger.requests == requests
    assert resumed.code == 3
    assert f"error: the mapping {mapping} is another than the one that the import of the journal" in resumed.err
    assert again.code == 3
    assert "belongs to another import" in again.err


async def test_a_stream_that_was_begun_is_held_against_its_mapping_too(tmp_path: Path) -> None:
    _, mapping = written(tmp_path)
    arguments = ("events", "-", "--mapping", mapping, "--journal", str(tmp_path / "a.journal"), "--spool")
    records = (HEADER + ROWS).encode()
    async with Emulator(token=canary.TOKEN) as platform:
        assert (await ran(*arguments, url=platform.url, stdin=records)).code == 0
        written(tmp_path, MAPPING.replace("+08:00", "+09:00"))
        other = await ran(*arguments, url=platform.url, stdin=records)
        assert platform.ledger.events.distinct == 2
    assert other.code == 3
    assert "its file, or how that is read, differs" in other.err


def test_what_a_journal_keeps_of_a_mapping_is_the_mapping(tmp_path: Path) -> None:
    path = tmp_path / "orders.toml"
    path.write_text(MAPPING, encoding="utf-8")
    mapping = file_mapping(path)
    plain = orjson.loads(orjson.dumps(mapping.plain()))
    assert plain == mapping.plain()
    assert stored_mapping(plain) == mapping
    assert stored_mapping(None) is None
    mapping.check_unchanged("a.journal")
    path.write_text(f"# of orders\n{MAPPING}", encoding="utf-8")
    mapping.check_unchanged("a.journal")
    for text in ('rest = "ignore"', "no TOML"):
        path.write_text(text, encoding="utf-8")
        with canary.raises(JournalError, match="put that back, or move the file away"):
            mapping.check_unchanged("a.journal")
    path.unlink()
    mapping.check_unchanged("a.journal")
    with canary.raises(ConfigError):
        stored_mapping({"file": "x", "content": {"colums": {}}})
