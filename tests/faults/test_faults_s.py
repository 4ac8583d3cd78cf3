"""FAULTS.md part S, what must never be shown, read or followed. One test a row, its id in the name.

S1 is in tests/test_canary.py, S2 in tests/test_secret.py, S3 in tests/test_address.py, S4, S5, S6 and S14 in
tests/test_transport.py, and over whole imports B19, A5, C10 to C12 and C15, C16 beside this file.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import stat
import traceback
from pathlib import Path
from typing import Any

import canary
import pytest
from endings import ENDINGS, Ending, frames_of
from environment import with_only
from faulted import one_line, over_tcp
from sourced import CONFIGS, event, sourced
from wire import ENVELOPE, http, says, tcp_server

from asyncimport import USERS, AsyncImportError, Event, ImportClient, UserProfile
from asyncimport.emulator import Emulator, ResetBefore, Status
from asyncimport.observer import AttemptFailed

endings = pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)

EVIL_KEYS = {
    "CR LF": "a\r\nERROR asyncimport: all is lost",
    "ANSI": "\x1b[2J\x1b]0;title\x07",
    "C1": "\x9b31m\x85",
    "bidi": "\u202etxt.exe\u2066",
    "separators": "a\u2028b\u2029c",
    "invisible": "a\u200b\ufeff\U000e0041",
    "surrogate": "\ud800",
    "long": "x" * 100_000,
    "format": "%s%n{0}{}",
}


@pytest.mark.breakage("fields: show a key as it is")
@pytest.mark.parametrize("key", EVIL_KEYS.values(), ids=EVIL_KEYS)
async def test_s7_a_name_in_a_record_forges_no_line_of_log_report_or_rejection(
    caplog: pytest.LogCaptureFixture, key: str
) -> None:
    bad: list[Any] = [
        event(1, **{key: 1}),
        event(2, eventargs={key: float("nan")}),
        Event(event_key="", eventargs={"c_a": {key: object()}}),
        {key: 1},
    ]
    with caplog.at_level(logging.DEBUG):
        ended = await sourced([event(0), *bad])
    assert ended.report.rejected == len(bad)
    one_line([str(one) for one in ended.rejections.values()], longest=2_000)
    one_line([one.reason for one in ended.rejections.values()])
    one_line(str(ended.report).splitlines(), longest=300)
    assert len(str(ended.report).splitlines()) < 30
    one_line([message for message in caplog.messages if message[:1].isupper()], longest=2_000)


HEADERS = {
    "status line": http(status="503 \x1b[31mbad\x9b", length=len(ENVELOPE)),
    "location": http(b"", "Location: https://\x1b[31m\u202eevil/\x07", status="302 Found"),
    "location, bidi": http(b"", "Location: https://\u202eevil\u2066.example/", status="302 Found"),
    "location, invisible": http(b"", "Location: //e\u200bvil\u2028x\u0085.example/", status="302 Found"),
    "retry-after": http(b"", "Retry-After: \x1b[31m\x9b1", status="503 Busy"),
    "date": http(b"", "Retry-After: Fri, 13 \x1b[31m", "Date: \x1b[2J", status="429 Busy"),
    "encoding": http(b"x", "Content-Encoding: \x1b[31m\x07"),
}


@pytest.mark.breakage("verdict: show the host of a redirect as it came")
@pytest.mark.parametrize("answer", HEADERS.values(), ids=HEADERS)
async def test_s7_a_header_of_an_answer_forges_no_line_either(caplog: pytest.LogCaptureFixture, answer: bytes) -> None:
    with caplog.at_level(logging.DEBUG):
        ended = await over_tcp(says(answer))
    one_line([] if ended.failure is None else [str(ended.failure)], longest=600)
    one_line([f"{notice.detail}{notice.message}" for notice in ended.notices if isinstance(notice, AttemptFailed)], 400)
    one_line([message for message in caplog.messages if message[:1].isupper()], longest=700)
    assert "\x1b" not in caplog.text


@pytest.mark.breakage("transport: raise ours from the one of the network; errors: pickle the message alone")
@endings
async def test_s8_an_error_shows_no_secret_in_its_whole_graph_and_comes_back_from_a_pickle(
    ending: Ending, tmp_path: Path
) -> None:
    error = await ending.raised(tmp_path)
    assert isinstance(error, ending.kind)
    assert canary.scan(error) == []
    assert canary.leaks("".join(traceback.format_exception(error))) == []
    if isinstance(error, AsyncImportError):
        # The locals of aiohttp's frames are the headers, which error trackers show.
        assert [frame for link in canary._graph(error) for frame in frames_of(link, "aiohttp.")] == []
        packed = pickle.dumps(error)
        back = pickle.loads(packed)
        assert canary.leaks(packed.decode("utf-8", "replace")) == []
        assert (type(back), str(back), back.args) == (type(error), str(error), error.args)
        assert {name: repr(value) for name, value in vars(back).items()} == {
            name: repr(value) for name, value in vars(error).items()
        }


PROXY_NAMES = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]


@pytest.mark.breakage("connections: trust the environment")
async def test_s9_proxies_and_passwords_of_the_environment_are_left_alone(tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password word\ndefault login someone password word\n")
    netrc.chmod(0o600)
    async with tcp_server(says(http())) as server, tcp_server(says(http(status="403 No"))) as proxy:
        proxies = dict.fromkeys(PROXY_NAMES, f"http://someone:word@127.0.0.1:{proxy.port}")
        every_proxy = [name for name in os.environ if name.lower().endswith("_proxy")]
        with with_only(proxies | {"NETRC": str(netrc), "HOME": str(tmp_path)}, of=every_proxy):
            async with ImportClient(server.url, token=canary.TOKEN) as client:
                report = await client.import_users([UserProfile(third_id="1")], CONFIGS["users"])
        assert (report.accepted, proxy.connections, len(server.requests)) == (1, 0, 1)
        assert b"authorization" not in server.requests[0].lower()


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.iterdir())}


@pytest.mark.breakage("journal schema, rejects file: leave the mode to the umask")
async def test_s11_what_holds_peoples_data_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    with_journal, alone = tmp_path / "new" / "deep", tmp_path / "alone"
    alone.mkdir(mode=0o700)
    source = [UserProfile(third_id="1", real_name=canary.PERSON), {"sex": canary.PERSON}]
    before = os.umask(0)
    try:
        async with Emulator(token=canary.TOKEN) as platform:
            gate = platform.faults.hold()
            async with ImportClient(platform.url, token=canary.TOKEN) as client:
                kept: Any = {"journal": with_journal / "journal", "rejects": with_journal / "rejects", "spool": True}
                first = asyncio.create_task(client.run(USERS, iter(source), CONFIGS["users"], **kept))
                second = asyncio.create_task(client.run(USERS, source, CONFIGS["users"], rejects=alone / "rejects"))
                await gate.arrived(2)
                during = modes(with_journal) | modes(alone)
                gate.open()
                await asyncio.gather(first, second)
    finally:
        os.umask(before)
    after = modes(with_journal) | {f"alone-{name}": mode for name, mode in modes(alone).items()}
    assert {"journal", "journal-wal", "journal-shm", "journal.lock"} <= during.keys()
    assert {"journal", "rejects", "alone-rejects"} <= after.keys()
    assert {*during.values(), *after.values()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (with_journal, with_journal.parent)} == {0o700}


@pytest.mark.breakage("transport: log the headers of each request at DEBUG")
def test_s12_debug_modes_of_asyncio_and_aiohttp_show_no_secret(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Every callback is called slow, so that asyncio writes each one's repr."""

    async def main() -> None:
        asyncio.get_running_loop().slow_callback_duration = 0
        for name, ending in ENDINGS.items():
            folder = tmp_path / name
            folder.mkdir()
            assert isinstance(await ending.raised(folder), ending.kind)
        person = UserProfile(third_id="1", real_name=canary.PERSON)
        ended = await sourced(
            [person] * 30, resource=USERS, script=[ResetBefore(), Status(status=429)], copies_are_meant=True
        )
        assert ended.report.accepted == 30

    with caplog.at_level(logging.DEBUG), asyncio.Runner(debug=True) as runner:
        for name in ("asyncio", "aiohttp", "aiohttp.client", "asyncimport", "backoff", "concurrent.futures"):
            caplog.set_level(logging.DEBUG, logger=name)
        runner.run(main())
    assert {"asyncio", "asyncimport"} <= {record.name for record in caplog.records}
    assert len(caplog.records) > 500
    out, err = capfd.readouterr()
    shown = [f"{record.getMessage()}{record.args}{record.exc_text}" for record in caplog.records]
    assert canary.leaks("\n".join([*shown, caplog.text, out, err])) == []


@pytest.mark.breakage("transport: hold the headers of a request in a local; secret: keep the text of a bad one")
@endings
async def test_s13_no_frame_of_ours_that_an_error_came_through_holds_a_secret_by_another_name(
    ending: Ending, tmp_path: Path
) -> None:
    error = await ending.raised(tmp_path)
    frames = [frame for link in canary._graph(error) for frame in frames_of(link, "asyncimport.")]
    assert frames or not ending.is_ours
    for frame in frames:
        shown = {name: canary._shown(value) for name, value in frame.f_locals.items() if name not in canary.SCRUBBED}
        assert [name for name, text in shown.items() if canary.TOKEN in text] == []
