from http import HTTPStatus
from typing import Any

from amplitude import Amplitude, BaseEvent
from amplitude.constants import EventLogLevel

from benchmarks.peers.events import BATCH, KEY, call


def make(n: int) -> Any:
    given = call(n)
    return BaseEvent(
        given.event,
        user_id=given.person,
        time=given.time,
        insert_id=given.uuid,
        event_properties=given.properties,
    )


def send(events: list[Any], url: str) -> int:
    """By its 16 threads, of which the number is fixed."""
    delivered = 0

    def count(_event: Any, code: int, _message: str) -> None:
        nonlocal delivered
        delivered += code == HTTPStatus.OK

    client = Amplitude(KEY)
    settings = client.configuration
    settings.server_url, settings.flush_queue_size = url, BATCH
    settings.flush_interval_millis, settings.event_log_level = 100, EventLogLevel.NONE
    settings.callback = count
    for event in events:
        client.track(event)
    client.shutdown()
    return delivered
