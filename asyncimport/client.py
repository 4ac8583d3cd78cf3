"""The client, and the flow of an import on one page."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, Self, Unpack

from attrs import evolve

from asyncimport.address import read_address
from asyncimport.batch import Positions
from asyncimport.check import CheckReport, check_of
from asyncimport.clock import Bell, Clock, SystemClock, wall_ms
from asyncimport.configs import Config, EventImportConfig, UserImportConfig
from asyncimport.contact import Contact
from asyncimport.credentials import AppCredentials, Token, credentials_of
from asyncimport.disk import DiskWriter
from asyncimport.dispatcher import Dispatcher
from asyncimport.errors import ConfigError, StateError
from asyncimport.intake import Intake
from asyncimport.journal.catch_up import catch_up
from asyncimport.journal.journal import Journal
from asyncimport.journal.known import Run
from asyncimport.journal.opening import (
    begin_tally,
    is_at_end,
    is_repeatable,
    is_unknown,
    journal_of,
    rejects_of,
    run_of,
    start_of,
)
from asyncimport.lane import Lane
from asyncimport.observer import Notifier, Observer
from asyncimport.options import CheckOptions, Options, RunOptions, sink_options
from asyncimport.order import Piece
from asyncimport.outcome import ImportReport, Tally, Unsent
from asyncimport.parts import Call, Parts, Unread
from asyncimport.policy import DispatchPolicy
from asyncimport.rejects import Rejection, json_of, not_kept
from asyncimport.resources import EVENTS, USERS, Resource
from asyncimport.session import SessionManager
from asyncimport.sink import Sink
from asyncimport.sources.door import opened_source
from asyncimport.stages import Source, check_kinds, stages_of
from asyncimport.stats import ClientStats
from asyncimport.stream import OutcomeStream
from asyncimport.transport import AiohttpTransport, HttpOptions, Transport
from asyncimport.treatment import treatment_of
from asyncimport.window import Window


async def flow(parts: Parts) -> None:
    """Source ─▶ reader ─▶ admission ─▶ chunker ─▶ codec ─▶ dispatcher: one run's records, hop by hop, in source order."""
    stages, reader, chunker = parts.stages, parts.stages.reader, parts.stages.chunker
    if not await catch_up(parts, _submit):
        return
    while not reader.is_done:
        lingers_until = None if chunker.opened_at is None else chunker.opened_at + stages.policy.linger_s
        first = reader.position
        items = await reader.pull(lingers_until)
        items = await parts.write_down(first, items)
        parts.tally.add_read(len(items))
        owed = (*chunker.positions.runs, range(first, first + len(items)))
        pieces = stages.pieces(items, first)
        del items  # a hop is let go with its pieces, before the next is pulled
        await _submit(parts, pieces, owed)
        stages.learn(parts.dispatcher.fits)
        await parts.room()
        await asyncio.sleep(0)  # a source that never waits lets the workers in between its hops
    if not reader.is_stopping:  # a batch that will not be sent any more is not cut
        parts.end_source()
        await _submit(parts, stages.flushed(), chunker.positions.runs)
        parts.all_handed_over()


async def _submit(parts: Parts, pieces: Iterator[Piece], owed: tuple[range, ...]) -> None:
    """Hand pieces to the dispatcher; `owed` are the records that they, or what is left of them, must account for."""
    try:
        await parts.dispatcher.submit(pieces)
    except Exception:
        _settle_lost(parts, owed)
        raise


def _settle_lost(parts: Parts, owed: tuple[range, ...]) -> None:
    """After a defect or a lack of memory: what was read, and is neither batch nor outcome nor in the open chunk, is unsent."""
    taken = set(parts.stages.chunker.positions).union(*parts.dispatcher.entered)
    lost = Positions.of([position for run in owed for position in run if position not in taken])
    if lost:
        parts.dispatcher.settle(Unsent(positions=lost, reason="the run broke off"), None)


class ImportClient:
    """Imports user profiles and events: an async context manager, or closed by `await client.aclose()`.

    What is not given falls back to `ASYNCIMPORT_BASE_URL`, `ASYNCIMPORT_TOKEN`, `ASYNCIMPORT_APP_ID` and
    `ASYNCIMPORT_APP_SECRET`. `token` is text or an async callable that returns it; `app` has tokens made by the platform.
    Imports that run at the same time share the width, the pauses and the token. A client belongs to the event loop and
    process of its first import.

    Args:
        base_url: such as `https://integrate.rabbitpre.com/api/open` (PLATFORM.md, E).
        token: the X-Token, or where to get it.
        app: id and secret of the self-built app, instead of a token.
        policy: how batches are formed, sent and repeated.
        endpoints: paths under the base URL that replace a resource's own, by its name; `token` for the token call.
        http: proxy, own CA, http to elsewhere than loopback.
        observer: called with each notice of the engine, on the event loop; must not block.
        transport: the seam to the network, for tests.
        clock: the seam to time, for tests.

    Raises:
        ConfigError: an address, token or value that cannot work.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: Token | None = None,
        app: AppCredentials | None = None,
        policy: DispatchPolicy | None = None,
        endpoints: Mapping[str, str] | None = None,
        http: HttpOptions | None = None,
        observer: Observer | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
    ) -> None:
        _check_kinds(app=(app, AppCredentials), policy=(policy, DispatchPolicy), http=(http, HttpOptions))
        if observer is not None and not callable(observer):
            raise ConfigError("observer takes a callable that is given each notice")
        options = http or HttpOptions()
        address = read_address(
            base_url or os.environ.get("ASYNCIMPORT_BASE_URL", ""),
            endpoints,
            allow_insecure_http=options.allow_insecure_http,
        )
        self._policy = policy or DispatchPolicy()
        self._clock = clock or SystemClock()
        self._notify = Notifier(observer)
        self._lane = Lane(Contact(host=address.host))
        self._session = SessionManager(
            address,
            credentials_of(token, app),
            policy=self._policy,
            transport=transport or AiohttpTransport(options),
            clock=self._clock,
            notify=self._notify,
        )
        self._streams: set[OutcomeStream] = set()

    async def import_users(self, source: Source, config: UserImportConfig, **run: Unpack[RunOptions]) -> ImportReport:
        """Import user profiles (users v1): `run` with `USERS`."""
        return await self.run(USERS, source, config, **run)

    async def import_events(self, source: Source, config: EventImportConfig, **run: Unpack[RunOptions]) -> ImportReport:
        """Import events (events v2): `run` with `EVENTS`."""
        return await self.run(EVENTS, source, config, **run)

    async def run(self, resource: Resource, source: Source, config: Config, **run: Unpack[RunOptions]) -> ImportReport:
        """Import a source to its end and report what became of every record.

        `source` is any iterable or async iterable of records or of mappings; a file by its path or URL, or an open binary file
        object, as `sources.open_source` takes it; or a table with `__arrow_c_stream__`, as `sources.from_arrow` does. Memory is bounded whatever its length. A record that is refused, or a
        batch that stays unanswered, is in the report and raises nothing.

        Raises:
            ConfigError: a source, config or option that cannot work, a file that cannot be opened or has a header that
                cannot be read, or an address that is not the platform's.
            SourceError: the source raised; what it had given was sent.
            JournalError: the journal cannot be used or written, or is of another import.
            AuthError, TooManyRejected, UploadStalled: the run was stopped; the error's `report` counts every record.

        Cancellation: nothing more is sent, what is in flight is cut off, the source is closed; within 5 s nothing of the
        run is left, and CancelledError goes on. What had been accepted stays accepted at the platform.
        """
        async with self.stream(resource, source, config, **run) as outcomes:
            async for _ in outcomes:
                pass
        return outcomes.report

    def stream(self, resource: Resource, source: Source, config: Config, **run: Unpack[RunOptions]) -> OutcomeStream:
        """The same import as `run`, outcome by outcome: `async with client.stream(...) as outcomes: async for ...`.

        The import starts on entering the block, where a file is opened too, and waits for a slow reader. See
        `OutcomeStream` for leaving early.

        Raises:
            ConfigError: an option that cannot work; the rest is checked on entering.
        """
        call = self._call(resource, source, config, run)
        return OutcomeStream(partial(self._parts, call), flow, self._streams.discard)

    def open_sink(self, resource: Resource, config: Config, *, linger: float = 1.0, **run: Unpack[RunOptions]) -> Sink:
        """An import whose records are put one by one: `async with client.open_sink(EVENTS, config) as sink: await sink.put(…)`.

        A chunk that is not full leaves `linger` seconds after its first record came. An address that does not answer is
        waited for, up to `policy.stall_s`; records are never dropped. With `journal` and `spool=True` a record is on disk
        when `put` returns, and the next sink with the same journal goes on.

        Raises:
            ConfigError: an option that cannot work, or a journal without `spool=True`, since nobody could give a sink's
                records again; the rest is checked on entering.
        """
        intake = Intake()
        call = self._call(resource, intake, config, run)
        options = sink_options(call.options, linger)
        build = partial(self._parts, evolve(call, options=options))
        return Sink(
            intake,
            lambda undelivered: OutcomeStream(build, flow, self._streams.discard, undelivered),
            is_spooled=options.spool,
        )

    def _call(self, resource: Resource, source: Source, config: Config, run: RunOptions) -> Call:
        values: dict[str, Any] = {"policy": self._policy, **run}
        call = Call(resource=resource, source=source, config=config, options=Options(**values))
        call.check_names()
        return call

    async def check(
        self, resource: Resource, source: Source, config: Config, **wishes: Unpack[CheckOptions]
    ) -> CheckReport:
        """A dry run: everything of an import but the sending. Its report has each error with its place, batches and bytes.

        The source is read to its end, in bounded memory but for 16 bytes of each error. Needs no platform.

        Raises:
            ConfigError: a resource, source, config or option that cannot work, or a file that cannot be opened.
            SourceError: the source raised.

        Cancellation: the source is closed within 5 s, and CancelledError goes on.
        """
        check_kinds(resource, config)
        treatment = treatment_of(**wishes)
        opened = await opened_source(source, resource.record)
        check = check_of(resource, opened, config, self._policy, self._clock, treatment=treatment)
        await check.run()
        return check.report()

    def stats(self) -> ClientStats:
        """Where the client stands now, at the cost of a few attributes: at any time, while an import goes on on its event loop."""
        lane, runs = self._lane, len(self._streams)
        return ClientStats(
            runs=runs,
            width=lane.limit.width,
            in_flight=lane.limit.in_flight,
            batches=lane.batches,
            paused_s=max(0.0, lane.gate.opens_at - self._clock.now()) if runs else 0.0,
            pace_per_s=lane.pace.per_s,
            is_breaker_open=not lane.breaker.is_closed,
        )

    async def _parts(self, call: Call, stream: OutcomeStream) -> Parts:
        """What a run is made of; what it keeps on disk is opened first."""
        check_kinds(call.resource, call.config)
        self._session.enter()
        call = evolve(call, source=await opened_source(call.source, call.resource.record))
        run = run_of(self._session.address.url_of(call.resource), call, started_ms=wall_ms())
        journal = journal_of(call, run, self._clock, planned=stream.planned, failed=stream.stop)
        rejects = None if journal else rejects_of(call, run, self._clock, failed=stream.stop)
        on_disk = journal or rejects
        if on_disk is not None:
            await on_disk.open()
        try:
            self._session.enter()  # it may have been closed meanwhile
            return self._wired(call, stream, run if journal is None else journal.known.run, journal, rejects)
        except BaseException:
            if on_disk is not None:
                await on_disk.abandon()
            raise

    def _wired(
        self,
        call: Call,
        stream: OutcomeStream,
        run: Run,
        journal: Journal | None,
        rejects: DiskWriter[Rejection] | None,
    ) -> Parts:
        """The stages of one run, wired up in the order of the flow."""
        resource, config, options = call.resource, call.config, call.options
        policy, clock = options.policy, self._clock
        keeps = options.rejects is not None or options.on_reject is not None or journal is not None
        start, first = (call.source, 0) if journal is None else start_of(call.source, journal.known, options)
        stages = stages_of(
            resource,
            start,
            config,
            policy=policy,
            run_id=run.run_id,
            clock=clock,
            wall_ms=(lambda: run.started_ms) if is_repeatable(options) else wall_ms,
            content_of=json_of if keeps else not_kept,
            first=first,
            treated=options.treatment.of(resource),
        )
        window = Window(partial(self._lane.limit.planned, policy.max_in_flight))
        tally = Tally(resource=resource.name, run_id=run.run_id, started_at=clock.now())
        if journal is not None:
            begin_tally(tally, journal.known, call.source, clock.now())
        dispatcher = Dispatcher(
            resource=resource,
            policy=policy,
            on_unknown=options.on_unknown,
            session=self._session,
            lane=self._lane,
            window=window,
            tally=tally,
            clock=clock,
            notify=self._notify,
            settle=stream.settled if stages.order is None else stages.order.settling(stream.settled),
            fail=stream.stop,
            comes_on=stages.reader.comes_on,
            journal=journal,
        )
        self._streams.add(stream)
        return Parts(
            stages=stages,
            dispatcher=dispatcher,
            unread=Unread(window, Bell(clock)),
            tally=tally,
            options=options,
            clock=clock,
            notify=self._notify,
            wall_ms=wall_ms,
            started_at=clock.now(),
            rejects=rejects,
            journal=journal,
            is_source_at_end=journal is not None and is_at_end(call.source, journal.known),
            is_source_unknown=is_unknown(call),
        )

    async def aclose(self) -> None:
        """Stop imports that are still running, without draining, and close all connections. Idempotent.

        The imports raise StateError to whoever awaits them; its report counts every record.

        Cancellation: the connections may be left open.
        """
        streams = list(self._streams)
        for stream in streams:
            stream.break_off(StateError("the client was closed while this import was running"))
        for stream in streams:
            await stream.ended()
        await self._session.aclose()

    async def __aenter__(self) -> Self:
        """Connections are made with the first request."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __reduce__(self) -> NoReturn:
        raise StateError("a client is not pickled: its connections and its token stay in this process; make one there")


def _check_kinds(**arguments: tuple[object, type[Any]]) -> None:
    for name, (value, kind) in arguments.items():
        if value is not None and not isinstance(value, kind):
            raise ConfigError(f"{name} takes {kind.__name__}, got {type(value).__name__}")
