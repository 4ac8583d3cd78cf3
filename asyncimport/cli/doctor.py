"""Whether an import could work from here, asked step by step and without importing anything.

versions ─▶ address ─▶ name ─▶ connection ─▶ TLS ─▶ credentials ─▶ token call ─▶ users ─▶ events

The import paths prove the token with an empty `data`: no record, so nothing to import. What the platform answers to that
is not documented (?), nor whether it looks at the token first or has other codes for a bad one (?). So an answer that
does not complain about the token is held against a control: the same request, once, with a token that cannot be good.
Only where that one is refused the other was taken; where it is not, nothing is known. A token that is refused by itself
needs no control, and none is sent. With an app id and secret a new token is asked for; whether that ends the app's older
ones is not documented either (?).
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from importlib import metadata
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from asyncimport.address import Address, read_address
from asyncimport.attempt import MISCONFIGURED, Attempt, Fault, NoAnswer
from asyncimport.cli.finding import Finding, State
from asyncimport.clock import SystemClock
from asyncimport.configs import Config, EventImportConfig, ImportMode, UserImportConfig
from asyncimport.credentials import AppCredentials, Grant, Token, credentials_of
from asyncimport.errors import AuthError, ConfigError
from asyncimport.observer import Notifier
from asyncimport.policy import DispatchPolicy, Timeouts
from asyncimport.redaction import shown
from asyncimport.resources import EVENTS, USERS, Resource
from asyncimport.secret import Secret
from asyncimport.session import SessionManager
from asyncimport.transport import AiohttpTransport, HttpOptions
from asyncimport.verdict import Happened, Verdict, judge
from asyncimport.version import __version__

#: A certificate that ends sooner gets a word of advice: authorities renew theirs a month ahead.
FEW_DAYS: Final = 14
#: Between the first attempts at two addresses of one name (RFC 8305, section 5; aiohttp's own value too).
_NEXT_ADDRESS_S: Final = 0.25
#: PARTIAL, because a full import of nobody might mean something (?).
_IMPORTS: Final[tuple[tuple[Resource, Config], ...]] = (
    (USERS, UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)),
    (EVENTS, EventImportConfig()),
)
_CA_ADVICE: Final = "if a proxy or an authority of your own signs here, give its certificate (PEM) with --ca-file FILE"
#: By OpenSSL's numbers for what is wrong with a certificate (x509_vfy.h).
_CERTIFICATE_FAULTS: Final[Mapping[int, tuple[str, str]]] = {
    **dict.fromkeys((2, 18, 19, 20, 21), ("is signed by an authority unknown here", _CA_ADVICE)),
    9: ("is not valid yet", "check this machine's clock"),
    10: ("has expired", "check this machine's clock; if it is right, the certificate must be renewed by its owner"),
    **dict.fromkeys((62, 64), ("was made for another host name", "check the host in the base URL")),
}
_PATH_ADVICE: Final = "check host and path of the base URL; something before the platform may want a login or a proxy"
_NETWORK_ADVICE: Final = "whether this network works or needs a proxy or a VPN"
_LATER_ADVICE: Final = "wait a few minutes, then run doctor again"
_TOKEN_ADVICE: Final = "get a new token (one lives 2 hours), or give the app's id and secret"  # noqa: S105 -- words about a token
_PROOF_ADVICE: Final = "an import of a few records will tell"
#: The control, a token that cannot be good: no platform gives out one that reads like this.
_CONTROL: Final = Grant(token=Secret("asyncimport-doctor-control", "control"), generation=0)
_APP_ID, _APP_SECRET = "ASYNCIMPORT_APP_ID", "ASYNCIMPORT_APP_SECRET"


def _good(what: str, said: str, advice: str = "") -> Finding:
    return Finding(what=what, state=State.GOOD, said=said, advice=advice)


def _bad(what: str, said: str, advice: str, state: State = State.BAD) -> Finding:
    return Finding(what=what, state=state, said=said, advice=advice)


async def examine(
    base_url: str | None = None,
    *,
    token: Token | None = None,
    app: AppCredentials | None = None,
    credentials_from: str = "the command line",
    endpoints: Mapping[str, str] | None = None,
    http: HttpOptions | None = None,
    timeout_s: float = 10.0,
) -> AsyncGenerator[Finding, None]:
    """Yield what is found, step by step; each step on the network takes at most `timeout_s` seconds.

    The arguments are `ImportClient`'s, with its fall-backs to the environment; `credentials_from` says where a `token`
    or `app` given here came from. A step is not tried when one that it needs has failed.

    Cancellation: connections are closed. To leave early, close it: `contextlib.aclosing`.
    """
    options = http or HttpOptions()
    yield versions(*_required())
    address, finding = _address(base_url, endpoints, options)
    yield finding
    is_reached = False
    if address is not None:
        async with aclosing(_reach(address, options, timeout_s)) as steps:
            async for finding in steps:
                yield finding
                is_reached = finding.state is State.GOOD
    finding = _credentials(token, app, "" if token is None and app is None else shown(credentials_from))
    yield finding
    if finding.state is State.GOOD and address is not None and is_reached:
        async with aclosing(_prove(address, credentials_of(token, app), options, timeout_s)) as steps:
            async for finding in steps:
                yield finding
    else:
        yield _bad("token", "not tried", "mend what is marked above, then run doctor again", State.UNKNOWN)


def _required() -> tuple[list[str], Callable[[str], str]]:
    """What the package's own metadata asks for, Python first, and how to learn what is there."""
    try:
        about, requires = metadata.metadata("asyncimport"), metadata.requires("asyncimport") or []
    except metadata.PackageNotFoundError:  # run from a bundle that left it out
        return [], metadata.version
    asked = [f"Python{about['Requires-Python']}", *(one for one in requires if ";" not in one)]  # a marker: an extra
    return asked, lambda name: platform.python_version() if name == "Python" else metadata.version(name)


def versions(requires: Iterable[str], installed: Callable[[str], str]) -> Finding:
    """Hold requirements such as `attrs>=24.2` against `installed(name)`. Bounds other than `>=` and `<` are not read.

    `installed` raises PackageNotFoundError for what is not there.
    """
    told, wrong = [f"asyncimport {__version__}"], []
    for requirement in requires:
        name, bounds = re.findall(r"^([\w.-]+)(.*)", requirement)[0]
        try:
            version = installed(name)
        except metadata.PackageNotFoundError:
            version = "missing"
        signs = re.findall(r"(>=|<)\s*(\d[\d.]*)", bounds)
        fits = all((_release(version) >= _release(bound)) is (sign == ">=") for sign, bound in signs)
        if fits and version != "missing":
            told.append(f"{name} {version}")
        else:
            told.append(f"{name} {version} (needs {bounds})")
            wrong.append(requirement)
    told.append(" ".join(ssl.OPENSSL_VERSION.split()[:2]))
    if len(told) == 2:  # noqa: PLR2004 -- the package's and OpenSSL's
        return _bad("versions", f"{', '.join(told)}; the rest is not known", "install it with pip", State.UNKNOWN)
    if not wrong:
        return _good("versions", ", ".join(told))
    python, packages = wrong[0].startswith("Python"), [f'"{one}"' for one in wrong if not one.startswith("Python")]
    advice = [f"install it for {wrong[0]}"] * python + [f"pip install --upgrade {' '.join(packages)}"] * bool(packages)
    return _bad("versions", ", ".join(told), "; ".join(advice))


def _release(version: str) -> list[int]:
    """A version's numbers without the zeros at its end: 24.2.0 is 24.2."""
    leading = re.match(r"[\d.]*", version)
    numbers = re.sub(r"(\.0+)+$", "", leading[0].strip(".") if leading else "")
    return [int(number) for number in numbers.split(".") if number]


def _address(given: str | None, paths: Mapping[str, str] | None, http: HttpOptions) -> tuple[Address | None, Finding]:
    variable = os.environ.get("ASYNCIMPORT_BASE_URL", "")
    advice = "give --base-url https://HOST/api/open, or set ASYNCIMPORT_BASE_URL"
    # An option that reads the variable itself gives the variable's value: then it came from there.
    origin = "--base-url" if given and given != variable else "ASYNCIMPORT_BASE_URL"
    if not (given or variable):
        return None, _bad("address", "there is no base URL", advice)
    try:
        address = read_address(given or variable, paths, allow_insecure_http=http.allow_insecure_http)
    except ConfigError as error:
        said = re.sub(r"HttpOptions\(.*\)", "--allow-insecure-http", f"{error}".partition("; set ")[0])
        return None, _bad(
            "address", f"{said} (from {origin})", f"{advice}; look at --endpoint too" if paths else advice
        )
    return address, _good("address", f"{shown(address.base_url)} (from {origin})")


def _credentials(token: Token | None, app: AppCredentials | None, origin: str) -> Finding:
    """Which kind there is and where it came from; an empty `origin` stands for the environment."""
    halves = [name for name in (_APP_ID, _APP_SECRET) if os.environ.get(name)]
    try:
        secret = credentials_of(token, app)  # error trackers mask locals of this name
        if isinstance(secret, str):
            Secret(secret, "token")
    except ConfigError as error:
        said = f"{error}" if origin or os.environ.get("ASYNCIMPORT_TOKEN") or len(halves) > 1 else "there are none"
        said += f", only {halves[0]} alone" if said == "there are none" and halves else ""
        advice = "set ASYNCIMPORT_TOKEN, or give --token-file FILE, or --app-id ID with --app-secret-file FILE"
        return _bad("credentials", said, advice)
    if isinstance(secret, AppCredentials):
        return _good("credentials", f"an app's id and secret from {origin or ' and '.join(halves)}")
    return _good("credentials", f"a token from {origin or 'ASYNCIMPORT_TOKEN'}")


async def _reach(address: Address, http: HttpOptions, timeout_s: float) -> AsyncGenerator[Finding, None]:
    """Name, connection and TLS of the platform, or name and connection of the proxy before it."""
    url = urlsplit(http.proxy or address.base_url)
    try:
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        host, port = "", 0
    if not host:
        yield _bad("connection", "the proxy's URL has no host, or a port that is none", "give it as http://HOST:PORT")
        return
    shown_host = shown(f"the proxy {host}" if http.proxy else host)
    finding = await _name(host, shown_host, timeout_s)
    yield finding
    if finding.state is State.GOOD:
        has_tls = url.scheme == "https" and not http.proxy  # behind a proxy only a request sees the platform's
        context = (http.ssl or ssl.create_default_context()) if has_tls else None
        for finding in await _connection(host, port, f"{shown_host}, port {port}", context, timeout_s):
            yield finding


async def _name(host: str, shown_host: str, timeout_s: float) -> Finding:
    started = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the latter: a label that no name can have
        if isinstance(error, TimeoutError) or getattr(error, "errno", None) == socket.EAI_AGAIN:
            return _bad("name", f"{shown_host}: no name server answered", f"check {_NETWORK_ADVICE}", State.UNANSWERED)
        return _bad("name", f"{shown_host}: no such name", f"check its spelling, and {_NETWORK_ADVICE}")
    first, *others = dict.fromkeys(f"{one[4][0]}" for one in found)
    more = f" and {len(others)} more" if others else ""
    return _good("name", f"{shown_host} is {first}{more}, in {1000 * (time.monotonic() - started):.0f} ms")


async def _connection(
    host: str, port: int, where: str, context: ssl.SSLContext | None, timeout_s: float
) -> list[Finding]:
    """Connect, and shake hands over the same connection where there is TLS to look at."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port, happy_eyeballs_delay=_NEXT_ADDRESS_S)
    except OSError as error:
        whys = {TimeoutError: f"no answer within {timeout_s:g} s", ConnectionRefusedError: "nothing listens there"}
        said = f"{where}: {whys.get(type(error), 'no connection could be made')}"
        return [_bad("connection", said, f"check the port, and {_NETWORK_ADVICE}", State.UNANSWERED)]
    made = _good("connection", f"{where}, in {1000 * (time.monotonic() - started):.0f} ms")
    try:
        return [made] if context is None else [made, await _tls(writer, context, host, timeout_s)]
    finally:
        writer.transport.abort()  # an orderly end would wait for the other side


async def _tls(writer: asyncio.StreamWriter, context: ssl.SSLContext, host: str, timeout_s: float) -> Finding:
    try:
        async with asyncio.timeout(timeout_s):
            await writer.start_tls(context, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        other = (f"is not accepted: {shown(error.verify_message)}", "show this line to whoever runs the host")
        fault, advice = _CERTIFICATE_FAULTS.get(error.verify_code, other)
        return _bad("TLS", f"the certificate {fault}", advice)
    except ssl.SSLError as error:
        said = f"no handshake: {shown((error.reason or 'broken off').replace('_', ' ').lower())}"
        return _bad("TLS", said, "check the port: what answers there may speak no TLS, or an old version of it")
    except OSError as error:
        why = f"it took more than {timeout_s:g} s" if isinstance(error, TimeoutError) else "the connection was lost"
        return _bad("TLS", f"no handshake: {why}", f"check the port, and {_NETWORK_ADVICE}", State.UNANSWERED)
    tls = writer.get_extra_info("ssl_object")
    return certificate(tls.getpeercert(), f"{tls.version()}", time.time())


def certificate(peer: Mapping[str, Any], version: str, now_s: float) -> Finding:
    """Tell of an accepted certificate, as `getpeercert` gives it; `now_s` is the wall clock."""
    subject, issuer = (dict(pair for part in peer.get(name, ()) for pair in part) for name in ("subject", "issuer"))
    names = [value for _, value in peer.get("subjectAltName", ())]
    owner = subject.get("commonName") or (names[0] if names else "no name")
    signer = issuer.get("organizationName") or issuer.get("commonName") or "no name"
    days = int((ssl.cert_time_to_seconds(peer["notAfter"]) - now_s) // 86_400)
    said = f"{version}, certificate of {shown(owner)} by {shown(signer)}, {days} days left"
    return _good("TLS", said, "" if days >= FEW_DAYS else "it ends soon: see that it is renewed, or imports will stop")


async def _prove(
    address: Address, token: Token | AppCredentials, http: HttpOptions, timeout_s: float
) -> AsyncGenerator[Finding, None]:
    """Have a token where one must be had, then post nothing to each import path, and once with the control."""
    policy = DispatchPolicy(timeouts=Timeouts(connect_s=timeout_s, read_s=timeout_s, attempt_s=timeout_s))
    transport, notify = AiohttpTransport(http), Notifier(None)
    through = shown(f" through the proxy {urlsplit(http.proxy).hostname}") if http.proxy else ""
    session = SessionManager(address, token, policy=policy, transport=transport, clock=SystemClock(), notify=notify)
    try:
        grant, finding = await _grant(session, has_app=isinstance(token, AppCredentials))
        if finding is not None:
            yield finding
        control: Verdict | None = None
        for resource, config in _IMPORTS:
            if grant is None:
                return
            body = orjson.dumps({"publicParams": config.to_wire(), "data": []})
            attempt = await session.post(resource, body, grant, policy.timeouts)
            verdict = judge(attempt, policy)
            words = shown(verdict.message, secret=grant.token)  # the body is no secret
            detail = verdict.detail + (f": {words}" if words else "")
            if _is_uncomplaining(verdict):
                control = control or judge(await session.post(resource, body, _CONTROL, policy.timeouts), policy)
                yield _held_against(control, resource.name, verdict, detail)
            else:
                yield _proof(resource.name, shown(address.url_of(resource)) + through, attempt, verdict, detail)
            is_the_same = verdict.is_renewable or not (verdict.is_contact or verdict.is_misconfigured)
            if is_the_same or isinstance(attempt, NoAnswer):
                return  # the other path could say nothing else, perhaps after as long a wait
    finally:
        await session.aclose()


async def _grant(session: SessionManager, *, has_app: bool) -> tuple[Grant | None, Finding | None]:
    try:
        granted = await session.grant()
    except AuthError as error:
        advice = f"check {_APP_ID} and {_APP_SECRET} against the app's page"
        return None, _bad("token call", f"{error}".partition(":")[0], advice)
    if isinstance(granted, Grant):
        return granted, _good("token call", "the app's id and secret gave a token") if has_app else None
    said = f"{granted.fault} ({granted.detail})"
    if not has_app:
        return None, _bad("token", said, "mend the callable: it must return the token's text")
    state = State.BAD if granted.fault in MISCONFIGURED else State.UNANSWERED
    return None, _bad("token call", said, f"{_LATER_ADVICE}; if it stays so, {_PATH_ADVICE}", state)


def _is_uncomplaining(verdict: Verdict) -> bool:
    """Whether the platform answered, and said nothing against the token."""
    return verdict.is_contact and verdict.happened in (Happened.ACCEPTED, Happened.REFUSED)


def _held_against(control: Verdict, name: str, verdict: Verdict, detail: str) -> Finding:
    """What an answer without complaint, told in `detail`, says of the token beside the answer to the control."""
    if control.happened is Happened.AUTH:
        return _good(name, f"the token was taken ({detail}); one that cannot be good is refused ({control.detail})")
    if _is_uncomplaining(control) and control.detail == verdict.detail:
        said = f"this address takes a token that cannot be good as well, so nothing is known of yours ({detail})"
        return _bad(name, said, _PROOF_ADVICE, State.UNKNOWN)
    said = f"nothing is known of the token ({detail}): one that cannot be good got no refusal ({control.detail})"
    return _bad(name, said, f"run doctor again; if it stays so, {_PROOF_ADVICE}", State.UNKNOWN)


def _proof(name: str, url: str, attempt: Attempt, verdict: Verdict, detail: str) -> Finding:
    """What any other answer to an empty import tells of the token and the path; `detail` holds the platform's words."""
    if isinstance(attempt, NoAnswer):
        state = State.BAD if verdict.is_misconfigured else State.UNANSWERED
        advice = _CA_ADVICE if attempt.fault is Fault.CERTIFICATE else f"check {_NETWORK_ADVICE}"
        return _bad(name, f"{url}: {detail}", advice, state)
    match verdict.happened:
        case Happened.AUTH if verdict.is_renewable:
            who = "the platform" if verdict.is_contact else "whoever answers there"
            return _bad(name, f"{who} refuses the token ({detail})", _TOKEN_ADVICE)
        case Happened.AUTH:
            return _bad(name, f"the platform denies this token access ({detail})", "check the app's permissions there")
        case Happened.THROTTLED:
            return _bad(name, f"the platform asks for fewer requests ({detail})", _LATER_ADVICE, State.UNKNOWN)
    if verdict.reason == "redirected":
        said = f"{url} answered {detail}, a redirect; none is followed, since the token would go along"
        return _bad(name, said, "give the platform's final address as the base URL")
    if verdict.is_misconfigured:
        return _bad(name, f"there is no import at {url} ({detail})", "check the path of the base URL, and --endpoint")
    if verdict.reason == "server_error":
        # An empty import may bring a platform to a 500; 502 and above are about no request in particular.
        is_unclear = verdict.is_contact and attempt.status <= 500  # noqa: PLR2004 -- HTTP's own
        state = State.UNKNOWN if is_unclear else State.UNANSWERED
        return _bad(name, f"{url} has a fault of its own ({detail})", _LATER_ADVICE, state)
    page = ", with a web page" if attempt.body.lstrip()[:1] == b"<" else ""
    state = State.UNKNOWN if verdict.is_contact or verdict.happened is Happened.REFUSED else State.BAD
    return _bad(name, f"{url} does not answer as the platform does ({detail}{page})", _PATH_ADVICE, state)
