"""FAULTS.md part C, words of the platform that must not be shown as they are: C15, C16. One test a row, its id in the name."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import canary
import orjson
import pytest
from attrs import evolve
from faulted import Ended, VirtualPlatform, holds, ids_of, imported, one_line, spacious, virtually
from scripted import OK, Sent, envelope

from asyncimport import AuthError, ConfigError, TooManyRejected, UploadStalled
from asyncimport.attempt import Answer, Attempt
from asyncimport.observer import AttemptFailed, Paused
from asyncimport.redaction import shown
from asyncimport.secret import Secret

EVIL = {
    "CR LF": "bad\r\nWARNING asyncimport: all records accepted\r\n",
    "ANSI": "\x1b[2J\x1b[31mbad\x1b]0;title\x07\x9b1m",
    "bidi": "\u202egnp.exe\u2066\u2069\u200f",
    "separators": "bad\u2028line\u2029line\x85line\x0b\x0c",
    "invisible": "b\u200bad\u00ad\ufeff\U000e0041",
    "NUL and DEL": "bad\0\x7f\b\b\b",
    "900 KB": "x" * 900_000,
    "900 KB of escapes": "\x1b" * 100_000,
    "terminal escapes as text": r"\x1b[31m \u001b[31m \033[31m",
}
KINDS: dict[str, dict[str, Any]] = {
    "refused": {"code": "40001"},
    "unanswered": {"code": "500"},
    "throttled": {"code": "1", "status": 429},
    "auth": {"code": "100200"},
    "too large": {"code": "1", "status": 413},
}


def is_fit_to_be_shown(ended: Ended, caplog: pytest.LogCaptureFixture) -> None:
    """Notices, log, outcomes, report and exception: each on its own line, printable and short."""
    one_line([notice.message for notice in ended.notices if isinstance(notice, AttemptFailed)])
    one_line([notice.reason for notice in ended.notices if isinstance(notice, Paused)], longest=300)
    one_line([outcome.message for outcome in ended.rejections])
    one_line([outcome.reason for outcome in ended.outcomes])
    one_line([text for text in caplog.messages if text[:1].isupper()], longest=700)
    one_line(str(ended.report).splitlines(), longest=300)
    one_line([] if ended.failure is None else [str(ended.failure)], longest=600)
    assert "\x1b" not in caplog.text


@pytest.mark.breakage("redaction: show words as they came")
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("words", EVIL.values(), ids=EVIL)
def test_c15_words_that_would_forge_lines_or_move_the_cursor_are_escaped_and_cut(
    caplog: pytest.LogCaptureFixture, words: str, kind: dict[str, Any]
) -> None:
    with caplog.at_level(logging.DEBUG):
        ended = virtually(VirtualPlatform(script=[OK, envelope(msg=words, **kind)]), 40, spacious(max_in_flight=1))
    is_fit_to_be_shown(ended, caplog)
    assert [notice for notice in ended.notices if isinstance(notice, AttemptFailed)]


@pytest.mark.breakage("verdict: show any code")
@pytest.mark.parametrize("code", [*EVIL.values(), canary.TOKEN, canary.PERSON, "13800001234"])
def test_c15_c16_a_code_is_shown_only_when_it_looks_like_one(caplog: pytest.LogCaptureFixture, code: str) -> None:
    with caplog.at_level(logging.DEBUG):
        ended = virtually(VirtualPlatform(script=[OK, envelope(code)]), 40, spacious(max_in_flight=1))
    is_fit_to_be_shown(ended, caplog)
    assert "13800001234" not in f"{ended.report}{ended.notices}{ended.outcomes}"


@pytest.mark.breakage("course: hand the words of the platform on as they came")
@pytest.mark.parametrize("words", EVIL.values(), ids=EVIL)
def test_c15_an_exception_about_refusals_is_one_line_too(caplog: pytest.LogCaptureFixture, words: str) -> None:
    platform = VirtualPlatform(otherwise=envelope("40001", msg=words))
    ended = virtually(platform, 400, max_rejected=0)
    assert ended.failure is not None
    is_fit_to_be_shown(ended, caplog)


ECHOES = {
    "token": f"token {canary.TOKEN} is wrong",
    "token, upper case": f"token {canary.TOKEN.upper()} is wrong",
    "person": f"{canary.PERSON} 不合法",
    "part of a name": "张三丰有误",
    "person, upper case": f"no such user {canary.PERSON.upper()}",
    "escaped": f"no such user {canary.PERSON.encode('ascii', 'backslashreplace').decode()}",
    "the request": f'{{"thirdId":"10","realName":"{canary.PERSON}"}}',
    "at the cut": "x" * 190 + canary.TOKEN,
    "at the cut, person": "x" * 190 + canary.PERSON,
    "often": (canary.TOKEN + canary.PERSON) * 100,
    "in 900 KB": " " * 100 + canary.TOKEN + "x" * 900_000 + canary.PERSON,
    "with controls": f"\r\n{canary.TOKEN}\x1b[31m{canary.PERSON}",
}


@pytest.mark.breakage("redaction: mask nothing")
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("words", ECHOES.values(), ids=ECHOES)
def test_c16_an_echo_of_token_or_person_is_masked_wherever_it_would_be_shown(
    caplog: pytest.LogCaptureFixture, words: str, kind: dict[str, Any]
) -> None:
    with caplog.at_level(logging.DEBUG):
        ended = virtually(VirtualPlatform(script=[OK, envelope(msg=words, **kind)]), 40, spacious(max_in_flight=1))
    is_fit_to_be_shown(ended, caplog)
    shown = f"{caplog.text}{ended.notices}{ended.outcomes}{ended.report}{ended.failure}"
    assert canary.leaks(shown.lower()) == []


@pytest.mark.breakage("verdict: put the words of the platform into the detail")
@pytest.mark.parametrize(
    ("answer", "error", "run"),
    [
        pytest.param(envelope("100200", msg=canary.TOKEN), AuthError, {}, id="token-refused"),
        pytest.param(envelope("1", msg=f"{canary.TOKEN} {canary.PERSON}", status=403), AuthError, {}, id="denied"),
        pytest.param(Answer(status=404, body=canary.TOKEN.encode()), ConfigError, {}, id="not-there"),
        pytest.param(Answer(status=302, body=canary.TOKEN.encode()), ConfigError, {}, id="redirected"),
        pytest.param(Answer(status=502, body=f"<p>{canary.PERSON}".encode()), ConfigError, {}, id="gateway"),
        pytest.param(
            Answer(status=429, body=canary.TOKEN.encode(), retry_after="86400"), UploadStalled, {}, id="stalled"
        ),
        pytest.param(envelope("7", msg=canary.PERSON), TooManyRejected, {"max_rejected": 0}, id="too-many"),
    ],
)
def test_c16_no_exception_shows_an_echo(answer: Answer, error: type[Exception], run: dict[str, Any]) -> None:
    ended = virtually(VirtualPlatform(otherwise=answer), 100, **run)
    assert ended.failure is not None
    if not run:  # what ends an import that refuses everything depends on how refusals are looked into
        assert isinstance(ended.failure, error)


@pytest.mark.breakage("redaction: show as much of an answer to a large request as of any other")
def test_c16_an_echo_of_a_large_request_is_masked_without_holding_up_the_loop() -> None:
    filling = "".join(f"{n:07}" for n in range(140_000))
    body = orjson.dumps({"data": [{"remark": filling, "realName": canary.PERSON}]})
    words = f"{canary.PERSON}, {canary.TOKEN}: " + "no such remark, " * 60_000
    began = time.process_time()
    for _ in range(10):
        text = shown(words, body, Secret(canary.TOKEN, "token"))
        one_line([text], longest=60)
        assert canary.leaks(text) == []
    assert time.process_time() - began < 0.5


@pytest.mark.breakage("course: hand the words of the platform on as they came")
async def test_c16_the_rejects_file_has_people_in_the_records_only_and_the_token_nowhere(tmp_path: Path) -> None:
    said = envelope("40001", msg=f"{canary.PERSON} with {canary.TOKEN}")

    def refuses_one(sent: Sent) -> Attempt:
        return said if "13" in ids_of(sent.body) else OK

    platform, rejects = VirtualPlatform(otherwise=refuses_one, delay_s=0), tmp_path / "rejects.ndjson"
    ended = await imported(platform.transport, 40, policy=spacious(), within_s=20, rejects=rejects)
    holds(evolve(ended, witness=platform.witness))
    lines = [orjson.loads(line) for line in rejects.read_bytes().splitlines()]
    assert "13" in [line["record"]["thirdId"] for line in lines]
    assert len(lines) == ended.report.rejected
    for line in lines:
        assert line.pop("record")["realName"] == canary.PERSON
        assert canary.leaks(str(line)) == []
