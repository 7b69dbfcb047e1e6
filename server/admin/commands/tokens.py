"""Commands about gatekeeper tokens: made, rotated and revoked by their owners or by an administrator, and noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.admin.changes import Changes, no_such
from server.admin.makers import Maker, insist_on_making, insist_on_renewing
from server.auth.accounts import ANY_TERMS, Accounts, token_body
from server.auth.token_terms import narrowed
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.policy.authority import TOO_WEAK, Power
from server.policy.commands import CommandError, words_of
from server.store import acts
from server.store.base import Store, Token, TokenTerms
from web.wording import Wording


@dataclass(frozen=True, slots=True)
class WantedToken:
    """A token to be made. `expires_at` is UTC milliseconds, `budget` micro-USD in all; None is never and no bound.

    `tokens`: how many tokens of a family of models it may use in all.
    """

    name: str
    expires_at: int | None = None
    terms: TokenTerms = ANY_TERMS
    budget: int | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)

    def limits(self, subject: str) -> Iterator[Limit]:
        """The limits of the token from its first moment on."""
        if self.budget is not None:
            yield Limit(f"token/{subject}/ever", Scope.TOKEN, subject, Unit.USD, LimitWindow.EVER, self.budget)
        for family, amount in self.tokens.items():
            name = f"{subject}-{family}"
            yield Limit(name, Scope.TOKEN, subject, Unit.TOKENS, LimitWindow.EVER, amount, family)


class TokenCommands:
    """The verbs; the texts that they return are secrets, shown now and never again.

    `by` is the credential that asks: nothing is made that is more than it. `wall` gives UTC milliseconds.

    All raise CommandError and StoreError.
    """

    def __init__(self, store: Store, changes: Changes, accounts: Accounts, wall: Callable[[], int]) -> None:
        self._store, self._changes, self._accounts, self._wall = store, changes, accounts, wall

    async def create(self, by: Maker, actor: str, person_id: str, wanted: WantedToken) -> tuple[Token, str]:
        """Make a token of a person. A person has at most so many of their own making, and frees none of rate limits."""
        await insist_on_making(self._changes, by, wanted.expires_at)
        person = await self._store.person(person_id)
        if person is None:
            raise no_such("person")
        asked = wanted.name, wanted.expires_at, wanted.terms, wanted.limits
        if not by.authority.may(Power.ADMINISTER):
            if actor != person_id:
                raise CommandError(TOO_WEAK)
            return await self._accounts.create_own_token(person, *asked)
        return await self._accounts.create_token(person.name, *asked, actor)

    async def rotate(
        self, by: Maker, actor: str, token_id: str, owner: str | None = None, grace_seconds: int = 0
    ) -> tuple[Token, str]:
        """A new secret; the old one ends now, or after a grace. With `owner`, a person's id, only if it is theirs."""
        await insist_on_renewing(self._changes, by, await self._token(token_id, owner))
        return await self._accounts.rotate(token_id, owner, grace_seconds, actor)

    async def narrow(self, actor: str, token_id: str, wanted: Mapping[str, Any], owner: str | None = None) -> Token:
        """Let a token do less from now on, never more; a new secret is not needed for that. See `narrowed`."""
        before = await self._token(token_id, owner)
        try:
            after = narrowed(before, wanted, self._wall())
        except ValueError as error:
            raise CommandError(words_of(error)) from None
        if before.revoked_at is not None:
            raise CommandError(Wording("this token has ended: make a new one"))
        narrowing = acts.narrow_token(before, after)
        await self._changes.change(actor, "token.narrow", token_id, token_body(before), token_body(after), narrowing)
        self._changes.changed()
        return after

    async def revoke(self, actor: str, token_id: str, owner: str | None = None) -> None:
        """Revoke one token, for good. With `owner` only if it is theirs."""
        await self._token(token_id, owner)
        await self._changes.revoke_token(actor, token_id)

    async def _token(self, token_id: str, owner: str | None) -> Token:
        """A token by its id. Raises NotThere if it does not exist or belongs to another person than `owner`."""
        for token in await self._store.tokens(owner):
            if token.id == token_id:
                return token
        raise no_such("token")
