import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import canary
import pytest
from attrs import evolve

from asyncimport.emulator import (
    Assumptions,
    Bucket,
    CloseBefore,
    Delay,
    Emulator,
    Envelope,
    Fault,
    Gzip,
    Hang,
    Html,
    Ok,
    Overload,
    Poison,
    Quota,
    ResetAfter,
    ResetBefore,
    RevokeToken,
    SilentDrop,
    Status,
    ThrottleMessage,
    TokenExpiresAfter,
    Truncate,
    Workers,
)

BATCH = {"publicParams": {"isMatching": False, "importMode": 2}, "data": [{"thirdId": "13"}, {"thirdId": "14"}]}


@asynccontextmanager
async def post(platform: Emulator, path: str = "users") -> AsyncIterator[aiohttp.ClientResponse]:
    url = platform.url + {"users": "/audience/info/batchAdd", "events": "/event/v2/batchAdd"}[path]
    body: dict[str, Any] = BATCH
    if path == "events":
        identities = [{"identityValue": "1", "identityType": "phone"}]
        body = {"publicParams": {}, "data": [{"identities": identities, "eventKey": "c_buy"}]}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.post(url, json=body, headers={"X-Token": platform.token}, allow_redirects=False) as response,
    ):
        yield response


async def code(platform: Emulator, path: str = "users") -> str:
    """Post one batch and give the envelope's code."""
    async with post(platform, path) as response:
        answer = await response.json()
        assert isinstance(answer["code"], str)
        return answer["code"]


async def status(platform: Emulator, path: str = "users") -> int:
    """Post one batch and give the HTTP status."""
    async with post(platform, path) as response:
        return response.status


async def ask_token(platform: Emulator, **changes: str) -> tuple[int, dict[str, Any]]:
    query = {"instanceAppid": platform.app_id, "instanceSecrect": platform.app_secret} | changes
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{platform.url}/app/getOrgAccessToken", params=query) as response,
    ):
        return response.status, json.loads(await response.read())


async def raw(platform: Emulator) -> tuple[bytes, type[BaseException] | None]:
    """Post one batch through a bare socket; give all bytes that came, and the error that ended them."""
    body = json.dumps(BATCH).encode()
    head = (
        f"POST /api/open/audience/info/batchAdd HTTP/1.1\r\nHost: x\r\nX-Token: {platform.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", platform.port)
    received, ended = b"", None
    try:
        writer.write(head.encode() + body)
        while part := await reader.read(65536):
            received += part
    except ConnectionError as error:
        ended = type(error)
    finally:
        writer.close()
    return received, ended


@pytest.mark.parametrize("number", [204, 299, 301, 400, 401, 403, 404, 413, 429, 500, 503, 600, 999])
async def test_any_status_can_be_answered_without_a_commit(number: int) -> None:
    async with Emulator() as platform:
        platform.faults.script([Status(status=number)])
        assert await status(platform) == number
        assert platform.ledger.users.total == 0
        assert platform.ledger.users.batches[0].status == number
        assert await status(platform) == 200


async def test_a_status_carries_its_own_headers_and_body() -> None:
    async with Emulator() as platform:
        fault = Status(status=503, headers={"Retry-After": "٣"}, body="<h1>busy", content_type="text/html")
        platform.faults.script([fault, evolve(fault, body=b"\xff\x00"), evolve(fault, body=None)])
        async with post(platform) as response:
            assert response.headers["Retry-After"] == "٣"
            assert (response.content_type, await response.read()) == ("text/html", b"<h1>busy")
        async with post(platform) as response:
            assert await response.read() == b"\xff\x00"
        assert await code(platform) == "503"


@pytest.mark.parametrize(
    "fault",
    [
        Status(status=500, committed=True),
        Envelope(code="300", committed=True),
        Html(committed=True),
        Gzip(),
        ResetAfter(),
        Truncate(),
        Truncate(content_length=False),
    ],
    ids=repr,
)
async def test_a_fault_after_the_commit_leaves_it_in_the_ledger(fault: Fault) -> None:
    async with Emulator() as platform:
        platform.faults.script([fault])
        await raw_and_close(platform)
        assert platform.ledger.users.total == 2


@pytest.mark.parametrize(
    "fault",
    [
        Status(status=500),
        Envelope(code="300"),
        Html(),
        ThrottleMessage(),
        ResetBefore(),
        CloseBefore(),
        Poison(where={"thirdId": "13"}),
        RevokeToken(),
    ],
    ids=repr,
)
async def test_a_fault_before_the_commit_leaves_nothing_in_the_ledger(fault: Fault) -> None:
    async with Emulator() as platform:
        platform.faults.script([fault])
        await raw_and_close(platform)
        assert platform.ledger.users.total == 0


async def raw_and_close(platform: Emulator) -> None:
    """Post one batch and leave as soon as anything, or the end, comes back."""
    try:
        async with post(platform) as response:
            await response.read()
    except aiohttp.ClientError:
        pass


async def test_an_envelope_says_what_it_is_told() -> None:
    async with Emulator() as platform:
        platform.faults.script([Envelope(code="300", msg="no", error_code="E"), Envelope(code="200", null_data=True)])
        async with post(platform) as response:
            assert response.status == 200
            assert await response.json() == {"code": "300", "errorCode": "E", "msg": "no"}
        async with post(platform) as response:
            assert (await response.json())["data"] is None


async def test_the_throttle_message_is_the_documented_one() -> None:
    async with Emulator(assumptions=Assumptions(throttle_code="1001")) as platform:
        platform.faults.script([ThrottleMessage()])
        async with post(platform) as response:
            assert response.status == 200
            answer = await response.json()
        assert (answer["code"], answer["msg"]) == ("1001", "操作频繁,请稍后重试")


async def test_a_web_page_is_no_envelope() -> None:
    async with Emulator() as platform:
        platform.faults.script([Html(body="<p>hello")])
        async with post(platform) as response:
            assert (response.status, response.content_type) == (200, "text/html")
            assert await response.read() == b"<p>hello"


async def test_a_compressed_answer_holds_the_true_one() -> None:
    async with Emulator() as platform:
        platform.faults.script([Gzip()])
        async with post(platform) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert json.loads(gzip.decompress(await response.read()))["data"] == 15314513451345123


@pytest.mark.parametrize("fault", [ResetBefore(), ResetAfter()], ids=repr)
async def test_a_reset_is_a_tcp_reset(fault: Fault) -> None:
    async with Emulator() as platform:
        platform.faults.script([fault])
        assert await raw(platform) == (b"", ConnectionResetError)


async def test_a_close_is_no_reset() -> None:
    async with Emulator() as platform:
        platform.faults.script([CloseBefore()])
        assert await raw(platform) == (b"", None)


async def test_a_truncated_answer_announces_the_whole_body() -> None:
    async with Emulator() as platform:
        platform.faults.script([Truncate()])
        async with post(platform) as response:
            assert response.status == 200
            with canary.raises(aiohttp.ClientPayloadError):
                await response.read()


async def test_a_truncated_answer_without_length_looks_whole() -> None:
    async with Emulator() as platform:
        platform.faults.script([Truncate(content_length=False)])
        async with post(platform) as response:
            half = await response.read()
        assert half.startswith(b'{"code":"200"')
        with canary.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(half)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the server has come so far; the test's own time limit ends it."""
    while not condition():  # noqa: ASYNC110 - the server has no event for what only a test wants to know
        await asyncio.sleep(0)


async def test_a_hanging_request_ends_when_its_client_leaves() -> None:
    async with Emulator() as platform:
        platform.faults.script([Hang()])
        async with asyncio.TaskGroup() as group:
            hanging = group.create_task(status(platform), name="hanging")
            await until(lambda: [request.fault for request in platform.ledger.users.batches] == ["hang"])
            hanging.cancel()
        async with asyncio.timeout(1):
            await until(lambda: platform.ledger.in_flight == 0)
        assert platform.ledger.users.total == 0


async def test_a_delay_goes_together_with_another_fault() -> None:
    async with Emulator() as platform:
        loop = asyncio.get_running_loop()
        platform.faults.script([(Delay(seconds=0.03), Status(status=500)), Delay(seconds=0.03)])
        for expected in (500, 200):
            begin_s = loop.time()
            assert await status(platform) == expected
            assert loop.time() - begin_s >= 0.03


async def test_a_revoked_token_is_refused_until_a_new_one_is_fetched() -> None:
    async with Emulator(token="canary-token-7f3qzk") as platform:
        platform.faults.script([RevokeToken()])
        async with post(platform) as response:
            assert response.status == 401
            assert (await response.json())["code"] == "100200"
        assert await status(platform) == 401
        http_status, answer = await ask_token(platform)
        assert http_status == 200
        assert answer["data"]["orgAccessToken"] == platform.token != "canary-token-7f3qzk"
        assert await status(platform) == 200


async def test_a_token_expires_after_so_many_requests_also_when_they_come_at_once() -> None:
    async with Emulator() as platform:
        platform.faults.add(TokenExpiresAfter(requests=3))
        gate = platform.faults.hold()
        async with asyncio.TaskGroup() as group:
            sent = [group.create_task(status(platform), name=f"send {number}") for number in range(5)]
            await gate.arrived(5)
            gate.open()
        assert sorted(task.result() for task in sent) == [200, 200, 200, 401, 401]
        await ask_token(platform)
        assert await status(platform) == 200


async def test_overload_turns_away_at_once_what_is_too_much() -> None:
    async with Emulator() as platform:
        platform.faults.add(Overload(above=2, retry_after="1"))
        gate = platform.faults.hold()
        async with asyncio.TaskGroup() as group:
            served = [group.create_task(status(platform), name=f"send {number}") for number in range(2)]
            await gate.arrived(2)
            async with post(platform) as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "1")
            gate.open()
        assert [task.result() for task in served] == [200, 200]
        assert await status(platform) == 200
        assert platform.ledger.users.batches[2].fault == "overload"


async def test_silence_befalls_what_is_too_much_and_does_not_make_the_platform_busy() -> None:
    async with Emulator() as platform:
        platform.faults.add(SilentDrop(above=1))
        gate = platform.faults.hold()
        async with asyncio.TaskGroup() as group:
            served = group.create_task(status(platform), name="served")
            await gate.arrived(1)
            dropped = [group.create_task(status(platform), name=f"dropped {number}") for number in range(3)]
            await until(lambda: len(platform.ledger.users.batches) == 4)
            gate.open()
            assert await served == 200
            assert await status(platform) == 200
            for task in dropped:
                assert not task.done()
                task.cancel()


@pytest.mark.parametrize("limit", [Quota(per_s=2), Bucket(per_s=0.001, burst=2)], ids=repr)
async def test_a_quota_throttles_what_exceeds_it(limit: Quota | Bucket) -> None:
    async with Emulator() as platform:
        platform.faults.add(limit)
        assert [await status(platform) for _ in range(4)] == [200, 200, 429, 429]
        platform.faults.clear()
        platform.faults.add(evolve(limit, retry_after="7", status=200))
        assert [await code(platform) for _ in range(3)] == ["200", "200", "429"]
        async with post(platform) as response:
            assert response.headers["Retry-After"] == "7"
            assert (await response.json())["msg"] == "操作频繁,请稍后重试"


async def test_workers_serve_so_many_at_once() -> None:
    async with Emulator() as platform:
        platform.faults.add(Workers(count=2, service_s=0.02))
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(status(platform), name=f"send {number}")
        assert loop.time() - begin_s >= 0.06
        assert platform.ledger.users.total == 12


@pytest.mark.parametrize(
    ("poison", "expected"),
    [
        (Poison(where={"thirdId": "13"}), (200, "400")),
        (Poison(where={"thirdId": "13"}, status=400), (400, "400")),
        (Poison(where={"thirdId": "13"}, status=500), (500, "500")),
        (Poison(where={"thirdId": "99"}), (200, "200")),
        (Poison(where={"thirdId": 13}), (200, "200")),
        (Poison(where={"thirdId": "13", "phone": "1"}), (200, "200")),
        (Poison(where={"thirdId.0": "1"}), (200, "200")),
        (Poison(where={"thirdId": "13"}, on="events"), (200, "200")),
    ],
    ids=["envelope", "http-400", "http-500", "other-value", "other-type", "two-fields", "no-path", "other-endpoint"],
)
async def test_poison_refuses_the_batch_that_holds_it(poison: Poison, expected: tuple[int, str]) -> None:
    async with Emulator() as platform:
        platform.faults.add(poison)
        async with post(platform) as response:
            assert (response.status, (await response.json())["code"]) == expected
        assert platform.ledger.users.total == (2 if expected == (200, "200") else 0)


async def test_poison_reaches_into_lists() -> None:
    async with Emulator() as platform:
        platform.faults.add(Poison(where={"identities.0.identityType": "phone"}))
        assert await code(platform, "events") == "400"
        assert await code(platform, "users") == "200"


async def test_a_fault_strikes_its_endpoint_alone() -> None:
    async with Emulator() as platform:
        platform.faults.add(Status(status=500, on="events"), Status(status=503, on="token"))
        assert await status(platform, "users") == 200
        assert await status(platform, "events") == 500
        assert (await ask_token(platform))[0] == 503


async def test_a_fault_without_endpoint_spares_the_token_call() -> None:
    async with Emulator() as platform:
        platform.faults.add(Status(status=500))
        assert await status(platform) == 500
        assert (await ask_token(platform))[0] == 200


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Envelope(code="100100", on="token"), {"code": "100100", "errorCode": "ERROR", "msg": "refused"}),
        (
            Envelope(code="200", error_code="0", msg="ok", null_data=True, on="token"),
            {"code": "200", "errorCode": "0", "msg": "ok", "data": None},
        ),
        (
            Status(status=200, body='{"data": {"orgAccessToken": "a\\r\\nb"}}', on="token"),
            {"data": {"orgAccessToken": "a\r\nb"}},
        ),
    ],
    ids=["100100", "null-data", "line-break"],
)
async def test_the_token_call_can_say_anything(fault: Fault, expected: dict[str, Any]) -> None:
    async with Emulator() as platform:
        platform.faults.script([fault])
        assert (await ask_token(platform))[1] == expected


@pytest.mark.parametrize("fault", [ResetBefore(on="token"), CloseBefore(on="token"), ResetAfter(on="token")], ids=repr)
async def test_the_token_call_can_be_cut_off(fault: Fault) -> None:
    async with Emulator() as platform:
        # aiohttp asks again by itself once: GET is idempotent.
        platform.faults.script([fault, fault])
        with canary.raises(aiohttp.ClientConnectionError):
            await ask_token(platform)


async def test_a_reset_reaches_a_client_that_still_waits_in_recv() -> None:
    async with Emulator() as platform:
        platform.faults.script([(Delay(seconds=0.02), ResetAfter())])
        assert (await raw(platform))[1] is ConnectionResetError


@pytest.mark.parametrize(
    ("fault", "committed"),
    [(Ok(), 2), (ResetBefore(), 0), (ResetAfter(), 2), (CloseBefore(), 0), (Truncate(), 2), (Status(status=500), 0)],
    ids=repr,
)
async def test_a_client_that_leaves_early_changes_nothing_of_the_commit(
    fault: Fault, committed: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with Emulator() as platform:
        platform.faults.script([fault])
        gate = platform.faults.hold()
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(status(platform), name="leaving")
            await gate.arrived(1)
            leaving.cancel()
        # The answer to another connection shows that the server has seen this one's end.
        await ask_token(platform)
        gate.open()
        await until(lambda: platform.ledger.in_flight == 0)
        assert platform.ledger.users.total == committed
    assert caplog.records == []


async def test_the_ordinary_answer_follows_when_the_script_is_over() -> None:
    async with Emulator() as platform:
        platform.faults.script([Status(status=500), Ok(), Status(status=503)])
        assert [await status(platform) for _ in range(4)] == [500, 200, 503, 200]
        assert platform.faults.pending == 0
