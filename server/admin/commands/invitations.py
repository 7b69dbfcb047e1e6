"""Invitations: links by which people without an organisation's login come in for the first time.

An invitation opens one door once: its person is logged in, and gets their first token. It can do nothing else: it is no
token, the API does not know it, and looking at it changes nothing, because mail programs look at links.

The secret looks like a token, so that what hides tokens in logs hides it, too. Kept is its HMAC under a key made of the
pepper: a reader of the database comes in nowhere. It ends with its use, after `DAYS`, with a newer one for the same
person, and when they are erased; while their access is closed it opens nothing. An administrator is never invited: a
link that travels by mail would be the keys to everything. Unknown, used and expired ones get the same answer, and
guesses are slowed down.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from server.admin.changes import Changes, no_such
from server.admin.makers import Maker, insist_on_making
from server.auth.accounts import RESERVED, Accounts
from server.auth.throttle import Failures
from server.auth.token_format import looks_like_token, new_token
from server.crypto import derived
from server.policy.commands import CommandError
from server.store import acts
from server.store.acts import Act, Outdated
from server.store.base import Person, Record, Store, Token
from server.wire.errors import RateLimited
from web.wording import Wording

KIND = "invitation"  # the kind of record; its id is the digest
DAYS = 14
ENDED = ""  # stands in place of the person of an invitation that has expired
FIRST_TOKEN = "first"  # noqa: S105 - the name of the token that an invitation makes
OPENS_NOTHING = Wording("this invitation has been used, has expired, or is not complete: ask for a new one")


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation as it is made. `secret` is shown now and never again; `expires_at` is UTC milliseconds."""

    person: Person
    secret: str = field(repr=False)
    expires_at: int

    def link(self, base_url: str) -> str:
        """The address that its person opens."""
        return f"{base_url}/invitation?code={self.secret}"


class InvitationCommands:
    """The verbs. `clock` is seconds, monotonic, `wall` UTC milliseconds. All raise CommandError and StoreError."""

    def __init__(
        self,
        store: Store,
        changes: Changes,
        accounts: Accounts,
        pepper: bytes,
        clock: Callable[[], float],
        wall: Callable[[], int],
    ) -> None:
        self._store, self._changes, self._accounts, self._clock, self._wall = store, changes, accounts, clock, wall
        self._key = derived(pepper, "invitations")
        self._failures = Failures()

    async def insist(self, by: Maker) -> None:
        """Raises CommandError unless this credential may invite: what comes of an invitation has no end."""
        await insist_on_making(self._changes, by, None)

    async def invite(self, by: Maker, actor: str, person_id: str) -> Invitation:
        """Invite a person, in place of an earlier invitation."""
        person = await self._store.person(person_id)
        if person is None:
            raise no_such("person")
        if not _may_be_invited(person):
            raise CommandError(Wording("no administrator is invited, and no person whose access is closed"))
        (made,) = await self.invite_each(by, actor, (person,))
        return made

    async def invite_each(self, by: Maker, actor: str, people: Iterable[Person]) -> list[Invitation]:
        """Invite those of these people who may be invited."""
        await self.insist(by)
        now, over = self._wall(), defaultdict[str, list[Record]](list)
        for each in await self._store.records(KIND):
            over[ENDED if each.body["expires_at"] <= now else str(each.body["person"])].append(each)
        return [
            await self._invite(actor, person, over.pop(ENDED, []) + over.pop(person.id, []))
            for person in people
            if _may_be_invited(person)
        ]

    async def pending(self) -> dict[str, int]:
        """Until when the invitations hold that are not used yet, by their person's id."""
        now = self._wall()
        found = {str(it.body["person"]): int(it.body["expires_at"]) for it in await self._store.records(KIND)}
        return {person: expires_at for person, expires_at in found.items() if now < expires_at}

    async def withdraw(self, actor: str, person_id: str) -> None:
        """End the invitation of a person. Raises CommandError if there is none."""
        mine = _of(person_id, await self._store.records(KIND))
        if not mine:
            raise CommandError(Wording("this person has no invitation"))
        await self._changes.change(actor, "invitation.withdraw", person_id, None, None, *map(_dropped, mine))

    async def look(self, secret: str, address: str) -> Person:
        """Whom a secret invites; nothing changes. Raises RateLimited from the 31st wrong one of an address in a minute.

        The right one opens all the same from an address that others guess from.
        """
        _, person = await self._found(secret, address)
        return person

    async def accept(self, secret: str, address: str) -> tuple[Person, Token, str]:
        """Use an invitation up: its person, and their first token with its secret, in one step or not at all."""
        record, person = await self._found(secret, address)
        others = [each for each in _of(person.id, await self._store.records(KIND)) if each.id != record.id]
        ends = (acts.swap_record(record, None), *map(_dropped, others))  # the first is what one caller alone can do
        try:
            token, text = await self._accounts.create_token(person.name, FIRST_TOKEN, actor=person.id, also=ends)
        except Outdated:
            raise CommandError(OPENS_NOTHING) from None
        return person, token, text

    async def _invite(self, actor: str, person: Person, over: Iterable[Record]) -> Invitation:
        """Invite a person, and forget these others."""
        secret, now = new_token(), self._wall()
        expires_at = now + DAYS * 86_400_000
        record = Record(KIND, self._digest(secret), {"person": person.id, "expires_at": expires_at})
        writes = [*map(_dropped, over), acts.put_record(record)]
        await self._changes.change(actor, "invitation.make", person.id, None, {"expires_at": expires_at}, *writes)
        return Invitation(person, secret, expires_at)

    async def _found(self, secret: str, address: str) -> tuple[Record, Person]:
        found = await self._standing(secret) if looks_like_token(secret) else None
        if found is None:
            wait = self._failures.count(f"address {address}", self._clock())
            raise CommandError(OPENS_NOTHING) if wait is None else RateLimited(retry_after=wait)
        return found

    async def _standing(self, secret: str) -> tuple[Record, Person] | None:
        record = await self._store.record(KIND, self._digest(secret))
        if record is None or record.body["expires_at"] <= self._wall():
            return None
        person = await self._store.person(str(record.body["person"]))
        return (record, person) if person is not None and _may_be_invited(person) else None

    def _digest(self, secret: str) -> str:
        return hmac.digest(self._key, secret.encode(), "sha256").hex()


async def forget_invitations(store: Store, person_id: str) -> None:
    """Remove what is kept of a person's invitations, where they are erased."""
    for record in _of(person_id, await store.records(KIND)):
        await store.remove_record(KIND, record.id)


def _may_be_invited(person: Person) -> bool:
    return not (person.admin or person.disabled or person.name in RESERVED)


def _of(person_id: str, records: Iterable[Record]) -> list[Record]:
    return [record for record in records if record.body["person"] == person_id]


def _dropped(record: Record) -> Act:
    return acts.drop_record(KIND, record.id)
