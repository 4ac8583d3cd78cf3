"""Imports through a TCP proxy that breaks their connections in the middle, each with every one of its faults.

The emulator's ledger is the witness of what came (FAULTS.md I1 to I3), the proxy of the bytes.
"""

from __future__ import annotations

import time

import canary
import pytest
from attrs import frozen
from leftovers import nothing_left_behind
from netruns import BATCH, Run, adds_up, people, policy
from tcp_proxy import PASSES, Fault, TcpProxy, Way, tcp_proxy
from wire import ENVELOPE

from asyncimport.emulator import Emulator

#: Connections that are made at the start, each of which has the fault.
WIDTH = 4
BATCHES = 16
#: Bytes that each record has at least.
PADDING = 200
#: Where a connection ends: in its second request, and in its second answer.
UP, DOWN = 5_000, 300


@frozen(kw_only=True)
class Case:
    """A fault, and what the client sees of it."""

    fault: Fault
    reasons: frozenset[str] = frozenset()
    words: str = ""
    #: Whether the batch that met it had been taken.
    was_taken: bool = False
    #: Whether what the fault slows down takes so long at least.
    takes_s: float = 0.0


LOST, SILENT = frozenset({"connection_lost"}), frozenset({"read_timeout"})
RESET = "Connection reset by peer"
CASES = {
    "latency": Case(fault=Fault(up=Way(latency_s=0.02), down=Way(latency_s=0.02)), takes_s=BATCHES / WIDTH * 0.04),
    "slow up": Case(fault=Fault(up=Way(bytes_per_s=60_000)), takes_s=BATCHES / WIDTH * UP / 2 / 60_000),
    "slow down": Case(fault=Fault(down=Way(bytes_per_s=3_000)), takes_s=BATCHES / WIDTH * DOWN / 2 / 3_000),
    "closed in a request": Case(fault=Fault(up=Way(ends_after=UP), by="close"), reasons=LOST, words="Disconnected"),
    "closed in an answer": Case(
        fault=Fault(down=Way(ends_after=DOWN), by="close"), reasons=LOST | {"garbled"}, was_taken=True
    ),
    "reset in a request": Case(fault=Fault(up=Way(ends_after=UP)), reasons=LOST, words=RESET),
    "reset in an answer": Case(fault=Fault(down=Way(ends_after=DOWN)), reasons=LOST, words=RESET, was_taken=True),
    "vanished in a request": Case(fault=Fault(up=Way(ends_after=UP), by="vanish"), reasons=SILENT),
    "vanished in an answer": Case(fault=Fault(down=Way(ends_after=DOWN), by="vanish"), reasons=SILENT, was_taken=True),
}


async def through(proxy: TcpProxy, platform: Emulator, *, read_s: float, batches: int = BATCHES) -> Run:
    """An import of which everything arrives, and what it says of itself is so."""
    bounds = policy(max_in_flight=WIDTH, timeouts={"read_s": read_s})
    run = await Run().go(proxy.url, people(batches * BATCH, padding=PADDING), policy=bounds)
    assert run.report.ok
    assert run.report.accepted == platform.ledger.users.distinct == batches * BATCH
    adds_up(run, platform)
    return run


@pytest.mark.breakage(
    "transport: take a lost connection for one over which nothing was sent; no bound on reading; read an answer's first part only"
)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_fault_on_every_connection_in_the_middle_of_a_run_loses_nothing(case: Case) -> None:
    async with (
        nothing_left_behind(),
        Emulator(token=canary.TOKEN) as platform,
        tcp_proxy(platform.port, [case.fault] * WIDTH, PASSES if case.reasons else case.fault) as proxy,
    ):
        began = time.monotonic()
        run = await through(proxy, platform, read_s=0.5 if case.reasons == SILENT else 5.0)
        took_s, met = time.monotonic() - began, WIDTH * bool(case.reasons)
        assert took_s >= case.takes_s
        assert run.reasons <= case.reasons
        assert len(run.failures) == met or case.reasons == SILENT  # a machine that stands still is silent too
        assert len(run.failures) >= met
        assert all(case.words in failure.detail for failure in run.failures)
        assert run.report.possible_duplicates == len(run.failures) * BATCH
        copies = platform.ledger.users.duplicates // BATCH
        assert met * case.was_taken <= copies <= len(run.failures) - met * (not case.was_taken)
        for link in proxy.links[:met]:
            broken = link.down if case.was_taken else link.up
            assert broken.passed == (DOWN if case.was_taken else UP) < len(broken.sent)
        up, down = proxy.passed
        assert up > platform.ledger.users.total * PADDING
        assert down > platform.ledger.requests * len(ENVELOPE)
        whole = proxy.links[met:]
        assert all(flow.passed == len(flow.sent) for link in whole for flow in (link.up, link.down))


@pytest.mark.breakage("transport: take a lost connection for one over which nothing was sent; no bound on reading")
async def test_all_faults_one_after_the_other_lose_nothing() -> None:
    faults = [case.fault for case in CASES.values()][::-1]  # those that slow down come last, and stay
    async with (
        nothing_left_behind(),
        Emulator(token=canary.TOKEN) as platform,
        tcp_proxy(platform.port, faults) as proxy,
    ):
        run = await through(proxy, platform, read_s=0.5, batches=4 * BATCHES)
        assert {"connection_lost", "read_timeout"} <= run.reasons
        assert not proxy.script
