"""What the engine tells about its work while it goes on: notices, to logging and to the user's observer.

A notice holds ids, counts, seconds and words without data: never a record, a body, a token or a header.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import attrs
from attrs import frozen

from asyncimport.outcome import ImportReport

logger: Final = logging.getLogger("asyncimport")
logger.addHandler(logging.NullHandler())


@frozen(kw_only=True)
class RunStarted:
    """An import begins."""

    resource: str
    run_id: str


@frozen(kw_only=True)
class AttemptFailed:
    """A request was not accepted. `retry_in_s` is at the earliest, and None when its batch is settled by it."""

    batch: int
    attempt: int
    reason: str
    detail: str
    message: str
    retry_in_s: float | None


@frozen(kw_only=True)
class BatchSplit:
    """A batch, or a piece of one, goes on in two halves: the platform refused it, broke on it, or found it too large."""

    batch: int
    records: int
    reason: str


@frozen(kw_only=True)
class Paused:
    """No worker of the client sends anything for so long, because the platform asked for it; `reason` is how it did."""

    pause_s: float
    reason: str


@frozen(kw_only=True)
class TokenRenewed:
    """A token was fetched; the first is generation 1."""

    generation: int


@frozen(kw_only=True)
class NoBatchId:
    """The platform took a batch without giving the import batch id that this resource has; told once a run."""

    batch: int


@frozen(kw_only=True)
class SourceAbandoned:
    """A pull from the source was still blocked some seconds after the run had stopped; its thread or task was left behind."""

    waited_s: float


@frozen(kw_only=True)
class LoopBlocked:
    """The event loop stood still for at least so long: something in this process blocks it; told once a run."""

    blocked_s: float


@frozen(kw_only=True)
class RunEnded:
    """An import has ended; `failure` names the error that ended it, if one did."""

    report: ImportReport
    failure: str | None


Notice = (
    RunStarted
    | AttemptFailed
    | BatchSplit
    | Paused
    | TokenRenewed
    | NoBatchId
    | SourceAbandoned
    | LoopBlocked
    | RunEnded
)
Observer = Callable[[Notice], None]

_LEVELS: Final = {
    AttemptFailed: logging.WARNING,
    BatchSplit: logging.DEBUG,
    Paused: logging.WARNING,
    NoBatchId: logging.WARNING,
    SourceAbandoned: logging.WARNING,
    LoopBlocked: logging.WARNING,
}
#: Failed attempts logged one by one for each reason, over the life of a client; later ones at DEBUG: an outage is no flood of warnings.
_WARNINGS_PER_REASON: Final = 5


class Notifier:
    """Hands notices to logging and to the user's observer; an exception of his is logged, and the import goes on."""

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer
        self._warned: dict[str, int] = {}

    def __call__(self, notice: Notice) -> None:
        self._log(notice)
        if self._observer is None:
            return
        try:
            self._observer(notice)
        except Exception:
            logger.exception("the observer raised on %s", type(notice).__name__)

    def _log(self, notice: Notice) -> None:
        level = _LEVELS.get(type(notice), logging.INFO)
        if isinstance(notice, AttemptFailed):
            seen = self._warned[notice.reason] = self._warned.get(notice.reason, 0) + 1
            level = level if seen <= _WARNINGS_PER_REASON else logging.DEBUG
        if logger.isEnabledFor(level):
            logger.log(level, "%s", _sentence(notice))


def _sentence(notice: Notice) -> str:
    if isinstance(notice, RunEnded):
        return f"RunEnded: {str(notice.report).splitlines()[0]}{f'; {notice.failure}' if notice.failure else ''}"
    fields = attrs.asdict(notice, recurse=False)
    return f"{type(notice).__name__}: " + ", ".join(f"{name}={value!r}" for name, value in fields.items())
