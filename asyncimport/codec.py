"""The wire format: a chunk of records to the bytes of a request, the bytes of an answer to its envelope."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final, TypeVar

import cattrs
import orjson
from attrs import define, field, frozen

from asyncimport.admission import rejection
from asyncimport.batch import Batch, Positions
from asyncimport.chunker import Chunk
from asyncimport.fields import At
from asyncimport.outcome import Rejected
from asyncimport.policy import MAX_BATCH_SIZE
from asyncimport.rejects import not_kept
from asyncimport.structs import UNENCODABLE, Wire, json_bytes, plain

BATCH_ID: Final = range(-(2**63), 2**63)

#: How full a payload is planned to be when records are large, since they differ in size.
FILL: Final = 0.9

Value = TypeVar("Value")


@define(kw_only=True)
class Encoder:
    """Turns the chunks of one run into batches whose bodies are at most `fit_bytes`, or `max_bytes` of a single record.

    One encoding a batch. Only a payload that is too large is encoded a second time, in as many parts as it takes;
    `fitting` then says how many such records fit, so that further chunks are cut smaller. A record that cannot be
    encoded, or is too large alone, is rejected; it never takes its neighbours with it.
    """

    public_params: dict[str, Any]
    max_bytes: int
    #: Looks again at a record the encoder refused: its repaired wire form, or the rejection with every problem.
    recheck: Callable[[Wire, int], Wire | Rejected]
    #: What a rejection keeps of its record.
    content_of: Callable[[object], bytes] = not_kept
    numbers: Iterator[int] = field(factory=count)
    #: What the platform takes, as far as it has taught us; a single record is not bound by it, since it cannot be cut.
    fit_bytes: int = field(init=False)
    #: Records of the size last seen that fit into `fit_bytes`; doubled again while they leave half of it free.
    fitting: int = MAX_BATCH_SIZE

    def __attrs_post_init__(self) -> None:
        """Begin with the user's limit."""
        self.fit_bytes = self.max_bytes

    def fit_into(self, size: int | None) -> None:
        """Keep to bodies of this size, or to the user's limit where it is None or larger."""
        self.fit_bytes = self.max_bytes if size is None else min(size, self.max_bytes)

    def sample(self, wire: Wire) -> None:
        """Look at the size of one record before a whole chunk of its like is put together."""
        try:
            size = len(json_bytes(wire))
        except UNENCODABLE:
            return
        if size * self.fitting > self.fit_bytes:
            self.fitting = max(1, int(FILL * self.fit_bytes / size))

    def encode(self, chunk: Chunk) -> Iterator[Batch | Rejected]:
        """Yield the batches and the rejections of a chunk; each of its records is in exactly one of them."""
        try:
            body = self._dumps(chunk.wires)
        except UNENCODABLE:
            yield from self._encode_each(chunk)
        else:
            yield from self._cut(chunk, body)

    def _cut(self, chunk: Chunk, body: bytes) -> Iterator[Batch | Rejected]:
        """Yield what an encoded chunk comes to: the batch, or smaller ones where it is too large."""
        if len(body) <= self.fit_bytes or (len(chunk.wires) == 1 and len(body) <= self.max_bytes):
            if 2 * len(body) < self.fit_bytes:
                self.fitting = min(MAX_BATCH_SIZE, 2 * self.fitting)
            yield Batch(number=next(self.numbers), positions=chunk.positions, body=body)
        elif len(chunk.wires) == 1:
            yield self._too_large(chunk.wires[0], chunk.positions[0], len(body))
        else:
            yield from self._encode_parts(chunk, len(body))

    def encode_whole(self, chunk: Chunk) -> Batch | None:
        """The one batch of records that were one before, whatever its size; None when none of them can be encoded."""
        try:
            body = self._dumps(chunk.wires)
        except UNENCODABLE:
            checked = [
                self.checked(wire, position) for wire, position in zip(chunk.wires, chunk.positions, strict=True)
            ]
            good = [index for index, item in enumerate(checked) if not isinstance(item, Rejected)]
            wires: Any = [checked[index] for index in good]
            chunk = Chunk(wires=wires, positions=Positions.of([chunk.positions[index] for index in good]))
            if not good:
                return None
            body = self._dumps(wires)
        return Batch(number=-1, positions=chunk.positions, body=body)

    def _encode_parts(self, chunk: Chunk, size: int) -> Iterator[Batch | Rejected]:
        """Cut a chunk whose payload is too large into parts that should fit, at least two."""
        records = len(chunk.wires)
        self.fitting = max(1, min(records // 2, int(records * FILL * self.fit_bytes / size)))
        part = self.fitting
        for start in range(0, records, part):
            yield from self.encode(_part(chunk, slice(start, start + part)))

    def _encode_each(self, chunk: Chunk) -> Iterator[Batch | Rejected]:
        """Find the records that cannot be encoded, then encode the others together."""
        good: list[Wire] = []
        positions: list[int] = []
        for wire, position in zip(chunk.wires, chunk.positions, strict=True):
            checked = self.checked(wire, position)
            if isinstance(checked, Rejected):
                yield checked
            else:
                good.append(checked)
                positions.append(position)
        if good:
            yield from self._cut(Chunk(wires=good, positions=Positions.of(positions)), self._dumps(good))

    def checked(self, wire: Wire, position: int) -> Wire | Rejected:
        """A record as it can be encoded, or its rejection."""
        try:
            json_bytes(wire)
        except UNENCODABLE:
            checked = self.recheck(wire, position)
            if isinstance(checked, Rejected):
                return checked
        else:
            return wire
        try:
            json_bytes(checked)
        except UNENCODABLE as error:
            problem = At(f"data[{position}]").named("a record that JSON cannot carry", str(error))
            return rejection(position, [problem], self.content_of(plain(wire)))
        return checked

    def sendable(self, wire: Wire, position: int) -> Wire | Rejected:
        """A record as it can be sent, or its rejection: it cannot be encoded, or is too large even alone."""
        try:
            size = len(self._dumps([wire]))
        except UNENCODABLE:
            checked = self.checked(wire, position)
            if isinstance(checked, Rejected):
                return checked
            wire, size = checked, len(self._dumps([checked]))
        return wire if size <= self.max_bytes else self._too_large(wire, position, size)

    def _dumps(self, wires: list[Wire]) -> bytes:
        return json_bytes({"publicParams": self.public_params, "data": wires})

    def _too_large(self, wire: Wire, position: int, size: int) -> Rejected:
        content = self.content_of(plain(wire))
        rule = f"too_large: one record must fit into max_batch_bytes={self.max_bytes:,}"
        return rejection(position, [At(f"data[{position}]").named(f"a payload of {size:,} bytes", rule)], content)


def _part(chunk: Chunk, which: slice) -> Chunk:
    return Chunk(wires=chunk.wires[which], positions=chunk.positions[which])


def halved(batch: Batch, pair: int) -> tuple[Batch, Batch]:
    """The two halves of a batch of several records, as pieces of the same whole with bytes of their own.

    Whatever may have become of the batch may have become of each of them. `pair` tells them from other pieces.
    """
    payload = orjson.loads(batch.body)
    middle = (batch.count + 1) // 2
    whole = batch.whole
    whole.open += 1
    whole.is_split = True
    first, second = (
        Batch(
            number=batch.number,
            positions=batch.positions[part],
            body=json_bytes({"publicParams": payload["publicParams"], "data": payload["data"][part]}),
            whole=whole,
            pair=pair,
            is_resumed=batch.is_resumed,
            attempts=batch.attempts,
            unanswered=batch.unanswered,
            unrepeated=batch.unrepeated,
            last_fault=batch.last_fault,
            suspected_at=batch.suspected_at,
            is_poisoned=batch.is_poisoned,
        )
        for part in (slice(None, middle), slice(middle, None))
    )
    return first, second


@frozen(kw_only=True)
class Envelope:
    """The documented answer: `code` decides; `data` is the import batch id where the resource has one (E)."""

    code: str
    errorCode: str = ""  # noqa: N815 -- the wire name
    msg: str = ""
    data: Any = None

    @property
    def batch_id(self) -> int | None:
        """`data` when it is an integer of 64 bits, else None: a success without a usable id is still a success."""
        return self.data if type(self.data) is int and self.data in BATCH_ID else None


def _text(value: object, _kind: object) -> str:
    """Text and nothing else: cattrs itself would make text of anything."""
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


_converter = cattrs.Converter(detailed_validation=False)
_converter.register_structure_hook(str, _text)


def structured(value: Any, kind: type[Value]) -> Value | None:
    """Read a JSON value into an attrs class; None when it does not fit. No message of cattrs, which hold values, gets out."""
    try:
        return _converter.structure(value, kind)
    except (cattrs.BaseValidationError, TypeError, ValueError, KeyError, AttributeError):
        return None


def decode_envelope(body: bytes) -> Envelope | None:
    """Read an answer; None for whatever is not the documented envelope: no JSON, no object, no `code`.

    A `code` that is a whole number counts as its digits; words that are no text are dropped (FAULTS.md B31, C7).
    """
    answer = decode_object(body)
    if answer is None:
        return None
    code = answer.get("code")
    known = {"code": str(code) if type(code) is int else code, "data": answer.get("data")}
    words = {name: answer[name] for name in ("errorCode", "msg") if isinstance(answer.get(name), str)}
    return structured(known | words, Envelope)


def decode_object(body: bytes) -> dict[str, Any] | None:
    """Read a JSON object; None for anything else. orjson bounds depth and refuses NaN, invalid UTF-8 and a BOM."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
