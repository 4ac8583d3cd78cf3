"""Any sequence of acknowledgements, rejections and crashes leaves a journal that says what happened, and no more."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import books
from attrs import define, field
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from asyncimport.batch import Positions
from asyncimport.journal.change import Begun, Change, Kept, Noted, Settled
from asyncimport.journal.entry import GROUP, EntryState
from asyncimport.journal.file import JournalFile
from asyncimport.journal.known import Session
from asyncimport.rejects import Rejection

FINAL = [EntryState.ACCEPTED, EntryState.REJECTED, EntryState.UNCONFIRMED]


@define
class Model:
    """What a run did, as a list of batches would say it."""

    batches: dict[int, Positions] = field(factory=dict)
    states: dict[int, EntryState] = field(factory=dict)
    ids: dict[int, int] = field(factory=dict)
    attempts: Counter[int] = field(factory=Counter)
    #: Settled pieces of batches that were split.
    pieces: dict[int, list[tuple[Positions, EntryState]]] = field(factory=dict)
    rejected: dict[int, str] = field(factory=dict)
    position: int = 0

    @property
    def end(self) -> int:
        return max((positions[-1] + 1 for positions in self.batches.values()), default=0)

    @property
    def pending(self) -> list[int]:
        return [number for number, state in self.states.items() if state is EntryState.PENDING]

    @property
    def unsplit(self) -> list[int]:
        return [number for number in self.pending if number not in self.pieces]

    def records(self, state: EntryState) -> int:
        whole = sum(len(self.left(number)) for number, one in self.states.items() if one is state)
        return whole + sum(len(piece) for pieces in self.pieces.values() for piece, one in pieces if one is state)

    def left(self, number: int) -> Positions:
        """What of a batch is in no settled piece: its end."""
        settled = sum(len(piece) for piece, _ in self.pieces.get(number, []))
        return self.batches[number][settled:]


class JournalMachine(RuleBasedStateMachine):
    """A journal and its model; each rule is one transaction, as the thread writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "a.journal"
        self.model = Model()
        self.crashes = 0
        self.file: JournalFile

    @initialize()
    def begin(self) -> None:
        self.file = books.opened(self.path)
        self.file.write([Begun()])

    def teardown(self) -> None:
        self.file.abandon()
        self.file.release()
        shutil.rmtree(self.folder)

    @rule(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=5), gaps=st.lists(st.integers(0, 2), min_size=5))
    def plan(self, sizes: list[int], gaps: list[int]) -> None:
        self.file.write([change for size, gap in zip(sizes, gaps, strict=False) for change in self._planned(size, gap)])

    @rule(state=st.sampled_from(FINAL))
    def plan_and_settle_a_whole_group(self, state: EntryState) -> None:
        changes: list[Change] = []
        for _ in range(GROUP):
            changes += self._planned(1, 0)
        for number in self.model.pending[-GROUP:]:  # the group's own, which are not split
            changes.append(self._settled(number, state if number % 7 == 0 else EntryState.ACCEPTED))
        self.file.write(changes)

    def _planned(self, size: int, gap: int) -> list[Change]:
        """A batch, and before it some records that are rejected here."""
        model, changes = self.model, list[Change]()
        for position in range(model.position, model.position + gap):
            reason = f"reason {position % 3}"
            model.rejected[position] = reason
            changes.append(Kept(Rejection(outcome=books.rejected(position, reason), body=b"", settled_ms=1)))
        first = model.position + gap
        positions = Positions((range(first, first + size),))
        number = len(model.batches)
        model.batches[number], model.states[number] = positions, EntryState.PENDING
        model.position = first + size
        return [*changes, books.planned(number, positions)]

    def _settled(self, number: int, state: EntryState) -> Settled:
        model = self.model
        model.states[number] = state
        model.attempts[number] += 1
        batch_id = number * 10 if state is EntryState.ACCEPTED and number % 2 else None
        if batch_id is not None:
            model.ids[number] = batch_id
        attempts = model.attempts[number]
        return books.settled(number, model.batches[number], state, batch_id=batch_id, attempts=attempts)

    @precondition(lambda self: self.model.unsplit)
    @rule(data=st.data(), state=st.sampled_from(FINAL))
    def settle(self, data: st.DataObject, state: EntryState) -> None:
        self.file.write([self._settled(data.draw(st.sampled_from(self.model.unsplit)), state)])

    @precondition(lambda self: self.model.pending)
    @rule(data=st.data(), state=st.sampled_from(FINAL), is_killed=st.booleans())
    def settle_a_piece(self, data: st.DataObject, state: EntryState, is_killed: bool) -> None:
        """Of the last one of a batch the process may be killed before it writes that the batch is settled."""
        model, number = self.model, data.draw(st.sampled_from(self.model.pending))
        left = model.left(number)
        piece = left[: data.draw(st.integers(1, len(left)))]
        batch_id = piece[0] * 10 + 1 if state is EntryState.ACCEPTED else None
        model.pieces.setdefault(number, []).append((piece, state))
        model.attempts[number] += 1
        changes: list[Change] = [books.pieced(number, piece, state, batch_id, attempts=model.attempts[number])]
        if batch_id is not None:
            model.ids[-1 - piece[0]] = batch_id
        if not model.left(number):
            model.states[number] = EntryState.SPLIT
            if is_killed:
                self.file.write(changes)
                self.crash()
                return
            attempts = model.attempts[number]
            changes.append(Settled(number=number, state=EntryState.SPLIT, attempts=attempts))
        self.file.write(changes)

    @precondition(lambda self: self.model.pending)
    @rule(data=st.data(), is_open=st.booleans())
    def give_back(self, data: st.DataObject, is_open: bool) -> None:
        number = data.draw(st.sampled_from(self.model.pending))
        attempts = self.model.attempts[number]
        self.file.write([Settled(number=number, state=EntryState.PENDING, is_open=is_open, attempts=attempts)])

    @rule(count=st.integers(1, 4))
    def reject_after_the_last_batch_and_end(self, count: int) -> None:
        """Such rejections come again when the source is read again, and count only then."""
        positions = range(self.model.position, self.model.position + count)
        kept = [Rejection(outcome=books.rejected(position), body=b"", settled_ms=1) for position in positions]
        self.file.write([Kept(rejection) for rejection in kept])
        self.crash()

    @rule()
    def crash(self) -> None:
        self.crashes += 1
        path = books.crashed(self.path, self.folder / f"crash-{self.crashes}")
        self.file.abandon()
        self.file.release()
        self.path = path
        self.file = books.opened(path)
        assert self.file.known.session is Session.RUNNING
        self.file.write([Begun()])

    @rule()
    def stop_and_go_on(self) -> None:
        self.file.write([Noted("session", Session.STOPPED)])
        self.file.close()
        self.file = books.opened(self.path)
        self.file.write([Begun()])

    @invariant()
    def it_says_what_happened(self) -> None:
        if not hasattr(self, "file"):
            return
        found = books.looked_at(self.path)
        model, sums = self.model, found.sums
        platform = model.records(EntryState.REJECTED)
        assert sums.read == found.end == model.end
        assert sums.accepted == model.records(EntryState.ACCEPTED)
        assert sums.rejected == platform + sum(position < model.end for position in model.rejected)
        assert sums.unconfirmed == model.records(EntryState.UNCONFIRMED)
        assert sums.pending == model.records(EntryState.PENDING)
        assert [entry.number for entry in found.pending] == model.pending
        assert [(entry.first, entry.count) for entry in found.pending] == [
            (model.batches[number][0], len(model.batches[number])) for number in model.pending
        ]
        assert [entry.left for entry in found.pending] == [len(model.left(number)) for number in model.pending]
        assert sorted(sums.batch_ids) == sorted(model.ids.values())
        assert sums.attempts == model.attempts.total()
        assert (found.next_number, sums.batches) == (len(model.batches), len(model.batches))
        reasons = Counter(model.rejected.values()) + Counter({"refused: code 7": platform})
        assert Counter(sums.rejected_by_reason) == reasons


TestAnySequence = JournalMachine.TestCase
TestAnySequence.settings = settings(
    max_examples=30,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
