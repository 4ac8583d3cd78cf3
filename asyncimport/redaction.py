"""Words from outside, made fit for a log: no control characters, no echo of what was sent, at most 200 characters."""

from __future__ import annotations

from typing import Final

MAX_SHOWN: Final = 200
MASK: Final = "***"
#: Shorter matches are chance: common syllables and words, not somebody's data.
_MIN_ASCII: Final = 4
_MIN_OTHER: Final = 2


def shown(text: str, sent: bytes = b"") -> str:
    """Escape and cut a text; mask every stretch of it that stands in the request it answers.

    A platform may quote the record, or the token, that it complains about (FAULTS.md C15, C16).
    """
    cut = text[:MAX_SHOWN]
    if sent:
        cut = _masked(cut, sent.decode(errors="replace"))
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in cut)


def _masked(text: str, sent: str) -> str:
    parts: list[str] = []
    start = 0
    while start < len(text):
        end = _echo_end(text, start, sent)
        if end > start:
            parts.append(MASK)
            start = end
        else:
            parts.append(text[start])
            start += 1
    return "".join(parts)


def _echo_end(text: str, start: int, sent: str) -> int:
    """Where a stretch that begins at `start` and stands in `sent` ends; `start` when there is none worth masking."""
    least = _MIN_ASCII if text[start].isascii() else _MIN_OTHER
    end = start + least
    if not text[start].isalnum() or end > len(text) or text[start:end] not in sent:
        return start
    while end < len(text) and text[start : end + 1] in sent:
        end += 1
    return end
