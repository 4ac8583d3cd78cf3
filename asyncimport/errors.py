"""Every error of the package, in one tree.

AsyncImportError
├── ConfigError        yours: an address, option, config or source object that cannot work; nothing was sent
├── ValidationError    yours: a record that the platform's contract refuses (only from `record.check`)
├── StateError         yours: a client or stream used before it was opened, after it was closed, or from another loop
├── SourceError        your source raised; what was read before it has been sent; the original is `__cause__`
├── AuthError          the platform refuses the token or the credentials, and renewing does not help
├── PlatformRefused    the platform refuses whatever it is given: the config, the permission or the mapping is wrong
├── TooManyRejected    more records were rejected than `max_rejected` allows
├── JournalError       what a run keeps on disk cannot be used or written, or belongs to another import or source
├── UploadStalled      the platform asked for, or forced, a longer wait than the policy takes; see `resume_at`
└── IncompleteImport   `report.raise_if_incomplete()`: not every record was accepted

An error that ends a run carries its `report`. No message, argument or attribute holds a token or a person's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncimport.fields import Problem
    from asyncimport.outcome import ImportReport


class AsyncImportError(Exception):
    """Root of the tree; `report` is set on every error that ended a run and None on the others."""

    report: ImportReport | None = None


class ConfigError(AsyncImportError):
    """An address, option, config or source object that cannot work. Raised before anything is sent, or at first contact.

    Of a mapping `faults` has everything that is wrong, a sentence each; it is empty elsewhere.
    """

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


class ValidationError(AsyncImportError):
    """A record breaks the platform's contract; `problems` lists every breach with its place."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class StateError(AsyncImportError):
    """A client or stream was used before it was opened, after it was closed, or from another event loop."""


class SourceError(AsyncImportError):
    """The source raised; `position` is how many records had been read, all of them sent; `__cause__` is the original."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class AuthError(AsyncImportError):
    """The platform refuses the token or the credentials, and renewing does not help. What is undecided is unsent."""


class PlatformRefused(AsyncImportError):
    """The platform refuses whatever it is given; `code` and `platform_message` are its last answer. What is undecided is unsent.

    `platform_message` is escaped, cut to 200 characters, and without what it echoes of the request.
    """

    def __init__(self, message: str, code: str | None = None, platform_message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.platform_message = platform_message


class TooManyRejected(AsyncImportError):
    """More records were rejected than `max_rejected` allows. What was not yet sent is unsent."""


class JournalError(AsyncImportError):
    """What a run keeps on disk cannot be used or written, or belongs to another import. What was not yet sent is unsent."""


class UploadStalled(AsyncImportError):
    """Nothing can be delivered for longer than the policy waits; `resume_at` (aware, UTC) is when the platform may take more."""

    def __init__(self, message: str, resume_at: datetime | None = None) -> None:
        super().__init__(message)
        self.resume_at = resume_at


class IncompleteImport(AsyncImportError):
    """Not every record was accepted; raised only by `ImportReport.raise_if_incomplete()`."""
