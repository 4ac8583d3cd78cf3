import asyncio
from typing import Any

import aiohttp
import canary

from asyncimport.emulator import (
    EVENTS,
    USERS,
    Assumptions,
    Emulator,
    Hang,
    Ok,
    PartialCommit,
    Poison,
    ResetAfter,
    ResetBefore,
    record_key,
)


def user(number: int) -> dict[str, Any]:
    return {"thirdId": str(number), "realName": "canary-person-张三丰"}


def event(uuid: str, key: str = "c_buy") -> dict[str, Any]:
    return {"identities": [{"identityValue": "1", "identityType": "phone"}], "eventKey": key, "uuid": uuid}


async def send(platform: Emulator, session: aiohttp.ClientSession, path: str, *records: dict[str, Any]) -> Any:
    """Post one batch; give the answer's code, or the name of what came instead."""
    params = {"isMatching": False, "importMode": 2} if path == "users" else {}
    url = platform.url + {"users": "/audience/info/batchAdd", "events": "/event/v2/batchAdd"}[path]
    body = {"publicParams": params, "data": records}
    try:
        async with session.post(url, json=body, headers={"X-Token": platform.token}) as response:
            return (await response.json())["code"]
    except aiohttp.ClientError as error:
        return type(error).__name__


async def test_counts_tell_distinct_records_from_copies() -> None:
    async with Emulator() as platform, aiohttp.ClientSession() as session:
        await send(platform, session, "users", user(1), user(2), user(1))
        await send(platform, session, "users", {"realName": "canary-person-张三丰", "thirdId": "2"})
        await send(platform, session, "events", event("a"), event("b", "c_view"))
        await send(platform, session, "events", event("a", "c_view"))
        users, events = platform.ledger.users, platform.ledger.events
        assert (users.distinct, users.total, users.duplicates) == (2, 4, 2)
        assert users.by_key == {record_key(USERS, user(1)): 2, record_key(USERS, user(2)): 2}
        assert (events.distinct, events.total, events.duplicates) == (2, 3, 1)
        assert events.by_key == {"a": 2, "b": 1}
        assert [record["thirdId"] for record in users.records()] == ["1", "2", "1", "2"]


async def test_an_event_without_uuid_is_counted_by_its_digest() -> None:
    bare = event("a")
    del bare["uuid"]
    async with Emulator() as platform, aiohttp.ClientSession() as session:
        await send(platform, session, "events", bare)
        assert platform.ledger.events.by_key == {record_key(EVENTS, bare): 1}


async def test_a_reset_after_the_commit_leaves_a_commit_nobody_was_told_of() -> None:
    async with Emulator() as platform, aiohttp.ClientSession() as session:
        platform.faults.script([ResetAfter(), Ok()])
        assert await send(platform, session, "events", event("a")) in {"ClientOSError", "ServerDisconnectedError"}
        assert platform.ledger.events.by_key == {"a": 1}
        assert await send(platform, session, "events", event("a")) == "200"
        assert platform.ledger.events.duplicates == 1
        first, second = platform.ledger.events.batches
        assert (first.status, first.committed, first.fault) == (None, 1, "reset_after")
        assert (second.status, second.committed, second.fault) == (200, 1, None)
        assert first.body_digest == second.body_digest


async def test_a_reset_before_the_commit_leaves_nothing() -> None:
    async with Emulator() as platform, aiohttp.ClientSession() as session:
        platform.faults.script([ResetBefore()])
        assert await send(platform, session, "events", event("a")) in {"ClientOSError", "ServerDisconnectedError"}
        assert platform.ledger.events.total == 0
        assert platform.ledger.events.batches[0].committed == 0


async def test_a_partial_commit_holds_the_first_records_alone() -> None:
    async with Emulator() as platform, aiohttp.ClientSession() as session:
        platform.faults.script([PartialCommit(first=2)])
        assert await send(platform, session, "events", event("a"), event("b"), event("c")) == "500"
        assert list(platform.ledger.events.by_key) == ["a", "b"]


async def test_the_log_of_requests_names_tokens_by_their_number() -> None:
    async with Emulator(token="canary-token-7f3qzk") as platform, aiohttp.ClientSession() as session:
        await send(platform, session, "users", user(1), user(2))
        platform.tokens.issue()
        await send(platform, session, "users", user(3))
        (first, second) = platform.ledger.users.batches
        assert (first.records, first.token_generation, first.batch_id) == (2, 1, 15314513451345123)
        assert (second.records, second.token_generation, second.batch_id) == (1, 2, 15314513451345124)
        assert first.arrived_s <= second.arrived_s
        assert platform.token not in repr(platform.ledger.to_dict(keys=True))
        assert "canary-token-7f3qzk" not in repr([platform, platform.tokens, platform.ledger.to_dict(keys=True)])


async def test_the_summary_is_json_and_holds_every_count() -> None:
    async with Emulator() as platform, aiohttp.ClientSession() as session:
        await send(platform, session, "events", event("a"), event("a"))
        assert platform.ledger.to_dict() == {
            "users": {"distinct": 0, "total": 0, "duplicates": 0, "requests": 0},
            "users_v2": {"distinct": 0, "total": 0, "duplicates": 0, "requests": 0},
            "events": {"distinct": 1, "total": 2, "duplicates": 1, "requests": 1},
            "events_v1": {"distinct": 0, "total": 0, "duplicates": 0, "requests": 0},
            "tags": {"distinct": 0, "total": 0, "duplicates": 0, "requests": 0},
            "groups": {"distinct": 0, "total": 0, "duplicates": 0, "requests": 0},
            "requests": 1,
            "violations": 0,
            "max_in_flight": 1,
            "connections": 1,
            "token_requests": 0,
            "broken_off": 0,
        }
        in_full = platform.ledger.to_dict(keys=True)
        assert in_full["events"]["by_key"] == {"a": 2}
        assert in_full["events"]["batches"][0]["records"] == 2
        assert in_full["violation_texts"] == []


async def test_without_kept_records_the_counts_stay_and_the_records_are_refused() -> None:
    async with Emulator(keep_records=False) as platform, aiohttp.ClientSession() as session:
        await send(platform, session, "users", user(1), user(1))
        assert (platform.ledger.users.distinct, platform.ledger.users.total) == (1, 2)
        with canary.raises(RuntimeError, match="keep_records=True"):
            platform.ledger.users.records()


async def test_the_most_requests_in_flight_are_remembered() -> None:
    async with Emulator() as platform, aiohttp.ClientSession() as session:
        gate = platform.faults.hold()
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(send(platform, session, "users", user(number)), name=f"send {number}")
            await gate.arrived(5)
            assert platform.ledger.in_flight == 5
            gate.open()
        assert platform.ledger.in_flight == 0
        assert platform.ledger.max_in_flight == 5
        assert platform.ledger.connections == 5


async def test_a_known_uuid_is_left_out_where_the_platform_is_assumed_to_do_so() -> None:
    assumptions = Assumptions(deduplicate_uuid=True)
    async with Emulator(assumptions=assumptions) as platform, aiohttp.ClientSession() as session:
        await send(platform, session, "events", event("a"), event("a"), event("b"))
        await send(platform, session, "events", event("b"), event("c"))
        assert platform.ledger.events.by_key == {"a": 1, "b": 1, "c": 1}
        assert [request.committed for request in platform.ledger.events.batches] == [2, 1]


async def test_with_a_verdict_per_record_a_poisoned_record_is_left_out() -> None:
    assumptions = Assumptions(one_bad_record_fails_batch=False)
    async with Emulator(assumptions=assumptions) as platform, aiohttp.ClientSession() as session:
        platform.faults.add(Poison(where={"thirdId": "2"}))
        assert await send(platform, session, "users", user(1), user(2), user(3)) == "200"
        assert [record["thirdId"] for record in platform.ledger.users.records()] == ["1", "3"]


async def test_a_request_that_hangs_after_its_commit_is_in_the_ledger() -> None:
    async with Emulator() as platform:
        platform.faults.script([Hang(committed=True)])
        timeout = aiohttp.ClientTimeout(sock_read=0.3)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            assert await send(platform, session, "users", user(1)) == "SocketTimeoutError"
        assert platform.ledger.users.total == 1


async def test_an_emulator_that_only_counts_checks_nothing_but_the_records_being_there() -> None:
    async with Emulator(strict=False) as platform, aiohttp.ClientSession() as session:
        assert await send(platform, session, "users", {"nonsense": None}) == "200"
        assert platform.ledger.users.total == 1
        url, headers = f"{platform.url}/audience/info/batchAdd", {"X-Token": platform.token}
        bodies: list[Any] = [{"data": [1]}, {"data": {}}, []]
        for body in bodies:
            async with session.post(url, json=body, headers=headers) as response:
                assert (await response.json())["code"] == "400"
        async with session.post(url, data=b"{", headers=headers | {"Content-Type": "application/json"}) as response:
            assert (await response.json())["code"] == "400"
        assert len(platform.ledger.violations) == 4
