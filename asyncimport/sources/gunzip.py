"""Unpacking gzip as it is read: any number of members, in bounded memory, each byte as soon as it can be had."""

from __future__ import annotations

import zlib
from io import BufferedReader
from typing import Final

from asyncimport.sources.raw import Damaged, Raw

GZIP_MAGIC: Final = b"\x1f\x8b"
#: Packed bytes taken at once. A thousand times as much may be in them, so no more is unpacked than the buffer holds.
_PIECE_BYTES: Final = 2**16
#: zlib's number for gzip with header and checksum.
_GZIP: Final = 31


class Gunzip(Raw):
    """What a gzip file holds. A read raises `Damaged` when the bytes are no gzip, or end within a member."""

    def __init__(self, packed: BufferedReader) -> None:
        super().__init__()
        self._packed = packed
        self._member = zlib.decompressobj(_GZIP)
        self._ahead = b""

    def _take(self, view: memoryview) -> int:
        while True:
            if self._member.eof and not self._next_member():
                return 0
            try:
                # First what zlib still holds: its output may have been cut by the length of the buffer before.
                unpacked = self._member.decompress(self._ahead, len(view))
            except zlib.error:
                unpacked = None
            if unpacked is None:
                raise Damaged("its gzip stream is damaged", "copy it or pack it again")
            self._ahead = self._member.unconsumed_tail
            if unpacked:
                view[: len(unpacked)] = unpacked
                return len(unpacked)
            if not self._member.eof and not self._ahead:
                self._ahead = self._packed.read1(_PIECE_BYTES)
                if not self._ahead:
                    raise Damaged("its gzip stream ends too early", "it was cut off, copy it or pack it again")

    def _next_member(self) -> bool:
        """Begin the next member, after zeros that may fill a block of a tape; False at the end."""
        rest = self._member.unused_data.lstrip(b"\0")
        while not rest:
            piece = self._packed.read1(_PIECE_BYTES)
            if not piece:
                return False
            rest = piece.lstrip(b"\0")
        self._member = zlib.decompressobj(_GZIP)
        self._ahead = rest
        return True

    def close(self) -> None:
        self._packed.close()
        super().close()
