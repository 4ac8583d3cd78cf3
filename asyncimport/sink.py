"""The live sink: records are put into an import one by one, from wherever they arise, and none is dropped.

    record ─▶ put ─▶ admission ─▶ intake ─▶ chunker ─▶ …the flow of `client.py`… ─▶ outcome ─▶ receipt

A put waits while the intake is full, so who makes records is never faster than the platform for long. A chunk leaves when
it is full, when its first record has lingered, or on `flush`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self

from attrs import frozen

from asyncimport.admission import Item
from asyncimport.batch import Positions
from asyncimport.clock import Bell
from asyncimport.errors import StateError, ValidationError
from asyncimport.intake import Intake, IntakeReader
from asyncimport.leftovers import Undelivered, UndeliveredRecords
from asyncimport.outcome import BatchOutcome, Dropped, ImportReport, Rejected
from asyncimport.receipt import PAGE, Page, Receipt, Receipts
from asyncimport.stream import OutcomeStream
from asyncimport.thread_sink import ThreadSink

_CLOSED: Final = "the sink is closed: records are put inside of `async with client.open_sink(...) as sink`"


@frozen(kw_only=True)
class SinkStatistics:
    """Where a sink stands at one moment; counts are of records unless they say otherwise.

    `put = buffered + read` and `read = accepted + rejected + unconfirmed + unsent + skipped + in_progress`, always; of a
    sink with a journal they count on from the sinks before it.
    """

    #: Taken in, those included that were refused at `put`.
    put: int
    #: Puts that wait for room.
    waiting: int
    #: Taken in, and not yet on their way to a batch.
    buffered: int
    read: int
    accepted: int
    rejected: int
    unconfirmed: int
    unsent: int
    skipped: int
    in_progress: int
    #: Requests: under way, made, and of them repeated ones.
    in_flight: int
    attempts: int
    retries: int
    possible_duplicates: int


class Sink:
    """An import whose records are put: `async with client.open_sink(...) as sink`, from any number of tasks.

    Leaving the block sends what was put and waits for it, at most `policy.drain_s` seconds; what is not settled by then
    is given back: `report` counts it, `undelivered` has the records. Leaving it by an exception or cancellation does not
    wait for what is in flight.
    """

    def __init__(
        self,
        intake: Intake,
        build: Callable[[UndeliveredRecords | None], OutcomeStream],
        *,
        is_spooled: bool,
    ) -> None:
        self._intake = intake
        self._undelivered = UndeliveredRecords()
        self._stream = build(None if is_spooled else self._undelivered)
        self._is_spooled = is_spooled
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._follower: asyncio.Task[None] | None = None
        #: Pages with positions that are not settled, by their number.
        self._pages: dict[int, Page] = {}
        self._first = 0
        self._failure: Exception | None = None

    @property
    def report(self) -> ImportReport:
        """The report as of now; final once the block was left.

        Raises:
            StateError: the sink was never opened.
        """
        return self._stream.report

    @property
    def undelivered(self) -> tuple[Undelivered, ...]:
        """Once the block was left: the records that are unsent or unconfirmed, with the `uuid` and `time` they had.

        Up to 32 MiB of them are held, `undelivered_beyond` counts the others. Empty with `spool=True`: the journal has them, and the next
        sink with it sends them.
        """
        return tuple(self._undelivered)

    @property
    def undelivered_beyond(self) -> int:
        """Records that are not delivered and were too many to be held; `report` counts them too."""
        return self._undelivered.beyond

    @property
    def _reader(self) -> IntakeReader:
        return self._intake.reader

    async def __aenter__(self) -> Self:
        """Open the sink; connections are made with the first request.

        Raises:
            ConfigError: a config or option that cannot work.
            StateError: the client is closed or belongs elsewhere, or the sink was used before.
            JournalError: the journal cannot be used, or is of another import.

        Cancellation: nothing was opened.
        """
        await self._stream.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._first = self._reader.next
        self._follower = asyncio.create_task(self._follow(), name="asyncimport-sink")
        return self

    async def put(self, record: Any) -> Receipt:
        """Take in one record or mapping; waits while the intake is full. The record is copied: it may be used again.

        With `spool=True` the record is on disk when this returns: it is sent, now or by the next sink with the journal.
        Without, it is sent unless the process dies or `undelivered` hands it back.

        Raises:
            ValidationError: the platform's rules refuse it, `problems` says why; it counts as rejected, and is in the file
                of rejects where one is named.
            StateError: the sink is closed or closing, or this is another event loop or process.
            AsyncImportError: the one error that ended the run. The record was not taken; but with `spool=True` it may have
                reached the disk all the same, and the next sink then sends it: one with a `uuid` may be put again there.

        Cancellation: while it waits for room or an async `before_send` the record is not taken, while it waits for the disk
        it is.
        """
        if self._open_reader().is_crowded or self._intake.asks is not None:
            record = await self._ready(record)
        position = self._reader.next
        item = self._take(record, position)
        if isinstance(item, Rejected):
            problems = "; ".join(map(str, item.problems))
            raise ValidationError(f"record {position} was not taken: {problems}", item.problems)
        receipt = Receipt(position, self._pages[position // PAGE])
        if self._is_spooled:
            await self._kept(position)
        return receipt

    async def put_many(self, records: Iterable[Any] | AsyncIterable[Any]) -> Receipts:
        """Take in many records, waiting where needed. A refused one costs its neighbours nothing: its outcome is `Rejected`.

        A plain iterable is pulled on the event loop, so it must not block. A generator is closed. The receipts hold some bytes for each batch.

        Raises:
            StateError, AsyncImportError: as `put`; and whatever the iterable raises. What was put before is taken.

        Cancellation: what was put before is taken.
        """
        runs: list[range] = []
        pages: dict[int, Page] = {}
        given = aiter(records) if isinstance(records, AsyncIterable) else _each(records)
        try:
            async for record in given:
                if self._open_reader().is_crowded or self._intake.asks is not None:
                    record = await self._ready(record)  # noqa: PLW2901 -- the same record, as the hook gives it
                position = self._reader.next
                self._take(record, position)
                pages[position // PAGE] = self._pages[position // PAGE]
                if runs and runs[-1].stop == position:
                    runs[-1] = range(runs[-1].start, position + 1)
                else:
                    runs.append(range(position, position + 1))
        finally:
            close = getattr(given, "aclose", None)
            if close is not None:
                await close()
        if runs and self._is_spooled:
            await self._kept(runs[-1].stop - 1)
        return Receipts(Positions(tuple(runs)), pages)

    async def flush(self) -> None:
        """Send what lingers, and return when everything put before this call is settled, whatever became of it.

        Raises:
            StateError, AsyncImportError: as `put`.

        Cancellation: safe; what was to be sent is sent.
        """
        self._open_reader()
        end = self._reader.next
        self._reader.flush()
        for page in [page for page in self._pages.values() if page.first < end]:
            while not page.is_settled_below(end):
                if page.is_closed:
                    raise self._ended()
                await page.bell.wait()

    def statistics(self) -> SinkStatistics:
        """Where the sink stands now.

        Raises:
            StateError: it was never opened.
        """
        tally, reader = self._stream.parts.tally, self._reader
        return SinkStatistics(
            put=reader.next,
            waiting=reader.waiting,
            buffered=reader.next - tally.read,  # also while they are on their way to the disk
            read=tally.read,
            accepted=tally.accepted,
            rejected=tally.rejected,
            unconfirmed=tally.unconfirmed,
            unsent=tally.unsent,
            skipped=tally.skipped,
            in_progress=tally.in_progress,
            in_flight=self._stream.in_flight,
            attempts=tally.attempts,
            retries=tally.retries,
            possible_duplicates=tally.possible_duplicates,
        )

    def in_thread(self) -> ThreadSink:
        """The same sink for other threads: its calls block. Made on the event loop, used in as many threads as you like.

        Raises:
            StateError: the sink is not open, or this is another event loop or process.
        """
        self._open_reader()
        return ThreadSink(asyncio.get_running_loop(), put=self.put, put_many=self.put_many, flush=self.flush)

    async def _ready(self, record: Any) -> Any:
        """Wait for an async hook, and then for one's turn to put; the record, or the hook's reply."""
        if self._intake.asks is not None:
            record = await self._intake.asks(record)
        if self._open_reader().is_crowded:
            await self._reader.room()
            self._open_reader()
        return record

    def _take(self, record: Any, position: int) -> Item:
        """Take in what comes of the next record."""
        reader = self._reader
        item = reader.admitted(record)
        if not isinstance(item, Dropped):
            item = self._stream.parts.stages.encoder.sendable(item, position)
        if position // PAGE not in self._pages:
            self._open_page(position // PAGE)
        reader.put(item)
        return item

    async def _kept(self, position: int) -> None:
        """Return when a record is on disk."""
        if not await self._reader.on_disk(position):
            raise self._ended()

    def _open_page(self, number: int) -> None:
        first = max(number * PAGE, self._first)
        self._pages[number] = Page(first, Bell(self._stream.parts.clock), self._check_here)

    async def _follow(self) -> None:
        """Note each outcome on its pages, to the end of the run."""
        try:
            async for outcome in self._stream:
                self._note(outcome)
        except Exception as error:  # noqa: BLE001 -- the reason that ended the run, for whoever puts or leaves
            self._failure = error
        finally:
            for page in self._pages.values():
                page.close()

    def _note(self, outcome: BatchOutcome) -> None:
        for number in {at // PAGE for run in outcome.positions.runs for at in (*run[::PAGE], run[-1])}:
            page = self._pages.get(number)
            if page is not None:  # else of a sink before this one
                page.add(outcome)
                if page.is_complete:
                    del self._pages[number]

    def _check_here(self) -> None:
        if os.getpid() != self._pid:
            raise StateError("the sink was opened in another process: it does not survive a fork; open one here")
        if asyncio.get_running_loop() is not self._loop:
            raise StateError("the sink belongs to another event loop: use `sink.in_thread()` from other threads")

    def _open_reader(self) -> IntakeReader:
        """Where records are put, while they may be."""
        if self._loop is None:
            raise StateError(_CLOSED)
        self._check_here()
        if not self._reader.is_open:
            raise self._ended()
        return self._reader

    def _ended(self) -> Exception:
        """Why nothing can be put any more: the one error that ended the run, else that the sink was left or is over."""
        failure = self._failure or self._stream.failure
        return StateError(_CLOSED) if failure is None else failure.with_traceback(None)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send what was put, and wait for it as long as `policy.drain_s`.

        Raises:
            AsyncImportError: the one error that ended the run.

        Cancellation: what is in flight is cut off; within 5 s nothing of the sink is left, and CancelledError goes on.
        """
        try:
            if error is None:
                self._reader.end()
                self._stream.end_within(self._stream.parts.options.policy.drain_s)
                await self._stream.ended()
            else:
                await self._stream.__aexit__(kind, error, trace)
        finally:
            await self._followed()
        if error is None and self._failure is not None:
            raise self._failure.with_traceback(None)

    async def _followed(self) -> None:
        """Let the last outcomes be noted, whatever is cancelled meanwhile: the run has ended, so it takes no time."""
        cancelled: asyncio.CancelledError | None = None
        while self._follower is not None and not self._follower.done():
            try:
                await asyncio.wait({self._follower})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled


async def _each(records: Iterable[Any]) -> AsyncIterator[Any]:
    for record in records:
        yield record
