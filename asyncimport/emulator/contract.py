"""The contract of the imports, written down a second time and on its own: it shares no line with the client's checks.

Each table below is a table of PLATFORM.md. A rule without a tag is explicit in a document (E).
"""

from collections.abc import Callable, Mapping

from attrs import frozen

from asyncimport.emulator.assumptions import Assumptions
from asyncimport.emulator.shape import (
    Check,
    Json,
    Problem,
    Shape,
    array,
    boolean,
    filled,
    free_list,
    free_map,
    int64,
    kind,
    one_of,
    short,
    text,
    whole,
)

MAX_ITEMS = 500
EXACT, FUZZY = 1, 2
COMPANY, DEPARTMENT = "1", "2"

# I: a time in seconds (1e9) or in microseconds (1e15) is a client's mistake; between them lie the years 1973 to 5138.
EARLIEST_MS, LATEST_MS = 10**11, 10**14

# I: the document lists `id` and sends `uid`; both name the platform's user id. Further types pass as given.
FIELD_OF_IDENTITY = {"id": "thirdId", "uid": "thirdId", "openid": "openid", "unionid": "unionid", "phone": "phone"}

RecordRule = Callable[[Json, Assumptions], Callable[[Json], Problem | None] | None]
"""From the batch's publicParams to the rule between them and each record, or to none."""


@frozen(kw_only=True)
class Contract:
    """What one import's body must be."""

    params: Check
    record: Check
    with_params: RecordRule = lambda _params, _assumptions: None

    def envelope_problem(self, body: object) -> Problem | None:
        """Find what is wrong outside the records: the two keys, publicParams, and the number of items."""
        if not isinstance(body, dict):
            return Problem(reason=f"must be an object, not {kind(body)}")
        if body.keys() != {"publicParams", "data"}:
            return Problem(reason="must have exactly the keys publicParams and data")
        problem = self.params(body["publicParams"])
        if problem is not None:
            return problem.under(".publicParams")
        data = body["data"]
        if not isinstance(data, list):
            return Problem(path=".data", reason=f"must be an array, not {kind(data)}")
        if not 1 <= len(data) <= MAX_ITEMS:
            return Problem(path=".data", reason=f"has {len(data)} items, 1 to {MAX_ITEMS} are allowed")
        return None

    def record_problems(self, body: Json, assumptions: Assumptions) -> dict[int, Problem]:
        """Find the records that break a rule, by index; a whole-batch verdict stops at the first."""
        params, data = body["publicParams"], body["data"]
        if not isinstance(params, dict) or not isinstance(data, list):
            raise TypeError("record_problems() wants a body without envelope_problem()")
        with_params = self.with_params(params, assumptions)
        problems: dict[int, Problem] = {}
        for index, record in enumerate(data):
            problem = self.record(record)
            if problem is None and with_params is not None:
                problem = with_params(record)
            if problem is not None:
                problems[index] = problem.under(f".data[{index}]")
                if assumptions.one_bad_record_fails_batch:
                    break
        return problems


def _fuzzy_needs_way(params: Json) -> Problem | None:
    if params.get("matchingType") == FUZZY and "identifyWay" not in params:
        return Problem(path=".identifyWay", reason="is required when matchingType is 2")
    return None


def _exact_needs_identity(params: Json, assumptions: Assumptions) -> Callable[[Json], Problem | None] | None:
    if params.get("matchingType") != EXACT:
        return None

    def check(record: Json) -> Problem | None:
        name = record.get("identityType")
        if not isinstance(name, str):
            return Problem(path=".identityType", reason="is required when matchingType is 1")
        named = FIELD_OF_IDENTITY.get(name)
        if assumptions.exact_needs_identity and named is not None and not record.get(named):
            return Problem(path=f".{named}", reason="must be filled: identityType names it and matching is exact")
        return None

    return check


def _mpid_needs_ecosystem(identity: Json) -> Problem | None:
    if "mpid" in identity and "isWeChatEcosystem" not in identity:
        return Problem(path=".isWeChatEcosystem", reason="is required when mpid is sent")
    return None


def _department_needs_id(record: Json) -> Problem | None:
    if record.get("categoryType") == DEPARTMENT and not any(
        record.get(name) not in (None, "") for name in ("wxDeptId", "thirdDeptId", "deptId")
    ):
        return Problem(path=".wxDeptId", reason="or thirdDeptId or deptId is required when categoryType is 2")
    return None


_MATCHING_TYPE: Check = one_of(EXACT, FUZZY)

_OPT_TYPE: Check = one_of("add", "delete")

_ACCURATE_MATCH: Mapping[str, Check] = {
    "accurateMatchType": one_of("gzh", "workwechat", "YOUZAN", "EZR", "contentminiapp", "contenthome"),
    "accurateMatchValue": text,
}

_IDENTITY = Shape(
    fields={
        "identityValue": filled,
        "identityType": filled,
        "platform": text,
        "mpid": text,
        "isWeChatEcosystem": boolean,
    },
    required=("identityValue", "identityType"),
    between=_mpid_needs_ecosystem,
)

_IDENTITIES: Check = array(_IDENTITY, at_least=1)

_CUSTOM_FIELD = Shape(fields={"configId": int64, "configName": text, "values": array(text)})

USERS_V1 = Contract(
    params=Shape(
        fields={
            "isMatching": boolean,
            "matchingType": _MATCHING_TYPE,
            "identifyWay": one_of(1, 2),
            **_ACCURATE_MATCH,
            "importMode": one_of(1, 2),
        },
        required=("isMatching", "importMode"),
        between=_fuzzy_needs_way,
    ),
    record=Shape(
        fields={
            "identityType": text,
            "thirdId": text,
            "openid": text,
            "unionid": text,
            "phone": text,
            "realName": text,
            "sex": one_of("男", "女"),
            "address": text,
            "birthday": text,
            "remark": text,
            "customFields": array(_CUSTOM_FIELD),
        },
    ),
    with_params=_exact_needs_identity,
)

EVENTS_V2 = Contract(
    # isMatching stands in the seed's example, not in its table: both may be sent.
    params=Shape(fields={"isMatching": boolean, "matchingType": _MATCHING_TYPE}),
    record=Shape(
        fields={
            "identities": _IDENTITIES,
            "time": whole(low=EARLIEST_MS, high=LATEST_MS),
            "uuid": short(36),
            "eventKey": filled,
            "intid": text,
            # The example shows strings and numbers. I: other JSON values pass, because the document only says "map".
            "eventargs": free_map,
        },
        required=("identities", "eventKey"),
    ),
)

USERS_V2 = Contract(
    params=Shape(fields={"matchingType": _MATCHING_TYPE, "importMode": one_of(1, 2)}, required=("importMode",)),
    record=Shape(
        fields={
            "identities": _IDENTITIES,
            "realName": text,
            "sex": one_of("男", "女"),
            "address": text,
            "birthday": text,
            "remark": text,
            "customFields": array(_CUSTOM_FIELD),
        },
        required=("identities",),
    ),
)

EVENTS_V1 = Contract(
    # The page's versions disagree on whether isMatching is required; it is taken as the newer one has it.
    params=Shape(
        fields={
            "isMatching": boolean,
            "matchingType": _MATCHING_TYPE,
            "identifyWay": one_of(1, 2),
            **_ACCURATE_MATCH,
        },
        between=_fuzzy_needs_way,
    ),
    record=Shape(
        fields={
            "identityType": text,
            "thirdId": text,
            "openid": text,
            "unionid": text,
            "phone": text,
            "time": whole(low=EARLIEST_MS, high=LATEST_MS),
            "uuid": short(36),
            "eventKey": filled,
            "intid": text,
            "eventargs": free_map,
        },
    ),
    with_params=_exact_needs_identity,
)

TAGS_V2 = Contract(
    params=Shape(fields={"matchingType": _MATCHING_TYPE, "optType": _OPT_TYPE}, required=("optType",)),
    # What an item of operateTags has in it: ?.
    record=Shape(fields={"identities": _IDENTITIES, "operateTags": free_list}, required=("identities",)),
)

GROUPS_V2 = Contract(
    params=Shape(fields={"matchingType": _MATCHING_TYPE, "optType": _OPT_TYPE}, required=("optType",)),
    record=Shape(
        fields={
            "identities": _IDENTITIES,
            "groups": text,
            "categoryType": one_of(COMPANY, DEPARTMENT),
            "deptId": int64,
            "thirdDeptId": text,
            "wxDeptId": text,
        },
        required=("identities",),
        between=_department_needs_id,
    ),
)

ANY_OBJECTS = Contract(params=free_map, record=free_map)
"""Of a resource whose contract nobody wrote down: 1 to 500 objects, and an object of parameters."""
