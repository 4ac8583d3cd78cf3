"""One row of bytes for equal values, whatever wrote them: what keys are compared by and uuids are derived from.

It is bencode, which any language writes in a few lines, with three additions: numbers with a fraction, truth values, nothing.
`docs/order-and-duplicates.md` has it byte by byte; what was derived yesterday must come out the same for ever.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Final

#: Up to here every whole number has a float of its own, so that 1 and 1.0 are one number.
_EXACT: Final = 2**53


def canonical(value: Any) -> bytes:
    """A JSON value as bytes: text, numbers, truth values, None, lists and mappings of them.

    Raises:
        TypeError: it is none, which admission lets through nowhere.
    """
    match value:
        case None:
            return b"n"
        case bool():
            return b"t" if value else b"f"
        case str():
            text = str.__str__(value).encode("utf-8", "surrogatepass")  # what has no UTF-8 is rejected by the encoder
            return b"%d:%b" % (len(text), text)
        case int():
            return b"i%de" % value
        case float() if value.is_integer() and abs(value) <= _EXACT:
            return b"i%de" % int(value)
        case float():
            return b"x%b" % struct.pack(">d", value).hex().encode()
        case list() | tuple():
            return b"l%be" % b"".join(map(canonical, value))
        case Mapping():
            return b"d%be" % b"".join(_items(value))
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _items(value: Mapping[Any, Any]) -> list[bytes]:
    """Key and value of each that holds something, in the order of the keys' code points, which is that of their bytes."""
    held = sorted(((str.__str__(key), item) for key, item in value.items() if item is not None), key=itemgetter(0))
    return [canonical(key) + canonical(item) for key, item in held]
