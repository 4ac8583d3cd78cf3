"""One request over HTTP, and nothing but values back. With `connections.py`, the only module that knows aiohttp.

What aiohttp does by itself and must not here: it follows redirects with body and token to another origin, decompresses
answers, sends cookies, reads proxies and netrc from the environment; its exceptions carry the request's headers. What
it cannot do: a bound on the whole attempt that does not fire falsely after the event loop was held up.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp
from aiohttp import http_exceptions as http
from attrs import field, frozen

from asyncimport.attempt import Answer, Attempt, Fault, NoAnswer
from asyncimport.connections import Lookup, Pool, Trace
from asyncimport.errors import ConfigError, StateError
from asyncimport.policy import Timeouts
from asyncimport.secret import Secret
from asyncimport.version import __version__

#: An envelope has some hundred bytes; whatever is larger than this is none (FAULTS.md C10).
MAX_ANSWER_BYTES: Final = 1024 * 1024
MAX_ERROR_BYTES: Final = 64 * 1024
_READ_BYTES: Final = 64 * 1024
#: The platform's own keep-alive is not documented (?); nginx's default is 75 s, load balancers' 60 s. Well below both.
KEEPALIVE_S: Final = 15.0
#: A kept-alive connection that idled this long may have been closed by the other side without our knowing.
STALE_S: Final = 1.0
#: A deadline that fires later than this found a stalled event loop: the answer may be in the socket's buffer already.
_LATE_S: Final = 0.05
_SECOND_CHANCE_S: Final = 0.2

#: What `socket()` and `connect()` give when this machine has nothing left for one more connection.
_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
#: OpenSSL's reasons that no repeat heals: the other side speaks older versions only, or no TLS at all.
_NO_COMMON_TLS: Final = frozenset({
    "SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "WRONG_VERSION_NUMBER",
})  # fmt: skip
_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"asyncimport/{__version__}",
}


class Transport(Protocol):
    """The seam to the network: one request at a time, any number at once. It never raises for what the network does."""

    async def post(self, url: str, token: Secret, body: bytes, timeouts: Timeouts) -> Attempt:
        """Post a JSON body with the token; never follow, repeat or decompress anything.

        Cancellation: the request may or may not have reached the platform.
        """

    async def get(self, url: str, query: Mapping[str, Secret], timeouts: Timeouts) -> Attempt:
        """Ask the token call."""

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""


def _check_ssl(_options: object, _attribute: object, context: ssl.SSLContext | None) -> None:
    if context is None:
        return
    if (
        not isinstance(context, ssl.SSLContext)
        or context.verify_mode is not ssl.CERT_REQUIRED
        or not context.check_hostname
    ):
        raise ConfigError("HttpOptions.ssl takes an ssl.SSLContext that requires certificates and checks host names")


def _check_proxy(_options: object, _attribute: object, proxy: str | None) -> None:
    if proxy is not None and not (isinstance(proxy, str) and proxy.startswith(("http://", "https://"))):
        raise ConfigError("HttpOptions.proxy takes a URL that begins with http:// or https://")


@frozen(kw_only=True)
class HttpOptions:
    """How the client reaches the network: a proxy, an own CA through an SSL context, http where it is allowed.

    Raises:
        ConfigError: an SSL context that does not check certificates, or a proxy that is no URL.
    """

    proxy: str | None = field(default=None, validator=_check_proxy, repr=False)
    ssl: ssl.SSLContext | None = field(default=None, validator=_check_ssl)
    allow_insecure_http: bool = False


#: Every exception of aiohttp and of the layers below, most special first: what failed, and whether anything was sent.
TRANSLATIONS: Final[tuple[tuple[type[BaseException], Fault, bool], ...]] = (
    (aiohttp.ClientConnectorCertificateError, Fault.CERTIFICATE, False),
    (aiohttp.ServerFingerprintMismatch, Fault.CERTIFICATE, False),
    (aiohttp.ClientSSLError, Fault.TLS, False),
    (aiohttp.ClientHttpProxyError, Fault.PROXY, False),
    (aiohttp.ClientProxyConnectionError, Fault.CONNECT, False),
    (aiohttp.ClientConnectorDNSError, Fault.NAME, False),
    (aiohttp.ClientConnectorError, Fault.CONNECT, False),
    (aiohttp.ConnectionTimeoutError, Fault.CONNECT_TIMEOUT, False),
    (aiohttp.InvalidURL, Fault.ADDRESS, False),
    (aiohttp.NonHttpUrlClientError, Fault.ADDRESS, False),
    (aiohttp.SocketTimeoutError, Fault.READ_TIMEOUT, True),
    (aiohttp.ServerTimeoutError, Fault.READ_TIMEOUT, True),
    (aiohttp.ClientPayloadError, Fault.GARBLED, True),
    (aiohttp.ClientResponseError, Fault.GARBLED, True),
    (aiohttp.ClientConnectionError, Fault.CONNECTION_LOST, True),
    (aiohttp.ClientError, Fault.CONNECTION_LOST, True),
    (http.HttpProcessingError, Fault.GARBLED, True),
    (ssl.SSLCertVerificationError, Fault.CERTIFICATE, False),
    (TimeoutError, Fault.ATTEMPT_TIMEOUT, True),
    (OSError, Fault.CONNECTION_LOST, True),
)


def translate(error: BaseException, *, was_sent: bool, idle_s: float | None) -> NoAnswer:
    """What an exception of the network means. Copies its type, error number and status, nothing else.

    `was_sent` says that request bytes had left, which overrules a fault that is usually one of connecting; `idle_s` is how
    long the reused connection had been idle, None for a new one.
    """
    for kind, fault, sent in TRANSLATIONS:
        if isinstance(error, kind):
            number, words = _words(error)
            status = getattr(error, "status", None) if fault is Fault.PROXY else None
            finer = fault if was_sent else _finer(fault, number, words, status)
            detail = ", ".join(filter(None, (type(error).__name__, words, f"HTTP {status}" if status else "")))
            lost = isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError | aiohttp.ClientOSError)
            begun = not isinstance(getattr(error, "message", ""), str)  # aiohttp has the beginning of an answer there
            stale = lost and not begun and idle_s is not None and idle_s >= STALE_S
            return NoAnswer(fault=finer, sent=was_sent and sent, detail=detail, stale=stale and was_sent)
    raise AssertionError(f"{type(error).__name__} is in no row of TRANSLATIONS")


def _words(error: BaseException) -> tuple[object, str]:
    """An exception's error number and what it stands for; OpenSSL's errors have numbers of their own, and a constant for words."""
    below = getattr(error, "os_error", error)
    if isinstance(below, ssl.SSLError):
        return None, str(getattr(below, "reason", None) or "")
    number = getattr(error, "errno", None)
    return number, os.strerror(number) if isinstance(number, int) and number > 0 else ""


def _finer(fault: Fault, number: object, words: str, status: object) -> Fault:
    """What an exception's type alone does not tell of a connection that was not made."""
    if number in _SHORTAGES:
        return Fault.SHORTAGE
    if fault is Fault.TLS and words in _NO_COMMON_TLS:
        return Fault.TLS_VERSION
    is_passing = isinstance(status, int) and status >= 500  # noqa: PLR2004 -- below, a proxy refuses the user or the address
    return Fault.CONNECT if is_passing else fault


class AiohttpTransport:
    """One pool of connections, opened with the first request, and another one when the kept connections have died.

    `lookup` resolves names as `socket.getaddrinfo` does: another one is a seam for tests.
    """

    def __init__(self, options: HttpOptions, lookup: Lookup = socket.getaddrinfo) -> None:
        self._options = options
        self._lookup = lookup
        self._pool: Pool | None = None
        #: Pools that no new request uses, until their last one has ended.
        self._retired: set[Pool] = set()
        self._is_closed = False

    async def post(self, url: str, token: Secret, body: bytes, timeouts: Timeouts) -> Attempt:
        # The token goes into the one expression that sends it; no local of a frame ever holds it.
        return await self._request(
            timeouts,
            lambda session, trace: session.post(
                url,
                data=body,
                headers={**_HEADERS, "Content-Type": "application/json", "X-Token": token.reveal()},
                **self._options_of(timeouts, trace),
            ),
        )

    async def get(self, url: str, query: Mapping[str, Secret], timeouts: Timeouts) -> Attempt:
        return await self._request(
            timeouts,
            lambda session, trace: session.get(
                url,
                params={name: secret.reveal() for name, secret in query.items()},
                headers=_HEADERS,
                **self._options_of(timeouts, trace),
            ),
        )

    def _options_of(self, timeouts: Timeouts, trace: Trace) -> dict[str, Any]:
        # `connect` is for name, proxy and all addresses together; `sock_connect` would be for each address anew.
        bounds = aiohttp.ClientTimeout(total=None, connect=timeouts.connect_s, sock_read=timeouts.read_s)
        return {"allow_redirects": False, "timeout": bounds, "proxy": self._options.proxy, "trace_request_ctx": trace}

    async def _request(self, timeouts: Timeouts, start: Any) -> Attempt:
        """Run one request to an answer or none. Exceptions are translated, and dropped before anything else is said."""
        pool, trace = self._opened(), Trace()
        try:
            async with _deadline(timeouts.attempt_s), start(pool.session, trace) as response:
                return await self._answer(response, pool)
        except (aiohttp.ClientError, http.HttpProcessingError, OSError, TimeoutError) as error:
            translated = translate(error, was_sent=trace.was_sent, idle_s=trace.idle_s)
            if trace.idle_s is not None and trace.idle_s >= STALE_S:
                self._retire(pool)
        except Exception as error:  # noqa: BLE001 -- "Session is closed" is one; the frames hold the request's headers
            translated, defect = None, type(error).__name__
        finally:
            await self._let_go(pool)
        if translated is None:
            why = "was closed" if self._is_closed else f"raised {defect}"
            raise StateError(f"the HTTP client {why} while a request was under way")
        return translated

    async def _answer(self, response: aiohttp.ClientResponse, pool: Pool) -> Attempt:
        is_good = 200 <= response.status < 300  # noqa: PLR2004 -- HTTP's own classes
        limit = MAX_ANSWER_BYTES if is_good else MAX_ERROR_BYTES
        body = bytearray()
        async for part in response.content.iter_chunked(_READ_BYTES):
            body += part
            if len(body) > limit:
                response.close()
                if is_good:
                    return NoAnswer(fault=Fault.TOO_LARGE, sent=True, detail=f"above {limit:,} bytes")
                body.clear()
                break
        else:
            pool.idle_since.append(asyncio.get_running_loop().time())
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            body.clear()
        return Answer(
            status=response.status,
            body=bytes(body),
            retry_after=",".join(response.headers.getall("Retry-After", ())) or None,
            date=response.headers.get("Date"),
            redirect_host=_host_of(response.headers.get("Location")),
        )

    def _opened(self) -> Pool:
        if self._is_closed:
            raise StateError("the client is closed")
        if self._pool is None:
            self._pool = Pool(keepalive_s=KEEPALIVE_S, ssl=self._options.ssl, lookup=self._lookup)
        self._pool.in_use += 1
        return self._pool

    def _retire(self, pool: Pool) -> None:
        """Send nothing more over the kept connections: one of them was dead, and the others are no younger."""
        if pool is self._pool:
            self._pool = None
            self._retired.add(pool)

    async def _let_go(self, pool: Pool) -> None:
        pool.in_use -= 1
        if not pool.in_use and pool in self._retired:
            await pool.session.close()
            self._retired.discard(pool)

    async def aclose(self) -> None:
        self._is_closed = True
        for pool in (*self._retired, self._pool):
            if pool is not None:
                await pool.session.close()


def _host_of(location: str | None) -> str | None:
    with suppress(ValueError):
        return urlsplit(location).hostname if location else None
    return None


class _deadline:  # noqa: N801 -- reads as the verb it is
    """`asyncio.timeout` that gives a second chance when it fires late, which is the loop's fault and not the server's."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._scope = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()
        self._arm(self._delay_s, is_last=False)

    def _arm(self, delay_s: float, *, is_last: bool) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        self._timer = loop.call_at(due, self._fire, due, is_last)

    def _fire(self, due: float, is_last: bool) -> None:  # noqa: FBT001 -- call_at passes positions
        now = asyncio.get_running_loop().time()
        if now - due > _LATE_S and not is_last:
            self._arm(_SECOND_CHANCE_S, is_last=True)
        else:
            self._scope.reschedule(now)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._scope.__aexit__(kind, error, trace)
