from __future__ import annotations

import logging
from collections import Counter

import canary
import pytest

from asyncimport.observer import (
    AttemptFailed,
    LoopBlocked,
    Notice,
    Notifier,
    Paused,
    RunStarted,
    SourceAbandoned,
    TokenRenewed,
)


def failed(reason: str = "server_error", message: str = "busy") -> AttemptFailed:
    return AttemptFailed(batch=3, attempt=1, reason=reason, detail="HTTP 500", message=message, retry_in_s=0.5)


@pytest.mark.parametrize(
    ("notice", "level"),
    [
        (RunStarted(resource="users", run_id="r"), logging.INFO),
        (TokenRenewed(generation=1), logging.INFO),
        (Paused(pause_s=2.0, reason="HTTP 429"), logging.WARNING),
        (SourceAbandoned(waited_s=5.0), logging.WARNING),
        (LoopBlocked(blocked_s=1.5), logging.WARNING),
        (failed(), logging.WARNING),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_notice_is_logged_with_its_name_and_values(
    notice: Notice, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    Notifier(None)(notice)
    (record,) = [record for record in caplog.records if record.name == "asyncimport"]
    assert record.levelno == level
    assert record.getMessage().startswith(type(notice).__name__)


def test_an_outage_is_no_flood_of_warnings(caplog: pytest.LogCaptureFixture) -> None:
    notify = Notifier(None)
    for _ in range(1000):
        notify(failed("connect"))
        notify(failed("server_error"))
    levels = Counter(record.levelname for record in caplog.records if record.name == "asyncimport")
    assert levels["WARNING"] == 10


def test_a_user_who_hears_gets_every_notice() -> None:
    heard: list[Notice] = []
    notify = Notifier(heard.append)
    for _ in range(20):
        notify(failed())
    assert len(heard) == 20


def test_an_observer_that_raises_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def observer(_notice: Notice) -> None:
        raise ZeroDivisionError

    Notifier(observer)(failed())
    assert "ZeroDivisionError" in caplog.text
    assert canary.leaks(caplog.text) == []


def test_without_a_configured_logging_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("asyncimport").handlers)
    Notifier(None)(failed())
    assert capsys.readouterr() == ("", "")
