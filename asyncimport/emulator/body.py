"""From the bytes of a request to the records in it, each with the key and the bytes the ledger keeps."""

import json
from collections.abc import Collection
from hashlib import blake2b
from typing import NoReturn

import orjson
from attrs import frozen

from asyncimport.emulator.assumptions import Assumptions
from asyncimport.emulator.endpoints import Resource
from asyncimport.emulator.shape import Json, Problem

# 16 bytes: two of a billion records share a digest with a probability below 1e-20.
DIGEST_BYTES = 16


@frozen(kw_only=True)
class Batch:
    """The records of one request: as read, their keys, and their canonical bytes, all in the order of the body."""

    records: list[Json]
    keys: list[str]
    canonical: list[bytes]

    def without(self, dropped: Collection[int]) -> "Batch":
        """Give the batch without the records at these indices."""
        kept = [index for index in range(len(self.records)) if index not in dropped]
        return Batch(
            records=[self.records[index] for index in kept],
            keys=[self.keys[index] for index in kept],
            canonical=[self.canonical[index] for index in kept],
        )

    def first(self, count: int) -> "Batch":
        """Give the first `count` records as a batch."""
        return Batch(records=self.records[:count], keys=self.keys[:count], canonical=self.canonical[:count])


def digest(data: bytes) -> str:
    """Give the digest, 32 hex digits, that ledger and tests compare bytes by."""
    return blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def canonical(record: object) -> bytes:
    """Give the one spelling of a record: sorted keys, no blanks, UTF-8.

    Raises:
        TypeError: a lone surrogate, or an integer beyond 64 bits.
    """
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


def record_key(resource: Resource, record: Json) -> str:
    """Give the key under which the ledger counts this record: for tests that know what they sent."""
    return _key(resource, record, canonical(record))


def _key(resource: Resource, record: Json, spelled: bytes) -> str:
    own = record.get(resource.key_field) if resource.key_field is not None else None
    return own if isinstance(own, str) else blake2b(spelled, digest_size=DIGEST_BYTES).hexdigest()


def _object(pairs: list[tuple[str, object]]) -> Json:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return result


def _constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


# The standard library reads what the client wrote with orjson: a second opinion, and it sees keys that stand twice.
_STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def read(body: bytes, resource: Resource, assumptions: Assumptions) -> tuple[Batch | None, list[Problem]]:
    """Read a body by the contract: the batch, or what of it may be committed, and every problem found."""
    try:
        value: object = _STRICT.decode(body.decode())
    except (ValueError, RecursionError):
        # The reader's own words would quote the body.
        return None, [Problem(reason="must be UTF-8 JSON: no NaN, no key twice in an object, no endless nesting")]
    problem = resource.contract.envelope_problem(value)
    if problem is not None or not isinstance(value, dict):
        return None, [problem] if problem is not None else []
    problems = resource.contract.record_problems(value, assumptions)
    if problems and assumptions.one_bad_record_fails_batch:
        return None, list(problems.values())
    batch, unspelled = _spell(resource, [record for index, record in enumerate(value["data"]) if index not in problems])
    return batch, [*problems.values(), *unspelled]


def read_leniently(body: bytes, resource: Resource) -> tuple[Batch | None, list[Problem]]:
    """Read a body for counting alone: JSON, and `data` a list of objects."""
    try:
        value = orjson.loads(body)
    except ValueError:
        return None, [Problem(reason="must be UTF-8 JSON")]
    data = value.get("data") if isinstance(value, dict) else None
    if not isinstance(data, list) or not all(isinstance(record, dict) for record in data):
        return None, [Problem(path=".data", reason="must be an array of objects")]
    return _spell(resource, data)


def _spell(resource: Resource, records: list[Json]) -> tuple[Batch | None, list[Problem]]:
    try:
        spelled = [canonical(record) for record in records]
    except TypeError:
        return None, [Problem(path=".data", reason="holds a lone surrogate or an integer beyond 64 bits")]
    keys = [_key(resource, record, data) for record, data in zip(records, spelled, strict=True)]
    return Batch(records=records, keys=keys, canonical=spelled), []
