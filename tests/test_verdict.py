from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import attrs
import canary
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.attempt import MISCONFIGURED, Answer, Fault, NoAnswer
from asyncimport.policy import DispatchPolicy, Meaning
from asyncimport.verdict import Happened, Verdict, judge, retry_after

POLICY = DispatchPolicy()
HTML = b"<html><body>blocked</body></html>"
TOO_FREQUENT = "操作频繁,请稍后重试"
ACCEPTED, REFUSED, NOT_SENT = Happened.ACCEPTED, Happened.REFUSED, Happened.NOT_SENT
THROTTLED, UNKNOWN, AUTH = Happened.THROTTLED, Happened.UNKNOWN, Happened.AUTH


def envelope(code: Any = "200", msg: str = "ok", **further: Any) -> bytes:
    return orjson.dumps({"code": code, "errorCode": "E", "msg": msg} | further)


OK = envelope(data=15314513451345123)


def judged(status: int, body: bytes = OK, policy: DispatchPolicy = POLICY, **headers: str) -> Verdict:
    return judge(Answer(status=status, body=body, **headers), policy)


@pytest.mark.parametrize(
    ("status", "body", "happened", "reason"),
    [
        pytest.param(200, OK, ACCEPTED, "", id="200"),
        pytest.param(201, OK, ACCEPTED, "", id="201"),
        pytest.param(200, envelope(200), ACCEPTED, "", id="B31-int"),
        pytest.param(200, envelope(errorCode="0"), ACCEPTED, "", id="B31-error-code-0"),
        pytest.param(200, envelope(count=500), ACCEPTED, "", id="C7-further-fields"),
        pytest.param(200, envelope(data="x"), ACCEPTED, "", id="C8-data-text"),
        pytest.param(200, envelope(), ACCEPTED, "", id="C9-no-data"),
        pytest.param(200, envelope("40001"), REFUSED, "refused", id="C1-other-code"),
        pytest.param(200, envelope("0"), REFUSED, "refused", id="C1-zero"),
        pytest.param(200, envelope("2000"), REFUSED, "refused", id="C1-almost-success"),
        pytest.param(200, envelope(""), REFUSED, "refused", id="C1-empty-code"),
        pytest.param(200, envelope("500"), UNKNOWN, "server_error", id="code-500"),
        pytest.param(200, envelope(599), UNKNOWN, "server_error", id="code-599"),
        pytest.param(200, envelope("5000"), REFUSED, "refused", id="code-5000"),
        pytest.param(200, envelope("5x0"), REFUSED, "refused", id="code-5x0"),
        pytest.param(200, envelope("5٣٣"), REFUSED, "refused", id="code-arabic-digits"),
        pytest.param(200, envelope("100100"), AUTH, "auth", id="B30-credentials"),
        pytest.param(200, envelope("100200"), AUTH, "auth", id="B26"),
        pytest.param(200, envelope("100300"), AUTH, "auth", id="code-100300"),
        pytest.param(200, envelope("1", TOO_FREQUENT), THROTTLED, "throttled", id="B25"),
        pytest.param(200, envelope("200", TOO_FREQUENT), THROTTLED, "throttled", id="B25-never-success"),
        pytest.param(200, HTML, UNKNOWN, "untrusted_answer", id="C2-B22"),
        pytest.param(200, OK[:-1], UNKNOWN, "untrusted_answer", id="C4-truncated"),
        pytest.param(200, b"[" + OK + b"]", UNKNOWN, "untrusted_answer", id="C5-array"),
        pytest.param(200, b"null", UNKNOWN, "untrusted_answer", id="C5-null"),
        pytest.param(200, b"[" * 100_000, UNKNOWN, "untrusted_answer", id="C6-depth"),
        pytest.param(200, b"\xef\xbb\xbf" + OK, UNKNOWN, "untrusted_answer", id="C6-bom"),
        pytest.param(200, b'{"msg":"ok","data":1}', UNKNOWN, "untrusted_answer", id="no-code"),
        pytest.param(200, b"", UNKNOWN, "untrusted_answer", id="B20-empty-200"),
        pytest.param(202, OK, UNKNOWN, "untrusted_answer", id="B20-202"),
        pytest.param(204, b"", UNKNOWN, "untrusted_answer", id="B20-204"),
        *(pytest.param(s, OK, UNKNOWN, "untrusted_answer", id=f"B21-{s}") for s in (101, 199, 299, 600, 999)),
        *(pytest.param(s, OK, UNKNOWN, "redirected", id=f"B19-{s}") for s in (301, 302, 303, 307, 308)),
        pytest.param(400, b'{"errors":[{"index":3}]}', REFUSED, "refused", id="B11-400"),
        pytest.param(422, b'{"errors":[{"index":3}]}', REFUSED, "refused", id="B11-422"),
        pytest.param(400, envelope("40001"), REFUSED, "refused", id="B12"),
        pytest.param(400, envelope("100200"), AUTH, "auth", id="400-token-code"),
        pytest.param(400, envelope("500"), UNKNOWN, "server_error", id="400-server-code"),
        pytest.param(400, envelope("1", TOO_FREQUENT), THROTTLED, "throttled", id="400-too-frequent"),
        pytest.param(400, OK, UNKNOWN, "untrusted_answer", id="400-success-is-none"),
        pytest.param(400, HTML, UNKNOWN, "untrusted_answer", id="400-html"),
        pytest.param(400, b"[]", UNKNOWN, "untrusted_answer", id="400-array"),
        pytest.param(402, envelope("40001"), REFUSED, "refused", id="402-envelope"),
        pytest.param(402, OK, UNKNOWN, "untrusted_answer", id="402-success-is-none"),
        pytest.param(402, HTML, UNKNOWN, "untrusted_answer", id="402-html"),
        pytest.param(401, HTML, AUTH, "auth", id="B14-401"),
        pytest.param(401, OK, AUTH, "auth", id="B14-401-success-is-none"),
        pytest.param(403, envelope("40300"), AUTH, "auth", id="B15-403"),
        pytest.param(403, HTML, UNKNOWN, "untrusted_answer", id="B24-403-html"),
        pytest.param(413, HTML, REFUSED, "too_large", id="B13-413"),
        pytest.param(413, OK, REFUSED, "too_large", id="B13-413-envelope"),
        *(pytest.param(s, HTML, UNKNOWN, "untrusted_answer", id=f"B16-{s}") for s in (404, 405, 410, 415)),
        *(pytest.param(s, HTML, UNKNOWN, "untrusted_answer", id=f"B17-{s}") for s in (408, 425)),
        pytest.param(409, envelope("40900"), UNKNOWN, "untrusted_answer", id="B18-409"),
        pytest.param(429, HTML, THROTTLED, "throttled", id="B5-429"),
        pytest.param(429, OK, THROTTLED, "throttled", id="B5-429-success-is-none"),
        pytest.param(500, HTML, UNKNOWN, "server_error", id="B7-500"),
        pytest.param(500, OK, UNKNOWN, "server_error", id="500-success-is-none"),
        pytest.param(500, envelope("40001"), UNKNOWN, "server_error", id="500-other-code"),
        pytest.param(502, HTML, UNKNOWN, "server_error", id="B10-502"),
        pytest.param(503, HTML, UNKNOWN, "server_error", id="B6-503-without-header"),
        pytest.param(504, HTML, UNKNOWN, "server_error", id="B10-504"),
        pytest.param(500, envelope("1", TOO_FREQUENT), THROTTLED, "throttled", id="500-too-frequent"),
        pytest.param(503, envelope("1", TOO_FREQUENT), THROTTLED, "throttled", id="503-too-frequent"),
        pytest.param(500, envelope("100200"), AUTH, "auth", id="B26-500"),
    ],
)
def test_an_answer_means_what_the_table_says(status: int, body: bytes, happened: Happened, reason: str) -> None:
    verdict = judged(status, body)
    assert (verdict.happened, verdict.reason) == (happened, reason)
    assert verdict.batch_id is None or happened is ACCEPTED
    assert verdict.detail.startswith(f"HTTP {status}")


@given(st.integers(100, 999), st.sampled_from([OK, HTML, b"", b"{}", envelope("1"), envelope("1", TOO_FREQUENT)]))
def test_only_200_and_201_with_the_success_code_accept(status: int, body: bytes) -> None:
    assert (judged(status, body).happened is ACCEPTED) == (status in (200, 201) and body == OK)


@given(st.integers(100, 999), st.binary(max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_no_answer_makes_a_verdict_fail(status: int, body: bytes, wait: str, date: str) -> None:
    assert judge(Answer(status=status, body=body, retry_after=wait, date=date), POLICY).happened is not NOT_SENT


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "not-sent"])
@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
def test_no_answer_is_unknown_once_a_byte_may_have_left_and_never_a_refusal(fault: Fault, sent: bool) -> None:
    verdict = judge(NoAnswer(fault=fault, sent=sent, detail="errno 104"), POLICY)
    assert verdict.happened is (UNKNOWN if sent else NOT_SENT)
    assert verdict.reason == fault.name.lower()
    assert verdict.detail == f"{fault} (errno 104)"
    assert verdict.is_misconfigured == (fault in MISCONFIGURED)
    assert not verdict.is_contact


def test_faults_that_waiting_cannot_heal_are_the_users_configuration() -> None:
    assert {Fault.CERTIFICATE, Fault.TLS_VERSION, Fault.PROXY, Fault.ADDRESS} == MISCONFIGURED


@pytest.mark.parametrize("stale", [True, False])
def test_a_stale_connection_is_reported(stale: bool) -> None:
    verdict = judge(NoAnswer(fault=Fault.CONNECTION_LOST, sent=True, stale=stale), POLICY)
    assert (verdict.is_stale, verdict.detail) == (stale, str(Fault.CONNECTION_LOST))


@pytest.mark.parametrize(
    ("status", "body", "is_contact", "is_misconfigured"),
    [
        pytest.param(200, OK, True, False, id="success"),
        pytest.param(200, envelope("40001"), True, False, id="refusal"),
        pytest.param(500, envelope("500"), True, False, id="server-error-with-envelope"),
        pytest.param(200, HTML, False, False, id="captive-portal"),
        pytest.param(500, HTML, False, False, id="gateway"),
        *(pytest.param(s, HTML, False, True, id=f"{s}") for s in (301, 307, 404, 405, 410, 415)),
        *(pytest.param(s, OK, False, True, id=f"{s}-envelope") for s in (302, 404)),
        pytest.param(409, HTML, False, False, id="409"),
    ],
)
def test_an_envelope_is_contact_and_a_wrong_address_is_named(
    status: int, body: bytes, is_contact: bool, is_misconfigured: bool
) -> None:
    verdict = judged(status, body)
    assert (verdict.is_contact, verdict.is_misconfigured) == (is_contact, is_misconfigured)


@pytest.mark.parametrize(
    ("status", "body", "is_renewable"),
    [
        (401, HTML, True),
        (401, OK, True),
        (200, envelope("100200"), True),
        (403, envelope("100200"), True),
        (403, envelope("100300"), False),
        (403, envelope("40300"), False),
    ],
    ids=["401", "401-envelope", "code", "403-token", "403-authorisation", "403"],
)
def test_a_403_is_about_permission_unless_it_says_that_the_token_is_wrong(
    status: int, body: bytes, is_renewable: bool
) -> None:
    assert judged(status, body).is_renewable == is_renewable


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("40001", "40001"),
        ("-1", "-1"),
        ("PARAM_ERROR", "PARAM_ERROR"),
        ("13800001234", "?"),
        ("a b", "?"),
        ("x" * 13, "?"),
    ],
)
def test_a_code_is_told_when_it_looks_like_one_and_not_like_a_phone_number(code: str, told: str) -> None:
    assert judged(200, envelope(code)).code == told


def test_a_success_carries_its_batch_id_and_a_refusal_its_words() -> None:
    assert judged(200).batch_id == 15314513451345123
    refusal = judged(200, envelope("40001", f"{canary.PERSON} 有误"))
    assert (refusal.code, refusal.message) == ("40001", f"{canary.PERSON} 有误")
    assert canary.leaks(refusal.detail + refusal.reason) == []


@pytest.mark.parametrize(
    ("code", "meaning", "happened"),
    [
        ("40029", Meaning.THROTTLED, THROTTLED),
        ("40029", Meaning.AUTH, AUTH),
        ("90001", Meaning.ACCEPTED, ACCEPTED),
        ("90001", Meaning.UNANSWERED, UNKNOWN),
        ("500", Meaning.REFUSED, REFUSED),
        ("100200", Meaning.REFUSED, REFUSED),
        ("200", Meaning.REFUSED, REFUSED),
    ],
)
def test_the_users_table_of_codes_comes_first(code: str, meaning: Meaning, happened: Happened) -> None:
    assert judged(200, envelope(code), DispatchPolicy(codes={code: meaning})).happened is happened


def test_the_users_marks_of_throttling_count() -> None:
    policy = attrs.evolve(POLICY, throttle_messages=("too fast", "slow down"))
    assert judged(200, envelope("1", "please slow down!"), policy).happened is THROTTLED
    assert judged(200, envelope("1", TOO_FREQUENT), policy).happened is REFUSED


NOW = "Mon, 16 Nov 2020 01:00:00 GMT"


@pytest.mark.parametrize(
    ("wait", "date", "seconds"),
    [
        pytest.param("7", None, 7.0, id="B1-seconds"),
        pytest.param(" 7 ", None, 7.0, id="blanks"),
        pytest.param("86400", None, 86400.0, id="B4-a-day"),
        pytest.param("9999999", None, 9999999.0, id="longest"),
        pytest.param("Mon, 16 Nov 2020 01:00:07 GMT", NOW, 7.0, id="B2-date"),
        pytest.param("Mon, 16 Nov 2020 02:00:07 +0100", NOW, 7.0, id="B2-other-zone"),
        pytest.param(None, NOW, None, id="none"),
        *(
            pytest.param(value, NOW, None, id=f"B3-{value!r}")
            for value in ("-5", "0", "1e3", "NaN", "inf", "٣", "1" + "0" * 20, "soon", "7, 9", "", " ", "+7", "7.5")
        ),
        pytest.param("Mon, 16 Nov 2020 00:59:59 GMT", NOW, None, id="B3-past-date"),
        pytest.param(NOW, NOW, None, id="B3-same-moment"),
        pytest.param("Mon, 16 Nov 100000 01:00:07 GMT", NOW, None, id="B3-year-100000"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", NOW, None, id="B3-year-9999"),
        pytest.param("Mon, 16 Nov 2020 01:00:07 GMT", None, None, id="B2-no-date-to-compare"),
        pytest.param("Mon, 16 Nov 2020 01:00:07 GMT", "today", None, id="B2-garbage-date"),
        pytest.param("Mon, 16 Nov 2020 01:00:07 -0000", NOW, None, id="B3-without-a-zone"),
        pytest.param("Mon, 16 Nov 2020 25:61:07 GMT", NOW, None, id="B3-no-such-time"),
        pytest.param("Mon, 16 Nov 2020 01:00:07 +999999", NOW, None, id="B3-no-such-zone"),
    ],
)
def test_retry_after_is_digits_or_a_date_against_the_answers_own(
    wait: str | None, date: str | None, seconds: float | None
) -> None:
    assert retry_after(Answer(status=429, body=b"", retry_after=wait, date=date)) == seconds


moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.timezones()).map(format_datetime)  # noqa: DTZ001 -- bounds
numerals = st.from_regex(r"[-+]?\d+(\.\d+)?(e\d+)?", fullmatch=True)


@given(st.text() | moments | numerals | st.none(), st.text() | moments | st.none())
def test_no_header_makes_the_wait_fail_negative_or_endless(wait: str | None, date: str | None) -> None:
    seconds = retry_after(Answer(status=429, body=b"", retry_after=wait, date=date))
    if seconds is not None:
        assert seconds > 0
        assert datetime.now(UTC) + timedelta(seconds=seconds) < datetime(2200, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "body", "wait", "happened", "seconds"),
    [
        pytest.param(429, HTML, "7", THROTTLED, 7.0, id="B1"),
        pytest.param(429, HTML, "nan", THROTTLED, None, id="B3"),
        pytest.param(503, HTML, "3600", THROTTLED, 3600.0, id="B23"),
        pytest.param(503, HTML, "soon", UNKNOWN, None, id="503-garbage"),
        pytest.param(500, HTML, "7", UNKNOWN, None, id="500-has-no-pause"),
        pytest.param(200, envelope("1", TOO_FREQUENT), "7", THROTTLED, 7.0, id="B25-with-header"),
        pytest.param(200, OK, "7", ACCEPTED, None, id="success"),
    ],
)
def test_a_throttled_answer_says_how_long(
    status: int, body: bytes, wait: str, happened: Happened, seconds: float | None
) -> None:
    verdict = judged(status, body, retry_after=wait)
    assert (verdict.happened, verdict.retry_after_s) == (happened, seconds)
