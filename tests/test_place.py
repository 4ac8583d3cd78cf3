import pytest

from asyncimport.place import NOWHERE, Place, place_of

SPOKEN = {
    "nothing known": (NOWHERE, ""),
    "line": (Place(line=14, offset=980), "line 14"),
    "row of a row group": (Place(row_group=3, row=17), "row group 3, row 17"),
    "row of a table": (Place(row=17), "row 17"),
}


@pytest.mark.parametrize(("place", "words"), SPOKEN.values(), ids=SPOKEN)
def test_a_place_is_named_by_what_its_source_has(place: Place, words: str) -> None:
    assert place.words == words


@pytest.mark.parametrize("place", [place for place, _ in SPOKEN.values()], ids=SPOKEN)
def test_a_place_comes_back_from_among_other_plain_values(place: Place) -> None:
    assert place_of({"position": 12, **place.to_dict()}) == place


def test_a_line_of_an_older_journal_has_its_line_alone() -> None:
    assert place_of({"position": 12, "line": 14}) == Place(line=14)
