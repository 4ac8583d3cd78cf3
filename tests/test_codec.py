from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import canary
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.admission import Admission, rejection
from asyncimport.batch import Batch, Positions
from asyncimport.chunker import Chunk
from asyncimport.codec import Encoder, Envelope, decode_envelope, decode_object, halved
from asyncimport.configs import (
    Config,
    EventImportConfig,
    EventImportConfigV1,
    GroupImportConfig,
    ImportMode,
    MatchingType,
    OptType,
    TagImportConfig,
    UserImportConfig,
    UserImportConfigV2,
)
from asyncimport.fields import At
from asyncimport.outcome import Rejected
from asyncimport.policy import MAX_BATCH_SIZE
from asyncimport.records import (
    CustomField,
    Event,
    EventV1,
    GroupAssignment,
    Identity,
    TagAssignment,
    UserProfile,
    UserProfileV2,
)
from asyncimport.resources import EVENTS, EVENTS_V1, GROUPS, TAGS, USERS, USERS_V2, Resource

VECTORS = Path(__file__).with_name("vectors")
P = canary.PERSON

USERS_CONFIG = UserImportConfig(is_matching=True, import_mode=ImportMode.FULL, matching_type=MatchingType.EXACT)
USER = UserProfile(
    identity_type="uid",
    third_id="1",
    custom_fields=[
        CustomField(config_id=1, config_name="属性1", values=["p1-1", "p1-2"]),
        CustomField(config_id=2, config_name="属性2", values=["p2-1", "p2-2"]),
    ],
)
EVENTS_CONFIG = EventImportConfig(is_matching=True, matching_type=MatchingType.EXACT)
EVENT = Event(
    identities=[Identity(identity_value="18888888888", identity_type="phone")],
    time=1605490615673,
    uuid="asd123",
    event_key="c_buy",
    intid="jjsfia-fjfoha99-ljflw0h-90dsj",
    eventargs={
        "c_goods": "创维洗衣机",
        "c_price": 1420.00,
        "unionid": "d3f4g2ferg3t2ff2g4g2f21f2",
        "title": "下单",
    },
)


def vector(name: str) -> bytes:
    return (VECTORS / f"{name}.json").read_bytes()


def encoded(resource: Resource, config: Config, records: list[Any], max_bytes: int = 10**6) -> list[Batch | Rejected]:
    admission = Admission(resource=resource, config=config, run_id="r" * 20, now_ms=lambda: 1605490615673)
    encoder = Encoder(public_params=config.to_wire(), max_bytes=max_bytes, recheck=admission.recheck)
    wires: Any = [admission.admit(record, position) for position, record in enumerate(records)]
    return list(encoder.encode(Chunk(wires=wires, positions=Positions.of(range(len(wires))))))


@pytest.mark.parametrize(
    ("resource", "config", "record"),
    [(USERS, USERS_CONFIG, USER), (EVENTS, EVENTS_CONFIG, EVENT)],
    ids=["users", "events"],
)
@pytest.mark.parametrize("form", ["typed", "wire-names", "python-names"])
def test_the_documents_request_is_what_the_equal_record_becomes(
    resource: Resource, config: Config, record: Any, form: str
) -> None:
    document = orjson.loads(vector(f"{resource.name}_request"))
    written = {
        "typed": record,
        "wire-names": document["data"][0],
        "python-names": attrs.asdict(record, filter=lambda _, value: value is not None),
    }
    (batch,) = encoded(resource, config, [written[form]])
    assert isinstance(batch, Batch)
    assert orjson.loads(batch.body) == document
    assert b"null" not in batch.body


WHO = Identity(identity_value=P, identity_type="openid", mpid="wx1", is_wechat_ecosystem=True)
WHOSE = {"identityValue": P, "identityType": "openid", "mpid": "wx1", "isWeChatEcosystem": True}


@pytest.mark.parametrize(
    ("resource", "config", "record", "document"),
    [
        (
            USERS_V2,
            UserImportConfigV2(import_mode=ImportMode.PARTIAL, matching_type=MatchingType.FUZZY),
            UserProfileV2(
                identities=[WHO],
                real_name=P,
                sex="男",
                address="a",
                birthday="b",
                remark="",
                custom_fields=[CustomField(config_id=1, values=["x", "y"])],
            ),
            {
                "publicParams": {"importMode": 2, "matchingType": 2},
                "data": [
                    {
                        "identities": [WHOSE],
                        "realName": P,
                        "sex": "男",
                        "address": "a",
                        "birthday": "b",
                        "remark": "",
                        "customFields": [{"configId": 1, "values": ["x", "y"]}],
                    }
                ],
            },
        ),
        (
            EVENTS_V1,
            EventImportConfigV1(is_matching=True, matching_type=MatchingType.EXACT, accurate_match_type="gzh"),
            EventV1(
                identity_type="openid",
                third_id="1",
                openid="o",
                unionid="n",
                phone="138",
                event_key="c_buy",
                intid="i",
                eventargs={"c_price": 1.5},
            ),
            {
                "publicParams": {"isMatching": True, "matchingType": 1, "accurateMatchType": "gzh"},
                "data": [
                    {
                        "identityType": "openid",
                        "thirdId": "1",
                        "openid": "o",
                        "unionid": "n",
                        "phone": "138",
                        "time": 1605490615673,
                        "uuid": "r" * 20 + "0" * 16,
                        "eventKey": "c_buy",
                        "intid": "i",
                        "eventargs": {"c_price": 1.5},
                    }
                ],
            },
        ),
        (
            TAGS,
            TagImportConfig(opt_type=OptType.DELETE, matching_type=MatchingType.EXACT),
            TagAssignment(identities=[WHO], operate_tags=({"a": [1, None]}, "b")),
            {
                "publicParams": {"optType": "delete", "matchingType": 1},
                "data": [{"identities": [WHOSE], "operateTags": [{"a": [1, None]}, "b"]}],
            },
        ),
        (
            GROUPS,
            GroupImportConfig(opt_type=OptType.ADD),
            GroupAssignment(
                identities=[WHO], groups="a,b", category_type="2", dept_id=2**53 + 1, third_dept_id="t", wx_dept_id="w"
            ),
            {
                "publicParams": {"optType": "add"},
                "data": [
                    {
                        "identities": [WHOSE],
                        "groups": "a,b",
                        "categoryType": "2",
                        "deptId": 2**53 + 1,
                        "thirdDeptId": "t",
                        "wxDeptId": "w",
                    }
                ],
            },
        ),
    ],
    ids=["users-v2", "events-v1", "tags", "groups"],
)
@pytest.mark.parametrize("form", ["typed", "wire-names", "python-names"])
def test_every_field_of_the_further_resources_goes_under_its_documented_name(
    resource: Resource, config: Config, record: Any, document: dict[str, Any], form: str
) -> None:
    written = {
        "typed": record,
        "wire-names": document["data"][0],
        "python-names": attrs.asdict(record, filter=lambda _, value: value is not None),
    }
    (batch,) = encoded(resource, config, [written[form]])
    assert isinstance(batch, Batch)
    assert orjson.loads(batch.body) == document


@pytest.mark.parametrize(("name", "batch_id"), [("users", 15314513451345123), ("events", None)])
def test_the_documents_answer_gives_its_batch_id_exactly(name: str, batch_id: int | None) -> None:
    envelope = decode_envelope(vector(f"{name}_answer"))
    assert envelope == Envelope(code="200", errorCode="SUCCESS", msg="ok", data=batch_id)
    assert envelope.batch_id == batch_id


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
records = st.lists(st.dictionaries(st.text(max_size=5), json_values, max_size=4), min_size=1, max_size=20)


def never(wire: Any, position: int) -> Any:
    raise AssertionError(f"record {position} was looked at again")


@given(records, st.integers(60, 400))
def test_decoding_what_was_encoded_gives_the_records(wires: list[Any], max_bytes: int) -> None:
    params = {"importMode": 1}
    encoder = Encoder(public_params=params, max_bytes=max_bytes, recheck=never)
    chunk = Chunk(wires=wires, positions=Positions.of(range(10, 10 + len(wires))))
    seen: dict[int, Any] = {}
    numbers: list[int] = []
    for piece in encoder.encode(chunk):
        if isinstance(piece, Batch):
            assert len(piece.body) <= max_bytes
            body = orjson.loads(piece.body)
            assert body["publicParams"] == params
            seen |= dict(zip(piece.positions, body["data"], strict=True))
            numbers.append(piece.number)
        else:
            assert piece.count == 1
            assert len(orjson.dumps({"publicParams": params, "data": [wires[piece.positions[0] - 10]]})) > max_bytes
            seen[piece.positions[0]] = wires[piece.positions[0] - 10]
    assert list(seen.items()) == list(enumerate(wires, 10))
    assert numbers == list(range(len(numbers)))


@pytest.mark.breakage("codec: send a record that is too large alone")
def test_g9_a_record_too_large_alone_is_rejected_and_its_neighbours_go() -> None:
    people = [{"phone": str(n)} for n in range(9)]
    people[4] = {"remark": P * 100}
    pieces = encoded(USERS, attrs.evolve(USERS_CONFIG, matching_type=None), people, max_bytes=1000)
    (lost,) = [piece for piece in pieces if isinstance(piece, Rejected)]
    assert list(lost.positions) == [4]
    assert "too_large: one record must fit into max_batch_bytes=1,000" in lost.reason
    assert "got a payload of 2,374 bytes" in str(lost)
    assert canary.leaks(repr(lost)) == []
    assert sorted(n for piece in pieces for n in piece.positions) == list(range(9))


@pytest.mark.breakage("codec: send a payload that is too large as it is")
def test_g10_a_payload_above_the_limit_is_halved() -> None:
    people = [{"remark": "x" * 100} for _ in range(8)]
    pieces = encoded(USERS, attrs.evolve(USERS_CONFIG, matching_type=None), people, max_bytes=600)
    assert [list(piece.positions) for piece in pieces] == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.breakage("codec: a payload of the limit itself is too large")
@pytest.mark.parametrize(("less", "batches"), [(0, 1), (1, 2)], ids=["fits", "one-byte-too-many"])
def test_g10_the_limit_is_the_largest_payload_that_goes(less: int, batches: int) -> None:
    wires: list[Any] = [{"remark": "x" * 10}, {"remark": "y" * 10}]
    size = len(orjson.dumps({"publicParams": {}, "data": wires}))
    encoder = Encoder(public_params={}, max_bytes=size - less, recheck=never)
    pieces = list(encoder.encode(Chunk(wires=wires, positions=Positions.of([0, 1]))))
    assert [type(piece) for piece in pieces] == [Batch] * batches


class Word(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("field", "place"),
    [
        pytest.param({"intid": "\ud800"}, "data[2].intid", id="G4-text"),
        pytest.param({"eventargs": {"c": "\ud800", "d": 1}}, "data[2].eventargs.c", id="G4-value"),
        pytest.param({"eventargs": {"\ud800": P}}, "data[2].eventargs", id="G4-key"),
    ],
)
def test_a_record_that_cannot_be_encoded_takes_no_neighbour_with_it(field: dict[str, Any], place: str) -> None:
    document = orjson.loads(vector("events_request"))["data"][0]
    lost, batch = encoded(EVENTS, EVENTS_CONFIG, [document, document, document | field, document])
    assert isinstance(lost, Rejected)
    assert isinstance(batch, Batch)
    assert [problem.place for problem in lost.problems] == [place]
    assert canary.leaks(f"{lost} {lost!r}") == []
    assert list(batch.positions) == [0, 1, 3]
    assert orjson.loads(batch.body)["data"] == [document] * 3


@pytest.mark.parametrize("args", [{"c_a": "b"}, {Word("c_a"): Word("b")}], ids=["by the encoder", "before"])
def test_a_record_is_repaired_where_only_a_type_was_in_the_way(args: Any) -> None:
    (batch,) = encoded(EVENTS, EVENTS_CONFIG, [attrs.evolve(EVENT, intid=Word("a"), eventargs=args)])
    assert isinstance(batch, Batch)
    sent = orjson.loads(batch.body)["data"][0]
    assert (sent["intid"], sent["eventargs"]) == ("a", {"c_a": "b"})


def test_when_every_record_is_refused_no_batch_is_left() -> None:
    (lost,) = encoded(EVENTS, EVENTS_CONFIG, [attrs.evolve(EVENT, intid="\ud800")])
    assert isinstance(lost, Rejected)


def test_what_no_second_look_explains_is_rejected_all_the_same() -> None:
    encoder = Encoder(public_params={}, max_bytes=1000, recheck=lambda wire, _: wire)
    (lost,) = encoder.encode(Chunk(wires=[{"x": object()}], positions=Positions.of([4])))
    assert isinstance(lost, Rejected)
    assert "data[4]: got a record that JSON cannot carry" in str(lost)


def test_a_rejection_of_the_second_look_is_passed_on() -> None:
    refusal = rejection(4, [At("data[4]").problem(None, "is required")])
    encoder = Encoder(public_params={}, max_bytes=1000, recheck=lambda _, __: refusal)
    assert list(encoder.encode(Chunk(wires=[{"\ud800": 2}], positions=Positions.of([4])))) == [refusal]


@pytest.mark.breakage("structs: leave out keys that begin with two underscores")
def test_g11_and_g19_text_goes_byte_for_byte() -> None:
    strange = {"__proto__": "\0\u2028\u202e", "X-Token": "\r\n", "c_\U0001f600": "אב\U0001f468\u200d\U0001f469"}
    (batch,) = encoded(EVENTS, EVENTS_CONFIG, [attrs.evolve(EVENT, eventargs=strange)])
    assert isinstance(batch, Batch)
    assert orjson.loads(batch.body)["data"][0]["eventargs"] == strange


@pytest.mark.parametrize(
    ("body", "code", "batch_id"),
    [
        pytest.param(b'{"code":"200","errorCode":"SUCCESS","msg":"ok"}', "200", None, id="C9-no-data"),
        pytest.param(b'{"code":"200","errorCode":"0"}', "200", None, id="B31-error-code-0"),
        pytest.param(b'{"code":200,"data":7}', "200", 7, id="B31-int"),
        pytest.param(b'{"code":"200","data":7,"count":500,"x":[1]}', "200", 7, id="C7-further-fields"),
        pytest.param(b'{"code":"200","msg":null,"errorCode":7,"data":1}', "200", 1, id="odd-words-are-left-out"),
        pytest.param(b'{"code":"200","data":-7}', "200", -7, id="C8-negative"),
        pytest.param(b'{"code":"200","data":"15"}', "200", None, id="C8-text"),
        pytest.param(b'{"code":"200","data":1.5}', "200", None, id="C8-float"),
        pytest.param(b'{"code":"200","data":true}', "200", None, id="C8-bool"),
        pytest.param(b'{"code":"200","data":18446744073709551616}', "200", None, id="C8-above-64-bits"),
        pytest.param(b'{"code":"200","data":9223372036854775808}', "200", None, id="C8-unsigned"),
        pytest.param(b'{"code":"200","data":9223372036854775807}', "200", 2**63 - 1, id="C8-highest"),
        pytest.param(b'{"code":"200","data":{"a":null}}', "200", None, id="data-object"),
        pytest.param(b' {"code":"100200"}\n', "100200", None, id="blanks-around"),
    ],
)
def test_the_documented_fields_decide(body: bytes, code: str, batch_id: int | None) -> None:
    envelope = decode_envelope(body)
    assert envelope is not None
    assert (envelope.code, envelope.batch_id) == (code, batch_id)
    assert type(envelope.msg) is type(envelope.errorCode) is str


NO_ENVELOPE = [
    pytest.param(b"", id="B20-empty"),
    pytest.param(b"<html><body>login</body></html>", id="C2-html"),
    pytest.param(b'{"code":"200","data":1', id="C4-truncated"),
    pytest.param(b'[{"code":"200"}]', id="C5-array"),
    pytest.param(b"null", id="C5-null"),
    pytest.param(b'"200"', id="C5-string"),
    pytest.param(b"200", id="C5-number"),
    pytest.param(b'{"code":"200","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="C6-depth"),
    pytest.param(b'{"code":"200","data":' + b"1" * 5000 + b"}", id="C6-5000-digits"),
    pytest.param(b'{"code":"200","msg":"\xff"}', id="C6-invalid-utf8"),
    pytest.param('{"code":"200"}'.encode("utf-16"), id="C6-utf16"),
    pytest.param(b'\xef\xbb\xbf{"code":"200"}', id="C6-bom"),
    pytest.param(b'{"code":NaN}', id="nan"),
    pytest.param(b"{}", id="no-code"),
    pytest.param(b'{"msg":"ok","data":1}', id="no-code-but-data"),
    pytest.param(b'{"code":null}', id="code-null"),
    pytest.param(b'{"code":true}', id="code-true"),
    pytest.param(b'{"code":200.0}', id="code-float"),
    pytest.param(b'{"code":["200"]}', id="code-list"),
    pytest.param(b'{"code":"200"}{"code":"200"}', id="C14-extra"),
]


@pytest.mark.parametrize("body", NO_ENVELOPE)
def test_anything_else_is_no_envelope(body: bytes) -> None:
    assert decode_envelope(body) is None


@given(st.binary() | json_values.map(orjson.dumps))
def test_no_answer_makes_the_decoder_raise(body: bytes) -> None:
    answer, envelope = decode_object(body), decode_envelope(body)
    assert answer is None or isinstance(answer, dict)
    assert envelope is None or answer is not None


def chunk_of(names: list[str], first: int = 0) -> Chunk:
    positions = Positions((range(first, first + len(names)),))
    return Chunk(wires=[{"thirdId": name} for name in names], positions=positions)


def test_what_the_platform_takes_bounds_batches_and_no_single_record() -> None:
    encoder = Encoder(public_params={}, max_bytes=100_000, recheck=never)
    encoder.fit_into(1_000)
    batches = [one for one in encoder.encode(chunk_of(["x" * 90] * 20)) if isinstance(one, Batch)]
    assert sum(one.count for one in batches) == 20
    assert max(len(one.body) for one in batches) <= 1_000
    (single,) = encoder.encode(chunk_of(["y" * 2_000]))
    assert isinstance(single, Batch)
    for unbounded in (None, 10**9):
        encoder.fit_into(unbounded)
        assert encoder.fit_bytes == 100_000


@pytest.mark.parametrize(
    ("wire", "fitting"),
    [
        pytest.param({"remark": "x" * 7}, MAX_BATCH_SIZE, id="small"),
        pytest.param({"remark": "x" * 987}, 90, id="a-tenth-is-left-free"),
        pytest.param({"remark": "x" * 200_000}, 1, id="larger-than-the-limit"),
        pytest.param({"remark": "\ud800" * 987}, MAX_BATCH_SIZE, id="not-encodable"),
    ],
)
def test_a_sample_tells_how_many_of_its_like_go_into_a_batch(wire: Any, fitting: int) -> None:
    encoder = Encoder(public_params={}, max_bytes=100_000, recheck=never)
    encoder.sample(wire)
    assert encoder.fitting == fitting


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        pytest.param(["a", "b", "c"], [4, 5, 6], id="all-good"),
        pytest.param(["a", "\ud800", "c"], [4, 6], id="one-cannot-be-encoded"),
        pytest.param(["\ud800"], None, id="none-can-be-encoded"),
        pytest.param(["x" * 600] * 2, [4, 5], id="larger-than-the-limit"),
    ],
)
def test_what_was_one_batch_before_is_one_again_without_what_cannot_be_encoded(
    names: list[str], kept: list[int] | None
) -> None:
    def recheck(wire: Any, position: int) -> Rejected:
        return rejection(position, [At(f"data[{position}]").problem(wire, "cannot be encoded")])

    chunk = chunk_of(names, first=4)
    batch = Encoder(public_params={"a": 1}, max_bytes=1_000, recheck=recheck).encode_whole(chunk)
    if kept is None:
        assert batch is None
        return
    assert batch is not None
    assert list(batch.positions) == kept
    expected = {"publicParams": {"a": 1}, "data": [chunk.wires[position - 4] for position in kept]}
    assert orjson.loads(batch.body) == expected


@given(st.lists(st.text(), min_size=2, max_size=40), st.integers(0, 1000))
def test_h7_halves_hold_the_records_of_their_batch_once_and_in_order(names: list[str], first: int) -> None:
    (batch,) = Encoder(public_params={"a": 1}, max_bytes=10**6, recheck=never).encode(chunk_of(names, first))
    assert isinstance(batch, Batch)
    halves = halved(batch, 7)
    payloads = [orjson.loads(half.body) for half in halves]
    assert payloads[0]["data"] + payloads[1]["data"] == orjson.loads(batch.body)["data"]
    assert {payload["publicParams"]["a"] for payload in payloads} == {1}
    assert [*halves[0].positions, *halves[1].positions] == list(batch.positions)
    assert [half.count for half in halves] == [len(payload["data"]) for payload in payloads]
    assert 0 <= halves[0].count - halves[1].count <= 1
    assert {half.pair for half in halves} == {7}
    assert (batch.whole.open, batch.whole.is_split, {id(half.whole) for half in halves}) == (2, True, {id(batch.whole)})


@pytest.mark.breakage("codec: write halves by another encoder")
def test_a_record_has_the_same_bytes_in_a_half_as_in_the_whole() -> None:
    wires: list[Any] = [{"eventargs": {"a": number}} for number in (1e16, 1.5e-9, 0.1, -0.0)]
    (batch,) = Encoder(public_params={}, max_bytes=10**6, recheck=never).encode(
        Chunk(wires=wires, positions=Positions.of(range(4)))
    )
    assert isinstance(batch, Batch)
    records = [half.body.removeprefix(b'{"publicParams":{},"data":[')[:-2] for half in halved(batch, 1)]
    assert b",".join(records) in batch.body


def test_a_batch_that_fails_although_its_records_do_not_is_a_defect_and_no_endless_loop() -> None:
    encoder = Encoder(public_params={"a": object()}, max_bytes=10**6, recheck=never)
    with canary.raises(TypeError):
        list(encoder.encode(Chunk(wires=[{"phone": "1"}], positions=Positions.of([0]))))


def test_halves_may_have_been_taken_where_their_batch_may_have_been() -> None:
    batch = Batch(number=3, positions=Positions((range(4),)), body=b'{"publicParams":{},"data":[1,2,3,4]}')
    batch.attempts, batch.unanswered, batch.unrepeated, batch.suspected_at = 5, 2, 1, 9.0
    for half in halved(batch, 1):
        assert (half.number, half.attempts, half.unanswered, half.unrepeated) == (3, 5, 2, 1)
        assert (half.suspected_at, half.counted, half.server_faults) == (9.0, 0, 0)


@pytest.mark.parametrize("more", [0, 1])
def test_a_record_is_sendable_alone_up_to_the_limit_to_the_byte(more: int) -> None:
    (batch,) = encoded(USERS, USERS_CONFIG, [USER])
    assert isinstance(batch, Batch)
    admission = Admission(resource=USERS, config=USERS_CONFIG, run_id="r" * 20, now_ms=lambda: 0)
    encoder = Encoder(public_params=USERS_CONFIG.to_wire(), max_bytes=len(batch.body) - more, recheck=admission.recheck)
    wire: Any = admission.admit(USER, 3)
    found = encoder.sendable(wire, 3)
    assert isinstance(found, Rejected) is bool(more)
    assert found is wire or "too_large" in str(found)


def test_a_record_that_cannot_be_encoded_is_not_sendable() -> None:
    admission = Admission(resource=USERS, config=USERS_CONFIG, run_id="r" * 20, now_ms=lambda: 0)
    encoder = Encoder(public_params={}, max_bytes=10**6, recheck=admission.recheck)
    wire: Any = admission.admit(attrs.evolve(USER, remark="\ud800"), 3)
    assert "data[3].remark" in str(encoder.sendable(wire, 3))


def test_a_record_that_was_repaired_is_sendable_in_its_new_form() -> None:
    admission = Admission(resource=EVENTS, config=EVENTS_CONFIG, run_id="r" * 20, now_ms=lambda: 0)
    encoder = Encoder(public_params={}, max_bytes=10**6, recheck=admission.recheck)
    wire: Any = admission.admit(attrs.evolve(EVENT, intid=Word("a")), 3)
    found: Any = encoder.sendable(wire, 3)
    assert found is not wire
    assert type(found["intid"]) is str
