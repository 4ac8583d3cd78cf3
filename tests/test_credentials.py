from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import canary
import pytest
from environment import with_only
from scripted import REFUSED_CONNECTION, envelope

from asyncimport.attempt import Answer, Attempt, Fault, NoAnswer
from asyncimport.clock import SystemClock
from asyncimport.credentials import (
    AppCredentials,
    AppToken,
    CalledToken,
    FixedToken,
    Grant,
    Token,
    TokenKeeper,
    TokenSource,
    credentials_of,
)
from asyncimport.errors import AuthError, ConfigError
from asyncimport.renewal import APART_S, LIFE_S, RENEWALS, REST_S
from asyncimport.secret import Secret
from asyncimport.verdict import Happened, Verdict
from benchmarks.virtual import run_virtual

NUMBERS = itertools.count()
REFUSAL = Verdict(happened=Happened.AUTH, reason="auth", detail="HTTP 401", is_renewable=True)
DENIAL = Verdict(happened=Happened.AUTH, reason="auth", detail="HTTP 403")


def keeper_of(source: TokenSource, fetched: Callable[[int], None] = lambda _: None) -> TokenKeeper:
    return TokenKeeper(source, SystemClock(), fetched)


class Numbered:
    """A source of numbered tokens that takes a second for each."""

    is_renewable = True
    cause = "another process renews it"

    def __init__(self) -> None:
        self.calls = 0
        self.is_down = False

    async def fetch(self, _refused: Secret | None, /) -> Secret | NoAnswer:
        self.calls += 1
        number = self.calls
        await asyncio.sleep(1)
        if self.is_down:
            return NoAnswer(fault=Fault.TOKEN, sent=False, detail="down")
        return Secret(f"{canary.TOKEN}-{number}", "token")


async def granted(keeper: TokenKeeper) -> Grant:
    grant = await keeper.grant()
    assert isinstance(grant, Grant)
    return grant


def test_many_who_ask_at_once_cause_one_fetch() -> None:
    async def main() -> None:
        source = Numbered()
        told: list[int] = []
        keeper = keeper_of(source, told.append)
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(granted(keeper)) for _ in range(20)]
        assert {task.result().generation for task in asked} == {1}
        assert source.calls == 1
        assert told == [1]

    run_virtual(main())


def test_twenty_refusals_of_one_token_cause_one_renewal() -> None:
    async def main() -> None:
        source = Numbered()
        keeper = keeper_of(source)
        first = await granted(keeper)
        keeper.accepted(first.generation)
        assert [keeper.refused(first.generation, REFUSAL) for _ in range(20)] == [None] * 20
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(granted(keeper)) for _ in range(20)]
        assert {task.result().generation for task in asked} == {2}
        assert source.calls == 2
        assert keeper.refused(first.generation, REFUSAL) is None  # a late answer to the old token
        assert (await granted(keeper)).generation == 2

    run_virtual(main())


def test_a_token_is_renewed_ahead_of_its_end_and_not_before() -> None:
    async def main() -> None:
        source = Numbered()
        keeper = keeper_of(source)
        await keeper.grant()
        await asyncio.sleep(7200 * 0.74)
        assert (await granted(keeper)).generation == 1
        await asyncio.sleep(7200 * 0.12)
        assert (await granted(keeper)).generation == 2

    run_virtual(main())


def test_a_renewal_ahead_that_fails_keeps_the_token_that_still_lives() -> None:
    async def main() -> None:
        source = Numbered()
        keeper = keeper_of(source)
        await keeper.grant()
        await asyncio.sleep(7200 * 0.9)
        source.is_down = True
        for _ in range(50):
            assert (await granted(keeper)).generation == 1
        assert source.calls == 2  # the others found the last failure too recent

    run_virtual(main())


def test_failed_fetches_back_off() -> None:
    async def main() -> None:
        source = Numbered()
        source.is_down = True
        keeper = keeper_of(source)
        for _ in range(10_000):
            assert isinstance(await keeper.grant(), NoAnswer)
            await asyncio.sleep(0.01)
        assert source.calls < 30
        source.is_down = False
        await asyncio.sleep(38)  # 30 s and a quarter
        await granted(keeper)

    run_virtual(main())


def test_a_cancelled_fetch_leaves_the_next_caller_to_fetch() -> None:
    async def main() -> None:
        keeper = keeper_of(Numbered())
        first = asyncio.create_task(keeper.grant())
        await asyncio.sleep(0.5)
        first.cancel()
        with canary.raises(asyncio.CancelledError):
            await first
        assert (await granted(keeper)).generation == 1

    run_virtual(main())


def test_a_fixed_token_that_is_refused_is_an_error() -> None:
    async def main() -> None:
        keeper = keeper_of(FixedToken(Secret(canary.TOKEN, "token")))
        grant = await granted(keeper)
        keeper.accepted(grant.generation)
        error = keeper.refused(grant.generation, REFUSAL)
        assert isinstance(error, AuthError)
        assert "has expired" in str(error)
        assert canary.scan(error) == []

    run_virtual(main())


def test_a_fresh_token_that_was_never_accepted_is_not_renewed() -> None:
    async def main() -> None:
        keeper = keeper_of(Numbered())
        grant = await granted(keeper)
        assert "fresh token" in str(keeper.refused(grant.generation, REFUSAL))

    run_virtual(main())


def test_a_token_had_before_an_outage_and_refused_after_it_is_renewed_though_nothing_was_ever_answered_with_it() -> (
    None
):
    async def main() -> None:
        keeper = keeper_of(Numbered())
        grant = await granted(keeper)
        await asyncio.sleep(REST_S)
        assert keeper.refused(grant.generation, REFUSAL) is None
        assert (await granted(keeper)).generation == 2

    run_virtual(main())


def test_a_denial_of_permission_is_not_renewed() -> None:
    async def main() -> None:
        keeper = keeper_of(Numbered())
        grant = await granted(keeper)
        keeper.accepted(grant.generation)
        assert "permissions" in str(keeper.refused(grant.generation, DENIAL))

    run_virtual(main())


@pytest.mark.parametrize(
    ("apart_s", "ends"), [(10, True), (150, False)], ids=["within 5 minutes", "over a longer time"]
)
def test_a_fourth_renewal_within_five_minutes_names_the_cause(apart_s: float, ends: bool) -> None:
    async def main() -> None:
        keeper = keeper_of(Numbered())
        for _ in range(RENEWALS):
            grant = await granted(keeper)
            keeper.accepted(grant.generation)
            assert keeper.refused(grant.generation, REFUSAL) is None
            await asyncio.sleep(apart_s)
        grant = await granted(keeper)
        keeper.accepted(grant.generation)
        error = keeper.refused(grant.generation, REFUSAL)
        assert ("another process" in str(error)) is ends

    run_virtual(main())


async def taken_away(keeper: TokenKeeper) -> None:
    """A token that was accepted is refused."""
    grant = await granted(keeper)
    keeper.accepted(grant.generation)
    assert keeper.refused(grant.generation, REFUSAL) is None


def test_a_second_and_third_renewal_wait_a_moment_for_all_and_a_cancelled_wait_goes_on() -> None:
    async def main() -> None:
        source = Numbered()
        keeper = keeper_of(source)
        now, waits = asyncio.get_running_loop().time, list[float]()
        for _ in range(RENEWALS):
            await taken_away(keeper)
            began = now()
            first = asyncio.create_task(keeper.grant())
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(granted(keeper)) for _ in range(10)]
                await asyncio.sleep(0.01)
                first.cancel()
            waits.append(now() - began)
            assert len({task.result().generation for task in asked}) == 1
        assert waits[0] == pytest.approx(1.01)  # at once: a second was lost with the one who was cancelled
        assert max(waits) <= APART_S + 1.01
        assert source.calls <= 1 + 2 * RENEWALS

    run_virtual(main())


def test_a_renewal_ahead_that_ends_the_old_token_is_not_held_against_it() -> None:
    async def main() -> None:
        source = Numbered()
        keeper = keeper_of(source)
        old = await granted(keeper)
        await asyncio.sleep(LIFE_S * 0.9)
        renewing = asyncio.create_task(granted(keeper))
        await asyncio.sleep(0.5)
        assert (await granted(keeper)).generation == 1
        assert keeper.refused(old.generation, REFUSAL) is None  # though it had not been accepted yet
        assert (await granted(keeper)).generation == (await renewing).generation == 2
        assert source.calls == 2

    run_virtual(main())


def test_a_token_past_its_end_is_not_used_while_it_is_renewed_nor_when_there_is_no_other() -> None:
    async def main() -> None:
        source = Numbered()
        keeper = keeper_of(source)
        await granted(keeper)
        await asyncio.sleep(LIFE_S + 1)
        source.is_down = True
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(keeper.grant()) for _ in range(5)]
        assert all(isinstance(task.result(), NoAnswer) for task in asked)

    run_virtual(main())


def test_a_fresh_token_that_was_refused_is_replaced_after_a_rest() -> None:
    async def main() -> None:
        source = Numbered()
        keeper = keeper_of(source)
        first = await granted(keeper)
        assert keeper.refused(first.generation, REFUSAL) is not None
        await asyncio.sleep(REST_S - 2)
        assert (await granted(keeper)).generation == 1
        await asyncio.sleep(3)
        assert (await granted(keeper)).generation == 2

    run_virtual(main())


class Refusing(Numbered):
    """A source whose credentials are refused."""

    async def fetch(self, _refused: Secret | None, /) -> Secret | NoAnswer:
        self.calls += 1
        await asyncio.sleep(1)
        raise AuthError("the platform refuses the app id and secret")


def test_refused_credentials_are_asked_for_once_and_each_who_waits_gets_an_error_of_his_own() -> None:
    async def main() -> None:
        source = Refusing()
        keeper = keeper_of(source)
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(failure_of(keeper)) for _ in range(8)]
        assert source.calls == 1
        assert len({id(task.result()) for task in asked}) == 8  # each run puts its report on its own
        await asyncio.sleep(REST_S)
        await failure_of(keeper)
        assert source.calls == 2

    run_virtual(main())


async def failure_of(keeper: TokenKeeper) -> Any:
    with canary.raises(AuthError, match="app id and secret") as refused:
        await keeper.grant()
    return refused.value


@pytest.mark.parametrize(("repeats", "comes"), [(1, True), (4, True), (100, False)])
def test_a_callable_that_returns_the_refused_token_again_is_given_time_to_learn_of_the_new_one(
    repeats: int, comes: bool
) -> None:
    given = [f"{canary.TOKEN}-1"] * (1 + repeats) + [f"{canary.TOKEN}-2"]

    async def provider() -> str:
        return given.pop(0)

    async def main() -> None:
        keeper = keeper_of(CalledToken(provider, timeout_s=60))
        await taken_away(keeper)
        began = asyncio.get_running_loop().time()
        while isinstance(await keeper.grant(), NoAnswer):  # noqa: ASYNC110 -- virtual time
            await asyncio.sleep(0.1)
        grant = await granted(keeper)
        assert grant.generation == 2
        if comes:
            assert grant.token.reveal() == f"{canary.TOKEN}-2"
            return
        # One that it insists on is sent again: the platform may have been wrong. It has the last word.
        assert 20 <= asyncio.get_running_loop().time() - began <= 60
        assert grant.token.reveal() == f"{canary.TOKEN}-1"
        assert "a token just renewed" in str(keeper.refused(grant.generation, REFUSAL))

    run_virtual(main())


async def an_answer(answer: Answer) -> Attempt:
    return answer


async def numbered() -> str:
    return f"{canary.TOKEN}-{next(NUMBERS)}"


@pytest.mark.parametrize("was_accepted", [False, True], ids=["the first token", "a later one"])
@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            AppToken(lambda: an_answer(envelope(data={"orgAccessToken": canary.TOKEN}))),
            "share one token through a callable",
        ),
        (CalledToken(numbered, timeout_s=60), "the callable returns an old one"),
    ],
    ids=["app", "callable"],
)
async def test_a_fresh_token_that_is_refused_names_the_likely_cause(
    source: TokenSource, told: str, was_accepted: bool
) -> None:
    keeper = keeper_of(source)
    if was_accepted:
        await taken_away(keeper)
    grant = await granted(keeper)
    error = keeper.refused(grant.generation, REFUSAL)
    assert told in str(error)
    assert ("another app or platform" in str(error)) is not was_accepted


@pytest.mark.parametrize(
    ("attempt", "told"),
    [
        (REFUSED_CONNECTION, "token call"),
        (NoAnswer(fault=Fault.CONNECTION_LOST, sent=True), "token call"),
        (Answer(status=500, body=b"<html>"), "HTTP 500"),
        (Answer(status=200, body=b"<html>login"), "HTTP 200"),
        (envelope("500"), "code '500'"),
        (envelope(), "without a usable token"),
        (envelope(data=canary.PERSON), "without a usable token"),
        (envelope(data={"orgAccessToken": None}), "without a usable token"),
        (envelope(data={"orgAccessToken": f"{canary.TOKEN}\r\nX-Evil: 1"}), "without a usable token"),
        (envelope(data={"orgAccessToken": 7}), "without a usable token"),
    ],
)
async def test_a_token_call_that_gives_no_token_is_a_value_without_secrets(attempt: Attempt, told: str) -> None:
    async def ask() -> Attempt:
        return attempt

    fetched = await AppToken(ask).fetch(None)
    assert isinstance(fetched, NoAnswer)
    assert not fetched.sent
    assert told in fetched.detail
    assert canary.leaks(repr(fetched)) == []


@pytest.mark.parametrize("expire", [0, -1, None, "7200", 10**12])
async def test_a_token_is_read_whatever_its_expire_says(expire: Any) -> None:
    async def ask() -> Attempt:
        return envelope(data={"orgAccessToken": canary.TOKEN, "orgRefreshToken": "r", "expire": expire})

    fetched = await AppToken(ask).fetch(None)
    assert isinstance(fetched, Secret)
    assert fetched.reveal() == canary.TOKEN


@pytest.mark.parametrize("code", ["100100", "100300"])
async def test_refused_app_credentials_are_an_error_at_once(code: str) -> None:
    async def ask() -> Attempt:
        return envelope(code)

    with canary.raises(AuthError, match=code):
        await AppToken(ask).fetch(None)


class Broken(Exception):
    """What the user's callable raises, with the token in its text."""


async def raising() -> str:
    raise Broken(canary.TOKEN)


async def blank() -> str:
    return f" {canary.TOKEN}"


async def cancelled() -> str:
    raise asyncio.CancelledError


async def slow() -> str:
    await asyncio.sleep(3600)
    return canary.TOKEN


@pytest.mark.parametrize(
    ("provider", "told"),
    [
        (raising, "raised Broken"),
        (blank, "cannot be a token"),
        (slow, "raised TimeoutError"),
        (cancelled, "was cancelled by its own"),
    ],
)
def test_a_token_callable_that_fails_is_a_value_without_its_words(
    provider: Callable[[], Awaitable[str]], told: str
) -> None:
    fetched = run_virtual(CalledToken(provider, timeout_s=60).fetch(None))
    assert isinstance(fetched, NoAnswer)
    assert told in fetched.detail
    assert canary.leaks(repr(fetched)) == []


def test_who_is_cancelled_while_a_token_callable_runs_stays_cancelled() -> None:
    async def main() -> None:
        fetching = asyncio.create_task(CalledToken(slow, timeout_s=60).fetch(None))
        await asyncio.sleep(1)
        fetching.cancel()
        with canary.raises(asyncio.CancelledError):
            await fetching

    run_virtual(main())


@pytest.mark.parametrize("status", [302, 404, 405, 410, 415])
async def test_a_token_call_to_where_there_is_none_says_that_the_address_is_wrong(status: int) -> None:
    fetched = await AppToken(lambda: an_answer(Answer(status=status, body=b"<html>"))).fetch(None)
    assert fetched == NoAnswer(fault=Fault.ADDRESS, sent=False, detail=f"the token call answered HTTP {status}")


APP = AppCredentials(app_id="given", app_secret=canary.TOKEN)
OF_ENVIRONMENT = AppCredentials(app_id="app", app_secret=canary.TOKEN)
TOKEN_SET = {"ASYNCIMPORT_TOKEN": canary.TOKEN}
APP_SET = {"ASYNCIMPORT_APP_ID": "app", "ASYNCIMPORT_APP_SECRET": canary.TOKEN}


@pytest.mark.parametrize(
    ("token", "app", "environment", "used"),
    [
        pytest.param(numbered, None, TOKEN_SET, numbered, id="a-token-before-the-environment"),
        pytest.param(None, APP, TOKEN_SET, APP, id="an-app-before-the-environment"),
        pytest.param(None, None, TOKEN_SET | APP_SET, canary.TOKEN, id="of-the-environment-the-token-first"),
        pytest.param(None, None, APP_SET | {"ASYNCIMPORT_TOKEN": ""}, OF_ENVIRONMENT, id="then-the-app"),
    ],
)
def test_what_is_given_goes_before_the_environment(
    token: Token | None, app: AppCredentials | None, environment: dict[str, str], used: object
) -> None:
    with with_only(environment):
        found = credentials_of(token, app)
    if isinstance(used, AppCredentials):
        assert isinstance(found, AppCredentials)
        assert (found.app_id, found.app_secret.reveal()) == (used.app_id, canary.TOKEN)
    else:
        assert found == used


@pytest.mark.parametrize(
    ("token", "app", "environment", "told"),
    [
        pytest.param(canary.TOKEN, APP, {}, "not both", id="both"),
        pytest.param(None, None, {}, "no token", id="nothing"),
        pytest.param(None, None, {"ASYNCIMPORT_APP_ID": "app"}, "no token", id="an-app-without-its-secret"),
        pytest.param(None, None, {"ASYNCIMPORT_APP_SECRET": canary.TOKEN}, "no token", id="a-secret-without-its-app"),
        pytest.param(None, None, APP_SET | {"ASYNCIMPORT_APP_ID": "a b"}, "app id", id="an-app-id-that-is-none"),
    ],
)
def test_credentials_that_are_not_given_once_and_whole_are_refused_without_showing_any(
    token: str | None, app: AppCredentials | None, environment: dict[str, str], told: str
) -> None:
    with with_only(environment), canary.raises(ConfigError, match=told):
        credentials_of(token, app)


def test_app_credentials_show_no_secret() -> None:
    app = AppCredentials(app_id="app", app_secret=canary.TOKEN)
    assert canary.leaks(f"{app} {app!r} {attrs.asdict(app)} {attrs.astuple(app)}") == []


@pytest.mark.parametrize("bad", ["", "with blank", "线", "a\r\nb", "x" * 4097])
def test_app_credentials_that_cannot_be_any_are_refused(bad: str) -> None:
    with canary.raises(ConfigError, match="app id"):
        AppCredentials(app_id=bad, app_secret="secret")
    with canary.raises(ConfigError, match="app secret"):
        AppCredentials(app_id="app", app_secret=bad)
