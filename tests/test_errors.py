from __future__ import annotations

import inspect
import pickle
import re
from datetime import UTC, datetime
from typing import Any

import canary
import pytest

import asyncimport
from asyncimport import errors
from asyncimport.errors import (
    AsyncImportError,
    AuthError,
    ConfigError,
    IncompleteImport,
    SourceError,
    StateError,
    TooManyRejected,
    UploadStalled,
    ValidationError,
)
from asyncimport.fields import At
from asyncimport.outcome import Tally

ALL = [
    AuthError,
    ConfigError,
    IncompleteImport,
    SourceError,
    StateError,
    TooManyRejected,
    UploadStalled,
    ValidationError,
]


def drawn() -> dict[str, str]:
    """Each name of the drawing in the module's docstring, and the name it hangs on."""
    lines = (errors.__doc__ or "").splitlines()
    path: list[tuple[int, str]] = [(-1, "Exception")]
    tree: dict[str, str] = {}
    for line in lines:
        match = re.match(r"([│├└─ ]*)([A-Z]\w+)(\s{2,}.*)?$", line)
        if match is None or "report" in line.split(match[2])[0]:
            continue
        depth = len(match[1])
        while path[-1][0] >= depth:
            path.pop()
        tree[match[2]] = path[-1][1]
        path.append((depth, match[2]))
    return tree


def test_the_drawing_is_the_tree() -> None:
    classes = {
        name: kind.__base__.__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, Exception) and kind.__base__ is not None
    }
    assert drawn() == classes
    assert len(classes) >= 9


def test_every_error_is_exported() -> None:
    assert {name for name in drawn() if getattr(asyncimport, name, None) is getattr(errors, name)} == set(drawn())


PROBLEM = At("data[3]").key("phone").problem(7, "takes text")
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (SourceError("the source raised", position=41), {"position": 41}),
        (ValidationError("bad", [PROBLEM]), {"problems": (PROBLEM,)}),
        (UploadStalled("wait", resume_at=MOMENT), {"resume_at": MOMENT}),
        *((kind("a sentence"), {}) for kind in ALL),
    ],
    ids=lambda given: type(given).__name__,
)
def test_an_error_survives_pickling_with_what_it_carries(error: AsyncImportError, attributes: dict[str, Any]) -> None:
    error.report = Tally(resource="users", run_id="r", started_at=0.0).report(1.0)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert {name: getattr(back, name) for name in attributes} == attributes
    assert back.report == error.report
    assert canary.scan(back) == []


@pytest.mark.parametrize("kind", ALL)
def test_an_error_that_ended_no_run_has_no_report(kind: type[AsyncImportError]) -> None:
    assert kind("x").report is None
    assert isinstance(kind("x"), AsyncImportError)


def test_defaults_say_that_nothing_is_known() -> None:
    assert (ValidationError("x").problems, SourceError("x").position, UploadStalled("x").resume_at) == ((), 0, None)
