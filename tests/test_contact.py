from __future__ import annotations

import attrs
import canary
import pytest
from scripted import LOST, OK, REFUSED_CONNECTION, envelope

from asyncimport.attempt import Answer, Attempt, Fault, NoAnswer
from asyncimport.contact import Contact
from asyncimport.errors import AsyncImportError, ConfigError, UploadStalled
from asyncimport.policy import DispatchPolicy
from asyncimport.verdict import judge

POLICY = DispatchPolicy()
START = 1000.0
HTML = b"<html></html>"


def tried(
    contact: Contact, attempt: Attempt, after_s: float, policy: DispatchPolicy = POLICY
) -> AsyncImportError | None:
    """What an attempt leads to that ends so long after START."""
    contact.started(START)
    return contact.judge(judge(attempt, policy), START + after_s, policy)


def new_contact(*, is_made: bool = False) -> Contact:
    return Contact(host="platform.example", is_made=is_made)


def answer(status: int, body: bytes = HTML) -> Answer:
    return Answer(status=status, body=body)


WRONG = [
    pytest.param(NoAnswer(fault=Fault.CERTIFICATE, sent=False), id="certificate"),
    pytest.param(NoAnswer(fault=Fault.PROXY, sent=False), id="proxy"),
    pytest.param(NoAnswer(fault=Fault.ADDRESS, sent=False), id="address"),
    *(pytest.param(answer(status), id=str(status)) for status in (301, 302, 307, 308, 404, 405, 410, 415)),
    pytest.param(answer(404, envelope("404").body), id="404-envelope"),
]
PATIENT = [
    pytest.param(NoAnswer(fault=Fault.NAME, sent=False), id="name"),
    pytest.param(REFUSED_CONNECTION, id="refused-connection"),
    pytest.param(NoAnswer(fault=Fault.CONNECT_TIMEOUT, sent=False), id="connect-timeout"),
    pytest.param(NoAnswer(fault=Fault.TLS, sent=False), id="tls"),
    pytest.param(NoAnswer(fault=Fault.GARBLED, sent=True), id="garbled"),
    pytest.param(LOST, id="reset"),
    pytest.param(answer(200), id="captive-portal"),
    pytest.param(answer(500), id="500"),
    pytest.param(answer(403), id="403-html"),
]


@pytest.mark.parametrize("attempt", WRONG)
def test_before_first_contact_what_waiting_cannot_heal_is_the_users_to_correct(attempt: Attempt) -> None:
    failure = tried(new_contact(), attempt, 0.1)
    assert isinstance(failure, ConfigError)
    assert str(failure).startswith("platform.example has never answered as the platform does")
    assert judge(attempt, POLICY).detail in str(failure)


@pytest.mark.parametrize("attempt", PATIENT)
def test_before_first_contact_everything_else_is_given_its_time(attempt: Attempt) -> None:
    contact = new_contact()
    assert tried(contact, attempt, 0.1) is None
    assert tried(contact, attempt, 14.9) is None
    assert isinstance(tried(contact, attempt, 15.0), ConfigError)


@pytest.mark.parametrize("attempt", [*WRONG, *PATIENT])
def test_after_first_contact_no_failure_is_the_users(attempt: Attempt) -> None:
    contact = new_contact()
    assert tried(contact, OK, 0.1) is None
    assert tried(contact, attempt, 800.0) is None


@pytest.mark.parametrize(
    "attempt",
    [OK, envelope("40001"), envelope("500"), envelope("100200", status=401), envelope("1", status=429)],
    ids=["success", "refusal", "server-error", "token", "throttled"],
)
def test_one_documented_envelope_is_contact(attempt: Attempt) -> None:
    contact = new_contact()
    tried(contact, attempt, 0.1)
    assert contact.is_made


def test_a_throttling_gateway_is_no_wrong_address() -> None:
    contact = new_contact()
    assert tried(contact, answer(429), 20.0) is None
    assert not contact.is_made


def test_the_time_for_first_contact_is_the_policys() -> None:
    policy = attrs.evolve(POLICY, first_contact_s=60.0)
    assert tried(new_contact(), LOST, 59.0, policy) is None
    assert isinstance(tried(new_contact(), LOST, 60.0, policy), ConfigError)


def test_without_a_time_for_first_contact_only_the_stall_ends_the_wait() -> None:
    policy, contact = attrs.evolve(POLICY, first_contact_s=None), new_contact()
    assert tried(contact, REFUSED_CONNECTION, 0.0, policy) is None
    assert tried(contact, REFUSED_CONNECTION, 899.0, policy) is None
    assert isinstance(tried(contact, REFUSED_CONNECTION, 900.0, policy), UploadStalled)


def test_time_counts_from_the_first_attempt() -> None:
    contact = new_contact()
    contact.started(START - 10)
    contact.started(START)
    assert isinstance(contact.judge(judge(LOST, POLICY), START + 5, POLICY), ConfigError)


def test_a_verdict_without_a_start_has_waited_for_nothing() -> None:
    assert new_contact().judge(judge(LOST, POLICY), START, POLICY) is None


@pytest.mark.parametrize(
    "attempt",
    [LOST, REFUSED_CONNECTION, answer(500), answer(429), envelope("1", msg="操作频繁"), answer(401)],
    ids=["reset", "refused-connection", "500", "429", "too-frequent", "401"],
)
def test_b8_a_known_platform_that_takes_nothing_for_15_minutes_ends_the_run(attempt: Attempt) -> None:
    contact = new_contact(is_made=True)
    assert tried(contact, attempt, 50.0) is None
    assert tried(contact, attempt, 949.9) is None
    failure = tried(contact, attempt, 950.0)
    assert isinstance(failure, UploadStalled)
    assert str(failure).startswith("platform.example has accepted nothing for 900 s; last: ")
    assert canary.scan(failure) == []


@pytest.mark.parametrize("settled", [OK, envelope("40001")], ids=["accepted", "refused"])
def test_whatever_settles_a_batch_is_progress(settled: Attempt) -> None:
    contact = new_contact(is_made=True)
    for after_s in (0.0, 800.0, 1600.0):
        assert tried(contact, LOST, after_s) is None
        assert tried(contact, settled, after_s + 1) is None
    assert contact.failing_since is None


def test_the_patience_of_a_stall_is_the_policys() -> None:
    policy, contact = attrs.evolve(POLICY, stall_s=5.0), new_contact(is_made=True)
    assert tried(contact, LOST, 0.0, policy) is None
    assert isinstance(tried(contact, LOST, 5.0, policy), UploadStalled)
