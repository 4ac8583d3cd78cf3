"""The stages before the dispatcher: reader, admission, chunker and codec of one run, in the order of the flow."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from attrs import frozen

from asyncimport.admission import Admission, Admits, Item, neighbours, together
from asyncimport.batch import Batch
from asyncimport.chunker import Chunker
from asyncimport.clock import Clock
from asyncimport.codec import Encoder
from asyncimport.configs import Config
from asyncimport.derived import DerivingAdmission
from asyncimport.duplicates import Unrepeated
from asyncimport.errors import ConfigError
from asyncimport.hook import hooked_reader
from asyncimport.intake import Intake
from asyncimport.loop_reader import ListReader, LoopReader, TaskReader
from asyncimport.order import Order, Piece, Turn
from asyncimport.outcome import Dropped, Skipped
from asyncimport.policy import DispatchPolicy
from asyncimport.reader import HOP, Reader
from asyncimport.records import Record
from asyncimport.rejects import not_kept
from asyncimport.resources import Resource
from asyncimport.sources.inline import Inline
from asyncimport.structs import UNENCODABLE, json_bytes
from asyncimport.thread_reader import ThreadReader
from asyncimport.treatment import Treated

#: What a client takes too, a path or an open file, `sources.door` has turned into an iterable of records before.
Source = Iterable[Any] | AsyncIterable[Any] | os.PathLike[str] | Intake


@frozen(kw_only=True)
class Stages:
    """What turns a source into batches and what is none. `pieces` and `flushed` await nothing."""

    reader: Reader
    chunker: Chunker
    encoder: Encoder
    policy: DispatchPolicy
    clock: Clock
    #: Where the order of records with the same key is kept.
    order: Order | None = None

    def pieces(self, items: list[Item], first: int) -> Iterator[Piece]:
        """What a hop of admitted records, at positions from `first` on, comes to: batches to send and records dropped."""
        chunker, now = self.chunker, self.clock.now()
        feed = chunker.feed if self.order is None else partial(self.order.feed, chunker)
        skipped: list[Skipped] = []
        if items and not isinstance(items[0], Dropped):
            self.encoder.sample(items[0])
            self.fit()
        for admitted in neighbours(items, first):
            if isinstance(admitted, Skipped):
                skipped.append(admitted)
            elif isinstance(admitted, Dropped):
                yield admitted
            else:
                for chunk in feed(admitted, now):
                    if isinstance(chunk, Turn):
                        yield chunk
                    else:
                        yield from self.encoder.encode(chunk)
        yield from together(skipped)
        has_lingered = chunker.opened_at is not None and now >= chunker.opened_at + self.policy.linger_s
        if self.reader.takes_flush() or has_lingered:
            yield from self.flushed()

    def again(self, batches: Iterable[Batch]) -> Iterator[Piece]:
        """What is left of an earlier process, in its order."""
        return iter(batches) if self.order is None else self.order.again(batches)

    def encodable(self, items: list[Item], first: int) -> list[Item]:
        """Admitted records of which each can be written as JSON; what admission leaves to the encoder is rejected here."""
        try:
            json_bytes([item for item in items if not isinstance(item, Dropped)])
        except UNENCODABLE:
            checked = self.encoder.checked
            return [
                item if isinstance(item, Dropped) else checked(item, position)
                for position, item in enumerate(items, first)
            ]
        return items

    def flushed(self) -> Iterator[Piece]:
        """What the open chunk comes to, though it is not full."""
        for chunk in self.chunker.flush():
            yield from self.encoder.encode(chunk)

    def learn(self, fits: int | None) -> None:
        """Keep to bodies of the size that the platform has been seen to take, where it refused larger ones."""
        self.encoder.fit_into(fits)
        self.fit()

    def fit(self) -> None:
        """Cut and pull fewer records at a time where they are so large that a full batch would not fit."""
        fitting = self.encoder.fitting
        self.chunker.size = min(self.policy.batch_size, fitting)
        self.reader.hop = min(HOP, fitting, 2 * self.reader.hop)


def stages_of(
    resource: Resource,
    source: Source,
    config: Config,
    *,
    policy: DispatchPolicy,
    run_id: str,
    clock: Clock,
    wall_ms: Callable[[], int],
    content_of: Callable[[object], bytes] = not_kept,
    first: int = 0,
    treated: Treated = Treated(),  # noqa: B008 -- frozen
) -> Stages:
    """Set up the stages of one run; nothing is read yet. `content_of` is what a rejection keeps of its record.

    `first` is the position of the first record that the source gives, `treated` what is done to records that not every run wants:
    a run without it has none of those stages.

    Raises:
        ConfigError: a resource, config or source that cannot work.
    """
    check_kinds(resource, config)
    given: Any = {"resource": resource, "config": config, "run_id": run_id, "now_ms": wall_ms, "content_of": content_of}
    recipe = treated.recipe
    admission = Admission(**given) if recipe is None else DerivingAdmission(**given, recipe=recipe)
    encoder = Encoder(
        public_params=config.to_wire(),
        max_bytes=policy.max_batch_bytes,
        recheck=admission.recheck,
        content_of=content_of,
    )
    admits: Admits = admission
    if treated.deduplicate:
        admits = Unrepeated(admission, treated.deduplicate, encoder.sendable)
    if treated.before_send is None:
        reader = reader_for(source, admits, clock, first)
    else:
        reader = hooked_reader(
            source,
            treated.before_send,
            admission=admits,
            content_of=content_of,
            reader_for=reader_for,
            clock=clock,
            first=first,
        )
    order = Order(treated.order_by) if treated.order_by else None
    return Stages(
        reader=reader, chunker=Chunker(policy.batch_size), encoder=encoder, policy=policy, clock=clock, order=order
    )


def reader_for(source: Any, admission: Admits, clock: Clock, first: int = 0) -> Reader:
    """The reader that fits a source, whose first record has this position.

    Raises:
        ConfigError: the source is no iterable of records.
    """
    if isinstance(source, str | bytes | Mapping | Record):
        raise ConfigError(
            f"the source must be an iterable of records, not one {type(source).__name__}: put it into a list"
        )
    if isinstance(source, list | tuple):
        return ListReader(source, admission, clock, first)
    if isinstance(source, Inline):
        return LoopReader(source.records, admission, clock, first)
    if isinstance(source, Intake):
        return source.opened(admission, clock, first)
    if isinstance(source, AsyncIterable):
        return TaskReader(source, admission, clock, first)
    if isinstance(source, Iterable) or hasattr(source, "__getitem__"):
        return ThreadReader(source, admission, clock, first)
    raise ConfigError(f"the source must be an iterable or async iterable of records, got {type(source).__name__}")


def check_kinds(resource: Resource, config: Config) -> None:
    """Look whether a config is that of a resource.

    Raises:
        ConfigError: it is not, or one of them is something else.
    """
    if not isinstance(resource, Resource):
        raise ConfigError(f"resource takes a Resource such as USERS or EVENTS, got {type(resource).__name__}")
    if not isinstance(config, resource.config):
        raise ConfigError(f"{resource.name} take a {resource.config.__name__}, got {type(config).__name__}")
