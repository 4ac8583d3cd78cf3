"""The public names: each is there, lives where the package says, and costs nothing until it is asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import canary
import pytest

import asyncimport

TREE = ast.parse(Path(asyncimport.__file__).read_text(encoding="utf-8"))


def typed_names() -> set[str]:
    """What a type checker sees: the names of the imports that do not run, and the version."""
    block = next(node for node in TREE.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in imports for alias in node.names} | {"__version__"}


@pytest.mark.parametrize("name", asyncimport.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(asyncimport, name) is not None


def test_names_homes_and_types_agree() -> None:
    assert set(asyncimport.__all__) == typed_names() == set(asyncimport._HOME_OF) | {"__version__"}
    assert set(asyncimport.__all__) <= set(dir(asyncimport))


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with canary.raises(AttributeError, match="no attribute 'ImportKlient'"):
        _ = asyncimport.ImportKlient


def modules_after(code: str) -> set[str]:
    lines = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_no_network() -> None:
    assert not {"aiohttp", "cattrs", "asyncio"} & modules_after("import asyncimport")


def test_importing_the_client_does() -> None:
    assert "aiohttp" in modules_after("from asyncimport import ImportClient")
