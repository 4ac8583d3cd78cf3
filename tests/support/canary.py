"""What must never show: a token and a person's data that every test uses, and the search for them (FAULTS.md I7)."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pytest

#: No hexadecimal number, since run ids are some by chance.
TOKEN = "canary-token-7f3qzk"
PERSON = "canary-person-张三丰"
#: Whole, escaped as JSON and repr do, and the parts that a careless cut would leave.
FORBIDDEN = (TOKEN, "7f3qzk", PERSON, "canary-person", "张三丰", r"\u5f20\u4e09\u4e30")


#: Locals that error trackers mask by their names: what the user handed us as a token or secret has no other name.
SCRUBBED = {"token", "secret", "app_secret"}


def leaks(text: str) -> list[str]:
    """The forbidden strings that a text holds."""
    return [secret for secret in FORBIDDEN if secret in text]


def scan(error: BaseException) -> list[str]:
    """What an exception would show: its text, arguments, attributes, notes, causes, pickle and our frames' locals."""
    found: list[str] = []
    for link in _graph(error):
        words = [str(link), repr(link), repr(link.args), repr(vars(link)), repr(getattr(link, "__notes__", ()))]
        if type(link).__module__.startswith("asyncimport"):
            words.append(pickle.dumps(link).decode("utf-8", "replace"))
            words += [str(value) for value in vars(link).values()]
        found += [leak for text in words for leak in leaks(text)]
        found += [TOKEN for text in _locals(link) if TOKEN in text]
    return found


def _graph(error: BaseException | None) -> Iterator[BaseException]:
    if error is None:
        return
    yield error
    yield from _graph(error.__cause__)
    if error.__context__ is not error.__cause__:
        yield from _graph(error.__context__)


def _locals(error: BaseException) -> Iterator[str]:
    """Locals of the package's frames, which error trackers show: no token may stand in one (FAULTS.md S13)."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").startswith("asyncimport"):
            named = trace.tb_frame.f_locals.items()
            yield from (_shown(value) for name, value in named if name not in SCRUBBED)
        trace = trace.tb_next


def _shown(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:  # an object whose __init__ did not come to its end
        return ""


class raises:  # noqa: N801 -- stands for pytest.raises
    """`pytest.raises`, and the exception shows no secret."""

    def __init__(self, kind: type[BaseException] | tuple[type[BaseException], ...], match: str | None = None) -> None:
        self._expected = pytest.raises(kind, match=match)

    def __enter__(self) -> pytest.ExceptionInfo[Any]:
        self._caught = self._expected.__enter__()
        return self._caught

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        is_expected = bool(self._expected.__exit__(kind, error, trace))
        if is_expected and error is not None:
            assert scan(error) == []
        return is_expected
