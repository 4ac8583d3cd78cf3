"""`docs/resources.md` is true: its tables are the code's. Its programs are run by `test_docs_pages.py`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from asyncimport import declaration
from asyncimport.cli.order import RESOURCE_OF
from asyncimport.resources import RESOURCES, Resource

TEXT = (Path(__file__).parent.parent / "docs" / "resources.md").read_text(encoding="utf-8")
COMMANDS = {resource: name for name, resource in RESOURCE_OF.items()}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
def test_its_table_is_that_of_the_code(resource: Resource) -> None:
    (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{resource.name.upper()}` |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert f"`import {COMMANDS[resource]}`" in cells[1]
    assert cells[2].startswith(f"`{resource.path}` (")
    assert cells[3:] == [
        f"`{resource.record.__name__}`",
        f"`{resource.config.__name__}`",
        "yes" if resource.has_batch_id else "no",
    ]


def test_it_names_all_that_a_declaration_is_made_of() -> None:
    unnamed = [name for name in declaration.__all__ if not re.search(rf"`{name}\b", TEXT)]
    assert unnamed == ["Requirement"], "which is what the rules have in common"
