"""Refused, poisoned and too large batches, and a platform that goes away, over a scripted transport in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import canary
import pytest
from scripted import LOST, OK, REFUSED_CONNECTION, ScriptedTransport, Sent, envelope

from asyncimport import (
    USERS,
    Accepted,
    AsyncImportError,
    BatchOutcome,
    DispatchPolicy,
    ImportClient,
    ImportMode,
    ImportReport,
    PlatformRefused,
    Rejected,
    RetryPolicy,
    Unconfirmed,
    Unsent,
    UploadStalled,
    UserImportConfig,
    UserProfile,
)
from asyncimport.attempt import Answer, Attempt, Fault, NoAnswer
from benchmarks.virtual import run_virtual

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
REFUSED = envelope("40001", msg=f"a record is bad: {canary.PERSON}")
BROKEN = Answer(status=500, body=b"")
TOO_LARGE = Answer(status=413, body=b"<html>too large</html>")
Judge = Callable[[Sent], Attempt]


class Run:
    """One import over a scripted platform: what it was sent, and what became of each record."""

    def __init__(
        self, count: int, judge: Judge | Attempt, *, delay_s: float = 0.05, width: int = 8, **options: Any
    ) -> None:
        self.count = count
        policy = options.pop("policy", None) or DispatchPolicy(
            max_in_flight=width, batch_size=options.pop("batch_size", 500)
        )
        self.transport = ScriptedTransport(otherwise=judge, delay_s=delay_s)
        self.outcomes: list[BatchOutcome] = []
        self.failure: AsyncImportError | None = None
        self.client = ImportClient(
            "https://platform.example/api/open", token=canary.TOKEN, transport=self.transport, policy=policy
        )
        run_virtual(self._run(options))
        self._adds_up()

    async def _run(self, options: dict[str, Any]) -> None:
        people = [UserProfile(third_id=f"{n}", real_name=canary.PERSON) for n in range(self.count)]
        async with self.client:
            stream = self.client.stream(USERS, people, CONFIG, **options)
            try:
                async with stream:
                    async for outcome in stream:
                        self.outcomes.append(outcome)
            except AsyncImportError as error:
                self.failure = error
            self.report: ImportReport = stream.report
            await asyncio.sleep(0)
            assert [task for task in asyncio.all_tasks() if "asyncimport" in task.get_name()] == []

    def _adds_up(self) -> None:
        """Conservation; each record in one outcome; nothing accepted that the platform did not take; no secrets."""
        report = self.report
        assert report.in_progress == 0
        assert report.read == report.accepted + report.rejected + report.unconfirmed + report.unsent
        seen = Counter(position for outcome in self.outcomes for position in outcome.positions)
        assert set(seen.values()) <= {1}
        assert len(seen) == report.read
        assert self.failure is None or canary.scan(self.failure) == []

    def of(self, kind: type[BatchOutcome]) -> list[int]:
        """Positions of records with this outcome."""
        return sorted(
            position for outcome in self.outcomes if isinstance(outcome, kind) for position in outcome.positions
        )

    @property
    def requests(self) -> int:
        return len(self.transport.posts)


def ids(sent: Sent) -> set[int]:
    return {int(record["thirdId"]) for record in sent.records}


def poisoned(culprits: Iterable[int], answer: Attempt = REFUSED) -> Judge:
    """Refuses whatever holds one of these records."""
    bad = set(culprits)
    return lambda sent: answer if ids(sent) & bad else OK


def first_then(answers: Iterable[Attempt], judge: Judge) -> Judge:
    """Gives these answers first."""
    left = iter(answers)

    def reply(sent: Sent) -> Attempt:
        answer = next(left, None)
        return judge(sent) if answer is None else answer

    return reply


def until(moment: float, answer: Attempt = REFUSED, start: float = 0.0) -> Judge:
    """Answers so for a while, in seconds since the run began, and well before and after."""
    return lambda sent: answer if 1000.0 + start <= sent.at < 1000.0 + moment else OK


class TestCulprits:
    @pytest.mark.parametrize("width", [1, 4, 8, 16])
    @pytest.mark.parametrize("culprit", [0, 4321, 9500, 9999])
    def test_one_in_ten_thousand_is_found_within_the_bound_and_nobody_else_is_rejected(
        self, culprit: int, width: int
    ) -> None:
        run = Run(10_000, poisoned([culprit]), width=width)
        assert run.of(Rejected) == [culprit]
        assert run.report.accepted == 9999
        assert run.requests <= 20 + 18 + 3

    @pytest.mark.breakage("split: reject a refused batch whole")
    @pytest.mark.parametrize(
        "answer",
        [
            REFUSED,
            envelope("40001", status=400),
            Answer(status=400, body=b'{"error": "bad"}'),
            Answer(status=422, body=b'{"error": "bad"}'),
        ],
        ids=["code", "400-envelope", "400-object", "422-object"],
    )
    def test_b12_it_is_found_by_whatever_refusal(self, answer: Attempt) -> None:
        run = Run(2000, poisoned([777], answer))
        assert run.of(Rejected) == [777]
        assert run.requests <= 4 + 18 + 3

    def test_three_in_one_batch_are_found(self) -> None:
        run = Run(10_000, poisoned([1, 200, 499]))
        assert run.of(Rejected) == [1, 200, 499]
        assert run.requests <= 20 + 3 * (18 + 3)

    @pytest.mark.parametrize("width", [1, 8])
    def test_one_in_a_hundred_are_found_though_nearly_every_batch_is_refused_at_first(self, width: int) -> None:
        culprits = range(50, 20_000, 100)
        run = Run(20_000, poisoned(culprits), width=width, delay_s=0.01)
        assert run.of(Rejected) == list(culprits)
        assert run.report.accepted == 19_800

    def test_the_last_record_of_all_is_rejected_though_nothing_is_left_to_be_a_witness(self) -> None:
        run = Run(1001, poisoned([1000]))
        assert run.of(Rejected) == [1000]
        assert run.requests == 4
        assert run.report.ok is False
        assert run.failure is None

    def test_a_whole_batch_of_culprits_at_width_one_ends_nothing_when_others_are_taken(self) -> None:
        run = Run(3000, poisoned(range(100, 200)), width=1, batch_size=100)
        assert run.of(Rejected) == list(range(100, 200))
        assert run.of(Accepted) == [*range(100), *range(200, 3000)]

    def test_the_rejection_says_what_the_platform_says_and_every_piece_has_its_own_batch_id(self) -> None:
        run = Run(500, poisoned([77]))
        (rejected,) = (outcome for outcome in run.outcomes if isinstance(outcome, Rejected))
        assert (rejected.count, rejected.code, rejected.reason) == (1, "40001", "refused: code 40001")
        assert rejected.message.startswith("a record is bad: ")
        assert canary.leaks(f"{rejected}{run.report}") == []
        assert len(run.report.batch_ids) == sum(isinstance(outcome, Accepted) for outcome in run.outcomes)
        assert (run.report.batches, run.report.attempts) == (1, run.requests)
        assert run.report.retries == run.requests - 1

    @pytest.mark.breakage("codec: leave the middle record of a batch out of its halves")
    def test_h7_the_pieces_hold_every_record_of_the_batch_once_and_the_same_bytes_at_every_repeat(self) -> None:
        run = Run(100, first_then([REFUSED, LOST, OK, LOST], poisoned([33])), batch_size=100, width=1)
        assert run.of(Rejected) == [33]
        assert run.of(Accepted) == [n for n in range(100) if n != 33]
        by_records = {tuple(sorted(ids(sent))): sent.body for sent in run.transport.posts}
        assert len(by_records) == len({sent.body for sent in run.transport.posts}) < run.requests
        lost = [run.transport.posts[place] for place in (1, 3)]
        assert run.report.possible_duplicates == sum(len(sent.records) for sent in lost) > 0

    def test_records_of_a_batch_that_may_have_been_taken_before_it_was_refused_count_as_sent_again(self) -> None:
        run = Run(10, first_then([LOST, REFUSED], poisoned([3])))
        assert run.of(Rejected) == [3]
        assert run.report.possible_duplicates == 10


class TestAPlatformThatRefusesEverything:
    @pytest.mark.parametrize("width", [1, 4, 8])
    @pytest.mark.parametrize("count", [5, 100, 10_000, 200_000])
    def test_ends_the_run_within_thirty_requests_whatever_its_length(self, count: int, width: int) -> None:
        run = Run(count, REFUSED, width=width)
        assert isinstance(run.failure, PlatformRefused)
        assert run.requests <= 30
        assert (run.failure.code, run.failure.report) == ("40001", run.report)
        assert run.failure.platform_message.startswith("a record is bad: ")
        assert "code 40001" in str(run.failure)
        assert run.of(Unsent) == list(range(run.report.read))

    @pytest.mark.parametrize("width", [1, 8])
    def test_from_the_middle_on_rejects_nobody(self, width: int) -> None:
        run = Run(20_000, lambda sent: OK if sent.at < 1000.12 else REFUSED, width=width)
        assert isinstance(run.failure, PlatformRefused)
        assert run.report.rejected == 0
        assert run.report.accepted == sum(len(sent.records) for sent in run.transport.posts if sent.at < 1000.12)
        refused = [sent for sent in run.transport.posts if sent.at >= 1000.12]
        assert len(refused) <= 30

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_of_a_few_records_tries_each_of_them_twice_and_then_says_so(self, count: int) -> None:
        run = Run(count, REFUSED)
        assert isinstance(run.failure, PlatformRefused)
        assert run.of(Unsent) == list(range(count))
        assert Counter(
            next(iter(ids(sent))) for sent in run.transport.posts if len(sent.records) == 1
        ) == dict.fromkeys(range(count), 2)

    @pytest.mark.parametrize("width", [1, 8])
    @pytest.mark.parametrize("start", [0.0, 0.3])
    @pytest.mark.parametrize("length_s", [0.05, 1.0, 4.0])
    def test_for_some_seconds_rejects_nobody(self, length_s: float, start: float, width: int) -> None:
        run = Run(20_000, until(start + length_s, start=start), width=width, delay_s=0.02)
        assert run.failure is None
        assert run.report.accepted == 20_000

    def test_at_the_end_for_a_second_rejects_nobody(self) -> None:
        assert Run(1, until(1.0)).report.ok
        assert Run(501, until(1.0)).report.ok

    def test_is_asked_by_one_request_at_a_time(self) -> None:
        posts = Run(10_000, REFUSED, delay_s=0.05).transport.posts
        gaps = [late.at - early.at for early, late in pairwise(posts[8:])]
        assert min(gaps) > 0.049
        assert len(gaps) >= 15


class TestAServerThatBreaks:
    @pytest.mark.breakage("split: never take a 500 for the batch's doing")
    def test_b7_over_one_record_leaves_it_unconfirmed_and_delivers_the_rest(self) -> None:
        run = Run(10_000, poisoned([4321], BROKEN))
        assert run.of(Unconfirmed) == [4321]
        assert run.report.accepted == 9999
        (unconfirmed,) = (outcome for outcome in run.outcomes if isinstance(outcome, Unconfirmed))
        assert unconfirmed.reason == "server_error"
        assert run.requests <= 20 + 2 + 18 + 2 + 3

    @pytest.mark.breakage("split: look for nothing while nothing else is under way")
    @pytest.mark.parametrize("width", [1, 8])
    def test_b7_over_a_record_of_the_only_batch_is_found_out_too(self, width: int) -> None:
        run = Run(500, poisoned([250], BROKEN), width=width)
        assert run.of(Unconfirmed) == [250]
        assert run.report.accepted == 499

    def test_over_three_records_of_one_batch_is_found_out(self) -> None:
        run = Run(5000, poisoned([10, 20, 499], BROKEN))
        assert run.of(Unconfirmed) == [10, 20, 499]
        assert run.report.accepted == 4997

    def test_over_one_batch_does_not_stop_the_others(self) -> None:
        run = Run(20_000, poisoned([0], BROKEN), width=1)
        gaps = [late.at - early.at for early, late in pairwise(run.transport.posts)]
        assert max(gaps) < 1.1  # a back-off of at most 1 s where nothing else is left, and a round trip
        assert run.of(Unconfirmed) == [0]

    @pytest.mark.breakage("ending: tell what went unanswered as unsent")
    def test_h2_that_applies_all_and_breaks_for_ever_leaves_everything_to_be_verified(self) -> None:
        run = Run(4, BROKEN, policy=DispatchPolicy(retry=RetryPolicy(base_s=0.1), first_contact_s=None, stall_s=60))
        assert run.report.accepted == 0
        assert run.of(Unconfirmed) == [0, 1, 2, 3]

    @pytest.mark.breakage("retry: give up at the second attempt")
    def test_b9_at_random_in_a_third_of_all_attempts_completes_without_much_ado(self) -> None:
        chances = iter(range(10**6))
        run = Run(50_000, lambda _sent: BROKEN if next(chances) * 7919 % 10 < 3 else OK)
        assert run.report.accepted == 50_000
        assert run.requests / 100 < 1.6


class TestSize:
    @pytest.mark.breakage("stages: learn nothing of sizes")
    def test_b13_a_batch_too_large_is_halved_until_it_fits_and_later_ones_are_cut_smaller(self) -> None:
        judge: Judge = lambda sent: TOO_LARGE if len(sent.body) > 12_000 else OK  # noqa: E731
        run = Run(20_000, judge, width=4)
        assert run.report.accepted == 20_000
        sizes = [len(sent.body) for sent in run.transport.posts]
        assert sum(size > 12_000 for size in sizes) <= 8
        assert max(sizes[20:]) <= 12_000
        assert run.report.batches > 60
        assert min(sorted(sizes)[1:]) > 3_000

    @pytest.mark.breakage("split: reject a batch that is too large whole")
    def test_b13_one_record_too_large_is_rejected_alone(self) -> None:
        run = Run(1000, poisoned([10], TOO_LARGE))
        assert run.of(Rejected) == [10]
        assert [outcome.reason for outcome in run.outcomes if isinstance(outcome, Rejected)] == ["too_large"]

    def test_a_gateway_that_finds_everything_too_large_rejects_nobody(self) -> None:
        run = Run(10_000, TOO_LARGE, policy=DispatchPolicy(max_in_flight=8, first_contact_s=None))
        assert isinstance(run.failure, PlatformRefused)
        assert run.report.rejected == 0
        assert run.requests <= 30


class TestAnOutage:
    @pytest.mark.breakage("breaker: never open it")
    @pytest.mark.parametrize("answer", [REFUSED_CONNECTION, LOST, BROKEN, Answer(status=503, body=b"")])
    @pytest.mark.parametrize("width", [1, 8, 32])
    def test_a1_of_a_minute_costs_few_requests_and_everything_is_delivered_after_it(
        self, answer: Attempt, width: int
    ) -> None:
        judge = until(63.0, answer, start=3.0)
        run = Run(100_000, judge, width=width, delay_s=0.1, batch_size=100)
        assert (run.report.accepted, run.failure) == (100_000, None)
        assert sum(judge(sent) is not OK for sent in run.transport.posts) <= 60
        assert answer is not REFUSED_CONNECTION or run.report.possible_duplicates == 0
        assert run.report.elapsed_s < 63 + 45 + 100 * 0.1 * 10 / width

    def test_it_comes_back_to_one_request_and_doubles(self) -> None:
        judge = until(20.0, REFUSED_CONNECTION, start=1.0)
        run = Run(20_000, judge, delay_s=0.1, batch_size=100)
        back = [sent.at for sent in run.transport.posts if sent.at > 1020.0]
        rounds = Counter(round((at - back[0]) / 0.1) for at in back)
        assert [rounds[n] for n in range(4)] == [1, 1, 2, 4]

    @pytest.mark.breakage("course: count the attempts of an outage")
    def test_b8_for_good_stops_the_run_after_a_quarter_of_an_hour_and_gives_up_no_batch(self) -> None:
        run = Run(20_000, lambda sent: OK if sent.at < 1002 else BROKEN, delay_s=0.1, batch_size=100, width=1)
        assert isinstance(run.failure, UploadStalled)
        assert 900 < run.report.elapsed_s < 960
        assert run.report.rejected == 0
        assert len(run.transport.posts) < 100
        assert run.report.unconfirmed <= 4 * 100  # the window: none was given up to let another in

    def test_before_first_contact_the_breaker_waits_no_longer_than_first_contact(self) -> None:
        run = Run(5000, REFUSED_CONNECTION)
        assert run.failure is not None
        assert 15.0 <= run.report.elapsed_s < 15.5

    @pytest.mark.breakage("limit: stay at one request after an outage")
    def test_b6_in_bursts_is_followed_each_time_by_the_whole_width_within_ten_round_trips(self) -> None:
        busy = Answer(status=503, body=b"")
        judge: Judge = lambda sent: busy if (sent.at - 1000.0) % 20 >= 10 else OK  # noqa: E731
        run = Run(400_000, judge, delay_s=0.1, batch_size=100)
        assert run.report.accepted == 400_000
        good = [sent.at for sent in run.transport.posts if judge(sent) is OK]
        recoveries = [late for early, late in pairwise(good) if late - early > 5]
        lasting = [moment for moment in recoveries if (moment - 1000.0) % 20 < 8.5 and moment + 1.5 < good[-1]]
        assert lasting
        for moment in lasting:  # of which the platform is well for so long
            assert sum(moment + 0.95 <= at < moment + 1.05 for at in good) >= 0.8 * 8
        wasted = run.requests - len(good)
        assert wasted <= 20 * (len(recoveries) + 1)

    @pytest.mark.parametrize("count", [1, 2, 500])
    @pytest.mark.parametrize("answer", [REFUSED_CONNECTION, LOST, BROKEN, Answer(status=503, body=b"")])
    def test_gives_up_no_batch_that_is_left_alone_in_it(self, answer: Attempt, count: int) -> None:
        run = Run(500 + count, until(63.0, answer, start=0.03), width=1)
        assert run.report.accepted == 500 + count

    def test_of_the_machine_itself_is_waited_for_without_a_storm_before_first_contact_too(self) -> None:
        shortage = NoAnswer(fault=Fault.SHORTAGE, sent=False)
        run = Run(1000, until(100.0, shortage), delay_s=0.001)
        assert run.report.accepted == 1000
        assert run.requests < 60


class TestWitnesses:
    @pytest.mark.parametrize("width", [1, 8])
    def test_a_permission_withdrawn_in_the_middle_of_a_split_rejects_nobody_innocent(self, width: int) -> None:
        for moment in range(1, 20):
            withdrawn = until(10**6, start=moment * 0.05)
            culprit = poisoned([362])

            def judge(sent: Sent, withdrawn: Judge = withdrawn, culprit: Judge = culprit) -> Attempt:
                return withdrawn(sent) if withdrawn(sent) is REFUSED else culprit(sent)

            run = Run(500, judge, width=width)
            innocent = set(run.of(Rejected)) - {362}
            assert len(innocent) <= 2, moment
            assert not innocent or run.report.unsent == 0, moment

    def test_a_window_full_of_records_without_a_witness_lets_a_further_batch_in(self) -> None:
        run = Run(200, poisoned(range(40, 47)), width=1, batch_size=1)
        assert run.of(Rejected) == list(range(40, 47))
        assert run.report.accepted == 193

    def test_bad_rows_at_random_end_no_wide_run(self) -> None:
        culprits = [n for n in range(16_000) if n * 7919 % 100 < 10]
        run = Run(16_000, poisoned(culprits), width=32, batch_size=100, delay_s=0.01)
        assert run.failure is None
        assert run.of(Rejected) == culprits

    def test_records_that_are_sent_one_by_one_have_all_attempts_of_any_batch(self) -> None:
        chances = iter(range(10**6))
        run = Run(1000, lambda _sent: BROKEN if next(chances) * 7919 % 10 < 3 else OK, batch_size=1)
        assert run.report.accepted == 1000

    @pytest.mark.parametrize("width", [12, 64])
    def test_a_refusal_of_everything_costs_a_wide_run_no_more_than_what_was_under_way_besides(self, width: int) -> None:
        run = Run(100_000, REFUSED, width=width)
        assert isinstance(run.failure, PlatformRefused)
        assert run.requests <= width + 22

    def test_a_gateway_that_finds_everything_too_large_from_the_middle_on_rejects_nobody(self) -> None:
        run = Run(20_000, lambda sent: OK if sent.at < 1000.12 else TOO_LARGE)
        assert isinstance(run.failure, PlatformRefused)
        assert run.report.rejected == 0

    def test_one_record_that_is_too_large_does_not_make_all_others_small(self) -> None:
        run = Run(50_000, poisoned([10], TOO_LARGE), width=1)
        assert run.of(Rejected) == [10]
        assert run.requests < 4 * 100
