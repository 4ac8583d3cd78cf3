"""Frames, relations, tables and readers as sources."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import canary
import duckdb
import journals
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scripted import ScriptedTransport
from sourced import CONFIGS, imported
from tables import people, present

from asyncimport import USERS, ImportClient
from asyncimport.emulator import Emulator
from asyncimport.errors import ConfigError, SourceError
from asyncimport.place import Place
from asyncimport.records import Event
from asyncimport.sources import from_arrow
from asyncimport.sources.arrow_rows import PIECE_ROWS

VALUES = {"thirdId": [7, 8], "real_name": ["张三", None]}
ROWS = [{"thirdId": "7", "realName": "张三"}, {"thirdId": "8"}]


MAKERS: dict[str, Callable[[], Any]] = {
    "pyarrow": lambda: pa.table(VALUES),
    "pandas": lambda: pd.DataFrame(VALUES),
    "polars": lambda: pl.DataFrame(VALUES),
    "duckdb": lambda: duckdb.connect().from_arrow(pa.table(VALUES)),
}


@pytest.mark.parametrize("maker", MAKERS)
async def test_a_frame_is_read_as_often_as_one_likes_and_given_as_it_is(maker: str) -> None:
    frame = MAKERS[maker]()
    source = from_arrow(frame)
    assert list(map(present, source)) == list(map(present, source)) == ROWS
    async with Emulator(token=canary.TOKEN) as platform:
        ended = await imported(platform, frame, resource=USERS)
    assert list(ended.ledger.records()) == ROWS


def test_missing_values_of_pandas_are_absent_and_an_index_without_a_name_is_no_column() -> None:
    at = pd.to_datetime(["2026-01-01", None], utc=True)
    frame = pd.DataFrame({"eventKey": ["a", "b", "c"], "time": [*at, at[0]], "eventargs.n": [1.5, float("nan"), 2]})
    found = list(map(present, from_arrow(frame[frame.eventKey != "c"].iloc[::-1], Event)))
    assert found == [{"eventKey": "b"}, {"eventKey": "a", "time": 1_767_225_600_000, "eventargs": {"n": 1.5}}]
    named = frame.set_index("eventKey")
    assert next(iter(from_arrow(named, Event)))["eventKey"] == "a"


def test_a_row_is_told_by_its_number_through_all_batches() -> None:
    table = pa.concat_tables([people(3), people(PIECE_ROWS + 1, first=3)])
    iterator = iter(from_arrow(table))
    assert iterator.where() == Place()
    assert [iterator.where().row for _ in iterator] == list(range(PIECE_ROWS + 4))
    assert not hasattr(iterator, "place")


def test_a_reader_comes_once() -> None:
    source = from_arrow(people(5).to_reader(max_chunksize=2))
    assert sum(1 for _ in source) == 5
    with canary.raises(ConfigError, match="was read already and comes only once: make it a table"):
        iter(source)


def test_an_object_that_hands_over_another_table_is_told() -> None:
    class Changing:
        def __init__(self) -> None:
            self.columns = "thirdId"

        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return pa.table({self.columns: ["1"]}).__arrow_c_stream__(requested_schema)

    table = Changing()
    source = from_arrow(table)
    assert len(list(source)) == 1
    table.columns = "phone"
    with canary.raises(ConfigError, match="has another schema than when it was first read: call from_arrow again"):
        iter(source)
    assert repr(source) == "<ArrowStream of Changing>"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"phone": "1"}], "from_arrow takes an object with __arrow_c_stream__, such as a frame or a table, got list"),
        (pa.chunked_array([[1]]), "the ChunkedArray cannot be handed over as a table: Cannot import schema"),
        (pa.table({"x": [1]}), "column 'x' is no field of UserProfile"),
        (pd.DataFrame([[1, 2]], columns=["phone", "phone"]), "as a table: Duplicate column names found"),
        (pd.DataFrame({"phone": pd.arrays.SparseArray([1])}), "as a table: TypeError"),
    ],
)
def test_what_is_no_table_of_records_is_told_at_once(given: Any, message: str) -> None:
    with canary.raises(ConfigError, match=message):
        from_arrow(given)


def test_a_column_of_mixed_types_is_named_without_what_is_in_it() -> None:
    with canary.raises(
        ConfigError, match="Conversion failed for column phone with type object: give it values"
    ) as raised:
        from_arrow(pd.DataFrame({"phone": [1, canary.PERSON]}))
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)


def test_categories_of_polars_are_read_as_what_they_hold() -> None:
    sex = pl.Series(["男", None, "女"], dtype=pl.Categorical)
    level = pl.Series(["a", "b", "a"], dtype=pl.Enum(["a", "b"]))
    found = list(map(present, from_arrow(pl.DataFrame({"sex": sex, "remark": level}))))
    assert found == [{"sex": "男", "remark": "a"}, {"remark": "b"}, {"sex": "女", "remark": "a"}]


async def test_a_reader_that_raises_ends_the_import_after_what_it_gave() -> None:
    def batches() -> Iterator[Any]:
        yield from people(30).to_batches(10)
        raise KeyError("boom")

    reader = pa.RecordBatchReader.from_batches(people(1).schema, batches())
    async with Emulator(token=canary.TOKEN) as platform:
        ended = await imported(platform, reader, resource=USERS)
    assert isinstance(ended.failure, SourceError)
    assert "the source raised ArrowInvalid after 30 records were read" in str(ended.failure)
    assert (ended.report.read, ended.report.accepted) == (30, 30)


async def test_a_frame_with_a_wrong_column_is_a_config_error_before_anything_is_sent() -> None:
    async with Emulator(token=canary.TOKEN) as platform, ImportClient(platform.url, token=canary.TOKEN) as client:
        with canary.raises(ConfigError, match=r"column 'fone' is no field of UserProfile: did you mean phone\?"):
            await client.import_users(pd.DataFrame({"fone": [1]}), CONFIGS["users"])
        report = await client.check(USERS, pd.DataFrame({"phone": [1], "sex": ["x"]}), CONFIGS["users"])
    assert platform.ledger.of("users").total == 0
    assert "row 0, column 'sex'" in str(report)


async def test_a_frame_with_a_journal_is_read_again_and_compared(tmp_path: Path) -> None:
    journal, first, second = tmp_path / "a.journal", ScriptedTransport(delay_s=0), ScriptedTransport(delay_s=0)
    await journals.stopped(people(500), journal, first, after=10)
    report = await journals.imported(people(500), journal, second)
    assert (report.read, report.accepted) == (500, 500)
    assert len(second.posts) < 50
    await journals.stopped(people(500), tmp_path / "b.journal", ScriptedTransport(delay_s=0), after=10)
    await journals.refused(people(500, first=1), tmp_path / "b.journal", ScriptedTransport(), "differ")
