"""What one request came to, as the transport returns it: an answer, or none."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen


class Fault(StrEnum):
    """Why there is no answer, by the step that failed."""

    #: Before the connection stood: nothing of the request left.
    NAME = "the host name could not be resolved"
    CONNECT = "no connection could be made"
    CONNECT_TIMEOUT = "connecting took too long"
    CERTIFICATE = "the TLS certificate was not accepted"
    TLS = "the TLS handshake failed"
    TLS_VERSION = "the two sides have no version or cipher of TLS in common"
    PROXY = "the proxy refused"
    ADDRESS = "the address cannot be used"
    TOKEN = "no token could be had"  # noqa: S105 -- words about a token
    SHORTAGE = "this machine has no descriptor or memory left for a connection"
    #: After the first byte may have left: the platform may have committed the batch.
    CONNECTION_LOST = "the connection was lost"
    READ_TIMEOUT = "no byte of an answer came in time"
    ATTEMPT_TIMEOUT = "the attempt took too long"
    GARBLED = "the answer was no HTTP, or broke off"
    TOO_LARGE = "the answer was larger than an answer can be"


#: Faults that waiting cannot heal; before first contact they are the user's configuration.
MISCONFIGURED = frozenset({Fault.CERTIFICATE, Fault.TLS_VERSION, Fault.PROXY, Fault.ADDRESS})


@frozen(kw_only=True)
class Answer:
    """A complete HTTP answer. `body` is at most 1 MiB, and empty when it was encoded, which is no envelope."""

    status: int
    body: bytes
    retry_after: str | None = None
    date: str | None = None
    #: The host that a redirect points to: nothing else of the address may be shown.
    redirect_host: str | None = None


@frozen(kw_only=True)
class NoAnswer:
    """No complete answer. `sent` is False only when provably no byte of the request reached the application.

    `stale` says that the connection had been kept alive, idle for a second or more, and gave no byte back.
    """

    fault: Fault
    sent: bool
    detail: str = ""
    stale: bool = False


Attempt = Answer | NoAnswer
