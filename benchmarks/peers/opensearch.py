import asyncio
from typing import Any

from opensearchpy import AsyncOpenSearch
from opensearchpy.helpers import async_bulk

from benchmarks.peers.events import BATCH
from benchmarks.records import event_wire


def make(n: int) -> dict[str, Any]:
    wire = event_wire(n)
    return {"_index": "events", "_id": wire["uuid"], "_source": wire}


def send(events: list[Any], url: str) -> int:
    """One request at a time: its asynchronous helper knows no other way."""
    return asyncio.run(_sent(events, url))


async def _sent(events: list[Any], url: str) -> int:
    async with AsyncOpenSearch(hosts=[url]) as client:
        delivered, _ = await async_bulk(client, events, chunk_size=BATCH)
    return int(delivered)
