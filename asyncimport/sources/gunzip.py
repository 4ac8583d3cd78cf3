"""Unpacking gzip."""

from __future__ import annotations

import zlib
from typing import ClassVar, Final

from asyncimport.sources.unpacked import Member, Unpacked

GZIP_MAGIC: Final = b"\x1f\x8b"
#: zlib's number for gzip with header and checksum.
_GZIP: Final = 31


class Gunzip(Unpacked):
    """What a gzip file holds."""

    KIND: ClassVar[str] = "gzip"
    FAULT: ClassVar[type[Exception]] = zlib.error

    def _begun(self) -> Member:
        return _GzipMember()


class _GzipMember:
    """zlib's object, which leaves it to others to keep what it has not taken."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def needs_input(self) -> bool:
        return not self._member.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._member.decompress(self._member.unconsumed_tail or data, max_length)
