"""uuid_from: the uuid of an event is what it says, whoever sends it, and however it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import canary
import orjson
import pytest
from scripted import ScriptedTransport

from asyncimport import (
    EVENTS,
    USERS,
    ConfigError,
    DispatchPolicy,
    Event,
    EventImportConfig,
    Identity,
    ImportClient,
    ImportReport,
    Rejected,
    Resource,
)
from asyncimport.derived import recipe_of
from asyncimport.emulator import Emulator
from asyncimport.sources import read_jsonl

MAPPING: dict[str, Any] = {
    "eventKey": "c_buy",
    "identities": [
        {"identityValue": "13800000000", "identityType": "phone"},
        {"identityType": "openid", "identityValue": "o1", "mpid": "wx1", "isWeChatEcosystem": True},
    ],
    "eventargs": {"order_id": 42, "c_price": 9.5},
}
PYTHON: dict[str, Any] = {
    "event_key": "c_buy",
    "identities": [
        {"identity_type": "phone", "identity_value": "13800000000"},
        {"mpid": "wx1", "identity_value": "o1", "identity_type": "openid", "is_wechat_ecosystem": True},
    ],
    "eventargs": {"c_price": 9.5, "order_id": 42.0},
}
TYPED = Event(
    event_key="c_buy",
    identities=[
        Identity(identity_type="openid", identity_value="o1", mpid="wx1", is_wechat_ecosystem=True),
        Identity(identity_type="phone", identity_value="13800000000"),
    ],
    eventargs={"order_id": 42},
)
#: As `docs/order-and-duplicates.md` has it, written out by hand.
CANONICAL = b"l13:asyncimport/15:c_buyll5:phone11:13800000000nnel6:openid2:o1n3:wx1eell18:eventargs.order_idli42eeeee"
UUID = hashlib.blake2b(CANONICAL, digest_size=16).hexdigest()


async def uuids(source: Any, **run: Any) -> tuple[ImportReport, list[str]]:
    transport = ScriptedTransport(delay_s=0)
    async with ImportClient("https://platform.example", token=canary.TOKEN, transport=transport) as client:
        report = await client.import_events(source, EventImportConfig(), **{"uuid_from": ["order_id"], **run})
    return report, [record["uuid"] for record in transport.records()]


@pytest.mark.parametrize("record", [MAPPING, PYTHON, TYPED], ids=["wire names", "Python names", "typed"])
@pytest.mark.parametrize("kind", [list, iter])
async def test_the_same_event_has_the_same_uuid_however_it_is_written(record: Any, kind: Any) -> None:
    report, sent = await uuids(kind([record]))
    assert (report.accepted, sent) == (1, [UUID])
    assert len(UUID) == 32


@pytest.mark.parametrize("names", [["eventargs.order_id"], ["order_id", "order_id"]])
async def test_a_name_may_be_dotted_and_given_twice(names: list[str]) -> None:
    assert (await uuids([MAPPING], uuid_from=names))[1] == [UUID]


@pytest.mark.parametrize(
    "change",
    [
        {"eventargs": {"order_id": "42"}},
        {"eventargs": {"order_id": 43}},
        {"eventKey": "c_sell"},
        {"identities": [{"identityType": "phone", "identityValue": "13800000000"}]},
    ],
    ids=str,
)
async def test_another_event_has_another_uuid(change: dict[str, Any]) -> None:
    _, (uuid,) = await uuids([MAPPING | change])
    assert uuid != UUID


async def test_a_uuid_of_the_users_own_is_kept() -> None:
    _, sent = await uuids([MAPPING | {"uuid": "own"}, MAPPING | {"uuid": None}])
    assert sent == ["own", UUID]


@pytest.mark.parametrize("kind", [list, iter])
async def test_a_record_without_one_of_the_names_is_rejected_by_that_name_and_costs_no_other(kind: Any) -> None:
    report, sent = await uuids(kind([MAPPING, MAPPING | {"eventargs": {"c_price": 1}}, TYPED]))
    assert (report.accepted, report.rejected, sent) == (2, 1, [UUID, UUID])
    assert report.rejected_by_reason == {"eventargs.order_id: is required: uuid_from names it": 1}
    assert report.first_rejections[0].position == 1


async def test_a_rejected_event_has_no_uuid_in_the_file_so_that_a_replay_derives_it(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    await uuids([MAPPING | {"intid": 3}], rejects=rejects)
    assert orjson.loads(rejects.read_bytes())["uuid"] is None


async def test_a_rejected_line_of_a_file_is_kept_as_it_came(tmp_path: Path) -> None:
    file, rejected = tmp_path / "events.jsonl", list[Rejected]()
    record = MAPPING | {"eventargs": {"c_price": 1}}
    file.write_bytes(orjson.dumps(MAPPING) + b"\n" + orjson.dumps(record) + b"\n")
    await uuids(read_jsonl(file), on_reject=rejected.append)
    assert [(one.record, one.line) for one in rejected] == [(record, 2)]


def orders(count: int) -> Iterator[dict[str, Any]]:
    for n in range(count):
        yield MAPPING | {"eventargs": {"order_id": f"o{n}"}}


async def test_a_run_again_without_a_journal_sends_the_same_ids_to_the_platform() -> None:
    async with Emulator() as platform:
        for _ in range(2):  # as an engine does that repeats a task
            async with ImportClient(platform.url, token=platform.token) as client:
                await client.run(EVENTS, orders(700), EventImportConfig(), uuid_from=["order_id"])
        ledger = platform.ledger.events
        assert (ledger.distinct, ledger.total) == (700, 1400)


async def test_a_resumed_run_sends_the_ids_of_the_one_before(tmp_path: Path) -> None:
    async def run(transport: ScriptedTransport, **more: Any) -> ImportReport:
        async with ImportClient("https://platform.example", token=canary.TOKEN, transport=transport) as client:
            return await client.run(
                EVENTS,
                list(orders(1000)),
                EventImportConfig(),
                uuid_from=["order_id"],
                policy=DispatchPolicy(batch_size=50, max_in_flight=1),
                **{"journal": tmp_path / "j", **more},
            )

    first, second = ScriptedTransport(delay_s=0.1), ScriptedTransport(delay_s=0)
    stopped = await run(first, deadline=0.05)
    await run(second)
    whole = ScriptedTransport(delay_s=0)
    await run(whole, journal=tmp_path / "other")
    sent = {record["uuid"] for transport in (first, second) for record in transport.records()}
    assert sent == {record["uuid"] for record in whole.records()}
    assert stopped.accepted < 1000


@pytest.mark.parametrize(
    ("resource", "names", "said"),
    [(USERS, ["phone"], "uuid_from is for events: users take no uuid"), (EVENTS, ["uuid"], "not the uuid itself")],
    ids=["users", "uuid"],
)
def test_what_no_uuid_can_be_made_of_is_refused(resource: Resource, names: list[str], said: str) -> None:
    with canary.raises(ConfigError, match=said):
        recipe_of(resource, names)


async def test_a_mapping_of_a_class_of_its_own_has_the_same_uuid() -> None:
    class Row(dict[str, Any]):
        """What the reference reads."""

    assert (await uuids([Row(MAPPING)]))[1] == [UUID]
