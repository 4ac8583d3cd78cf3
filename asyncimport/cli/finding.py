"""What a step of the doctor found, as a value and as its line, and the exit code of them all."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from enum import Enum
from typing import Final

from attrs import frozen

COLUMNS: Final = 80


class State(Enum):
    """How a step went; the value is the mark before its line."""

    GOOD = "ok"
    #: It cannot be said now.
    UNKNOWN = "?"
    #: Bad, and for the user to change.
    BAD = "BAD"
    #: Bad: no answer came, or one that tells of a fault on the other side.
    UNANSWERED = "NO"


_LOOKS: Final = {State.GOOD: (0, 32), State.UNKNOWN: (0, 33), State.BAD: (2, 31), State.UNANSWERED: (3, 31)}


@frozen(kw_only=True)
class Finding:
    """What was looked at, how it went, what was said of it; what to do, always when it is not good. No secret in any."""

    what: str
    state: State
    said: str
    advice: str = ""


def exit_code(findings: Iterable[Finding]) -> int:
    """0 when nothing is bad, 2 when the user must change something, 3 when no answer came; the highest applies."""
    return max((_LOOKS[finding.state][0] for finding in findings), default=0)


def render(finding: Finding, *, color: bool) -> str:
    """Mark, what, said; below it the advice, indented. Folded at 80 columns; ANSI colors only when asked."""
    mark = f"{finding.state.value:>3}"
    indent = " " * len(f"{mark}  {'':<13}")
    lines = _folded(finding.said, f"{mark}  {finding.what:<13}", indent)
    if finding.advice:
        lines += _folded(finding.advice, f"{indent}-> ", f"{indent}   ")
    if color:
        lines[0] = f"\x1b[{_LOOKS[finding.state][1]}m{mark}\x1b[0m" + lines[0][len(mark) :]
    return "\n".join(lines)


def _folded(text: str, first: str, other: str) -> list[str]:
    fold = textwrap.TextWrapper(COLUMNS, first, other, break_long_words=False, break_on_hyphens=False)
    lines = fold.wrap(re.sub(r" (?=\d)", "\xa0", text))  # a number stays with the word before it
    return [line.replace("\xa0", " ") for line in lines]
