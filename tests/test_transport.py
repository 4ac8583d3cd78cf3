"""One request over real sockets: whatever the other side does comes back as a value, and nothing else happens."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any, Self

import aiohttp
import canary
import psutil
import pytest
import trustme
from aiohttp import client_exceptions, http_exceptions
from wire import ENVELOPE, Handler, hangs, http, resets, says, tcp_server

from asyncimport.attempt import Answer, Attempt, Fault, NoAnswer
from asyncimport.connections import Pool
from asyncimport.errors import ConfigError, StateError
from asyncimport.policy import Timeouts
from asyncimport.secret import Secret
from asyncimport.transport import TRANSLATIONS, AiohttpTransport, HttpOptions, translate

TOKEN = Secret(canary.TOKEN, "token")
BODY = b'{"publicParams":{},"data":[{"thirdId":"1"}]}'


async def post(
    url: str, *, times: int = 1, options: HttpOptions | None = None, timeouts: Timeouts | None = None
) -> list[Attempt]:
    transport = AiohttpTransport(options or HttpOptions())
    try:
        return [await transport.post(url, TOKEN, BODY, timeouts or Timeouts()) for _ in range(times)]
    finally:
        await transport.aclose()


async def answered(*handlers: Handler, **bounds: float) -> Attempt:
    async with tcp_server(*handlers) as server:
        return (await post(server.url, timeouts=Timeouts(**bounds)))[0]


def gave_nothing(attempt: Attempt, fault: Fault, *, sent: bool) -> None:
    assert isinstance(attempt, NoAnswer), attempt
    assert (attempt.fault, attempt.sent) == (fault, sent)


async def test_a_request_carries_the_token_the_type_and_the_body_and_nothing_that_asks_for_more() -> None:
    async with tcp_server(says(http())) as server:
        (answer,) = await post(server.url)
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert answer == Answer(status=200, body=ENVELOPE)
    assert body == BODY
    headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert headers["x-token"] == canary.TOKEN
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert "cookie" not in headers
    assert "authorization" not in headers


CASES: dict[str, tuple[Handler, Fault]] = {
    "closed before any byte": (says(b"", close=True), Fault.CONNECTION_LOST),
    "reset": (resets, Fault.CONNECTION_LOST),
    "closed in the status line": (says(b"HTTP/1.", close=True), Fault.GARBLED),
    "closed in the headers": (says(b"HTTP/1.1 200 OK\r\nContent-Le", close=True), Fault.CONNECTION_LOST),
    "closed in the body": (says(http(length=500), close=True), Fault.GARBLED),
    "no HTTP": (says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", close=True), Fault.GARBLED),
    "a header line of 1 MB": (says(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 2**20 + b"\r\n\r\n", close=True), Fault.GARBLED),
    "a broken chunk": (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", close=True), Fault.GARBLED),
    "2 MiB of answer": (says(http(b" " * 2**21)), Fault.TOO_LARGE),
    "silence": (hangs, Fault.READ_TIMEOUT),
}


@pytest.mark.parametrize(("handler", "fault"), CASES.values(), ids=CASES)
async def test_an_answer_that_is_none_is_a_value_and_says_that_the_request_was_sent(
    handler: Handler, fault: Fault
) -> None:
    attempt = await answered(handler, read_s=0.3)
    assert isinstance(attempt, NoAnswer), attempt
    assert attempt.sent
    assert attempt.fault in (fault, Fault.CONNECTION_LOST)
    assert not attempt.stale


async def test_garbage_with_a_status_inside_aiohttps_exception_is_never_an_answer() -> None:
    attempt = await answered(says(b"HTTP/1.1 garbage\r\n\r\n", close=True))
    gave_nothing(attempt, Fault.GARBLED, sent=True)


@pytest.mark.breakage("transport: follow redirects")
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_s4_no_redirect_is_followed_and_its_target_never_touched(status: str) -> None:
    async with tcp_server(says(http())) as target:
        location = f"Location: {target.url}"
        attempt = await answered(says(http(b"", location, status=status)))
        assert isinstance(attempt, Answer)
        assert attempt.status == int(status[:3])
        assert (target.connections, target.requests) == (0, [])


@pytest.mark.breakage("connections: decompress answers")
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x-unknown"])
async def test_s6_an_encoded_answer_is_never_decompressed_and_has_no_body(encoding: str) -> None:
    attempt = await answered(says(http(ENVELOPE, f"Content-Encoding: {encoding}")))
    assert attempt == Answer(status=200, body=b"")


@pytest.mark.breakage("transport: read 64 MiB of an answer")
async def test_s6_an_endless_answer_is_cut_off_at_1_mib() -> None:
    written = 0

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        nonlocal written
        while True:
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()
            written += 0x10000

    before = psutil.Process().memory_info().rss
    gave_nothing(await answered(endless), Fault.TOO_LARGE, sent=True)
    assert psutil.Process().memory_info().rss - before < 8 * 2**20
    assert written < 24 * 2**20  # what is not read stands in the buffers of two sockets


async def test_a_large_error_page_still_gives_its_status() -> None:
    attempt = await answered(says(http(b"x" * 100_000, "Retry-After: 7", status="503 Busy")))
    assert attempt == Answer(status=503, body=b"", retry_after="7")


@pytest.mark.breakage("connections: max_field_size=2**20; read_bufsize=2**24")
async def test_what_bounds_the_head_of_an_answer_is_aiohttps_own() -> None:
    long = http(ENVELOPE, f"X-Long: {'a' * 9_000}")
    assert isinstance(await answered(says(long, close=True)), NoAnswer)
    pool = Pool(keepalive_s=1.0, ssl=None, lookup=socket.getaddrinfo)
    async with pool.session as ours, aiohttp.ClientSession() as plain:
        for bound in ("_read_bufsize", "_max_line_size", "_max_field_size"):
            assert getattr(ours, bound) == getattr(plain, bound)


@pytest.mark.breakage("transport: read an answer that is too large to its end")
async def test_s6_a_breach_of_the_bound_closes_the_connection() -> None:
    async with tcp_server(says(http(b" " * 2**21)), says(http())) as server:
        attempts = await post(server.url, times=2)
        assert [type(one) for one in attempts] == [NoAnswer, Answer]
        assert server.connections == 2


async def test_two_retry_after_headers_are_told_as_two() -> None:
    attempt = await answered(says(http(ENVELOPE, "Retry-After: 7", "Retry-After: 9", "Date: now")))
    assert attempt == Answer(status=200, body=ENVELOPE, retry_after="7,9", date="now")


async def test_an_answer_in_single_bytes_is_read() -> None:
    assert await answered(says(*(bytes([byte]) for byte in http()))) == Answer(status=200, body=ENVELOPE)


async def test_interim_answers_are_passed_over() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    assert await answered(says(interim * 3, http())) == Answer(status=200, body=ENVELOPE)


async def test_a_trickling_answer_ends_with_the_attempt_although_bytes_keep_coming() -> None:
    async def trickle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await asyncio.sleep(0.02)

    gave_nothing(await answered(trickle, attempt_s=0.3, read_s=10), Fault.ATTEMPT_TIMEOUT, sent=True)


async def test_a_loop_that_stood_still_does_not_end_an_attempt_whose_answer_is_there() -> None:
    async with tcp_server(says(http())) as server:
        transport = AiohttpTransport(HttpOptions())
        await transport.post(server.url, TOKEN, BODY, Timeouts())
        attempt = asyncio.create_task(transport.post(server.url, TOKEN, BODY, Timeouts(attempt_s=0.2)))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0, time.sleep, 0.5)  # the fault itself: a callback that blocks the loop
        assert await attempt == Answer(status=200, body=ENVELOPE)
        await transport.aclose()


async def unused_port() -> int:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_a_refused_connection_was_not_sent() -> None:
    (attempt,) = await post(f"http://127.0.0.1:{await unused_port()}/")
    gave_nothing(attempt, Fault.CONNECT, sent=False)


async def test_a_name_that_does_not_exist_was_not_sent() -> None:
    (attempt,) = await post("http://no-such-host.invalid/")
    gave_nothing(attempt, Fault.NAME, sent=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def test_an_own_authority_works_through_an_ssl_context(authority: trustme.CA) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with tcp_server(says(http()), ssl=server_tls(authority, "127.0.0.1")) as server:
        (attempt,) = await post(server.url, options=HttpOptions(ssl=trusting))
    assert attempt == Answer(status=200, body=ENVELOPE)


class Delegating(ssl.SSLContext):
    """Leaves everything to another context, as those do that ask the system's own store."""

    inner: ssl.SSLContext

    def __new__(cls, inner: ssl.SSLContext) -> Self:
        made = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        made.inner = inner
        return made

    verify_mode: Any = property(lambda self: self.inner.verify_mode)
    check_hostname: Any = property(lambda self: self.inner.check_hostname)

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        return self.inner.wrap_bio(*arguments, **named)


@pytest.mark.breakage("transport: take contexts of the standard library's own class alone")
async def test_a_context_that_asks_another_store_is_used_and_still_checked(authority: trustme.CA) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with tcp_server(says(http()), ssl=server_tls(authority, "127.0.0.1")) as server:
        (attempt,) = await post(server.url, options=HttpOptions(ssl=Delegating(trusting)))
        (other,) = await post(server.url, options=HttpOptions(ssl=Delegating(ssl.create_default_context())))
    assert attempt == Answer(status=200, body=ENVELOPE)
    gave_nothing(other, Fault.CERTIFICATE, sent=False)
    with canary.raises(ConfigError, match="requires certificates"):
        HttpOptions(ssl=Delegating(ssl._create_unverified_context()))


@pytest.mark.breakage("connections: check no certificate")
async def test_s5_an_untrusted_certificate_or_another_name_sends_nothing(authority: trustme.CA) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with tcp_server(says(http()), ssl=server_tls(authority, "elsewhere.example")) as server:
        for options in (HttpOptions(), HttpOptions(ssl=trusting)):
            (attempt,) = await post(server.url, options=options)
            gave_nothing(attempt, Fault.CERTIFICATE, sent=False)
        assert server.requests == []


async def test_a_plain_server_behind_https_sends_nothing() -> None:
    async with tcp_server(says(http())) as server:
        (attempt,) = await post(server.url.replace("http:", "https:"), timeouts=Timeouts(connect_s=2))
        assert isinstance(attempt, NoAnswer)
        assert not attempt.sent
        assert server.requests == []


@pytest.mark.breakage("transport: take any SSL context")
def test_s5_a_context_that_does_not_check_certificates_is_refused() -> None:
    for context in (ssl._create_unverified_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)):
        with canary.raises(ConfigError, match="requires certificates"):
            HttpOptions(ssl=context)


async def test_a_handshake_that_stalls_ends_with_the_connect_timeout_and_nothing_sent() -> None:
    async with tcp_server(hangs) as server:
        (attempt,) = await post(server.url.replace("http:", "https:"), timeouts=Timeouts(connect_s=0.3))
    gave_nothing(attempt, Fault.CONNECT_TIMEOUT, sent=False)


@pytest.mark.breakage("connections: keep cookies")
async def test_s14_cookies_are_not_sent_back() -> None:
    async with tcp_server(says(http(ENVELOPE, "Set-Cookie: session=1; Path=/"))) as server:
        await post(server.url, times=2)
        assert b"ookie" not in server.requests[1]
        assert server.connections == 1


class TestStaleConnections:
    """A kept-alive connection that the server closed while a request was on its way (FAULTS.md A10)."""

    async def attempts(self, idle_s: float) -> list[Attempt]:
        async with tcp_server(says(http()), says(b"", close=True), says(http())) as server:
            transport = AiohttpTransport(HttpOptions())
            first = await transport.post(server.url, TOKEN, BODY, Timeouts())
            assert transport._pool is not None
            transport._pool.idle_since[0] -= idle_s  # time passes
            second = await transport.post(server.url, TOKEN, BODY, Timeouts())
            third = await transport.post(server.url, TOKEN, BODY, Timeouts())
            await transport.aclose()
            assert server.connections == 2
        return [first, second, third]

    async def test_after_a_second_of_idling_it_is_stale(self) -> None:
        first, second, third = await self.attempts(1.5)
        assert first == third == Answer(status=200, body=ENVELOPE)
        assert isinstance(second, NoAnswer)
        assert (second.stale, second.sent) == (True, True)

    async def test_before_that_it_is_a_lost_connection_like_any_other(self) -> None:
        _, second, _ = await self.attempts(0.5)
        assert isinstance(second, NoAnswer)
        assert (second.stale, second.sent) == (False, True)


async def test_a_closed_transport_says_so() -> None:
    transport = AiohttpTransport(HttpOptions())
    await transport.aclose()
    await transport.aclose()
    with canary.raises(StateError, match="closed"):
        await transport.post("http://127.0.0.1:9/", TOKEN, BODY, Timeouts())


async def test_closing_under_a_request_ends_it_without_showing_the_token() -> None:
    async with tcp_server(hangs) as server:
        transport = AiohttpTransport(HttpOptions())
        attempt = asyncio.create_task(transport.post(server.url, TOKEN, BODY, Timeouts(read_s=5)))
        await server.arrived.wait()
        await transport.aclose()
        gave_nothing(await attempt, Fault.CONNECTION_LOST, sent=True)


async def test_cancelling_a_request_leaves_no_connection() -> None:
    async with tcp_server(hangs) as server:
        transport = AiohttpTransport(HttpOptions())
        attempt = asyncio.create_task(transport.post(server.url, TOKEN, BODY, Timeouts()))
        await server.arrived.wait()
        attempt.cancel()
        with canary.raises(asyncio.CancelledError):
            await attempt
        await asyncio.sleep(0.01)
        established = [c for c in psutil.Process().net_connections() if c.raddr and c.raddr[1] == server.port]
        assert [c for c in established if c.status == "ESTABLISHED"] == []
        await transport.aclose()


def network_exceptions() -> Iterator[type[BaseException]]:
    for module in (client_exceptions, http_exceptions):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, BaseException) and kind.__module__ == module.__name__:
                yield kind


#: About WebSockets, which are not used.
NOT_OURS = {client_exceptions.WSMessageTypeError}


@pytest.mark.parametrize("kind", sorted(set(network_exceptions()) - NOT_OURS, key=str))
def test_every_exception_of_aiohttp_has_its_row(kind: type[BaseException]) -> None:
    error = kind.__new__(kind)
    for was_sent in (True, False):
        attempt = translate(error, was_sent=was_sent, idle_s=None)
        assert attempt.detail.startswith(kind.__name__)
        assert not (attempt.sent and not was_sent)


def test_a_fault_of_connecting_never_counts_as_sent_and_one_of_answering_does() -> None:
    connecting = {
        Fault.NAME,
        Fault.CONNECT,
        Fault.CONNECT_TIMEOUT,
        Fault.CERTIFICATE,
        Fault.TLS,
        Fault.PROXY,
        Fault.ADDRESS,
    }
    for kind, fault, sent in TRANSLATIONS:
        assert sent is (fault not in connecting), kind


def test_no_row_hides_behind_a_wider_one() -> None:
    for index, (kind, _, _) in enumerate(TRANSLATIONS):
        assert not [earlier for earlier, _, _ in TRANSLATIONS[:index] if issubclass(kind, earlier)], kind


def test_what_is_no_networks_exception_is_a_defect() -> None:
    with canary.raises(AssertionError, match="no row"):
        translate(KeyError(), was_sent=True, idle_s=None)


def test_an_exceptions_request_is_not_copied() -> None:
    info: Any = {"X-Token": canary.TOKEN}
    error = aiohttp.ClientResponseError(info, (), status=400, message=canary.TOKEN)
    attempt = translate(error, was_sent=True, idle_s=None)
    assert canary.leaks(repr(attempt)) == []
    assert attempt.fault is Fault.GARBLED


async def test_an_exception_no_table_knows_leaves_as_ours_and_shows_no_token() -> None:
    """A host that cannot be encoded raises UnicodeError deep in aiohttp, whose frames hold the request's headers."""
    transport = AiohttpTransport(HttpOptions())
    with canary.raises(StateError, match=r"raised Unicode\w*Error") as ended:
        await transport.post(f"https://{'a' * 64}.example/x", TOKEN, BODY, Timeouts())
    assert ended.value.__cause__ is ended.value.__context__ is None
    await transport.aclose()
