"""Words from outside, made fit for a log: no control characters, no echo of what was sent, at most 200 characters."""

from __future__ import annotations

from typing import Final

from asyncimport.secret import Secret

MAX_SHOWN: Final = 200
MASK: Final = "***"
#: Shorter matches are chance: common syllables and words, not somebody's data.
_MIN_ASCII: Final = 4
_MIN_OTHER: Final = 2
#: Each character costs a search through the request, 0.2 ms in a megabyte: of an answer to a large one less is shown.
LARGE_REQUEST_BYTES: Final = 300_000
MAX_SHOWN_OF_LARGE: Final = 60


def shown(text: str, sent: bytes = b"", secret: Secret | None = None) -> str:
    """Escape and cut a text; mask every stretch of it that stands in the request it answers, the token included.

    A platform may quote the record, or the token, that it complains about (FAULTS.md C15, C16).
    """
    cut = text[: MAX_SHOWN_OF_LARGE if len(sent) > LARGE_REQUEST_BYTES else MAX_SHOWN]
    if secret is not None:
        cut = _without_secret(cut, secret)
    if sent:
        cut = _masked(cut, sent.decode(errors="replace"))
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in cut)[:MAX_SHOWN]


def _without_secret(text: str, secret: Secret) -> str:
    """Mask the secret, and what a cut left of it at the end."""
    masked = text.replace(secret.reveal(), MASK)
    for length in range(min(len(secret.reveal()), len(masked)), _MIN_ASCII - 1, -1):
        if masked.endswith(secret.reveal()[:length]):
            return masked[:-length] + MASK
    return masked


def _masked(text: str, sent: str) -> str:
    parts: list[str] = []
    start = 0
    while start < len(text):
        end = _echo_end(text, start, sent)
        parts.append(text[start] if end == start else MASK)
        start = max(end, start + 1)
    return "".join(parts)


def _echo_end(text: str, start: int, sent: str) -> int:
    """Where a stretch that begins at `start` and stands in `sent` ends; `start` when there is none worth masking."""
    end = start + (_MIN_ASCII if text[start].isascii() else _MIN_OTHER)
    if not text[start].isalnum() or end > len(text) or text[start:end] not in sent:
        return start
    while end < len(text) and text[start : end + 1] in sent:
        end += 1
    return end
