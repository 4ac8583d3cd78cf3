import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import canary
import pytest

from asyncimport.emulator import Emulator, FaultFileError, emulate

BATCH: dict[str, Any] = {"publicParams": {"isMatching": False, "importMode": 2}, "data": [{"thirdId": "1"}]}


async def fetch(method: str, url: str, **options: Any) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.request(method, url, **options) as response:
        return response.status, json.loads(await response.read())


async def send(where: dict[str, Any], token: str) -> tuple[int, Any]:
    return await fetch("POST", f"{where['url']}/audience/info/batchAdd", json=BATCH, headers={"X-Token": token})


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """Run the emulator in a process of its own; give it and its one line."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-X", "dev", "-m", "asyncimport.emulator", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert running.stdout is not None
        yield running, json.loads(await running.stdout.readline())
    finally:
        if running.returncode is None:
            running.kill()
            await running.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_cleanly_and_it_has_said_one_line(number: signal.Signals) -> None:
    async with process("--token", "canary-token-7f3qzk") as (running, where):
        assert where.keys() == {"url", "port", "control"}
        assert where["url"] == f"http://127.0.0.1:{where['port']}/api/open"
        assert (await send(where, "canary-token-7f3qzk"))[1]["code"] == "200"
        running.send_signal(number)
        out, err = await running.communicate()
        assert (running.returncode, out, err) == (0, b"", b"")


async def test_another_process_reads_the_ledger_and_sets_the_faults() -> None:
    async with process("--keep-records") as (_, where):
        credentials = (await fetch("GET", f"{where['control']}/credentials"))[1]
        assert (await send(where, credentials["token"]))[0] == 200
        plan = {"script": [{"kind": "status", "status": 503}]}
        assert await fetch("POST", f"{where['control']}/faults", json=plan) == (200, {})
        assert (await send(where, credentials["token"]))[0] == 503
        assert (await send(where, "wrong"))[0] == 401
        summary = (await fetch("GET", f"{where['control']}/ledger"))[1]
        assert summary["users"] == {"distinct": 1, "total": 1, "duplicates": 0, "requests": 3}
        assert summary["connections"] == 3
        in_full = (await fetch("GET", f"{where['control']}/ledger?keys=1"))[1]
        assert list(in_full["users"]["by_key"].values()) == [1]
        first, second, third = in_full["users"]["batches"]
        assert first["body_digest"] == second["body_digest"]
        assert [request["status"] for request in (first, second, third)] == [200, 503, 401]


async def test_a_fault_file_holds_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('{"script": [{"kind": "status", "status": 500}]}')
    async with process("--faults", str(path), "--token", "canary-token-7f3qzk") as (_, where):
        assert (await send(where, "canary-token-7f3qzk"))[0] == 500
        assert (await send(where, "canary-token-7f3qzk"))[0] == 200


async def test_a_faulty_fault_file_ends_the_process_with_the_entrys_name(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('{"script": [{"kind": "flood"}]}')
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asyncimport.emulator", "--faults", str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await running.communicate()
    assert (running.returncode, out) == (2, b"")
    assert err.startswith(b"emulator: script[0].kind: must be one of ")


async def test_the_coroutine_serves_until_cancelled() -> None:
    ready: asyncio.Queue[Emulator] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(
            emulate(port=0, token="canary-token-7f3qzk", ready=ready.put_nowait), name="emulate"
        )
        platform = await ready.get()
        assert (await send({"url": platform.url}, "canary-token-7f3qzk"))[0] == 200
        assert platform.control_url is not None
        serving.cancel()
    with canary.raises(aiohttp.ClientConnectorError):
        await send({"url": platform.url}, "canary-token-7f3qzk")


async def test_the_coroutine_serves_nothing_by_a_faulty_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text("[]")
    with canary.raises(FaultFileError, match="must be an object"):
        await emulate(port=0, faults=path)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("GET", "/nothing", b"", 404, "no such door"),
        ("POST", "/ledger", b"", 404, "no such door"),
        ("POST", "/faults", b"{", 400, "the fault file is no JSON"),
        ("POST", "/faults", b'{"script": [1]}', 400, "script[0]: must be an object"),
    ],
    ids=["path", "method", "no-json", "entry"],
)
async def test_the_control_door_says_what_is_wrong(
    method: str, path: str, body: bytes, status: int, error: str
) -> None:
    async with Emulator(control=True) as platform:
        got, answer = await fetch(method, f"{platform.control_url}{path}", data=body)
        assert got == status
        assert answer["error"].startswith(error)
        assert platform.ledger.connections == 0


async def test_the_control_door_shows_the_ledger_and_takes_faults() -> None:
    async with Emulator(control=True) as platform:
        credentials = {"token": platform.token, "app_id": platform.app_id, "app_secret": platform.app_secret}
        assert await fetch("GET", f"{platform.control_url}/credentials") == (200, credentials)
        plan = {"script": [{"kind": "status", "status": 500}]}
        assert await fetch("POST", f"{platform.control_url}/faults", json=plan) == (200, {})
        assert platform.faults.pending == 1
        assert await fetch("GET", f"{platform.control_url}/ledger") == (200, platform.ledger.to_dict())
        assert await fetch("GET", f"{platform.control_url}/ledger?keys=1") == (200, platform.ledger.to_dict(keys=True))
