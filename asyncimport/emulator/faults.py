"""The faults the emulator can commit, each a value. `Faults` in `injector.py` deals them out to requests.

Every fault has `on`: "users", "events" or "token" for one endpoint; `None` for every import, not the token endpoint.
Where a fault has `committed`, it says whether the batch is in the ledger before the fault strikes.

The kinds, as JSON files name them (`faultfile.py`), are the keys of KINDS at the end.
"""

from collections.abc import Mapping
from typing import ClassVar

from attrs import field, frozen, validators

_positive = validators.gt(0)
_not_negative = validators.ge(0)
_http_status = validators.and_(validators.ge(200), validators.le(999))


@frozen(kw_only=True)
class Fault:
    """What all faults share: the endpoint they strike."""

    on: str | None = None


@frozen(kw_only=True)
class Ok(Fault):
    """No fault: the place of a good request in a script or a mix."""


@frozen(kw_only=True)
class Delay(Fault):
    """Wait before the request is judged; goes together with whatever else strikes it."""

    seconds: float = field(validator=_not_negative)


@frozen(kw_only=True)
class RevokeToken(Fault):
    """Refuse every token handed out so far, this request's too."""


@frozen(kw_only=True)
class TokenExpiresAfter(Fault):
    """End each token after so many accepted imports. Stands; not for scripts and mixes."""

    requests: int = field(validator=_positive)


@frozen(kw_only=True)
class Status(Fault):
    """Answer with this HTTP status; without a body, in an envelope that repeats it."""

    status: int = field(validator=_http_status)
    headers: Mapping[str, str] = field(factory=dict)
    body: str | bytes | None = None
    content_type: str = "application/json;charset=UTF-8"
    committed: bool = False


@frozen(kw_only=True)
class Envelope(Fault):
    """Answer in the documented envelope with this code; `null_data` adds `"data": null`."""

    code: str
    msg: str = "refused"
    error_code: str = "ERROR"
    null_data: bool = False
    status: int = field(default=200, validator=_http_status)
    committed: bool = False


@frozen(kw_only=True)
class ThrottleMessage(Fault):
    """Answer HTTP 200 with the documented message of a rate limit."""

    committed: ClassVar[bool] = False


@frozen(kw_only=True)
class Html(Fault):
    """Answer with a web page, as a proxy or a login wall does."""

    body: str = "<!doctype html><title>Sign in</title><p>Please sign in to this network."
    status: int = field(default=200, validator=_http_status)
    committed: bool = False


@frozen(kw_only=True)
class Hang(Fault):
    """Never answer; ends when the client leaves or the emulator closes."""

    committed: bool = False


@frozen(kw_only=True)
class ResetBefore(Fault):
    """Read the whole request, commit nothing, reset the connection."""

    committed: ClassVar[bool] = False


@frozen(kw_only=True)
class ResetAfter(Fault):
    """Commit, then reset the connection instead of answering."""

    committed: ClassVar[bool] = True


@frozen(kw_only=True)
class CloseBefore(Fault):
    """Read the whole request, commit nothing, close the connection in good order."""

    committed: ClassVar[bool] = False


@frozen(kw_only=True)
class Truncate(Fault):
    """Commit, write half of the answer's body, close; with the Content-Length of the whole, or with none at all."""

    content_length: bool = True


@frozen(kw_only=True)
class Gzip(Fault):
    """Commit, and answer compressed though nobody asked."""


@frozen(kw_only=True)
class PartialCommit(Fault):
    """Commit the first records only, then answer a failure."""

    first: int = field(validator=_not_negative)
    status: int = field(default=500, validator=_http_status)


@frozen(kw_only=True)
class Poison(Fault):
    """Refuse every batch that holds a record in which all these fields have these values.

    Attributes:
        where: dotted path, list indices as numbers, to value: `{"thirdId": "13"}`, `{"identities.0.platform": "gzh"}`.
        status: `None` refuses as any bad batch is refused; 400 or 500 answer with that HTTP status.
    """

    where: Mapping[str, str | int | float | bool] = field(validator=validators.min_len(1))
    status: int | None = field(default=None, validator=validators.optional(_http_status))


@frozen(kw_only=True)
class Overload(Fault):
    """Turn away at once what comes while more than `above` requests are being served. Stands."""

    above: int = field(validator=_not_negative)
    status: int = field(default=503, validator=_http_status)
    retry_after: str | None = None
    committed: ClassVar[bool] = False


@frozen(kw_only=True)
class SilentDrop(Fault):
    """Never answer what comes while more than `above` requests are being served. Stands.

    A dropped request does not count as being served.
    """

    above: int = field(validator=_not_negative)
    committed: ClassVar[bool] = False


@frozen(kw_only=True)
class Quota(Fault):
    """Throttle what exceeds `per_s` requests within any one second. Stands; throttled requests do not count."""

    per_s: int = field(validator=_positive)
    status: int = field(default=429, validator=_http_status)
    retry_after: str | None = None
    committed: ClassVar[bool] = False


@frozen(kw_only=True)
class Bucket(Fault):
    """Throttle by a token bucket of `burst` requests, refilled by `per_s` each second. Stands."""

    per_s: float = field(validator=_positive)
    burst: int = field(default=1, validator=_positive)
    status: int = field(default=429, validator=_http_status)
    retry_after: str | None = None
    committed: ClassVar[bool] = False


@frozen(kw_only=True)
class Workers(Fault):
    """Serve by `count` workers, `service_s` each, first come first served. Stands."""

    count: int = field(validator=_positive)
    service_s: float = field(validator=_not_negative)


Limit = Overload | SilentDrop | Quota | Bucket
"""Faults that judge a request at the door, by what else is going on."""

Strike = (
    Status
    | Envelope
    | ThrottleMessage
    | Html
    | Hang
    | ResetBefore
    | ResetAfter
    | CloseBefore
    | Truncate
    | Gzip
    | PartialCommit
    | Limit
)
"""Faults that decide how a request ends."""

STANDING_ONLY = (Overload, SilentDrop, Quota, Bucket, Workers, TokenExpiresAfter)
"""Faults that know more than one request: they stand, and no script or mix deals them out."""

IMPORTS_ONLY = (Poison, PartialCommit, TokenExpiresAfter)
"""Faults that mean nothing at the token endpoint."""

KINDS: Mapping[str, type[Fault]] = {
    "ok": Ok,
    "delay": Delay,
    "revoke_token": RevokeToken,
    "token_expires_after": TokenExpiresAfter,
    "status": Status,
    "envelope": Envelope,
    "throttle_message": ThrottleMessage,
    "html": Html,
    "hang": Hang,
    "reset_before": ResetBefore,
    "reset_after": ResetAfter,
    "close_before": CloseBefore,
    "truncate": Truncate,
    "gzip": Gzip,
    "partial_commit": PartialCommit,
    "poison": Poison,
    "overload": Overload,
    "silent_drop": SilentDrop,
    "quota": Quota,
    "bucket": Bucket,
    "workers": Workers,
}

_NAMES = {fault: name for name, fault in KINDS.items()}


def kind_of(fault: Fault) -> str:
    """Give a fault's kind as JSON files name it."""
    return _NAMES[type(fault)]
