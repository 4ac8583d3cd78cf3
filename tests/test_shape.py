from __future__ import annotations

from types import MappingProxyType
from typing import Any, ClassVar

import canary
import pytest
from attrs import define, field

from asyncimport.fields import At, Flag, Int64, ListOf, Problem, Text
from asyncimport.shape import NamesFilled, Needs, NeedsOneOf, ObjectOf, Requirement, copy_record, shape_of, wire


@define(kw_only=True)
class Door:
    width_mm: int | None = field(default=None, metadata=wire("widthMm", Int64(), required=True))
    lock: str | None = field(default=None, metadata=wire("lock", Text()))
    is_open: bool | None = field(default=None, metadata=wire("isOpen", Flag()))
    REQUIREMENTS: ClassVar[tuple[Requirement, ...]] = (Needs("lock", "isOpen"),)


@define(kw_only=True)
class House:
    kind: str | None = field(default=None, metadata=wire("kind", Text()))
    owner: str | None = field(default=None, metadata=wire("ownerName", Text()))
    doors: list[Any] | None = field(default=None, metadata=wire("doors", ListOf(item=ObjectOf(record=Door))))
    REQUIREMENTS: ClassVar[tuple[Requirement, ...]] = (NamesFilled("kind", {"owned": "ownerName"}),)


class Exact:
    is_exact = True


def copied(given: Any, config: object = None) -> tuple[dict[str, Any], list[str]]:
    problems: list[Problem] = []
    out = copy_record(shape_of(House), given, At("data[3]"), problems, config)
    assert canary.leaks(repr(problems)) == []
    return out, [str(problem).removeprefix("data[3]") for problem in problems]


class Villa(House):
    """A record of a user's own class."""

    __slots__ = ()


def test_a_subclass_is_read_as_its_record_is() -> None:
    assert copied(Villa(kind="owned", owner="x")) == copied(House(kind="owned", owner="x"))


def test_a_deleted_attribute_is_absent_but_of_a_subclass_it_is_a_fault() -> None:
    house, villa = House(kind="rented", owner="x"), Villa(kind="rented", owner="x")
    del house.owner, villa.owner
    assert copied(house) == ({"kind": "rented"}, [])
    with canary.raises(AttributeError):
        copied(villa)


def test_a_shape_is_read_once_and_knows_both_names() -> None:
    shape = shape_of(House)
    assert shape_of(House) is shape
    assert [(spec.name, spec.wire, spec.required) for spec in shape_of(Door).fields] == [
        ("width_mm", "widthMm", True),
        ("lock", "lock", False),
        ("is_open", "isOpen", False),
    ]
    assert shape.by_name["owner"] is shape.by_name["ownerName"]


WIRE = {"ownerName": canary.PERSON, "doors": [{"widthMm": 900}, {"widthMm": 1, "lock": "a", "isOpen": False}]}


@pytest.mark.parametrize(
    "given",
    [
        WIRE,
        {"owner": canary.PERSON, "doors": [{"width_mm": 900}, {"widthMm": 1, "lock": "a", "is_open": False}]},
        MappingProxyType({**WIRE, "kind": None}),
        House(owner=canary.PERSON, doors=[Door(width_mm=900), {"widthMm": 1, "lock": "a", "isOpen": False}]),
    ],
    ids=["wire-names", "python-names", "any-mapping", "instances"],
)
def test_a_record_has_one_wire_form_however_it_is_written(given: Any) -> None:
    assert copied(given) == (WIRE, [])


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(None, [": got nothing; takes a House or a mapping of its fields"], id="G2-none"),
        pytest.param([WIRE], [": got list; takes a House or a mapping of its fields"], id="G2-list"),
        pytest.param(Door(), [": got Door; takes a House or a mapping of its fields"], id="G2-another-record"),
        pytest.param(
            (w for w in [WIRE]), [": got generator; takes a House or a mapping of its fields"], id="G2-nested"
        ),
        pytest.param({"size": 1}, [".size: got an unknown field; is no field of this record"], id="unknown"),
        pytest.param({"size": None}, [".size: got an unknown field; is no field of this record"], id="unknown-absent"),
        pytest.param({1: "x"}, [": got int; takes text keys only"], id="G6-key"),
        pytest.param(
            {"owner": "x", "ownerName": canary.PERSON},
            [".ownerName: got text; is given twice, by both of its names"],
            id="twice",
        ),
        pytest.param(
            {"doors": [{}, 7, {"widthMm": 1, "lock": "x"}]},
            [
                ".doors[0].widthMm: got nothing; is required",
                ".doors[1]: got int; takes a Door or a mapping of its fields",
                ".doors[2].isOpen: got nothing; is required when lock is given",
            ],
            id="several-at-once",
        ),
    ],
)
def test_what_breaks_the_declarations_is_named_with_its_place(given: Any, problems: list[str]) -> None:
    assert copied(given)[1] == problems


def test_a_name_given_twice_counts_once_when_one_of_them_is_absent() -> None:
    assert copied({"owner": None, "ownerName": "x"}) == ({"ownerName": "x"}, [])


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({}, [".kind: got nothing; is required with exact matching"]),
        ({"kind": ""}, [".kind: got an empty string; is required with exact matching"]),
        (
            {"kind": "owned"},
            [".ownerName: got nothing; is required with exact matching when kind names it"],
        ),
        (
            {"kind": "owned", "owner": ""},
            [".ownerName: got an empty string; is required with exact matching when kind names it"],
        ),
        ({"kind": "owned", "owner": "x"}, []),
        ({"kind": "rented"}, []),
        ({"kind": 7}, [".kind: got int; takes text: write the number as a string"]),
    ],
    ids=["nothing-named", "empty-name", "not-filled", "filled-with-nothing", "filled", "open-set", "one-fault-once"],
)
def test_exact_matching_asks_for_the_field_that_another_names(given: Any, problems: list[str]) -> None:
    assert copied(given, Exact())[1] == problems
    assert [problem for problem in copied(given)[1] if "exact" in problem] == []


@pytest.mark.parametrize(
    ("wire_form", "problems"),
    [
        ({}, []),
        ({"kind": "rented"}, []),
        ({"kind": "owned", "since": 0}, []),
        ({"kind": "owned", "ownerName": "", "deed": "x"}, []),
        ({"kind": "owned"}, ["ownerName: got nothing; is needed, or deed or since, when kind is owned"]),
        (
            {"kind": "owned", "ownerName": "", "deed": ""},
            ["ownerName: got an empty string; is needed, or deed or since, when kind is owned"],
        ),
    ],
)
def test_a_value_of_one_field_asks_for_one_of_several_others(wire_form: dict[str, Any], problems: list[str]) -> None:
    found: list[Problem] = []
    NeedsOneOf("kind", "owned", ("ownerName", "deed", "since")).check(wire_form, At(), found, None)
    assert list(map(str, found)) == problems
