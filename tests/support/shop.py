"""A shop with customers and orders, numbered from 1: in tables of PostgreSQL, in an SQLite file, and as what is to arrive."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from recipes import SCHEMA

#: More than a batch and a fetch.
COUNT = 600
#: Everything happened on this day, in China, a second apart.
DAY = "2026-11-24"
_MIDNIGHT_MS = 1_795_449_600_000

_CUSTOMERS = f"""
    INSERT INTO customers
    SELECT n, '顾客' || n, '138' || lpad(n::text, 8, '0'), DATE '1990-05-17', TIMESTAMPTZ '{DAY} 00:00+08' + n * interval '1 s'
    FROM generate_series(1, {COUNT}) n
"""
_ORDERS = f"""
    INSERT INTO orders
    SELECT n, '138' || lpad(n::text, 8, '0'), n + 0.9, TIMESTAMPTZ '{DAY} 00:00+08' + n * interval '1 s',
           jsonb_build_object('c_sku', 'A-' || n)
    FROM generate_series(1, {COUNT}) n
"""


async def fill(session: Any) -> None:
    """Make the tables anew."""
    await session.execute(f"DROP SCHEMA public CASCADE; CREATE SCHEMA public; {SCHEMA}; {_CUSTOMERS}; {_ORDERS}")


def write(path: Path) -> None:
    """Make a file with the orders."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, phone TEXT, amount REAL, placed_at TEXT, details TEXT)"
        )
        connection.executemany(
            f"INSERT INTO orders VALUES (?, ?, ?, datetime('{DAY} 00:00:00+08:00', ? || ' seconds'), ?)",
            ((n, f"138{n:08}", n + 0.9, n, f'{{"c_sku": "A-{n}"}}') for n in range(1, COUNT + 1)),
        )


def customer(number: int) -> dict[str, str]:
    return {"thirdId": f"{number}", "realName": f"顾客{number}", "phone": f"138{number:08}", "birthday": "1990-05-17"}


def order(number: int) -> dict[str, Any]:
    return {
        "uuid": f"order-{number}",
        "eventKey": "c_order",
        "time": _MIDNIGHT_MS + number * 1000,
        "identities": [{"identityType": "phone", "identityValue": f"138{number:08}"}],
        "eventargs": {"c_amount": number + 0.9, "c_sku": f"A-{number}"},
    }
