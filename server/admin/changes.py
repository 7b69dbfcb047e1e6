"""Changes: the only way in which administrators change limits, prices, groups, notices, people and tokens.

The command line and the web ask for the same verbs. Each of them first notes in the audit log who changes what, how it
was before and how it will be after, and only then changes it. So nothing happens that was not noted; an entry whose
change was cut off by a failure says what was wanted. Secrets are never noted.

Running gateways read what has changed within seconds (`RuntimeConfig`). What takes a right away holds at once in this
process (`changed`), and ends their logins in browsers everywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from server.auth.accounts import RESERVED
from server.auth.token_format import budget_id
from server.ledger.limits import Limit, Scope, limit_body, limit_of
from server.ledger.money import MOST
from server.ledger.prices import Price, price_body, price_of
from server.ledger.reports import Cursor
from server.policy.groups import LEFT, NAME, Group, group_body, group_of
from server.policy.notices import Notice, notice_body, notice_of
from server.store.base import Audit, NameTaken, Person, Record, Store

T = TypeVar("T")
Body = Mapping[str, Any]

OPERATOR = "operator"  # the actor at the command line
JOINED = "joined"  # the kind of record that says who has become a member by themselves


class CommandError(ValueError):
    """What was asked for cannot be done; the text says why, without repeating what was typed."""


class NotThere(CommandError):
    """What the command is about does not exist."""


class AlreadyThere(CommandError):
    """What the command makes exists already, and stays as it is."""


@dataclass(frozen=True, slots=True)
class _RecordKind(Generic[T]):
    """The records of one kind, and how they are read and written."""

    kind: str
    read: Callable[[str, Body], T]
    body: Callable[[T], dict[str, Any]]

    def readable(self, record: Record) -> T | None:
        """None for what a newer fairgate, or somebody by hand, has written."""
        try:
            return self.read(record.id, record.body)
        except ValueError:
            return None


_LIMITS = _RecordKind("limit", limit_of, limit_body)
_PRICES = _RecordKind("price", price_of, price_body)
_GROUPS = _RecordKind("group", group_of, group_body)
_NOTICES = _RecordKind("notice", notice_of, notice_body)
_SHELVES: tuple[_RecordKind[Any], ...] = (_LIMITS, _PRICES, _GROUPS, _NOTICES)


class Changes:
    """The verbs. `actor` is a person's id, or `OPERATOR`; `wall` gives UTC milliseconds, `new_id` an id never used.

    `changed` is called when what is remembered of people and tokens is true no more.
    All raise CommandError, of which NotThere and AlreadyThere are two, and StoreError on an outage.
    """

    def __init__(
        self,
        store: Store,
        wall: Callable[[], int],
        new_id: Callable[[], str],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._wall, self.new_id, self.changed = store, wall, new_id, changed
        self._membership = asyncio.Lock()  # somebody's groups are read, and written with a change
        self._making = asyncio.Lock()  # a name is looked for, and then taken

    async def limits(self) -> list[Limit]:
        """Those decided at run time, by id; what cannot be read is left out, see `unreadable`."""
        return await self._all(_LIMITS)

    async def set_limit(self, actor: str, limit: Limit) -> None:
        """Write a limit, in place of one of the same id. An upstream's name is not checked here.

        A token's limit is that of all tokens which took its place: a new secret is no new budget.
        """
        await self._insist_on_subject(limit)
        if limit.scope is Scope.TOKEN:
            limit = replace(limit, subject=budget_id(limit.subject))
        await self._put(actor, _LIMITS, limit.id, limit)

    async def raise_limit(self, actor: str, limit_id: str, extra: int, until: int) -> None:
        """Allow `extra` (micro-USD, tokens or requests) more until then (UTC ms), in place of an earlier increase."""
        limit = _LIMITS.readable(await self._record("limit", limit_id))
        if limit is None:
            raise CommandError("this limit cannot be read: set it anew")
        if not 0 < extra <= MOST:
            raise CommandError("expected an increase of more than nothing")
        if until <= self._wall():
            raise CommandError("the end of the increase lies in the past")
        await self._put(actor, _LIMITS, limit_id, replace(limit, extra=extra, extra_until=until), "raise")

    async def remove_limit(self, actor: str, limit_id: str) -> None:
        await self._remove(actor, "limit", limit_id)

    async def prices(self) -> list[Price]:
        """Those decided at run time, by id; neither the price file's nor the providers'."""
        return await self._all(_PRICES)

    async def set_price(self, actor: str, price: Price) -> None:
        """Write a price. Rows that are on the ledger keep their cost until they are repriced."""
        await self._put(actor, _PRICES, price.id, price)

    async def remove_price(self, actor: str, price_id: str) -> None:
        await self._remove(actor, "price", price_id)

    async def groups(self) -> list[Group]:
        return await self._all(_GROUPS)

    async def group(self, name: str) -> Group:
        """Raises NotThere; so it does for a record that cannot be read."""
        found = next((each for each in await self.groups() if each.name == name), None)
        if found is None:
            raise NotThere(NO_SUCH_GROUP)
        return found

    async def create_group(self, actor: str, group: Group) -> None:
        """Make a group; its teachers are people's ids. Raises AlreadyThere: what exists is never written over."""
        async with self._making:
            if await self._found("group", group.name) is not None:
                raise AlreadyThere("there is already a group of this name: `group change` changes it")
            await self._write_group(actor, group, "create")

    async def change_group(self, actor: str, group: Group) -> None:
        """Write a group as it shall be, in place of the one of this name. Raises NotThere."""
        await self._record("group", group.name)
        await self._write_group(actor, group, "change")

    async def remove_group(self, actor: str, name: str) -> None:
        """Forget what a group gives. Its name stays with its members as a label, and so do limits that name it."""
        await self._remove(actor, "group", name)

    async def notices(self) -> list[Notice]:
        return await self._all(_NOTICES)

    async def set_notice(self, actor: str, notice: Notice) -> None:
        await self._put(actor, _NOTICES, notice.id, notice)

    async def remove_notice(self, actor: str, notice_id: str) -> None:
        await self._remove(actor, "notice", notice_id)

    async def unreadable(self) -> list[Record]:
        """Records that count for nothing because they cannot be read. They can be removed, or written anew."""
        return [
            record
            for shelf in _SHELVES
            for record in await self._store.records(shelf.kind)
            if shelf.readable(record) is None
        ]

    async def person_named(self, name: str) -> Person:
        person = await self._store.person_by_name(name)
        if person is None:
            raise NotThere(NO_SUCH_PERSON)
        return person

    async def put_in_group(self, actor: str, person_id: str, group: str) -> None:
        """Make somebody a member. Who joined by themselves stays once an operator has put them there."""
        async with self._membership:
            person = await self._person(person_id)
            if group != LEFT:
                await self._record("group", group)
            if actor != person_id:
                await self._store.remove_record(JOINED, joined_id(person_id, group))
            elif group not in person.groups:
                await self._store.put_record(Record(JOINED, joined_id(person_id, group), {}))
            if group not in person.groups:
                await self._update(actor, "person.groups", person, {"groups": (*person.groups, group)})

    async def take_from_group(self, actor: str, person_id: str, group: str) -> None:
        """End a membership that an operator gave. What the identity provider says is not ours to change.

        Who leaves by themselves leaves only what they joined by themselves, and it is kept that they have left a group:
        to be in none is another thing than never to have been in one.
        """
        async with self._membership:
            person, leaves = await self._person(person_id), actor == person_id
            if group not in person.groups:
                raise CommandError("nobody has put this person into this group here")
            if leaves and await self._found(JOINED, joined_id(person_id, group)) is None:
                raise CommandError("an administrator has put you into this group, and takes you out of it")
            left = tuple(name for name in person.groups if name not in (group, LEFT))
            await self._update(actor, "person.groups", person, {"groups": (*left, LEFT) if leaves else left})
            await self._store.remove_record(JOINED, joined_id(person_id, group))

    async def joined(self, person_id: str) -> list[str]:
        """The groups that somebody has joined by themselves, and so may leave."""
        prefix = joined_id(person_id, "")
        found = [record.id for record in await self._store.records(JOINED)]
        return [each.removeprefix(prefix) for each in found if each.startswith(prefix)]

    async def set_admin(self, actor: str, person_id: str, admin: bool) -> None:
        await self._update(actor, "person.admin", await self._person(person_id), {"admin": admin})

    async def set_disabled(self, actor: str, person_id: str, disabled: bool) -> None:
        """Disable all tokens of a person and end their logins, or enable them again."""
        await self._update(actor, "person.disabled", await self._person(person_id), {"disabled": disabled})
        if disabled:
            await self._store.close_sessions_of(person_id)

    async def rename(self, actor: str, person_id: str, name: str) -> None:
        """The name is unique and has 1 to 64 printable characters."""
        if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip() or name in RESERVED:
            raise CommandError(
                "a name has 1 to 64 printable characters, no blank at either end, and is not kept for us"
            )
        await self._update(actor, "person.name", await self._person(person_id), {"name": name})

    async def revoke_token(self, actor: str, token_id: str) -> None:
        """Revoke one token, for good."""
        now = self._wall()
        for token in await self._store.tokens():
            if token.id == token_id:
                before, after = {"revoked_at": token.revoked_at}, {"revoked_at": token.revoked_at or now}
                await self.note(actor, "token.revoke", token_id, before, after)
                await self._store.revoke_token(token_id, now)
                self.changed()
                return
        raise NotThere(NO_SUCH_TOKEN)

    async def audits(self, cursor: Cursor | None, limit: int) -> list[Audit]:
        """The next entries, the newest first; the cursor is time and id of the last one seen."""
        return await self._store.audits(cursor, limit)

    async def note(
        self, actor: str, action: str, target: str, before: Body | None, after: Body | None, entry_id: str = ""
    ) -> None:
        """Note a change that is about to be made elsewhere. An entry of an id that is there already is not repeated."""
        entry = Audit(entry_id or self.new_id(), self._wall(), actor, action, target, before, after)
        await self._store.append_audit(entry)

    async def _write_group(self, actor: str, group: Group, verb: str) -> None:
        for teacher in group.teachers:
            await self._person(teacher)
        await self._put(actor, _GROUPS, group.name, group, verb)

    async def _all(self, shelf: _RecordKind[T]) -> list[T]:
        read = map(shelf.readable, await self._store.records(shelf.kind))
        return [thing for thing in read if thing is not None]

    async def _put(self, actor: str, shelf: _RecordKind[T], record_id: str, thing: T, verb: str = "set") -> None:
        record = Record(shelf.kind, record_id, shelf.body(thing))
        before = await self._found(shelf.kind, record_id)
        await self.note(actor, f"{shelf.kind}.{verb}", record_id, _shown(before), _shown(record))
        await self._store.put_record(record)

    async def _remove(self, actor: str, kind: str, record_id: str) -> None:
        before = await self._record(kind, record_id)
        await self.note(actor, f"{kind}.remove", record_id, _shown(before), None)
        await self._store.remove_record(kind, record_id)

    async def _record(self, kind: str, record_id: str) -> Record:
        record = await self._found(kind, record_id)
        if record is None:
            raise NotThere(f"there is no such {kind}: `{kind} list` shows them")
        return record

    async def _found(self, kind: str, record_id: str) -> Record | None:
        return next((each for each in await self._store.records(kind) if each.id == record_id), None)

    async def _update(self, actor: str, action: str, person: Person, changes: Body) -> None:
        if "name" in changes and await self._store.person_by_name(changes["name"]) not in (None, person):
            raise AlreadyThere(NAME_TAKEN)
        before = {field: getattr(person, field) for field in changes}
        await self.note(actor, action, person.id, before, changes)
        try:
            await self._store.update_person(person.id, changes)
        except NameTaken:
            raise AlreadyThere(NAME_TAKEN) from None
        self.changed()

    async def _person(self, person_id: str) -> Person:
        person = await self._store.person(person_id)
        if person is None:
            raise NotThere(NO_SUCH_PERSON)
        return person

    async def _insist_on_subject(self, limit: Limit) -> None:
        """Whom a limit is for must be there: one for nobody would seem to hold."""
        if limit.scope is Scope.PERSON:
            await self._person(limit.subject)
        elif limit.scope is Scope.TOKEN and all(token.id != limit.subject for token in await self._store.tokens()):
            raise NotThere(NO_SUCH_TOKEN)
        elif limit.scope in (Scope.GROUP, Scope.MEMBER) and not await self._is_group(limit.subject):
            raise NotThere("there is no such group: `group create` makes one")

    async def _is_group(self, name: str) -> bool:
        """Whether a group was made here, or somebody is in one by what the identity provider says."""
        if not NAME.fullmatch(name):
            return False
        if await self._found("group", name) is not None:
            return True
        return any(name in person.claimed for person in await self._store.people())


def joined_id(person_id: str, group: str) -> str:
    """The id of the record that somebody has joined a group by themselves."""
    return f"{person_id}/{group}"


NO_SUCH_GROUP = "there is no such group: `group list` shows them"
NO_SUCH_PERSON = "there is no such person: `user list` shows them"
NO_SUCH_TOKEN = "there is no such token: `token list` shows them by their ids"  # noqa: S105 - words
NAME_TAKEN = "there is already a person of this name"


def _shown(record: Record | None) -> dict[str, Any] | None:
    """A record as it may be noted: the digest of a join code could be guessed from."""
    if record is None:
        return None
    return {name: "***" if name == "join" and value else value for name, value in record.body.items()}
