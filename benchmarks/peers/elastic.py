import asyncio
from typing import Any

from elasticsearch import AsyncElasticsearch, OrjsonSerializer
from elasticsearch.helpers import async_bulk

from benchmarks.peers.events import BATCH
from benchmarks.peers.opensearch import make

__all__ = ["make", "send"]


def send(events: list[Any], url: str) -> int:
    """One request at a time: its asynchronous helper knows no other way."""
    return asyncio.run(_sent(events, url))


async def _sent(events: list[Any], url: str) -> int:
    async with AsyncElasticsearch(url, serializer=OrjsonSerializer()) as client:
        delivered, _ = await async_bulk(client, events, chunk_size=BATCH)
    return int(delivered)
