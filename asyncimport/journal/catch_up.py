"""A resumed run's way to where it was: what the journal knows is read again, compared, and then sent.

A file that is as it was is sought; any other source is read from its beginning; what was spooled comes from the journal
itself. Records below the end of the journal's last batch are read for the comparison alone: they are counted already.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from asyncimport.batch import Batch
from asyncimport.errors import JournalError
from asyncimport.journal.journal import Journal
from asyncimport.journal.recut import Recut
from asyncimport.order import Piece
from asyncimport.outcome import Dropped
from asyncimport.reader import HOP, Reader
from asyncimport.stages import Stages

if TYPE_CHECKING:
    from asyncimport.parts import Parts

Items = Sequence[Any]
#: Hands pieces to the dispatcher, with the positions that they must account for.
Submit = Callable[["Parts", Iterator[Piece], tuple[range, ...]], Awaitable[None]]


async def catch_up(parts: Parts, submit: Submit) -> bool:
    """Go on where an earlier process ended: all that it left is read again and compared, and only then sent.

    False when nothing more is to be read.

    Raises:
        JournalError: the source is another one, or the journal is damaged; nothing was sent.

    Cancellation: nothing was sent, or what was is settled as for any other batch.
    """
    journal, stages = parts.journal, parts.stages
    if journal is None:
        return True
    if journal.known.is_finished:
        if parts.is_source_unknown:
            await _compare_ended(f"{parts.options.journal}", journal, stages)
        return not journal.caught_up(0)
    batches = await batches_again(f"{parts.options.journal}", journal, stages)
    if batches is None:
        return False
    journal.caught_up(parts.tally.possibly_lost)
    await submit(parts, stages.again(batches), tuple(run for batch in batches for run in batch.positions.runs))
    if not parts.options.spool:
        return True
    async for first, wires in _unplanned(journal):
        await submit(parts, stages.pieces(wires, first), (range(first, first + len(wires)),))
    if parts.is_source_at_end:
        await submit(parts, stages.flushed(), stages.chunker.positions.runs)
        parts.all_handed_over()
        return False
    await _skip(stages.reader, journal.known.sums.read)
    return True


async def _compare_ended(path: str, journal: Journal, stages: Stages) -> None:
    """Look whether a source is that of a run which has ended; one that gives nothing has nothing to be sent.

    Raises:
        JournalError: it is another one, or gives more.
    """
    reader, read = stages.reader, journal.known.sums.read
    try:
        await batches_again(path, journal, stages)
    except JournalError:
        if reader.position:
            raise
    while reader.position <= read and not reader.is_done:
        await reader.pull(None)
    if reader.position > read:
        raise JournalError(
            f"the journal {path} is of an import that has ended after {read:,} records, and the source gives more: "
            "name another journal"
        )


async def _skip(reader: Reader, position: int) -> None:
    """Let go of what the spool had of a source that begins anew."""
    while reader.position < position and not reader.is_done:
        reader.hop = min(HOP, 2 * reader.hop, position - reader.position)
        await reader.pull(None)
    reader.marks.clear()


async def batches_again(path: str, journal: Journal, stages: Stages) -> list[Batch] | None:
    """The batches that the journal has and nobody acknowledged, with the bytes that they had; None when the run stops first.

    They are at most those of an earlier window.

    Raises:
        JournalError: the source is another one, or the journal is damaged.

    Cancellation: nothing was sent.
    """
    known, encoder = journal.known, stages.encoder
    recut = Recut(path, encoder)
    again: list[Batch] = []
    number, is_last = _before_first(journal, stages.reader), False
    hops = _spooled(journal) if known.run.is_spooled else _reread(stages.reader, known.end)
    async for first, items in hops:
        while not is_last and (not recut.expected or recut.expected[-1].end < first + len(items)):
            entries = await journal.entries_after(number)
            is_last = not entries
            recut.expected.extend(entries)
            number = entries[-1].number if entries else number
        again.extend(recut.feed(first, items))
    if recut.expected or (not known.run.is_spooled and stages.reader.position < known.end):
        if stages.reader.error is not None or not stages.reader.is_exhausted:
            return None
        raise JournalError(
            f"the source is not the one that the journal {path} is of: it ended after {stages.reader.position:,} records, "
            f"and {known.end:,} were read before. Nothing was sent. Give the source as it was, or name another journal"
        )
    encoder.numbers = count(known.next_number)
    return again


def _before_first(journal: Journal, reader: Reader) -> int:
    """The number before that of the first batch to be compared: of all, or from the first that is pending."""
    known = journal.known
    if known.run.is_spooled or reader.position:
        return known.pending[0].number - 1 if known.pending else known.next_number - 1
    return -1


async def _reread(reader: Reader, end: int) -> AsyncIterator[tuple[int, Items]]:
    """Records up to the end of the last batch, each hop with the position of its first."""
    while reader.position < end and not reader.is_done:
        reader.hop = min(HOP, 2 * reader.hop, end - reader.position)
        first = reader.position
        yield first, await reader.pull(None)


async def _spooled(journal: Journal) -> AsyncIterator[tuple[int, Items]]:
    """What the spool holds of the batches that are to be sent."""
    known = journal.known
    position = known.pending[0].first if known.pending else known.end
    while position < known.end:
        rows = await journal.spooled_from(position)
        for first, items in rows:
            yield first, items
            position = first + len(items)
        if not rows:
            return


async def _unplanned(journal: Journal) -> AsyncIterator[tuple[int, list[Any]]]:
    """Spooled records that are in no batch yet: runs of neighbours, each with the position of its first."""
    position = journal.known.end
    while rows := await journal.spooled_from(position):
        for first, items in rows:
            skipped = max(0, position - first)
            for start, run in _runs(items[skipped:]):
                yield first + skipped + start, run
            position = max(position, first + len(items))


def _runs(items: Items) -> Iterator[tuple[int, list[Any]]]:
    run: list[Any] = []
    for index, item in enumerate(items):
        if item is None or isinstance(item, Dropped):
            if run:
                yield index - len(run), run
            run = []
        else:
            run.append(item)
    if run:
        yield len(items) - len(run), run
