"""Unpacking zstd, by the standard library of Python 3.14 or by what brings the same to older ones."""

from __future__ import annotations

import sys
from typing import ClassVar, Final

from asyncimport.sources.raw import Damaged
from asyncimport.sources.unpacked import Member, Unpacked

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

#: A frame may ask for a window of 2 GiB. This is what the command `zstd` unpacks without being told more: 128 MiB.
WINDOW_LOG: Final = 27


class Unzstd(Unpacked):
    """What a zstd file holds, frame after frame; what is in skippable frames is skipped. Takes as much memory as its window."""

    KIND: ClassVar[str] = "zstd"
    FAULT: ClassVar[type[Exception]] = ZstdError

    def _begun(self) -> Member:
        return ZstdDecompressor(options={DecompressionParameter.window_log_max: WINDOW_LOG})

    def _damage(self, error: Exception) -> Damaged:
        if "too much memory" in str(error):  # libzstd's words; the exception has no code
            return Damaged(
                f"its zstd window is larger than {2**WINDOW_LOG // 2**20} MiB",
                f"pack it with --long={WINDOW_LOG} or less",
            )
        return super()._damage(error)
