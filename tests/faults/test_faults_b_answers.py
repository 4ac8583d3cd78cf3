"""FAULTS.md part B, what HTTP answers mean: B10, B11, B16 to B22, B24, B31. One test a row, its id in the name.

B1 to B5, B23 and B25, which ask for a pause, are in test_faults_b_pauses.py.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import canary
import orjson
import pytest
import trustme
from attrs import evolve
from faulted import (
    QUICK,
    Ended,
    Takes,
    VirtualPlatform,
    counts,
    over_emulator,
    over_tcp,
    resent_over_tcp,
    resent_virtually,
    spacious,
    virtually,
    was_repeated,
)
from scripted import OK, envelope
from wire import ENVELOPE, Handler, http, says

from asyncimport import AuthError, ConfigError, HttpOptions, Unconfirmed
from asyncimport.attempt import Answer
from asyncimport.emulator import Ok, Status
from asyncimport.policy import DispatchPolicy
from asyncimport.verdict import Happened, judge

HTML = b"<!doctype html><title>Gateway</title><p>Something went wrong."


def answers(*statuses: int) -> list[Any]:
    """Each status with a page, with an envelope that repeats it, and with one that says success."""
    bodies = {"page": HTML, "envelope": b"", "success": ENVELOPE}
    return [
        pytest.param(Answer(status=status, body=body or envelope(str(status)).body), id=f"{status}-{name}")
        for status in statuses
        for name, body in bodies.items()
    ]


@pytest.mark.breakage("verdict: take a 502 or 504 as not sent")
@pytest.mark.parametrize("status", [502, 504])
async def test_b10_a_gateways_error_after_the_commit_is_repeated_and_reported_or_parked(status: int) -> None:
    fault = Status(status=status, body=HTML, content_type="text/html", committed=True)
    ended = await over_emulator(Ok(), fault)
    was_repeated(ended, 40, copies=10)
    assert ended.report.possible_duplicates == 10
    parked = await over_emulator(Ok(), fault, on_unknown="park")
    assert (counts(parked), parked.report.retries) == ((30, 0, 10, 0), 0)
    assert sum(parked.witness.taken.values()) == 40


NAMING = {
    "index": {"errors": [{"index": 3, "message": "bad"}]},
    "position-in-envelope": {
        "code": "40001",
        "errorCode": "PARAM_ERROR",
        "msg": "data[3].phone",
        "data": {"failed": [3]},
    },
    "ids": {"code": "40001", "msg": "bad records", "failList": [{"thirdId": "13", "reason": "phone"}]},
}


@pytest.mark.breakage("verdict: take a 400 or 422 for unanswered whatever its body says")
@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("body", NAMING.values(), ids=NAMING)
def test_b11_an_answer_that_names_records_is_about_the_whole_batch(status: int, body: dict[str, Any]) -> None:
    said = Answer(status=status, body=orjson.dumps(body))
    other = Answer(status=status, body=said.body.replace(b"3", b"4"))
    verdict, of_another = judge(said, DispatchPolicy()), judge(other, DispatchPolicy())
    assert verdict.happened is of_another.happened is Happened.REFUSED
    assert verdict.reason == of_another.reason == "refused"
    ended = virtually(VirtualPlatform(script=[OK, said]), 40, spacious(max_in_flight=1))
    assert ended.failure is None
    assert (ended.report.unconfirmed, ended.report.unsent, ended.report.possible_duplicates) == (0, 0, 0)
    # Nothing of the batch was taken with the refused request: each record is refused, or went out once more.
    assert len(ended.witness.taken) == ended.report.accepted


@pytest.mark.breakage("verdict: call no status a sign of a wrong address")
@pytest.mark.parametrize("answer", answers(404, 405, 410, 415))
def test_b16_an_endpoint_that_is_not_there_is_a_config_error_at_once(answer: Answer) -> None:
    platform = VirtualPlatform(otherwise=answer)
    ended = virtually(platform, 200)
    assert isinstance(ended.failure, ConfigError)
    assert "platform.example has never answered as the platform does" in str(ended.failure)
    assert f"HTTP {answer.status}" in str(ended.failure)
    assert platform.times[-1] < 0.1
    assert len(platform.times) <= 4
    assert (ended.report.accepted, ended.report.rejected) == (0, 0)


@pytest.mark.breakage("verdict: take 404, 405, 410 and 415 with an envelope by their code")
@pytest.mark.parametrize("answer", answers(404, 405, 410, 415))
def test_b16_later_it_is_an_outage_and_the_data_is_kept(answer: Answer) -> None:
    resent_virtually(answer)
    ended = virtually(VirtualPlatform(script=[*[OK] * 8, *[answer] * 6]), 200)
    assert (ended.failure, counts(ended)) == (None, (200, 0, 0, 0))


@pytest.mark.breakage("verdict: take 408 and 425 with an envelope by their code")
@pytest.mark.parametrize("answer", answers(408, 425))
def test_b17_too_late_and_too_early_are_repeated(answer: Answer) -> None:
    resent_virtually(answer)


@pytest.mark.breakage("verdict: take 409 with an envelope by its code")
@pytest.mark.parametrize("answer", answers(409))
def test_b18_a_conflict_is_unanswered(answer: Answer) -> None:
    resent_virtually(answer)


REDIRECTS = ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
TARGETS = {
    "other host": "http://localhost:{port}/api/open/audience/info/batchAdd",
    "other address": "//127.0.0.2:{port}/elsewhere",
    "other scheme": "https://127.0.0.1:{port}/api/open/audience/info/batchAdd",
    "same host": "http://{own}/elsewhere?next=secret-path",
    "relative": "/elsewhere?next=secret-path",
}


def redirects(status: str, target: str, port: int) -> Handler:
    """A redirect whose body says success."""

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        host = request.lower().partition(b"host: ")[2].partition(b"\r\n")[0].decode()
        writer.write(http(ENVELOPE, f"Location: {target.format(port=port, own=host)}", status=status))
        await writer.drain()

    return handle


async def redirected(status: str, target: str, *before: Any, times: int) -> Ended:
    """An import into redirects; nothing comes to their target, not even a connection, and no other path is asked."""
    touched = asyncio.Event()
    async with await asyncio.start_server(lambda *_: touched.set(), "0.0.0.0", 0) as elsewhere:
        steps = [redirects(status, target, elsewhere.sockets[0].getsockname()[1])] * times
        ended = await over_tcp(*before, *steps, within_s=20)
        assert not touched.is_set()
    assert set(ended.witness.asked) == {"POST /api/open/audience/info/batchAdd HTTP/1.1"}
    return ended


@pytest.mark.breakage("transport: follow redirects")
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("status", REDIRECTS)
async def test_b19_a_redirect_is_never_followed(status: str, target: str) -> None:
    wrong = await redirected(status, target, times=1)
    assert isinstance(wrong.failure, ConfigError)
    assert f"HTTP {status[:3]}" in str(wrong.failure)
    assert "elsewhere" not in str(wrong.failure)
    assert "secret-path" not in str(wrong.failure)
    assert (wrong.report.accepted, wrong.report.rejected) == (0, 0)
    later = await redirected(status, target, Takes(says(http())), times=2)
    was_repeated(later, 40, copies=0)
    assert later.report.possible_duplicates == 20


@pytest.mark.breakage("transport: leave the Location out of the answer")
async def test_b19_the_error_names_the_host_it_was_sent_to() -> None:
    ended = await over_tcp(redirects(REDIRECTS[0], "https://login.example/portal?next=secret-path", 0))
    assert "secret-path" not in str(ended.failure)
    assert "login.example" in str(ended.failure)


NO_CONTENT = {
    "204": says(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "204 with a body": says(http(status="204 No Content"), close=True),
    "202 with the envelope": says(http(status="202 Accepted")),
    "empty 200": says(http(b"")),
    "200 that ends with the connection": says(b"HTTP/1.1 200 OK\r\n\r\n", close=True),
    "200 of blanks": says(http(b"  \r\n")),
    "empty 201": says(http(b"", status="201 Created")),
    "205": says(http(b"", status="205 Reset Content")),
}


@pytest.mark.breakage("verdict: any 2xx accepts")
@pytest.mark.parametrize("handler", NO_CONTENT.values(), ids=NO_CONTENT)
async def test_b20_a_success_without_the_envelope_accepts_nothing(handler: Handler) -> None:
    await resent_over_tcp(handler)


UNUSUAL = {
    **{f"{status}": says(http(status=f"{status} Unusual")) for status in (203, 206, 226, 299, 304, 399, 600, 700, 999)},
    "100 and no more": says(b"HTTP/1.1 100 Continue\r\n\r\n", close=True),
    "101": says(http(status="101 Switching Protocols")),
    "103 and no more": says(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", close=True),
    "199": says(http(status="199 Unusual"), close=True),
    "000": says(http(status="000 Nothing")),
    "four digits": says(http(status="2000 OK"), close=True),
    "two digits": says(http(status="20 OK"), close=True),
}


@pytest.mark.breakage("verdict: only 4xx and 5xx do not accept")
@pytest.mark.parametrize("handler", UNUSUAL.values(), ids=UNUSUAL)
async def test_b21_an_unusual_status_accepts_nothing_whatever_its_body_says(handler: Handler) -> None:
    await resent_over_tcp(handler)


@pytest.mark.breakage("verdict: any 200 accepts")
async def test_b22_a_portal_that_breaks_tls_open_and_answers_with_its_page_is_not_the_platform() -> None:
    authority = trustme.CA()
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    portal = says(http(HTML, "Content-Type: text/html"))
    tls: dict[str, Any] = {"tls": served, "http": HttpOptions(ssl=trusting)}
    await resent_over_tcp(portal, **tls)
    impatient = spacious(max_in_flight=1, retry=evolve(QUICK, max_attempts=1_000), first_contact_s=0.2)
    wrong = await over_tcp(*[portal] * 2_000, policy=impatient, **tls)
    assert isinstance(wrong.failure, ConfigError)
    assert (wrong.report.accepted, wrong.report.rejected, len(wrong.witness.taken)) == (0, 0, 0)
    # Without its certificate it gets nothing.
    untrusted = await over_tcp(portal, tls=served)
    assert isinstance(untrusted.failure, ConfigError)
    assert untrusted.witness.bodies == []


BLOCKED = Answer(status=403, body=b"<html><title>Request blocked</title><p>Incident 4711.")


@pytest.mark.breakage("verdict: take any 403 for one about the token")
def test_b24_a_firewalls_page_is_waited_for_with_growing_pauses() -> None:
    resent_virtually(BLOCKED)
    platform = VirtualPlatform(script=[OK, *[BLOCKED] * 5])
    ended = virtually(platform, 20, spacious(max_in_flight=1))
    assert counts(ended) == (20, 0, 0, 0)
    assert len(platform.times) == 7


@pytest.mark.breakage("verdict: take a 403 with a page for throttled, which has no end")
def test_b24_a_firewall_that_stays_ends_the_import_without_refusing_anything() -> None:
    platform = VirtualPlatform(script=[OK], otherwise=BLOCKED)
    ended = virtually(platform, 100, within_s=3_600)
    assert not isinstance(ended.failure, AuthError)
    assert (ended.report.accepted, ended.report.rejected) == (10, 0)
    assert ended.report.unconfirmed + ended.report.unsent == ended.report.read - 10 > 0
    assert ended.of(Unconfirmed)
    assert len(platform.times) <= 10 * DispatchPolicy().retry.max_attempts


@pytest.mark.breakage("verdict: take a 403 with an envelope by its code")
@pytest.mark.parametrize("later", [False, True], ids=["from the start", "later"])
def test_b24_the_platforms_own_403_is_about_the_token_and_ends_the_import_at_once(later: bool) -> None:
    platform = VirtualPlatform(script=[OK] * 4 * later, otherwise=envelope("40300", status=403))
    ended = virtually(platform, 400)
    assert isinstance(ended.failure, AuthError)
    assert "check the app's permissions" in str(ended.failure)
    assert len(platform.times) <= 8
    assert platform.times[-1] < 0.1
    assert counts(ended)[:3] == (40 * later, 0, 0)


def said(**fields: Any) -> bytes:
    return orjson.dumps({"errorCode": "SUCCESS", "msg": "ok", "data": 15314513451345123} | fields)


SUCCESS = {
    "as documented": ENVELOPE,
    "error code 0": said(code="200", errorCode="0"),
    "error code is a number": said(code="200", errorCode=0),
    "error code says otherwise": said(code="200", errorCode="PARAM_ERROR"),
    "number": said(code=200),
    "further fields": said(code="200", success=False, traceId="4711", cost=12),
    "nothing but the code": b'{"code":"200"}',
    "blanks around": b'  {"code" : "200"}\r\n',
    "nulls": b'{"code":"200","errorCode":null,"msg":null,"data":null}',
}


@pytest.mark.breakage("codec: an envelope needs the errorCode SUCCESS")
@pytest.mark.parametrize("body", SUCCESS.values(), ids=SUCCESS)
@pytest.mark.parametrize("status", [200, 201])
def test_b31_the_code_200_is_success_whatever_stands_beside_it(status: int, body: bytes) -> None:
    platform = VirtualPlatform(otherwise=Takes(Answer(status=status, body=body)))
    ended = virtually(platform, 20)
    assert (counts(ended), len(platform.times)) == ((20, 0, 0, 0), 2)


def nested() -> bytes:
    return orjson.dumps({"result": {"code": "200"}, "status": "200", "success": True})


NO_SUCCESS: dict[str, bytes | Callable[[], bytes]] = {
    "text beside": said(code="200 OK"),
    "blank before": said(code=" 200"),
    "fraction": b'{"code":200.0}',
    "leading zero": said(code="0200"),
    "full-width": said(code="２００"),
    "arabic": said(code="٢٠٠"),
    "zero": said(code="0"),
    "minus": said(code=-200),
    "true": said(code=True),
    "null": said(code=None),
    "list": said(code=["200"]),
    "object": said(code={"200": 1}),
    "words": said(code="SUCCESS"),
    "empty": said(code=""),
    "other case": orjson.dumps({"Code": "200"}),
    "inside": nested,
    "only the error code": said(),
}


@pytest.mark.breakage("verdict: the errorCode SUCCESS accepts too")
@pytest.mark.parametrize("body", NO_SUCCESS.values(), ids=NO_SUCCESS)
def test_b31_anything_else_is_no_success(body: bytes | Callable[[], bytes]) -> None:
    answer = Answer(status=200, body=body() if callable(body) else body)
    assert judge(answer, DispatchPolicy()).happened in {Happened.REFUSED, Happened.UNKNOWN}
    platform = VirtualPlatform(script=[OK, answer])
    ended = virtually(platform, 40, spacious(max_in_flight=1))
    assert ended.failure is None
    assert ended.report.accepted + ended.report.rejected == 40
    assert len(ended.witness.taken) == ended.report.accepted
    assert canary.leaks(str(ended.report)) == []
