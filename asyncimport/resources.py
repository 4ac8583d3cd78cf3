"""What can be imported: one row a resource. A further resource of the same form is a further row."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from asyncimport.configs import Config, EventImportConfig, UserImportConfig
from asyncimport.records import Event, Record, UserProfile


@frozen(kw_only=True)
class Resource:
    """A row: its name, the path under the base URL, its record and config, whether an answer carries a batch id."""

    name: str
    path: str
    record: type[Record]
    config: type[Config]
    #: Users, tags and groups answer `data`: the import batch id. Events answer without it (E).
    has_batch_id: bool
    #: Records that take a `uuid` and a `time` get them at admission, where they are missing.
    is_stamped: bool


def _row(name: str, path: str, record: type[Any], config: type[Any], **flags: bool) -> Resource:
    return Resource(name=name, path=path, record=record, config=config, **flags)


#: Path: E. The seed's own address, `/api/integrate/import/user/batchAdd`, is being retired.
USERS: Final = _row(
    "users", "/audience/info/batchAdd", UserProfile, UserImportConfig, has_batch_id=True, is_stamped=False
)
#: Path: I, written only with the older prefix `/api/integrate`.
EVENTS: Final = _row("events", "/event/v2/batchAdd", Event, EventImportConfig, has_batch_id=False, is_stamped=True)

RESOURCES: Final = (USERS, EVENTS)
