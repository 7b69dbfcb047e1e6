"""Commands about gatekeeper tokens: made, rotated and revoked by their owners or by an administrator, and noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from server.admin.changes import NO_SUCH_PERSON, Changes, CommandError, NotThere
from server.admin.makers import Maker, insist_on_making, insist_on_renewing
from server.auth.accounts import ANY_TERMS, AccountError, Accounts, UnknownAccount
from server.auth.token_terms import narrowed
from server.store.base import Person, Store, Token, TokenTerms

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WantedToken:
    """A token to be made. `expires_at` is UTC milliseconds, None is never."""

    name: str
    expires_at: int | None = None
    terms: TokenTerms = ANY_TERMS


class TokenCommands:
    """The verbs; the texts that they return are secrets, shown now and never again.

    `by` is the credential that asks: nothing is made that is more than it. `wall` gives UTC milliseconds.

    All raise CommandError and StoreError.
    """

    def __init__(self, store: Store, changes: Changes, accounts: Accounts, wall: Callable[[], int]) -> None:
        self._store, self._changes, self._accounts, self._wall = store, changes, accounts, wall

    async def create_own(self, by: Maker, person: Person, wanted: WantedToken) -> tuple[Token, str]:
        """By somebody for themselves: nothing that frees of rate limits, and not without end."""
        await insist_on_making(self._changes, by, wanted.expires_at)
        making = self._accounts.create_own_token(person, wanted.name, wanted.expires_at, wanted.terms)
        return await self._made(person.id, person, making)

    async def create_for(self, by: Maker, actor: str, person_id: str, wanted: WantedToken) -> tuple[Token, str]:
        """By an administrator for somebody."""
        await insist_on_making(self._changes, by, wanted.expires_at)
        person = await self._store.person(person_id)
        if person is None:
            raise NotThere(NO_SUCH_PERSON)
        making = self._accounts.create_token(person.name, wanted.name, wanted.expires_at, wanted.terms)
        return await self._made(actor, person, making)

    async def rotate(
        self, by: Maker, actor: str, token_id: str, owner: str | None = None, grace_seconds: int = 0
    ) -> tuple[Token, str]:
        """A new secret; the old one ends now, or after a grace. With `owner`, a person's id, only if it is theirs."""
        await insist_on_renewing(self._changes, by, await self._token(token_id, owner))
        token, secret = await _done(self._accounts.rotate(token_id, owner, grace_seconds))
        await self._changes.note(
            actor, "token.rotate", token_id, None, {"by": token.id, "grace_seconds": grace_seconds}
        )
        return token, secret

    async def narrow(self, actor: str, token_id: str, wanted: Mapping[str, Any], owner: str | None = None) -> Token:
        """Let a token do less from now on, never more; a new secret is not needed for that. See `narrowed`."""
        before = await self._token(token_id, owner)
        try:
            after = narrowed(before, wanted, self._wall())
        except ValueError as error:
            raise CommandError(str(error)) from None
        if before.revoked_at is not None:
            raise CommandError("this token has ended: make a new one")
        await self._changes.note(actor, "token.narrow", token_id, _shown(before), _shown(after))
        if not await self._store.narrow_token(before, after):
            raise CommandError("another one has changed this token meanwhile: look at it again")
        self._changes.changed()
        return after

    async def revoke(self, actor: str, token_id: str, owner: str | None = None) -> None:
        """Revoke one token, for good. With `owner` only if it is theirs."""
        await self._token(token_id, owner)
        await self._changes.revoke_token(actor, token_id)

    async def _token(self, token_id: str, owner: str | None) -> Token:
        """A token by its id. What belongs to another person is not there."""
        for token in await self._store.tokens(owner):
            if token.id == token_id:
                return token
        raise NotThere("there is no such token")

    async def _made(self, actor: str, person: Person, making: Awaitable[tuple[Token, str]]) -> tuple[Token, str]:
        token, secret = await _done(making)
        await self._changes.note(actor, "token.create", token.id, None, {"person": person.id, **_shown(token)})
        return token, secret


def _shown(token: Token) -> dict[str, Any]:
    terms = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(token.terms).items()}
    return {"name": token.name, "expires_at": token.expires_at, "terms": terms}


async def _done(verb: Awaitable[T]) -> T:
    try:
        return await verb
    except UnknownAccount as error:
        raise NotThere(str(error)) from None
    except AccountError as error:
        raise CommandError(str(error)) from None
