"""What the file sources have in common: where they read, what tells one from another, and where an iteration begins."""

from __future__ import annotations

from typing import ClassVar, Self

from attrs import evolve, field, frozen

from asyncimport.mark import Mark
from asyncimport.sources.origin import Origin


@frozen(kw_only=True)
class FileSource:
    """A file, or a stream that is iterated once, as a source of records."""

    #: What a fingerprint calls it.
    KIND: ClassVar[str]

    #: As it was given, of a URL without what may be a secret; empty of a file object that has no name.
    path: str
    origin: Origin = field(repr=False, eq=False)
    #: A digest of how it is read.
    reading: str = field(repr=False)
    #: Where an iteration begins; None is the first record.
    start: Mark | None = field(default=None, repr=False)

    @property
    def size_bytes(self) -> int | None:
        """The size of the file on the disk, packed or not, when it was named; None of a pipe."""
        return self.origin.size_bytes

    @property
    def is_stream(self) -> bool:
        """Whether it can be iterated once only."""
        return self.origin.is_stream

    def identity(self) -> dict[str, str | int]:
        """What tells it from other sources: a digest of how it is read, `size`, and `mtime_ns` or `version` of the file now.

        A file object and a file system that cannot tell when they change have neither: such a source is read again, and
        its records are compared.

        Raises:
            ConfigError: the file is not there any more.
        """
        return {"kind": self.KIND, "reading": self.reading, **self.origin.content()}

    def starting_at(self, mark: Mark) -> Self:
        """The same from a mark on that an earlier iteration of the same file has set."""
        return evolve(self, start=mark)
