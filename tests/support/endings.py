"""Imports that end in each error of the package, with a token and a person's data wherever the other side may quote them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import canary
from attrs import frozen
from faulted import QUICK
from scripted import ScriptedTransport
from wire import Handler, hangs, http, resets, says, tcp_server

from asyncimport import (
    AppCredentials,
    AsyncImportError,
    AuthError,
    ConfigError,
    DispatchPolicy,
    HttpOptions,
    ImportClient,
    ImportMode,
    IncompleteImport,
    JournalError,
    PlatformRefused,
    SourceError,
    StateError,
    Timeouts,
    TooManyRejected,
    UploadStalled,
    UserImportConfig,
    UserProfile,
    ValidationError,
)
from asyncimport.secret import Secret
from asyncimport.transport import AiohttpTransport

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
WORDS = f"{canary.TOKEN} {canary.PERSON}".encode()
POLICY = DispatchPolicy(batch_size=10, max_in_flight=2, retry=QUICK, first_contact_s=0.2)


@frozen(kw_only=True)
class Ending:
    """One way to an error."""

    kind: type[BaseException]
    run: Callable[[Path], Awaitable[object]]
    #: Whether the error comes through frames of the package.
    is_ours: bool = True

    async def raised(self, folder: Path) -> BaseException:
        """The error."""
        try:
            await self.run(folder)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 -- looked at by the caller
            return error
        raise AssertionError("nothing was raised")


def frames_of(error: BaseException, package: str) -> Iterator[FrameType]:
    """The frames of a package that an exception came through."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").startswith(package):
            yield trace.tb_frame
        trace = trace.tb_next


def people(count: int = 30) -> Iterator[UserProfile]:
    return (UserProfile(third_id=str(n), real_name=canary.PERSON) for n in range(count))


def envelope(code: str, status: str = "200 OK") -> bytes:
    return http(b'{"code":"%s","msg":"%s"}' % (code.encode(), WORDS), status=status)


def by(*handlers: Handler, source: Any = None, client: dict[str, Any] | None = None, **run: Any) -> Any:
    """An import into a server that answers so."""

    async def imported(_folder: Path) -> None:
        async with tcp_server(*handlers) as server:
            options: dict[str, Any] = {"token": canary.TOKEN, "policy": POLICY} | (client or {})
            async with ImportClient(server.url, **options) as opened:
                report = await opened.import_users(people() if source is None else source(), CONFIG, **run)
                report.raise_if_incomplete()

    return imported


async def on_a_folder(folder: Path) -> None:
    await by(says(http()), journal=folder)(folder)


async def closed_in_the_middle(_folder: Path) -> None:
    async with tcp_server(hangs) as server:
        client = ImportClient(server.url, token=canary.TOKEN, policy=POLICY)
        running = asyncio.create_task(client.import_users(people(), CONFIG))
        await server.arrived.wait()
        await client.aclose()
        await running


async def cancelled(_folder: Path) -> None:
    async with tcp_server(hangs) as server, ImportClient(server.url, token=canary.TOKEN, policy=POLICY) as client:
        running = asyncio.create_task(client.import_users(people(), CONFIG))
        await server.arrived.wait()
        running.cancel()
        await running


async def bad_token(_folder: Path) -> None:
    ImportClient("https://platform.example", token=f"{canary.TOKEN}\r\nX-Evil: 1")


async def bad_secret(_folder: Path) -> None:
    AppCredentials(app_id="app", app_secret=f"{canary.TOKEN} ")


async def bad_address(_folder: Path) -> None:
    ImportClient(f"https://someone:{canary.PERSON}@platform.example", token=canary.TOKEN)


async def bad_record(_folder: Path) -> None:
    UserProfile(sex=canary.PERSON).check(CONFIG)


async def pickled(_folder: Path) -> None:
    ImportClient("https://platform.example", token=canary.TOKEN, transport=ScriptedTransport()).__reduce__()


async def unknown_to_the_table(_folder: Path) -> None:
    """A host that cannot be encoded: aiohttp lets a UnicodeError through, whose frames hold the request's headers."""
    transport = AiohttpTransport(HttpOptions())
    try:
        await transport.post(f"https://{'a' * 64}.example/x", Secret(canary.TOKEN, "token"), b"{}", Timeouts())
    finally:
        await transport.aclose()


async def raising_token() -> str:
    raise LookupError(canary.TOKEN)


async def bad_token_from_a_callable() -> str:
    return f"{canary.TOKEN}\n"


def raising() -> Iterator[UserProfile]:
    yield from people(15)
    raise LookupError("no more")


def on_reject(_rejected: object) -> None:
    raise ZeroDivisionError


def rejected() -> list[Any]:
    return [*people(10), {"sex": canary.PERSON}]


APP: dict[str, Any] = {"token": None, "app": AppCredentials(app_id="app", app_secret=canary.TOKEN)}
QUOTING = f"https://elsewhere.example/{canary.TOKEN}?name={canary.TOKEN}"

ENDINGS: dict[str, Ending] = {
    "refused token": Ending(kind=AuthError, run=by(says(envelope("100200")))),
    "forbidden": Ending(kind=AuthError, run=by(says(envelope("1", "403 No")))),
    "not there": Ending(kind=ConfigError, run=by(says(http(WORDS, status="404 Not Found")))),
    "redirect": Ending(kind=ConfigError, run=by(says(http(WORDS, f"Location: {QUOTING}", status="307 Else")))),
    "web page": Ending(kind=ConfigError, run=by(says(http(b"<html>" + WORDS)))),
    "reset": Ending(kind=ConfigError, run=by(resets)),
    "garbage": Ending(kind=ConfigError, run=by(says(b"HTTP/1.1 " + canary.TOKEN.encode() + b"\r\n\r\n", close=True))),
    "refused records": Ending(kind=PlatformRefused, run=by(says(envelope("40001")))),
    "pause": Ending(kind=UploadStalled, run=by(says(http(WORDS, "Retry-After: 86400", status="429 Slow")))),
    "too many rejected": Ending(kind=TooManyRejected, run=by(says(http()), source=rejected, max_rejected=0)),
    "incomplete": Ending(kind=IncompleteImport, run=by(says(http()), source=rejected)),
    "source": Ending(kind=SourceError, run=by(says(http()), source=raising)),
    "hook": Ending(kind=ZeroDivisionError, run=by(says(http()), source=rejected, on_reject=on_reject)),
    "journal": Ending(kind=JournalError, run=on_a_folder),
    "unknown to the table": Ending(kind=StateError, run=unknown_to_the_table),
    "closed": Ending(kind=StateError, run=closed_in_the_middle),
    "cancelled": Ending(kind=asyncio.CancelledError, run=cancelled),
    "bad token": Ending(kind=ConfigError, run=bad_token),
    "bad secret": Ending(kind=ConfigError, run=bad_secret),
    "bad address": Ending(kind=ConfigError, run=bad_address),
    "bad record": Ending(kind=ValidationError, run=bad_record),
    "pickled client": Ending(kind=StateError, run=pickled),
    "token callable": Ending(kind=ConfigError, run=by(says(http()), client={"token": raising_token})),
    "bad token from a callable": Ending(
        kind=AsyncImportError, run=by(says(http()), client={"token": bad_token_from_a_callable})
    ),
    "token call refused": Ending(kind=AuthError, run=by(says(envelope("100100")), client=APP)),
    "token call 500": Ending(kind=ConfigError, run=by(says(http(WORDS, status="500 No")), client=APP)),
    "token call reset": Ending(kind=ConfigError, run=by(resets, client=APP)),
    "token call redirected": Ending(
        kind=ConfigError, run=by(says(http(WORDS, f"Location: {QUOTING}", status="302 Else")), client=APP)
    ),
    "token call page": Ending(kind=ConfigError, run=by(says(http(b"<html>" + WORDS)), client=APP)),
}
