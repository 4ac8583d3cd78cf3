"""What a checkout is built, checked and shipped with: locked by hashes, asked about known holes, the same bytes each time."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path

import pytest
from hatchling.build import build_wheel

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
DEV = ROOT / "requirements" / "dev.lock"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: Path) -> dict[str, tuple[str, list[str]]]:
    """The version and the hashes of each package of a lock."""
    joined = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in joined.splitlines():
        pinned = re.match(r"([\w.-]+)==(\S+)", line)
        assert pinned, line
        found[normal(pinned[1])] = (pinned[2], re.findall(r"--hash=sha256:([0-9a-f]{64})(?= |$)", line))
    return found


@pytest.mark.breakage("requirements: take the hashes of one package out; name where a package comes from")
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_version_of_a_lock_has_its_hashes_and_no_origin(lock: Path) -> None:
    packages = locked(lock)
    assert packages
    assert [name for name, (_, hashes) in packages.items() if not hashes] == []
    assert not re.search(r"://|^ *-", lock.read_text(encoding="utf-8").replace("    --hash", ""), re.MULTILINE)


@pytest.mark.breakage("pyproject: need one more package, or a higher floor")
def test_the_lock_holds_all_that_the_package_and_its_tests_need() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["cli"], *extras["dev"]]
    packages = locked(DEV)
    for requirement in needed:
        name, floor = re.fullmatch(r"([\w-]+)(?:\[\w+\])?(?:>=([\d.]+))?.*", requirement).groups()  # type: ignore[union-attr] # or it fails
        if normal(name) == "asyncimport":
            continue
        version = [int(part) for part in re.findall(r"\d+", packages[normal(name)][0])]
        assert version >= [int(part) for part in floor.split(".")], requirement


@pytest.mark.breakage("Makefile: install the development packages without --require-hashes")
def test_make_installs_by_hashes_alone() -> None:
    installs = re.findall(r"pip \$\(INSTALL\)(.*)", MAKEFILE)
    assert len(installs) == 6
    free = [one.strip() for one in installs if "--require-hashes" not in one]
    # The package itself with nothing else, the program that writes the locks, and the peers, which nothing of ours needs.
    assert free == ["--no-deps --no-build-isolation -e .", "uv", "--no-deps -r requirements/peers.txt"]


def audited(folder: Path, program: str) -> tuple[int, str]:
    """What the audit says when pip-audit is this program."""
    pip_audit = folder / "pip-audit"
    pip_audit.write_text(f"#!{sys.executable}\nimport sys\n{program}\n", encoding="utf-8")
    pip_audit.chmod(stat.S_IRWXU)
    command = [sys.executable, str(ROOT / ".ci" / "audit.py"), str(pip_audit), "dev.lock"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def report(*packages: Mapping[str, object]) -> str:
    return f"print({json.dumps({'dependencies': packages})!r})"


SOUND = {"name": "sound", "version": "1", "vulns": []}
HOLED = {"name": "holed", "version": "2", "vulns": [{"id": "CVE-1"}]}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}


@pytest.mark.breakage("audit: return 0; take a failure for a hole; count what was skipped as audited; do not say why")
@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        (report(SOUND), 0, "1 audited, 0 nobody could be asked about"),
        (report(SOUND, HOLED) + "; sys.exit(1)", 1, "holed 2: CVE-1"),
        (report(SOUND, UNKNOWN), 0, "1 audited, 1 nobody could be asked about"),
        ("sys.exit('no route to host')", 0, "not audited, nobody could be asked (no route to host)"),
        ("print('{}')", 0, "not audited, nobody could be asked (no report)"),
    ],
    ids=["sound", "hole", "unknown", "unreachable", "no report"],
)
def test_an_audit_fails_for_a_known_hole_and_for_nothing_else(
    tmp_path: Path, program: str, code: int, said: str
) -> None:
    ended, out = audited(tmp_path, program)
    assert ended == code
    assert said in out


def test_the_continuous_checks_audit_too() -> None:
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    audits = [line.startswith("make audit") for line in run]
    assert audits.index(True) < run.index("make test")
    assert "\naudit:\n" in MAKEFILE


@pytest.mark.breakage("pyproject: reproducible = false for the wheel")
def test_a_wheel_built_twice_has_the_same_bytes(tmp_path: Path) -> None:
    wheels = []
    for name, moment in (("one", 1_600_000_000), ("two", 1_700_000_000)):
        tree = tmp_path / name
        for folder in ("asyncimport", "examples"):
            shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / file, tree / file)
        for path in tree.rglob("*"):
            os.utime(path, (moment, moment))
        with chdir(tree):
            wheels.append(tree / build_wheel("."))
    one, two = wheels
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()
