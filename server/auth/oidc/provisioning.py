"""The person of a login: found by their subject, else a new person.

Issuer and subject alone identify a person; a provider never gives a subject to another one. A claim only proposes their
name, and a person keeps their name: the next one of that name is `ada-2`. Later changes of the claim change nothing
here. Each login sets the groups and, where `OIDC_ADMIN` says so, the administrator's rights anew. If the provider
withholds a part of the groups (`claims.withheld`), the known groups stay and the named ones are added.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from server.auth.accounts import RESERVED
from server.policy.claims import ClaimRules, Claims, Condition, found, texts, withheld
from server.policy.groups import LEFT
from server.store import acts
from server.store.audited import AuditedStore
from server.store.base import NameTaken, Person, Store

ACTOR = "oidc"  # in the audit log
UNNAMED = "person"
LONGEST_NAME = 56  # characters, so that a number fits behind it
LONGEST_EMAIL = 254
NUMBERS = range(2, 10)


@dataclass(frozen=True, slots=True)
class Profile:
    """A person by a provider's claims. None: the claims do not say it; `partial`: they withhold some of the groups."""

    login: str
    name: str
    email: str | None
    groups: tuple[str, ...] | None
    admin: bool | None
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """How claims are read: the operator's rules, the condition of administrators, and the claim of the name."""

    rules: ClaimRules
    admin: Condition | None
    name_claim: str

    def profile(self, claims: Claims) -> Profile:
        """The profile in these verified claims."""
        return Profile(
            login=f"{claims['iss']} {claims['sub']}",
            name=_name(found(claims, self.name_claim)),
            email=_email(claims),
            groups=self.rules.groups(claims) if self._says(claims, *self.rules.claims) else None,
            admin=bool(self.admin.fitting(claims)) if self.admin and self._says(claims, self.admin.claim) else None,
            partial=any(withheld(claims, claim) for claim in self._claims),
        )

    def lacks(self, claims: Claims) -> bool:
        """Whether a claim is missing that the provider may tell elsewhere."""
        return any(found(claims, claim) is None for claim in {self.name_claim, *self._claims})

    def complete(self, profile: Profile) -> Profile:
        """After a login everything has been asked: what is not said then is not so."""
        unsaid = profile.admin is None and profile.partial
        admin = bool(profile.admin) if self.admin and not unsaid else None
        return replace(profile, groups=profile.groups or (), admin=admin)

    @property
    def _claims(self) -> frozenset[str]:
        """The claims that decide about rights."""
        return self.rules.claims | ({self.admin.claim} if self.admin else set())

    def _says(self, claims: Claims, *names: str) -> bool:
        return not names or any(found(claims, name) is not None for name in names)


class Provisioning:
    """The people who come from the provider. `wall` gives UTC milliseconds; all verbs raise StoreError."""

    def __init__(self, store: Store, wall: Callable[[], int]) -> None:
        self._store, self._wall, self._audited = store, wall, AuditedStore(store, wall)

    async def welcome(self, profile: Profile, vouched_at: int) -> Person:
        """The person of a profile, as the provider has now described them. They may be disabled."""
        person = await self._store.person_by_login(profile.login) or await self._newcomer(profile)
        changes = _changes(person, profile, vouched_at)
        noted = {field: value for field, value in changes.items() if field != "last_login_at"}
        if noted:
            action = "person.admin" if "admin" in noted else "person.change"
            before = {field: getattr(person, field) for field in noted}
            writing = acts.update_person(person.id, changes)
            await self._audited.change(ACTOR, action, person.id, before, noted, writing)
        elif changes:  # a login alone is no change
            await self._store.update_person(person.id, changes)
        return replace(person, **changes)

    async def _newcomer(self, profile: Profile) -> Person:
        for name in _names(profile.name):
            person = Person(f"usr_{secrets.token_hex(8)}", name, False, self._wall(), login=profile.login)
            try:
                adding = acts.create_person(person)
                await self._audited.change(ACTOR, "person.create", person.id, None, {"name": name}, adding)
            except NameTaken:
                # Either another person has the name, or the same one has logged in elsewhere meanwhile.
                known = await self._store.person_by_login(profile.login)
                if known is not None:
                    return known
            else:
                return person
        raise RuntimeError("a random name was in use")


def _changes(person: Person, profile: Profile, vouched_at: int) -> dict[str, Any]:
    """The fields of a person that a profile changes. A profile without groups does not vouch for the person."""
    said: dict[str, Any] = {}
    if profile.email is not None:
        said["email"] = profile.email
    if profile.groups is not None:
        groups = dict.fromkeys((*person.claimed, *profile.groups)) if profile.partial else profile.groups
        said |= {"claimed": tuple(groups), "last_login_at": max(vouched_at, person.last_login_at or 0)}
        if person.claimed and not groups and LEFT not in person.groups:
            said["groups"] = (*person.groups, LEFT)  # to lose every group is no freedom from them
    if profile.admin is not None:
        said["admin"] = profile.admin
    return {field: value for field, value in said.items() if getattr(person, field) != value}


def _names(proposed: str) -> Iterator[str]:
    """The name, the name with a number, and at last one that is free for certain."""
    yield proposed
    yield from (f"{proposed}-{number}" for number in NUMBERS)
    yield f"{proposed[:40]}-{secrets.token_hex(8)}"


def _name(claim: object) -> str:
    for text in texts(claim)[:1]:
        name = "".join(letter for letter in text if letter.isprintable())[:LONGEST_NAME].strip()
        if name and name not in RESERVED:
            return name
    return UNNAMED


def _email(claims: Claims) -> str | None:
    """An address that the provider does not call unverified."""
    email, verified = claims.get("email"), claims.get("email_verified", True)
    if not isinstance(email, str) or verified in (False, "false") or not 3 <= len(email) <= LONGEST_EMAIL:
        return None
    return email if email.isprintable() and "@" in email[1:-1] else None
