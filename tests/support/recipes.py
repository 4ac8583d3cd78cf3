"""The programs of `docs/sql.md`, by their headings: as modules, to use what they define, or run as they stand."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from postgres import Postgres

from asyncimport import EVENTS, USERS
from asyncimport.resources import Resource

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
TEXT = PAGE.read_text(encoding="utf-8")
#: The tables that they read.
(SCHEMA,) = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)
PROGRAMS: dict[str, str] = {
    section.partition("\n")[0]: code
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)
    for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL)
}


def recipe(heading: str, replaced: Mapping[str, str] = MappingProxyType({})) -> Any:
    """The program as a module, with something else in the place of some of its words."""
    module, code = ModuleType("recipe"), PROGRAMS[heading]
    for words, others in replaced.items():
        assert words in code
        code = code.replace(words, others)
    exec(compile(code, PAGE.name, "exec"), vars(module))
    return module


async def run_as_it_stands(heading: str) -> None:
    """The program, run as a user runs it, in a thread of this process."""
    await asyncio.to_thread(exec, compile(PROGRAMS[heading], PAGE.name, "exec"), {"__name__": "__main__"})


#: The recipes with a cursor of the server's: their constant, their generator, the resource, and a query of the numbers from 1 on.
CURSORS: dict[str, tuple[str, str, Resource, str]] = {
    "asyncpg": (
        "CUSTOMERS",
        "customers",
        USERS,
        "SELECT ({number})::text AS third_id FROM generate_series(1, {count}) n",
    ),
    "SQLAlchemy": (
        "ORDERS",
        "orders",
        EVENTS,
        """
        SELECT 'order-' || ({number}) AS uuid, '13800000001' AS phone, now() AS placed_at, 1.0::float8 AS amount,
               CAST('{{}}' AS jsonb) AS details
        FROM generate_series(1, {count}) n
        """,
    ),
}


def counting(
    heading: str, shop: Postgres, count: int, number: str = "n", replaced: Mapping[str, str] = MappingProxyType({})
) -> tuple[Resource, AsyncIterator[Any]]:
    """The source that such a recipe is over so many numbers, of each of which the server makes something else.

    That may change something, such as a sequence, which a transaction that reads only may not.
    """
    constant, name, resource, query = CURSORS[heading]
    program = recipe(heading, {**replaced, **({"readonly=True": ""} if heading == "asyncpg" else {})})
    made: Any = query.format(number=number, count=count)
    if heading == "SQLAlchemy":
        made = program.text(made).columns(details=program.JSONB)
    setattr(program, constant, made)
    return resource, getattr(program, name)(shop.url if heading == "SQLAlchemy" else shop.dsn)
