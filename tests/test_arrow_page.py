"""`docs/arrow.md` is true: its examples run against the emulator and print what their comments say."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from asyncimport.emulator import Emulator

PAGE = Path(__file__).parent.parent / "docs" / "arrow.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=["pandas", "polars-duckdb", "parquet"])
async def test_its_examples_run_and_print_what_their_comments_say(code: str, tmp_path: Path) -> None:
    async with Emulator(token="secret") as platform:
        environment = os.environ | {"ASYNCIMPORT_BASE_URL": platform.url, "ASYNCIMPORT_TOKEN": "secret"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", code, cwd=tmp_path, env=environment, stdout=-1, stderr=-1
        )
        printed, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    said = re.findall(r"print\(.*\)  # (.*)", code)
    assert printed.decode().splitlines()[-1:] == said  # DuckDB shows a bar before, when it is slow
    assert platform.ledger.violations == []
