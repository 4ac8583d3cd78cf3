"""The options of one run, as its caller names them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, get_args

import orjson
from attrs import evolve, field, frozen

from asyncimport.errors import ConfigError
from asyncimport.fields import is_unicode
from asyncimport.outcome import Rejected
from asyncimport.policy import DispatchPolicy, OnUnknown, Share
from asyncimport.treatment import Treatment, treatment_of


class CheckOptions(TypedDict, total=False):
    """Keyword arguments of `check` too: what is done to records before they are sent. See `docs/order-and-duplicates.md`."""

    #: Names of fields: a record that holds the same there as one of the last 100,000 that differ is skipped.
    deduplicate: Sequence[str]
    #: Names of fields or of `eventargs` keys: with event key and identities they make the uuid of an event that has none.
    uuid_from: Sequence[str]
    #: Called with each record as the source gave it, plain or async: what it returns is imported in its place; None skips it.
    before_send: Callable[[Any], Any]


class RunOptions(CheckOptions, total=False):
    """Keyword arguments of `run`, `stream`, `import_users` and `import_events`."""

    #: Instead of the client's policy, for this run.
    policy: DispatchPolicy
    #: More rejected records than this end the run with `TooManyRejected`: a count, or a share of those read.
    max_rejected: int | Share
    #: Seconds after which the run stops by itself, drains, and returns its report.
    deadline: float
    #: What becomes of a batch that was sent and not answered: "resend" (at least once), or "park" it as unconfirmed.
    on_unknown: OnUnknown
    #: A file that must not exist: each record that is rejected, unconfirmed or unsent becomes a line of it (`rejects.py`).
    #: Mode 0600; not kept when empty. With a journal it is written at the end of the run, and replaced when resumed.
    rejects: str | os.PathLike[str]
    #: A file that keeps what was done: the same call with the same journal goes on where it was acknowledged (`journal/`).
    journal: str | os.PathLike[str]
    #: Whether records are on disk before they count as read: for a source that comes only once, such as a queue. Needs a
    #: journal. Resumed, such a source must go on where it was left: one that begins anew gives its records a second time. A
    #: list, and a file that is as it was, are passed over up to there; of a pipe nothing more is read.
    spool: bool
    #: What tells this source from others of the same journal's kind; a file has its size and time of change for that.
    source_id: str
    #: Called on the event loop with one `Rejected` for each rejected record, which holds it as `record`. Must not block;
    #: what it raises stops the run and comes out as it is.
    on_reject: Callable[[Rejected], None]
    #: Names of fields, such as `["phone"]` or `["identities"]`: two records that hold the same there are never under way together, and
    #: the later one is sent when the earlier one is settled.
    order_by: Sequence[str]
    #: Plain JSON values that are kept with a new journal, for whoever resumes it. No secrets.
    memo: Mapping[str, Any]


def _is_a(*kinds: type[Any]) -> Any:
    def check(_options: object, attribute: Any, value: object) -> None:
        if value is None and attribute.default is None:
            return
        if not isinstance(value, kinds) or isinstance(value, bool):
            takes = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigError(f"{attribute.name} takes {takes}, got {type(value).__name__}")

    return check


@frozen(kw_only=True)
class Options:
    """The same, checked and complete.

    Raises:
        ConfigError: a value of another type or out of range.
    """

    policy: DispatchPolicy = field(validator=_is_a(DispatchPolicy))
    max_rejected: int | Share | None = field(default=None, validator=_is_a(int, Share))
    deadline: float | None = field(default=None, validator=_is_a(int, float))
    on_unknown: OnUnknown = "resend"
    rejects: str | os.PathLike[str] | None = field(default=None, validator=_is_a(str, os.PathLike))
    journal: str | os.PathLike[str] | None = field(default=None, validator=_is_a(str, os.PathLike))
    spool: bool = False
    source_id: str | None = field(default=None, validator=_is_a(str))
    on_reject: Callable[[Rejected], None] | None = None
    memo: Mapping[str, Any] | None = field(default=None, validator=_is_a(Mapping))
    order_by: Sequence[str] | None = None
    deduplicate: Sequence[str] | None = None
    uuid_from: Sequence[str] | None = None
    before_send: Callable[[Any], Any] | None = None

    @property
    def treatment(self) -> Treatment:
        """What the last four ask for."""
        return treatment_of(
            order_by=self.order_by,
            deduplicate=self.deduplicate,
            uuid_from=self.uuid_from,
            before_send=self.before_send,
        )

    def __attrs_post_init__(self) -> None:
        """Hold the ranges."""
        if isinstance(self.max_rejected, int) and self.max_rejected < 0:
            raise ConfigError("max_rejected takes 0 or more")
        if self.deadline is not None and not self.deadline > 0:
            raise ConfigError("deadline takes seconds above 0")
        if self.on_unknown not in get_args(OnUnknown):
            raise ConfigError(f"on_unknown takes one of {', '.join(get_args(OnUnknown))}")
        if type(self.spool) is not bool:
            raise ConfigError("spool takes True or False")
        if self.on_reject is not None and not callable(self.on_reject):
            raise ConfigError("on_reject takes a callable that is given each rejected record")
        if self.memo is not None:
            _check_plain(self.memo)
        if self.journal is not None and not _is_path(os.fspath(self.journal)):
            raise ConfigError("journal takes the path of a file, as text that UTF-8 can carry")
        if self.rejects is not None and not _is_path(os.fspath(self.rejects)):
            raise ConfigError("rejects takes the path of a file, as text that UTF-8 can carry")
        self._check_journal()
        _ = self.treatment  # which checks it

    def _check_journal(self) -> None:
        if self.journal is None:
            needing = [name for name in ("spool", "source_id", "memo") if getattr(self, name)]
            if needing:
                raise ConfigError(f"{needing[0]} needs a journal: give journal= too")


def sink_options(options: Options, linger_s: float) -> Options:
    """The options of a run whose records are put: nobody could give them again, and an address is waited for.

    Raises:
        ConfigError: no time to linger, or a journal that does not keep the records.
    """
    if not isinstance(linger_s, int | float) or isinstance(linger_s, bool) or not linger_s > 0:
        raise ConfigError("linger takes seconds above 0")
    if options.journal is not None and not options.spool:
        raise ConfigError("the records of a sink come only once: give spool=True with its journal")
    return evolve(options, policy=evolve(options.policy, linger_s=linger_s, first_contact_s=None))


def _is_path(path: str | bytes) -> bool:
    return isinstance(path, str) and path != "" and "\0" not in path and is_unicode(path)


def _check_plain(memo: Mapping[str, Any]) -> None:
    try:
        orjson.dumps(memo)
    except TypeError:
        raise ConfigError("memo takes plain JSON values") from None
