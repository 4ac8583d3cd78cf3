"""`docs/order-and-duplicates.md` is true: its code runs and prints what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from asyncimport import EVENTS
from asyncimport.derived import recipe_of
from asyncimport.duplicates import REASON, REMEMBERED

TEXT = (Path(__file__).parent.parent / "docs" / "order-and-duplicates.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SHOWN = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)


def printed(code: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    exec(compile(code, "page", "exec"), {"__name__": "__main__"})
    return capsys.readouterr().out.splitlines()


def test_the_first_example_prints_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(BLOCKS[0], capsys)
    first, _, last = SHOWN[0].splitlines()
    assert (lines[0], lines[-1]) == (first, last)


@pytest.mark.parametrize("code", BLOCKS[1:], ids=["uuid", "hook"])
def test_the_others_print_what_their_comments_say(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    (said,) = re.findall(r"^(?:print|asyncio\.run)\(.*\)  # (.*)$", code, re.MULTILINE)
    assert printed(code, capsys) == [said]


def test_the_library_derives_the_uuid_of_the_page() -> None:
    phone = {"identityType": "phone", "identityValue": "13800000000"}
    event = {"eventKey": "c_buy", "identities": [phone], "eventargs": {"order_id": "A-1"}}
    assert recipe_of(EVENTS, ["order_id"]).uuid_of(event) in BLOCKS[1]


def test_its_numbers_and_reasons_are_the_codes() -> None:
    assert f"{REMEMBERED:,} different keys" in TEXT
    assert f"`{REASON}`" in TEXT
