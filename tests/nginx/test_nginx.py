"""Imports through nginx: its limits, its error pages, its TLS, its way to keep and close connections, its reloads and restarts.

The ledger behind it is the witness, and so is its access log: what the report says of requests must be what nginx saw.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import canary
import pytest
import trustme
from leftovers import nothing_left_behind
from netruns import BATCH, Run, in_two, people, policy
from nginx import Nginx, delivered, free_port, needs_nginx, nginx

from asyncimport import ConfigError, HttpOptions, UserProfile
from asyncimport.emulator import Delay, Emulator, Fault, Gate, Hang, Ok, ResetAfter, ResetBefore
from asyncimport.observer import BatchSplit, Paused

pytestmark = needs_nginx

#: Records of most imports here: forty batches.
COUNT = 40 * BATCH


@asynccontextmanager
async def behind(folder: Path, **options: Any) -> AsyncIterator[tuple[Emulator, Nginx]]:
    """The emulator, and nginx before it; in the end nothing is left of them."""
    async with (
        nothing_left_behind(),
        Emulator(token=canary.TOKEN) as platform,
        nginx(folder, platform.port, **options) as door,
    ):
        yield platform, door


def agrees(run: Run, door: Nginx) -> None:
    """Each attempt that the report counts came to nginx, and each failure it was told of is nginx's answer."""
    assert run.report.attempts == len(door.served)
    failed = Counter(failure.detail for failure in run.failures)
    assert failed == {f"HTTP {status}": times for status, times in door.statuses.items() if status != 200}


async def at_rest(platform: Emulator) -> None:
    """Wait until the platform is through with what nginx gave up or was stopped over."""
    while platform.ledger.in_flight:  # noqa: ASYNC110 -- the ledger tells nobody
        await asyncio.sleep(0.01)


@pytest.mark.breakage("verdict: take a 429 for no answer")
async def test_requests_over_the_rate_of_limit_req_wait_and_come_again_once_each(tmp_path: Path) -> None:
    zone = "limit_req_zone $binary_remote_addr zone=clients:1m rate=20r/s;"
    limit = "limit_req zone=clients burst=3 nodelay; limit_req_status 429;"
    async with behind(tmp_path, http=zone, server=limit) as (platform, door):
        run = await Run().go(door.url, people(COUNT // 2))
    delivered(run, COUNT // 2, platform)
    agrees(run, door)
    assert run.reasons == {"throttled"}
    assert run.report.retries == door.statuses[429] > 0
    # A 429 is an answer: what it was given to has not come, and nginx has not passed it on.
    assert run.report.possible_duplicates == platform.ledger.users.duplicates == 0
    assert platform.ledger.requests == run.report.batches
    # Each burst of 429s is one message to all four workers, and pauses them for half a second or more.
    pauses = [notice.pause_s for notice in run.notices if isinstance(notice, Paused)]
    assert door.statuses[429] <= 4 * len(pauses)
    assert run.report.elapsed_s >= sum(pauses) >= 0.5 * len(pauses)


@pytest.mark.breakage("verdict: ignore Retry-After")
async def test_nobody_comes_again_before_the_retry_after_that_nginx_adds_to_its_429(tmp_path: Path) -> None:
    zone = "limit_req_zone $binary_remote_addr zone=clients:1m rate=10r/s;"
    limit = "limit_req zone=clients burst=7 nodelay; limit_req_status 429; error_page 429 @full;"
    page = "location @full { add_header Retry-After 1 always; return 429; }"
    async with behind(tmp_path, http=zone, server=f"{limit} {page}") as (platform, door):
        run = await Run().go(door.url, people(16 * BATCH))
    delivered(run, 16 * BATCH, platform)
    agrees(run, door)
    refused = [one.at for one in door.served if one.status == 429]
    # What was under way with the first 429 came at once, everything later kept the pause.
    bursts = [at for before, at in zip([0.0, *refused], refused, strict=False) if at - before > 0.5]
    assert 0 < len(refused) <= 4 * len(bursts)
    passed = [one.at for one in door.served if one.status == 200]
    for burst in bursts:
        assert min(at for at in passed if at > burst + 0.5) >= burst + 0.99
    assert run.report.elapsed_s >= len(bursts)
    assert run.report.possible_duplicates == platform.ledger.users.duplicates == 0


@pytest.mark.breakage("retry: count an unanswered batch as accepted")
async def test_while_nothing_is_behind_nginx_its_502_pages_are_no_answers(tmp_path: Path) -> None:
    run, is_away = Run(), asyncio.Event()
    port = free_port()
    async with nothing_left_behind(), nginx(tmp_path, port) as door, asyncio.TaskGroup() as group:
        async with Emulator(token=canary.TOKEN, port=port) as before:
            source = in_two(run, COUNT // 4, 3 * COUNT // 4, is_away.wait)
            going = group.create_task(run.go(door.url, source))
            await run.accepted(COUNT // 4)
        is_away.set()
        await run.failed(5)
        async with Emulator(token=canary.TOKEN, port=port) as after:
            await going
    delivered(run, COUNT, before, after)
    agrees(run, door)
    assert run.reasons == {"server_error"}
    assert run.report.retries == door.statuses[502] >= 5
    # A page does not say that nothing was behind it, so each repeat is told as a possible duplicate. There was none.
    assert run.report.possible_duplicates == BATCH * door.statuses[502]
    assert before.ledger.users.duplicates + after.ledger.users.duplicates == 0
    assert not {*before.ledger.users.by_key} & {*after.ledger.users.by_key}


PAGES: dict[str, tuple[Fault, int, bool]] = {
    "502 without a commit": (ResetBefore(), 502, False),
    "502 after the commit": (ResetAfter(), 502, True),
    "504 without a commit": (Hang(), 504, False),
    "504 after the commit": (Hang(committed=True), 504, True),
    "504 before the commit": (Delay(seconds=0.9), 504, True),
}


@pytest.mark.breakage("retry: forget that a repeat may be a duplicate")
@pytest.mark.parametrize(("fault", "status", "is_committed"), PAGES.values(), ids=PAGES)
async def test_a_page_of_nginx_in_place_of_an_answer_is_sent_again_and_told(
    tmp_path: Path, fault: Fault, status: int, is_committed: bool
) -> None:
    async with behind(tmp_path, server="proxy_read_timeout 300ms;") as (platform, door):
        platform.faults.script([Ok(), fault, Ok(), Ok(), fault])
        run = await Run().go(door.url, people(COUNT // 2))
        await at_rest(platform)
    delivered(run, COUNT // 2, platform)
    agrees(run, door)
    assert door.statuses[status] == run.report.retries == 2
    assert run.report.possible_duplicates == 2 * BATCH
    assert platform.ledger.users.duplicates == 2 * BATCH * is_committed


BODIES = {
    "when nginx has read all of it": ("8k", 100, 20),
    "before the client has written it": ("300k", 500, 1_800),
}


@pytest.mark.breakage("split: do not remember what was too large")
@pytest.mark.parametrize(("limit", "batch_size", "padding"), BODIES.values(), ids=BODIES)
async def test_a_body_above_client_max_body_size_is_cut_and_later_ones_fit(
    tmp_path: Path, limit: str, batch_size: int, padding: int
) -> None:
    count, most = 20 * batch_size, 1024 * int(limit[:-1])
    async with behind(tmp_path, server=f"client_max_body_size {limit};") as (platform, door):
        run = await Run().go(door.url, people(count, padding=padding), policy=policy(batch_size=batch_size))
    delivered(run, count, platform, cuts_again=True)
    agrees(run, door)
    assert run.reasons == {"too_large"}
    assert run.report.rejected == run.report.possible_duplicates == platform.ledger.users.duplicates == 0
    assert {notice.reason for notice in run.notices if isinstance(notice, BatchSplit)} == {"too_large"}
    assert {one.status for one in door.served if one.body > most} == {413}
    assert max(one.body for one in door.served if one.status == 200) <= most
    # Of each size, so many as were under way together: the whole, its halves, and what was cut by what the whole had taught.
    assert 1 <= door.statuses[413] <= 3 * 4
    # Later batches are cut to what fits from the start, and nginx is asked too much no more.
    later = door.served[-20:]
    assert {one.status for one in later} == {200}
    assert run.report.batches > 20
    assert all(batch_size / 8 <= request.records < batch_size for request in platform.ledger.users.batches[-20:-1])


def authority(folder: Path) -> tuple[HttpOptions, trustme.CA]:
    """An authority of its own, a certificate of it for nginx, and what a client needs to trust it."""
    own = trustme.CA()
    trusting = ssl.create_default_context()
    own.configure_trust(trusting)
    certify(folder, own)
    return HttpOptions(ssl=trusting), own


def certify(folder: Path, own: trustme.CA) -> None:
    certificate = own.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "certificate.pem"))


def tls(version: str = "TLSv1.3") -> dict[str, Any]:
    files = "ssl_certificate certificate.pem; ssl_certificate_key key.pem;"
    return {"is_tls": True, "server": f"{files} ssl_protocols {version};"}


@pytest.mark.breakage("connections: ignore the authorities that the user gives")
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
async def test_tls_by_an_authority_of_ones_own_works_when_it_is_given(tmp_path: Path, version: str) -> None:
    options, _ = authority(tmp_path)
    async with behind(tmp_path, **tls(version)) as (platform, door):
        run = await Run().go(door.url, people(COUNT), http=options)
    delivered(run, COUNT, platform)
    agrees(run, door)
    assert {one.tls for one in door.served} == {version}
    assert len({one.line for one in door.served}) <= 4
    assert run.report.retries == 0


@pytest.mark.breakage("connections: check no certificate")
async def test_tls_by_an_authority_that_was_not_given_is_a_wrong_address_and_nothing_is_said(tmp_path: Path) -> None:
    authority(tmp_path)
    async with behind(tmp_path, **tls()) as (platform, door):
        run = await Run().go(door.url, people(COUNT))
    assert isinstance(run.error, ConfigError)
    assert run.reasons == {"certificate"}
    assert run.report.unsent == run.report.read > 0
    assert door.served == []
    assert platform.ledger.connections == 0


@pytest.mark.breakage("transport: take an answer that ends its connection for none")
async def test_a_connection_that_nginx_ends_after_three_requests_costs_no_retry(tmp_path: Path) -> None:
    async with behind(tmp_path, server="keepalive_requests 3;") as (platform, door):
        run = await Run().go(door.url, people(COUNT))
    delivered(run, COUNT, platform)
    agrees(run, door)
    uses = Counter(one.line for one in door.served)
    assert set(uses.values()) <= {1, 2, 3}
    assert len(uses) <= COUNT / BATCH / 3 + 4
    assert (run.report.attempts, run.report.retries) == (COUNT / BATCH, 0)
    assert run.failures == []


@pytest.mark.breakage("connections: one for each request")
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_four_workers_keep_to_four_connections(tmp_path: Path, is_tls: bool) -> None:
    options = authority(tmp_path)[0] if is_tls else HttpOptions()
    async with behind(tmp_path, **(tls() if is_tls else {})) as (platform, door):
        run = await Run().go(door.url, people(COUNT), http=options)
    delivered(run, COUNT, platform)
    agrees(run, door)
    connections: dict[tuple[int, int], list[int]] = {}
    for one in door.served:
        connections.setdefault(one.line, []).append(one.nth)
    assert len(connections) <= 4
    assert all(uses == list(range(1, len(uses) + 1)) for uses in connections.values())
    assert run.report.retries == 0


async def in_turns(run: Run, turns: int, between: Any) -> AsyncIterable[UserProfile]:
    """A source of so many batches four at a time: before each later turn something happens."""
    for turn in range(turns):
        for person in people(4 * BATCH, first=turn * 4 * BATCH):
            yield person
        if turn + 1 < turns:
            await between(turn)


@pytest.mark.breakage("transport: take an answer that ends its connection for none")
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "with a new certificate"])
async def test_reloads_in_the_middle_of_a_run_lose_nothing_that_is_under_way(tmp_path: Path, is_tls: bool) -> None:
    options, own = authority(tmp_path) if is_tls else (HttpOptions(), None)
    run = Run()
    async with behind(tmp_path, **(tls() if is_tls else {})) as (platform, door), asyncio.TaskGroup() as group:

        async def reloads(gate: Gate) -> None:
            await gate.arrived(4)
            if own is not None:
                certify(tmp_path, own)
            await door.reload()
            gate.open()

        async def between(turn: int) -> None:
            await run.accepted((turn + 1) * 4 * BATCH)
            if turn % 2 == 0:
                group.create_task(reloads(platform.faults.hold()))  # with four requests under way
            else:
                await door.reload()  # with four connections that nobody uses

        await run.go(door.url, in_turns(run, 6, between), http=options)
    delivered(run, 24 * BATCH, platform)
    assert len(door.workers) == 2 * (1 + 5)
    assert len({one.pid for one in door.served}) >= 3  # at the others nobody came
    assert door.statuses == {200: platform.ledger.requests}
    # A request may meet a connection that nginx is just closing. It never came, which the client cannot know.
    assert run.reasons <= {"connection_lost"}
    assert run.report.attempts == platform.ledger.requests + len(run.failures)
    assert platform.ledger.users.duplicates == 0


@pytest.mark.breakage("retry: count an unanswered batch as accepted")
async def test_a_reload_that_cuts_off_what_is_under_way_loses_nothing_and_is_told(tmp_path: Path) -> None:
    run = Run()
    async with behind(tmp_path, patience="100ms") as (platform, door), asyncio.TaskGroup() as group:

        async def reloads(gate: Gate) -> None:
            await gate.arrived(4)
            await door.reload()
            await run.failed(4)
            gate.open()

        async def between() -> None:
            group.create_task(reloads(platform.faults.hold()))

        await run.go(door.url, in_two(run, COUNT // 4, 3 * COUNT // 4, between))
        await at_rest(platform)
    delivered(run, COUNT, platform)
    assert run.reasons == {"connection_lost"}
    assert (len(run.failures), run.report.retries) == (4, 4)
    # Nginx had passed the four on, and the platform took them though nobody was there any more to be told so.
    assert run.report.possible_duplicates == platform.ledger.users.duplicates == 4 * BATCH


@pytest.mark.breakage("transport: take a request that met no listener for one that was sent")
@pytest.mark.parametrize("is_graceful", [True, False], ids=["after what is under way", "at once"])
async def test_a_restart_in_the_middle_of_a_run_loses_nothing(tmp_path: Path, is_graceful: bool) -> None:
    run = Run()
    async with behind(tmp_path) as (platform, door), asyncio.TaskGroup() as group:

        async def restarts(gate: Gate) -> None:
            await gate.arrived(4)
            if is_graceful:
                door.quit()
                gate.open()
            else:
                door.terminate()
            await door.ended()
            await run.until(lambda: "connect" in run.reasons)
            gate.open()
            await door.start()

        async def between() -> None:
            group.create_task(restarts(platform.faults.hold()))

        await run.go(door.url, in_two(run, COUNT // 4, 3 * COUNT // 4, between))
        await at_rest(platform)
    delivered(run, COUNT, platform)
    assert len({one.pid for one in door.served}) >= 2
    lost = [failure for failure in run.failures if failure.reason == "connection_lost"]
    assert run.reasons <= {"connect", "connection_lost"}
    # What met no listener was not sent, and is not counted; what was cut off had come to the platform all the same.
    assert run.report.possible_duplicates == BATCH * len(lost)
    assert is_graceful or len(lost) >= 4
    assert platform.ledger.users.duplicates == (0 if is_graceful else 4 * BATCH)
