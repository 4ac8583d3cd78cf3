"""`docs/sources.md` names every keyword of a dialect, every ending and the limit of zstd; `test_docs_pages.py` runs its code."""

from __future__ import annotations

import re
from pathlib import Path

from asyncimport.sources import CsvOptions
from asyncimport.sources.file import _ENDINGS
from asyncimport.sources.unzstd import WINDOW_LOG

TEXT = (Path(__file__).parent.parent / "docs" / "sources.md").read_text(encoding="utf-8")


def test_it_names_every_keyword_of_a_dialect_and_every_ending() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert rows == list(CsvOptions.__annotations__)
    assert [ending for ending in _ENDINGS if f"`{ending}`" not in TEXT] == []
    assert f"{2**WINDOW_LOG // 2**20} MiB (`zstd --long={WINDOW_LOG}`)" in TEXT
