"""The call that Segment and RudderStack, who share an ancestor, have in common."""

from typing import Any

from benchmarks.peers.events import call


def make(n: int) -> dict[str, Any]:
    """The arguments of `track`."""
    given = call(n)
    return {
        "user_id": given.person,
        "event": given.event,
        "properties": given.properties,
        "timestamp": given.at,
        "message_id": given.uuid,
    }


def tracked(client_type: Any, events: list[Any], **settings: Any) -> int:
    """Give all to a client whose queue has a place for each, for it refuses what has none; count what did not fail."""
    failed: list[Any] = []

    def fail(_error: Exception, batch: list[Any]) -> None:
        failed.extend(batch)

    client = client_type(max_queue_size=len(events), on_error=fail, **settings)
    taken = sum(bool(client.track(**event)[0]) for event in events)
    client.flush()
    return taken - len(failed)
