"""Words from outside, made fit to be shown: no control characters, no echo of what was sent, no value but its pattern."""

from __future__ import annotations

import re
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
MAX_PATTERN: Final = 24
#: A platform that quotes a request as it was encoded writes characters so.
_ESCAPED: Final = re.compile(r"\\u([0-9A-Fa-f]{4})")
_ESCAPED_LENGTH: Final = 6


def pattern_of(value: object) -> str:
    """The form of a text or number without its content: `138-0000` is `999-9999`, `Zhang 3` is `Xxxxx 9`; else empty.

    Digits are 9, letters x, X or 文, blanks and punctuation are themselves; cut at 24 characters.
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    text = value if isinstance(value, str) else repr(value) if isinstance(value, float) else _digits(value)
    return "".join(map(_kind_of_char, text[:MAX_PATTERN])) + ("…" if len(text) > MAX_PATTERN else "")


def _digits(number: int) -> str:
    """The first digits of a whole number; Python itself refuses to write out thousands of them."""
    return str(int(number)) if number.bit_length() < 10 * MAX_PATTERN else "9" * (MAX_PATTERN + 1)


def _kind_of_char(char: str) -> str:
    if char.isdigit():
        return "9"
    if char.isalpha():
        return "文" if not char.isascii() else "X" if char.isupper() else "x"
    return char if char.isascii() and char.isprintable() else "·"


def shown(text: str, sent: bytes = b"", secret: Secret | None = None) -> str:
    """Escape and cut a text; mask every stretch of it that stands in the request it answers, the token included.

    A platform may quote the record, or the token, that it complains about (FAULTS.md C15, C16), also in another case or
    with its characters escaped.
    """
    limit = MAX_SHOWN_OF_LARGE if len(sent) > LARGE_REQUEST_BYTES else MAX_SHOWN
    cut = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text[: limit * _ESCAPED_LENGTH])[:limit]
    if secret is not None:
        cut = _without_secret(cut, secret)
    if cut and sent:
        cut = _masked(cut, sent.lower().decode(errors="replace"))
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in cut)[:MAX_SHOWN]


def _folded(text: str) -> str:
    """The text with its ASCII letters in lower case, as `bytes.lower` has them, which is fast."""
    return "".join(char.lower() if char.isascii() else char for char in text)


def _without_secret(text: str, secret: Secret) -> str:
    """Mask the secret, and what a cut left of it at the end."""
    start = _folded(text).find(secret.reveal().lower())
    while start >= 0:
        text = text[:start] + MASK + text[start + len(secret.reveal()) :]
        start = _folded(text).find(secret.reveal().lower(), start + len(MASK))
    for length in range(min(len(secret.reveal()), len(text)), _MIN_ASCII - 1, -1):
        if _folded(text).endswith(secret.reveal()[:length].lower()):
            return text[:-length] + MASK
    return text


def _masked(text: str, sent: str) -> str:
    """Mask what stands in `sent`, which is folded."""
    folded = _folded(text)
    parts: list[str] = []
    start = 0
    while start < len(text):
        end = _echo_end(folded, start, sent)
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
