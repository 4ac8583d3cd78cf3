from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from terminal import CTRL_C, Terminal

from asyncimport.cli.demo import SCRIPT, agrees, compared, in_a_sentence, in_words
from asyncimport.emulator import Ledger, ResourceLedger
from asyncimport.outcome import ImportReport, Tally

RUN = "import asyncio, sys; from asyncimport.cli.demo import run_demo; sys.exit(asyncio.run(run_demo()))"
COMMAND = (sys.executable, "-c", RUN)


def last_document(out: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(out.splitlines()[-1])
    return document


def check(document: dict[str, Any]) -> None:
    """The counts of the example files, and one batch of 100 there twice."""
    assert document["agree"] is True
    assert document["report"]["read"] == 25_000
    assert document["report"]["users"]["accepted"] == document["ledger"]["users"]["distinct"] == 4993
    assert document["report"]["events"]["accepted"] == document["ledger"]["events"]["distinct"] == 19_992
    assert document["ledger"]["duplicates"] == 100
    assert document["report"]["possible_duplicates"] >= 100


@pytest.mark.parametrize("columns", [80, 40])
async def test_a_viewer_sees_pauses_failures_and_a_renewed_token(tmp_path: Path, columns: int) -> None:
    with (tmp_path / "out").open("wb") as out:
        async with Terminal(*COMMAND, columns=columns, stdout=out.fileno()) as terminal:
            assert await terminal.ended() == 0
            seen = "\n".join(terminal.seen)
            assert not terminal.screen.cursor.hidden
    assert "left: HTTP 429, code" in seen
    assert "! a request failed, again" in seen
    assert "the token was renewed" in seen
    assert "left\n" in seen
    assert "Traceback" not in seen
    assert all(len(line) < columns for screen in terminal.seen for line in screen.splitlines() if "in flight" in line)
    whole = " ".join(terminal.text.split())
    assert "the platform has exactly what the reports say: 24,985 records" in whole
    assert "100 of them are there twice, as the reports said they may be" in whole
    assert "in flight" not in terminal.text
    check(last_document((tmp_path / "out").read_text(encoding="utf-8")))


async def test_without_a_terminal_the_demo_is_lines_and_one_document_and_takes_no_minute() -> None:
    pipe = asyncio.subprocess.PIPE
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(*COMMAND, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    assert process.returncode == 0
    assert time.monotonic() - began < 60
    check(last_document(out.decode()))
    assert out.decode().startswith("users: 5,000 read = 4,993 accepted + 7 rejected")
    lines = err.decode().splitlines()
    assert lines[0].startswith("25,000 records go to http://127.0.0.1:")
    assert lines[1] == "it is made to fail: 3 x 429, 1 reset after the commit, 1 expired token, 1 x 503"
    assert [line for line in lines if line.startswith("paused for 1.0 s: ")] == [lines[2]] * 3
    assert "the token was renewed" in lines
    assert lines[-2] == "the platform has exactly what the reports say: 24,985 records"
    assert b"\x1b" not in err


async def test_ctrl_c_drains_reports_and_exits_130() -> None:
    async with Terminal(*COMMAND) as terminal:
        await terminal.shows("in flight")
        terminal.send(CTRL_C)
        assert await terminal.ended() == 130
        assert "interrupted: waiting for what is in flight" in terminal.text
        assert "users: " in terminal.text
        assert '"agree"' not in terminal.text


def test_the_viewer_is_told_every_fault_of_the_script() -> None:
    assert in_words(SCRIPT) == "3 x 429, 1 reset after the commit, 1 expired token, 1 x 503"


def report(**counts: Any) -> ImportReport:
    tally = Tally(resource="users", run_id="r", started_at=0.0)
    return evolve(tally.report(1.0), **counts)


def ledger_of(*keys: str) -> ResourceLedger:
    ledger = Ledger()
    ledger.users.by_key.update(keys)
    ledger.users._total = len(keys)
    return ledger.users


@pytest.mark.parametrize(
    ("said", "there", "agree"),
    [
        (report(read=2, accepted=2), ledger_of("a", "b"), True),
        (report(read=3, accepted=2, rejected=1), ledger_of("a", "b"), True),
        (report(read=3, accepted=2), ledger_of("a", "b"), False),
        (report(read=2, accepted=2), ledger_of("a"), False),
        (report(read=1, accepted=1), ledger_of("a", "b"), False),
        (report(read=2, accepted=1, unconfirmed=1), ledger_of("a", "b"), True),
        (report(read=2, accepted=2), ledger_of("a", "b", "b"), False),
        (report(read=2, accepted=2, possible_duplicates=1), ledger_of("a", "b", "b"), True),
    ],
    ids=[
        "all",
        "a rejection",
        "one uncounted",
        "one lost",
        "one too many",
        "unconfirmed",
        "unowned twice",
        "owned twice",
    ],
)
def test_report_and_ledger_agree_only_when_each_record_is_accounted_for(
    said: ImportReport, there: ResourceLedger, agree: bool
) -> None:
    assert agrees(said, there) is agree


def test_a_violation_of_the_contract_is_no_agreement() -> None:
    ledger = Ledger()
    assert compared({"users": report()}, ledger)["agree"] is True
    ledger.violations.append("users: something")
    assert compared({"users": report()}, ledger)["agree"] is False


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (("a", "b"), "the platform has exactly what the reports say: 2 records"),
        (
            ("a", "b", "b"),
            """the platform has exactly what the reports say: 2 records
1 of them are there twice, as the reports said they may be""",
        ),
        (("a",), "the platform does not have what the reports say: 1 records are there, 2 are said to be accepted"),
    ],
    ids=["equal", "twice", "lost"],
)
def test_the_end_in_a_sentence(keys: tuple[str, ...], sentence: str) -> None:
    ledger = Ledger()
    ledger.users.by_key.update(keys)
    ledger.users._total = len(keys)
    document = compared({"users": report(read=2, accepted=2, possible_duplicates=1)}, ledger)
    assert in_a_sentence(document) == sentence
