"""The tokens the platform handed out, and which of them it still accepts."""

import secrets
from collections.abc import Callable

from attrs import define, field


@define(kw_only=True)
class _Grant:
    ends_s: float
    revoked: bool = False


@define(kw_only=True)
class Tokens:
    """The counter where tokens are issued, accepted and revoked.

    A generation is the number of a token in the order of issue, from 1: the ledger names tokens by it, because a
    token itself must not stand in a log.

    Attributes:
        newest: the token handed out last; not shown in the repr.
        uses: requests accepted with the newest token.
    """

    newest: str = field(repr=False)
    life_s: float
    one_at_a_time: bool
    now: Callable[[], float] = field(repr=False)
    uses: int = field(init=False, default=0)
    _grants: dict[int, _Grant] = field(init=False, factory=dict)
    _generations: dict[str, int] = field(init=False, factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        self._grant(self.newest)

    @property
    def generation(self) -> int:
        """The generation of the newest token."""
        return len(self._grants)

    def issue(self) -> str:
        """Hand out a new token; where only one may live, the others end here."""
        if self.one_at_a_time:
            self.revoke()
        self._grant(secrets.token_urlsafe(24))
        return self.newest

    def revoke(self) -> None:
        """Refuse from now on every token handed out so far."""
        for grant in self._grants.values():
            grant.revoked = True

    def generation_of(self, token: str) -> int | None:
        """Give the generation of a token, accepted or not; `None` for one never issued."""
        return self._generations.get(token)

    def accept(self, token: str, *, at_most: int | None = None) -> bool:
        """Tell whether a request with this token passes, and count it when it does.

        A newest token that was used `at_most` times already ends here.
        """
        generation = self._generations.get(token)
        if generation is None:
            return False
        if at_most is not None and self.uses >= at_most:
            self.revoke()
        grant = self._grants[generation]
        if grant.revoked or self.now() >= grant.ends_s:
            return False
        self.uses += generation == self.generation
        return True

    def _grant(self, token: str) -> None:
        generation = self.generation + 1
        self._grants[generation] = _Grant(ends_s=self.now() + self.life_s)
        self._generations[token] = generation
        self.newest, self.uses = token, 0
