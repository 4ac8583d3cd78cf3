from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import canary
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.errors import ConfigError
from asyncimport.secret import Secret


def secret() -> Secret:
    return Secret(canary.TOKEN, "token")


@attrs.frozen
class Holder:
    token: Secret


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        format,
        "{0!r:>40}".format,
        "%s %r".__mod__,
        lambda it: f"{it}{it!s}{it!r}{it:>40}",
        lambda it: repr([it, {"token": it}, Holder(it)]),
        lambda it: repr(attrs.asdict(Holder(it))),
        lambda it: str(attrs.astuple(Holder(it))),
        lambda it: repr(dir(it)),
        lambda it: logging.LogRecord("x", 10, "x", 1, "%s %r", (it, it), None).getMessage(),
    ],
)
def test_a_secret_shows_only_that_it_is_one(show: Callable[[Any], str]) -> None:
    try:
        text = show(secret())
    except TypeError:  # "%s %r" takes two
        text = show((secret(), secret()))
    assert canary.leaks(text) == []


def test_what_stands_for_it_is_a_mask() -> None:
    assert f"{secret()}|{secret()!r}|{secret()!s}" == "***|***|***"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    with canary.raises(TypeError, match="not pickled"):
        pickle.dumps(secret(), protocol)
    with canary.raises(TypeError, match="not pickled"):
        pickle.dumps(Holder(secret()), protocol)


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, orjson.dumps, vars, len, iter])
def test_a_secret_is_not_copied_serialised_or_looked_into(make: Callable[[Any], Any]) -> None:
    with canary.raises(TypeError):
        make(secret())


def test_only_the_one_method_reveals_it() -> None:
    assert secret().reveal() == canary.TOKEN
    assert not hasattr(secret(), "__dict__")


@pytest.mark.breakage("secret: take whatever aiohttp would send")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        f" {canary.TOKEN}",
        f"{canary.TOKEN}\n",
        f"{canary.TOKEN}\r\nX-Evil: 1",
        f"{canary.TOKEN}\0",
        f"{canary.TOKEN}\x7f",
        f"{canary.TOKEN}é",
        f"{canary.TOKEN}\u2028",
        f"{canary.TOKEN}张",
        canary.TOKEN * 300,
        canary.TOKEN.encode(),
        None,
        7,
    ],
    ids=[
        "empty", "blank-within", "blank-before", "lf", "cr-lf", "nul", "del", "latin", "line-separator", "chinese",
        "5400-characters", "bytes", "none", "int",
    ],
)  # fmt: skip
def test_s2_what_fits_in_no_header_is_refused_unseen(text: Any) -> None:
    with canary.raises(ConfigError, match="the app secret must be 1 to 4096 printable ASCII characters"):
        Secret(text, "app secret")


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=4096))
def test_every_printable_token_is_kept_as_it_is(text: str) -> None:
    assert Secret(text, "token").reveal() == text


def test_secrets_are_compared_without_being_shown() -> None:
    assert secret().is_same_as(secret())
    assert not secret().is_same_as(Secret("other", "token"))
