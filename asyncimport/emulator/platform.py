"""The platform itself: who may come in, what is in order, what is committed. It knows no faults of the wire."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from attrs import define, field

from asyncimport.emulator.answer import Answer, failed, imported, refused, token_granted, wrong_app, wrong_token
from asyncimport.emulator.assumptions import Assumptions
from asyncimport.emulator.body import Batch, digest, read, read_leniently
from asyncimport.emulator.endpoints import APP_ID_QUERY, APP_SECRET_QUERY, Resource
from asyncimport.emulator.faults import Poison
from asyncimport.emulator.ledger import Ledger, LoggedRequest
from asyncimport.emulator.shape import Json, Problem
from asyncimport.emulator.tokens import Tokens

# The batch id of the documented example, above 2^53; each further batch gets the next number.
FIRST_BATCH_ID = 15314513451345123


@define(kw_only=True)
class Arrival:
    """An import request that has arrived whole: what it holds, or why it will be refused once it is let in."""

    resource: Resource
    token: str | None = field(repr=False)
    batch: Batch | None = field(repr=False)
    refusal: Answer | None
    logged: LoggedRequest


@define(kw_only=True)
class Platform:
    """The platform's judgement over requests; every method decides at once."""

    app_id: str
    app_secret: str = field(repr=False)
    strict: bool
    assumptions: Assumptions
    tokens: Tokens
    ledger: Ledger
    _batch_ids: Iterator[int] = field(init=False, factory=lambda: count(FIRST_BATCH_ID), repr=False)

    def receive(self, resource: Resource, token: str | None, body: bytes, *, arrived_s: float) -> Arrival:
        """Read a request, enter it in the ledger, and hold its breaches of the contract against the client."""
        batch, problems, refusal = self._read(resource, body)
        self.ledger.accuse(resource.name, problems)
        logged = LoggedRequest(
            resource=resource.name,
            arrived_s=arrived_s,
            body_digest=digest(body),
            records=0 if batch is None else len(batch.keys),
            token_generation=None if token is None else self.tokens.generation_of(token),
        )
        self.ledger.of(resource.name).batches.append(logged)
        return Arrival(resource=resource, token=token, batch=batch, refusal=refusal, logged=logged)

    def judge(
        self,
        arrival: Arrival,
        *,
        poisons: Sequence[Poison] = (),
        token_uses: int | None = None,
        first: int | None = None,
    ) -> Answer:
        """Answer a request, and commit it when it is in order; `first` commits that many records of it alone."""
        if arrival.token is None or not self.tokens.accept(arrival.token, at_most=token_uses):
            return wrong_token(self.assumptions)
        batch, refusal = arrival.batch, arrival.refusal
        for poison in poisons:
            if batch is not None and refusal is None:
                batch, refusal = self._poisoned(batch, poison)
        if batch is None or refusal is not None:
            return refusal or refused("there is nothing to import", self.assumptions)
        if self.assumptions.deduplicate_uuid and arrival.resource.key_field is not None:
            batch = self._without_known(batch, arrival.resource, arrival.resource.key_field)
        batch_id = next(self._batch_ids)
        arrival.logged.batch_id = batch_id
        self.ledger.of(arrival.resource.name).commit(batch if first is None else batch.first(first), arrival.logged)
        return imported(batch_id if arrival.resource.answers_batch_id else None)

    def grant(self, query: Mapping[str, str]) -> Answer:
        """Answer a request for a token."""
        self.ledger.token_requests += 1
        missing = [name for name in (APP_ID_QUERY, APP_SECRET_QUERY) if name not in query]
        self.ledger.accuse("token", [f"the query lacks {name}" for name in missing])
        given = query.get(APP_ID_QUERY, ""), query.get(APP_SECRET_QUERY, "")
        if given != (self.app_id, self.app_secret):
            return wrong_app(self.assumptions)
        return token_granted(self.tokens.issue(), secrets.token_urlsafe(24), self.assumptions)

    def _read(self, resource: Resource, body: bytes) -> tuple[Batch | None, list[Problem], Answer | None]:
        limit = self.assumptions.max_body_bytes
        if limit is not None and len(body) > limit:
            return None, [], failed(413)
        if self.strict:
            batch, problems = read(body, resource, self.assumptions)
        else:
            batch, problems = read_leniently(body, resource)
        refusal = refused(str(problems[0]), self.assumptions) if batch is None and problems else None
        return batch, problems, refusal

    def _poisoned(self, batch: Batch, poison: Poison) -> tuple[Batch | None, Answer | None]:
        struck = {index for index, record in enumerate(batch.records) if _matches(record, poison)}
        if not struck:
            return batch, None
        if poison.status is not None:
            return None, failed(poison.status)
        if not self.assumptions.one_bad_record_fails_batch:
            return batch.without(struck), None
        return None, refused(f"data[{min(struck)}] is refused", self.assumptions)

    def _without_known(self, batch: Batch, resource: Resource, key_field: str) -> Batch:
        known = self.ledger.of(resource.name).by_key
        seen: set[str] = set()
        dropped: set[int] = set()
        for index, (record, key) in enumerate(zip(batch.records, batch.keys, strict=True)):
            if key_field in record and (key in known or key in seen):
                dropped.add(index)
            seen.add(key)
        return batch.without(dropped)


def _matches(record: Json, poison: Poison) -> bool:
    return all(_at(record, path) == value for path, value in poison.where.items())


def _at(record: Json, path: str) -> object:
    """Give what stands at a dotted path, or `None`: no value of a poison is."""
    value: object = record
    for name in path.split("."):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
