"""The options of one run, as its caller names them."""

from __future__ import annotations

import os
from typing import Any, TypedDict, get_args

from attrs import field, frozen

from asyncimport.errors import ConfigError
from asyncimport.policy import DispatchPolicy, OnUnknown, Share


class RunOptions(TypedDict, total=False):
    """Keyword arguments of `run`, `stream`, `import_users` and `import_events`."""

    #: Instead of the client's policy, for this run.
    policy: DispatchPolicy
    #: More rejected records than this end the run with `TooManyRejected`: a count, or a share of those read.
    max_rejected: int | Share
    #: Seconds after which the run stops by itself, drains, and returns its report.
    deadline: float
    #: What becomes of a batch that was sent and not answered: "resend" (at least once), or "park" it as unconfirmed.
    on_unknown: OnUnknown
    #: A file that must not exist: each rejected record becomes a line of it (`rejects.py`). Mode 0600; not kept when empty.
    rejects: str | os.PathLike[str]


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

    def __attrs_post_init__(self) -> None:
        """Hold the ranges."""
        if isinstance(self.max_rejected, int) and self.max_rejected < 0:
            raise ConfigError("max_rejected takes 0 or more")
        if self.deadline is not None and not self.deadline > 0:
            raise ConfigError("deadline takes seconds above 0")
        if self.on_unknown not in get_args(OnUnknown):
            raise ConfigError(f"on_unknown takes one of {', '.join(get_args(OnUnknown))}")
