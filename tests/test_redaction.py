from __future__ import annotations

import canary
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.redaction import MAX_SHOWN, shown
from asyncimport.secret import Secret

BODY = orjson.dumps(
    {
        "data": [
            {"realName": canary.PERSON, "phone": "13800001234", "remark": 'says "你好" \\ bye', "token": canary.TOKEN}
        ]
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("参数错误 code 7", "参数错误 code 7", id="plain"),
        pytest.param("", "", id="empty"),
        pytest.param("a\r\nb\tc", r"a\u000d\u000ab\u0009c", id="C15-cr-lf"),
        pytest.param("\x1b[31mred\x9b0m\x00", r"\u001b[31mred\u009b0m\u0000", id="C15-ansi-c1"),
        pytest.param("\u202eabc\u2066\u200f", r"\u202eabc\u2066\u200f", id="C15-bidi"),
        pytest.param("a\u2028b\u2029c\x85", r"a\u2028b\u2029c\u0085", id="C15-line-separators"),
        pytest.param("\ud800", r"\ud800", id="C15-surrogate"),
        pytest.param("x" * 1_000_000, "x" * 200, id="C15-1-mb"),
        pytest.param("\n" * 1_000_000, (r"\u000a" * 34)[:200], id="C15-escaped-and-cut"),
    ],
)
def test_words_from_outside_are_escaped_and_cut(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"姓名 {canary.PERSON} 不合法", "姓名 *** 不合法", id="C16-person"),
        pytest.param(f"token {canary.TOKEN}!", "*** ***!", id="C16-token-and-a-key-of-ours"),
        pytest.param("手机号13800001234已存在", "手机号***已存在", id="C16-phone"),
        pytest.param("张三丰", "***", id="C16-part-of-a-name"),
        pytest.param("user CANARY-Person-张三丰?", "user ***?", id="C16-another-case"),
        pytest.param(r"user \u5f20\u4e09\u4e30?", "user ***?", id="C16-escaped-as-json"),
        pytest.param("三 丰", "三 丰", id="single-letters-are-chance"),
        pytest.param("138 is short", "138 is short", id="three-digits-are-chance"),
        pytest.param('says "你好" \\ bye', '***"***" \\ bye', id="C16-escaped-in-the-body"),
        pytest.param("field phone: 13800001234.", "field ***: ***.", id="words-of-the-request-are-masked-too"),
    ],
)
def test_c16_what_was_sent_is_not_echoed(text: str, expected: str) -> None:
    assert shown(text, BODY) == expected
    assert canary.leaks(shown(text, BODY)) == []


@given(st.text(), st.binary())
def test_whatever_comes_is_printable_and_short(text: str, sent: bytes) -> None:
    out = shown(text, sent)
    assert out.isprintable()
    assert len(out) <= MAX_SHOWN


@given(st.text(), st.text("ghijklmnopqrstvwxyz张三丰", min_size=4, max_size=100), st.text(max_size=50))
def test_c16_no_echo_of_four_letters_is_left(before: str, secret: str, after: str) -> None:
    assert secret not in shown(before + secret + after, orjson.dumps({"name": secret}))


def test_c16_the_token_is_not_echoed_though_it_is_not_in_the_body() -> None:
    token = Secret(canary.TOKEN, "token")
    assert shown(f"bad token {canary.TOKEN} given", BODY[:10], token) == "bad token *** given"
    assert shown(f"{canary.TOKEN.upper()} and {canary.TOKEN.title()}", b"", token) == "*** and ***"
    assert shown("*, ***", b"", Secret("*", "token")) == "***, *********"
    assert canary.leaks(shown("x" * 192 + canary.TOKEN, b"", token)) == []
    assert shown("x" * 190 + canary.TOKEN, b"", token).endswith("x***")


def test_of_an_answer_to_a_large_request_less_is_shown() -> None:
    assert shown("x" * 200, b" " * 300_001) == "x" * 60
