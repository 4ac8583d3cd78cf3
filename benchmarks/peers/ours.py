"""The contenders of this house: the raw loop, and asyncimport given mappings with wire names."""

import asyncio
from typing import Any

from asyncimport import EVENTS, DispatchPolicy, ImportClient
from benchmarks.peers.events import KEY, WIDTH
from benchmarks.raw import post_all
from benchmarks.records import EVENT_CONFIG, event_wire

make = event_wire


def send_raw(events: list[Any], url: str) -> None:
    """By the raw loop, which looks at no answer."""
    asyncio.run(post_all(events, EVENT_CONFIG.to_wire(), url + EVENTS.path, WIDTH))


def send(events: list[Any], url: str) -> int:
    """By asyncimport at the width of the peers."""
    return asyncio.run(_imported(events, url, DispatchPolicy(max_in_flight=WIDTH)))


def send_at_default_width(events: list[Any], url: str) -> int:
    """By asyncimport, which looks for its width."""
    return asyncio.run(_imported(events, url, DispatchPolicy()))


async def _imported(events: list[Any], url: str, policy: DispatchPolicy) -> int:
    async with ImportClient(url, token=KEY, policy=policy) as client:
        report = await client.run(EVENTS, events, EVENT_CONFIG)
    report.raise_if_incomplete()
    return report.accepted
