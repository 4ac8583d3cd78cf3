"""Write the tables of `docs/command.md` from the command itself: `python docs/command_options.py`; a test compares."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import typer
from typer.models import OptionInfo

from asyncimport.cli.commands import app

PAGE = Path(__file__).parent / "command.md"
#: A table of all options, or of those that a command has beside the ones of another.
_TABLE = re.compile(
    r"(<!-- options: (?P<name>[a-z0-9 -]+?)(?: beside those of (?P<other>[a-z0-9 -]+?))? -->\n).*?(<!-- /options -->)",
    re.DOTALL,
)
_MARKUP = re.compile(r"\[/?[a-z]+\]")


def filled(text: str) -> str:
    """The page with every table as the code has it."""
    return _TABLE.sub(lambda found: found[1] + _table(found["name"], found["other"]) + found[4], text)


def _table(name: str, other: str | None) -> str:
    rows = _rows(commands()[name])
    known = _rows(commands()[other]) if other else []
    if not set(known) <= set(rows):
        raise ValueError(f"{name} has not all options of {other}: write its table whole")
    own = [row for row in rows if row not in known]
    return "\n".join(["| option | value | default | |", "|---|---|---|---|", *own, ""]) if own else ""


def commands() -> dict[str, Callable[..., Any]]:
    """Every command by its name, `check users` among them."""
    return dict(_commands(app, ""))


def _commands(among: typer.Typer, path: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    for command in among.registered_commands:
        if command.callback is not None:
            yield f"{path}{command.name or command.callback.__name__}", command.callback
    for group in among.registered_groups:
        if group.typer_instance is not None:
            yield from _commands(group.typer_instance, f"{path}{group.typer_instance.info.name} ")


def options_of(command: Callable[..., Any]) -> set[str]:
    """The names of a command's options."""
    return {name for parameter in _parameters(command) for name in _names(_info(parameter))}


def _rows(command: Callable[..., Any]) -> list[str]:
    return [_row(parameter) for parameter in _parameters(command)]


def _parameters(command: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(command, eval_str=True).parameters.values())


def _info(parameter: inspect.Parameter) -> Any:
    return parameter.annotation.__metadata__[0]


def _names(info: Any) -> list[str]:
    declared = (info.default, *(info.param_decls or ()))
    return [name for name in declared if isinstance(name, str) and name.startswith("-")]


def _row(parameter: inspect.Parameter) -> str:
    info = _info(parameter)
    names = _names(info) if isinstance(info, OptionInfo) else [info.metavar]
    value = info.metavar or _value_of(parameter) if isinstance(info, OptionInfo) else ""
    cells = (", ".join(f"`{name}`" for name in names), value, _default(parameter), _MARKUP.sub("", info.help or ""))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _value_of(parameter: inspect.Parameter) -> str:
    kind = (get_args(parameter.annotation.__origin__) or (parameter.annotation.__origin__,))[0]
    kind = (get_args(kind) or (kind,))[0]  # of a list what is in it
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " / ".join(str(choice.value) for choice in kind)
    return {bool: "", Path: "FILE", int: "N", float: "N", NoneType: ""}.get(kind, "TEXT")


def _default(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if default is inspect.Parameter.empty:
        return "required"
    if default is None or default is False:
        return ""
    return f"`{default.value if isinstance(default, Enum) else default}`"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
