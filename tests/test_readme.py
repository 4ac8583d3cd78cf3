"""The README is true: its code runs, its numbers are the benchmark's, and it stays short."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

import asyncimport
from asyncimport import DispatchPolicy, HttpOptions, RunOptions
from benchmarks import readme

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def ran(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_numbers(text: str) -> list[str]:
    return [re.sub(r"[\d,.]+", "#", line).strip() for line in text.strip().splitlines()]


def test_the_first_example_prints_what_the_readme_shows() -> None:
    shown = re.search(r"```text\n(users: .*?)```", TEXT, re.DOTALL)
    assert shown is not None
    assert without_numbers(ran(BLOCKS[0])) == without_numbers(shown[1])


@pytest.mark.parametrize("code", BLOCKS[1:], ids=lambda code: code.splitlines()[2][:40])
def test_the_other_examples_run_and_print_what_their_comments_say(code: str) -> None:
    printed = ran(code)
    for said in re.findall(r"print\(.*\)  # (.*)", code):
        assert said in printed


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's quick start")
def test_the_quick_start_of_the_command_runs_as_written(tmp_path: Path) -> None:
    (block,) = re.findall(r"## Quick start.*?```console\n(.*?)```", TEXT, re.DOTALL)
    lines = [line.removeprefix("$ ").partition("  #")[0] for line in block.splitlines()]
    assert lines.pop(0) == 'pip install "asyncimport[cli]"'  # done where these tests run
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = "\n".join(lines).replace("8080", str(port)).replace("examples/", f"{README.parent}/examples/")
    waiting = f"until (echo > /dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.1; done"
    binaries = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script.replace("\nexport", f"\n{waiting}\nexport") + "\necho $?\nkill %1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PATH": binaries},
    )
    assert "5,000 read = 4,993 accepted + 7 rejected" in done.stdout, done.stderr
    assert "5,000 read, 7 with errors" in done.stdout
    assert done.stdout.splitlines()[-1] == "1"
    assert len((tmp_path / "rejects.ndjson").read_text(encoding="utf-8").splitlines()) == 7


def test_its_numbers_are_those_of_the_results() -> None:
    assert readme.filled(TEXT) == TEXT


def test_it_names_every_option() -> None:
    for kind in (DispatchPolicy, HttpOptions):
        for field in attrs.fields(kind):
            assert f"`{field.name}`" in TEXT, field.name
    for option in RunOptions.__annotations__:
        assert f"`{option}`" in TEXT, option
    for name in asyncimport.__all__:
        if name.endswith("Error"):
            assert f"`{name}`" in TEXT, name


def test_it_is_at_most_200_lines() -> None:
    assert len(TEXT.splitlines()) <= 200
