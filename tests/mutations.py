"""Break the package on purpose and see the suite turn red: `python tests/mutations.py [NAME ...] [--all] [--write]`.

Each breakage turns one rule off in a copy of the tree. The tests named with it must be green before, and fail
after it: an error of collection, or a run that hangs, proves nothing. Exit code 1 when one survives.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from xml.etree import ElementTree as ET

from attrs import frozen

from benchmarks import pages

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "reliability.md"
#: A test that takes longer has failed; a run of several that takes longer is cut off, and counts for nothing.
_TEST_S: Final = 30
_RUN_S: Final = 180
_SUITE_S: Final = 3_600
_NOT_COPIED: Final = (".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "build", "dist")


@frozen(kw_only=True)
class Mutation:
    """One rule turned off. `text` stands in the module once; `says` is the test that tells best what is wrong then."""

    name: str
    #: Within the package.
    module: str
    text: str
    replacement: str
    says: str
    #: Further tests that should notice: files or node ids.
    tests: tuple[str, ...] = ()

    def applied(self, source: str) -> str:
        """The module's source with the rule turned off.

        Raises:
            ValueError: the text is not there once, and the mutation has rotted.
        """
        if (found := source.count(self.text)) != 1:
            raise ValueError(f"{self.name!r} has rotted: its text is {found} times in {self.module}, not once")
        return source.replace(self.text, self.replacement)


MUTATIONS: Final = (
    Mutation(
        name="acknowledge before the answer",
        module="journal/file.py",
        text="            digest=planned.digest,\n            is_open=planned.is_open,\n",
        replacement=(
            "            digest=planned.digest,\n            state=EntryState.ACCEPTED,\n            is_open=planned.is_open,\n"
        ),
        says="tests/faults/test_faults_h.py::test_h6_a_crash_between_commit_and_acknowledgement_costs_one_copy_of_each_batch_in_flight",
        tests=(
            "tests/journal/test_journal_resume.py::test_h6_a_process_killed_at_any_request_goes_on_with_the_same_ids_and_bytes",
        ),
    ),
    Mutation(
        name="follow redirects",
        module="transport.py",
        text='"allow_redirects": False',
        replacement='"allow_redirects": True',
        says="tests/test_transport.py::test_s4_no_redirect_is_followed_and_its_target_never_touched",
    ),
    Mutation(
        name="take the 400 of a garbage answer as a refusal",
        module="transport.py",
        text="            translated = translate(error, was_sent=trace.was_sent, idle_s=trace.idle_s)\n",
        replacement=(
            "            if isinstance(error, aiohttp.ClientResponseError):\n"
            '                return Answer(status=error.status, body=b"{}")\n'
            "            translated = translate(error, was_sent=trace.was_sent, idle_s=trace.idle_s)\n"
        ),
        says="tests/test_transport.py::test_garbage_with_a_status_inside_aiohttps_exception_is_never_an_answer",
        tests=(
            "tests/faults/test_faults_c_bytes.py::test_c12_headers_without_end_or_form_are_no_refusal",
            "tests/faults/test_faults_c_bytes.py::test_c12_nor_is_what_does_not_begin_as_http",
        ),
    ),
    Mutation(
        name="new bytes on retry",
        module="course.py",
        text="        self._set_aside(batch, lambda: self.plan.wait(batch, due))\n",
        replacement=(
            "        import orjson\n\n"
            "        batch.body = orjson.dumps(orjson.loads(batch.body), option=orjson.OPT_SORT_KEYS)\n"
            "        self._set_aside(batch, lambda: self.plan.wait(batch, due))\n"
        ),
        says="tests/test_stream.py::TestRetries::test_an_unanswered_batch_is_sent_again_with_the_same_bytes",
        tests=(
            "tests/faults/test_faults_h.py::test_h1_a_half_applied_batch_is_sent_again_whole_with_the_same_keys_and_counted",
        ),
    ),
    Mutation(
        name="new uuid on resume",
        module="client.py",
        text="            policy=policy,\n            run_id=run.run_id,\n",
        replacement=(
            "            policy=policy,\n"
            "            run_id=run.run_id if journal is None or journal.known.is_new else os.urandom(10).hex(),\n"
        ),
        says="tests/journal/test_journal_resume.py::test_the_same_call_after_a_stop_sends_the_rest_once",
        tests=(
            "tests/faults/test_faults_g.py::test_g21_events_without_uuid_and_time_have_the_same_on_every_repeat_and_after_a_resume",
        ),
    ),
    Mutation(
        name="ignore Retry-After",
        module="verdict.py",
        text="        return evolve(verdict, is_overload=True, retry_after_s=retry_after(answer))\n",
        replacement="        return evolve(verdict, is_overload=True)\n",
        says="tests/test_stream.py::TestPauses::test_nobody_sends_before_retry_after_is_over",
        tests=(
            "tests/test_verdict.py",
            "tests/faults/test_faults_b_pauses.py::test_b2_a_date_is_waited_for_by_the_servers_own_clock",
        ),
    ),
    Mutation(
        name="count an unanswered batch as accepted",
        module="course.py",
        text="                self.end(batch, unconfirmed(batch))\n",
        replacement="                self._accept(trial)\n",
        says="tests/test_stream.py::TestRetries::test_a_batch_that_stays_unanswered_ends_unconfirmed_after_its_attempts",
        tests=(
            "tests/test_course.py::TestAServerThatBreaks",
            "tests/test_stream.py::TestRetries::test_parking_sends_nothing_twice",
        ),
    ),
    Mutation(
        name="skip the digest on resume",
        module="journal/recut.py",
        text=" or digest_of(batch.body) != entry.digest",
        replacement="",
        says="tests/journal/test_faults_f_running.py::test_f15_a_source_that_has_changed_is_refused_before_anything_is_sent",
        tests=("tests/journal/test_journal_recut.py",),
    ),
    Mutation(
        name="drop the oldest when full",
        module="dispatcher.py",
        text="                    await self._room.wait()\n",
        replacement=(
            "                    if self._course.plan.has_ready:\n"
            "                        self.window.leave(self._course.plan.pop().whole.size)\n"
            "                    else:\n"
            "                        await self._room.wait()\n"
        ),
        says="tests/test_stream.py::TestTheWholeWay::test_a_full_window_makes_the_source_wait_and_drops_nothing",
        tests=("tests/test_stream.py::TestTheWholeWay::test_two_imports_of_one_client_share_its_width",),
    ),
    Mutation(
        name="log a record",
        module="course.py",
        text="                detail=verdict.detail,\n",
        replacement='                detail=f"{verdict.detail}, sent {batch.body[:500]!r}",\n',
        says="tests/faults/test_faults_c_words.py::test_c16_an_echo_of_token_or_person_is_masked_wherever_it_would_be_shown",
        tests=("tests/test_stream.py::TestRetries",),
    ),
    Mutation(
        name="leave the slot held while backing off",
        module="dispatcher.py",
        text="                await self._send_or_fail(following)\n",
        replacement=(
            "                await self._send_or_fail(following)\n"
            '                if following.state.name == "WAITING":\n'
            "                    number = self.lane.limit.start(self.clock.now())\n"
            "                    await self.clock.sleep(max(0.0, (self._course.plan.due_at or 0.0) - self.clock.now()))\n"
            "                    self.lane.limit.finish(number)\n"
        ),
        says="tests/test_stream.py::TestRetries::test_a_batch_that_waits_holds_no_place",
        tests=("tests/faults/test_faults_g.py::test_g14_a_user_in_two_batches_is_as_the_last_to_arrive_has_him",),
    ),
    Mutation(
        name="retry without a limit",
        module="retry.py",
        text="        case Happened.UNKNOWN if batch.counted >= by.retry.max_attempts:\n            return GiveUp()\n",
        replacement="",
        says="tests/test_retry.py::test_the_eighth_counted_attempt_is_the_last",
        tests=(
            "tests/test_stream.py::TestRetries",
            "tests/test_retry.py::test_the_number_of_attempts_is_the_policys",
        ),
    ),
    Mutation(
        name="drop a record at the end of a source",
        module="chunker.py",
        text="        if self._wires:\n            yield self._close()\n",
        replacement="        if len(self._wires) > 1:\n            yield self._close()\n",
        says="tests/test_stream.py::TestTheWholeWay::test_records_travel_in_batches_of_at_most_500",
        tests=("tests/test_chunker.py",),
    ),
)


@frozen
class Ran:
    """What a run of pytest came to. `code` is None when it was cut off."""

    code: int | None
    failed: tuple[str, ...] = ()


@frozen
class Result:
    """What became of a mutation. `trouble` says why it counts as survived."""

    mutation: Mutation
    failed: int = 0
    trouble: str = ""


def tried(mutation: Mutation, *, whole_suite: bool) -> Result:
    """Run the tests in a copy of the tree, before and after the breakage."""
    tests = () if whole_suite else (mutation.says, *mutation.tests)
    within_s = _SUITE_S if whole_suite else _RUN_S
    with TemporaryDirectory(prefix="asyncimport-mutation-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*_NOT_COPIED))
        module = copy / "asyncimport" / mutation.module
        broken = mutation.applied(module.read_text(encoding="utf-8"))
        before = ran(copy, tests, within_s)
        if before.code != 0:
            return Result(mutation, trouble=f"without it pytest ended with {before.code}: {', '.join(before.failed)}")
        module.write_text(broken, encoding="utf-8")
        after = ran(copy, tests, within_s)
    if after.code != 1 or not after.failed:
        return Result(mutation, trouble=f"pytest ended with {after.code}, not with failed tests")
    if id_of(mutation.says) not in {name.partition("[")[0] for name in after.failed}:
        return Result(mutation, trouble=f"{mutation.says} did not fail, but {', '.join(after.failed)}")
    return Result(mutation, len(after.failed))


def ran(tree: Path, tests: Sequence[str], within_s: float) -> Ran:
    """Run tests of a tree, in the same order with the same seed each time."""
    report = tree.parent / "report.xml"
    report.unlink(missing_ok=True)
    options = ["--quiet", "--timeout", f"{_TEST_S}", "--randomly-seed=1", "--randomly-dont-reorganize"]
    places = ["-p", "no:cacheprovider", "--basetemp", f"{tree.parent / 'tests'}", "--junit-xml", f"{report}"]
    # Without bytecode: that of the module before the breakage could be taken for that after it.
    environment = {"PYTHONPATH": f"{tree}", "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""}
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *places, *tests],
        cwd=tree,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as pytest:
        try:
            code = pytest.wait(within_s)
        except subprocess.TimeoutExpired:
            return Ran(None)
        finally:
            if pytest.poll() is None:
                os.killpg(pytest.pid, signal.SIGKILL)  # its servers and commands too
    return Ran(code, failures(report) if report.exists() else ())


def failures(report: Path) -> tuple[str, ...]:
    """The tests that failed, as `classname.name` of pytest's report; those that could not even begin are none."""
    cases = ET.parse(report).getroot().iter("testcase")
    failed = (case for case in cases if case.find("failure") is not None)
    return tuple(f"{case.get('classname')}.{case.get('name')}" for case in failed)


def id_of(node: str) -> str:
    """A node id as pytest's report has it."""
    path, *names = node.split("::")
    return ".".join([path.removesuffix(".py").replace("/", "."), *names])


def row(result: Result) -> str:
    """One line of the table."""
    mutation = result.mutation
    return f"| {mutation.name} | `{mutation.module}` | {result.failed} | `{mutation.says.rpartition('::')[2]}` |"


def table(results: Sequence[Result]) -> str:
    """One line for each breakage that turned the suite red."""
    head = ["| breakage | module | tests failed | one that says it |", "|---|---|---|---|"]
    return "\n".join([*head, *(row(result) for result in results if not result.trouble), ""])


def main() -> int:
    """Try the chosen mutations, or all, and print what they gave."""
    names = [mutation.name for mutation in MUTATIONS]
    parser = argparse.ArgumentParser(prog="python tests/mutations.py")
    parser.add_argument("name", nargs="*", help=f"of {', '.join(names)}")
    parser.add_argument("--all", action="store_true", help="run the whole suite, not only the tests named with each")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(ROOT)}")
    given = parser.parse_args()
    if unknown := set(given.name) - set(names):
        parser.error(f"no such mutation: {', '.join(sorted(unknown))}")
    if given.write and given.name:
        parser.error("--write is for all of them")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that pytest and the copy are cleared away
    results: list[Result] = []
    for mutation in MUTATIONS:
        if not given.name or mutation.name in given.name:
            results.append(tried(mutation, whole_suite=given.all))
            sys.stderr.write(f"{mutation.name}: {results[-1].trouble or 'red'}\n")
    sys.stdout.write(table(results))
    if any(result.trouble for result in results):
        return 1
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(pages.filled(page, "mutations", table(results)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
