"""The event of `records.py` in the shape of an analytics call: who, when, what, and flat properties with all that it holds."""

from datetime import UTC, datetime
from typing import Any, Final

import orjson
from attrs import frozen

from benchmarks.records import event_wire

#: Requests or threads at the same time, where a peer has any.
WIDTH: Final = 8
#: Events a request, where a peer has a choice.
BATCH: Final = 500
#: It goes into a header and nowhere further.
KEY: Final = "benchmark"


@frozen(kw_only=True)
class Call:
    """One event as it is given to a peer."""

    person: str
    event: str
    #: Milliseconds.
    time: int
    uuid: str
    properties: dict[str, Any]

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.time / 1000, UTC)


def call(n: int) -> Call:
    """Event number n."""
    wire = event_wire(n)
    phone, openid = wire["identities"]
    return Call(
        person=phone["identityValue"],
        event=wire["eventKey"],
        time=wire["time"],
        uuid=wire["uuid"],
        properties={
            "openid": openid["identityValue"],
            "platform": openid["platform"],
            "intid": wire["intid"],
            **wire["eventargs"],
        },
    )


def least_bytes(count: int) -> int:
    """What the properties of so many events take in the tersest JSON: less cannot hold them, unless it is compressed."""
    return sum(len(orjson.dumps(call(n).properties)) for n in range(count))
