"""The table of what answers where. A further resource is a further row."""

from collections.abc import Iterable
from typing import Protocol

from attrs import frozen

from asyncimport.emulator import contract as contracts
from asyncimport.emulator.contract import ANY_OBJECTS, Contract

BASE_PATH = "/api/open"
OLD_BASE_PATH = "/api/integrate"

TOKEN = "token"  # noqa: S105 - the name of an endpoint, no secret
"""The scope of faults that strike the token endpoint."""

TOKEN_PATH = f"{BASE_PATH}/app/getOrgAccessToken"

# The misspelling is the platform's (E); that they stand in the query is I.
APP_ID_QUERY, APP_SECRET_QUERY = "instanceAppid", "instanceSecrect"


@frozen(kw_only=True)
class Resource:
    """One import: its name in ledger and faults, its addresses, its contract.

    Attributes:
        path: under the base URL.
        old_path: under the older prefix, where an address with it is documented.
        key_field: the field that identifies a record in the ledger; without it, or where a record has none, the
            digest of the record does.
        answers_batch_id: whether a success carries `data`, the batch id.
    """

    name: str
    path: str
    old_path: str | None = None
    contract: Contract = ANY_OBJECTS
    answers_batch_id: bool
    key_field: str | None = None


class Declared(Protocol):
    """A resource as a client declares it: enough to be served, with any objects as its records."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def has_batch_id(self) -> bool: ...
    @property
    def is_stamped(self) -> bool: ...


USERS = Resource(
    name="users",
    path="/audience/info/batchAdd",
    old_path="/import/user/batchAdd",
    contract=contracts.USERS_V1,
    answers_batch_id=True,
)

USERS_V2 = Resource(
    name="users_v2",
    path="/audience/info/v2/batchAdd",
    contract=contracts.USERS_V2,
    answers_batch_id=True,
)

EVENTS = Resource(
    name="events",
    # I: the document writes this path with the old prefix only.
    path="/event/v2/batchAdd",
    old_path="/event/v2/batchAdd",
    contract=contracts.EVENTS_V2,
    answers_batch_id=False,
    key_field="uuid",
)

EVENTS_V1 = Resource(
    name="events_v1",
    path="/event/batchAdd",
    old_path="/event/batchAdd",
    contract=contracts.EVENTS_V1,
    answers_batch_id=False,
    key_field="uuid",
)

TAGS = Resource(
    name="tags",
    # I: the document writes this path with the old prefix only.
    path="/audience/tag/v2/batchAdd",
    old_path="/audience/tag/v2/batchAdd",
    contract=contracts.TAGS_V2,
    answers_batch_id=True,
)

GROUPS = Resource(
    name="groups",
    path="/audience/group/rel/v2/batchAdd",
    old_path="/audience/group/rel/v2/batchAdd",
    contract=contracts.GROUPS_V2,
    answers_batch_id=True,
)

RESOURCES = (USERS, USERS_V2, EVENTS, EVENTS_V1, TAGS, GROUPS)


def with_further(further: Iterable[Resource | Declared]) -> tuple[Resource, ...]:
    """Give all resources that are served: the documented ones and these.

    Raises:
        ValueError: two have one name or one path.
    """
    resources = (*RESOURCES, *map(_served, further))
    names = [TOKEN, *(resource.name for resource in resources)]
    paths = [TOKEN_PATH, *(BASE_PATH + resource.path for resource in resources)]
    for taken in (names, paths):
        twice = next((name for name in taken if taken.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two resources are served as {twice}: give each a name and a path of its own")
    return resources


def _served(further: Resource | Declared) -> Resource:
    if isinstance(further, Resource):
        return further
    return Resource(
        name=further.name,
        path=further.path,
        answers_batch_id=further.has_batch_id,
        key_field="uuid" if further.is_stamped else None,
    )


def routes(resources: Iterable[Resource], *, old_addresses: bool) -> dict[str, Resource]:
    """Give the resource that answers at each path."""
    resources = tuple(resources)
    table = {BASE_PATH + resource.path: resource for resource in resources}
    if old_addresses:
        table |= {OLD_BASE_PATH + one.old_path: one for one in resources if one.old_path is not None}
    return table
