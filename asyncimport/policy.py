"""Every knob of the dispatch, as frozen values. Each default carries its source."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final, Literal

import attrs
from attrs import field, frozen

from asyncimport.errors import ConfigError

#: The platform takes at most 500 items a request (PLATFORM.md, E).
MAX_BATCH_SIZE: Final = 500
#: aiohttp warns about `data=bytes` above 1 MiB, because writing it blocks the loop; the platform's own limit is unknown (?).
MAX_BATCH_BYTES: Final = 1_000_000


class Meaning(Enum):
    """What a code in an answer's envelope says about its batch."""

    #: The batch was taken.
    ACCEPTED = auto()
    #: The token is not accepted: renew it, or stop.
    AUTH = auto()
    #: Too many requests: everybody waits.
    THROTTLED = auto()
    #: The content is refused: sending it again would not help.
    REFUSED = auto()
    #: Nothing is known: send it again.
    UNANSWERED = auto()


#: The token is wrong, and a new one may not be (PLATFORM.md, E).
TOKEN_REFUSED: Final = "100200"  # noqa: S105 -- a code
#: The documented codes (PLATFORM.md, E). Codes 500-599 are unanswered (I); any other code is a refusal.
DOCUMENTED_CODES: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "200": Meaning.ACCEPTED,
        "100100": Meaning.AUTH,
        TOKEN_REFUSED: Meaning.AUTH,
        "100300": Meaning.AUTH,
    }
)
#: The message of a throttled call (E, on neighbouring endpoints); its code is not documented (?).
THROTTLE_MESSAGES: Final = ("操作频繁",)


def _positive(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate a number above 0."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise ConfigError(f"{type(instance).__name__}.{attribute.name} takes a number above 0, got {value!r}")


def _positive_or_none(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        _positive(instance, attribute, value)


def _between(low: int, high: int | None) -> Any:
    def check(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
        if type(value) is not int or value < low or (high is not None and value > high):
            span = f"from {low:,} to {high:,}" if high is not None else f"of at least {low:,}"
            raise ConfigError(f"{type(instance).__name__}.{attribute.name} takes a whole number {span}, got {value!r}")

    return check


def _is_a(kind: type[Any]) -> Any:
    def check(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            raise ConfigError(
                f"{type(instance).__name__}.{attribute.name} takes {kind.__name__}, got {type(value).__name__}"
            )

    return check


def _texts(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate a tuple of marks; an empty one would be found in every message."""
    if not isinstance(value, tuple) or not all(isinstance(mark, str) and mark for mark in value):
        raise ConfigError(f"{type(instance).__name__}.{attribute.name} takes a tuple of texts that are not empty")


def _own_table(codes: Mapping[str, Meaning]) -> Mapping[str, Meaning]:
    if not isinstance(codes, Mapping) or not all(
        isinstance(code, str) and isinstance(meaning, Meaning) for code, meaning in codes.items()
    ):
        raise ConfigError("DispatchPolicy.codes takes a mapping of codes (text) to members of Meaning")
    return MappingProxyType(dict(codes))


@frozen(kw_only=True)
class RetryPolicy:
    """Repeats of one batch: full jitter between `floor_s` and a bound that doubles from `base_s` to `cap_s`.

    The fleet behind AWS's SDKs backs off this way; gRPC's and Google's defaults are of the same size.
    """

    #: Throttling, what never left this machine and token renewal are not counted.
    max_attempts: int = field(default=8, validator=_between(1, None))
    base_s: float = field(default=0.5, validator=_positive)
    cap_s: float = field(default=30.0, validator=_positive)
    floor_s: float = field(default=0.05, validator=_positive)


@frozen(kw_only=True)
class Timeouts:
    """Bounds of one attempt, in seconds; the platform documents none (?)."""

    #: TCP and TLS together.
    connect_s: float = field(default=10.0, validator=_positive)
    #: Between two reads.
    read_s: float = field(default=60.0, validator=_positive)
    #: The whole attempt, whatever trickles.
    attempt_s: float = field(default=120.0, validator=_positive)


@frozen(kw_only=True)
class Rate:
    """At most so many requests, or records, a second; what is not used is saved up for one second.

    A request waits until its batch may begin, however many records it has; the next one waits for the longer.

    Raises:
        ConfigError: nothing is bounded, or by no positive number.
    """

    requests_per_s: float | None = field(default=None, validator=_positive_or_none)
    records_per_s: float | None = field(default=None, validator=_positive_or_none)

    def __attrs_post_init__(self) -> None:
        """Refuse a rate that bounds nothing."""
        if self.requests_per_s is None and self.records_per_s is None:
            raise ConfigError("Rate takes requests_per_s=, records_per_s= or both")


@frozen(kw_only=True)
class DispatchPolicy:
    """How batches are formed and sent.

    Raises:
        ConfigError: a value out of its range.
    """

    batch_size: int = field(default=MAX_BATCH_SIZE, validator=_between(1, MAX_BATCH_SIZE))
    max_batch_bytes: int = field(default=MAX_BATCH_BYTES, validator=_between(1_000, 1024 * 1024))
    #: Requests at the same time; None lets the client find the width, between 1 and 32 (`limit.py`).
    max_in_flight: int | None = field(default=None, validator=attrs.validators.optional(_between(1, 10_000)))
    #: What the runs of a client may begin in a second, all together; None bounds nothing.
    max_rate: Rate | None = field(default=None, validator=attrs.validators.optional(_is_a(Rate)))
    #: A chunk that is not full leaves after this time.
    linger_s: float = field(default=5.0, validator=_positive)
    #: How long an address may fail before it is called wrong; None waits.
    first_contact_s: float | None = field(default=15.0, validator=_positive_or_none)
    #: How long a run that stops waits for what is in flight.
    drain_s: float = field(default=10.0, validator=_positive)
    #: How long nothing may succeed while a batch waits, before the run gives up.
    stall_s: float = field(default=900.0, validator=_positive)
    retry: RetryPolicy = field(factory=RetryPolicy, validator=_is_a(RetryPolicy))
    timeouts: Timeouts = field(factory=Timeouts, validator=_is_a(Timeouts))
    #: Meanings of codes beside the documented ones, which they may also replace.
    codes: Mapping[str, Meaning] = field(factory=dict, converter=_own_table, hash=False)
    #: Texts that mark the message of a throttled answer.
    throttle_messages: tuple[str, ...] = field(default=THROTTLE_MESSAGES, validator=_texts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the table of codes as a dict: engines send policies to their workers."""
        return _policy, (attrs.asdict(self, recurse=False) | {"codes": dict(self.codes)},)

    def meaning(self, code: str) -> Meaning:
        """What a code means: the user's table, then the documented one, then the rule for the rest."""
        if code in self.codes:
            return self.codes[code]
        if code in DOCUMENTED_CODES:
            return DOCUMENTED_CODES[code]
        is_server_fault = len(code) == len("500") and code.isascii() and code.isdecimal() and code[0] == "5"
        return Meaning.UNANSWERED if is_server_fault else Meaning.REFUSED


def _policy(values: dict[str, Any]) -> DispatchPolicy:
    return DispatchPolicy(**values)


@frozen
class Share:
    """A share of the records read, 0 to 1, for `max_rejected`; judged as if at least 1,000 had been read until the end."""

    of_read: float = field()

    @of_read.validator
    def _check(self, _attribute: attrs.Attribute[float], value: float) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            raise ConfigError(f"Share takes a number from 0 to 1, got {value!r}")

    #: Below this many records one bad row would be a large share.
    FEW = 1_000


def allowed_rejections(limit: int | Share | None, read: int, *, at_end: bool) -> float:
    """How many rejections a run may have by now."""
    match limit:
        case None:
            return float("inf")
        case Share(of_read=share):
            return share * (read if at_end else max(read, Share.FEW))
        case _:
            return limit


OnUnknown = Literal["resend", "park"]
