"""The direction of imports: values and decisions know neither the loop, nor the network, nor a clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import asyncimport

ROOT = Path(asyncimport.__file__).parent
VALUES = [
    "errors", "fields", "shape", "records", "configs", "resources", "declaration", "unreadable", "batch", "outcome",
    "admission", "quick", "guard", "structs", "chunker", "codec", "attempt", "policy", "options", "verdict", "retry", "gate",
    "limit", "rate", "stats", "breaker", "split", "plan", "ending", "rejects", "window", "contact", "redaction", "address", "secret", "mark", "place", "renewal",
    "canonical", "keys", "order", "duplicates", "derived", "treatment",
    "journal.entry", "journal.change", "journal.known", "journal.fingerprint", "journal.recut",
    "sources.faults", "sources.mapping", "sources.target", "sources.cells", "sources.binding",
    "sources.header",
]  # fmt: skip
CLOCKS = {"asyncio", "aiohttp", "time", "threading", "asyncimport.clock"}
OUTSKIRTS = ("asyncimport.emulator", "asyncimport.cli", "asyncimport.integrations")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import that runs, inside functions too; those for the type checker alone do not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from imports(node)


def imported(tree: ast.AST, modules: set[str]) -> set[str]:
    names: set[str] = set()
    for node in imports(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
            continue
        assert node.level == 0, "imports are absolute"
        module = node.module or ""
        inside = {f"{module}.{alias.name}" for alias in node.names} & modules
        names |= inside or {module}
    return names


SOURCES = {name_of(path): path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}
GRAPH = {name: imported(ast.parse(source), set(SOURCES)) for name, source in SOURCES.items()}
CORE = [name for name in GRAPH if not name.startswith(OUTSKIRTS)]


def reached(start: str) -> set[str]:
    """Everything a module imports, directly or through modules of the package."""
    seen, ahead = set[str](), [start]
    while ahead:
        new = GRAPH.get(ahead.pop(), set()) - seen
        seen |= new
        ahead += new
    return seen


def is_below(name: str, roots: tuple[str, ...] | set[str]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


@pytest.mark.parametrize("module", VALUES)
def test_values_and_decisions_import_no_loop_no_network_and_no_clock(module: str) -> None:
    assert f"asyncimport.{module}" in GRAPH
    assert {name for name in reached(f"asyncimport.{module}") if is_below(name, CLOCKS)} == set()


@pytest.mark.parametrize("module", VALUES)
def test_values_and_decisions_import_values_and_decisions_only(module: str) -> None:
    ours = {name for name in reached(f"asyncimport.{module}") if is_below(name, ("asyncimport",))}
    assert ours <= {f"asyncimport.{value}" for value in VALUES}


def test_only_the_transport_its_connections_and_the_emulator_know_aiohttp() -> None:
    knowing = {name for name, names in GRAPH.items() if any(is_below(one, ("aiohttp",)) for one in names)}
    assert "asyncimport.transport" in knowing
    core = {name for name in knowing if not is_below(name, ("asyncimport.emulator",))}
    assert core == {"asyncimport.transport", "asyncimport.connections"}


def test_the_core_never_imports_what_stands_around_it() -> None:
    assert len(CORE) > len(VALUES)
    found = {(name, one) for name in CORE for one in GRAPH[name] if is_below(one, OUTSKIRTS)}
    assert found == set()


def test_only_the_command_knows_typer_and_rich() -> None:
    found = {
        name
        for name, names in GRAPH.items()
        if not is_below(name, ("asyncimport.cli",)) and any(is_below(one, ("typer", "rich", "click")) for one in names)
    }
    assert found == set()


def test_no_module_imports_itself_through_others() -> None:
    circles = {name for name in CORE if name in reached(name)}
    assert circles == set()


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import time", {"time"}),
        ("import os.path as p", {"os.path"}),
        ("from asyncimport import clock", {"asyncimport.clock"}),
        ("from asyncimport.clock import Bell", {"asyncimport.clock"}),
        ("def f():\n    import asyncio", {"asyncio"}),
        ("if TYPE_CHECKING:\n    import asyncio", set()),
        ("try:\n    import rich\nexcept ImportError:\n    pass", {"rich"}),
    ],
)
def test_an_import_is_seen_wherever_it_stands(source: str, names: set[str]) -> None:
    assert imported(ast.parse(source), {"asyncimport.clock"}) == names
