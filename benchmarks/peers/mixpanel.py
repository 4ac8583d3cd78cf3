from typing import Any

from mixpanel_utils import MixpanelUtils

from benchmarks.peers.events import KEY, WIDTH, call


def make(n: int) -> dict[str, Any]:
    given = call(n)
    properties = {"distinct_id": given.person, "time": given.time // 1000, "$insert_id": given.uuid, **given.properties}
    return {"event": given.event, "properties": properties}


def send(events: list[Any], url: str) -> None:
    """In batches of 2,000, which its public call does not let anybody change; it keeps no account."""
    client = MixpanelUtils(KEY, token=KEY, pool_size=WIDTH)
    client.import_api = url
    client.import_events(events, timezone_offset=0)
