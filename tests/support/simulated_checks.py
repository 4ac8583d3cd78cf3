"""The invariants I1 to I10 of FAULTS.md, asked of a simulation. The platform's log is the witness."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Final

import canary
from attrs import define, field
from chaos import Key
from simulated import Fate, Request
from simulated_errors import is_stopped_rightly
from simulation import Course, Ending, abandoned

from asyncimport import Accepted, BatchOutcome, Rejected, Unconfirmed, Unsent
from asyncimport.observer import RunEnded, RunStarted
from asyncimport.reader import FIRST_HOP, HOP

#: Attempts before a batch is given up at least: as many as show that a server breaks on it and on no other.
LEAST_ATTEMPTS: Final = 3
#: So many refused records that the end of a run leaves are rejected though nothing could be a witness.
LAST_RECORDS: Final = 2
#: The longest wait of the package's own while nothing is under way: twice the cap of a back-off, with its spread.
LONGEST_WAIT_S: Final = 75.0
#: A cancelled or broken off run cleans up within this.
CLEANUP_S: Final = 5.1


@define
class Records:
    """The log, by record and by run."""

    course: Course
    carrying: dict[Key, list[Request]] = field(factory=lambda: defaultdict(list))
    payloads: dict[tuple[Key, ...], list[Request]] = field(factory=lambda: defaultdict(list))

    def __attrs_post_init__(self) -> None:
        for request in self.course.platform.requests:
            self.payloads[request.keys].append(request)
            for key in request.keys:
                self.carrying[key].append(request)

    def of_run(self, ending: Ending) -> list[Request]:
        return [one for one in self.course.platform.requests if one.keys[0][0] == ending.run.number]


def is_unknown(request: Request) -> bool:
    return request.fate in {Fate.UNKNOWN, Fate.CUT}


def check(course: Course) -> None:
    """Ask everything of one simulation."""
    records = Records(course)
    for ending in course.endings:
        if ending.report is None:
            assert ending.error is not None, "no report"
            continue
        counts_add_up(ending)
        each_record_has_one_outcome(ending)
        outcomes_are_true(ending, records)
        copies_are_bounded(ending, records)
        memory_is_bounded(ending)
        order_is_kept(ending, records)
        run_ends_in_time(ending, course)
        nothing_is_begun_after_the_end(ending, records)
        is_stopped_rightly(ending, course)
        whole_run_leaves_nothing_unsent(ending, course)
    bytes_are_the_same(records)
    nothing_is_left(course)
    nothing_shows(course)
    nobody_waits_for_long(course)
    platform_is_spared(course)


def counts_add_up(ending: Ending) -> None:
    """I1, also of the report that an error carries."""
    report = ending.report
    assert report is not None
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    assert (report.read, report.in_progress) == (settled, 0), f"I1: {report}"
    by_kind: Counter[type[BatchOutcome]] = Counter()
    for outcome in ending.outcomes:
        by_kind[type(outcome)] += outcome.count
    told = (report.accepted, report.rejected, report.unconfirmed, report.unsent, report.skipped)
    counted = tuple(by_kind[kind] for kind in (Accepted, Rejected, Unconfirmed, Unsent))
    assert told == (*counted, 0), f"I1: the outcomes come to {counted}: {report}"
    carried = getattr(ending.error, "report", None)
    assert carried is None or carried is report or carried == report, "I1: the error carries another report"
    assert report.read <= ending.tap.given, "I1: more read than given"


def each_record_has_one_outcome(ending: Ending) -> None:
    """I1, record by record: positions from 0 to `read`, each in exactly one outcome."""
    seen = Counter(position for outcome in ending.outcomes for position in outcome.positions)
    assert ending.report is not None
    twice = [position for position, count in seen.items() if count > 1]
    assert not twice, f"I1: in several outcomes: {twice[:20]}"
    assert seen.keys() == set(range(ending.report.read)), "I1: some record that was read is in no outcome"


def outcomes_are_true(ending: Ending, records: Records) -> None:
    """I2, and what a rejection, an unconfirmed and an unsent record may be."""
    run, plan, copies = ending.run, records.course.plan, records.course.platform.copies
    assert ending.report is not None
    assert ending.report.attempts == len(records.of_run(ending)), "the report counts other requests than were made"
    innocents: list[tuple[int, int]] = []
    for outcome in ending.outcomes:
        keys = tuple((run.number, position) for position in outcome.positions)
        is_local = isinstance(outcome, Rejected) and outcome.attempts == 0
        invalid = [key for key in keys if key[1] in run.invalid]
        assert is_local == bool(invalid), f"admission: {outcome!r}"
        fates = [request.fate for request in records.payloads.get(keys, ())]
        match outcome:
            case Accepted():
                missing = [key for key in keys if not copies[key]]
                assert not missing, f"I2: accepted and not committed: {missing}"
                assert Fate.ACCEPTED in fates, f"I2: nobody accepted {outcome!r}"
                assert outcome.batch_id is None or outcome.batch_id in records.course.platform.batch_ids
            case Rejected() if not is_local:
                refusals = [one for one in records.payloads.get(keys, ()) if one.fate is Fate.REFUSED]
                least = 2 if refusals and refusals[-1].what != "413" else 1
                assert len(refusals) >= least, f"refused {len(refusals)} times: {outcome!r}"
                innocents += [key for key in keys if key not in plan.poison]
            case Unconfirmed():
                assert any(map(is_unknown, records.carrying.get(keys[0], ()))), (
                    f"answered, yet unconfirmed: {outcome!r}"
                )
            case Unsent():
                there = [key for key in keys if copies[key]]
                assert not there, f"unsent, yet committed: {there}"
    # The last two that are left are rejected without a witness, which is told in docs/design.md.
    are_last = plan.withdrawn_at is not None and len(innocents) <= LAST_RECORDS
    assert are_last or not innocents, f"innocent and rejected: {innocents}"


def copies_are_bounded(ending: Ending, records: Records) -> None:
    """I3: no record is there more often than its unanswered attempts explain, and the report owns up to it."""
    extra, repeated = 0, 0
    for key, carriers in records.carrying.items():
        if key[0] != ending.run.number:
            continue
        copies = records.course.platform.copies[key]
        unknown = sum(map(is_unknown, carriers))
        assert copies - 1 <= unknown, f"I3: {copies} copies of {key} after {unknown} unanswered attempts"
        extra += max(0, copies - 1)
        resent = sum(map(is_unknown, carriers[:-1]))
        assert not (resent and ending.run.on_unknown == "park"), f"parked, yet sent again: {carriers[-1]}"
        repeated += resent
    assert ending.report is not None
    reported = ending.report.possible_duplicates
    assert extra <= reported, f"I3: {extra} extra copies, {reported} reported as possible"
    assert reported <= repeated, f"I3: {reported} reported as possible, {repeated} repeats of unanswered attempts"


def memory_is_bounded(ending: Ending) -> None:
    """I4: four batches for each request, the open chunk, and what a reader pulls ahead."""
    plan = ending.tap.plan
    if ending.run.source in {"list", "objects"}:
        return  # they hold themselves
    fitting = (
        2 * plan.max_batch_bytes // 90
    )  # records of 90 bytes and more; a payload half empty doubles what is pulled
    hop = max(FIRST_HOP, min(HOP, fitting))
    bound = 4 * plan.width * plan.batch_size + plan.batch_size + 3 * hop + 1
    assert ending.held <= bound, f"I4: {ending.held} records held, {bound} allowed"


def order_is_kept(ending: Ending, records: Records) -> None:
    """I9: batches are cut in source order, and sent in it for the first time unless a token is missing meanwhile."""
    seen: set[Key] = set()
    firsts: list[tuple[Key, ...]] = []
    for request in records.of_run(ending):
        assert list(request.keys) == sorted(request.keys), f"I9: {request}"
        if seen.isdisjoint(request.keys):
            firsts.append(request.keys)
        seen.update(request.keys)
    plan = records.course.plan
    if plan.credentials == "fixed":
        assert firsts == sorted(firsts), "I9: batches were first sent in another order than the source's"
    cut = sorted(firsts)
    assert all(one[-1] < two[0] for one, two in pairwise(cut)), "I9: batches overlap"
    assert all(len(keys) <= plan.batch_size for keys in records.payloads), "a batch is too large"


def bytes_are_the_same(records: Records) -> None:
    """I10: each repeat of a payload has its bytes, and each record has one content wherever it travels."""
    course = records.course
    assert not course.platform.changed, f"I10: sent with another content: {course.platform.changed}"
    for keys, requests in records.payloads.items():
        assert all(one.body == requests[0].body for one in requests), f"I10: other bytes for {keys[0]}..{keys[-1]}"
    for ending in course.endings:
        for key, content in course.platform.contents.items():
            if key[0] == ending.run.number:
                given = ending.tap.record(key[1])
                assert content | given == content, f"I10: {key} was not sent as it was given"


def whole_run_leaves_nothing_unsent(ending: Ending, course: Course) -> None:
    """A run that came to its own end read everything, and tried everything as often as its policy says."""
    if not ending.is_whole:
        return
    assert ending.report is not None
    assert (ending.report.read, ending.report.unsent) == (ending.run.count, 0), f"given up: {ending.report}"
    assert ending.report.source_ended
    least = 1 if ending.run.on_unknown == "park" else min(LEAST_ATTEMPTS, course.plan.max_attempts)
    for outcome in ending.outcomes:
        if isinstance(outcome, Unconfirmed):
            assert outcome.attempts >= least, f"given up early: {outcome!r}"


def run_ends_in_time(ending: Ending, course: Course) -> None:
    """I8, of a run that somebody ends: the drain and the cleanup have their bounds."""
    assert ending.ended is not None
    run, policy = ending.run, course.plan.policy
    slack_s = CLEANUP_S if run.leave in {"cancels", "closes"} else policy.drain_s + CLEANUP_S
    if ending.left_at is not None:
        took_s = ending.ended - ending.left_at
        assert took_s <= slack_s, f"I8: it took {took_s:.2f} s to leave"
    if run.deadline is not None and ending.error is None:
        took_s = ending.ended - ending.began - run.deadline
        assert took_s <= policy.drain_s + CLEANUP_S, f"I8: {took_s:.2f} s over the deadline"
    if isinstance(ending.error, asyncio.CancelledError):
        assert run.leave == "cancels", "a cancellation from nowhere"


def nothing_is_begun_after_the_end(ending: Ending, records: Records) -> None:
    """Whoever leaves, cancels, closes or has set a deadline sees no request begin after that moment."""
    over = [float("inf") if ending.run.deadline is None else ending.began + ending.run.deadline]
    for other in records.course.endings:
        is_own = other is ending and other.left_at is not None
        if other.left_at is not None and (is_own or other.run.leave == "closes"):
            over.append(other.left_at)
    late = [request for request in records.of_run(ending) if request.began > min(over) + 1e-6]
    assert not late, f"begun after the end: {late[0]}"


def nothing_is_left(course: Course) -> None:
    """I6: no task, no open transport, no open source; each run told its end once."""
    assert not course.left_tasks, f"I6: {course.left_tasks}"
    assert course.platform.is_closed, "I6: the transport is open"
    assert course.platform.in_flight == 0
    started = sum(ending.report is not None for ending in course.endings)
    assert len(course.ends) == started, "I6: a run did not tell its end, or told it twice"
    assert not abandoned(course), "I6: a source was left behind"
    for ending in course.endings:
        if ending.run.source != "async without aclose":
            assert ending.tap.opened == ending.tap.closed <= 1, "I6: the source was not closed"


def nothing_shows(course: Course) -> None:
    """I7: neither token nor person in logs, outcomes, reports and exceptions; nor an error that nobody looked at."""
    for log in course.logs:
        text = log.getMessage()
        for run_id in course.ends:  # chance alone may give it a part of the token
            text = text.replace(run_id, "")
        assert canary.leaks(text) == [], f"I7: {log.name}: {text}"
        is_ours = log.name == "asyncimport"
        assert log.levelname in ({"DEBUG", "INFO", "WARNING"} if is_ours else {"DEBUG", "INFO"}), log.getMessage()
    for ending in course.endings:
        shown = "\n".join(f"{outcome!r} {outcome}" for outcome in ending.outcomes if not isinstance(outcome, Accepted))
        if ending.report is not None:
            shown += f"{ending.report} {ending.report!r} {ending.report.to_dict()}".replace(ending.report.run_id, "")
        assert canary.leaks(shown) == [], "I7: an outcome or the report"
        if ending.error is not None:
            assert canary.scan(ending.error) == [], f"I7: {type(ending.error).__name__}"
    for notice in course.notices:
        is_named = isinstance(notice, RunStarted | RunEnded)  # with the run's id
        assert is_named or canary.leaks(repr(notice)) == [], f"I7: {type(notice).__name__}"


def nobody_waits_for_long(course: Course) -> None:
    """I8: while records are left, the platform is never left alone for longer than the waits that somebody asked for."""
    plan, platform = course.plan, course.platform
    spans = [(one.began, one.ended) for one in platform.requests]
    spans += [(began, ended) for began, ended, _ in platform.token_calls]
    asked_s = max((one.wait_s for one in platform.requests if one.wait_s <= 300), default=0.0)
    users_s = sum(
        run.pause_s * plan.batch_size + run.begins + run.slow_s * 4 * plan.width * plan.batch_size for run in plan.runs
    )
    allowed_s = LONGEST_WAIT_S + 1.2 * asked_s + users_s + plan.linger_s
    over, last = max(ending.ended or 0.0 for ending in course.endings), 1000.0
    for began, ended in sorted([*spans, (over, over)]):
        assert began - last <= allowed_s, f"I8: nothing was done from {last - 1000:.2f} to {began - 1000:.2f} s"
        last = max(last, ended)


def platform_is_spared(course: Course) -> None:
    """Never more requests than the width; none in a pause that the platform asked for and had told in time."""
    plan, requests = course.plan, course.platform.requests
    assert course.platform.most_in_flight <= plan.width, f"{course.platform.most_in_flight} requests at the same time"
    if plan.credentials != "fixed":  # a request that passed the gate may have to wait for its token
        return
    closed_until = 0.0
    events = [(one.answered, one.ended, one) for one in requests if one.answered]
    events += [(one.begun, one.began, one) for one in requests]
    for place, at, request in sorted(events, key=lambda event: event[0]):
        if place == request.begun:
            assert at >= closed_until - 1e-6, f"a request in a pause: {request}"
        elif request.wait_s:
            closed_until = max(closed_until, at + request.wait_s)
