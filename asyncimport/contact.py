"""Whether there is a platform behind the base URL, and whether it still takes anything. Two bounds on patience.

Until the address gave one documented envelope, it may simply be wrong: what waiting cannot heal (a certificate, a
redirect, a path that is not there) ends the run at once, everything else after `first_contact_s`. Afterwards the
platform is known, and only a long time without any success ends the run. What this machine is short of says nothing of
the address, and is waited for.
"""

from __future__ import annotations

from typing import Final

from attrs import define

from asyncimport.attempt import Fault
from asyncimport.errors import AsyncImportError, ConfigError, UploadStalled
from asyncimport.policy import DispatchPolicy
from asyncimport.verdict import Happened, Verdict

_SHORTAGE: Final = Fault.SHORTAGE.name.lower()
_WAIT: Final = "run the import again when the platform is back"
_REMEDIES: Final = {
    _SHORTAGE: "raise the limit of open files (ulimit -n) or lower max_in_flight, and run the import again"
}


@define
class Contact:
    """What a client knows of the platform at its base URL."""

    host: str
    is_made: bool = False
    #: Whether this machine had nothing left for the last attempt, which says nothing of the address.
    is_short: bool = False
    first_tried_at: float | None = None
    #: When attempts began to fail, after the last settled batch; None while nothing fails.
    failing_since: float | None = None

    def started(self, now: float) -> None:
        """Book the start of an attempt."""
        if self.first_tried_at is None:
            self.first_tried_at = now

    def rest(self) -> None:
        """Nothing of the client is under way: the time until the next attempt counts for nothing."""
        self.first_tried_at = self.failing_since = None

    def patience_s(self, now: float, policy: DispatchPolicy) -> float | None:
        """How long a first contact is still waited for; None when it was made, or is waited for without end."""
        if self.is_made or self.is_short or policy.first_contact_s is None or self.first_tried_at is None:
            return None
        return max(0.0, self.first_tried_at + policy.first_contact_s - now)

    def judge(self, verdict: Verdict, now: float, policy: DispatchPolicy) -> AsyncImportError | None:
        """Book a verdict; return the reason to give up, if there is one."""
        self.is_made |= verdict.is_contact
        self.is_short = verdict.reason == _SHORTAGE
        if verdict.happened in (Happened.ACCEPTED, Happened.REFUSED):  # both settle a batch
            self.failing_since = None
            return None
        if self.failing_since is None:
            self.failing_since = now
        if verdict.happened in (Happened.NOT_SENT, Happened.UNKNOWN) and not self.is_made:
            wrong = self._before_contact(verdict, now, policy.first_contact_s)
            if wrong is not None:
                return wrong
        if now - self.failing_since >= policy.stall_s:
            return UploadStalled(
                f"{self.host} has accepted nothing for {now - self.failing_since:,.0f} s; last: {verdict.detail}. "
                f"What is undecided is unsent or unconfirmed: {_REMEDIES.get(verdict.reason, _WAIT)}"
            )
        return None

    def _before_contact(self, verdict: Verdict, now: float, patience_s: float | None) -> ConfigError | None:
        if self.is_short:
            return None
        tried_s = now - (self.first_tried_at if self.first_tried_at is not None else now)
        if not verdict.is_misconfigured and (patience_s is None or tried_s < patience_s):
            return None
        if verdict.reason == Fault.TOKEN.name.lower():
            return ConfigError(f"no token could be had in {tried_s:,.0f} s; last: {verdict.detail}")
        return ConfigError(
            f"{self.host} has never answered as the platform does, in {tried_s:,.1f} s; last: {verdict.detail}. "
            "Check the base URL, the network and the certificate"
        )
