"""People and prices of another proxy become ours: each by the ordinary verb, and so each noted in the audit log.

A second time changes nothing: who is there already stays as they are, by name. So does a person after an interruption;
`token create` makes the token that is missing then.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.admin.changes import Changes
from server.admin.coming_over import Arrivals, Newcomer
from server.admin.commands.people import PeopleCommands, check
from server.admin.commands.tokens import TokenCommands, WantedToken
from server.admin.makers import THE_OPERATOR
from server.ledger.limits import Limit, Scope
from server.policy.commands import CommandError
from server.store import acts
from server.store.base import Person, Store, TokenTerms

NEW, KNOWN = "new", "is there already"
TOKEN_NAME = "came over"  # noqa: S105 - what it is called


@dataclass(frozen=True, slots=True)
class Arrived:
    """What becomes of a person. `secret` is the new token, shown now and never again; "" is none."""

    name: str
    result: str
    secret: str = ""


class ComingOver:
    """The verb. `wall` is UTC milliseconds of this moment. Raises CommandError and StoreError."""

    def __init__(
        self, store: Store, changes: Changes, people: PeopleCommands, tokens: TokenCommands, wall: int
    ) -> None:
        self._store, self._changes, self._people, self._tokens, self._wall = store, changes, people, tokens, wall

    async def arrive(self, actor: str, arrivals: Arrivals, dry_run: bool) -> list[Arrived]:
        """Add who is new, and prices that are new. With `dry_run` only say what would come of it."""
        known = {person.name for person in await self._store.people()}
        logins = {person.login for person in await self._store.people() if person.login}
        found = []
        for each in arrivals.people:
            if each.name in known or each.login in logins:
                found.append(Arrived(each.name, KNOWN))
                continue
            try:
                check(each.name, {"email": each.email, "note": each.note})
                found.append(Arrived(each.name, NEW) if dry_run else await self._add(actor, each))
            except CommandError as error:
                found.append(Arrived(each.name, f"not added: {error.words}"))
        if not dry_run:
            await self._set_prices(actor, arrivals)
        return found

    async def _add(self, actor: str, newcomer: Newcomer) -> Arrived:
        person = await self._people.create(actor, newcomer.name, newcomer.email, note=newcomer.note)
        if newcomer.login is not None:
            writes = acts.update_person(person.id, {"login": newcomer.login})
            await self._changes.change(actor, "person.login", person.id, None, {"login": newcomer.login}, writes)
        if newcomer.amount is not None:
            amount, unit, window = newcomer.amount
            limit = Limit(f"came-over-{person.id}", Scope.PERSON, person.id, unit, window, amount)
            await self._changes.set_limit(actor, limit)
        if newcomer.closed:
            await self._changes.set_disabled(actor, person.id, True)
            return Arrived(person.name, "new, and closed as there")
        return Arrived(person.name, NEW, await self._token(actor, person, newcomer))

    async def _token(self, actor: str, person: Person, newcomer: Newcomer) -> str:
        """A token as the old one was; none where they had none, or where its time is over."""
        over = newcomer.expires_at is not None and newcomer.expires_at <= self._wall
        if not newcomer.with_token or over:
            return ""
        terms = TokenTerms(kind=newcomer.kind, addresses=newcomer.addresses)
        wanted = WantedToken(TOKEN_NAME, newcomer.expires_at, terms, tokens=newcomer.tokens)
        return (await self._tokens.create(THE_OPERATOR, actor, person.id, wanted))[1]

    async def _set_prices(self, actor: str, arrivals: Arrivals) -> None:
        known = {(price.model, price.valid_from) for price in await self._changes.prices()}
        for price in arrivals.prices:
            if (price.model, price.valid_from) not in known:
                await self._changes.set_price(actor, price)
