"""The contract of the imports, written down a second time and on its own: it shares no line with the client's checks.

Each table below is a table of PLATFORM.md. A rule without a tag is explicit in a document (E).
"""

from collections.abc import Callable

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

# I: a time in seconds (1e9) or in microseconds (1e15) is a client's mistake; between them lie the years 1973 to 5138.
EARLIEST_MS, LATEST_MS = 10**11, 10**14

# I: the document lists `id` and sends `uid`; both name the platform's user id. Further types pass as given.
FIELD_OF_IDENTITY = {"id": "thirdId", "uid": "thirdId", "openid": "openid", "unionid": "unionid", "phone": "phone"}

RecordRule = Callable[[Json, Assumptions], Callable[[Json], Problem | None] | None]
"""From the batch's publicParams to the rule between them and each record, or to none."""


@frozen(kw_only=True)
class Contract:
    """What one import's body must be."""

    params: Shape
    record: Shape
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


_MATCHING_TYPE: Check = one_of(EXACT, FUZZY)

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

_CUSTOM_FIELD = Shape(fields={"configId": int64, "configName": text, "values": array(text)})

USERS_V1 = Contract(
    params=Shape(
        fields={
            "isMatching": boolean,
            "matchingType": _MATCHING_TYPE,
            "identifyWay": one_of(1, 2),
            "accurateMatchType": one_of("gzh", "workwechat", "YOUZAN", "EZR", "contentminiapp", "contenthome"),
            "accurateMatchValue": text,
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
            "identities": array(_IDENTITY, at_least=1),
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
