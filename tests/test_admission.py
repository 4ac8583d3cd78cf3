from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from itertools import pairwise, permutations
from typing import Any

import canary
import orjson
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from strategies import Broken, Nowhere

from asyncimport.admission import Admission, Admitted, neighbours, place_of, rejection, together
from asyncimport.batch import Positions
from asyncimport.configs import EventImportConfig, ImportMode, MatchingType, UserImportConfig
from asyncimport.fields import At
from asyncimport.outcome import Rejected, Skipped
from asyncimport.place import NOWHERE, Place
from asyncimport.records import CustomField, Event, Identity, UserProfile
from asyncimport.resources import EVENTS, USERS
from asyncimport.structs import json_bytes, plain
from asyncimport.unreadable import Unreadable

P = canary.PERSON
RUN_ID = "0123456789abcdefghij"
NOW_MS = 1_605_490_615_673


def admission(*, exact: bool = False) -> Admission:
    config = UserImportConfig(
        is_matching=exact, import_mode=ImportMode.FULL, matching_type=MatchingType.EXACT if exact else None
    )
    return Admission(resource=USERS, config=config, run_id=RUN_ID, now_ms=lambda: NOW_MS)


def of_events() -> Admission:
    return Admission(resource=EVENTS, config=EventImportConfig(), run_id=RUN_ID, now_ms=lambda: NOW_MS)


def event(**given_fields: Any) -> dict[str, Any]:
    return {"identities": [{"identityValue": P, "identityType": "phone"}], "eventKey": "c_buy"} | given_fields


@frozen
class Lines:
    """What a file's iterator knows of the record it returned last."""

    line_num: int

    def column_of(self, place: str) -> str | None:
        return {"sex": "Geschlecht"}.get(place)


def refused(admit: Admission, record: Any, position: int = 3, line: int | None = None) -> Rejected:
    outcome = admit.admit(record, position, None if line is None else Lines(line))
    assert isinstance(outcome, Rejected)
    assert canary.leaks(f"{outcome} {outcome!r}") == []
    assert (list(outcome.positions), outcome.count, outcome.attempts) == ([position], 1, 0)
    return outcome


def deep(levels: int) -> Any:
    inside: Any = P
    for _ in range(levels):
        inside = [inside]
    return inside


@pytest.mark.parametrize(
    ("record", "place", "words"),
    [
        pytest.param(None, "data[3]", "got nothing; takes a Event or a mapping", id="G2-none"),
        pytest.param([event()], "data[3]", "got list", id="G2-list"),
        pytest.param((event() for _ in "x"), "data[3]", "got generator", id="G2-nested-generator"),
        pytest.param(UserProfile(phone=P), "data[3]", "got UserProfile", id="G2-another-record"),
        pytest.param(event(eventargs={"c": math.nan}), "data[3].eventargs.c", "finite", id="G3-nan"),
        pytest.param(event(eventargs={"c": [math.inf]}), "data[3].eventargs.c[0]", "finite", id="G3-infinity"),
        pytest.param(event(eventargs={"c": b"1"}), "data[3].eventargs.c", "got bytes", id="G7-bytes"),
        pytest.param(event(eventargs={"c": {1}}), "data[3].eventargs.c", "got set", id="G7-set"),
        pytest.param(event(eventargs={"c": Decimal(1)}), "data[3].eventargs.c", "got Decimal", id="G7-decimal"),
        pytest.param(event(time=datetime(2020, 1, 1)), "data[3].time", "naive datetime", id="G7-naive"),  # noqa: DTZ001 -- naive on purpose
        pytest.param(event(eventargs={1: P, "1": P}), "data[3].eventargs", "takes text keys only", id="G6-key"),
        pytest.param(event(eventargs={"c": UserProfile()}), "data[3].eventargs.c", "got UserProfile", id="G7-attrs"),
        pytest.param(event(eventargs={"c": deep(200)}), None, "deeper than 128 levels", id="G8-200"),
        pytest.param(event(eventargs={"c": deep(100_000)}), None, "deeper than 128 levels", id="G8-100k"),
        pytest.param(
            event(identities=[Identity(identity_value=P, identity_type="openid", mpid="wx1")]),
            "data[3].identities[0].isWeChatEcosystem",
            "required when mpid is given",
            id="mpid",
        ),
        pytest.param(event(colour=P), "data[3].colour", "is no field of this record", id="unknown-key"),
        pytest.param(event(event_key=P), "data[3].eventKey", "given twice", id="both-names"),
        pytest.param(Broken(), "data[3]", "raised LookupError when it was read", id="a-mapping-that-raises"),
        pytest.param(
            event(time=datetime(2020, 1, 1, tzinfo=Nowhere())),
            None,
            "raised LookupError when it was read",
            id="a-time-zone-that-raises",
        ),
        pytest.param(
            {
                "identities": [{"identity_value": P, "identity_type": "phone"}],
                "event_key": "c_buy",
                "time": datetime(2020, 1, 1, tzinfo=Nowhere()),
            },
            None,
            "raised LookupError when it was read",
            id="a-time-zone-that-raises-python-names",
        ),
        pytest.param(
            Event(
                identities=[Identity(identity_value=P, identity_type="phone")],
                event_key="c_buy",
                time=datetime(2020, 1, 1, tzinfo=Nowhere()),
            ),
            None,
            "raised LookupError when it was read",
            id="a-time-zone-that-raises-typed",
        ),
    ],
)
def test_a_bad_record_is_rejected_with_its_place_and_rule(record: Any, place: str | None, words: str) -> None:
    (problem,) = refused(of_events(), record).problems
    assert words in str(problem)
    assert problem.place == place or place is None
    assert str(problem).startswith("data[3]")


def test_every_problem_of_a_record_is_named_and_the_first_one_counts_it() -> None:
    record = {"sex": P, "customFields": [{"values": P}], "phone": 7, "age": 7}
    outcome = refused(admission(exact=True), record, position=41, line=99)
    assert [problem.place for problem in outcome.problems] == [
        "data[41].age",
        "data[41].phone",
        "data[41].sex",
        "data[41].customFields[0].values",
        "data[41].identityType",
    ]
    assert outcome.reason == outcome.problems[0].reason == "age: is no field of this record"
    assert outcome.line == 99
    assert str(outcome).startswith("record 41 (line 99): data[41].age: got an unknown field")
    assert [problem.column for problem in outcome.problems] == [None, None, "Geschlecht", None, None]
    assert "data[41].sex (column 'Geschlecht'): got another text" in str(outcome)
    assert [problem.example for problem in outcome.problems][1:4] == [
        "9",
        "xxxxxx-xxxxxx-文文文",
        "xxxxxx-xxxxxx-文文文",
    ]


def test_an_unreadable_line_is_rejected_by_its_own_rule() -> None:
    outcome = refused(admission(), Unreadable(rule="is no JSON: unexpected end at column 17"), line=5)
    assert outcome.reason == "is no JSON"
    assert str(outcome) == "record 3 (line 5): data[3]: got an unreadable line; is no JSON: unexpected end at column 17"


@pytest.mark.parametrize(
    "record",
    [
        UserProfile(real_name=P, custom_fields=[CustomField(config_id=1, values=["a"])]),
        UserProfile(real_name=P, custom_fields=({"config_id": 1, "values": ("a",)},)),
        {"realName": P, "customFields": [{"configId": 1, "values": ["a"]}]},
        {"real_name": P, "custom_fields": [{"config_id": 1, "values": ["a"]}]},
        {"realName": P, "custom_fields": [CustomField(config_id=1, values=["a"])], "sex": None},
    ],
    ids=["typed", "typed-with-tuples", "wire-names", "python-names", "both"],
)
def test_a_record_has_one_wire_form_however_it_is_written(record: Any) -> None:
    assert plain(admission().admit(record, 0)) == {"realName": P, "customFields": [{"configId": 1, "values": ["a"]}]}


def test_a_source_may_change_its_way_of_writing_at_any_record() -> None:
    forms: list[Any] = [
        {"realName": P, "customFields": [{"configId": 1}]},
        {"real_name": P, "custom_fields": [{"config_id": 1}]},
        UserProfile(real_name=P, custom_fields=[CustomField(config_id=1)]),
        {"real_name": P, "customFields": [{"configId": 1}]},
    ]
    admit, orders = admission(), [form for order in permutations(forms) for form in order]
    wires = [plain(admit.admit(form, position)) for position, form in enumerate(orders)]
    assert wires == [{"realName": P, "customFields": [{"configId": 1}]}] * len(orders)
    refused(admit, {"real_name": P, "nick": P})


def test_records_admitted_together_come_out_as_they_do_one_by_one() -> None:
    python_names = {"identities": [{"identity_value": P, "identity_type": "phone"}], "event_key": "c_buy"}
    records: list[Any] = [
        event(),
        event(time=1),
        python_names,
        event(time=datetime(2020, 1, 1, tzinfo=Nowhere())),
        None,
    ]
    one_by_one = of_events()
    expected = [plain(one_by_one.admit(record, position)) for position, record in enumerate(records, 7)]
    assert plain(of_events().admit_all(records, 7)) == expected
    assert [isinstance(item, Rejected) for item in expected] == [False, True, False, True, True]
    assert plain(admission().admit_all([{"phone": "1"}, UserProfile(phone="1"), {}], 0)) == [{"phone": "1"}] * 2 + [{}]


def test_a_record_missed_among_others_is_settled_at_its_own_position() -> None:
    admit, learned = of_events(), [event(), event()]
    admit.admit_all(learned, 0)
    wires: list[Any] = plain(admit.admit_all([event(), None, event()], 2))
    assert [isinstance(item, Rejected) for item in wires] == [False, True, False]
    assert list(wires[1].positions) == [3]
    wires += plain(admit.admit_all(learned, 5))
    assert [item["uuid"][-2:] for item in wires if isinstance(item, dict)] == ["02", "04", "05", "06"]


def test_a_record_without_any_field_is_admitted() -> None:
    assert plain(admission().admit(UserProfile(), 0)) == plain(admission().admit({}, 1)) == {}


@pytest.mark.breakage("guard: let lists within eventargs pass as they are")
@pytest.mark.parametrize("typed", [True, False], ids=["typed", "mapping"])
def test_g12_what_the_user_changes_afterwards_changes_nothing(typed: bool) -> None:
    args: dict[str, Any] = {"c_a": {"deep": [1, {"x": 2}]}, "c_b": [3]}
    person: Any = {"identity_value": P, "identity_type": "phone"}
    identities: list[Any] = [Identity(**person) if typed else person]
    record: dict[str, Any] = {"identities": identities, "event_key": "c_buy", "eventargs": args}
    wire = of_events().admit(Event(**record) if typed else record, 0)
    before = json_bytes(wire)
    args["c_a"]["deep"][1]["x"] = args["c_b"][0] = "changed"
    args["c_new"] = "new"
    if typed:
        identities[0].identity_value = "changed"
    person["identity_value"] = "changed"
    identities.append("changed")
    record.clear()
    assert json_bytes(wire) == before


@pytest.mark.breakage("admission: stamp an event with its position alone")
def test_g21_a_missing_uuid_and_time_are_filled_once() -> None:
    admit = of_events()
    wire = plain(admit.admit(event(), 255))
    assert isinstance(wire, dict)
    assert wire["uuid"] == f"{RUN_ID}00000000000000ff"
    assert len(wire["uuid"]) == 36
    assert wire["time"] == NOW_MS
    assert plain(admit.admit(event(), 256))["uuid"] != wire["uuid"]


@pytest.mark.breakage("admission: stamp over a given uuid and time")
@pytest.mark.parametrize("args", [{"a": 1}, {"a": (1,)}], ids=["struct", "reference"])
def test_g21_a_given_uuid_and_time_stay(args: Any) -> None:
    record = event(uuid="u", time=NOW_MS + 1, eventargs=args)
    admit = of_events()
    for wire in [admit.admit(record, 0), *admit.admit_all([record] * 2, 1)]:
        given = plain(wire)
        assert (given["uuid"], given["time"]) == ("u", NOW_MS + 1)


@pytest.mark.parametrize("args", [{"a": 1}, {"a": (1,)}], ids=["struct", "reference"])
def test_g21_each_of_many_is_stamped_with_its_own_position(args: Any) -> None:
    wires = plain(of_events().admit_all([event(eventargs=args)] * 3, 5))
    assert [(wire["uuid"][-1], wire["time"]) for wire in wires] == [(digit, NOW_MS) for digit in "567"]


@pytest.mark.breakage("admission: leave what was made of a line unstamped")
def test_g21_what_is_made_of_a_line_is_stamped_when_it_is_admitted() -> None:
    admit = of_events()
    made = admit.of_line(orjson.dumps(event()))
    assert plain(made) == event()
    assert plain(admit.admit(made, 11)) == event(uuid=f"{RUN_ID}000000000000000b", time=NOW_MS) | event()
    assert admit.of_line(b"{}") is None


def test_users_are_not_stamped() -> None:
    assert plain(admission().admit_all([{"phone": "1"}] * 2, 0)) == [{"phone": "1"}] * 2
    assert plain(admission().admit({"phone": "1"}, 0)) == {"phone": "1"}


class Word(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        pytest.param(event(intid="\ud800"), "data[9].intid: got text; holds a lone surrogate", id="G4-text"),
        pytest.param(event(eventargs={"c": 2**63}), "data[9].eventargs.c: got int; takes whole", id="G5-int"),
        pytest.param(event(eventargs={1: P}), "data[9].eventargs: got int; takes text keys", id="G6-key"),
        pytest.param(
            event(eventargs={"c": {"x": 2**64}}), "data[9].eventargs.c.x: got int; takes whole", id="G5-nested"
        ),
        pytest.param(
            event(eventargs={"c": {"x": {1: 2}}}), "data[9].eventargs.c.x: got int; takes text", id="G6-nested"
        ),
    ],
)
def test_what_the_encoder_refuses_is_looked_at_again_and_explained(wire: Any, words: str) -> None:
    outcome = of_events().recheck(wire, 9)
    assert isinstance(outcome, Rejected)
    assert words in str(outcome)
    assert canary.leaks(repr(outcome)) == []


def test_what_the_encoder_refuses_for_its_type_only_is_repaired() -> None:
    repaired = of_events().recheck(event(eventargs={Word("c"): 1}), 9)
    assert repaired == event(eventargs={"c": 1})
    assert orjson.dumps(repaired)


class Raising(str):
    """A text of the user's that cannot be read."""

    __slots__ = ()

    def encode(self, *_: Any, **__: Any) -> bytes:
        raise KeyError(P)


@pytest.mark.breakage("admission: let what a second look raises out")
def test_a_text_that_raises_costs_its_record_and_not_the_run() -> None:
    admit = of_events()
    made = admit.admit(event(intid=Raising("x")), 9)
    outcome = made if isinstance(made, Rejected) else admit.recheck(made, 9)
    assert isinstance(outcome, Rejected)
    assert "raised KeyError when it was read" in str(outcome)
    assert canary.leaks(repr(outcome)) == []


def test_a_record_has_the_same_bytes_whoever_copied_it() -> None:
    plain_args, others = {"a": [1]}, {"a": (1,)}
    by_struct, by_reference = (of_events().admit(event(eventargs=args), 7) for args in (plain_args, others))
    assert [type(by_struct) is dict, type(by_reference) is dict] == [False, True]
    assert json_bytes(by_struct) == json_bytes(by_reference)


def no(position: int) -> Rejected:
    return rejection(position, [At(f"data[{position}]").problem(None, "is required")])


@pytest.mark.parametrize(
    ("are_good", "groups"),
    [
        ("", []),
        ("++", [(7, 2)]),
        ("-", [7]),
        ("+-", [(7, 1), 8]),
        ("-+", [7, (8, 1)]),
        ("++--+", [(7, 2), 9, 10, (11, 1)]),
    ],
    ids=["nothing", "all-good", "all-bad", "bad-at-the-end", "bad-at-the-start", "bad-in-the-middle"],
)
def test_records_between_rejections_stay_together(are_good: str, groups: list[Any]) -> None:
    items: list[Any] = [{"phone": "1"} if sign == "+" else no(position) for position, sign in enumerate(are_good, 7)]
    assert [
        (group.first, len(group.wires)) if isinstance(group, Admitted) else group.positions[0]
        for group in neighbours(items, 7)
    ] == groups


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 10**9))
def test_neighbours_keep_every_item_at_its_position_in_order(are_good: list[bool], first: int) -> None:
    items: list[Any] = [{"phone": str(n)} if is_good else no(n) for n, is_good in enumerate(are_good, first)]
    seen: list[tuple[int, Any]] = []
    for group in neighbours(items, first):
        if isinstance(group, Admitted):
            assert group.wires
            seen += enumerate(group.wires, group.first)
        else:
            seen.append((group.positions[0], group))
    assert seen == list(enumerate(items, first))
    changes = sum(a != b for a, b in pairwise(are_good))
    assert sum(isinstance(group, Admitted) for group in neighbours(items, first)) <= changes // 2 + 1


def test_where_a_record_stands_is_asked_of_its_iterator() -> None:
    @frozen
    class Lines:
        line_num: int = 7

    @frozen
    class Rows(Lines):
        def where(self) -> Place:
            return Place(row_group=1, row=2)

    assert [place_of(None), place_of(Lines()), place_of(Rows())] == [NOWHERE, Place(line=7), Place(row_group=1, row=2)]


def test_records_that_were_skipped_for_one_reason_are_one_outcome() -> None:
    def skipped(position: int, reason: str) -> Skipped:
        return Skipped(positions=Positions.of([position]), reason=reason)

    given = [skipped(1, "a"), skipped(2, "b"), skipped(3, "a")]
    found = [(list(one.positions), one.reason) for one in together(given)]
    assert found == [([1, 3], "a"), ([2], "b")]
