from typing import Any, Final

from sensorsanalytics.sdk import AsyncBatchConsumer, SensorsAnalytics

from benchmarks.peers.events import BATCH, call

#: How long its thread waits for more when the last event was given: as good as not at all.
_LINGER_S: Final = 0.01


def make(n: int) -> dict[str, Any]:
    """The arguments of `track`."""
    given = call(n)
    properties = {"$time": given.time, "uuid": given.uuid, **given.properties}
    return {"distinct_id": given.person, "event_name": given.event, "properties": properties}


def send(events: list[Any], url: str) -> None:
    """With a place in the queue for each, for it refuses what has none; it keeps no account."""
    consumer = AsyncBatchConsumer(
        url, flush_max_time=_LINGER_S, flush_size=BATCH, max_batch_size=BATCH, max_size=len(events)
    )
    client = SensorsAnalytics(consumer)
    for event in events:
        client.track(**event)
    client.close()
