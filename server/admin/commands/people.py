"""Commands about people: administrators find, add and change them, and each person chooses a nickname.

Every change is noted in the audit log, like all that goes through `Changes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from server.admin.changes import Changes, no_such
from server.auth.accounts import Accounts, checked_name
from server.policy.authority import TOO_WEAK, Authority
from server.policy.commands import AlreadyThere, CommandError, NotThere, words_of
from server.policy.groups import LEFT
from server.policy.nicknames import nickname_of
from server.store import acts
from server.store.base import Person, Store
from web.languages import NAMES
from web.wording import Wording

CHANGEABLE = ("name", "email", "groups", "admin", "disabled", "note", "mails")
LONGEST_NOTE = 1000
_EMAIL = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,189}", re.ASCII)


class PeopleCommands:
    """The verbs. `actor` is the id of the caller. All raise CommandError and StoreError."""

    def __init__(self, store: Store, changes: Changes, accounts: Accounts) -> None:
        self._store, self._changes, self._accounts = store, changes, accounts

    async def find(self, text: str = "", after: str | None = None, limit: int = 100) -> list[Person]:
        """At most so many people, by name, whose name, address or groups hold the text; behind the name `after`."""
        wanted = text.casefold()
        found = [each for each in await self._store.people() if wanted in _searched(each)]
        return [each for each in found if after is None or each.name > after][:limit]

    async def person(self, person_id: str) -> Person:
        person = await self._store.person(person_id)
        if person is None:
            raise no_such("person")
        return person

    async def create(
        self, actor: str, name: str, email: str | None = None, groups: Sequence[str] = (), note: str = ""
    ) -> Person:
        """Add a person."""
        wishes = {"email": email, "note": note}
        check(name, wishes)
        await self._insist_on_groups(groups)
        return await self._accounts.create_person(name, actor, email, groups, note)

    async def change(
        self, actor: str, person_id: str, changes: Mapping[str, Any], by: Authority | None = None
    ) -> Person:
        """Change any of `CHANGEABLE`; what is as it is stays unmentioned. All that can be wrong is checked first.

        `by`: with what authority; without one it makes no administrator.
        """
        person = await self.person(person_id)
        wishes = {field: value for field, value in changes.items() if getattr(person, field) != value}
        check(wishes.get("name", person.name), wishes)
        if wishes.get("admin"):
            insist_on_promoting(by)
        await self._insist_on_groups(wishes.get("groups", ()), person.groups)
        if "name" in wishes:
            await self._changes.rename(actor, person_id, wishes["name"])
        for group in set(wishes.get("groups", person.groups)) - set(person.groups):
            await self._changes.put_in_group(actor, person_id, group)
        for group in set(person.groups) - set(wishes.get("groups", person.groups)):
            await self._changes.take_from_group(actor, person_id, group)
        if "admin" in wishes:
            await self._changes.set_admin(actor, person_id, wishes["admin"])
        if "disabled" in wishes:
            await self._changes.set_disabled(actor, person_id, wishes["disabled"])
        await self._update(
            actor, person, {field: wishes[field] for field in ("email", "note", "mails") if field in wishes}
        )
        return await self.person(person_id)

    async def set_nickname(self, person: Person, wanted: str | None) -> str | None:
        """Stand on the leaderboard under this name, or not at all; returns the name as it is kept."""
        try:
            nickname = None if wanted is None else nickname_of(wanted)
            if nickname != person.nickname:
                await self._update(person.id, person, {"nickname": nickname})
        except AlreadyThere:
            raise AlreadyThere(Wording("another person has this nickname already")) from None
        except CommandError:
            raise
        except ValueError as error:
            raise CommandError(words_of(error)) from None
        return nickname

    async def set_mails(self, person: Person, wanted: bool, language: str | None = None) -> Person:
        """Get mails about budgets, or none, in this language (None: as before; "": the installation's first)."""
        if language and language not in NAMES:
            raise CommandError(Wording("There are no pages in this language."))
        wishes = {"mails": wanted} | ({} if language is None else {"language": language})
        changes = {field: value for field, value in wishes.items() if getattr(person, field) != value}
        await self._update(person.id, person, changes)
        return await self.person(person.id)

    async def _update(self, actor: str, person: Person, changes: Mapping[str, Any]) -> None:
        if changes:
            before = {field: value for field, value in asdict(person).items() if field in changes}
            writing = acts.update_person(person.id, changes)
            await self._changes.change(actor, "person.change", person.id, before, changes, writing)

    async def _insist_on_groups(self, wanted: Sequence[str], mine: Sequence[str] = ()) -> None:
        known = {group.name for group in await self._changes.groups()} if wanted else set()
        if not set(wanted) <= known | set(mine) | {LEFT}:
            raise NotThere(Wording("there is no such group"), "`group create` makes one")


def check(name: str, wishes: Mapping[str, Any]) -> None:
    """Raises CommandError if no person can be called so, or these fields of a person make no sense."""
    checked_name(name)
    email, note = wishes.get("email"), wishes.get("note", "")
    if email is not None and not _EMAIL.fullmatch(email):
        raise CommandError(Wording("expected an email address"))
    if len(note) > LONGEST_NOTE or not note.isprintable():
        raise CommandError(
            Wording("a note has at most %(longest_note)s printable characters", longest_note=LONGEST_NOTE)
        )


def insist_on_promoting(by: Authority | None) -> None:
    """Raises CommandError unless this authority makes an administrator."""
    why_not = TOO_WEAK if by is None else by.against_promoting()
    if why_not is not None:
        raise CommandError(why_not)


def _searched(person: Person) -> str:
    return "\n".join((person.name, person.email or "", *person.groups, *person.claimed)).casefold()
