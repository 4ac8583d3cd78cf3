"""order_by: no key under way twice, whatever the platform does; the platform itself is the witness (FAULTS.md I9, G14)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import canary
import orjson
import pytest
from ordered import Watcher

from asyncimport import (
    EVENTS,
    USERS,
    ConfigError,
    DispatchPolicy,
    EventImportConfig,
    ImportClient,
    ImportMode,
    ImportReport,
    PlatformRefused,
    UserImportConfig,
    UserProfile,
)
from asyncimport.admission import Admitted
from asyncimport.batch import Batch, Positions
from asyncimport.chunker import Chunk, Chunker
from asyncimport.keys import parts_of
from asyncimport.order import Order, Turn
from asyncimport.outcome import Unsent
from asyncimport.records import Event
from benchmarks.virtual import run_virtual

CONFIG = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
POLICY = DispatchPolicy(batch_size=10, max_in_flight=6)


def people(count: int, keys: int, seed: int = 0) -> list[UserProfile]:
    """People of whom so many differ; `remark` is the position."""
    chance = Random(seed)
    return [UserProfile(third_id=f"{chance.randrange(keys)}", remark=f"{n}") for n in range(count)]


def watcher(seed: int = 0, **given: Any) -> Watcher:
    return Watcher(lambda record: [record["thirdId"]], Random(seed), **given)


def adds_up(report: ImportReport | None) -> ImportReport:
    assert report is not None
    settled = report.accepted + report.rejected + report.unconfirmed + report.unsent + report.skipped
    assert (report.in_progress, report.read) == (0, settled)
    return report


def imported(platform: Watcher, source: Any, policy: DispatchPolicy = POLICY, **run: Any) -> ImportReport:
    async def main() -> ImportReport:
        async with ImportClient(
            "https://platform.example/api/open", token=canary.TOKEN, transport=platform, policy=policy
        ) as client:
            return await client.run(USERS, source, CONFIG, **{"order_by": ["third_id"], **run})

    return adds_up(run_virtual(main()))


@pytest.mark.parametrize("seed", range(20))
def test_under_faults_no_key_is_under_way_twice_and_the_last_record_wins(seed: int) -> None:
    platform = watcher(seed, faults=0.35)
    report = imported(platform, people(300, keys=10 + 10 * seed, seed=seed))
    assert platform.breaches() == []
    assert [last for last, wanted in platform.winners() if last != wanted] == []
    assert report.accepted + report.unconfirmed == 300


def test_without_it_the_same_witness_finds_keys_under_way_twice() -> None:
    platform = watcher(1, faults=0.35)
    imported(platform, people(300, keys=20), order_by=None)
    assert platform.breaches()


def test_records_that_differ_are_sent_as_many_at_a_time_as_ever() -> None:
    ordered, free = watcher(), watcher()
    source = [UserProfile(third_id=f"{n}", remark=f"{n}") for n in range(600)]
    imported(ordered, source)
    imported(free, source, order_by=None)
    assert (ordered.posts, ordered.most_in_flight) == (free.posts, free.most_in_flight) == (60, 6)


@pytest.mark.parametrize("bad", [{0}, {5, 6, 7}, {0, 1, 2, 3}, set(range(50, 54)), {118, 119}], ids=str)
@pytest.mark.parametrize("keys", [1, 3])
def test_refused_records_hold_up_their_successors_until_they_are_decided_and_no_longer(
    keys: int, bad: set[int]
) -> None:
    platform = watcher(bad=frozenset(bad))
    source = [UserProfile(third_id=f"{n % keys}", remark=f"{n}") for n in range(120)]
    report = imported(platform, source)
    assert platform.breaches() == []
    assert (report.rejected, report.accepted) == (len(bad), 120 - len(bad))


def test_a_record_that_was_passed_is_not_sent_again_and_is_rejected_when_its_successor_is_accepted() -> None:
    platform = watcher(bad=frozenset({0}))
    report = imported(platform, people(3, keys=1))
    assert [spell.position for spell in platform.spells["0"]] == [0, 0, 1, 2]
    assert [first.position for first in report.first_rejections] == [0]


def test_a_platform_that_refuses_everything_still_ends_the_run_and_what_was_passed_is_unsent() -> None:
    with canary.raises(PlatformRefused) as caught:
        imported(watcher(bad=frozenset(range(200))), people(200, keys=1))
    report = adds_up(caught.value.report)
    assert (report.accepted, report.rejected) == (0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_a_deadline_in_the_middle_leaves_no_key_under_way_twice(seed: int) -> None:
    platform = watcher(seed, faults=0.35)
    report = imported(platform, people(300, keys=7, seed=seed), deadline=2.0)
    assert platform.breaches() == []
    assert report.unsent > 0


@pytest.mark.parametrize("steps", [1, 3, 10, 40, 150])
def test_a_cancellation_while_a_record_waits_counts_everything(steps: int) -> None:
    platform = watcher(3, faults=0.35)

    async def main() -> ImportReport:
        async with ImportClient("https://platform.example", token="t", transport=platform, policy=POLICY) as client:
            stream = client.stream(USERS, people(300, keys=7), CONFIG, order_by=["third_id"])

            async def read() -> None:
                async with stream as outcomes:
                    async for _ in outcomes:
                        pass

            task = asyncio.create_task(read())
            for _ in range(steps):
                await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.wait({task})
            return stream.report

    adds_up(run_virtual(main()))
    assert platform.breaches() == []


def test_a_slow_source_is_not_held_back_by_a_chunk_that_lingers_for_its_own_key() -> None:
    async def slowly() -> AsyncIterator[UserProfile]:
        for n in range(6):
            yield UserProfile(third_id="1", remark=f"{n}")
            await asyncio.sleep(1)

    platform = watcher()
    report = imported(platform, slowly())
    assert (report.accepted, platform.breaches()) == (6, [])
    assert report.elapsed_s == pytest.approx(6, abs=1)


def order_of(*names: str, record: type[Any] = UserProfile) -> Order:
    return Order(parts_of(record, names, "order_by"))


def feed(order: Order, ids: str, size: int = 10) -> list[Chunk | Turn]:
    """What records come to that have these letters for ids; `-` has none."""
    chunker = Chunker(size)
    wires: Any = [{} if one == "-" else {"thirdId": one} for one in ids]
    found = list(order.feed(chunker, Admitted(wires=wires, first=0), 0.0))
    return [*found, *chunker.flush()]


def shown(pieces: list[Chunk | Turn]) -> str:
    return " ".join(
        "|" if isinstance(piece, Turn) else "".join(wire.get("thirdId", "-") for wire in _dicts(piece.wires))
        for piece in pieces
    )


def _dicts(wires: Any) -> list[dict[str, str]]:
    return list(wires)


@pytest.mark.parametrize(
    ("ids", "chunks"),
    [
        ("abc", "abc"),
        ("aba", "ab | a"),
        ("abca", "abc | a"),
        ("aa", "a | a"),
        ("a-b-a", "a-b- | a"),
        ("----", "----"),
        ("", ""),
    ],
)
def test_a_record_whose_key_is_in_the_open_chunk_closes_it_and_waits(ids: str, chunks: str) -> None:
    assert shown(feed(order_of("third_id"), ids)) == chunks


def test_a_turn_has_come_when_every_record_of_its_key_is_settled() -> None:
    order = order_of("thirdId")
    _, turn, _ = feed(order, "aa")
    assert isinstance(turn, Turn)
    assert not turn.has_come()
    seen: list[Any] = []
    settle = order.settling(lambda outcome, batch: seen.append((outcome, batch)))
    settle(Unsent(positions=Positions.of([0, 1])), None)
    assert turn.has_come()
    assert len(seen) == 1


def test_batches_of_an_earlier_process_hold_their_keys_and_wait_for_each_other() -> None:
    order = order_of("third_id")

    def batch(number: int, *ids: str) -> Batch:
        body = orjson.dumps({"publicParams": {}, "data": [{"thirdId": one} for one in ids]})
        positions = Positions((range(10 * number, 10 * number + len(ids)),))
        return Batch(number=number, positions=positions, body=body)

    first, second, third = batch(0, "a", "b"), batch(1, "c"), batch(2, "b", "d")
    pieces = order.again([first, second, third])
    assert [next(pieces), next(pieces)] == [first, second]
    turn = next(pieces)
    assert isinstance(turn, Turn)
    assert not turn.has_come()
    order.leave(first.positions)
    assert turn.has_come()
    assert next(pieces) is third
    assert shown(feed(order, "xc")) == "x | c"


def identities(*values: str) -> dict[str, Any]:
    return {"identities": [{"identityType": "phone", "identityValue": value} for value in values]}


def test_two_records_that_share_one_identity_are_of_one_key_whatever_else_they_have() -> None:
    order = order_of("identities", record=Event)
    order.enter(0, order.keys_of(identities("1", "2")))
    assert not order.is_free(order.keys_of(identities("3", "2")))
    assert order.is_free(order.keys_of(identities("3")))


def test_a_text_of_a_class_with_a_hash_of_its_own_is_the_text_that_it_holds() -> None:
    class Loud(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return 0

    order = order_of("remark")
    assert order.keys_of({"remark": Loud("web")}) == order.keys_of({"remark": "web"})


@pytest.mark.parametrize(
    ("resource", "option", "names", "words"),
    [
        (USERS, "order_by", ["phon"], "order_by: 'phon' is no field of UserProfile"),
        (USERS, "deduplicate", ["thirdid"], "deduplicate: 'thirdid' is no field"),
        (USERS, "order_by", ["phone.x"], "phone of UserProfile has no part 'x'"),
        (USERS, "order_by", "phone", "takes a list of names"),
        (USERS, "order_by", [1], "takes a list of names"),
        (USERS, "order_by", iter(["phone"]), "takes a list of names"),
        (EVENTS, "order_by", ["eventargs."], "has no part ''"),
        (EVENTS, "uuid_from", ["uuid"], "not the uuid itself"),
        (USERS, "uuid_from", ["phone"], "users take no uuid"),
        (USERS, "before_send", 3, "takes a function"),
    ],
)
async def test_what_names_no_field_is_refused_when_the_import_is_asked_for(
    resource: Any, option: str, names: Any, words: str
) -> None:
    config = CONFIG if resource is USERS else EventImportConfig()
    async with ImportClient("https://platform.example", token="t") as client:
        with canary.raises(ConfigError, match=words):
            client.stream(resource, [], config, **{option: names})


def test_a_list_or_mapping_is_a_key_by_what_it_holds() -> None:
    order = Order(parts_of(Event, ["eventargs"], "order_by"))
    first, same = ({"eventargs": {"a": [1, {"b": 2}], "c": 3}}, {"eventargs": {"c": 3, "a": [1, {"b": 2}]}})
    assert order.keys_of(first) == order.keys_of(same) != order.keys_of({"eventargs": {"a": [1]}})


def test_an_earlier_process_may_have_left_nothing() -> None:
    assert list(Order(parts_of(Event, ["eventargs"], "order_by")).again([])) == []
