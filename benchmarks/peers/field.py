"""Who runs: asyncimport, the raw loop, and the peers, with what the server answers to each."""

from typing import Final

from attrs import frozen

from benchmarks.peers.events import BATCH
from benchmarks.server import ENVELOPE


@frozen(kw_only=True)
class Runner:
    """A contender: its functions `make` and `send` are in a module beside this one, which imports what it is about."""

    name: str
    module: str
    send: str = "send"
    #: The package as it is pinned; None for those of this house.
    package: str | None = None
    #: Events in its largest request.
    batch: int = BATCH
    is_compressed: bool = False
    answer: str = ENVELOPE
    #: A header of the answer, name and value.
    header: str = ""
    #: What it was set to beyond the batch.
    settings: str = ""


OURS: Final = "asyncimport, width 8"
OURS_AT_DEFAULT: Final = "asyncimport, default width"
_ITEM: Final = '{"index":{"status":201}}'
#: To a bulk request of 500, in the fewest words that are understood.
_BULK: Final = f'{{"errors":false,"items":[{",".join([_ITEM] * BATCH)}]}}'

RUNNERS: Final = (
    Runner(name="raw loop, width 8", module="ours", send="send_raw"),
    Runner(name=OURS, module="ours"),
    Runner(name=OURS_AT_DEFAULT, module="ours", send="send_at_default_width"),
    Runner(
        name="mixpanel-utils",
        module="mixpanel",
        package="mixpanel-utils",
        batch=2_000,
        answer='{"code":200,"num_records_imported":2000,"status":"OK"}',
        settings="8 threads; its own 2,000 a batch, which its public call fixes",
    ),
    Runner(
        name="OpenSearch `async_bulk`",
        module="opensearch",
        package="opensearch-py",
        answer=_BULK,
        settings="one request at a time, as it does",
    ),
    Runner(
        name="Elasticsearch `async_bulk`",
        module="elastic",
        package="elasticsearch",
        answer=_BULK,
        header="X-Elastic-Product Elasticsearch",
        settings="one request at a time, as it does; orjson",
    ),
    Runner(
        name="Segment",
        module="segment_io",
        package="segment-analytics-python",
        settings="8 threads, a queue for all events",
    ),
    Runner(
        name="RudderStack",
        module="rudder",
        package="rudder-sdk-python",
        settings="8 threads, a queue for all events, no gzip",
    ),
    Runner(
        name="Amplitude",
        module="amplitude_http",
        package="amplitude-analytics",
        answer='{"code":200}',
        settings="its own 16 threads, which it fixes; no log line for each event",
    ),
    Runner(name="PostHog", module="post_hog", package="posthog", settings="8 threads, a queue for all events"),
    Runner(
        name="Sensors Analytics",
        module="sensors",
        package="SensorsAnalyticsSDK",
        is_compressed=True,
        settings="its one thread, a queue for all events; gzip, as it does",
    ),
)
