from typing import Any
from uuid import UUID

from posthog import Posthog

from benchmarks.peers.events import BATCH, KEY, WIDTH, call


def make(n: int) -> dict[str, Any]:
    """The arguments of `capture`."""
    given = call(n)
    return {
        "event": given.event,
        "distinct_id": given.person,
        "properties": given.properties,
        "timestamp": given.at,
        "uuid": f"{UUID(given.uuid)}",
    }


def send(events: list[Any], url: str) -> int:
    """With a place in the queue for each, for it refuses what has none."""
    failed: list[Any] = []

    def fail(_error: Exception, batch: list[Any]) -> None:
        failed.extend(batch)

    client = Posthog(KEY, host=url, max_queue_size=len(events), on_error=fail, flush_at=BATCH, thread=WIDTH)
    taken = sum(client.capture(**event) is not None for event in events)
    client.flush(timeout_seconds=None)
    return taken - len(failed)
