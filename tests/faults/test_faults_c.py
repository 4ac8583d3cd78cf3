"""FAULTS.md part C, what stands in the body of an answer: C1 to C9, C13. One test a row, its id in the name.

C10 to C12 and C14, answers that are too much, are in test_faults_c_bytes.py; C15 and C16, words, in test_faults_c_words.py.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson
import pytest
from attrs import evolve
from faulted import (
    QUICK,
    Takes,
    VirtualPlatform,
    counts,
    over_emulator,
    over_tcp,
    resent_over_tcp,
    resent_virtually,
    spacious,
    virtually,
    was_repeated,
)
from scripted import OK, envelope
from wire import ENVELOPE, Handler, http, says

from asyncimport import AuthError
from asyncimport.attempt import Answer
from asyncimport.emulator import Ok, Status
from asyncimport.observer import NoBatchId
from asyncimport.policy import DispatchPolicy, Meaning
from asyncimport.verdict import Happened, judge

LOGIN = "<!doctype html><title>登录</title><p>Please sign in to this network. code: 200"
CODES = ["100100", "100200", "100300", "40001", "0", "2000", "-1", "", "500", "599", "PARAM_ERROR", "操作"]


@pytest.mark.breakage("policy: a code that no table has is success")
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("status", [200, 201])
def test_c1_a_documented_envelope_with_another_code_is_never_success(status: int, code: str) -> None:
    said = envelope(code, status=status, data=15314513451345123)
    assert judge(said, DispatchPolicy()).happened is not Happened.ACCEPTED
    ended = virtually(VirtualPlatform(script=[OK, said]), 40, spacious(max_in_flight=1))
    assert len(ended.witness.taken) == ended.report.accepted
    assert ended.failure is None or isinstance(ended.failure, AuthError)


@pytest.mark.breakage("verdict: a code about the token is a refusal like any other")
@pytest.mark.parametrize(
    ("code", "codes"),
    [("100100", {}), ("100200", {}), ("100300", {}), ("77", {"77": Meaning.AUTH})],
    ids=["100100", "100200", "100300", "own"],
)
def test_c1_codes_about_the_token_end_the_import_with_a_fixed_token(code: str, codes: dict[str, Meaning]) -> None:
    ended = virtually(
        VirtualPlatform(script=[OK], otherwise=envelope(code)), 40, spacious(max_in_flight=1, codes=codes)
    )
    assert isinstance(ended.failure, AuthError)
    assert counts(ended) == (10, 0, 0, ended.report.read - 10)
    assert len(ended.witness.bodies) == 2


@pytest.mark.breakage("policy: the documented table comes before the user's")
@pytest.mark.parametrize(
    ("code", "meaning", "pauses", "duplicates"),
    [
        ("77", Meaning.THROTTLED, [0.5], 0),
        ("77", Meaning.UNANSWERED, [], 10),
        ("100200", Meaning.THROTTLED, [0.5], 0),
        ("200", Meaning.UNANSWERED, [], 10),
    ],
)
def test_c1_the_users_table_says_what_a_code_means(
    code: str, meaning: Meaning, pauses: list[float], duplicates: int
) -> None:
    taking = Takes(envelope("88", data=1))
    platform = VirtualPlatform(script=[taking, envelope(code)], otherwise=taking)
    own = {code: meaning, "88": Meaning.ACCEPTED}
    ended = virtually(platform, 40, spacious(max_in_flight=1, codes=own))
    assert (counts(ended), ended.pauses, ended.report.possible_duplicates) == ((40, 0, 0, 0), pauses, duplicates)


TYPES = ["text/html", "text/html; charset=utf-16", "application/json", "application/json;charset=", "", "nonsense"]


@pytest.mark.breakage("verdict: a 200 whose body is no envelope accepts")
@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("committed", [False, True])
async def test_c2_a_web_page_with_200_is_unanswered_whatever_it_calls_itself(
    content_type: str, committed: bool
) -> None:
    page = Status(status=200, body=LOGIN, content_type=content_type, committed=committed)
    ended = await over_emulator(Ok(), page)
    was_repeated(ended, 40, copies=10 * committed)
    assert ended.report.possible_duplicates == 10
    parked = await over_emulator(Ok(), page, on_unknown="park")
    assert counts(parked) == (30, 0, 10, 0)


@pytest.mark.breakage("transport: an answer that is not called JSON has no body")
@pytest.mark.parametrize(
    "content_type", ["text/plain", "text/html", "application/octet-stream", "image/png", "nonsense"]
)
async def test_c3_an_envelope_is_one_whatever_content_type_it_has(content_type: str) -> None:
    taking = Takes(says(http(b" " + ENVELOPE, f"Content-Type: {content_type}")))
    ended = await over_tcp(*[taking] * 4)
    assert (counts(ended), ended.report.attempts) == ((40, 0, 0, 0), 4)
    assert ended.report.batch_ids.tolist() == [15314513451345123] * 4


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CUT = {
    "with its length": lambda body: says(http(body, length=len(ENVELOPE)), close=True),
    "until the end": lambda body: says(HEAD + b"Connection: close\r\n\r\n" + body, close=True),
    "in chunks": lambda body: says(CHUNKED + b"%x\r\n%s\r\n" % (len(body), body), close=True),
}


@pytest.mark.breakage("transport, codec: keep what came of a body that broke off, and close its object")
@pytest.mark.parametrize("cut", CUT.values(), ids=CUT)
async def test_c4_an_envelope_cut_off_anywhere_is_unanswered(cut: Any) -> None:
    good = Takes(says(http()))
    places = range(1, len(ENVELOPE))
    # Cut and whole by turns: no two failures in a row, though one batch may meet many.
    steps = [step for place in places for step in (Takes(cut(ENVELOPE[:place])), good)]
    count = 2 * len(places)
    patient = spacious(batch_size=1, max_in_flight=1, retry=evolve(QUICK, max_attempts=1_000))
    ended = await over_tcp(good, *steps, count=count, policy=patient)
    was_repeated(ended, count, copies=len(places))
    assert ended.report.possible_duplicates == len(places)


NO_OBJECT = {
    "array": b"[" + ENVELOPE + b"]",
    "empty array": b"[]",
    "null": b"null",
    "true": b"true",
    "text": b'"200"',
    "number": b"200",
    "fraction": b"2e2",
    "empty object": b"{}",
    "no code": b'{"errorCode":"SUCCESS","msg":"ok","data":1}',
    "code in an array": b'{"code":["200"]}',
    "two objects": ENVELOPE + ENVELOPE,
    "an object and more": ENVELOPE + b"x",
}


@pytest.mark.breakage("verdict: whatever is JSON with 200 accepts")
@pytest.mark.parametrize("body", NO_OBJECT.values(), ids=NO_OBJECT)
def test_c5_json_that_is_no_envelope_is_unanswered(body: bytes) -> None:
    resent_virtually(Answer(status=200, body=body))


HOSTILE = {
    "depth 100,000": b'{"code":"200","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "open depth": b"[" * 100_000,
    "objects in objects": b'{"code":"200","a":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "5,000 digits": b'{"code":"200","data":' + b"9" * 5_000 + b"}",
    "code of 5,000 digits": b'{"code":' + b"9" * 5_000 + b"}",
    "invalid UTF-8": b'{"code":"200","msg":"\xff\xfe"}',
    "overlong UTF-8": b'{"code":"200","msg":"\xc0\xaf"}',
    "GBK": '{"code":"200","msg":"成功"}'.encode("gbk"),
    "UTF-16": ENVELOPE.decode().encode("utf-16"),
    "UTF-32": ENVELOPE.decode().encode("utf-32-le"),
    "BOM": b"\xef\xbb\xbf" + ENVELOPE,
    "lone surrogate": rb'{"code":"200","msg":"\ud800"}',
    "NaN": b'{"code":"200","data":NaN}',
    "infinity": b'{"code":"200","data":1e999}',
    "NUL": ENVELOPE + b"\0",
    "single quotes": b"{'code':'200'}",
    "comment": b'/**/{"code":"200"}',
    "comma at the end": b'{"code":"200",}',
    "JSONP": b"callback(" + ENVELOPE + b")",
}


@pytest.mark.breakage("codec: read what orjson refuses with json.loads, leniently decoded")
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_c6_json_that_breaks_parsers_is_unanswered(body: bytes) -> None:
    await resent_over_tcp(says(http(body)))


FURTHER = {
    "counts that differ": {"successCount": 3, "failCount": 497},
    "errors": {"errors": [{"index": 0, "message": "bad phone"}], "failList": ["1"]},
    "no success": {"success": False, "status": "FAILED"},
    "another code inside": {"result": {"code": "500"}, "body": '{"code":"500"}'},
    "other spellings": {"Code": "500", "CODE": "500", "error_code": "100200"},
    "many": {f"field{n}": n for n in range(2_000)},
}


@pytest.mark.breakage("codec: an envelope has no other fields than the documented ones")
@pytest.mark.parametrize("further", FURTHER.values(), ids=FURTHER)
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_c7_further_fields_change_nothing(further: dict[str, Any], first: bool) -> None:
    documented = {"code": "200", "errorCode": "SUCCESS", "msg": "ok", "data": 7}
    body = orjson.dumps(further | documented if first else documented | further)
    ended = virtually(VirtualPlatform(otherwise=Takes(Answer(status=200, body=body))), 40)
    assert (counts(ended), ended.report.attempts) == ((40, 0, 0, 0), 4)
    assert ended.report.batch_ids.tolist() == [7] * 4
    refused = orjson.dumps(further | documented | {"code": "40001"})
    assert judge(Answer(status=200, body=refused), DispatchPolicy()).happened is Happened.REFUSED


NO_ID = {
    "text": '"15314513451345123"',
    "empty text": '""',
    "fraction": "1.5",
    "whole fraction": "1531451345.0",
    "true": "true",
    "array": "[15314513451345123]",
    "object": '{"batchId":15314513451345123}',
    "2^63": str(2**63),
    "2^64": str(2**64),
    "below -2^63": str(-(2**63) - 1),
    "30 digits": "9" * 30,
}
AN_ID = {"negative": -5, "zero": 0, "documented": 15314513451345123, "largest": 2**63 - 1, "smallest": -(2**63)}


def without_id(caplog: pytest.LogCaptureFixture, body: str) -> None:
    """All are accepted without an id, and that is told once, to the observer and in the log."""
    answer = Answer(status=200, body=body.encode())
    with caplog.at_level(logging.DEBUG):
        ended = virtually(VirtualPlatform(otherwise=Takes(answer)), 100)
    assert (counts(ended), ended.report.attempts) == ((100, 0, 0, 0), 10)
    assert ended.report.batch_ids.tolist() == []
    assert [outcome.batch_id for outcome in ended.outcomes] == [None] * 10
    assert len([notice for notice in ended.notices if isinstance(notice, NoBatchId)]) == 1
    assert len([text for text in caplog.messages if text.startswith("NoBatchId")]) == 1


@pytest.mark.breakage("codec: make an integer of whatever data is")
@pytest.mark.parametrize("data", NO_ID.values(), ids=NO_ID)
def test_c8_a_batch_id_that_is_none_is_told_once_and_the_batch_accepted(
    caplog: pytest.LogCaptureFixture, data: str
) -> None:
    without_id(caplog, f'{{"code":"200","errorCode":"SUCCESS","msg":"ok","data":{data}}}')


@pytest.mark.breakage("codec: a batch id is positive")
@pytest.mark.parametrize("number", AN_ID.values(), ids=AN_ID)
def test_c8_every_integer_of_64_bits_is_kept_exactly(number: int) -> None:
    ended = virtually(VirtualPlatform(otherwise=Takes(envelope(data=number))), 100)
    assert ended.report.batch_ids.tolist() == [number] * 10
    assert not [notice for notice in ended.notices if isinstance(notice, NoBatchId)]


@pytest.mark.breakage("course: tell of each batch without an id")
@pytest.mark.parametrize("data", ["", ',"data":null'], ids=["absent", "null"])
def test_c9_a_success_for_users_without_data_is_one_and_told_once(caplog: pytest.LogCaptureFixture, data: str) -> None:
    without_id(caplog, f'{{"code":"200","errorCode":"SUCCESS","msg":"ok"{data}}}')


def byte_by_byte(answer: bytes) -> Handler:
    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: bytes) -> None:
        for byte in answer:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)  # the other side reads it before the next is written
            await asyncio.sleep(0)

    return handle


@pytest.mark.breakage("transport: an answer is what the first read brings")
@pytest.mark.parametrize(
    "answer", [http(), CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(ENVELOPE), ENVELOPE)], ids=["length", "chunked"]
)
async def test_c13_an_answer_in_segments_of_one_byte_is_read(answer: bytes) -> None:
    ended = await over_tcp(*[Takes(byte_by_byte(answer))] * 4)
    assert (counts(ended), ended.report.attempts, ended.connections) == ((40, 0, 0, 0), 4, 1)
