"""The names under which a user declares a resource are there, and are the package's own."""

from __future__ import annotations

import pytest

import asyncimport
from asyncimport import declaration, fields, resources, shape


@pytest.mark.parametrize("name", declaration.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(declaration, name) is not None


def test_they_are_no_copies() -> None:
    assert declaration.Resource is resources.Resource is asyncimport.Resource
    assert (declaration.wire, declaration.JsonList) == (shape.wire, fields.JsonList)


def test_every_kind_and_rule_of_the_package_is_among_them() -> None:
    of_package = {
        name
        for module in (fields, shape)
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and ({"copy", "check"} & set(vars(value)))
    }
    assert of_package - {"Kind", "_JsonCopy"} <= set(declaration.__all__)
