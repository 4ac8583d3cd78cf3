"""Commands that take whole groups of options: one group is one attrs class, and typer sees each of its fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, get_type_hints

import attrs


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command's parameters be groups. The same options are then written once, whatever the number of commands.

    Typer reads a command's signature; it is shown one with the fields of all groups in their order, each under its own
    annotation and default. The groups are built from what it hands over.
    """
    groups = {
        parameter.name: parameter.annotation
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
    }

    @wraps(command)
    def called(**values: Any) -> None:
        command(**{name: _built(group, values) for name, group in groups.items()})

    parameters = [parameter for group in groups.values() for parameter in _parameters(group)]
    vars(called)["__signature__"] = inspect.Signature(parameters)  # inspect.signature looks for it there
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def _parameters(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if each.default is attrs.NOTHING else each.default,
            annotation=hints[each.name],
        )
        for each in attrs.fields(group)
    ]


def _built(group: type[Any], values: dict[str, Any]) -> Any:
    return group(**{each.name: values[each.name] for each in attrs.fields(group)})
