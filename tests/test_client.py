from __future__ import annotations

import asyncio
import copy
import multiprocessing
import pickle
from typing import Any

import canary
import pytest
from environment import with_only
from scripted import ScriptedTransport, envelope

import asyncimport
from asyncimport import (
    EVENTS,
    USERS,
    AppCredentials,
    ConfigError,
    Event,
    EventImportConfig,
    HttpOptions,
    Identity,
    ImportClient,
    ImportMode,
    StateError,
    UserImportConfig,
    UserProfile,
)

URL = "https://platform.example/api/open"
CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
ONE = [UserProfile(third_id="1")]


@pytest.mark.parametrize(
    "environment",
    [
        {"ASYNCIMPORT_TOKEN": canary.TOKEN},
        {"ASYNCIMPORT_APP_ID": "app", "ASYNCIMPORT_APP_SECRET": canary.TOKEN},
    ],
    ids=["token", "app"],
)
async def test_address_and_credentials_come_from_the_environment(environment: dict[str, str]) -> None:
    transport = ScriptedTransport(tokens=[envelope(data={"orgAccessToken": canary.TOKEN})])
    values = {"ASYNCIMPORT_BASE_URL": URL, **environment}
    with with_only(values):
        client = ImportClient(transport=transport)
    async with client:
        assert (await client.import_users(ONE, CONFIG)).ok
    assert transport.posts[0].url == f"{URL}/audience/info/batchAdd"
    assert transport.token_calls == ("ASYNCIMPORT_APP_ID" in environment)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"token": "t"}, "base URL"),
        ({"base_url": URL}, "no token"),
        ({"base_url": URL, "token": "t", "app": AppCredentials(app_id="a", app_secret="s")}, "not both"),
        ({"base_url": URL, "token": ""}, "printable ASCII"),
        ({"base_url": URL, "token": f"{canary.TOKEN}\n"}, "printable ASCII"),
        ({"base_url": URL, "token": 7}, "async callable"),
        ({"base_url": "http://platform.example", "token": "t"}, "use https"),
        ({"base_url": URL, "token": "t", "endpoints": {"users": "/../x"}}, "endpoints"),
        ({"base_url": URL, "token": "t", "endpoints": {"uesrs": "/x"}}, "endpoints names 'uesrs'"),
        ({"base_url": f"https://{'a' * 64}.example", "token": "t"}, "base URL"),
        ({"base_url": "https://.example/x", "token": "t"}, "base URL"),
        ({"base_url": URL, "app": "id:secret"}, "app takes AppCredentials, got str"),
        ({"base_url": URL, "token": "t", "policy": {}}, "policy takes DispatchPolicy, got dict"),
        ({"base_url": URL, "token": "t", "http": {}}, "http takes HttpOptions, got dict"),
        ({"base_url": URL, "token": "t", "observer": 5}, "observer takes a callable"),
    ],
)
def test_what_cannot_work_is_refused_when_the_client_is_made(arguments: dict[str, Any], told: str) -> None:
    with with_only({}), canary.raises(ConfigError, match=told):
        ImportClient(**arguments)


def test_http_is_allowed_to_loopback_and_where_the_user_says_so() -> None:
    for url in ("http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]:80/x"):
        assert ImportClient(url, token="t")._session.address.base_url == url
    insecure = ImportClient("http://platform.example", token="t", http=HttpOptions(allow_insecure_http=True))
    assert insecure._session.address.host == "platform.example"


async def test_endpoints_replace_the_paths_of_resources() -> None:
    transport = ScriptedTransport()
    endpoints = {"users": "/import/user/batchAdd", "events": "/event/v3"}
    async with ImportClient(URL, token="t", transport=transport, endpoints=endpoints) as client:
        await client.import_users(ONE, CONFIG)
        event = Event(event_key="c", identities=[Identity(identity_type="phone", identity_value="1")])
        await client.import_events([event], EventImportConfig())
    assert [sent.url for sent in transport.posts] == [f"{URL}/import/user/batchAdd", f"{URL}/event/v3"]


async def test_what_is_no_resource_is_refused() -> None:
    nothing: Any = None
    async with ImportClient(URL, token="t", transport=ScriptedTransport()) as client:
        with canary.raises(ConfigError, match="takes a Resource"):
            await client.run(nothing, [], CONFIG)


@pytest.mark.parametrize("proxy", [5, "proxy.example:3128", "socks5://proxy.example"])
def test_a_proxy_that_is_no_http_url_is_refused(proxy: Any) -> None:
    with canary.raises(ConfigError, match=r"HttpOptions\.proxy takes a URL"):
        HttpOptions(proxy=proxy)


async def test_a_config_of_another_resource_is_refused() -> None:
    async with ImportClient(URL, token="t", transport=ScriptedTransport()) as client:
        with canary.raises(ConfigError, match="events take a EventImportConfig, got UserImportConfig"):
            await client.run(EVENTS, [], CONFIG)


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ({"max_rejected": -1}, "max_rejected"),
        ({"max_rejected": "1"}, "max_rejected"),
        ({"deadline": 0}, "deadline"),
        ({"on_unknown": "drop"}, "on_unknown"),
        ({"policy": {}}, "policy"),
    ],
)
async def test_an_option_that_cannot_work_is_refused(run: dict[str, Any], told: str) -> None:
    async with ImportClient(URL, token="t", transport=ScriptedTransport()) as client:
        with canary.raises(ConfigError, match=told):
            client.stream(USERS, ONE, CONFIG, **run)


async def test_an_option_that_does_not_exist_is_a_type_error() -> None:
    misspelt: Any = {"max_rejects": 1}
    async with ImportClient(URL, token="t", transport=ScriptedTransport()) as client:
        with canary.raises(TypeError, match="max_rejects"):
            client.stream(USERS, ONE, CONFIG, **misspelt)


async def test_an_observer_hears_of_the_run_from_its_start_to_its_end() -> None:
    heard: list[Any] = []
    script = [envelope("500", status=500)]
    transport = ScriptedTransport(script=script)
    async with ImportClient(URL, token=canary.TOKEN, transport=transport, observer=heard.append) as client:
        await client.import_users([*ONE, {"thirdId": 1}], CONFIG)
    kinds = [type(notice).__name__ for notice in heard]
    assert kinds == ["RunStarted", "TokenRenewed", "AttemptFailed", "RunEnded"]
    assert heard[-1].report.accepted == 1
    assert canary.leaks(repr(heard)) == []


class TestState:
    async def test_a_closed_client_says_so(self) -> None:
        transport = ScriptedTransport()
        client = ImportClient(URL, token="t", transport=transport)
        await client.aclose()
        await client.aclose()
        assert transport.is_closed
        with canary.raises(StateError, match="closed"):
            await client.import_users(ONE, CONFIG)

    @pytest.mark.breakage("session: do not look at the loop")
    def test_e15_another_event_loop_is_refused(self) -> None:
        client = ImportClient(URL, token="t", transport=ScriptedTransport())

        async def importing() -> None:
            await client.import_users(ONE, CONFIG)

        asyncio.run(importing())
        with canary.raises(StateError, match="another event loop"):
            asyncio.run(importing())

    @pytest.mark.breakage("client: leave pickling to Python")
    def test_e14_a_client_is_not_pickled_or_copied(self) -> None:
        client = ImportClient(URL, token=canary.TOKEN)
        for take in (pickle.dumps, copy.copy, copy.deepcopy):
            with canary.raises(StateError, match="not pickled"):
                take(client)

    @pytest.mark.breakage("session: do not look at the process")
    def test_e14_a_client_does_not_survive_a_fork(self) -> None:
        client = ImportClient(URL, token="t", transport=ScriptedTransport())
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()

        def child() -> None:
            try:
                asyncio.run(client.import_users(ONE, CONFIG))
            except StateError as error:
                queue.put(str(error))
            else:
                queue.put("it ran")

        process = context.Process(target=child)
        process.start()
        process.join(30)
        assert "survive a fork" in queue.get()

    async def test_a_stream_is_opened_once_and_inside_a_with_block(self) -> None:
        async with ImportClient(URL, token="t", transport=ScriptedTransport()) as client:
            outcomes = client.stream(USERS, ONE, CONFIG)
            with canary.raises(StateError, match="not open"):
                outcomes.report  # noqa: B018 -- the property raises
            with canary.raises(StateError, match="not open"):
                await anext(outcomes)
            async with outcomes:
                pass
            with canary.raises(StateError, match="used before"):
                await outcomes.__aenter__()


def test_every_public_name_is_there_and_documented() -> None:
    for name in asyncimport.__all__:
        public = getattr(asyncimport, name)
        assert getattr(public, "__doc__", None), name
    assert asyncimport.__all__ == sorted(
        asyncimport.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
