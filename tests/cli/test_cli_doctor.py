"""What the doctor finds, over real sockets: each line right, each bad one with advice, nothing imported, nothing shown."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

import canary
import orjson
import pytest
import trustme
from environment import with_only
from wire import ENVELOPE, Handler, hangs, http, says, tcp_server

from asyncimport.cli.doctor import FEW_DAYS, certificate, examine, versions
from asyncimport.cli.finding import COLUMNS, Finding, State, exit_code, render
from asyncimport.credentials import AppCredentials
from asyncimport.emulator import Assumptions, Emulator, Status, ThrottleMessage
from asyncimport.transport import HttpOptions

WRONG_TOKEN = b'{"code":"100200","errorCode":"TOKEN_ERROR","msg":"no such token"}'
SECONDS = 5.0
CONTROL = b"asyncimport-doctor-control"


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """The variables as tests set them, and as they were afterwards."""
    with with_only({}):
        yield


async def examined(base_url: str | None = None, **arguments: Any) -> dict[str, Finding]:
    """Every finding by what was looked at, after the rules that hold for all of them."""
    arguments = {"timeout_s": SECONDS} | arguments
    async with aclosing(examine(base_url, **arguments)) as steps:
        findings = [finding async for finding in steps]
    for finding in findings:
        assert finding.advice or finding.state is State.GOOD, finding
        assert "\n" not in finding.said + finding.advice
        assert canary.leaks(repr(finding) + render(finding, color=True)) == []
    names = [finding.what for finding in findings]
    assert len(names) == len(set(names)), names
    return {finding.what: finding for finding in findings}


def states(findings: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.state.name for name, finding in findings.items()}


async def found_at(*handlers: Handler, **arguments: Any) -> dict[str, Finding]:
    """What is found where a server answers in its own way."""
    async with tcp_server(*handlers) as server:
        return await examined(server.url, **{"token": canary.TOKEN} | arguments)


def token_of(request: bytes) -> bytes:
    """The token in a request's header."""
    found = re.search(rb"^X-Token: (.*)\r$", request, re.MULTILINE)
    assert found
    return found[1]


def takes_its_own(answer: bytes, *to_control: bytes) -> Handler:
    """A handler that answers so to the token of these tests, and refuses any other or answers it in its own way."""
    own, other = says(answer), says(*(to_control or (http(WRONG_TOKEN),)))

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        await (own if token_of(request) == canary.TOKEN.encode() else other)(reader, writer, request)

    return handle


async def test_with_a_good_token_everything_is_good_and_nothing_is_imported() -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        found = await examined(platform.url, token=canary.TOKEN, credentials_from="--token-file token.txt")
        ledger = platform.ledger
        assert (ledger.users.total, ledger.events.total) == (0, 0)
        logged = [*ledger.users.batches, *ledger.events.batches]
        assert [(one.records, one.committed) for one in logged] == [(0, 0)] * 3  # the control is one of them
    assert list(found) == ["versions", "address", "name", "connection", "credentials", "users", "events"]
    assert set(states(found).values()) == {"GOOD"}
    assert exit_code(found.values()) == 0
    assert found["address"].said == f"{platform.url} (from --base-url)"
    assert found["credentials"].said == "a token from --token-file token.txt"
    assert re.search(r"port \d+, in \d+ ms$", found["connection"].said)


async def test_each_import_path_gets_an_empty_list_and_its_required_parameters() -> None:
    async with tcp_server(takes_its_own(http())) as server:
        found = await examined(server.url, token=canary.TOKEN)
    sent = [request.partition(b"\r\n\r\n") for request in server.requests if token_of(request) != CONTROL]
    assert [orjson.loads(body) for _, _, body in sent] == [
        {"publicParams": {"isMatching": False, "importMode": 2}, "data": []},
        {"publicParams": {}, "data": []},
    ]
    assert [head.split()[1] for head, _, _ in sent] == [
        b"/api/open/audience/info/batchAdd",
        b"/api/open/event/v2/batchAdd",
    ]
    assert states(found)["users"] == "GOOD"


async def test_a_token_that_is_taken_is_held_once_against_one_that_cannot_be_good() -> None:
    async with tcp_server(takes_its_own(http(b'{"code":"7","msg":"nothing to do"}'))) as server:
        found = await examined(server.url, token=canary.TOKEN)
    token = canary.TOKEN.encode()
    assert [token_of(request) for request in server.requests] == [token, CONTROL, token]
    own, control, _ = server.requests
    assert control == own.replace(token, CONTROL)  # nothing but the token makes the difference
    assert found["users"].said == (
        "the token was taken (HTTP 200, code 7: nothing to do); one that cannot be good is refused (HTTP 200, code 100200)"
    )
    assert (found["users"].state, found["events"].state) == (State.GOOD, State.GOOD)


@pytest.mark.parametrize(
    ("answer", "to_control", "said"),
    [
        (http(), http(), "takes a token that cannot be good as well"),
        (http(b'{"code":"401"}'), http(b'{"code":"401"}'), "takes a token that cannot be good as well"),
        (http(), http(b'{"code":"401"}'), "got no refusal (HTTP 200, code 401)"),
        (http(), http(b'{"code":"200","msg":"\xe6\x93\x8d\xe4\xbd\x9c\xe9\xa2\x91\xe7\xb9\x81"}'), "got no refusal"),
        (http(), http(b"", status="429 Slow"), "got no refusal (HTTP 429)"),
        (http(), http(b"<html>", status="502 Bad Gateway"), "got no refusal (HTTP 502)"),
        (http(), b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "got no refusal (the answer was no HTTP"),
    ],
    ids=[
        "any token",
        "an unknown code for all",
        "an unknown code",
        "throttled in words",
        "throttled",
        "busy",
        "no HTTP",
    ],
)
async def test_a_token_is_not_proven_where_one_that_cannot_be_good_is_not_refused(
    answer: bytes, to_control: bytes, said: str
) -> None:
    async with tcp_server(takes_its_own(answer, to_control)) as server:
        found = await examined(server.url, token=canary.TOKEN)
        assert [token_of(request) for request in server.requests].count(CONTROL) == 1
    for name in ("users", "events"):
        assert found[name].state is State.UNKNOWN
        assert said in found[name].said
        assert "an import of a few records will tell" in found[name].advice
    assert exit_code(found.values()) == 0


async def test_a_control_that_is_not_answered_is_given_up_and_leaves_the_token_unknown() -> None:
    found = await found_at(says(http()), hangs, says(http()), timeout_s=0.3)
    assert (found["users"].state, found["events"].state) == (State.UNKNOWN, State.UNKNOWN)
    assert re.search(
        r"got no refusal \((the attempt took too long|no byte of an answer came in time)", found["users"].said
    )


@pytest.mark.parametrize("status", [200, 401], ids=["by its code", "by its status"])
async def test_a_token_that_is_refused_is_bad_and_asked_about_once(status: int) -> None:
    async with Emulator(assumptions=Assumptions(auth_status=status)) as platform:
        found = await examined(platform.url, token=canary.TOKEN)
        assert platform.ledger.requests == 1  # without a control, which could tell nothing more
    assert states(found)["users"] == "BAD"
    assert "refuses the token" in found["users"].said
    assert "code 100200" in found["users"].said
    assert "events" not in found
    assert exit_code(found.values()) == 2


async def test_a_token_without_the_permission_for_one_path_may_have_it_for_the_other() -> None:
    denied = http(b'{"code":"403","msg":"not for you"}', status="403 Forbidden")
    found = await found_at(says(denied), takes_its_own(http()))
    assert (found["users"].state, found["events"].state) == (State.BAD, State.GOOD)
    assert "permissions" in found["users"].advice


async def test_an_app_has_a_token_made_and_proves_it() -> None:
    async with Emulator() as platform:
        app = AppCredentials(app_id=platform.app_id, app_secret=platform.app_secret)
        found = await examined(platform.url, app=app)
        assert platform.ledger.token_requests == 1
    assert list(found)[-4:] == ["credentials", "token call", "users", "events"]
    assert set(states(found).values()) == {"GOOD"}


async def test_an_app_that_is_refused_ends_there() -> None:
    async with Emulator() as platform:
        found = await examined(platform.url, app=AppCredentials(app_id="wrong", app_secret=canary.TOKEN))
        assert platform.ledger.requests == 0
    assert list(found)[-1] == "token call"
    assert found["token call"].said == "the platform refuses the app id and secret (code 100100)"
    assert exit_code(found.values()) == 2


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        (http(b"<html>", status="503 Busy"), State.UNANSWERED, "HTTP 503"),
        (http(b"", status="404 Not Found"), State.BAD, "HTTP 404"),
        (http(b"", "Location: http://127.0.0.1:1/", status="302 Found"), State.BAD, "HTTP 302"),
        (http(ENVELOPE), State.UNANSWERED, "without a usable token"),
    ],
    ids=["busy", "no such path", "redirect", "no token in it"],
)
async def test_a_token_call_that_gives_no_token_says_what_came(answer: bytes, state: State, said: str) -> None:
    app = AppCredentials(app_id="app", app_secret=canary.TOKEN)
    found = await found_at(says(answer), token=None, app=app)
    assert found["token call"].state is state
    assert said in found["token call"].said


async def test_a_callable_for_tokens_is_asked_and_blamed_for_its_own_fault() -> None:
    async def good() -> str:
        return canary.TOKEN

    async def broken() -> NoReturn:
        raise RuntimeError(canary.TOKEN)

    assert (await found_at(takes_its_own(http()), token=good))["events"].state is State.GOOD
    found = await found_at(says(http()), token=broken)
    assert (found["token"].state, "RuntimeError" in found["token"].said) == (State.BAD, True)


ANSWERS: dict[str, tuple[bytes, State, str, int]] = {
    "a login page": (http(b" <!DOCTYPE html><p>Log in"), State.BAD, "with a web page", 1),
    "other JSON": (http(b'{"ok":true}'), State.BAD, "does not answer as the platform does (HTTP 200)", 1),
    "another server's 400": (http(b'{"error":"Bad"}', status="400 Bad"), State.UNKNOWN, "HTTP 400", 1),
    "a page instead of a 403": (http(b"<html>no", status="403 Forbidden"), State.BAD, "HTTP 403, with a web page", 1),
    "a 401 without envelope": (http(b"", status="401 Who"), State.BAD, "whoever answers there refuses", 1),
    "no such path": (http(b"", status="404 Not Found"), State.BAD, "/audience/info/batchAdd (HTTP 404)", 2),
    "no POST there": (http(ENVELOPE, status="405 No"), State.BAD, "/audience/info/batchAdd (HTTP 405", 2),
    "a redirect": (http(b"", "Location: http://127.0.0.1:1/", status="302 Found"), State.BAD, "a redirect", 2),
    "a full queue": (http(b"", "Retry-After: 1", status="429 Slow"), State.UNKNOWN, "fewer requests", 1),
    "a gateway's 502": (http(b"<html>", status="502 Bad Gateway"), State.UNANSWERED, "fault of its own (HTTP 502", 1),
    "the platform's 503": (http(b'{"code":"503"}', status="503 Busy"), State.UNANSWERED, "HTTP 503", 2),
    "the platform's 500": (http(b'{"code":"500","msg":"oh"}', status="500 Oh"), State.UNKNOWN, "code 500: oh", 2),
    "an unknown code": (http(b'{"code":"7","msg":"nothing to do"}'), State.UNKNOWN, "code 7: nothing to do", 3),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", State.UNANSWERED, "no HTTP", 1),
}


@pytest.mark.parametrize(("answer", "state", "said", "asked"), ANSWERS.values(), ids=ANSWERS)
async def test_what_an_import_path_answers_is_judged_and_named(
    answer: bytes, state: State, said: str, asked: int
) -> None:
    async with tcp_server(says(answer)) as server:
        found = await examined(server.url, token=canary.TOKEN)
        assert len(server.requests) == asked
    assert (found["users"].state, found["connection"].state) == (state, State.GOOD)
    assert said in found["users"].said


async def test_a_redirect_is_not_followed() -> None:
    async with tcp_server(says(http())) as target:
        location = f"Location: {target.url}"
        found = await found_at(says(http(b"", location, status="307 Elsewhere")))
        assert (target.connections, found["users"].state) == (0, State.BAD)


async def test_the_platforms_own_fault_and_throttling_are_told_from_the_tokens() -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script([ThrottleMessage(), Status(status=500)])
        found = await examined(platform.url, token=canary.TOKEN)
    assert (found["users"].state, found["events"].state) == (State.UNKNOWN, State.UNKNOWN)
    assert exit_code(found.values()) == 0


async def test_a_platform_that_quotes_the_token_does_not_get_it_shown() -> None:
    quoting = b'{"code":"100200","msg":"bad token %s"}' % canary.TOKEN.encode()
    found = await found_at(says(http(quoting)))
    assert "bad token ***" in found["users"].said


async def test_control_characters_of_the_platform_reach_no_terminal() -> None:
    found = await found_at(says(http(rb'{"code":"9","msg":"\u001b[2Jgone"}')))
    assert "\x1b" not in found["users"].said
    assert "gone" in found["users"].said


async def test_a_server_that_never_answers_is_given_up_after_the_timeout_and_asked_once() -> None:
    started = time.monotonic()
    found = await found_at(hangs, timeout_s=0.3)
    assert time.monotonic() - started < 3
    assert (found["connection"].state, found["users"].state) == (State.GOOD, State.UNANSWERED)
    assert "events" not in found
    assert exit_code(found.values()) == 3


async def test_nothing_listens() -> None:
    async with tcp_server(hangs) as server:
        url = server.url
    found = await examined(url, token=canary.TOKEN)
    assert "nothing listens there" in found["connection"].said
    assert found["token"].said == "not tried"
    assert exit_code(found.values()) == 3


async def test_a_name_that_does_not_resolve_ends_the_network_and_not_the_rest() -> None:
    found = await examined("https://nothing.invalid/api/open", token=canary.TOKEN)
    assert list(found) == ["versions", "address", "name", "credentials", "token"]
    assert found["name"].state in (State.BAD, State.UNANSWERED)
    assert found["name"].said.startswith("nothing.invalid: no ")
    assert (found["credentials"].state, found["token"].state) == (State.GOOD, State.UNKNOWN)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def trusting(authority: trustme.CA) -> HttpOptions:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return HttpOptions(ssl=context)


async def behind_tls(authority: trustme.CA, *names: str, **arguments: Any) -> dict[str, Finding]:
    """What is found at a platform with a certificate for these names."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names, not_after=arguments.pop("not_after", None)).configure_cert(context)
    async with tcp_server(takes_its_own(http()), ssl=context) as server:
        found = await examined(server.url, **{"token": canary.TOKEN} | arguments)
        assert len(server.requests) == (3 if found["TLS"].state is State.GOOD else 0)
    return found


async def test_tls_that_holds_names_version_owner_authority_and_days(authority: trustme.CA) -> None:
    ends = datetime.now(UTC) + timedelta(days=61, hours=1)
    found = await behind_tls(authority, "127.0.0.1", http=trusting(authority), not_after=ends)
    assert re.fullmatch(r"TLSv1\.[23], certificate of 127\.0\.0\.1 by trustme v.*, 61 days left", found["TLS"].said)
    assert set(states(found).values()) == {"GOOD"}
    assert found["TLS"].advice == ""


@pytest.mark.parametrize(
    ("name", "is_trusted", "days", "told"),
    [
        ("127.0.0.1", False, 9, ("an authority unknown here", "--ca-file")),
        ("elsewhere.example", True, 9, ("another host name", "host in the base URL")),
        ("127.0.0.1", True, -1, ("has expired", "clock")),
    ],
    ids=["unknown authority", "wrong name", "expired"],
)
async def test_a_certificate_that_is_not_accepted_says_why_and_no_token_leaves(
    authority: trustme.CA, name: str, is_trusted: bool, days: int, told: tuple[str, str]
) -> None:
    options = trusting(authority) if is_trusted else None
    not_after = datetime.now(UTC) + timedelta(days=days)
    found = await behind_tls(authority, name, http=options, not_after=not_after)
    assert found["TLS"].state is State.BAD
    assert told[0] in found["TLS"].said
    assert told[1] in found["TLS"].advice
    assert (found["token"].state, "users" in found) == (State.UNKNOWN, False)
    assert exit_code(found.values()) == 2


@pytest.mark.parametrize(("days", "is_soon"), [(FEW_DAYS, False), (FEW_DAYS - 1, True), (0, True)])
def test_a_certificate_that_ends_soon_is_good_with_a_word(days: int, is_soon: bool) -> None:
    peer = {
        "subject": ((("commonName", "example.com"),),),
        "issuer": ((("countryName", "CN"),), (("organizationName", "An Authority"),)),
        "notAfter": "Jan  1 00:00:00 2030 GMT",
    }
    ends_s = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    finding = certificate(peer, "TLSv1.3", ends_s - 86_400 * days - 3_600)
    assert finding.said == f"TLSv1.3, certificate of example.com by An Authority, {days} days left"
    assert (finding.state, bool(finding.advice)) == (State.GOOD, is_soon)


async def test_a_server_without_tls_behind_https_is_bad() -> None:
    async with tcp_server(says(http())) as server:
        found = await examined(server.url.replace("http:", "https:"), token=canary.TOKEN, timeout_s=1.0)
        assert server.requests == []
    assert found["TLS"].state in (State.BAD, State.UNANSWERED)
    assert "no handshake" in found["TLS"].said


async def test_a_connection_that_is_closed_in_the_handshake_is_no_answer() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"
        found = await examined(url, token=canary.TOKEN)
    assert "no handshake" in found["TLS"].said
    assert found["TLS"].state in (State.BAD, State.UNANSWERED)


async def test_a_handshake_that_stalls_is_given_up_after_the_timeout() -> None:
    started = time.monotonic()
    async with tcp_server(hangs) as server:
        found = await examined(server.url.replace("http:", "https:"), token=canary.TOKEN, timeout_s=0.3)
    assert time.monotonic() - started < SECONDS
    assert found["TLS"].said == "no handshake: it took more than 0.3 s"
    assert exit_code(found.values()) == 3


async def test_with_a_proxy_only_the_proxy_is_connected_to_and_the_request_tells_the_rest() -> None:
    async with tcp_server(takes_its_own(http())) as proxy:
        url = f"http://user:{canary.TOKEN}@127.0.0.1:{proxy.port}"
        found = await examined("http://127.0.0.1:1/api/open", token=canary.TOKEN, http=HttpOptions(proxy=url))
        assert proxy.requests[0].startswith(b"POST http://127.0.0.1:1/api/open/")
    assert "TLS" not in found
    assert found["connection"].said.startswith(f"the proxy 127.0.0.1, port {proxy.port}, in ")
    assert set(states(found).values()) == {"GOOD"}


async def test_the_tls_of_a_proxy_is_told_by_the_request_alone(authority: trustme.CA) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with tcp_server(says(http()), ssl=context) as proxy:
        options = HttpOptions(proxy=f"https://127.0.0.1:{proxy.port}")
        found = await examined("http://127.0.0.1:1/api/open", token=canary.TOKEN, http=options)
        assert proxy.requests == []
    assert list(found) == ["versions", "address", "name", "connection", "credentials", "users"]
    assert (found["connection"].state, found["users"].state) == (State.GOOD, State.BAD)
    assert "--ca-file" in found["users"].advice


async def test_a_proxy_that_refuses_is_bad() -> None:
    async with tcp_server(says(http(b"", status="407 Who are you"))) as proxy:
        options = HttpOptions(proxy=f"http://127.0.0.1:{proxy.port}")
        found = await examined("https://127.0.0.1:1/api/open", token=canary.TOKEN, http=options)
    assert (found["users"].state, "HTTP 407" in found["users"].said) == (State.BAD, True)
    assert "through the proxy 127.0.0.1" in found["users"].said


async def test_a_proxy_that_is_not_there_is_named_and_the_platform_is_not_blamed() -> None:
    async with tcp_server(hangs) as proxy:
        options = HttpOptions(proxy=f"http://127.0.0.1:{proxy.port}")
    found = await examined("https://platform.example/api/open", token=canary.TOKEN, http=options)
    assert found["connection"].said == f"the proxy 127.0.0.1, port {proxy.port}: nothing listens there"
    found = await examined(
        "https://platform.example/api", token=canary.TOKEN, http=HttpOptions(proxy="http://no.invalid")
    )
    assert found["name"].said.startswith("the proxy no.invalid: no ")
    assert "users" not in found


@pytest.mark.parametrize("proxy", ["http://", "http://127.0.0.1:port", "http://127.0.0.1:99999"])
async def test_a_proxy_that_cannot_be_one_is_bad(proxy: str) -> None:
    found = await examined("http://127.0.0.1:1/api", token=canary.TOKEN, http=HttpOptions(proxy=proxy))
    assert (found["connection"].state, found["token"].state) == (State.BAD, State.UNKNOWN)


@pytest.mark.parametrize(
    ("given", "variable", "said"),
    [
        (None, "", "there is no base URL"),
        ("ftp://127.0.0.1", "", "the base URL must look like https://host/path"),
        (None, "127.0.0.1", "without user, query, fragment, escapes or '..' (from ASYNCIMPORT_BASE_URL)"),
        (
            "http://example.com/api",
            "",
            "use https, or --allow-insecure-http where the network is yours (from --base-url)",
        ),
        (f"https://u:{canary.TOKEN}@example.com/", "", "without user"),
    ],
    ids=["none", "no https", "a variable that is none", "http to elsewhere", "a password in it"],
)
async def test_an_address_that_cannot_work_is_bad_and_nothing_is_connected(
    given: str | None, variable: str, said: str
) -> None:
    os.environ["ASYNCIMPORT_BASE_URL"] = variable
    found = await examined(given, token=canary.TOKEN)
    assert said in found["address"].said
    assert states(found) == {"versions": "GOOD", "address": "BAD", "credentials": "GOOD", "token": "UNKNOWN"}
    assert exit_code(found.values()) == 2


async def test_own_paths_are_those_that_are_proven() -> None:
    async with tcp_server(takes_its_own(http())) as server:
        found = await examined(server.url, token=canary.TOKEN, endpoints={"users": "/elsewhere"})
        assert [request.split()[1] for request in server.requests] == [
            b"/api/open/elsewhere",
            b"/api/open/elsewhere",
            b"/api/open/event/v2/batchAdd",
        ]
    assert set(states(found).values()) == {"GOOD"}
    found = await examined(server.url, token=canary.TOKEN, endpoints={"people": "/elsewhere"})
    assert (found["address"].state, "--endpoint" in found["address"].advice) == (State.BAD, True)


APP = {"ASYNCIMPORT_APP_ID": "app", "ASYNCIMPORT_APP_SECRET": canary.TOKEN}


@pytest.mark.parametrize(
    ("variables", "state", "said"),
    [
        ({}, State.BAD, "there are none"),
        ({"ASYNCIMPORT_APP_ID": "app"}, State.BAD, "there are none, only ASYNCIMPORT_APP_ID alone"),
        ({"ASYNCIMPORT_TOKEN": f"{canary.TOKEN} 张"}, State.BAD, "the token must be 1 to 4096 printable ASCII"),
        (APP | {"ASYNCIMPORT_APP_SECRET": f"{canary.TOKEN}\n"}, State.BAD, "the app secret must be"),
        ({"ASYNCIMPORT_TOKEN": canary.TOKEN}, State.GOOD, "a token from ASYNCIMPORT_TOKEN"),
        (APP, State.GOOD, "an app's id and secret from ASYNCIMPORT_APP_ID and ASYNCIMPORT_APP_SECRET"),
    ],
    ids=["none", "half an app", "no token", "no secret", "a token", "an app"],
)
async def test_credentials_are_told_by_kind_and_origin_alone(
    variables: dict[str, str], state: State, said: str
) -> None:
    os.environ.update(variables)
    found = await examined("http://127.0.0.1:1/api")
    assert found["credentials"].state is state
    assert found["credentials"].said.startswith(said)


async def test_address_and_token_of_the_environment_are_those_that_are_proven() -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        os.environ |= {"ASYNCIMPORT_BASE_URL": platform.url, "ASYNCIMPORT_TOKEN": canary.TOKEN}
        for given in (None, platform.url):  # an option that read the variable gives the same
            found = await examined(given)
            assert found["address"].said == f"{platform.url} (from ASYNCIMPORT_BASE_URL)"
            assert set(states(found).values()) == {"GOOD"}


async def test_the_installed_versions_are_told_and_good_enough() -> None:
    versions_found = (await examined())["versions"]
    assert versions_found.state is State.GOOD
    for name in ("asyncimport", "aiohttp", "attrs", "cattrs", "backoff", "msgspec", "orjson"):
        assert f"{name} {version(name)}" in versions_found.said
    assert re.search(r"Python 3\.\d+\.\d+", versions_found.said)
    assert "SSL " in versions_found.said
    assert "typer" not in versions_found.said


def installed(name: str) -> str:
    try:
        return {"Python": "3.10.2", "new": "3.13.10", "exact": "24.2", "old": "3.9.9", "two": "3.0.0rc1"}[name]
    except KeyError:
        raise PackageNotFoundError(name) from None


@pytest.mark.parametrize(
    ("requirement", "said", "advice"),
    [
        ("new>=3.13.4", "new 3.13.10", ""),
        ("exact>=24.2.0", "exact 24.2", ""),
        ("old>=3.13.4", "old 3.9.9 (needs >=3.13.4)", 'pip install --upgrade "old>=3.13.4"'),
        ("two<3,>=2.2.1", "two 3.0.0rc1 (needs <3,>=2.2.1)", 'pip install --upgrade "two<3,>=2.2.1"'),
        ("gone", "gone missing", 'pip install --upgrade "gone"'),
        ("Python>=3.11", "Python 3.10.2 (needs >=3.11)", "install it for Python>=3.11"),
    ],
    ids=["above", "exactly", "below", "too new", "missing", "Python"],
)
def test_a_version_out_of_its_bounds_is_bad_with_the_command_that_mends_it(
    requirement: str, said: str, advice: str
) -> None:
    finding = versions([requirement], installed)
    assert said in finding.said
    assert (finding.state, finding.advice) == (State.BAD if advice else State.GOOD, advice)


def test_python_and_packages_are_both_advised_on() -> None:
    finding = versions(["Python>=3.11", "old>=4", "new>=1"], installed)
    assert finding.advice == 'install it for Python>=3.11; pip install --upgrade "old>=4"'


def test_without_metadata_the_versions_are_unknown() -> None:
    assert versions([], installed).state is State.UNKNOWN


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([], 0),
        ([State.GOOD, State.UNKNOWN], 0),
        ([State.GOOD, State.BAD, State.UNKNOWN], 2),
        ([State.UNANSWERED, State.BAD], 3),
    ],
    ids=["nothing", "nothing bad", "the user's", "the highest"],
)
def test_the_exit_code_is_the_highest(found: list[State], code: int) -> None:
    assert exit_code(Finding(what="x", state=state, said="y", advice="z") for state in found) == code


LONG = Finding(what="users", state=State.BAD, said="word " * 40, advice="do this and port 8080 " * 8)


def test_a_line_is_folded_at_80_columns_with_its_advice_below() -> None:
    lines = render(LONG, color=False).split("\n")
    assert max(map(len, lines)) <= COLUMNS
    assert lines[0].startswith("BAD  users        word word")
    assert [line[:18].strip() for line in lines[1:]] == [""] * (len(lines) - 1)
    assert [line[18:21] for line in lines].count("-> ") == 1
    assert not any(line.endswith(" port") for line in lines)


def test_colors_mark_the_mark_alone_and_only_when_asked() -> None:
    plain, colored = render(LONG, color=False), render(LONG, color=True)
    assert "\x1b" not in plain
    assert colored == plain.replace("BAD", "\x1b[31mBAD\x1b[0m", 1)


async def test_what_is_found_comes_as_it_is_found() -> None:
    async with tcp_server(hangs) as server, aclosing(examine(server.url, token=canary.TOKEN)) as steps:
        assert (await anext(steps)).what == "versions"
        assert server.connections == 0


async def test_cancelling_leaves_no_connection_and_shows_no_token() -> None:
    async def read() -> None:
        async for _ in examine(server.url, token=canary.TOKEN, timeout_s=60.0):
            pass

    async with tcp_server(hangs) as server:
        reading = asyncio.create_task(read())
        await server.arrived.wait()
        reading.cancel()
        with canary.raises(asyncio.CancelledError):
            await reading
