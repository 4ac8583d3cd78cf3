"""Two loops without asyncimport. Dicts in, aiohttp out; no checks, no copies, no retry, no report; answers are read and dropped.

The raw loop is what a good engineer writes when nothing may go wrong, the measure of all other contenders; the naive one is what
is written first: a task for every batch, a semaphore, and aiohttp's own `json=`.
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


async def post_all_at_once(source: Iterable[Any], public_params: dict[str, Any], url: str, width: int) -> None:
    """Post all records in batches, a task for each, `width` requests at a time."""
    slots = asyncio.Semaphore(width)

    async def post(session: aiohttp.ClientSession, chunk: list[Any]) -> None:
        async with slots, session.post(url, json={"publicParams": public_params, "data": chunk}) as response:
            await response.read()

    async with aiohttp.ClientSession(headers={"X-Token": "benchmark"}) as session:
        await asyncio.gather(*(post(session, chunk) for chunk in _chunks(source)))


def _chunks(source: Iterable[Any]) -> Iterator[list[Any]]:
    if isinstance(source, list):
        return (source[start : start + _BATCH] for start in range(0, len(source), _BATCH))
    records = iter(source)
    return iter(lambda: list(islice(records, _BATCH)), [])
