"""The canary fixture itself can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import canary
import pytest


@pytest.mark.breakage("canary of the tests: do not follow causes")
def test_s1_an_exception_that_carries_the_token_is_found() -> None:
    error = ValueError("harmless")
    error.__cause__ = KeyError(canary.TOKEN)
    assert canary.scan(error) != []


@pytest.mark.breakage("conftest of the tests: leave out the search")
@pytest.mark.parametrize(
    "leak",
    [
        f"print({canary.PERSON!r})",
        f"import sys; print({canary.TOKEN!r}, file=sys.stderr)",
        f"import logging; logging.getLogger('aiohttp.client').debug({canary.TOKEN!r})",
    ],
    ids=["stdout", "stderr", "a debug log"],
)
def test_s1_a_test_that_shows_a_secret_fails(tmp_path: Path, leak: str) -> None:
    support = Path(canary.__file__).parent
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nlog_level = DEBUG\npythonpath = {support}\n", encoding="utf-8")
    conftest = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    (tmp_path / "test_leak.py").write_text(f"def test_leak():\n    {leak}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:asyncio", "-p", "no:randomly", str(tmp_path)]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert "1 failed" in shown
    assert "shows what must stay secret" in shown


def test_no_test_goes_around_the_search_for_secrets_in_exceptions() -> None:
    tests = Path(__file__).parent
    files = [path for path in tests.rglob("test_*.py") if path != Path(__file__)]
    around = [path.name for path in files if "pytest.raises(" in path.read_text(encoding="utf-8")]
    assert files
    assert around == []
