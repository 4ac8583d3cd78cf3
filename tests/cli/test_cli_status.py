"""`asyncimport status`: while an import runs, after it was killed, and when it has ended."""

from __future__ import annotations

import json
from pathlib import Path

import canary
from command import ended, ran, started

from asyncimport.emulator import Emulator


def people(folder: Path, count: int) -> str:
    path = folder / "people.csv"
    path.write_text("thirdId,realName\n" + "".join(f"{n},{canary.PERSON}\n" for n in range(count)), encoding="utf-8")
    return str(path)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_status_of_an_import_that_runs_was_killed_and_has_ended(tmp_path: Path) -> None:
    path, journal = people(tmp_path, 9000), str(tmp_path / "a.journal")
    async with Emulator(token=canary.TOKEN) as platform:
        gate = platform.faults.hold()
        process = await started(
            "users", path, "--mode", "full", "--max-in-flight", "8", "--journal", journal, url=platform.url
        )
        await gate.arrived(8)
        running = await ran("status", journal, "--json", token=None)
        locked = await ran("resume", journal, url=platform.url)
        process.kill()
        await ended(process)
        killed = await ran("status", journal, token=None)
        gate.open()
        assert (await ran("resume", journal, url=platform.url)).code == 0
        finished = await ran("status", journal, token=None)
        assert platform.ledger.users.distinct == 9000
        assert platform.ledger.users.duplicates == 4000  # what the killed process had sent passed the gate too
    told = json.loads(running.out)
    assert (running.code, told["state"], told["pid"]) == (0, "running", process.pid)
    assert (told["accepted"], told["file"], told["damage"]) == (0, path, [])
    assert told["pending_batches"] >= 8
    assert told["read"] == told["pending"] >= 4000
    assert f"locked by process {process.pid}" in locked.err
    assert locked.code == 3
    assert killed.code == finished.code == 0
    assert f"journal {journal}: killed" in killed.out
    assert killed.out.endswith(f"next: asyncimport resume {journal}\n")
    assert "users: 9,000 read = 9,000 accepted" in finished.out
    assert finished.out.endswith("next: nothing is left to be sent\n")


async def test_looking_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    path, journal = people(tmp_path, 20), str(tmp_path / "a.journal")
    async with Emulator(token=canary.TOKEN) as platform:
        assert (await ran("users", path, "--mode", "full", "--journal", journal, url=platform.url)).code == 0
    before = contents(tmp_path)
    assert (await ran("status", journal)).code == 0
    assert contents(tmp_path) == before


async def test_what_is_no_journal_exits_3_with_a_sentence(tmp_path: Path) -> None:
    for name, told in (("missing", "does not exist"), (people(tmp_path, 1), "is no journal")):
        result = await ran("status", str(tmp_path / name))
        assert (result.code, result.out) == (3, "")
        assert told in result.err
