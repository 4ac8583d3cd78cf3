"""What SECURITY promises beyond the rows of FAULTS.md part S: of the token's way, of TLS, of the package and what it stands on."""

from __future__ import annotations

import ast
import re
import ssl
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import aiohttp
import canary
import pytest
from endings import CONFIG, people
from scripted import ScriptedTransport
from wire import http, says, tcp_server

import asyncimport
from asyncimport import USERS, AppCredentials, ConfigError, HttpOptions, ImportClient, UserProfile
from asyncimport.transport import AiohttpTransport

PACKAGE = Path(asyncimport.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "emulator" not in path.parts)
GRANTED = b'{"code":"200","errorCode":"SUCCESS","msg":"ok","data":{"orgAccessToken":"%s","expire":7200}}'


@pytest.mark.breakage("transport: put the token into the URL; connections: into the session's own headers")
async def test_the_token_is_in_one_header_of_each_request_and_nowhere_else() -> None:
    transport = AiohttpTransport(HttpOptions())
    async with tcp_server(says(http())) as server:
        async with ImportClient(server.url, token=canary.TOKEN, transport=transport) as client:
            await client.import_users([UserProfile(third_id="1")], CONFIG)
            assert transport._pool is not None
            session = transport._pool.session
            assert canary.leaks(f"{session!r}{session.headers!r}{vars(transport)!r}{client!r}{vars(client)!r}") == []
        (request,) = server.requests
    assert request.count(canary.TOKEN.encode()) == 1
    assert f"\r\nX-Token: {canary.TOKEN}\r\n".encode() in request
    assert re.search(rb"\r\nUser-Agent: asyncimport/[0-9.]+\w*\r\n", request)


@pytest.mark.breakage("transport: send the app's secret as a header too")
async def test_the_apps_secret_is_in_the_query_of_the_token_call_alone() -> None:
    app = AppCredentials(app_id="app", app_secret=canary.TOKEN)
    assert canary.leaks(f"{app!r}{app}") == []
    async with tcp_server(says(http(GRANTED % b"granted")), says(http())) as server:
        async with ImportClient(server.url, app=app) as client:
            assert (await client.import_users([UserProfile(third_id="1")], CONFIG)).ok
        call, *posts = server.requests
    assert call.partition(b"\r\n")[0].count(canary.TOKEN.encode()) == 1
    assert call.partition(b"\r\n")[2].count(canary.TOKEN.encode()) == 0
    assert posts
    assert all(canary.TOKEN.encode() not in post for post in posts)
    assert all(b"\r\nX-Token: granted\r\n" in post for post in posts)


def unchecked(**changes: Any) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    for name, value in changes.items():
        setattr(context, name, value)
    return context


NO_CHECKS = {
    "no host name": unchecked,
    "no certificate": lambda: unchecked(verify_mode=ssl.CERT_NONE),
    "optional": lambda: unchecked(verify_mode=ssl.CERT_OPTIONAL, check_hostname=True),
    "a server's": lambda: ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
    "False": lambda: False,
    "True": lambda: True,
    "fingerprint": lambda: aiohttp.Fingerprint(b"0" * 32),
}


@pytest.mark.breakage("transport: take any ssl that aiohttp takes")
@pytest.mark.parametrize("make", NO_CHECKS.values(), ids=NO_CHECKS)
def test_s5_nothing_switches_the_checks_of_tls_off(make: Any) -> None:
    with canary.raises(ConfigError, match="requires certificates and checks host names"):
        HttpOptions(ssl=make())


@pytest.mark.breakage("connections: check no certificate by default")
async def test_s5_tls_by_default_asks_for_version_1_2_a_certificate_and_the_name() -> None:
    transport = AiohttpTransport(HttpOptions())
    async with tcp_server(says(http())) as server, ImportClient(server.url, token="t", transport=transport) as client:
        await client.import_users([UserProfile(third_id="1")], CONFIG)
        assert transport._pool is not None
        connector: Any = transport._pool.session.connector
        assert connector._ssl is True
        context = connector._get_ssl_context(_Https())
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


class _Https:
    """As much of a request as aiohttp looks at."""

    ssl = True

    @staticmethod
    def is_ssl() -> bool:
        return True


@pytest.mark.breakage("pyproject: aiohttp>=3.13.0")
def test_the_floor_of_aiohttp_is_above_its_known_holes() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (floor,) = [one.removeprefix("aiohttp>=") for one in project["dependencies"] if one.startswith("aiohttp")]
    assert tuple(map(int, floor.split("."))) >= (3, 13, 4)
    assert len(project["dependencies"]) <= 6


def names_in(path: Path) -> set[str]:
    """Modules that a file imports, and builtins it calls."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {one.name.partition(".")[0] for one in names}
            case ast.ImportFrom(module=str(module)):
                found.add(module.partition(".")[0])
            case ast.Call(func=ast.Name(id=name)):
                found.add(f"{name}()")
    return found


@pytest.mark.breakage("codec: import pickle")
def test_nothing_from_outside_is_run() -> None:
    forbidden = {"pickle", "marshal", "shelve", "yaml", "dill", "xml", "eval()", "exec()", "__import__()"}
    found = {(path.name, name) for path in MODULES for name in names_in(path) & forbidden}
    assert found == {
        ("guard.py", "exec()")
    }  # lines generated from our own declarations; their names come from no record
    assert len(MODULES) > 40


@pytest.mark.breakage("transport: import logging")
def test_one_module_alone_writes_to_a_log_and_backoffs_own_never_does() -> None:
    """The notices of `observer.py` hold no data; everything else is silent, headers too."""
    logging = {path.relative_to(PACKAGE).as_posix() for path in MODULES if "logging" in names_in(path)}
    assert logging == {"observer.py"}
    used = {word for path in MODULES for word in re.findall(r"backoff\.(\w+)", path.read_text(encoding="utf-8"))}
    assert used == {"expo", "full_jitter"}  # not the decorators, which log the exceptions they catch


IMPORTS = """
import sys
touched = []
def audit(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.bind", "subprocess.Popen", "os.system"}:
        touched.append((event, arguments))
sys.addaudithook(audit)
import asyncimport
for name in asyncimport.__all__:
    getattr(asyncimport, name)
import asyncimport.sources, asyncimport.emulator, asyncimport.cli.commands
assert not touched, touched
"""


@pytest.mark.breakage("version: look a name up when it is imported")
def test_importing_the_package_touches_no_network_and_starts_nothing() -> None:
    ended = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.breakage("rejects file: keep the token with each record")
async def test_the_file_of_rejects_holds_the_records_and_no_token(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects"
    async with ImportClient(
        "https://platform.example", token=canary.TOKEN, transport=ScriptedTransport(delay_s=0)
    ) as client:
        await client.run(USERS, [*people(3), {"sex": canary.PERSON}], CONFIG, rejects=rejects)
    kept = rejects.read_text(encoding="utf-8")
    assert canary.PERSON in kept
    assert canary.TOKEN not in kept
