"""Whether the event loop stands still: told once a run, and only where it does."""

from __future__ import annotations

import asyncio
import logging

import canary
import pytest
from faulted import CONFIG, URL, people
from scripted import ScriptedTransport

from asyncimport import USERS, DispatchPolicy, ImportClient
from asyncimport.clock import SystemClock
from asyncimport.observer import LoopBlocked, Notice, Notifier
from asyncimport.pulse import tell_if_blocked
from benchmarks.virtual import VirtualLoop, run_virtual


def blocks(delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.block(delay_s)


def told(blocked_s: float, after_s: float = 3.0) -> list[Notice]:
    """What was told within a minute in which the loop stood still once."""
    heard: list[Notice] = []

    async def main() -> None:
        asyncio.get_running_loop().call_later(after_s, blocks, blocked_s)
        looking = asyncio.create_task(tell_if_blocked(SystemClock(), Notifier(heard.append)))
        await asyncio.sleep(60)
        looking.cancel()

    run_virtual(main())
    return heard


@pytest.mark.parametrize(("blocked_s", "is_told"), [(0.0, False), (0.9, False), (2.1, True), (30.0, True)])
def test_a_loop_that_stood_still_for_more_than_a_second_is_told_of(blocked_s: float, is_told: bool) -> None:
    for after_s in (3.0, 3.5, 3.9):
        notices = told(blocked_s, after_s)
        assert len(notices) == is_told
        for notice in notices:
            assert isinstance(notice, LoopBlocked)
            assert blocked_s - 1.0 - 1e-6 <= notice.blocked_s <= blocked_s + 1e-6


def imported(batches: int, *, moments: tuple[float, ...] = ()) -> list[Notice]:
    """The notices of an import of so many batches, one a second, in which the loop stands still for three at these moments."""
    heard: list[Notice] = []

    async def main() -> None:
        for moment in moments:
            asyncio.get_running_loop().call_later(moment, blocks, 3.0)
        one = DispatchPolicy(batch_size=10, max_in_flight=1)
        transport = ScriptedTransport(delay_s=1.0)
        async with ImportClient(
            URL, token=canary.TOKEN, policy=one, transport=transport, observer=heard.append
        ) as client:
            assert (await client.run(USERS, people(10 * batches), CONFIG)).ok
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())
    return heard


def test_an_import_warns_once_of_a_loop_that_stands_still_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    heard = imported(40, moments=(5.2, 15.2, 25.2))
    assert len([notice for notice in heard if isinstance(notice, LoopBlocked)]) == 1
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1
    assert warned[0].startswith("LoopBlocked: blocked_s=2.")


def test_an_import_on_a_loop_that_runs_is_told_of_nothing_and_lasts_no_longer_for_it() -> None:
    heard = imported(3)
    assert [type(notice).__name__ for notice in heard] == ["RunStarted", "TokenRenewed", "RunEnded"]
    assert heard[-1].report.elapsed_s == pytest.approx(3.0, abs=0.05)  # type: ignore[union-attr]
