"""The dry run: every error with its place, what would be sent, and nothing sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import canary
import orjson
import pytest
from scripted import ScriptedTransport

from asyncimport import (
    EVENTS,
    USERS,
    CheckReport,
    ConfigError,
    DispatchPolicy,
    EventImportConfig,
    ImportClient,
    ImportMode,
    MatchingType,
    SourceError,
    UserImportConfig,
    UserProfile,
)
from asyncimport.check import EXAMPLES
from asyncimport.sources import read_csv

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
EXACT = UserImportConfig(is_matching=True, import_mode=ImportMode.FULL, matching_type=MatchingType.EXACT)


async def checked(source: Any, config: Any = CONFIG, policy: DispatchPolicy | None = None) -> CheckReport:
    transport = ScriptedTransport()
    url = "https://platform.example/api/open"
    async with ImportClient(url, token=canary.TOKEN, transport=transport, policy=policy) as client:
        resource = EVENTS if isinstance(config, EventImportConfig) else USERS
        report = await client.check(resource, source, config)
    assert transport.posts == []
    assert canary.leaks(f"{report} {report!r}") == []
    return report


async def test_a_good_source_is_batches_and_bytes_and_its_first_record() -> None:
    people = [UserProfile(third_id=str(n), real_name="x") for n in range(1_200)]
    report = await checked(people)
    assert (report.ok, report.read, report.rejected, report.batches, report.errors) == (True, 1_200, 0, 3, ())
    params = orjson.dumps({"publicParams": CONFIG.to_wire(), "data": []})
    records = [orjson.dumps({"thirdId": str(n), "realName": "x"}) for n in range(1_200)]
    assert report.bytes == 3 * len(params) + sum(map(len, records)) + 1_200 - 3
    assert report.largest_batch_bytes < report.bytes
    assert orjson.loads(report.first_record) == {"thirdId": "0", "realName": "x"}
    assert report.first_record_shown() == '{\n  "thirdId": "0",\n  "realName": "x"\n}'
    assert str(report).startswith("users: 1,200 read, 0 with errors; 1,200 would be sent in 3 batches of ")


async def test_it_forms_the_same_batches_as_the_import() -> None:
    people = [UserProfile(third_id=str(n), real_name=canary.PERSON * (n % 50)) for n in range(2_000)]
    policy = DispatchPolicy(batch_size=300, max_batch_bytes=20_000)
    transport = ScriptedTransport()
    async with ImportClient("https://p.example/x", token="t", transport=transport, policy=policy) as client:
        sent = await client.run(USERS, people, CONFIG)
    report = await checked(people, policy=policy)
    assert (report.batches, report.bytes) == (sent.batches, sent.bytes_sent)
    assert report.largest_batch_bytes == max(len(post.body) for post in transport.posts)


async def test_every_error_of_every_record_is_counted_with_its_place() -> None:
    records: list[dict[str, Any]] = [{"thirdId": str(n)} for n in range(100)]
    for n in range(0, 100, 10):
        records[n] |= {"sex": canary.PERSON, "phone": 138}
    report = await checked(records)
    assert (report.ok, report.rejected, report.read) == (False, 10, 100)
    assert report.rejected_by_reason == {
        "sex: takes one of 男, 女": 10,
        "phone: takes text: write the number as a string": 10,
    }
    for group in report.errors:
        assert group.positions.tolist() == list(range(0, 100, 10))
        assert len(group.examples) == EXAMPLES
    example = next(group.examples[1] for group in report.errors if group.reason.startswith("sex"))
    assert str(example) == "record 10, sex: got another text like 'xxxxxx-xxxxxx-文文文'"
    assert "and record 50, 60, 70, 80, 90" in str(report)


async def test_errors_of_a_csv_file_name_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    rows = "".join(f"{n},{'x' if n % 3 else '男'}\n" for n in range(40))
    path.write_text(f"third_id,sex\n{rows}", encoding="utf-8")
    report = await checked(read_csv(path, UserProfile))
    (group,) = report.errors
    assert group.lines.tolist() == [n + 2 for n in range(40) if n % 3]
    assert (group.examples[0].line, group.examples[0].column, group.examples[0].pattern) == (3, "sex", "x")
    assert "line 3, column 'sex': got another text like 'x'" in str(report)
    assert "and line 10, 12, 13, 15, 16, 18, 19, 21, 22, 24, and 11 more" in str(report)
    plain = report.to_dict()
    assert plain["errors"][0]["lines"] == group.lines.tolist()
    assert plain["ok"] is False
    orjson.dumps(plain)


async def test_rules_over_several_fields_depend_on_the_config() -> None:
    assert (await checked([{"phone": "1"}])).ok
    report = await checked([{"phone": "1"}], EXACT)
    assert list(report.rejected_by_reason) == ["identityType: is required with exact matching"]


async def test_what_cannot_be_encoded_or_is_too_large_is_an_error_too() -> None:
    records = [{"thirdId": "\ud800"}, {"thirdId": "1"}, {"thirdId": "x" * 5_000}]
    report = await checked(records, policy=DispatchPolicy(max_batch_bytes=1_000))
    assert (report.read, report.rejected, report.batches) == (3, 2, 1)
    assert {reason.partition(":")[0] for reason in report.rejected_by_reason} == {"thirdId", "record"}


class Word(str):
    """A text of a user's own class."""

    __slots__ = ()


async def test_the_first_record_is_shown_as_it_would_be_sent() -> None:
    report = await checked([{"realName": "\ud800"}, {"realName": Word("x")}, {"realName": "y"}])
    assert (report.rejected, report.first_record) == (1, b'{"realName":"x"}')


async def test_events_are_stamped_as_they_would_be() -> None:
    event = {"identities": [{"identityValue": "1", "identityType": "phone"}], "eventKey": "c_buy"}
    report = await checked([event], EventImportConfig())
    assert set(orjson.loads(report.first_record)) == {"identities", "eventKey", "uuid", "time"}


async def test_reasons_beyond_a_hundred_are_counted_together() -> None:
    report = await checked([{f"column{n}": 1} for n in range(150)])
    assert len(report.errors) == 101
    assert sum(group.count for group in report.errors) == 150


async def test_a_source_that_raises_is_a_source_error_with_its_cause() -> None:
    def broken() -> Iterator[UserProfile]:
        yield UserProfile(third_id="1")
        raise LookupError("gone")

    with canary.raises(SourceError, match="raised LookupError after 1 records") as caught:
        await checked(broken())
    assert isinstance(caught.value.__cause__, LookupError)


@pytest.mark.parametrize("source", [b"people.csv", {"thirdId": "1"}, 7])
async def test_a_source_that_is_none_is_refused(source: object) -> None:
    with canary.raises(ConfigError, match="source"):
        await checked(source)


async def test_a_cancelled_check_closes_its_source() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[UserProfile]:
        try:
            while True:
                yield UserProfile(third_id="1")
                await asyncio.sleep(0)
        finally:
            closed.set()

    task = asyncio.create_task(checked(endless()))
    await asyncio.sleep(0.05)
    task.cancel()
    with canary.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()


async def test_an_empty_source_has_nothing_to_show() -> None:
    report = await checked([])
    assert (report.ok, report.batches, report.first_record_shown()) == (True, 0, "")
    assert report.to_dict()["first_record"] is None
