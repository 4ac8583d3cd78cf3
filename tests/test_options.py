from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_type_hints

import attrs
import canary
import pytest

from asyncimport.errors import ConfigError
from asyncimport.options import Options, RunOptions
from asyncimport.policy import DispatchPolicy, Share

POLICY = DispatchPolicy()


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("policy", None, "DispatchPolicy"),
        ("policy", {"batch_size": 1}, "DispatchPolicy"),
        ("max_rejected", -1, "0 or more"),
        ("max_rejected", 0.01, "int or Share"),
        ("max_rejected", True, "int or Share"),
        ("max_rejected", "5", "int or Share"),
        ("deadline", 0, "above 0"),
        ("deadline", -1.5, "above 0"),
        ("deadline", math.nan, "above 0"),
        ("deadline", True, "int or float"),
        ("deadline", "60", "int or float"),
        ("rejects", b"file", "str or PathLike"),
        ("on_unknown", "retry", "resend, park"),
        ("on_unknown", None, "resend, park"),
        ("journal", b"file", "str or PathLike"),
        ("journal", "", "the path of a file"),
        ("journal", "a\0b", "the path of a file"),
        ("journal", "a\udcff", "the path of a file"),
        ("rejects", "", "the path of a file"),
        ("spool", 1, "True or False"),
        ("source_id", 7, "str"),
        ("on_reject", "print", "a callable"),
        ("memo", [], "Mapping"),
        ("memo", {"a": {1}}, "plain JSON values"),
        ("on_unknown", [], "resend, park"),
    ],
    ids=repr,
)
def test_a_value_that_cannot_work_is_refused_by_name(name: str, value: Any, takes: str) -> None:
    given: dict[str, Any] = {"policy": POLICY} | {name: value}
    with canary.raises(ConfigError, match=f"{name} takes .*{takes}"):
        Options(**given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"max_rejected": 0},
        {"max_rejected": Share(0.01)},
        {"deadline": 60},
        {"deadline": 0.5},
        {"on_unknown": "park"},
        {"max_rejected": None, "deadline": None},
        {"rejects": "rejects.ndjson"},
        {"rejects": Path("rejects.ndjson")},
        {"journal": "users.journal"},
        {"journal": Path("users.journal"), "spool": True, "source_id": "crm", "memo": {"a": [1]}},
        {"on_reject": print},
    ],
    ids=repr,
)
def test_good_values_are_kept(given: dict[str, Any]) -> None:
    defaults: dict[str, Any] = dict.fromkeys(get_type_hints(RunOptions))
    defaults |= {"policy": POLICY, "on_unknown": "resend", "spool": False}
    assert attrs.asdict(Options(policy=POLICY, **given), recurse=False) == defaults | given


@pytest.mark.parametrize("given", [{"spool": True}, {"source_id": "crm"}, {"memo": {"a": 1}}], ids=repr)
def test_what_belongs_to_a_journal_needs_one(given: dict[str, Any]) -> None:
    with canary.raises(ConfigError, match=f"{next(iter(given))} needs a journal"):
        Options(policy=POLICY, **given)


def test_what_a_caller_may_name_is_what_is_checked() -> None:
    assert set(get_type_hints(RunOptions)) == {attribute.name for attribute in attrs.fields(Options)}
