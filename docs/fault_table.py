"""Write the table of faults in `docs/reliability.md` from `faults.toml` and the tests: `python docs/fault_table.py`; a test compares.

The tests are read, not run: a test of a fault has the fault's id in its name, and what else the table says of it is in its
marks.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path

from attrs import define, frozen

from benchmarks import pages

DOCS = Path(__file__).parent
PAGE = DOCS / "reliability.md"
TESTS = DOCS.parent / "tests"
HEAD = "| | fault | what comes of it | tests | breakages that turned them red | skipped or failing because |\n|---|---|---|---|---|---|"
#: Most files have neither a fault's id in a test's name nor a condition that others share; they need not be parsed.
_OF_INTEREST = re.compile(r"^needs_\w+ =|def test_(\w+_)?[a-z]\d+(_|\b)", re.MULTILINE)
_CONDITIONS = {"skip", "skipif", "xfail"}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@frozen(kw_only=True)
class Test:
    """A test of some faults: `file::name`, the breakages that were seen to turn it red, the reasons for which it may not run."""

    name: str
    faults: frozenset[str]
    breakages: tuple[str, ...]
    reasons: tuple[str, ...]


def faults() -> dict[str, dict[str, tuple[str, str]]]:
    """By the title of its part and its id, each fault and what comes of it."""
    return tomllib.loads((DOCS / "faults.toml").read_text(encoding="utf-8"))


def known() -> dict[str, str]:
    """The id of each fault, by the word for it in a test's name."""
    return {fault.lower(): fault for part in faults().values() for fault in part}


@cache
def tests() -> list[Test]:
    """Every test of a fault, by file and line."""
    files = [_File(path) for path in sorted(TESTS.rglob("*.py")) if _OF_INTEREST.search(path.read_text("utf-8"))]
    shared = {name: node for file in files for name, node in file.named.items() if name.startswith("needs_")}
    words = known()
    return [test for file in files if file.path.name.startswith("test_") for test in file.tests(words, shared)]


@define(slots=False)
class _File:
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_bytes())

    @cached_property
    def named(self) -> dict[str, ast.AST]:
        """What the module's own names stand for."""
        found: dict[str, ast.AST] = {}
        for node in self.tree.body:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    found[name] = node
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    found[name] = node
                case _:
                    pass
        return found

    def tests(self, words: dict[str, str], shared: dict[str, ast.AST]) -> Iterator[Test]:
        names = shared | self.named
        for path in self._definitions(self.tree.body):
            about = frozenset(words[word] for word in path[-1].name.split("_") if word in words)
            if not about:
                continue
            marked: list[ast.AST] = [*path[-1:], *(mark for one in path[:-1] for mark in one.decorator_list)]
            if "pytestmark" in self.named:
                marked.append(self.named["pytestmark"])
            calls = list(_calls(marked, names))
            yield Test(
                name="::".join([self.path.relative_to(TESTS.parent).as_posix(), *(one.name for one in path)]),
                faults=about,
                breakages=_unique(_text(call.args) for word, call in calls if word == "breakage"),
                reasons=_unique(
                    _text([one.value for one in call.keywords if one.arg == "reason"] or call.args)
                    for word, call in calls
                    if word in _CONDITIONS
                ),
            )

    def _definitions(self, body: Iterable[ast.AST]) -> Iterator[tuple[Definition, ...]]:
        """Each test function, with the class that holds it before it."""
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                yield from ((node, *inner) for inner in self._definitions(node.body))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield (node,)


def _calls(nodes: Iterable[ast.AST], names: dict[str, ast.AST]) -> Iterator[tuple[str, ast.Call]]:
    """Every call of something with a dotted name, by its last word, in these nodes and whatever they name."""
    waiting, seen = list(nodes), set[str]()
    for node in waiting:  # it grows meanwhile
        for inner in ast.walk(node):
            match inner:
                case ast.Call(func=ast.Attribute(attr=word)):
                    yield word, inner
                case ast.Name(id=name) | ast.arg(arg=name) if name in names and name not in seen:
                    seen.add(name)
                    waiting.append(names[name])
                case _:
                    pass


def _text(arguments: list[ast.expr]) -> str:
    return str(ast.literal_eval(arguments[0])) if arguments else ""


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def table() -> str:
    """A table for each part, a row for each fault."""
    found = tests()
    parts = [
        "\n".join([f"### {title}\n", HEAD, *(_row(fault, *words, found) for fault, words in rows.items()), ""])
        for title, rows in faults().items()
    ]
    return "\n".join(parts)


def _row(fault: str, what: str, outcome: str, found: list[Test]) -> str:
    own = [test for test in found if fault in test.faults]
    names = [f"`{test.name}`" for test in own]
    breakages = _unique(text for test in own for text in test.breakages)
    reasons = _unique(text for test in own for text in test.reasons)
    cells = [fault, what, outcome, *map("<br>".join, (names, breakages, reasons))]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def filled(text: str) -> str:
    """The page with the table between its marks."""
    return pages.filled(text, "faults", table())


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
