"""The raw loop: what a good engineer writes when nothing may go wrong. Dicts in, aiohttp and orjson, no second thought.

No checks, no copies, no retry, no report; the answers are read and dropped. It is the measure of all other contenders.
"""

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import aiohttp
import orjson

_BATCH: Final = 500


async def post_all(source: Iterable[Any], public_params: dict[str, Any], url: str, width: int) -> None:
    """Post all records in batches, `width` requests at a time."""
    chunks = _chunks(source)
    headers = {"X-Token": "benchmark", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session, asyncio.TaskGroup() as workers:
        for number in range(width):
            workers.create_task(_post_each(session, url, public_params, chunks), name=f"raw-{number}")


async def _post_each(
    session: aiohttp.ClientSession, url: str, public_params: dict[str, Any], chunks: Iterator[list[Any]]
) -> None:
    for chunk in chunks:
        body = orjson.dumps({"publicParams": public_params, "data": chunk})
        async with session.post(url, data=body) as response:
            await response.read()


def _chunks(source: Iterable[Any]) -> Iterator[list[Any]]:
    if isinstance(source, list):
        return (source[start : start + _BATCH] for start in range(0, len(source), _BATCH))
    records = iter(source)
    return iter(lambda: list(islice(records, _BATCH)), [])
