"""What one import is made of: the call, and the stages of its run in the order of the flow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from attrs import define, field, frozen

from asyncimport.admission import Item
from asyncimport.clock import Bell, Clock
from asyncimport.configs import Config
from asyncimport.disk import DiskWriter
from asyncimport.dispatcher import Dispatcher
from asyncimport.journal.journal import Journal
from asyncimport.observer import Notifier
from asyncimport.options import Options
from asyncimport.outcome import BatchOutcome, Tally
from asyncimport.rejects import Rejection
from asyncimport.resources import Resource
from asyncimport.stages import Source, Stages
from asyncimport.window import Window


@frozen(kw_only=True)
class Call:
    """What a user asks for."""

    resource: Resource
    source: Source
    config: Config
    options: Options

    def check_names(self) -> None:
        """Look whether the options name fields that the resource's records have; a resource that is none is told of later.

        Raises:
            ConfigError: they do not.
        """
        if isinstance(self.resource, Resource):
            self.options.treatment.of(self.resource)


@define
class Unread:
    """Outcomes settled and not yet read by the user. They count in the window, so the run waits for a slow reader."""

    window: Window
    bell: Bell
    outcomes: deque[BatchOutcome] = field(factory=deque)

    def put(self, outcome: BatchOutcome) -> None:
        self.outcomes.append(outcome)
        self.window.unread += 1
        self.bell.ring()

    def take(self) -> BatchOutcome:
        self.window.unread -= 1
        return self.outcomes.popleft()


@frozen(kw_only=True)
class Parts:
    """The stages of one run, in the order of the flow."""

    stages: Stages
    dispatcher: Dispatcher
    unread: Unread
    tally: Tally
    options: Options
    clock: Clock
    notify: Notifier
    #: Wall clock in milliseconds since 1970.
    wall_ms: Callable[[], int]
    #: When this process began with it; the tally's own beginning is that of all processes together.
    started_at: float
    #: Where rejects go: at most one of the two.
    rejects: DiskWriter[Rejection] | None = None
    journal: Journal | None = None
    #: Whether the source is not read any more, because an earlier process had all that it gives.
    is_source_at_end: bool = False
    #: Whether only its records tell whether a source is that of a run which has ended.
    is_source_unknown: bool = False

    @property
    def begins_at(self) -> int:
        """The position of the first record that the journal does not have in its spool."""
        return self.journal.known.sums.read if self.journal is not None and self.options.spool else 0

    async def write_down(self, first: int, items: list[Item]) -> list[Item]:
        """Have the journal know what it must before records count as read; the records as it knows them.

        When it cannot be written the run stops, and what was pulled is unsent.

        Cancellation: what was pulled counts all the same, as given back: it is on its way to the disk.
        """
        reader = self.stages.reader
        if self.journal is None:
            reader.marks.clear()
            return items
        if self.options.spool:
            items = self.stages.encodable(items, first)
        try:
            if await self.journal.write_down(reader, first, items, self.wall_ms()):
                reader.written(first + len(items))
        except asyncio.CancelledError:
            self.dispatcher.stop()
            self.tally.add_read(len(items))
            await self.dispatcher.submit(self.stages.pieces(items, first))  # which waits for nothing after a stop
            raise
        return items

    def end_source(self) -> None:
        """Note that the source has ended for good, if it has, and that what it gave is written down."""
        if self.journal is not None and self.stages.reader.is_exhausted and not self.stages.reader.comes_on:
            self.journal.end_source()

    def all_handed_over(self) -> None:
        """Note that nothing of the source is left to be handed to the dispatcher, if nothing is."""
        reader = self.stages.reader
        has_ended = reader.is_exhausted and not reader.comes_on
        if self.journal is not None and (has_ended or self.tally.source_ended):
            self.journal.all_handed_over()

    @property
    def is_behind(self) -> bool:
        """Whether the journal of an earlier process knows of records that this one has not come to."""
        return self.journal is not None and not self.journal.is_caught_up

    async def room(self) -> None:
        """Wait while much is on its way to the disk."""
        for writer in (self.rejects, self.journal):
            if writer is not None:
                await writer.room()
