"""FAULTS.md part A, faults before a connection stands: nothing was sent, and that is known."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import socket
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, nullcontext
from typing import Any

import canary
import pytest
from doors import HOST, Certificates, HttpProxy, Tap
from faulted import width_around
from gateway import closes, passes, resets
from leftovers import nothing_left_behind
from lookups import Names, full_backlog, has_ipv6
from netruns import BATCH, Run, agrees, in_two, ordeal, people, policy
from shortage import given_back, no_descriptors
from tcp_proxy import VANISHES

from asyncimport import ConfigError, HttpOptions, UploadStalled
from asyncimport.attempt import Fault, NoAnswer
from asyncimport.emulator import Emulator
from asyncimport.transport import AiohttpTransport

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 on loopback")


def is_delivered(run: Run, platform: Emulator) -> None:
    """Everything came, once, and no attempt is taken for one that may have come before (NOT_SENT)."""
    report = run.report
    assert report.ok
    assert report.accepted == platform.ledger.users.distinct == platform.ledger.users.total
    assert report.possible_duplicates == 0


def named(names: Names) -> AiohttpTransport:
    return AiohttpTransport(HttpOptions(), names)


@pytest.mark.breakage("transport: no bound on connecting")
async def test_a2_a_connection_that_nobody_accepts_is_given_up_in_time_and_its_place_goes_to_another_batch() -> None:
    run, bounds = Run(), policy(max_in_flight=1, timeouts={"connect_s": 1.0}, first_contact_s=30)
    async with ordeal() as (platform, door):
        with full_backlog() as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/open"
            began = time.monotonic()
            going = asyncio.create_task(run.go(url, people(50), policy=bounds))
            await run.failed(1)
            assert 0.9 <= time.monotonic() - began < 1.6
            await run.failed(2)
        async with door.listening(sock=listener):
            await going
        assert run.reasons == {"connect_timeout"}
        assert run.failures[0].batch != run.failures[1].batch
        is_delivered(run, platform)
        agrees(run, platform, door)


@pytest.mark.breakage("contact: no end to the patience with a first contact")
async def test_a3_a_name_that_does_not_exist_is_a_wrong_address_after_its_time() -> None:
    async with nothing_left_behind(within_s=60):  # the machine's own resolver may be slow to say so
        began, run = time.monotonic(), Run()
        await run.go("https://no-such-host.invalid/api/open", people(100), policy=policy(first_contact_s=0.4))
        assert time.monotonic() - began >= 0.4
        assert isinstance(run.error, ConfigError)
        assert "never answered as the platform does" in str(run.error)
        assert run.reasons <= {"name", "connect_timeout"}
        assert run.report.unsent == run.report.read > 0


@pytest.mark.breakage("connections: look names up in asyncio's own threads")
def test_a3_a_resolver_that_hangs_keeps_neither_the_run_nor_the_end_of_the_loop() -> None:
    names, run = Names(hanging=100), Run()

    async def main() -> None:
        bounds = policy(first_contact_s=0.8, timeouts={"connect_s": 0.3})
        await run.go(f"https://{HOST}/api/open", people(100), policy=bounds, transport=named(names))

    began = time.monotonic()
    with asyncio.Runner() as runner:
        runner.run(main())
    assert time.monotonic() - began < 8
    assert isinstance(run.error, ConfigError)
    assert run.reasons == {"connect_timeout"}
    assert run.report.unsent == run.report.read > 0
    assert names.asked == 1  # all wait for the one that hangs: no thread each
    names.released.set()


NAMELESS = ["name", "connect_timeout"]


@pytest.mark.breakage("contact: never believe that the contact is made")
@pytest.mark.parametrize("trouble", [{"failing": 3}, {"hanging": 1}], ids=["nxdomain", "hang"])
async def test_a3_a_name_that_fails_once_the_platform_is_known_is_waited_for(trouble: dict[str, int]) -> None:
    names, run = Names(), Run()

    async def resolver_breaks() -> None:
        await asyncio.sleep(1.1)  # so long a connection must idle to be taken for dead, and its address with it
        for name, times in trouble.items():
            setattr(names, name, times)
        asyncio.get_running_loop().call_later(0.7, names.released.set)

    async with ordeal(passes, resets) as (platform, door):
        await run.go(
            door.url_of(HOST),
            in_two(run, BATCH, BATCH, resolver_breaks),
            policy=policy(first_contact_s=0.001, timeouts={"connect_s": 0.3}),
            http=HttpOptions(allow_insecure_http=True),
            transport=named(names),
        )
        assert [failure.reason for failure in run.failures[:2]] in (["connection_lost", name] for name in NAMELESS)
        assert run.report.ok
        assert run.report.accepted == platform.ledger.users.distinct == platform.ledger.users.total == 2 * BATCH
        assert run.report.possible_duplicates == BATCH  # by the reset, and by nothing that the resolver did
        agrees(run, platform, door)


@needs_ipv6
@pytest.mark.breakage("connections: try one address after the other")
@pytest.mark.parametrize("addresses", [["::1", "127.0.0.1"], ["127.0.0.1", "::1"]], ids=["dead-live", "live-dead"])
@pytest.mark.parametrize("dead", ["refuses", "is silent"])
async def test_a4_a_dead_address_beside_a_live_one_fails_no_attempt(dead: str, addresses: list[str]) -> None:
    async with ordeal() as (platform, door):
        silent = full_backlog("::1", door.port) if dead == "is silent" else nullcontext(socket.socket())
        with silent as listener, closing(listener):
            run = await Run().go(
                door.url_of(HOST),
                people(80),
                policy=policy(timeouts={"connect_s": 1.5}),
                http=HttpOptions(allow_insecure_http=True),
                transport=named(Names(addresses)),
            )
        assert run.failures == []
        is_delivered(run, platform)
        agrees(run, platform, door)


KINDS = ["expired", "wrong host", "self-signed", "TLS 1.0"]


@asynccontextmanager
async def behind_tls(*script: Any) -> AsyncIterator[Any]:
    """A gateway with TLS and a tap on its wire; and what a client needs to come through it."""
    certificates = Certificates()
    async with ordeal(*script, ssl=certificates.server) as (platform, door):
        tap = Tap(door.port, certificates=certificates)
        async with tap.listening():
            options = HttpOptions(ssl=certificates.trusting)
            client = {"http": options, "transport": AiohttpTransport(options, Names())}
            yield platform, door, certificates, tap, f"https://{HOST}:{tap.port}/api/open", client


def shows_nothing(seen: list[bytearray]) -> None:
    """Only the beginnings of TLS went over these connections, no body and no plain text."""
    for sent in seen:
        assert not sent or sent.startswith(b"\x16")
        assert len(sent) < 5_000
        assert canary.TOKEN.encode() not in sent
        assert b"HTTP" not in sent


@pytest.mark.breakage("attempt: wait for a certificate or a TLS version to get better")
@pytest.mark.parametrize("kind", KINDS)
async def test_a5_bad_tls_from_the_start_is_a_wrong_address_at_once_and_sees_nothing(kind: str) -> None:
    async with behind_tls() as (platform, door, certificates, tap, url, client):
        certificates.become(kind)
        began = time.monotonic()
        run = await Run().go(url, people(100, padding=1_000), **client)
        assert isinstance(run.error, ConfigError)
        assert "never answered as the platform does" in str(run.error)
        assert time.monotonic() - began < 10  # first contact has 15 s
        assert run.report.unsent == run.report.read > 0
        assert (door.exchanges, platform.ledger.connections) == ([], 0)
        assert tap.seen
        shows_nothing(tap.seen)


@pytest.mark.breakage("connections: check no certificate")
@pytest.mark.parametrize("kind", KINDS)
async def test_a5_tls_that_goes_bad_later_is_waited_for_and_sees_nothing(kind: str) -> None:
    run, before, then = Run(), 0, 0
    async with behind_tls(closes) as (platform, door, certificates, tap, url, client):

        async def goes_bad() -> None:
            nonlocal before
            before = len(tap.seen)
            certificates.become(kind)
            mending.append(asyncio.create_task(mends()))

        async def mends() -> None:
            nonlocal then
            await run.failed(3)
            then = len(tap.seen)
            certificates.become("good")

        mending: list[asyncio.Task[None]] = []
        await run.go(url, in_two(run, BATCH, 4 * BATCH, goes_bad, padding=1_000), **client)
        await asyncio.wait_for(mending[0], 5)
        assert then > before
        shows_nothing(tap.seen[before : before + 3])
        assert run.reasons <= {"certificate", "tls_version", "tls"}
        is_delivered(run, platform)
        agrees(run, platform, door)


@pytest.mark.breakage("transport: no bound on connecting")
async def test_a6_a_handshake_that_stalls_ends_with_the_bound_of_connecting() -> None:
    async with behind_tls() as (platform, door, _, tap, url, client):
        tap.script.extend([VANISHES] * 4)
        began = time.monotonic()
        bounds = policy(timeouts={"connect_s": 0.5}, first_contact_s=30)
        run = await Run().go(url, people(100, padding=1_000), policy=bounds, **client)
        assert 0.45 <= time.monotonic() - began < 10
        assert run.reasons == {"connect_timeout"}
        assert len(run.failures) == 4
        shows_nothing(tap.seen[:4])
        is_delivered(run, platform)
        agrees(run, platform, door)


@asynccontextmanager
async def behind_a_proxy(*statuses: str) -> AsyncIterator[Any]:
    certificates = Certificates()
    async with ordeal(ssl=certificates.server) as (platform, door):
        proxy = HttpProxy(door.port, statuses=deque(statuses))
        async with proxy.listening():
            url = f"http://someone:{canary.TOKEN}@127.0.0.1:{proxy.port}"
            yield platform, door, proxy, HttpOptions(proxy=url, ssl=certificates.trusting)


SECRET = base64.b64encode(f"someone:{canary.TOKEN}".encode()).decode()


def knew_the_user(proxy: HttpProxy, caplog: pytest.LogCaptureFixture) -> None:
    """Its user and password came to the proxy, and are in no log in any form."""
    assert all(f"Proxy-Authorization: Basic {SECRET}".encode() in head for head in proxy.heads)
    assert all(canary.TOKEN.encode() not in head.replace(SECRET.encode(), b"") for head in proxy.heads)
    assert SECRET not in caplog.text


@pytest.mark.breakage("attempt: take a proxy's refusal for something that passes")
@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden"])
async def test_a17_a_proxy_that_refuses_ends_the_run_at_once(caplog: pytest.LogCaptureFixture, status: str) -> None:
    async with behind_a_proxy(*[status] * 100) as (platform, _, proxy, options):
        run = await Run().go(f"https://{HOST}/api/open", people(100), http=options)
        assert isinstance(run.error, ConfigError)
        assert f"the proxy refused (ClientHttpProxyError, HTTP {status[:3]})" in str(run.error)
        assert len(proxy.heads) <= 4
        assert run.report.unsent == run.report.read > 0
        assert platform.ledger.requests == 0
        knew_the_user(proxy, caplog)


@pytest.mark.breakage("transport: take any status of a proxy for a refusal")
@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Unavailable", "504 Gateway Timeout"])
async def test_a17_a_proxy_that_does_not_get_through_is_tried_again(
    caplog: pytest.LogCaptureFixture, status: str
) -> None:
    async with behind_a_proxy(*[status] * 5) as (platform, door, proxy, options):
        run = await Run().go(f"https://{HOST}/api/open", people(100), http=options)
        assert {failure.detail for failure in run.failures} == {
            f"no connection could be made (ClientHttpProxyError, HTTP {status[:3]})"
        }
        is_delivered(run, platform)
        agrees(run, platform, door)
        knew_the_user(proxy, caplog)


HOSTS = {
    "127.0.0.1": ("127.0.0.1", "127.0.0.1", []),
    "[::1]": ("::1", "[::1]", []),
    "a name with an IPv4 address": ("127.0.0.1", HOST, ["127.0.0.1"]),
    "a name with an IPv6 address": ("::1", HOST, ["::1"]),
}


@pytest.mark.breakage("connections: look up IPv4 addresses only")
@pytest.mark.parametrize(
    ("served_on", "host", "addresses"),
    [pytest.param(*row, id=name, marks=needs_ipv6 if ":" in row[0] else ()) for name, row in HOSTS.items()],
)
async def test_a18_a_host_of_one_family_works(served_on: str, host: str, addresses: list[str]) -> None:
    async with ordeal(host=served_on) as (platform, door):
        names = Names(addresses)
        run = await Run().go(
            door.url_of(host), people(80), http=HttpOptions(allow_insecure_http=True), transport=named(names)
        )
        assert run.failures == []
        assert bool(names.asked) is bool(addresses)
        is_delivered(run, platform)
        agrees(run, platform, door)


@pytest.mark.breakage("transport: take a lack of descriptors for a refused connection")
async def test_a20_without_descriptors_batches_wait_and_none_is_lost() -> None:
    run, still_short = Run(), list[asyncio.Task[None]]()

    async def lasts(held: AbstractContextManager[list[int]]) -> None:
        with held as descriptors:
            await run.failed(3)
            given_back(descriptors)

    async def begins() -> None:
        still_short.append(asyncio.create_task(lasts(no_descriptors())))

    async with ordeal(closes) as (platform, door):
        await run.go(door.url, in_two(run, BATCH, 4 * BATCH, begins))
        await asyncio.wait_for(still_short[0], 5)
        assert run.reasons == {"shortage"}
        assert os.strerror(errno.EMFILE) in run.failures[0].detail
        is_delivered(run, platform)
        agrees(run, platform, door)


@pytest.mark.breakage("verdict: a lack of descriptors is no overload")
def test_a20_a_lack_of_descriptors_halves_a_width_that_was_found() -> None:
    before, after = width_around(NoAnswer(fault=Fault.SHORTAGE, sent=False))
    assert before > 4
    assert after == before // 2


@pytest.mark.breakage("contact: take a lack of descriptors for a wrong address")
async def test_a20_a_lack_of_descriptors_that_lasts_says_what_to_do_and_never_blames_the_address() -> None:
    run = Run()
    async with ordeal() as (platform, door):
        with no_descriptors():
            await run.go(door.url, people(100), policy=policy(first_contact_s=0.1, stall_s=1.0))
        assert isinstance(run.error, UploadStalled)
        assert os.strerror(errno.EMFILE) in str(run.error)
        assert "ulimit" in str(run.error)
        assert run.report.unsent == run.report.read > 0
        assert platform.ledger.requests == 0
        # Nothing is broken for good: the next import goes through.
        again = await Run().go(door.url, people(100))
        is_delivered(again, platform)
