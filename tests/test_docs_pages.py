"""The pages under docs/ are true: each block of Python runs as it stands, and prints what its comments say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("resources", "sink", "sources")
BLOCKS = {
    f"{page}-{number}": code
    for page in PAGES
    for number, code in enumerate(
        re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.DOTALL)
    )
}


@pytest.mark.parametrize("code", BLOCKS.values(), ids=BLOCKS)
def test_a_block_runs_and_prints_what_its_comments_say(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    for said in re.findall(r"print\(.*\)  # (.*)", code):
        assert said in done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_code(page: str) -> None:
    assert f"{page}-0" in BLOCKS
