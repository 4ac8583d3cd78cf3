"""Which errors of the package a simulation justifies: each must have its reason in the platform's log."""

from __future__ import annotations

import asyncio
from importlib import import_module
from itertools import pairwise

from simulated import Fate, Request
from simulation import Course, Ending, SourceBroke

from asyncimport import AuthError, ConfigError, SourceError, StateError, TooManyRejected, UploadStalled

#: What ends a run as refused by the platform: this many refusals in a row.
REFUSALS = 20


def is_stopped_rightly(ending: Ending, course: Course) -> None:
    """Whatever ended a run is what the plan made happen."""
    error = ending.error
    if error is None:
        assert ending.run.raises_at is None or not ending.is_whole, "the source's error was swallowed"
        return
    answered = sorted((one for one in course.platform.requests if one.answered), key=lambda one: one.answered or 0)
    assert _is_justified(error, ending, course, answered), f"nothing justifies {type(error).__name__}: {error}"


def _is_justified(error: BaseException, ending: Ending, course: Course, answered: list[Request]) -> bool:
    run = ending.run
    match error:
        case asyncio.CancelledError():
            return run.leave == "cancels"
        case StateError():
            return any(other.leave == "closes" and course.endings[other.number].left_at for other in course.plan.runs)
        case SourceError():
            return run.raises_at == ending.tap.given and isinstance(error.__cause__, SourceBroke)
        case TooManyRejected():
            assert ending.report is not None
            return run.max_rejected is not None and ending.report.rejected > run.max_rejected
        case ConfigError():
            return _is_no_platform(course, answered)
        case UploadStalled():
            return any(one.wait_s > 300 for one in answered) or _is_stalled(ending, course, answered)
        case AuthError():
            return _is_denied(course, answered)
        case _ if isinstance(error, _platform_refused()):
            return _is_refused([one for one in answered if one.keys[0][0] == run.number])
        case _:
            return False


def _is_no_platform(course: Course, answered: list[Request]) -> bool:
    """Before the first documented envelope came, there was a redirect, or patience ran out."""
    contact = next((one for one in answered if one.is_contact), None)
    before = answered if contact is None else answered[: answered.index(contact)]
    if any(one.what == "redirect" for one in before):
        return True
    patience_s = course.plan.first_contact_s
    if contact is None or patience_s is None:
        return patience_s is not None
    tries = [one.began for one in answered] + [began for began, _, _ in course.platform.token_calls]
    return contact.ended >= min(tries) + patience_s - 1e-6


def _platform_refused() -> type[BaseException] | tuple[()]:
    """The error by its name, where the package has it."""
    found: type[BaseException] | tuple[()] = getattr(import_module("asyncimport.errors"), "PlatformRefused", ())
    return found


def _is_refused(answered: list[Request]) -> bool:
    """Many refusals came in a row, or nothing was accepted since the last ones."""
    in_a_row = most = 0
    for request in answered:
        if request.fate is Fate.REFUSED:
            in_a_row += 1
        elif request.fate is Fate.ACCEPTED:
            in_a_row = 0
        most = max(most, in_a_row)
    return most >= REFUSALS or in_a_row > 0


def _is_stalled(ending: Ending, course: Course, answered: list[Request]) -> bool:
    """For as long as the policy waits, nothing was accepted."""
    assert ending.ended is not None
    moments = [ending.began, *(one.ended for one in answered if one.fate is Fate.ACCEPTED), ending.ended]
    gaps = [later - earlier for earlier, later in pairwise(sorted(moments))]
    return max(gaps) >= course.plan.stall_s - 1e-6


def _is_denied(course: Course, answered: list[Request]) -> bool:
    """The credentials or the permission are gone, a fresh token is refused, or tokens are taken away again and again."""
    if any(what == "100100" for _, _, what in course.platform.token_calls):
        return True
    denials = [one for one in answered if one.fate is Fate.AUTH]
    if course.plan.credentials == "fixed" or any(one.what == "permission withdrawn" for one in denials):
        return bool(denials)
    fresh = False
    for denial in denials:
        before = (one for one in answered if one.token == denial.token and (one.answered or 0) < (denial.answered or 0))
        fresh |= not any(one.is_contact for one in before)
    return fresh or len({one.token for one in denials}) > 3
