"""FAULTS.md part G, what stands in records: G2 to G11, G19. One test a row, its id in the name.

A bad record is rejected here, before anything is sent of it, and its neighbours are delivered; the ledger is the witness.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import canary
import orjson
import pytest
from faulted import QUICK
from sourced import Ended, arriving, counts, event, mixed, only_the_bad_are_rejected, sourced
from wire import http, says, tcp_server

from asyncimport import (
    USERS,
    DispatchPolicy,
    Event,
    EventImportConfig,
    Identity,
    ImportClient,
    TooManyRejected,
    UserProfile,
)

P = canary.PERSON


def args(value: Any) -> dict[str, Any]:
    return {"eventargs": {"c_value": value}}


def typed(number: int, **more: Any) -> Event:
    identity = Identity(identity_type="phone", identity_value=P)
    return Event(**{"identities": [identity], "event_key": "c_buy", "intid": str(number)} | more)


def python_names(number: int, **more: Any) -> dict[str, Any]:
    identity = {"identity_type": "phone", "identity_value": P}
    return {"identities": [identity], "event_key": "c_buy", "intid": str(number)} | more


#: The ways of writing a record.
FORMS: dict[str, Callable[..., Any]] = {"wire names": event, "Python names": python_names, "typed": typed}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


async def all_rejected(form: Callable[..., Any], bad: list[dict[str, Any]], words: str) -> Ended:
    """Each of these is rejected in its place, by a rule with these words."""
    ended = await sourced(mixed([form(2 * index + 1, **fields) for index, fields in enumerate(bad)], form))
    only_the_bad_are_rejected(ended, len(bad))
    assert [words] * len(bad) == [words for one in ended.rejections.values() if words in str(one)]
    return ended


@attrs.define
class Somebody:
    name: str = P


@dataclass
class Anybody:
    name: str = P


NO_RECORDS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "number": lambda: 7,
    "text": lambda: P,
    "bytes": P.encode,
    "list": lambda: [{"phone": P}],
    "tuple of pairs": lambda: (("phone", P),),
    "set": lambda: {"phone"},
    "generator": lambda: ({"phone": P} for _ in range(3)),
    "class": lambda: UserProfile,
    "another record": lambda: Event(event_key=P),
    "attrs class": Somebody,
    "dataclass": Anybody,
    "error": lambda: ValueError(P),
}


@pytest.mark.breakage("shape: what is neither record nor mapping has no fields")
@pytest.mark.parametrize("way", [list, iter, arriving], ids=["list", "iterator", "async"])
async def test_g2_what_is_no_record_is_rejected_by_its_place_and_the_rest_goes_on(way: Callable[[Any], Any]) -> None:
    bad = [make() for make in NO_RECORDS.values()]
    ended = await sourced(way(mixed(bad, lambda number: {"thirdId": str(number)})), resource=USERS)
    only_the_bad_are_rejected(ended, len(bad))
    assert {one.reason for one in ended.rejections.values()} == {
        "record: takes a UserProfile or a mapping of its fields"
    }


@pytest.mark.breakage("stream: count no rejection against max_rejected")
@pytest.mark.parametrize("make", NO_RECORDS.values(), ids=NO_RECORDS)
async def test_g2_it_ends_the_run_where_the_user_wants_none(make: Callable[[], Any]) -> None:
    source = [*map(event, range(20)), make(), *map(event, range(20, 5_000))]
    ended = await sourced(source, max_rejected=0)
    assert isinstance(ended.failure, TooManyRejected)
    assert (ended.report.rejected, list(ended.rejections)) == (1, [20])
    assert ended.ledger.total == ended.report.accepted < 5_000


class Price(float):
    pass


@pytest.mark.breakage("structs, fields: take any float, of which JSON makes null")
@forms
async def test_g3_a_number_that_is_none_or_infinite_is_rejected_with_its_path(form: Callable[..., Any]) -> None:
    values = [math.nan, -math.nan, math.inf, -math.inf, 1e308 * 10, Price("nan")]
    nests: list[Callable[[Any], Any]] = [lambda x: x, lambda x: [0.5, x], lambda x: {"c_a": [{"c_b": x}]}]
    bad = [args(nest(value)) for nest in nests for value in values]
    ended = await all_rejected(form, bad, "takes finite numbers: NaN and infinities have no JSON form")
    places = [f"data[{at}].{one.problems[0].place_in(at)}" for at, one in ended.rejections.items()]
    assert places[0] == "data[1].eventargs.c_value"
    assert places[6] == "data[13].eventargs.c_value[1]"
    assert places[12] == "data[25].eventargs.c_value.c_a[0].c_b"


@pytest.mark.breakage("fields: any text is Unicode, so that the encoder alone refuses it")
@forms
async def test_g4_a_lone_surrogate_is_rejected_wherever_it_stands(form: Callable[..., Any]) -> None:
    bad: list[dict[str, Any]] = [
        {"intid": "\ud800"},
        {"intid": f"{P}\udfff"},
        args("\udc80"),
        args(["\ud83d", "\ude00"]),
        args({"c_a": "\ud800"}),
        args({"\ud800": 1}),
        {"eventargs": {"\ud83d": 1}},
    ]
    await all_rejected(form, bad, "a lone surrogate, which UTF-8 cannot carry")


@pytest.mark.breakage("fields: any whole number is written, so that the encoder alone refuses it")
@forms
async def test_g5_a_number_beyond_64_bits_is_rejected_and_none_within_is_rounded(form: Callable[..., Any]) -> None:
    long = [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**400, -(10**400), 10**5_000]
    await all_rejected(
        form,
        [args(one) for one in [*long, [10**400], [2**63], {"c_a": 2**64}, {"c_a": 2**63}]],
        "send longer ones as text",
    )
    exact = [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
    ended = await sourced([form(number, **args(one)) for number, one in enumerate(exact)])
    assert [ended.stored[str(n)]["eventargs"]["c_value"] for n in range(len(exact))] == exact


@pytest.mark.breakage("fields: make text of a key, as the json module does")
@forms
async def test_g6_a_key_that_is_no_text_is_rejected_so_that_no_key_is_there_twice(form: Callable[..., Any]) -> None:
    keys: list[dict[Any, Any]] = [
        {1: "a", "1": "b"},
        {True: "a", "true": "b"},
        {None: "a", "null": "b"},
        {1.5: "a"},
        {b"c_a": "a"},
        {("c_a",): "a"},
    ]
    await all_rejected(form, [{"eventargs": one} for one in keys] + [args(one) for one in keys], "takes text keys only")


class Colour(enum.Enum):
    RED = 1


class Size(enum.StrEnum):
    LARGE = "large"


class Level(enum.IntEnum):
    HIGH = 3


class Word(str):
    __slots__ = ()


NAIVE = dt.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 -- naive on purpose
AWARE = dt.datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=dt.timezone(dt.timedelta(hours=8)))
NO_JSON: list[Any] = [
    P.encode(),
    bytearray(b"a"),
    memoryview(b"a"),
    {P},
    frozenset({1}),
    Decimal("1.10"),
    Fraction(1, 3),
    1j,
    NAIVE,
    AWARE,
    NAIVE.date(),
    NAIVE.time(),
    dt.timedelta(1),
    uuid.UUID(int=7),
    Path(P),
    range(3),
    iter([1]),
    Colour.RED,
    Colour,
    Somebody(),
    Anybody(),
    UserProfile(phone=P),
    object(),
    len,
]
CONVERTED: list[tuple[Any, Any]] = [
    ((1, (2,)), [1, [2]]),
    (Size.LARGE, "large"),
    (Level.HIGH, 3),
    (Word("word"), "word"),
    (Price(1.5), 1.5),
    (MappingProxyType({"c_a": 1}), {"c_a": 1}),
    (True, True),
    ([None, {"c_a": None}], [None, {}]),
]


@pytest.mark.breakage("guard: let every value of eventargs pass, of which structs make floats and lists")
@forms
async def test_g7_what_json_has_no_form_for_is_rejected_and_never_written_as_its_repr(form: Callable[..., Any]) -> None:
    bad = [args(one) for one in NO_JSON] + [args([one]) for one in NO_JSON] + [args({"c_a": one}) for one in NO_JSON]
    await all_rejected(form, bad, "takes JSON values only")
    good = [form(number, **args(value)) for number, (value, _) in enumerate(CONVERTED)]
    ended = await sourced([*good, form(99, time=AWARE)])
    assert [ended.stored[str(n)]["eventargs"]["c_value"] for n in range(len(good))] == [to for _, to in CONVERTED]
    assert ended.stored["99"]["time"] == 1_767_294_245_678
    await all_rejected(form, [{"time": NAIVE}], "takes an aware datetime")
    await all_rejected(form, [{"time": 1_700_000_000}], "this looks like seconds")


def nested(levels: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


def endless() -> list[Any]:
    value: list[Any] = []
    value += [value, value]
    return value


@pytest.mark.breakage("fields: follow values to any depth")
@forms
async def test_g8_a_record_nested_without_end_is_rejected_and_breaks_nothing(form: Callable[..., Any]) -> None:
    wraps: list[Callable[[Any], Any]] = [lambda value: [value], lambda value: {"c_a": value}, lambda value: (value,)]
    bad = [args(nested(levels, wrap)) for levels in (200, 900, 100_000) for wrap in wraps]
    ended = await all_rejected(form, [*bad, args(endless())], "nested deeper than 128 levels")
    assert {len(one.problems) for one in ended.rejections.values()} == {1}
    deepest = await sourced([form(0, **args(nested(127, wraps[0])))])
    assert deepest.stored["0"]["eventargs"]["c_value"] == nested(127, wraps[0])


@pytest.mark.breakage("codec: send a record that is too large alone")
@forms
async def test_g9_a_record_above_the_limit_is_rejected_unsent_and_its_neighbours_are_delivered(
    form: Callable[..., Any],
) -> None:
    policy = DispatchPolicy(batch_size=10, max_in_flight=2, max_batch_bytes=5_000, retry=QUICK)
    large = [form(2 * index + 1, **args(text)) for index, text in enumerate(["x" * 5_000, P * 1_000, "x" * 10**6])]
    ended = await sourced(mixed(large, form), policy=policy)
    only_the_bad_are_rejected(ended, 3)
    assert {one.reason for one in ended.rejections.values()} == {
        "record: too_large: one record must fit into max_batch_bytes=5,000"
    }
    assert sum(request.records for request in ended.ledger.batches) == 4


@pytest.mark.breakage("codec: send a payload that is too large as it is")
async def test_g10_records_that_are_too_large_together_are_cut_before_they_are_sent() -> None:
    sizes: list[int] = []

    async def measured(_reader: Any, writer: Any, request: bytes) -> None:
        sizes.append(len(request.partition(b"\r\n\r\n")[2]))
        writer.write(http())

    limit = 100_000
    async with tcp_server(measured) as server:
        policy = DispatchPolicy(max_batch_bytes=limit, max_in_flight=1)
        async with ImportClient(server.url, token=canary.TOKEN, policy=policy) as client:
            source = [event(number, **args("x" * (3_000 if number % 3 else 200))) for number in range(500)]
            report = await client.import_events(source, EventImportConfig())
        sent = [
            record["intid"]
            for request in server.requests
            for record in orjson.loads(request.partition(b"\r\n\r\n")[2])["data"]
        ]
    assert (counts(report), report.attempts) == ((500, 0, 0, 0), len(sizes))
    assert sent == [str(number) for number in range(500)]
    assert max(sizes) <= limit
    assert len(sizes) < 2 * sum(sizes) / limit + 6


TEXTS = {
    "NUL": "a\0b",
    "C0 and C1": "".join(map(chr, [*range(32), *range(127, 160)])),
    "separators": "\u2028\u2029\x85\v\f",
    "four bytes": "\U0001f600\U0010ffff\U00020000𠮷",
    "joined": "\U0001f468\u200d\U0001f469\u200d\U0001f467🏳️‍🌈",
    "right to left": "\u202eאב\u202cعربى\u2066",
    "not normalised": "e\u0301 \u00e9 \ufb01 Å",
    "non-characters": "\ufffe\uffff\ufffd\ufeff",
    "looks like JSON": '","a":{"\\u0000":1}\\',
    "looks like HTML": "</script><!-- & \u00a0 -->",
    "blanks": "  \u3000\t ",
    "empty": "",
}


@pytest.mark.breakage("structs, fields: strip the blanks before a text")
@forms
async def test_g11_any_text_comes_back_byte_for_byte(form: Callable[..., Any]) -> None:
    key = "eventKey" if form is event else "event_key"
    source = [form(number, **args({"c_text": text, f"c_{text}": [text]})) for number, text in enumerate(TEXTS.values())]
    ended = await sourced([*source, form(99, **{key: " \u3000c\u2028 "})])
    for number, text in enumerate(TEXTS.values()):
        assert ended.stored[str(number)]["eventargs"]["c_value"] == {"c_text": text, f"c_{text}": [text]}
    assert ended.stored["99"]["eventKey"] == " \u3000c\u2028 "


STRANGE = {
    "__proto__": {"admin": True},
    "constructor": "x",
    "token": "none",
    "X-Token": "none",
    "Host\r\nX-Evil: 1": "\r\n\r\nGET / HTTP/1.1\r\n",
    "publicParams": {"importMode": 1},
    "code": "200",
    "../../x?y#z": "%2e%2e",
    "": "empty",
}


def headers_of(request: bytes) -> list[bytes]:
    head = request.partition(b"\r\n\r\n")[0]
    return [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]


@pytest.mark.breakage("guard: leave out keys that begin with two underscores")
@forms
async def test_g19_names_that_mean_something_elsewhere_are_json_and_nothing_else(form: Callable[..., Any]) -> None:
    def source() -> Iterator[Mapping[str, Any] | Event]:
        yield form(0, **args("plain"))
        yield form(1, eventargs=STRANGE)
        yield form(2, **args(STRANGE))

    async with tcp_server(says(http())) as server:
        policy = DispatchPolicy(batch_size=1, max_in_flight=1)
        async with ImportClient(server.url, token=canary.TOKEN, policy=policy) as client:
            report = await client.import_events(source(), EventImportConfig())
        plain, *strange = server.requests
    assert counts(report) == (3, 0, 0, 0)
    bodies = [orjson.loads(request.partition(b"\r\n\r\n")[2]) for request in strange]
    assert [body["data"][0]["eventargs"] for body in bodies] == [STRANGE, {"c_value": STRANGE}]
    assert [headers_of(request) for request in strange] == [headers_of(plain)] * 2
    assert [body["publicParams"] for body in bodies] == [{}, {}]
