"""`docs/mapping.md` is true: its two forms are one mapping, and its commands print what it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import attrs
import pytest
from command import ran

from asyncimport.cli.options import InputOptions
from asyncimport.records import Event
from asyncimport.sources import ColumnMapping, CustomFieldColumn, IdentityColumn, read_csv, read_mapping

PAGE = Path(__file__).parent.parent / "docs" / "mapping.md"
TEXT = PAGE.read_text(encoding="utf-8")
CONSOLES = re.findall(r"```console\n\$ asyncimport (.*)\n((?:.*\n)*?)```", TEXT)
CHECKS = [(command, printed) for command, printed in CONSOLES if command.startswith("check")]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of the page's files, to work in."""
    (tmp_path / "orders.csv").write_text(blocks("csv")[0], encoding="utf-8")
    for name, text in zip(("orders", "wrong", "unfit"), blocks("toml"), strict=True):
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    with chdir(tmp_path):
        yield tmp_path


def test_its_value_and_its_file_are_one_mapping(folder: Path) -> None:
    (code,) = blocks("python")
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["mapping"] == read_mapping(folder / "orders.toml")
    assert len(list(read_csv(folder / "orders.csv", Event, mapping=names["mapping"]))) == 3


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("command", "printed"), CHECKS)
async def test_its_commands_print_what_it_shows(command: str, printed: str) -> None:
    result = await ran(*shlex.split(command))
    assert result.out + result.err == printed
    assert result.code == (2 if result.err else 0)


@pytest.mark.usefixtures("folder")
def test_its_options_fit_its_files() -> None:
    (command,) = (command for command, _ in CONSOLES if not command.startswith("check"))
    given = InputOptions(
        file="orders.csv",
        mapping_file=Path("orders.toml"),
        columns=re.findall(r"--map (\S+)", command),
        constants=re.findall(r"--const (\S+)", command),
    )
    mapping = given.mapping()
    assert mapping is not None
    assert (mapping.columns["Shop"], mapping.constants["eventargs.c_channel"]) == ("intid", 8)
    given.source(Event)


@pytest.mark.parametrize("kind", [ColumnMapping, IdentityColumn, CustomFieldColumn])
def test_it_names_every_part(kind: type[Any]) -> None:
    assert [each.name for each in attrs.fields(kind) if f"`{each.name}`" not in TEXT] == []
