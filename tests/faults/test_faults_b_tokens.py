"""FAULTS.md part B, tokens that are refused, end or cannot be had: one test a row, its id in the name.

B27, several processes that take one token from each other, is in test_faults_b_token_sharing.py.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import canary
import orjson
import pytest
from leftovers import nothing_left_behind
from scripted import LOST, REFUSED_CONNECTION, envelope
from token_office import Office, ended, keeps_count

from asyncimport import (
    AppCredentials,
    AsyncImportError,
    AuthError,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    ImportReport,
    RetryPolicy,
    Timeouts,
    UploadStalled,
    UserImportConfig,
    UserProfile,
)
from asyncimport.attempt import Answer, Attempt
from asyncimport.emulator import (
    Assumptions,
    CloseBefore,
    Delay,
    Emulator,
    Envelope,
    Fault,
    Hang,
    Html,
    LoggedRequest,
    Ok,
    ResetAfter,
    ResetBefore,
    Status,
    Truncate,
)
from benchmarks.virtual import run_virtual

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
URL = "https://platform.example/api/open"
#: A renewal must not cost a batch an attempt that counts: each has but one.
ONCE = RetryPolicy(max_attempts=1, base_s=0.02, cap_s=0.2, floor_s=0.001)
#: The same with the waits of the defaults, for hours of virtual time.
PATIENT = RetryPolicy(max_attempts=1)
LIFE_S = 7200.0
#: Renewed ahead at 80 % of its life, give or take 5 %.
AHEAD_S = (LIFE_S * 0.75, LIFE_S * 0.85)


def policy(**changes: Any) -> DispatchPolicy:
    return DispatchPolicy(**{"batch_size": 10, "max_in_flight": 16, "retry": ONCE, **changes})


def people(count: int, first: int = 0) -> list[UserProfile]:
    return [UserProfile(third_id=str(n), real_name=canary.PERSON) for n in range(first, first + count)]


def emulator(**assumptions: Any) -> Emulator:
    """A platform whose app secret is the canary, so that it is looked for wherever it could show."""
    return Emulator(app_id="app", app_secret=canary.TOKEN, assumptions=Assumptions(**assumptions))


def emulated(platform: Emulator, secret: str = canary.TOKEN, **changes: Any) -> ImportClient:
    app = AppCredentials(app_id="app", app_secret=secret)
    return ImportClient(platform.url, app=app, policy=policy(**changes))


def office_client(office: Office, **changes: Any) -> ImportClient:
    app = AppCredentials(app_id="app", app_secret=canary.TOKEN)
    return ImportClient(URL, app=app, transport=office.client(), policy=policy(**changes))


def by_body(requests: Iterable[LoggedRequest]) -> list[list[tuple[int | None, int | None]]]:
    """For each batch its attempts, by the generation of the token and the status."""
    attempts: dict[str, list[tuple[int | None, int | None]]] = {}
    for request in requests:
        attempts.setdefault(request.body_digest, []).append((request.token_generation, request.status))
    return list(attempts.values())


async def revoked_in_flight(platform: Emulator, client: ImportClient, runs: int, late: int) -> list[ImportReport]:
    """Imports that all have the token ended while 16 requests are in flight, of which some answers come late."""
    await client.import_users(people(20), CONFIG)
    gate = platform.faults.hold()
    platform.faults.script([[Delay(seconds=0.3), Ok()]] * late)
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(client.import_users(people(600, 1000 * number), CONFIG)) for number in range(1, runs + 1)
        ]
        await gate.arrived(16)
        platform.tokens.revoke()
        gate.open()
    return [run.result() for run in running]


@pytest.mark.breakage(
    "credentials: fetch again for each who waited; or take a refusal of an old token for one of the newest"
)
@pytest.mark.parametrize(("runs", "late"), [(1, 0), (1, 8), (2, 8)], ids=["at once", "some late", "two imports"])
async def test_b14_many_requests_refused_at_once_cause_one_renewal_and_each_batch_is_sent_once_more(
    runs: int, late: int
) -> None:
    async with nothing_left_behind(), emulator() as platform:
        async with emulated(platform) as client:
            reports = await revoked_in_flight(platform, client, runs, late)
        users = platform.ledger.users
        assert platform.ledger.token_requests == 2
        assert [report.accepted for report in reports] == [600] * runs
        assert [(report.unconfirmed, report.possible_duplicates) for report in reports] == [(0, 0)] * runs
        assert (users.distinct, users.duplicates) == (20 + 600 * runs, 0)
        repeated = [attempts for attempts in by_body(users.batches) if len(attempts) > 1]
        assert repeated == [[(2, 401), (3, 200)]] * 16
        assert sum(report.retries for report in reports) == 16
        assert platform.ledger.violations == []


REFUSED = Envelope(code="100200", status=401)
NO_APP = Envelope(code="100100", status=401, on="token", committed=True)


@pytest.mark.breakage(
    "credentials: renew a token never accepted; take 100100 for no answer; verdict: renew after a 403"
)
@pytest.mark.parametrize(
    ("faults", "asked", "words"),
    [
        ([REFUSED], 2, "a token just renewed"),
        ([REFUSED, NO_APP], 2, "refuses the app id and secret"),
        ([Envelope(code="403", status=403)], 1, "check the app's permissions"),
    ],
    ids=["401 after the renewal", "the renewal is refused", "403"],
)
async def test_b15_a_refusal_that_no_renewal_heals_ends_the_run_and_leaves_the_journal_whole(
    tmp_path: Path, faults: list[Fault], asked: int, words: str
) -> None:
    journal = tmp_path / "a.journal"
    async with nothing_left_behind(), emulator() as platform:
        platform.faults.script([Ok(on="token"), *[Ok()] * 8, *[[Delay(seconds=0.3), Ok()]] * 8])
        platform.faults.add(*faults)
        async with emulated(platform, stall_s=5) as client:
            with canary.raises(AuthError, match=words) as stopped:
                await client.import_users(people(1000), CONFIG, journal=journal)
        users = platform.ledger.users
        report = ended(stopped.value, users.by_key)
        assert platform.ledger.token_requests == asked
        assert report.accepted == users.distinct == 160  # what was in flight was waited for
        assert (report.unconfirmed, report.unsent) == (0, report.read - 160)
        platform.faults.clear()
        async with emulated(platform) as client:
            resumed = keeps_count(await client.import_users(people(1000), CONFIG, journal=journal), users.by_key)
        assert resumed.accepted == users.distinct == 1000
        assert len(by_body(users.batches)) == 100  # the same bytes again (I10)


@pytest.mark.breakage("renewal: no rest after a token or credentials that were refused")
@pytest.mark.parametrize("is_app_refused", [False, True], ids=["the token is refused", "the app is refused"])
def test_b15_imports_tried_again_and_again_ask_for_a_token_every_thirty_seconds_at_most(is_app_refused: bool) -> None:
    async def main() -> None:
        office = Office(verdict=lambda _number: envelope("100200", status=401))
        if is_app_refused:
            office.answers = deque([envelope("100100", status=401)] * 1000)
        async with office_client(office) as client:
            for _ in range(60):
                with canary.raises(AuthError) as refused:
                    await client.import_users(people(80), CONFIG)
                ended(refused.value, office.committed)
                await asyncio.sleep(3)
        gaps = [late.at - early.at for early, late in itertools.pairwise(office.calls)]
        assert len(gaps) >= 3
        assert min(gaps) >= 30

    run_virtual(main())


@pytest.mark.breakage("policy: take code 100200 for a refusal of the batch")
@pytest.mark.parametrize("status", [200, 201, 400, 403, 404, 422, 500, 503], ids="HTTP {}".format)
async def test_b26_the_code_for_a_wrong_token_is_the_same_under_every_http_status(status: int) -> None:
    async with emulator(auth_status=status) as platform:
        async with emulated(platform) as client:
            (report,) = await revoked_in_flight(platform, client, runs=1, late=4)
        users = platform.ledger.users
        assert (report.accepted, report.rejected, report.unconfirmed, report.possible_duplicates) == (600, 0, 0, 0)
        assert (users.distinct, users.duplicates) == (620, 0)
        assert platform.ledger.token_requests == 2
        repeated = [attempts for attempts in by_body(users.batches) if len(attempts) > 1]
        assert repeated == [[(2, status), (3, 200)]] * 16


async def trickle(minutes: int, a_minute: int = 20) -> AsyncIterator[UserProfile]:
    for minute in range(minutes):
        for person in people(a_minute, minute * a_minute):
            yield person
        await asyncio.sleep(60)


async def hours_long(office: Office, client: ImportClient) -> int:
    await client.import_users(trickle(8 * 60), CONFIG)
    asked = [call.at for call in office.calls]
    assert len(asked) in {5, 6}
    assert all(AHEAD_S[0] <= late - early <= AHEAD_S[1] + 61 for early, late in itertools.pairwise(asked))
    return 8 * 60 * 20


async def idle_longer_than_a_life(office: Office, client: ImportClient) -> int:
    await client.import_users(people(160), CONFIG)
    await asyncio.sleep(LIFE_S + 60)
    await client.import_users(people(160, 160), CONFIG)
    assert len(office.calls) == 2
    return 320


async def gone_while_it_ended(office: Office, client: ImportClient) -> int:
    """Neither imports nor tokens go through from before the renewal ahead until long after the token's end."""
    office.is_down = lambda at: 5000 <= at < 7500
    await client.import_users(trickle(100), CONFIG)
    assert len(office.calls) == 2
    assert office.calls[1].at >= 7500
    return 100 * 20


async def lost_while_it_ended(office: Office, client: ImportClient) -> int:
    """Batches wait in their back-off, sent and unanswered, over the token's end; tokens are to be had all the time."""
    office.verdict = lambda _number: LOST if 5000 <= asyncio.get_running_loop().time() - 1000 < 7500 else None
    await client.import_users(trickle(100), CONFIG)
    assert len(office.calls) == 2
    assert AHEAD_S[0] <= office.calls[1].at <= AHEAD_S[1] + 40
    return 100 * 20


@pytest.mark.breakage("credentials: go on with a token past its end; or renewal: not ahead of it")
@pytest.mark.parametrize("happening", [hours_long, idle_longer_than_a_life, gone_while_it_ended, lost_while_it_ended])
def test_b28_no_request_is_ever_sent_with_a_token_that_has_ended(happening: Any) -> None:
    async def main() -> None:
        office = Office(life_s=LIFE_S)
        retry = RetryPolicy(max_attempts=1000)
        async with office_client(office, max_in_flight=4, batch_size=4, stall_s=LIFE_S, retry=retry) as client:
            count = await happening(office, client)
        assert len(office.committed) == count
        assert max(office.committed.values()) == 1
        born = [call.at for call in office.calls]
        assert all(post.at < born[post.token - 1] + LIFE_S for post in office.posts)

    run_virtual(main())


@pytest.mark.breakage("credentials: believe what the token's answer says in `expire`")
@pytest.mark.parametrize("expire", [0, -1, "absent", None, "7200", "soon", 10**12, 1.5, True])
def test_b29_a_token_lives_two_hours_whatever_its_answer_says(expire: Any) -> None:
    async def main() -> None:
        office = Office(expire=expire)
        async with office_client(office) as client:
            report = keeps_count(await client.import_users(trickle(240), CONFIG), office.committed)
        assert report.accepted == 240 * 20
        gaps = [late.at - early.at for early, late in itertools.pairwise(office.calls)]
        assert len(gaps) == 2
        assert all(AHEAD_S[0] <= gap <= AHEAD_S[1] + 61 for gap in gaps)
        assert office.refused == []

    run_virtual(main())


NO_TOKEN: dict[str, Attempt] = {
    "down": REFUSED_CONNECTION,
    "lost": LOST,
    "500": envelope("500", status=500),
    "code 500": envelope("500"),
    "HTML": Answer(status=200, body=f"<html>{canary.TOKEN}".encode()),
    "401 of a proxy": Answer(status=401, body=b"<html>sign in"),
    "data null": Answer(status=200, body=b'{"code":"200","errorCode":"0","msg":"ok","data":null}'),
    "CR LF": envelope(data={"orgAccessToken": f"{canary.TOKEN}-1\r\nX-Evil: 1"}),
    "empty": envelope(data={"orgAccessToken": ""}),
}


@pytest.mark.breakage("renewal: no back-off after a token call that failed")
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "renewal"])
@pytest.mark.parametrize("answer", NO_TOKEN.values(), ids=NO_TOKEN)
def test_b30_a_token_call_that_fails_is_repeated_with_a_back_off_of_its_own_and_nothing_is_sent_meanwhile(
    answer: Attempt, is_first: bool
) -> None:
    async def main() -> None:
        office = Office()
        async with office_client(office, first_contact_s=None, retry=PATIENT, max_in_flight=4) as client:
            done = 0 if is_first else (await client.import_users(people(160), CONFIG)).accepted
            office.revoke()
            office.answers = deque([answer] * 7)
            report = await client.import_users(people(200, done), CONFIG)
        assert (report.accepted, report.unconfirmed, report.possible_duplicates) == (200, 0, 0)
        assert (len(office.committed), max(office.committed.values())) == (200 + done, 1)
        asked = [call.at for call in office.calls][-8:]
        gaps = [late - early for early, late in itertools.pairwise(asked)]
        assert all(gap >= 0.75 * min(30, 2**step) for step, gap in enumerate(gaps))
        assert gaps[-1] <= 30 * 1.25 + 5  # until a batch asks again, at its own back-off
        assert [post for post in office.posts if asked[0] < post.at < asked[-1]] == []
        assert len(office.calls) == (8 if is_first else 9)

    run_virtual(main())


#: aiohttp asks once more by itself where a kept connection is lost; the token call is a GET.
WIRE_FAULTS: dict[str, Fault] = {
    "reset": ResetBefore(on="token"),
    "reset after": ResetAfter(on="token"),
    "closed": CloseBefore(on="token"),
    "silent": Hang(on="token"),
    "500": Status(status=500, on="token"),
    "HTML": Html(on="token"),
    "cut off": Truncate(on="token"),
    "redirect": Status(status=302, headers={"Location": "http://127.0.0.1:9/x"}, on="token"),
    "data null": Envelope(code="200", null_data=True, on="token"),
    "CR LF": Status(
        status=200,
        body=orjson.dumps({"code": "200", "data": {"orgAccessToken": "evil\r\nX-Evil: 1"}}),
        on="token",
    ),
}


@pytest.mark.breakage("session: tell the query of the token call in what is said of its failure")
@pytest.mark.parametrize("fault", WIRE_FAULTS.values(), ids=WIRE_FAULTS)
async def test_b30_a_token_call_that_fails_on_the_wire_shows_no_secret_and_loses_nothing(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Any] = []
    async with nothing_left_behind(), emulator() as platform:
        app = AppCredentials(app_id="app", app_secret=canary.TOKEN)
        quick = policy(timeouts=Timeouts(read_s=0.2))
        async with ImportClient(platform.url, app=app, policy=quick, observer=told.append) as client:
            await client.import_users(people(160), CONFIG)
            platform.tokens.revoke()
            platform.faults.script([fault] * (1 + isinstance(fault, ResetBefore | ResetAfter | CloseBefore)))
            report = await client.import_users(people(160, 160), CONFIG)
        users = platform.ledger.users
        assert (report.accepted, report.unconfirmed, report.possible_duplicates) == (160, 0, 0)
        assert (users.distinct, users.duplicates) == (320, 0)
        statuses = Counter(request.status for request in users.batches)
        # Workers come one by one: the later ones find the token refused already.
        assert statuses[200] == 32
        assert 0 < statuses[401] == statuses.total() - 32 <= 16
    assert any("token call" in getattr(notice, "detail", "") for notice in told)
    assert canary.leaks(caplog.text + repr(told)) == []


@pytest.mark.breakage("credentials: let each of those who wait ask again for what was refused")
@pytest.mark.parametrize("code", ["100100", "100300"])
async def test_b30_refused_app_credentials_end_the_run_with_one_call_and_no_record_sent(code: str) -> None:
    async with emulator() as platform:
        platform.faults.add(Envelope(code=code, status=200, on="token", committed=True))
        async with emulated(platform) as client:
            with canary.raises(AuthError, match=code) as refused:
                await client.import_users(people(1000), CONFIG)
        assert ended(refused.value, platform.ledger.users.by_key).accepted == 0
        assert (platform.ledger.token_requests, platform.ledger.requests) == (1, 0)


@pytest.mark.breakage("credentials: give up a token that still lives when its renewal fails")
@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (REFUSED_CONNECTION, UploadStalled, "token call"),
        (envelope("100100", status=401), AuthError, "code 100100"),
    ],
    ids=["down", "the app is refused"],
)
def test_b30_a_renewal_ahead_that_fails_keeps_the_token_until_its_end(
    answer: Attempt, kind: type[AsyncImportError], words: str
) -> None:
    async def main() -> None:
        office = Office()
        async with office_client(office, retry=PATIENT) as client:
            await client.import_users(people(160), CONFIG)
            office.answers = deque([answer] * 1000)
            await asyncio.sleep(LIFE_S * 0.9)
            report = await client.import_users(people(160, 160), CONFIG)
            assert (report.accepted, len(office.calls)) == (160, 2)
            await asyncio.sleep(LIFE_S * 0.2)
            with canary.raises(kind, match=words) as ends:
                await client.import_users(people(160, 320), CONFIG)
        assert ends.value.report is not None
        assert (ends.value.report.unsent, len(office.committed)) == (160, 320)
        assert office.refused == []

    run_virtual(main())
