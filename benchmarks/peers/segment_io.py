from typing import Any

from segment.analytics.client import Client

from benchmarks.peers.events import BATCH, KEY, WIDTH
from benchmarks.peers.tracked import make, tracked

__all__ = ["make", "send"]


def send(events: list[Any], url: str) -> int:
    return tracked(Client, events, write_key=KEY, host=url, thread=WIDTH, upload_size=BATCH, gzip=False)
