"""From an attempt to what happened, in one place. It knows nothing of retries: `retry.py` decides what to do.

| attempt                                                       | happened  |
|---------------------------------------------------------------|-----------|
| no answer, nothing left                                       | NOT_SENT  |
| no answer, something may have left                            | UNKNOWN   |
| 429; 503 with Retry-After; an envelope with a throttle mark   | THROTTLED |
| 401; 403 with an envelope                                     | AUTH      |
| 413                                                           | REFUSED, too large |
| 200, 201 with an envelope                                     | by its code |
| 400, 422 with a JSON object                                   | REFUSED, or by its code |
| any other 4xx with an envelope, but 404 405 408 409 410 415 425 | by its code, never ACCEPTED |
| anything else with an envelope about the token or throttling  | by its code |
| everything else: 1xx 2xx 3xx 5xx 6xx, HTML, a broken body     | UNKNOWN   |

Which HTTP status carries which code is not documented (?), so the status decides where HTTP gives it a meaning of its
own, and the code decides elsewhere. Only 200 and 201 are listed (E) and can accept a batch. The content type is not
looked at: an envelope is one whatever it is called, and a page is none.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Final, assert_never

from attrs import evolve, field, frozen

from asyncimport.attempt import MISCONFIGURED, Answer, Attempt, Fault, NoAnswer
from asyncimport.codec import Envelope, decode_envelope, decode_object
from asyncimport.policy import TOKEN_REFUSED, DispatchPolicy, Meaning
from asyncimport.redaction import shown

#: Digits of a Retry-After that can be meant: 115 days. Longer ones are ignored, like every other malformed value.
_DELTA_SECONDS: Final = re.compile(r"[0-9]{1,7}")
#: The same bound for a wait that is given as a date.
_TOO_FAR_S: Final = 10_000_000
#: What a code looks like; anything else is not shown, since it may quote the request: a phone number has 11 digits.
_CODE: Final = re.compile(r"-?[0-9]{1,8}|[A-Za-z_][0-9A-Za-z_.-]{0,11}")
#: As long as a name can be (RFC 1035).
_HOST_LENGTH: Final = 253
_ACCEPTING: Final = frozenset({200, 201})
_REFUSING: Final = frozenset({400, 422})
#: A path or method that this address does not have, or a redirect: before first contact the address is wrong.
_MISADDRESSED: Final = frozenset({404, 405, 410, 415})
#: The reason of a refusal for its size alone.
TOO_LARGE: Final = "too_large"
#: Too many requests, or too little of the server: never the batch's doing.
_OVERLOADED: Final = 503
#: Silence: the platform may have more than it can do. A shortage: this machine has.
_OVERLOADS: Final = frozenset({Fault.READ_TIMEOUT, Fault.ATTEMPT_TIMEOUT, Fault.SHORTAGE})
#: Client errors that say nothing final about the content.
_TRANSIENT: Final = frozenset({408, 409, 425}) | _MISADDRESSED


class Happened(Enum):
    """What became of one attempt."""

    ACCEPTED = auto()
    REFUSED = auto()
    NOT_SENT = auto()
    THROTTLED = auto()
    UNKNOWN = auto()
    AUTH = auto()


@frozen(kw_only=True)
class Verdict:
    """What happened, and what the answer said. `reason` is one word for counting; `detail` is for reading."""

    happened: Happened
    reason: str
    detail: str = ""
    code: str | None = None
    #: The platform's words as they came: to be shown only through `redaction.shown`.
    message: str = field(default="", repr=False)
    batch_id: int | None = None
    retry_after_s: float | None = None
    #: The documented envelope came back, and not from a redirect or a path that is not there: this is the platform.
    is_contact: bool = False
    #: The address, certificate or proxy is wrong, if this was not the platform yet.
    is_misconfigured: bool = False
    #: The token may be good again once renewed; a 403 is about permission.
    is_renewable: bool = False
    #: The server broke over the request: it may break again over the same one.
    is_server_broken: bool = False
    #: It was too much for the platform or for this machine, or took too long.
    is_overload: bool = False
    #: The one free retry applies: a connection that had gone stale.
    is_stale: bool = False


def judge(attempt: Attempt, policy: DispatchPolicy) -> Verdict:
    """What happened in an attempt."""
    match attempt:
        case NoAnswer():
            return _unanswered(attempt)
        case Answer():
            return _answered(attempt, policy)
        case _:
            assert_never(attempt)


def _unanswered(attempt: NoAnswer) -> Verdict:
    return Verdict(
        happened=Happened.UNKNOWN if attempt.sent else Happened.NOT_SENT,
        reason=attempt.fault.name.lower(),
        detail=f"{attempt.fault}{f' ({attempt.detail})' if attempt.detail else ''}",
        is_misconfigured=attempt.fault in MISCONFIGURED,
        is_overload=attempt.fault in _OVERLOADS,
        is_stale=attempt.stale,
    )


def _answered(answer: Answer, policy: DispatchPolicy) -> Verdict:
    envelope = decode_envelope(answer.body)
    to = f" to {shown(answer.redirect_host)[:_HOST_LENGTH]}" if answer.redirect_host else ""
    base = Verdict(happened=Happened.UNKNOWN, reason="untrusted_answer", detail=f"HTTP {answer.status}{to}")
    if envelope is not None:
        code = envelope.code if _CODE.fullmatch(envelope.code) else "?"
        detail = f"{base.detail}, code {code}"
        base = evolve(base, code=code, message=envelope.msg, detail=detail)
    elsewhere = 300 <= answer.status < 400 or answer.status in _MISADDRESSED
    base = evolve(base, is_contact=envelope is not None and not elsewhere, is_misconfigured=elsewhere)
    verdict = _by_status(answer, envelope, policy, base)
    if verdict.happened is Happened.THROTTLED:
        return evolve(verdict, is_overload=True, retry_after_s=retry_after(answer))
    is_overload = answer.status == _OVERLOADED or verdict.code == f"{_OVERLOADED}"
    return evolve(verdict, is_overload=True) if is_overload else verdict


def _by_status(answer: Answer, envelope: Envelope | None, policy: DispatchPolicy, base: Verdict) -> Verdict:
    status = answer.status
    if status == 429 or (status == 503 and retry_after(answer) is not None):
        return evolve(base, happened=Happened.THROTTLED, reason="throttled")
    if status == 401 or (status == 403 and envelope is not None):
        is_renewable = status == 401 or (envelope is not None and envelope.code == TOKEN_REFUSED)
        return evolve(base, happened=Happened.AUTH, reason="auth", is_renewable=is_renewable)
    if status == 413:
        return evolve(base, happened=Happened.REFUSED, reason=TOO_LARGE)
    if status in _ACCEPTING and envelope is not None:
        return _by_code(envelope, policy, base)
    if status in _REFUSING or (400 <= status < 500 and envelope is not None and status not in _TRANSIENT):
        return _refused(answer, envelope, policy, base)
    marked = base if envelope is None else _by_code(envelope, policy, base)
    if marked.happened in (Happened.AUTH, Happened.THROTTLED):
        return marked
    reason = _reason_of(status)
    return evolve(base, reason=reason, is_server_broken=reason == "server_error" and status != _OVERLOADED)


def _by_code(envelope: Envelope, policy: DispatchPolicy, base: Verdict) -> Verdict:
    if any(mark in envelope.msg for mark in policy.throttle_messages):
        return evolve(base, happened=Happened.THROTTLED, reason="throttled")
    match policy.meaning(envelope.code):
        case Meaning.ACCEPTED:
            return evolve(base, happened=Happened.ACCEPTED, reason="", batch_id=envelope.batch_id)
        case Meaning.AUTH:
            return evolve(base, happened=Happened.AUTH, reason="auth", is_renewable=True)
        case Meaning.THROTTLED:
            return evolve(base, happened=Happened.THROTTLED, reason="throttled")
        case Meaning.REFUSED:
            return evolve(base, happened=Happened.REFUSED, reason="refused")
        case Meaning.UNANSWERED:
            return evolve(base, reason="server_error", is_server_broken=envelope.code != f"{_OVERLOADED}")
        case unnamed:
            assert_never(unnamed)


def _refused(answer: Answer, envelope: Envelope | None, policy: DispatchPolicy, base: Verdict) -> Verdict:
    if envelope is not None:
        verdict = _by_code(envelope, policy, base)
        return base if verdict.happened is Happened.ACCEPTED else verdict
    if (
        decode_object(answer.body) is not None
    ):  # no documented format names records (FAULTS.md B11): the batch is refused
        return evolve(base, happened=Happened.REFUSED, reason="refused")
    return base


def _reason_of(status: int) -> str:
    if 500 <= status < 600:
        return "server_error"
    return "redirected" if 300 <= status < 400 else "untrusted_answer"


def retry_after(answer: Answer) -> float | None:
    """Seconds to wait, from digits or an HTTP date against the answer's own `Date`; None for anything else.

    The local wall clock is never asked: it may be off by days (FAULTS.md B2).
    """
    value = (answer.retry_after or "").strip()
    if _DELTA_SECONDS.fullmatch(value):
        return float(value) or None
    if not value or not answer.date:
        return None
    try:
        wait_s = (parsedate_to_datetime(value) - parsedate_to_datetime(answer.date)).total_seconds()
    except (ValueError, TypeError, OverflowError):  # no date, or one with and one without a zone
        return None
    return wait_s if 0 < wait_s < _TOO_FAR_S else None
