"""Imports over real sockets into the emulator while everything goes wrong; its ledger is the witness."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import canary
import pytest
from leftovers import back_to, resources

from asyncimport import (
    USERS,
    AppCredentials,
    AsyncImportError,
    AuthError,
    DispatchPolicy,
    Event,
    EventImportConfig,
    Identity,
    ImportClient,
    ImportMode,
    ImportReport,
    RetryPolicy,
    SourceError,
    Timeouts,
    UserImportConfig,
    UserProfile,
)
from asyncimport.emulator import (
    CloseBefore,
    Delay,
    Emulator,
    Fault,
    Gzip,
    Hang,
    Html,
    Ok,
    Overload,
    Poison,
    Quota,
    ResetAfter,
    ResetBefore,
    ResourceLedger,
    RevokeToken,
    Status,
    ThrottleMessage,
    Truncate,
)

PLAIN = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
QUICK = RetryPolicy(base_s=0.02, cap_s=0.2, floor_s=0.001)


def policy(**changes: Any) -> DispatchPolicy:
    return DispatchPolicy(**{"batch_size": 20, "max_in_flight": 8, "retry": QUICK, **changes})


def people(count: int) -> Iterator[UserProfile]:
    return (UserProfile(third_id=str(n), real_name=canary.PERSON) for n in range(count))


def events(count: int) -> Iterator[Event]:
    """Events of which every second has an own uuid and time, the others get theirs from the client."""
    for number in range(count):
        own: dict[str, Any] = {"uuid": f"own-{number}", "time": 1_700_000_000_000 + number} if number % 2 else {}
        identity = Identity(identity_type="phone", identity_value=f"138{number:08}")
        args = {"c_number": number, "c_name": canary.PERSON}
        yield Event(identities=[identity], event_key="c_buy", eventargs=args, **own)


def agrees(report: ImportReport, ledger: ResourceLedger) -> None:
    """What every case asserts: conservation, no false success, bounded and reported duplicates, the same bytes again."""
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    assert report.read == settled
    assert report.in_progress == 0
    assert report.accepted <= ledger.distinct <= report.accepted + report.unconfirmed
    assert ledger.duplicates <= report.possible_duplicates
    assert report.attempts >= len(ledger.batches)
    by_digest = Counter(request.body_digest for request in ledger.batches)
    assert len(by_digest) <= report.batches


MIX: list[Fault] = [
    Status(status=429, headers={"Retry-After": "1"}),
    Status(status=503),
    Status(status=503, headers={"Retry-After": "1"}),
    Status(status=500, committed=True),
    Status(status=502, body="<html>bad gateway</html>", content_type="text/html", committed=True),
    ResetBefore(),
    ResetAfter(),
    CloseBefore(),
    Truncate(),
    Truncate(content_length=False),
    Html(committed=True),
    Gzip(),
]


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_fifth_of_all_requests_failing_loses_nothing(seed: int) -> None:
    before = resources()
    async with Emulator() as platform:
        platform.faults.rate(0.2, MIX, seed=seed)
        app = AppCredentials(app_id=platform.app_id, app_secret=platform.app_secret)
        async with ImportClient(platform.url, app=app, policy=policy()) as client:
            platform.faults.script([*[Ok()] * 30, RevokeToken()])
            report = await client.import_events(events(2400), EventImportConfig())
        ledger = platform.ledger.events
        agrees(report, ledger)
        assert (report.accepted, report.rejected, report.unconfirmed, report.unsent) == (2400, 0, 0, 0)
        assert ledger.distinct == 2400
        assert ledger.duplicates > 0
        assert report.retries > 10
        assert platform.ledger.violations == []
        copies: dict[str, set[str]] = defaultdict(set)
        for record in ledger.records():
            copies[record["uuid"]].add(repr(sorted(record.items(), key=str)))
        assert len(copies) == 2400
        assert all(len(forms) == 1 for forms in copies.values())
        filled = [uuid for uuid in copies if not uuid.startswith("own-")]
        assert sorted(int(uuid[20:], 16) for uuid in filled) == list(range(0, 2400, 2))
        assert {uuid[:20] for uuid in filled} == {report.run_id}
    await back_to(before)


@pytest.mark.parametrize(
    ("fault", "duplicates"),
    [
        (Status(status=503), 0),
        (Status(status=500, committed=True), 20),
        (ResetBefore(), 0),
        (ResetAfter(), 20),
        (CloseBefore(), 0),
        (Truncate(), 20),
        (Truncate(content_length=False), 20),
        (Html(), 0),
        (Html(committed=True), 20),
        (Gzip(), 20),
        (Status(status=204, body=b"", committed=True), 20),
        (Status(status=299, committed=True), 20),
        (Status(status=408), 0),
        (Status(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"}), 0),
        (Hang(), 0),
        (Hang(committed=True), 20),
        (Status(status=429), 0),
        (ThrottleMessage(), 0),
        (Delay(seconds=0.05), 0),
    ],
    ids=lambda value: (
        type(value).__name__ + getattr(value, "__str__", str)()[:0] if isinstance(value, Fault) else str(value)
    ),
)
async def test_one_fault_in_the_middle(fault: Fault, duplicates: int) -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script([*[Ok()] * 5, fault])
        impatient = policy(timeouts=Timeouts(read_s=0.3))
        async with ImportClient(platform.url, token=canary.TOKEN, policy=impatient) as client:
            report = await client.import_users(people(400), PLAIN)
        agrees(report, platform.ledger.users)
        assert report.accepted == platform.ledger.users.distinct == 400
        assert platform.ledger.users.duplicates == duplicates <= report.possible_duplicates
        digests = Counter(request.body_digest for request in platform.ledger.users.batches)
        assert len(digests) == 20
        assert platform.ledger.violations == []


async def test_a_batch_unanswered_to_the_end_is_unconfirmed_whether_it_was_committed_or_not() -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script([Ok(), ResetAfter(), ResetBefore(), ResetAfter()])
        short = policy(max_in_flight=1, retry=RetryPolicy(max_attempts=1))
        async with ImportClient(platform.url, token=canary.TOKEN, policy=short) as client:
            report = await client.import_users(people(100), PLAIN)
        agrees(report, platform.ledger.users)
        assert (report.accepted, report.unconfirmed) == (40, 60)
        assert platform.ledger.users.distinct == 80
        assert report.possible_duplicates == platform.ledger.users.duplicates == 0


async def test_parked_batches_are_never_sent_twice() -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.script([*[Ok()] * 3, ResetAfter(), ResetBefore(), Truncate()])
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy()) as client:
            report = await client.import_users(people(400), PLAIN, on_unknown="park")
        agrees(report, platform.ledger.users)
        assert report.unconfirmed == 60
        assert platform.ledger.users.duplicates == 0
        assert len(platform.ledger.users.batches) == 20


async def test_a_refused_record_is_rejected_alone_and_the_rest_delivered() -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.add(Poison(where={"thirdId": "33"}))
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy()) as client:
            report = await client.import_users(people(200), PLAIN)
        ledger = platform.ledger.users
        assert (report.accepted, report.rejected, ledger.distinct, ledger.duplicates) == (199, 1, 199, 0)
        assert report.attempts == len(ledger.batches) <= 10 + 2 * 5 + 3
        assert [first.position for first in report.first_rejections] == [33]
        assert canary.leaks(str(report)) == []


async def test_an_overloaded_platform_and_a_quota_are_lived_with() -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        platform.faults.add(Overload(above=4), Quota(per_s=40))
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy()) as client:
            report = await client.import_users(people(1200), PLAIN)
        agrees(report, platform.ledger.users)
        assert report.accepted == platform.ledger.users.distinct == 1200


async def test_a_wrong_token_is_an_auth_error_and_nothing_is_committed() -> None:
    async with Emulator() as platform:
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy()) as client:
            with canary.raises(AuthError, match="refuses the token") as refused:
                await client.import_users(people(1000), PLAIN)
        assert platform.ledger.users.total == 0
        assert refused.value.report is not None
        agrees(refused.value.report, platform.ledger.users)


async def test_wrong_app_credentials_are_an_auth_error_before_any_record_leaves() -> None:
    async with Emulator() as platform:
        app = AppCredentials(app_id=platform.app_id, app_secret=canary.TOKEN)
        async with ImportClient(platform.url, app=app, policy=policy()) as client:
            with canary.raises(AuthError, match="app id and secret"):
                await client.import_users(people(1000), PLAIN)
        assert platform.ledger.requests == 0


async def test_all_in_flight_share_one_renewal_of_a_revoked_token() -> None:
    async with Emulator() as platform:
        app = AppCredentials(app_id=platform.app_id, app_secret=platform.app_secret)
        async with ImportClient(platform.url, app=app, policy=policy()) as client:
            await client.import_users(people(200), PLAIN)
            gate = platform.faults.hold()
            running = asyncio.create_task(client.import_users(people(1000), PLAIN))
            await gate.arrived(8)
            platform.tokens.revoke()
            gate.open()
            report = await running
        assert report.accepted == 1000
        assert report.possible_duplicates == 0
        assert platform.ledger.token_requests == 2


class Broken(Exception):
    """What the user's generator raises."""


async def test_a_generator_that_raises_loses_nothing_of_what_it_gave() -> None:
    def source() -> Iterator[UserProfile]:
        yield from people(333)
        raise Broken

    async with Emulator(token=canary.TOKEN) as platform:
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy()) as client:
            with canary.raises(SourceError, match="333") as lost:
                await client.import_users(source(), PLAIN)
        assert isinstance(lost.value.__cause__, Broken)
        assert lost.value.report is not None
        assert lost.value.report.accepted == platform.ledger.users.distinct == 333


async def test_a_generator_that_reuses_its_dict_mixes_nothing_up() -> None:
    def source() -> Iterator[dict[str, Any]]:
        row: dict[str, Any] = {"customFields": [{"configId": 1, "values": [""]}]}
        for number in range(2000):
            row["thirdId"] = str(number)
            row["customFields"][0]["values"][0] = f"v{number}"
            yield row

    async with Emulator(token=canary.TOKEN) as platform:
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy()) as client:
            report = await client.import_users(source(), PLAIN)
        assert report.accepted == 2000
        stored = {record["thirdId"]: record["customFields"][0]["values"] for record in platform.ledger.users.records()}
        assert stored == {str(number): [f"v{number}"] for number in range(2000)}


@pytest.mark.breakage("stages: pull a blocking source on the event loop")
async def test_g17_a_generator_that_blocks_never_stops_the_requests_in_flight() -> None:
    """While the generator blocks, the requests in flight go out and are answered; it goes on only when they were."""
    committed = threading.Event()

    def source() -> Iterator[UserProfile]:
        everyone = people(100)
        for _ in range(60):
            yield next(everyone)
        assert committed.wait(60)
        yield from everyone

    async with Emulator(token=canary.TOKEN) as platform:
        client = ImportClient(platform.url, token=canary.TOKEN, policy=policy())
        async with client, client.stream(USERS, source(), PLAIN) as outcomes:
            settled = 0
            async for outcome in outcomes:
                settled += outcome.count
                if settled == 60:
                    committed.set()
        assert outcomes.report.accepted == platform.ledger.users.distinct == 100


async def test_an_async_source_that_pauses_longer_than_the_linger_is_neither_cancelled_nor_lost() -> None:
    cancelled = 0

    async def source() -> AsyncIterator[UserProfile]:
        nonlocal cancelled
        for number, person in enumerate(people(50)):
            try:
                await asyncio.sleep(0.15 if number % 10 == 5 else 0)
            except asyncio.CancelledError:
                cancelled += 1
                raise
            yield person

    async with Emulator(token=canary.TOKEN) as platform:
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy(linger_s=0.05)) as client:
            report = await client.import_users(source(), PLAIN)
        sizes = [request.records for request in platform.ledger.users.batches]
        assert report.accepted == platform.ledger.users.distinct == sum(sizes) == 50
        assert len(sizes) == 6
        assert cancelled == 0


async def test_leaving_and_cancelling_leave_no_task_socket_or_thread_behind() -> None:
    before = resources()
    async with Emulator(token=canary.TOKEN) as platform:
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy()) as client:
            async with client.stream(USERS, people(10**7), PLAIN) as outcomes:
                async for _ in outcomes:
                    break
            agrees(outcomes.report, platform.ledger.users)
        platform.ledger.users.by_key.clear()
        gate = platform.faults.hold()
        client = ImportClient(platform.url, token=canary.TOKEN, policy=policy())
        task = asyncio.create_task(client.import_users(people(10**7), PLAIN))
        await gate.arrived(8)
        task.cancel()
        with canary.raises(asyncio.CancelledError):
            await task
        await client.aclose()
    await back_to(before)


async def test_connections_are_reused() -> None:
    async with Emulator(token=canary.TOKEN) as platform:
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy()) as client:
            await client.import_users(people(4000), PLAIN)
        assert platform.ledger.requests == 200
        assert platform.ledger.connections <= 8


async def test_a_redirect_from_the_start_is_a_config_error_and_its_target_is_never_touched() -> None:
    touched = asyncio.Event()
    server = await asyncio.start_server(lambda *_: touched.set(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Emulator(token=canary.TOKEN) as platform, server:
        location = {"Location": f"http://127.0.0.1:{port}/api/open"}
        platform.faults.add(Status(status=307, headers=location))
        async with ImportClient(platform.url, token=canary.TOKEN, policy=policy()) as client:
            with canary.raises(AsyncImportError, match="never answered as the platform does"):
                await client.import_users(people(100), PLAIN)
        assert not touched.is_set()
        assert platform.ledger.users.total == 0
