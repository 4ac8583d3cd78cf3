import asyncio
import gc
import json
import socket
import warnings
from pathlib import Path
from typing import Any

import aiohttp
import canary
import pytest

from asyncimport.emulator import Assumptions, Delay, Emulator, Hang, ResetAfter, SilentDrop, Status, Truncate
from asyncimport.emulator.tokens import Tokens

USERS_PATH = "/api/open/audience/info/batchAdd"
BATCH: dict[str, Any] = {"publicParams": {"isMatching": False, "importMode": 2}, "data": [{"thirdId": "1"}]}


async def call(
    platform: Emulator, method: str = "POST", path: str = USERS_PATH, **options: Any
) -> tuple[int, dict[str, Any]]:
    """Send one request; give status and envelope."""
    headers = options.pop("headers", {"X-Token": platform.token})
    options = options or {"json": BATCH}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, platform.origin + path, headers=headers, **options) as response,
    ):
        return response.status, json.loads(await response.read() or b"{}")


async def test_an_emulator_has_an_address_a_token_and_an_app() -> None:
    async with Emulator() as platform, Emulator() as other:
        assert platform.url == f"http://127.0.0.1:{platform.port}/api/open"
        assert platform.port != other.port
        assert platform.token != other.token
        assert platform.app_id != other.app_id
        assert platform.control_url is None


async def test_what_is_given_is_taken() -> None:
    async with Emulator(token="canary-token-7f3qzk", app_id="app", app_secret="secret", host="localhost") as platform:
        assert (platform.token, platform.app_id, platform.app_secret) == ("canary-token-7f3qzk", "app", "secret")
        assert (await call(platform))[0] == 200


async def test_the_repr_holds_no_secret() -> None:
    async with Emulator(token="canary-token-7f3qzk", app_secret="canary-secret") as platform:
        assert "canary" not in repr(platform)
        assert f"port={platform.port}" in repr(platform)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", ""])
async def test_nothing_but_loopback_is_served(host: str) -> None:
    with canary.raises(ValueError, match="loopback alone"):
        async with Emulator(host=host):
            pass


async def test_a_taken_port_is_an_error_and_leaves_nothing() -> None:
    async with Emulator() as platform:
        with canary.raises(OSError, match="address already in use"):
            async with Emulator(port=platform.port):
                pass


MISLED: dict[str, tuple[dict[str, Any], int, str]] = {
    "path": ({"path": "/api/open/audience/info/batchadd"}, 404, "no import has the path /api/open/audience/info/ba"),
    "get": ({"method": "GET"}, 405, f"{USERS_PATH[:40]} wants POST, not GET"),
    "token-by-post": ({"path": "/api/open/app/getOrgAccessToken"}, 405, "wants GET, not POST"),
    "form": ({"data": {"a": "b"}}, 415, "users wants application/json"),
    "text": ({"data": "{}"}, 415, "users wants application/json"),
}


@pytest.mark.parametrize(("options", "status", "sentence"), MISLED.values(), ids=MISLED)
async def test_a_request_that_misses_the_platform_is_a_violation(
    options: dict[str, Any], status: int, sentence: str
) -> None:
    async with Emulator() as platform:
        assert await call(platform, **options) == (
            status,
            {"code": str(status), "errorCode": "ERROR", "msg": f"status {status}"},
        )
        (violation,) = platform.ledger.violations
        assert sentence in violation
        assert platform.ledger.users.total == 0


async def test_a_compressed_request_is_a_violation() -> None:
    async with Emulator() as platform:
        status, _ = await call(platform, json=BATCH, compress="deflate")
        assert status == 415
        assert platform.ledger.violations == ["http: users documents no compressed body"]


async def test_a_content_type_may_name_its_charset() -> None:
    async with Emulator() as platform:
        headers = {"X-Token": platform.token, "Content-Type": "application/json; charset=utf-8"}
        assert (await call(platform, data=json.dumps(BATCH), headers=headers))[0] == 200
        assert platform.ledger.violations == []


@pytest.mark.parametrize(
    ("tokens", "violations"),
    [
        ([], ["users: X-Token must stand in the header once, not 0 times"]),
        (["canary-token-7f3qzk", "b"], ["users: X-Token must stand in the header once, not 2 times"]),
        (["wrong"], []),
        ([""], []),
    ],
    ids=["none", "two", "wrong", "empty"],
)
async def test_only_the_accepted_token_comes_in(tokens: list[str], violations: list[str]) -> None:
    async with Emulator(token="canary-token-7f3qzk") as platform:
        headers: Any = [("X-Token", token) for token in tokens]
        status, answer = await call(platform, headers=headers)
        assert (status, answer["code"], answer["errorCode"]) == (401, "100200", "TOKEN_ERROR")
        assert platform.ledger.violations == violations
        assert platform.ledger.users.total == 0


async def ask(platform: Emulator, **changes: str) -> tuple[int, dict[str, Any]]:
    query = {"instanceAppid": platform.app_id, "instanceSecrect": platform.app_secret} | changes
    return await call(platform, "GET", "/api/open/app/getOrgAccessToken", params=query)


async def test_the_token_call_hands_out_a_token_that_is_accepted() -> None:
    async with Emulator() as platform:
        old = platform.token
        status, answer = await ask(platform)
        data = answer.pop("data")
        assert (status, answer) == (200, {"code": "200", "errorCode": "0", "msg": "ok"})
        assert data.keys() == {"orgAccessToken", "orgRefreshToken", "expire"}
        assert data["expire"] == 0
        assert data["orgAccessToken"] == platform.token != old
        assert (await call(platform))[0] == 200
        assert platform.ledger.token_requests == 1


@pytest.mark.parametrize("wrong", ["instanceAppid", "instanceSecrect"])
async def test_a_wrong_app_gets_no_token(wrong: str) -> None:
    async with Emulator() as platform:
        status, answer = await ask(platform, **{wrong: "wrong"})
        assert (status, answer["code"]) == (401, "100100")
        assert platform.tokens.generation == 1


async def test_a_token_call_without_the_documented_names_is_a_violation() -> None:
    async with Emulator() as platform:
        query = {"instanceAppid": platform.app_id, "instanceSecret": platform.app_secret}
        status, answer = await call(platform, "GET", "/api/open/app/getOrgAccessToken", params=query)
        assert (status, answer["code"]) == (401, "100100")
        assert platform.ledger.violations == ["token: the query lacks instanceSecrect"]


@pytest.mark.parametrize(("one_at_a_time", "status"), [(False, 200), (True, 401)], ids=["side-by-side", "one"])
async def test_whether_a_new_token_ends_the_old_one_is_an_assumption(one_at_a_time: bool, status: int) -> None:
    assumptions = Assumptions(one_token_at_a_time=one_at_a_time)
    async with Emulator(assumptions=assumptions) as platform:
        old = platform.token
        await ask(platform)
        assert (await call(platform, headers={"X-Token": old}))[0] == status
        assert (await call(platform))[0] == 200


ASSUMED: dict[str, tuple[Assumptions, dict[str, Any], tuple[int, str]]] = {
    "auth-status": (Assumptions(auth_status=200), {"headers": {"X-Token": "wrong"}}, (200, "100200")),
    "refusal-status": (Assumptions(refusal_status=400), {"json": {}}, (400, "400")),
    "refusal-code": (Assumptions(refusal_code="500100"), {"json": {}}, (200, "500100")),
    "body-limit": (Assumptions(max_body_bytes=10), {}, (413, "413")),
    "old-address": (Assumptions(old_addresses=False), {"path": "/api/integrate/import/user/batchAdd"}, (404, "404")),
}


@pytest.mark.parametrize(("assumptions", "options", "expected"), ASSUMED.values(), ids=ASSUMED)
async def test_an_assumption_decides_what_no_document_does(
    assumptions: Assumptions, options: dict[str, Any], expected: tuple[int, str]
) -> None:
    async with Emulator(assumptions=assumptions) as platform:
        status, answer = await call(platform, **options)
        assert (status, answer["code"]) == expected


@pytest.mark.parametrize(
    ("expire", "data"),
    [(7200, {"expire": 7200}), (-1, {"expire": -1}), ("soon", {"expire": "soon"}), (None, {})],
    ids=["number", "negative", "text", "absent"],
)
async def test_what_the_token_call_says_of_its_end_is_an_assumption(expire: Any, data: dict[str, Any]) -> None:
    async with Emulator(assumptions=Assumptions(token_expire=expire)) as platform:
        granted = (await ask(platform))[1]["data"]
        assert {name: value for name, value in granted.items() if name == "expire"} == data


def test_a_token_ends_with_its_life() -> None:
    now_s = [100.0]
    tokens = Tokens(newest="canary-token-7f3qzk", life_s=7200, one_at_a_time=False, now=lambda: now_s[0])
    assert tokens.accept("canary-token-7f3qzk")
    now_s[0] += 7199
    assert tokens.accept("canary-token-7f3qzk")
    second = tokens.issue()
    now_s[0] += 1
    assert not tokens.accept("canary-token-7f3qzk")
    assert tokens.accept(second)
    assert (tokens.generation_of(second), tokens.generation_of("other")) == (2, None)


async def test_a_body_that_breaks_off_is_no_request() -> None:
    async with Emulator() as platform:
        head = f"POST {USERS_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{"
        _, writer = await asyncio.open_connection("127.0.0.1", platform.port)
        writer.write(head.encode())
        await writer.drain()
        # An answer on a second connection shows that the server has read the first one's bytes.
        await call(platform)
        writer.close()
        await writer.wait_closed()
        await call(platform)
        assert platform.ledger.broken_off == 1
        assert platform.ledger.requests == 2
        assert platform.ledger.in_flight == 0


async def hang(platform: Emulator) -> None:
    """Send a request that the emulator's end will cut off."""
    with canary.raises(aiohttp.ClientError):
        await call(platform)


@pytest.mark.parametrize(
    "fault", [Hang(), Hang(committed=True), Delay(seconds=60), SilentDrop(above=0), None], ids=repr
)
async def test_leaving_ends_what_hangs_at_once_and_leaves_nothing_behind(fault: Any) -> None:
    before = asyncio.all_tasks()
    loop = asyncio.get_running_loop()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with asyncio.TaskGroup() as group:
            async with Emulator(control=True) as platform:
                gate = platform.faults.hold()
                if fault is not None:
                    platform.faults.add(fault)
                    gate.open()
                clients = {group.create_task(hang(platform), name=f"hang {number}") for number in range(3)}
                while platform.ledger.requests < 3:  # noqa: ASYNC110 - the server has no event for what only a test wants to know
                    await asyncio.sleep(0)
                reader, writer = await asyncio.open_connection("127.0.0.1", platform.port)
                begin_s = loop.time()
            assert loop.time() - begin_s < 1
            assert asyncio.all_tasks() - before - clients == set()
            assert await reader.read() == b""
            writer.close()
        del reader, writer
        await asyncio.sleep(0)
        gc.collect()
    assert asyncio.all_tasks() == before
    assert [str(warning.message) for warning in caught] == []
    with canary.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", platform.port)


async def test_leaving_also_ends_requests_whose_client_has_left() -> None:
    before = asyncio.all_tasks()
    async with Emulator() as platform:
        gate = platform.faults.hold()
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(call(platform), name="leaving")
            await gate.arrived(1)
            leaving.cancel()
        # The answer to another connection shows that the server has seen this one's end.
        await ask(platform)
        assert gate.waiting == 1
    assert asyncio.all_tasks() == before


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_no_socket_is_open_once_the_emulator_has_ended() -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setblocking(False)
        before = open_files()
        async with Emulator(control=True) as platform:
            await loop.sock_connect(client, ("127.0.0.1", platform.port))
            await call(platform)
            assert open_files() > before
        assert open_files() == before


async def test_leaving_does_not_wait_for_a_client_that_reads_nothing() -> None:
    body = json.dumps(BATCH)
    async with Emulator() as platform:
        platform.faults.add(Status(status=200, body=b"x" * 50_000_000))
        head = f"POST {USERS_PATH} HTTP/1.1\r\nHost: x\r\nX-Token: {platform.token}\r\n"
        rest = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        reader, writer = await asyncio.open_connection("127.0.0.1", platform.port, limit=1)
        writer.write((head + rest).encode())
        await reader.readexactly(1)
        begin_s = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begin_s < 1
    writer.close()


async def test_no_fault_leaves_a_word_in_the_servers_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="aiohttp")
    async with Emulator() as platform:
        platform.faults.script([ResetAfter(), Truncate(), Status(status=500), Hang()])
        for _ in range(2):
            await hang(platform)
        assert (await call(platform))[0] == 500
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(call(platform), name="leaving")
            while platform.ledger.requests < 4:  # noqa: ASYNC110 - the server has no event for what only a test wants to know
                await asyncio.sleep(0)
            leaving.cancel()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("aiohttp")] == []
