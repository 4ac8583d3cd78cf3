"""The encoding of a file: what can be read line by line, and the look that tells a wrong one before all rows fail."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from typing import Final

from asyncimport.errors import ConfigError
from asyncimport.sources.raw import Damaged

#: How much of a file is looked at.
LOOK_BYTES: Final = 2**16
#: One or two lines may be damaged; when no line of at least this many decodes, the encoding is wrong.
_ENOUGH_LINES: Final = 3
_CANDIDATES: Final = ("utf-8", "gb18030")


def codec_of(encoding: str) -> str:
    """The codec for single lines: of UTF-8 the plain one, since a BOM stands at the start of a file only.

    Raises:
        ConfigError: no text encoding, or one whose line feed is more than one byte.
    """
    try:
        name = codecs.lookup(encoding).name
        per_line = "a\n".encode(name).endswith(b"a\n") and b"a\n".decode(name, "replace").endswith("a\n")
    except (LookupError, ValueError):
        name, per_line = "", False
    if not name:
        raise ConfigError("encoding is no text encoding that Python knows: utf-8 and gb18030 are")
    if not per_line:
        raise ConfigError(f"encoding {name} cannot be read line by line: save the file as UTF-8")
    return "utf-8" if name == "utf-8-sig" else name


def fault_of(lines: Iterable[bytes], codec: str, remedy: str) -> str | None:
    """What is wrong with the encoding when none of the lines beyond ASCII decodes, and at least three are there."""
    beyond = [(number, line) for number, line in enumerate(lines, 1) if not line.isascii()]
    if len(beyond) < _ENOUGH_LINES or any(decodes(line, codec) for _, line in beyond):
        return None
    todo = suggested(remedy, [line for _, line in beyond], codec)
    return f"line {beyond[0][0]} is no {codec} text, nor is any of the next ones beyond ASCII: {todo}"


def suggested(remedy: str, lines: Sequence[bytes], codec: str) -> str:
    """A remedy with the encoding that such lines may have."""
    better = next(
        (other for other in _CANDIDATES if other != codec and all(decodes(line, other) for line in lines)), ""
    )
    return f"{remedy} ({better}?)" if better else remedy


def decodes(line: bytes, codec: str) -> bool:
    """Whether a line is text of a codec."""
    try:
        line.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def look(lines: Iterable[bytes]) -> list[bytes]:
    """The first whole lines, up to `LOOK_BYTES` of them and at most one line more; fewer where the file breaks off."""
    taken: list[bytes] = []
    left_bytes = LOOK_BYTES
    try:
        for line in lines:
            taken.append(line)
            left_bytes -= len(line)
            if left_bytes <= 0:
                break
    except (Damaged, OSError):
        pass  # the iteration tells, after it has given what is whole
    return taken
