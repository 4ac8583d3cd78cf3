"""The table of what answers where. A further resource is a further row."""

from attrs import frozen

from asyncimport.emulator.contract import EVENTS_V2, USERS_V1, Contract

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
        key_field: the field that identifies a record in the ledger; without it, or where a record has none, the
            digest of the record does.
        answers_batch_id: whether a success carries `data`, the batch id.
    """

    name: str
    path: str
    old_path: str
    contract: Contract
    answers_batch_id: bool
    key_field: str | None = None


USERS = Resource(
    name="users",
    path=f"{BASE_PATH}/audience/info/batchAdd",
    old_path=f"{OLD_BASE_PATH}/import/user/batchAdd",
    contract=USERS_V1,
    answers_batch_id=True,
)

EVENTS = Resource(
    name="events",
    # I: the document writes this path with the old prefix only.
    path=f"{BASE_PATH}/event/v2/batchAdd",
    old_path=f"{OLD_BASE_PATH}/event/v2/batchAdd",
    contract=EVENTS_V2,
    answers_batch_id=False,
    key_field="uuid",
)

RESOURCES = (USERS, EVENTS)


def routes(*, old_addresses: bool) -> dict[str, Resource]:
    """Give the resource that answers at each path."""
    table = {resource.path: resource for resource in RESOURCES}
    if old_addresses:
        table |= {resource.old_path: resource for resource in RESOURCES}
    return table
