from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.journal.entry import DIGEST_BYTES, Entry, EntryState, digest_of, packed, unpacked
from asyncimport.mark import Mark

ENTRY = Entry(
    number=7,
    first=3_500,
    end=4_001,
    count=500,
    digest=digest_of(b"body"),
    state=EntryState.ACCEPTED,
    batch_id=15314513451345123,
    attempts=2,
    duplicates=500,
    sent_bytes=400_000,
    elapsed_s=1.5,
    mark=Mark(position=3_500, offset=123_456, line=3_502),
)

positions = st.integers(0, 2**62)
entries = st.builds(
    lambda first, span, count, **more: Entry(number=0, first=first, end=first + span, count=min(span, count), **more),
    first=positions,
    span=st.integers(1, 2**31),
    count=st.integers(1, 500),
    digest=st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES),
    state=st.sampled_from([EntryState.ACCEPTED, EntryState.REJECTED, EntryState.UNCONFIRMED]),
    batch_id=st.none() | st.integers(-(2**63), 2**63 - 1),
    attempts=st.integers(0, 2**31),
)


@given(st.lists(entries, max_size=5), st.integers(0, 2**40))
def test_what_was_packed_comes_out_as_it_was(some: list[Entry], number: int) -> None:
    numbered = [attrs.evolve(entry, number=number + index) for index, entry in enumerate(some)]
    assert list(unpacked(packed(numbered), number)) == numbered


def test_a_settled_batch_takes_few_bytes() -> None:
    assert len(packed([ENTRY])) == 46


@pytest.mark.parametrize(
    "change",
    [
        {"number": 8},
        {"first": 3_501},
        {"end": 4_002},
        {"count": 499},
        {"digest": digest_of(b"another")},
        {"state": EntryState.PENDING},
        {"is_open": True},
        {"batch_id": None},
        {"batch_id": 15314513451345122},
        {"attempts": 3},
        {"duplicates": 0},
        {"sent_bytes": 400_001},
        {"elapsed_s": 1.25},
        {"mark": None},
        {"mark": Mark(position=3_500, offset=123_455, line=3_502)},
    ],
    ids=str,
)
def test_the_checksum_notices_every_change(change: dict[str, Any]) -> None:
    assert attrs.evolve(ENTRY, **change).checksum != ENTRY.checksum
    assert attrs.evolve(ENTRY).checksum == ENTRY.checksum


def test_an_id_of_nought_is_not_no_id() -> None:
    assert attrs.evolve(ENTRY, batch_id=0).checksum != attrs.evolve(ENTRY, batch_id=None).checksum


@pytest.mark.parametrize(("attempts", "retries"), [(0, 0), (1, 0), (3, 2)])
def test_the_first_attempt_is_no_retry(attempts: int, retries: int) -> None:
    assert attrs.evolve(ENTRY, attempts=attempts).retries == retries
