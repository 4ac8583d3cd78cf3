"""Held over the whole suite: no test's output, logs or warnings show the canary token or the canary person's data."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import canary
import pytest
from hypothesis import HealthCheck, Phase, settings

# A shell starts what it puts into the background with Ctrl-C ignored, and children inherit that: tests send it to theirs.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Children then buffer their output as a user's do, and lose it where a user's would.
os.environ.pop("PYTHONUNBUFFERED", None)
# A machine that does other work too is slow at times: that is no fault of what is tested.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")
# What is covered by chance today is not covered tomorrow (tests/decision_coverage.py).
settings.register_profile("written cases", phases=[Phase.explicit])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    found = canary.leaks("\n".join(text for _, text in report.sections))
    if report.passed and found:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} shows what must stay secret: {found}"
    return report
