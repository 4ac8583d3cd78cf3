import attrs
import canary

from asyncimport.sources import Inline, inline


def test_inline_marks_an_iterable_and_leaves_it_alone() -> None:
    records = iter([{"phone": "1"}])
    marked = inline(records)
    assert isinstance(marked, Inline)
    assert marked.records is records
    assert next(records) == {"phone": "1"}


def test_the_mark_is_frozen() -> None:
    marked = inline([])
    with canary.raises(attrs.exceptions.FrozenInstanceError):
        setattr(marked, "records", [])  # noqa: B010 -- a plain assignment is refused by mypy already
