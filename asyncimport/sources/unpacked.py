"""Unpacking as it is read: any number of packed streams in a row, in bounded memory, each byte as soon as it can be had."""

from __future__ import annotations

from abc import abstractmethod
from io import BufferedReader
from typing import ClassVar, Final, Protocol

from asyncimport.sources.raw import Damaged, Raw

#: Packed bytes taken at once. A thousand times as much may be in them, so no more is unpacked than the buffer holds.
_PIECE_BYTES: Final = 2**16


class Member(Protocol):
    """One packed stream of a file, unpacked piece by piece, as the standard library's decompressors do it."""

    @property
    def eof(self) -> bool:
        """Whether it has come to its end."""

    @property
    def needs_input(self) -> bool:
        """Whether all that was given is unpacked, and returned."""

    @property
    def unused_data(self) -> bytes:
        """What was given beyond its end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Unpack what was given and not unpacked yet, then `data`: at most so many bytes come back."""


class Unpacked(Raw):
    """What a packed file holds. A read raises `Damaged` when the bytes are none of its kind, or end too early."""

    #: As a message names the packing, and what its members raise.
    KIND: ClassVar[str]
    FAULT: ClassVar[type[Exception]]

    def __init__(self, packed: BufferedReader) -> None:
        super().__init__()
        self._packed = packed
        self._member = self._begun()
        self._ahead = b""

    @abstractmethod
    def _begun(self) -> Member:
        """Another member, nothing of it unpacked yet."""

    def _take(self, view: memoryview) -> int:
        while True:
            if self._member.eof and not self._next_member():
                return 0
            damage: Damaged | None = None
            try:
                # First what the member still holds: its output may have been cut by the length of the buffer before.
                unpacked = self._member.decompress(self._ahead, len(view))
            except self.FAULT as error:
                unpacked, damage = b"", self._damage(error)
            if damage is not None:
                raise damage
            self._ahead = b""
            if unpacked:
                view[: len(unpacked)] = unpacked
                return len(unpacked)
            if self._member.needs_input and not self._member.eof:
                self._ahead = self._packed.read1(_PIECE_BYTES)
                if not self._ahead:
                    raise Damaged(f"its {self.KIND} stream ends too early", "it was cut off, copy it or pack it again")

    def _damage(self, _error: Exception) -> Damaged:
        """What is wrong when a member cannot go on."""
        return Damaged(f"its {self.KIND} stream is damaged", "copy it or pack it again")

    def _next_member(self) -> bool:
        """Begin the next member, after zeros that may fill a block of a tape; False at the end."""
        rest = self._member.unused_data.lstrip(b"\0")
        while not rest:
            piece = self._packed.read1(_PIECE_BYTES)
            if not piece:
                return False
            rest = piece.lstrip(b"\0")
        self._member = self._begun()
        self._ahead = rest
        return True

    def close(self) -> None:
        self._packed.close()
        super().close()
