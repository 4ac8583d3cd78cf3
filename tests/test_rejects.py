"""Rejected records as lines: whatever is wrong with a record, its line is JSON that a person can repair and send again."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Broken

from asyncimport.batch import Positions
from asyncimport.fields import At
from asyncimport.outcome import Rejected, Unconfirmed, Unsent
from asyncimport.place import Place
from asyncimport.records import CustomField, Event, Identity, UserProfile
from asyncimport.rejects import Lines, Rejection, each_rejected, json_of, not_kept, wires_body
from asyncimport.unreadable import Unreadable

LINES = Lines(resource="users", run_id="0123456789abcdefghij", params={"importMode": 2}, is_stamped=False)
SETTLED_MS = 1_769_860_800_007


class Unsayable:
    """A value that cannot even be made text."""

    def __str__(self) -> str:
        raise RuntimeError


def endless() -> list[Any]:
    items: list[Any] = [1]
    items += [items, items]
    return items


@pytest.mark.parametrize(
    ("record", "kept"),
    [
        ({"thirdId": "1", "age": 7}, {"thirdId": "1", "age": 7}),
        (UserProfile(third_id="1", sex="x"), {"thirdId": "1", "sex": "x"}),
        (
            UserProfile(custom_fields=[CustomField(config_id=1, values=["a"])]),
            {"customFields": [{"configId": 1, "values": ["a"]}]},
        ),
        (
            Event(identities=[Identity(identity_value="v", identity_type="phone")], event_key=""),
            {"identities": [{"identityValue": "v", "identityType": "phone"}], "eventKey": ""},
        ),
        ({"a": math.nan, "b": -math.inf}, {"a": "nan", "b": "-inf"}),
        ({"a": 2**70, 3: "b"}, {"a": str(2**70), "3": "b"}),
        ({"a": 10**5000}, {"a": "<int>"}),
        ({"a": "\ud800x"}, {"a": "\\ud800x"}),
        ({"a": b"\xffx"}, {"a": "\\xffx"}),
        ({"a": Decimal("1.5"), "b": datetime(2026, 1, 31, tzinfo=UTC)}, {"a": "1.5", "b": "2026-01-31T00:00:00+00:00"}),
        ({"a": Unsayable()}, {"a": "<Unsayable>"}),
        (Broken(), "<Broken>"),
        ("no record", "no record"),
        (None, None),
        (Unreadable(rule="is no JSON: here", text='{"a": '), '{"a": '),
        (Unreadable(rule="is no JSON: here"), None),
    ],
    ids=lambda value: "",
)
def test_a_record_is_kept_as_json_whatever_is_wrong_with_it(record: object, kept: object) -> None:
    assert json.loads(json_of(record)) == kept


def test_a_record_that_holds_itself_is_kept_in_bounds() -> None:
    assert len(json_of({"a": endless()})) < 10_000_000


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.integers(), st.lists))
def test_any_values_become_json(value: Any) -> None:
    assert json.loads(json_of({"value": value})).keys() == {"value"}


def test_a_record_refused_here_is_one_line_with_its_place_and_reason() -> None:
    problem = At("data[12]").key("sex").problem("x", "takes one of 男, 女")
    outcome = Rejected(
        positions=Positions.of([12]),
        reason=problem.reason,
        problems=(problem,),
        place=Place(line=14, offset=980),
        content=b'{"sex":"x"}',
    )
    (line,) = LINES.of(Rejection(outcome=outcome, body=b"", settled_ms=SETTLED_MS))
    assert line.text.endswith(b"\n")
    assert (line.position, line.state, line.reason) == (12, "rejected", "sex: takes one of 男, 女")
    assert json.loads(line.text) == {
        "record": {"sex": "x"},
        "state": "rejected",
        "uuid": None,
        "time": None,
        "reason": "sex: takes one of 男, 女",
        "code": None,
        "detail": "data[12].sex: got text; takes one of 男, 女",
        "resource": "users",
        "params": {"importMode": 2},
        "run_id": "0123456789abcdefghij",
        "position": 12,
        "line": 14,
        "offset": 980,
        "row_group": None,
        "row": None,
        "settled_at": "2026-01-31T12:00:00.007Z",
    }


def test_a_batch_that_the_platform_refused_is_a_line_for_each_of_its_records_as_sent() -> None:
    body = orjson.dumps({"publicParams": {"importMode": 2}, "data": [{"thirdId": "a"}, {"thirdId": "b"}]})
    outcome = Rejected(positions=Positions.of([3, 7]), reason="refused: code 100999", code="100999", message="no")
    lines = [json.loads(line.text) for line in LINES.of(Rejection(outcome=outcome, body=body, settled_ms=SETTLED_MS))]
    assert [(line["position"], line["record"], line["code"]) for line in lines] == [
        (3, {"thirdId": "a"}, "100999"),
        (7, {"thirdId": "b"}, "100999"),
    ]
    assert {line["detail"] for line in lines} == {"no"}


EVENT_LINES = Lines(resource="events", run_id="0123456789abcdefghij", params={}, is_stamped=True)


@pytest.mark.parametrize(
    ("record", "time_ms", "uuid", "time"),
    [
        ({"uuid": "mine", "time": 1_700_000_000_000}, None, "mine", 1_700_000_000_000),
        ({"eventKey": ""}, None, "0123456789abcdefghij" + "c".rjust(16, "0"), SETTLED_MS),
        ({"eventKey": ""}, 1_600_000_000_000, "0123456789abcdefghij" + "c".rjust(16, "0"), 1_600_000_000_000),
        ({"uuid": 7, "time": "soon"}, None, "0123456789abcdefghij" + "c".rjust(16, "0"), SETTLED_MS),
        ("no record", None, "0123456789abcdefghij" + "c".rjust(16, "0"), SETTLED_MS),
    ],
    ids=["given", "filled", "run's start", "no such values", "text"],
)
def test_an_events_line_has_the_id_and_the_time_that_it_was_or_would_have_been_sent_with(
    record: object, time_ms: int | None, uuid: str, time: int
) -> None:
    outcome = Rejected(positions=Positions.of([12]), reason="r", content=orjson.dumps(record))
    lines = attrs.evolve(EVENT_LINES, time_ms=time_ms)
    (line,) = lines.of(Rejection(outcome=outcome, body=b"", settled_ms=SETTLED_MS))
    assert (json.loads(line.text)["uuid"], json.loads(line.text)["time"]) == (uuid, time)


@pytest.mark.parametrize("kind", [Unconfirmed, Unsent])
def test_what_was_not_settled_is_a_line_for_each_record_too(kind: type[Any]) -> None:
    outcome = kind(positions=Positions.of([3, 4]), reason="cut off")
    body = wires_body([{"uuid": "a", "time": 1}, {"uuid": "b", "time": 2}])
    lines = list(EVENT_LINES.of(Rejection(outcome=outcome, body=body, settled_ms=SETTLED_MS)))
    assert [(line.position, line.state, line.reason) for line in lines] == [
        (3, kind.__name__.lower(), "cut off"),
        (4, kind.__name__.lower(), "cut off"),
    ]
    assert [json.loads(line.text)["uuid"] for line in lines] == ["a", "b"]


def test_records_of_which_only_the_places_are_known_have_lines_too() -> None:
    outcome = Unsent(positions=Positions.of([3, 4]), reason="the run broke off")
    lines = [json.loads(line.text) for line in EVENT_LINES.of(Rejection(outcome=outcome, body=b"", settled_ms=1))]
    assert [(line["position"], line["record"]) for line in lines] == [(3, None), (4, None)]


def test_what_never_was_a_batch_and_what_cannot_be_sent_is_kept_as_text() -> None:
    assert json.loads(wires_body([{"a": "\ud800"}, {"a": "b"}])) == {"data": [{"a": "\\ud800"}, {"a": "b"}]}


def test_each_record_of_a_refused_batch_is_a_rejection_of_its_own() -> None:
    outcome = Rejected(positions=Positions.of([3, 7]), reason="refused", code="100999")
    found = list(each_rejected(outcome, wires_body([{"thirdId": "a"}, {"thirdId": "b"}])))
    assert [(one.positions[0], one.count, one.record, one.code) for one in found] == [
        (3, 1, {"thirdId": "a"}, "100999"),
        (7, 1, {"thirdId": "b"}, "100999"),
    ]
    assert list(each_rejected(found[0], b"")) == [found[0]]


def test_nothing_of_a_record_is_kept_where_no_file_was_asked_for() -> None:
    assert not_kept({"thirdId": "1"}) == b""
