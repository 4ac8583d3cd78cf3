"""The cases of `docs/reliability.md` over real sockets, each held to its bound by the emulator's ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from attrs import define, evolve, field

from asyncimport import USERS, DispatchPolicy, ImportClient, ImportMode, UserImportConfig, UserProfile
from asyncimport.emulator import Emulator
from benchmarks.refusals import CASES, Case, measured

#: Smaller, where the case is the same with fewer records.
SIZES = {"1 % bad rows of 100,000": 4_000, "everything from the start": 50_000, "everything from the middle": 60_000}


def smaller(case: Case) -> Case:
    records = SIZES.get(case.name, case.records)
    return evolve(case, records=records, culprits=tuple(culprit for culprit in case.culprits if culprit < records))


@pytest.mark.parametrize("case", [smaller(case) for case in CASES], ids=lambda case: case.name.replace(" ", "-"))
async def test_requests_stay_within_the_bound_and_nobody_innocent_is_rejected(case: Case) -> None:
    found = await measured(case)
    assert case.at_most is None or found.requests <= case.at_most
    assert (found.innocent_rejected, found.duplicates) == (0, 0)
    if found.ended_by is None:
        assert (found.accepted, found.unsent) == (case.records - len(case.culprits), 0)
    else:
        assert (found.ended_by, found.rejected, found.unconfirmed) == ("PlatformRefused", 0, 0)


@define
class Relay:
    """A TCP relay on one port, which can be taken away and put back."""

    to_port: int
    port: int = 0
    refused_since: float = 0.0
    connections: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(factory=set)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        self._writers |= {writer, to_writer}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, to_writer))
                both.create_task(_copy(to_reader, writer))
        finally:
            self._writers -= {writer, to_writer}
            for each in (writer, to_writer):
                each.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()


@asynccontextmanager
async def relayed(platform: Emulator) -> AsyncIterator[Relay]:
    relay = Relay(to_port=int(platform.url.split(":")[2].split("/")[0]))
    await relay.open()
    try:
        yield relay
    finally:
        await relay.close()


@pytest.mark.breakage("breaker: never open it")
async def test_a1_connections_refused_for_eight_seconds_cost_few_requests_and_everything_is_delivered() -> None:
    config = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
    count = 20_000
    async with Emulator(keep_records=False) as platform, relayed(platform) as relay:
        url = platform.url.replace(f":{relay.to_port}/", f":{relay.port}/")
        people = (UserProfile(third_id=f"{n}") for n in range(count))
        policy = DispatchPolicy(batch_size=20, max_in_flight=8)
        failures = 0

        def observe(notice: object) -> None:
            nonlocal failures
            failures += type(notice).__name__ == "AttemptFailed"

        async with ImportClient(url, token=platform.token, policy=policy, observer=observe) as client:
            running = asyncio.create_task(client.run(USERS, people, config))
            while platform.ledger.requests < 200:  # noqa: ASYNC110 -- the ledger rings no bell
                await asyncio.sleep(0.005)
            await relay.close()
            await asyncio.sleep(8.0)
            await relay.open()
            report = await running
        ledger = platform.ledger.users
        assert (report.accepted, report.unconfirmed) == (count, 0)
        assert ledger.distinct == count
        assert ledger.duplicates <= report.possible_duplicates <= 8 * 20
        assert failures <= 60
        assert report.elapsed_s < 8 + 20
