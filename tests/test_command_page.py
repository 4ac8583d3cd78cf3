"""`docs/command.md` is true: its tables are the code's, and whatever option it speaks of exists."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "command.md"
TEXT = PAGE.read_text(encoding="utf-8")
#: What typer itself adds to every command.
TYPERS = {"--help", "-h", "--install-completion", "--show-completion", "--version"}


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("command_options", PAGE.with_name("command_options.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_tables_are_those_of_the_code() -> None:
    assert generator().filled(TEXT) == TEXT, "run `python docs/command_options.py`"


def test_every_command_has_a_table() -> None:
    tables = set(re.findall(r"<!-- options: ([a-z0-9 -]+?)(?: beside those of [a-z0-9 -]+)? -->", TEXT))
    assert tables == set(generator().commands())


def test_every_option_it_speaks_of_exists() -> None:
    module = generator()
    known = {name for command in module.commands().values() for name in module.options_of(command)} | TYPERS
    prose = re.sub(r"<!-- options.*?<!-- /options -->", "", TEXT, flags=re.DOTALL)
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", prose)) - {"-c"} <= known
