"""Lines of a JSON Lines file that somebody else makes records of, as admission does."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asyncimport import USERS, ImportMode, UserImportConfig
from asyncimport.admission import Admission
from asyncimport.outcome import Rejected
from asyncimport.records import UserProfile
from asyncimport.sources import read_jsonl
from asyncimport.sources.line_decoding import LineDecoding
from asyncimport.sources.mapping import ColumnMapping
from asyncimport.structs import RecordStruct, plain
from asyncimport.unreadable import Unreadable

LINES = b'\xef\xbb\xbf{"phone":"0"}\n{"phone":"1"}\n\n{"real_name":"2"}\nno JSON\n{"phone":5}\n{"phone":"6"}'


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.jsonl"
    path.write_bytes(LINES)
    return path


def admission() -> Admission:
    config = UserImportConfig(is_matching=False, import_mode=ImportMode.PARTIAL)
    return Admission(resource=USERS, config=config, run_id="r" * 20, now_ms=lambda: 0)


def test_a_line_that_is_taken_is_yielded_as_it_was_made_and_any_other_as_it_reads(people: Path) -> None:
    lines = iter(read_jsonl(people))
    assert isinstance(lines, LineDecoding)
    lines.decode = admission().of_line
    found = [(lines.line_num, item) for item in lines]
    kinds = [(line, type(item)) for line, item in found]
    assert [kind if not issubclass(kind, RecordStruct) else RecordStruct for _, kind in kinds] == [
        RecordStruct,
        RecordStruct,
        dict,
        Unreadable,
        dict,
        RecordStruct,
    ]
    assert [line for line, _ in kinds] == [1, 2, 4, 5, 6, 7]


def test_what_is_admitted_is_the_same_with_and_without(people: Path) -> None:
    def admitted(lines: Any) -> list[Any]:
        admit = admission()
        if lines_are_taken:
            lines.decode = admit.of_line
        return [plain(admit.admit(item, position, lines)) for position, item in enumerate(lines)]

    lines_are_taken = False
    expected = admitted(iter(read_jsonl(people)))
    lines_are_taken = True
    assert admitted(iter(read_jsonl(people))) == expected
    assert [isinstance(item, Rejected) for item in expected] == [False, False, False, True, True, False]


def test_objects_that_a_mapping_changes_are_no_records_as_they_stand(people: Path) -> None:
    mapped = read_jsonl(people, record=UserProfile, mapping=ColumnMapping(columns={"phone": "phone"}))
    with closing(iter(mapped)) as lines:
        assert not isinstance(lines, LineDecoding)
