"""Changes: the only way in which administrators change limits, prices, groups, notices, people and tokens.

The command line and the web ask for the same verbs. `change` is the one step of all of them: what is written, and the
entry in the audit log that says who changes what, how it was and how it will be. On the embedded store both happen or
neither; in MongoDB nothing happens that is not in the log, and an entry whose end the database did not confirm says so
(`Store.change`). Secrets are never noted. A change of a thing that has changed since it was read is refused.

Running gateways read what has changed within seconds (`RuntimeConfig`). A change that takes a right away holds at once
in this process (`changed`), and ends the person's logins in browsers everywhere.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from server.admin.records import ALIASES, GROUPS, KINDS, LIMITS, NOTICES, PRICES, RecordKind, shown
from server.auth.accounts import checked_name
from server.auth.token_format import budget_id
from server.ledger.limits import Limit, Scope, limit_body
from server.ledger.money import MOST
from server.ledger.prices import Price
from server.ledger.reports import Cursor
from server.policy.aliases import Alias
from server.policy.commands import AlreadyThere, CommandError, NotThere
from server.policy.groups import LEFT, NAME, Group, group_body
from server.policy.notices import Notice
from server.store import acts
from server.store.acts import Act, Outdated
from server.store.base import Audit, NameTaken, Person, Record, Store
from web.wording import Wording

T = TypeVar("T")
Body = Mapping[str, Any]

OPERATOR = "operator"  # the actor at the command line
NEW = "new"  # the id of a limit that gets one
JOINED = "joined"  # the kind of record that says who has become a member by themselves


class Overtaken(CommandError):
    """Another one has changed the same thing since it was read."""


class Changes:
    """The verbs. `actor` is a person's id, or `OPERATOR`; `wall` gives UTC milliseconds, `new_id` an id never used.

    `changed` is called when what is remembered of people and tokens is true no more. `upstreams` are those of the
    settings. All raise CommandError, of which NotThere and AlreadyThere are two, and StoreError on an outage.
    """

    def __init__(
        self,
        store: Store,
        wall: Callable[[], int],
        new_id: Callable[[], str],
        changed: Callable[[], None] = lambda: None,
        upstreams: Iterable[str] = (),
    ) -> None:
        self._store, self._wall, self.new_id, self.changed = store, wall, new_id, changed
        self._upstreams = frozenset(upstreams)
        self._membership = asyncio.Lock()  # a person's groups are read, and written with a change

    async def change(
        self, actor: str, action: str, target: str, before: Body | None, after: Body | None, *writes: Act
    ) -> None:
        """Make a change and note it: the one step of every verb.

        Raises AlreadyThere for a name that is taken, and Overtaken for what is not any more as it was read.
        """
        entry = Audit(self.new_id(), self._wall(), actor, action, target, before, after)
        try:
            await self._store.change(entry, writes)
        except NameTaken:
            raise AlreadyThere(NAME_TAKEN) from None
        except Outdated:
            raise Overtaken(Wording("another one has changed this meanwhile; look at it again")) from None

    async def limits(self) -> list[Limit]:
        """Those decided at run time, by id; what cannot be read is left out, see `unreadable`."""
        return await self._all(LIMITS)

    async def set_limit(self, actor: str, wanted: Limit, new: bool = False) -> Limit:
        """Write a limit: in place of one of the same id, or of the same purpose. Returns it as it is kept.

        One of the same purpose (`purpose`) keeps its id and its increase: there are never two for the same. One with
        the id NEW gets one that its purpose makes. A token's limit is that of all tokens which took its place: a new
        secret is no new budget. Raises NotThere for a subject that is not there, AlreadyThere if this id is to become a
        second one of a purpose, and with `new` for any that exists.
        """
        await self.insist_on_subject(wanted)
        limit = replace(wanted, subject=budget_id(wanted.subject)) if wanted.scope is Scope.TOKEN else wanted
        limit = replace(limit, id=limit_id(limit)) if limit.id == NEW else limit
        known = await self.limits()
        same = next((each for each in known if purpose(each) == purpose(limit)), None)
        if new and same is not None:
            raise AlreadyThere(Wording("there is already a limit for the same purpose"))
        if same is not None and same.id != limit.id and any(each.id == limit.id for each in known):
            raise AlreadyThere(Wording("there is already a limit for the same purpose"))
        if same is not None:
            extra, until = (limit.extra, limit.extra_until) if limit.extra else (same.extra, same.extra_until)
            limit = replace(limit, id=same.id, extra=extra, extra_until=until)
        await self._put(actor, LIMITS, limit.id, limit, new=new)
        return limit

    async def raise_limit(self, actor: str, limit_id: str, extra: int, until: int) -> None:
        """Allow `extra` (micro-USD, tokens or requests) more until then (UTC ms), in place of an earlier increase."""
        limit = LIMITS.readable(await self._record("limit", limit_id))
        if limit is None:
            raise CommandError(Wording("this limit cannot be read: set it anew"))
        if not 0 < extra <= MOST:
            raise CommandError(Wording("expected an increase of more than nothing"))
        if until <= self._wall():
            raise CommandError(Wording("the end of the increase lies in the past"))
        await self._put(actor, LIMITS, limit_id, replace(limit, extra=extra, extra_until=until), "raise")

    async def remove_limit(self, actor: str, limit_id: str) -> None:
        await self._remove(actor, "limit", limit_id)

    async def prices(self) -> list[Price]:
        """Those decided at run time, by id; neither the price file's nor the providers'."""
        return await self._all(PRICES)

    async def limit_like(self, wanted: Limit) -> Limit | None:
        """The limit in whose place this one would be written."""
        whose = budget_id(wanted.subject) if wanted.scope is Scope.TOKEN else wanted.subject
        like = purpose(replace(wanted, subject=whose))
        known = await self.limits()
        return next((each for each in known if purpose(each) == like or each.id == wanted.id), None)

    async def set_price(self, actor: str, price: Price, new: bool = False) -> None:
        """Write a price; with `new` only if there is none of this id.

        Rows that are on the ledger keep their cost until they are repriced.
        """
        await self._put(actor, PRICES, price.id, price, new=new)

    async def remove_price(self, actor: str, price_id: str) -> None:
        await self._remove(actor, "price", price_id)

    async def groups(self) -> list[Group]:
        return await self._all(GROUPS)

    async def group(self, name: str) -> Group:
        """Raises NotThere; so it does for a record that cannot be read."""
        found = next((each for each in await self.groups() if each.name == name), None)
        if found is None:
            raise no_such("group")
        return found

    async def create_group(
        self, actor: str, group: Group, limits: Iterable[Limit] = (), also: Iterable[Act] = ()
    ) -> None:
        """Make a group, and limits that it has from its first moment on; its teachers are people's ids.

        `also`: what is written in the same step, and stands in no entry.

        Raises AlreadyThere: what exists is never written over.
        """
        for teacher in group.teachers:
            await self._person(teacher)
        record = Record("group", group.name, group_body(group))
        bounds = {each.id: limit_body(each) for each in limits}
        after = {**(shown(record) or {}), **({"limits": bounds} if bounds else {})}
        writes = [acts.put_record(Record("limit", name, body)) for name, body in bounds.items()]
        try:
            await self.change(
                actor, "group.create", group.name, None, after, acts.swap_record(None, record), *writes, *also
            )
        except Overtaken:
            raise AlreadyThere(Wording("there is already a group of this name"), "`group change` changes it") from None

    async def change_group(self, actor: str, group: Group, also: Iterable[Act] = ()) -> None:
        """Write a group as it shall be, in place of the one of this name. Raises NotThere. `also`: as above."""
        await self._record("group", group.name)
        for teacher in group.teachers:
            await self._person(teacher)
        await self._put(actor, GROUPS, group.name, group, "change", also=also)

    async def remove_group(self, actor: str, name: str) -> None:
        """Forget what a group gives. Its name stays with its members as a label, and so do limits that name it."""
        await self._remove(actor, "group", name)

    async def notices(self) -> list[Notice]:
        return await self._all(NOTICES)

    async def set_notice(self, actor: str, notice: Notice, new: bool = False) -> None:
        await self._put(actor, NOTICES, notice.id, notice, new=new)

    async def remove_notice(self, actor: str, notice_id: str) -> None:
        await self._remove(actor, "notice", notice_id)

    async def aliases(self) -> list[Alias]:
        """Those decided at run time; those of the settings hold beside them."""
        return await self._all(ALIASES)

    async def set_alias(self, actor: str, alias: Alias, new: bool = False) -> None:
        """Write a name for a model; with `new` only if there is none of this name."""
        await self._put(actor, ALIASES, alias.name, alias, new=new)

    async def remove_alias(self, actor: str, name: str) -> None:
        """Forget a name. One of the settings by this name holds again."""
        await self._remove(actor, "alias", name)

    async def unreadable(self) -> list[Record]:
        """Records that count for nothing because they cannot be read. They can be removed, or written anew."""
        return [
            record
            for shelf in KINDS.values()
            for record in await self._store.records(shelf.kind)
            if shelf.readable(record) is None
        ]

    async def person_named(self, name: str) -> Person:
        person = await self._store.person_by_name(name)
        if person is None:
            raise no_such("person")
        return person

    async def put_in_group(self, actor: str, person_id: str, group: str) -> None:
        """Make a person a member. One who joined by themselves cannot leave once an operator has put them there."""
        async with self._membership:
            person = await self._person(person_id)
            if group != LEFT:
                await self._record("group", group)
            is_member, by_oneself = group in person.groups, actor == person_id
            if is_member and (by_oneself or group not in await self.joined(person_id)):
                return
            name = joined_id(person_id, group)
            mark = acts.put_record(Record(JOINED, name, {})) if by_oneself else acts.drop_record(JOINED, name)
            groups = person.groups if is_member else (*person.groups, group)
            await self._update(actor, "person.groups", person, {"groups": groups}, mark)

    async def take_from_group(self, actor: str, person_id: str, group: str) -> None:
        """End a membership that was given here. The identity provider's memberships cannot be changed here.

        A person leaves only a group that they joined by themselves, and a mark (`LEFT`) keeps that they have left one:
        their rights differ from those of a person who has never been in a group.
        """
        async with self._membership:
            person, leaves = await self._person(person_id), actor == person_id
            if group not in person.groups:
                raise CommandError(Wording("this person has no membership in this group that was given here"))
            if leaves and await self._found(JOINED, joined_id(person_id, group)) is None:
                raise CommandError(Wording("an administrator has put you into this group, and takes you out of it"))
            left = tuple(name for name in person.groups if name not in (group, LEFT))
            mark = acts.drop_record(JOINED, joined_id(person_id, group))
            await self._update(actor, "person.groups", person, {"groups": (*left, LEFT) if leaves else left}, mark)

    async def joined(self, person_id: str) -> list[str]:
        """The groups that a person has joined by themselves, and so may leave."""
        prefix = joined_id(person_id, "")
        found = [record.id for record in await self._store.records(JOINED)]
        return [each.removeprefix(prefix) for each in found if each.startswith(prefix)]

    async def set_admin(self, actor: str, person_id: str, admin: bool) -> None:
        await self._update(actor, "person.admin", await self._person(person_id), {"admin": admin})

    async def set_disabled(self, actor: str, person_id: str, disabled: bool) -> None:
        """Disable all tokens of a person and end their logins, or enable them again."""
        ends = (acts.close_sessions_of(person_id),) if disabled else ()
        await self._update(actor, "person.disabled", await self._person(person_id), {"disabled": disabled}, *ends)

    async def rename(self, actor: str, person_id: str, name: str) -> None:
        """The name is unique and has 1 to 64 printable characters."""
        await self._update(actor, "person.name", await self._person(person_id), {"name": checked_name(name)})

    async def revoke_token(self, actor: str, token_id: str) -> None:
        """Revoke one token, for good."""
        now = self._wall()
        for token in await self._store.tokens():
            if token.id == token_id:
                before, after = {"revoked_at": token.revoked_at}, {"revoked_at": token.revoked_at or now}
                await self.change(actor, "token.revoke", token_id, before, after, acts.revoke_token(token_id, now))
                self.changed()
                return
        raise no_such("token")

    async def audits(self, cursor: Cursor | None, limit: int) -> list[Audit]:
        """The next entries, the newest first; the cursor is time and id of the last one seen."""
        return await self._store.audits(cursor, limit)

    async def audit(self, entry_id: str) -> Audit | None:
        """One entry of the log."""
        return await self._store.audit(entry_id)

    async def note(
        self, actor: str, action: str, target: str, before: Body | None, after: Body | None, entry_id: str = ""
    ) -> None:
        """Note what is no change in the store. An entry of an id that is there already is not repeated."""
        entry = Audit(entry_id or self.new_id(), self._wall(), actor, action, target, before, after)
        await self._store.append_audit(entry)

    async def _all(self, shelf: RecordKind[T]) -> list[T]:
        read = map(shelf.readable, await self._store.records(shelf.kind))
        return [thing for thing in read if thing is not None]

    async def _put(
        self,
        actor: str,
        shelf: RecordKind[T],
        record_id: str,
        thing: T,
        verb: str = "set",
        new: bool = False,
        also: Iterable[Act] = (),
    ) -> None:
        record = Record(shelf.kind, record_id, shelf.body(thing))
        before = await self._found(shelf.kind, record_id)
        if new and before is not None:
            raise AlreadyThere(Wording("there is already a %(kind)s of this id", kind=Wording(shelf.kind)))
        swap = acts.swap_record(before, record)
        await self.change(actor, f"{shelf.kind}.{verb}", record_id, shown(before), shown(record), swap, *also)

    async def _remove(self, actor: str, kind: str, record_id: str) -> None:
        before = await self._record(kind, record_id)
        await self.change(actor, f"{kind}.remove", record_id, shown(before), None, acts.swap_record(before, None))

    async def _record(self, kind: str, record_id: str) -> Record:
        record = await self._found(kind, record_id)
        if record is None:
            raise no_such(kind)
        return record

    async def _found(self, kind: str, record_id: str) -> Record | None:
        return next((each for each in await self._store.records(kind) if each.id == record_id), None)

    async def _update(self, actor: str, action: str, person: Person, changes: Body, *more: Act) -> None:
        before = {field: getattr(person, field) for field in changes}
        await self.change(actor, action, person.id, before, changes, acts.update_person(person.id, changes), *more)
        self.changed()

    async def _person(self, person_id: str) -> Person:
        person = await self._store.person(person_id)
        if person is None:
            raise no_such("person")
        return person

    async def insist_on_subject(self, limit: Limit) -> None:
        """Raises NotThere if the subject of a limit does not exist: such a limit would seem to hold."""
        if limit.scope is Scope.PERSON:
            await self._person(limit.subject)
        elif limit.scope is Scope.TOKEN and all(token.id != limit.subject for token in await self._store.tokens()):
            raise no_such("token")
        elif limit.scope in (Scope.GROUP, Scope.MEMBER) and not await self._is_group(limit.subject):
            raise NotThere(Wording("there is no such group"), "`group create` makes one")
        elif limit.scope is Scope.UPSTREAM and not await self._is_upstream(limit.subject):
            raise NotThere(Wording("there is no such upstream"), "`key list` names them")

    async def _is_upstream(self, name: str) -> bool:
        return name in self._upstreams or any(key.spec.name == name for key in await self._store.added_keys())

    async def _is_group(self, name: str) -> bool:
        """Whether a group was made here, or the identity provider puts at least one person into it."""
        if not NAME.fullmatch(name):
            return False
        if await self._found("group", name) is not None:
            return True
        return any(name in person.claimed for person in await self._store.people())


def joined_id(person_id: str, group: str) -> str:
    """The id of the record that a person has joined a group by themselves."""
    return f"{person_id}/{group}"


def purpose(limit: Limit) -> tuple[object, ...]:
    """The fields that a limit shares with one that it replaces: all but the amount."""
    whose = (limit.scope, limit.subject, *([limit.person] if limit.person else ()))
    return (*map(str, (*whose, *limit.kind)), limit.since, limit.until)


def limit_id(limit: Limit) -> str:
    """An id that is made of the purpose."""
    return f"lim_{hashlib.sha256(repr(purpose(limit)).encode()).hexdigest()[:10]}"


def no_such(kind: str) -> NotThere:
    """The error for a thing that does not exist."""
    noun = {"person": "user"}.get(kind, kind)
    return NotThere(Wording("there is no such %(kind)s", kind=Wording(kind)), f"`{noun} list` shows them")


NAME_TAKEN = Wording("there is already a person of this name")
