"""The deliberate breakages have not rotted: each still fits its module, its tests exist, and the page tells of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import canary
import pytest

from tests.mutations import MUTATIONS, PAGE, ROOT, Mutation, Result, failures, id_of, row

#: What pytest's report has in a test that did not pass.
KINDS = ("failure", "error", "skipped")
by_name = pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)


@by_name
def test_its_text_is_in_the_module_once_and_what_it_makes_is_python(mutation: Mutation) -> None:
    source = (ROOT / "asyncimport" / mutation.module).read_text(encoding="utf-8")
    broken = mutation.applied(source)
    assert ast.dump(ast.parse(broken)) != ast.dump(ast.parse(source))


@pytest.mark.parametrize("source", ["", "x = 1\nx = 1\n"], ids=["gone", "twice"])
def test_one_whose_text_is_not_there_once_has_rotted(source: str) -> None:
    mutation = Mutation(name="a", module="b.py", text="x = 1", replacement="x = 2", says="c")
    with canary.raises(ValueError, match="has rotted"):
        mutation.applied(source)


@by_name
def test_every_test_named_with_it_exists(mutation: Mutation) -> None:
    for node in (mutation.says, *mutation.tests):
        path, *names = node.split("::")
        inside: ast.AST = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        for name in names:
            found = [one for one in ast.iter_child_nodes(inside) if getattr(one, "name", None) == name]
            assert found, node
            inside = found[0]


def test_the_page_names_every_one_as_it_was_last_run() -> None:
    _, begun = PAGE.read_text(encoding="utf-8").split("<!-- mutations -->\n")
    _head, _line, *rows = begun.partition("<!-- /mutations -->")[0].splitlines()
    counts = [int(found) for line in rows for found in re.findall(r" \| (\d+) \| ", line)]
    assert 0 not in counts
    expected = [row(Result(one, count)) for one, count in zip(MUTATIONS, counts, strict=True)]
    assert rows == expected, "run `python tests/mutations.py --write`"


def test_only_tests_that_failed_count_as_red(tmp_path: Path) -> None:
    cases = "".join(f"<testcase classname='tests.test_a.TestB' name='{kind}'><{kind}/></testcase>" for kind in KINDS)
    (tmp_path / "report.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>", encoding="utf-8")
    assert failures(tmp_path / "report.xml") == (id_of("tests/test_a.py::TestB::failure"),)
