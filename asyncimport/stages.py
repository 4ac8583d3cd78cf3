"""The stages before the dispatcher: reader, admission, chunker and codec of one run, in the order of the flow."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen

from asyncimport.admission import Admission, neighbours
from asyncimport.batch import Batch
from asyncimport.chunker import Chunker
from asyncimport.clock import Clock
from asyncimport.codec import Encoder
from asyncimport.configs import Config
from asyncimport.errors import ConfigError
from asyncimport.intake import Intake
from asyncimport.loop_reader import ListReader, LoopReader, TaskReader
from asyncimport.outcome import Rejected
from asyncimport.policy import DispatchPolicy
from asyncimport.reader import HOP, Admits, Reader
from asyncimport.records import Record
from asyncimport.rejects import not_kept
from asyncimport.resources import Resource
from asyncimport.sources.inline import Inline
from asyncimport.structs import UNENCODABLE, Wire, json_bytes
from asyncimport.thread_reader import ThreadReader

Source = Iterable[Any] | AsyncIterable[Any] | Intake


@frozen(kw_only=True)
class Stages:
    """What turns a source into batches and rejections. `pieces` and `flushed` await nothing."""

    reader: Reader
    chunker: Chunker
    encoder: Encoder
    policy: DispatchPolicy
    clock: Clock

    def pieces(self, items: list[Wire | Rejected], first: int) -> Iterator[Batch | Rejected]:
        """What a hop of admitted records, at positions from `first` on, comes to: batches to send and records refused."""
        chunker, now = self.chunker, self.clock.now()
        if items and not isinstance(items[0], Rejected):
            self.encoder.sample(items[0])
            self.fit()
        for admitted in neighbours(items, first):
            if isinstance(admitted, Rejected):
                yield admitted
            else:
                for chunk in chunker.feed(admitted, now):
                    yield from self.encoder.encode(chunk)
        has_lingered = chunker.opened_at is not None and now >= chunker.opened_at + self.policy.linger_s
        if self.reader.takes_flush() or has_lingered:
            yield from self.flushed()

    def encodable(self, items: list[Wire | Rejected], first: int) -> list[Wire | Rejected]:
        """Admitted records of which each can be written as JSON; what admission leaves to the encoder is rejected here."""
        try:
            json_bytes([item for item in items if not isinstance(item, Rejected)])
        except UNENCODABLE:
            checked = self.encoder.checked
            return [
                item if isinstance(item, Rejected) else checked(item, position)
                for position, item in enumerate(items, first)
            ]
        return items

    def flushed(self) -> Iterator[Batch | Rejected]:
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
) -> Stages:
    """Set up the stages of one run; nothing is read yet. `content_of` is what a rejection keeps of its record.

    `first` is the position of the first record that the source gives.

    Raises:
        ConfigError: a resource, config or source that cannot work.
    """
    check_kinds(resource, config)
    admission = Admission(resource=resource, config=config, run_id=run_id, now_ms=wall_ms, content_of=content_of)
    encoder = Encoder(
        public_params=config.to_wire(),
        max_bytes=policy.max_batch_bytes,
        recheck=admission.recheck,
        content_of=content_of,
    )
    reader = reader_for(source, admission, clock, first)
    return Stages(reader=reader, chunker=Chunker(policy.batch_size), encoder=encoder, policy=policy, clock=clock)


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
