"""Files of tables, Parquet and Arrow alike: where their rows stand, what going on in the middle reads, and what is wrong with them."""

import io
import os
import shutil
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import canary
import journals
import pyarrow as pa
import pytest
from scripted import ScriptedTransport
from sourced import imported
from tables import FORMATS, people, present, written

from asyncimport import USERS
from asyncimport.emulator import Emulator
from asyncimport.errors import ConfigError, SourceError
from asyncimport.mark import Mark
from asyncimport.place import Place
from asyncimport.records import UserProfile
from asyncimport.sources import ColumnMapping, open_source

COUNT = 4_500
#: Columns that no field takes, which make the file larger and are not read.
BALLAST = {"ballast": [os.urandom(40) for _ in range(COUNT)]}


def opened(path: Any, **how: Any) -> Any:
    return open_source(path, UserProfile, **how)


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"people.{request.param}"


def test_every_row_is_read_in_order_from_any_row_on(path: Path) -> None:
    source = opened(written(people(50), path, group=20))
    whole = list(map(present, source))
    assert whole == [{"thirdId": str(n), "phone": str(13_800_000_000 + n)} for n in range(50)]
    assert list(map(present, source)) == whole
    through = iter(source)
    passed = [through.bytes_passed for _ in through]
    assert passed == sorted(passed)
    assert through.bytes_passed == source.size_bytes
    iterator, marks = iter(source), []
    for n, _ in enumerate(iterator):
        group, row = divmod(n, 20)
        assert iterator.where() == Place(row_group=group, row=row)
        marks.append(iterator.place())
    assert marks[18:21] == [(0, 19), (1, 0), (1, 1)]
    for n, (group, row) in enumerate(marks, 1):
        rest = source.starting_at(Mark(position=n, offset=group, line=row))
        with closing(iter(rest)) as begun:
            assert begun.place() == (group, row)
        assert list(map(present, rest)) == whole[n:]


def test_larger_groups_are_taken_in_pieces(path: Path, tmp_path: Path) -> None:
    source = opened(written(people(COUNT), path, group=COUNT))
    with closing(iter(source)) as iterator:
        for _ in islice(iterator, 3_000):
            pass
        assert iterator.bytes_passed <= source.size_bytes
        assert (iterator.where(), iterator.place()) == (Place(row_group=0, row=2_999), (0, 3_000))
    rest = list(source.starting_at(Mark(position=3_000, offset=0, line=3_000)))
    assert (rest[0]["thirdId"], len(rest)) == ("3000", 1_500)


def test_closing_ends_it_and_may_be_repeated(path: Path) -> None:
    iterator = iter(opened(written(people(50), path, group=20)))
    next(iterator)
    iterator.close()
    iterator.close()
    assert list(iterator) == []
    assert iterator.column_of("phone") is None
    assert iterator.unseen == ()


def test_a_table_without_rows_has_none(path: Path) -> None:
    assert list(opened(written(people(0), path))) == []


def test_what_is_read_is_counted_and_columns_that_are_not_needed_are_not_read(path: Path) -> None:
    table = people(COUNT).append_column("ballast", pa.array(BALLAST["ballast"]))
    source = opened(written(table, path), mapping=ColumnMapping(rest="ignore"))
    assert source.size_bytes == path.stat().st_size
    iterator = iter(source)
    assert sum(1 for _ in iterator) == COUNT
    is_read_past = path.suffix == ".arrows"
    assert (iterator.bytes_read < 0.6 * source.size_bytes) != is_read_past


class Witness(io.FileIO):
    """Counts what anybody reads of a file."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size) or b""
        self.taken += len(data)
        return data


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
async def test_a_resumed_import_does_not_read_the_front_again(tmp_path: Path, kind: str) -> None:
    table = people(COUNT).append_column("remark", pa.array([os.urandom(200).hex() for _ in range(COUNT)]))
    path, journal = written(table, tmp_path / f"people.{kind}", group=500), tmp_path / "people.journal"
    first, second = ScriptedTransport(delay_s=0), ScriptedTransport(delay_s=0)
    stopped = await journals.stopped(opened(path), journal, first, after=300)
    assert stopped.accepted > 2_500
    with Witness(path) as witness:
        report = await journals.imported(opened(witness), journal, second)
    assert (report.read, report.accepted, report.source_ended) == (COUNT, COUNT, True)
    assert 0 < witness.taken < 0.6 * path.stat().st_size
    assert set(journals.third_ids(first) + journals.third_ids(second)) == set(map(str, range(COUNT)))


def test_an_unchanged_file_is_the_same_and_one_read_otherwise_is_another(path: Path) -> None:
    written(people(5), path)
    plain, again = opened(path).identity(), opened(path).identity()
    mapped = opened(path, mapping=ColumnMapping(constants={"sex": "女"})).identity()
    assert plain == again
    assert plain["size"] == path.stat().st_size
    assert mapped["reading"] != plain["reading"]
    assert plain["kind"] == ("parquet" if path.suffix == ".parquet" else "arrow")


async def test_a_bad_value_costs_its_own_row_and_is_told_with_its_place(path: Path) -> None:
    written(pa.table({"thirdId": range(50), "sex": ["男"] * 23 + ["x"] + ["女"] * 26}), path, group=20)
    async with Emulator(token=canary.TOKEN) as platform:
        ended = await imported(platform, opened(path), resource=USERS)
    assert (ended.report.accepted, ended.report.rejected) == (49, 1)
    (rejected,) = ended.rejections.values()
    assert rejected.place == Place(row_group=1, row=3)
    assert rejected.problems[0].column == "sex"


def test_a_file_with_another_schema_is_told_when_it_is_read_again(path: Path) -> None:
    source = opened(written(people(5), path))
    written(people(5).rename_columns(["thirdId", "openid"]), path)
    with canary.raises(ConfigError, match="has another schema than when it was first read: read it again"):
        iter(source)
    path.unlink()
    with canary.raises(ConfigError, match="does not exist"):
        iter(source)


def test_a_fault_of_the_columns_names_the_file(path: Path) -> None:
    written(people(5).rename_columns(["thirdId", "fone"]), path)
    with canary.raises(ConfigError, match=f"people{path.suffix}: column 'fone' is no field of UserProfile"):
        opened(path)


@pytest.mark.parametrize(
    ("content", "format_", "message"),
    [
        (b"", "parquet", "is empty: a Parquet file has a footer even without rows"),
        (b"", "arrow", "is empty: an Arrow file has a schema even without rows"),
        (b"phone\n1\n", "parquet", "is no Parquet file: give the format that it has"),
        (b"phone\n1\n", "arrow", "is no Arrow file: give the format that it has"),
        (b"PAR1", "parquet", "has a footer that cannot be read: make it anew, or copy it again"),
        (b"PAR1" + bytes(100) + b"PAR1", "parquet", "has a footer that cannot be read: make it anew, or copy it again"),
        (b"PARE" + bytes(100) + b"PARE", "parquet", "is encrypted: write it without encryption, no key can be given"),
        (b"ARROW1\0\0" + bytes(100) + b"ARROW1", "arrow", "has a schema that cannot be read: make it anew, or copy it again"),
        (b"FEA1" + bytes(100) + b"FEA1", "arrow", "is a Feather file of version 1: write it in version 2, which is Arrow"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_told_at_once(tmp_path: Path, content: bytes, format_: str, message: str) -> None:
    path = tmp_path / "people"
    path.write_bytes(content)
    with canary.raises(ConfigError) as caught:
        opened(path, format=format_)
    assert str(caught.value) == f"{path} {message}"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.999])
def test_a_file_that_is_cut_off_is_told_at_once(path: Path, share: float) -> None:
    written(people(500), path, group=100)
    os.truncate(path, int(path.stat().st_size * share))
    with canary.raises(ConfigError, match="is cut off"):
        opened(path)


def damaged(path: Path) -> None:
    """Overwrite a part in the middle of a file."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2_000] = b"\xff" * 2_000
    path.write_bytes(content)


async def test_damage_in_the_middle_ends_the_import_after_what_stands_before_it(path: Path) -> None:
    table = people(1_000).append_column("realName", pa.array([os.urandom(40).hex() for _ in range(1_000)]))
    damaged(written(table, path, group=100))
    async with Emulator(token=canary.TOKEN) as platform:
        ended = await imported(platform, opened(path), resource=USERS)
    read = ended.report.read
    if isinstance(ended.failure, SourceError):
        assert f"cannot be read on from row 0 of {'row group' if path.suffix == '.parquet' else 'record batch'}" in str(
            ended.failure
        )
        assert "make it anew, or copy it again" in str(ended.failure)
        assert (read > 0, read % 100) == (True, 0)
    else:  # no structure was hit, and no checksum is there: bytes that are no text, or other digits
        assert (ended.failure, read) == (None, 1_000)
    assert ended.report.accepted + ended.report.rejected == read


def test_flipped_bytes_never_end_the_process(path: Path, tmp_path: Path) -> None:
    content = written(people(300).append_column("realName", pa.array(["a"] * 300)), path, group=100).read_bytes()
    flipped = tmp_path / f"flipped{path.suffix}"
    for at in range(0, len(content), max(1, len(content) // 60)):
        flipped.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        try:
            assert sum(1 for _ in opened(flipped)) <= 300
        except (ConfigError, SourceError):
            continue


@pytest.mark.parametrize("format_", ["parquet", "arrow"])
def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path, format_: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "-"):
        with canary.raises(ConfigError, match="read from both ends, so they need a file in which one can seek"):
            open_source(path, UserProfile, format=format_)


def test_a_damaged_name_of_a_column_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    with pa.ipc.new_file(path, (table := pa.table({"nickname": ["a"], "phone": ["1"]})).schema) as writer:
        writer.write_table(table)
    path.write_bytes(path.read_bytes().replace(b"nickname", b"\xffickname"))
    with canary.raises(ConfigError, match=r"a\.arrow: it has a column whose name is no UTF-8"):
        open_source(path, UserProfile)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "people.parquet").mkdir()
    with canary.raises(ConfigError, match="is a directory"):
        opened(tmp_path / "people.parquet")


@pytest.mark.parametrize("how", [{"encoding": "gbk"}, {"delimiter": ";"}])
def test_neither_encoding_nor_delimiter_goes_with_a_table(path: Path, how: dict[str, Any]) -> None:
    with canary.raises(ConfigError, match="a file of the format .* has no (encoding|delimiter): leave it out"):
        opened(path, **how)


def test_the_format_is_told_by_the_ending(tmp_path: Path) -> None:
    for ending, of in {"pq": "parquet", "feather": "arrow", "ipc": "arrow", "PARQUET": "parquet"}.items():
        written(people(3), tmp_path / f"people.{of}")
        shutil.move(tmp_path / f"people.{of}", tmp_path / f"people.{ending}")
        assert len(list(opened(tmp_path / f"people.{ending}"))) == 3
