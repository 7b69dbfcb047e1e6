"""All that is kept of a person, to take away or to be forgotten.

The erasure covers everything that leads to a person: name, address, login, nickname, groups, notes, kept prompts and
answers, sessions, messages; tokens and passes open nothing any more. The usage stays on the ledger, because others'
money was spent with it, under an id that leads to no person. The audit log keeps the changes and the ids of their
actors, since no entry is ever removed; the names, addresses and notes of the person and of their tokens are overwritten
there. At the end the store leaves nothing of the erased texts on the disk (`scrub`).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

import orjson

from server.admin.changes import JOINED, Changes, joined_id, no_such
from server.admin.commands.guest_passes import GuestPassCommands
from server.admin.commands.invitations import KIND as INVITATION
from server.admin.commands.invitations import forget_invitations
from server.auth.accounts import RESERVED, Accounts
from server.auth.sessions import Sessions
from server.ledger.export import refused_fields, request_fields
from server.ledger.limits import Scope, limit_body
from server.ledger.reports import Cursor, Which
from server.ledger.when import iso
from server.policy.commands import CommandError
from server.store import acts
from server.store.base import Audit, Content, Person, Store
from web.wording import Wording

PAGE = 250  # rows of the ledger, or of the audit log
CALLED = frozenset({"name", "email", "nickname", "login", "note"})  # of a person, or of a token
ERASED = "***"
ERASED_FIELDS: Mapping[str, Any] = {
    "disabled": True, "groups": (), "claimed": (), "admin": False, "login": None, "email": None, "last_login_at": None,
    "nickname": None, "note": "", "mails": False, "language": "",
}  # fmt: skip


class PrivacyCommands:
    """The two verbs. Both raise StoreError. `wall` gives UTC milliseconds.

    `forget`: has what is not written yet of a person forgotten.
    """

    def __init__(
        self,
        store: Store,
        changes: Changes,
        accounts: Accounts,
        sessions: Sessions,
        passes: GuestPassCommands,
        wall: Callable[[], int],
        forget: Callable[[str], None] = lambda person_id: None,
    ) -> None:
        self._store, self._changes, self._accounts, self._wall = store, changes, accounts, wall
        self._forget = forget
        self._sessions, self._passes = sessions, passes

    async def export(self, person: Person) -> AsyncGenerator[bytes, None]:
        """Everything that is stored about a person, as one JSON document in pieces."""
        tokens = await self._store.tokens(person.id)
        ids = {person.id, *(token.id for token in tokens)}
        yield b'{"person":' + orjson.dumps(_with_times(asdict(person)))
        yield b',"tokens":' + orjson.dumps([_with_times(asdict(token)) for token in tokens])
        yield b',"passes":' + orjson.dumps([asdict(each) for each in await self._passes.issued(person.id)])
        limits = [limit for limit in await self._changes.limits() if limit.subject in ids or limit.person in ids]
        yield b',"limits":' + orjson.dumps([{"id": limit.id, **limit_body(limit)} for limit in limits])
        invited = [each for each in await self._store.records(INVITATION) if each.body["person"] == person.id]
        yield b',"invitations":' + orjson.dumps([_with_times({"expires_at": it.body["expires_at"]}) for it in invited])
        sessions = [asdict(each) for each in await self._sessions.of(person.id)]
        yield b',"sessions":' + orjson.dumps(list(map(_with_times, sessions)))
        teaches = [group.name for group in await self._changes.groups() if person.id in group.teachers]
        yield b',"teaches":' + orjson.dumps(teaches)
        contents = await self._store.contents(person.id)
        for part, pages in (
            ("contents", _each(map(_content, contents))),
            ("changes", self._audit_pages(ids)),
            ("requests", self._requests(person)),
            ("refused", self._refused(person)),
            ("messages", self._messages(person)),
        ):
            yield f',"{part}":['.encode()
            before = b"\n"
            async for page in pages:
                yield before + b",\n".join(map(orjson.dumps, page))
                before = b",\n"
            yield b"]"
        yield b"}\n"

    async def erase(self, actor: str, person_id: str) -> None:
        """Forget a person. Repeated after an interruption it goes on. Raises CommandError."""
        person = await self._store.person(person_id)
        if person is None:
            raise no_such("person")
        if person.name in RESERVED:
            raise CommandError(Wording("this is no person who could be forgotten"))
        closing = acts.update_person(person_id, {"disabled": True}), acts.close_sessions_of(person_id)
        await self._changes.change(actor, "person.erase", person_id, None, {"disabled": True}, *closing)
        await self._close_doors(actor, person_id)
        await self._forget_decisions(actor, person_id)
        await self._store.forget_contents(person_id)
        await self._store.forget_deliveries_to(person_id)
        await self._store.update_person(person_id, {**ERASED_FIELDS, "name": f"erased-{secrets.token_hex(8)}"})
        ids = {person_id, *(token.id for token in await self._store.tokens(person_id))}
        await self._store.forget_tokens(person_id, self._wall())
        self._forget(person_id)  # now that no token of theirs is known, none of their requests is recorded any more
        await self._store.forget_refused_of(person_id)
        await self._forget_names(ids)
        self._accounts.forget()
        if not await self._store.scrub():
            raise CommandError(Wording("all is erased, but the file's log is in use: erase once more to empty it"))

    async def _close_doors(self, actor: str, person_id: str) -> None:
        for token in await self._store.tokens(person_id):
            if token.revoked_at is None:
                await self._changes.revoke_token(actor, token.id)
        for each in await self._passes.issued(person_id):
            if not each.revoked:
                await self._passes.revoke(actor, each.what.id)

    async def _forget_decisions(self, actor: str, person_id: str) -> None:
        for limit in await self._changes.limits():
            if (limit.scope, limit.subject) == (Scope.PERSON, person_id) or limit.person == person_id:
                await self._changes.remove_limit(actor, limit.id)
        for name in await self._changes.joined(person_id):
            await self._store.remove_record(JOINED, joined_id(person_id, name))
        await forget_invitations(self._store, person_id)
        for group in await self._changes.groups():
            if person_id in group.teachers:
                others = tuple(each for each in group.teachers if each != person_id)
                await self._changes.change_group(actor, replace(group, teachers=others))

    async def _forget_names(self, ids: set[str]) -> None:
        """Overwrite in the audit log what a person and their tokens were called."""
        cursor: Cursor | None = None
        while entries := await self._store.audits(cursor, PAGE):
            for entry in entries:
                if entry.target in ids and (nameless := _nameless(entry)) != entry:
                    await self._store.rewrite_audit(nameless)
            cursor = entries[-1].at, entries[-1].id

    async def _audit_pages(self, ids: set[str]) -> AsyncGenerator[list[dict[str, Any]], None]:
        """The entries of the audit log that are by a person or about them."""
        cursor: Cursor | None = None
        while entries := await self._store.audits(cursor, PAGE):
            if mine := [_entry(each) for each in entries if each.actor in ids or each.target in ids]:
                yield mine
            cursor = entries[-1].at, entries[-1].id

    async def _requests(self, person: Person) -> AsyncGenerator[list[dict[str, Any]], None]:
        cursor: Cursor | None = None
        while rows := await self._store.usage_after(Which(person_id=person.id), cursor, PAGE):
            yield [dict(request_fields(row, person.name)) for row in rows]
            cursor = rows[-1].started_at, rows[-1].request_id

    async def _refused(self, person: Person) -> AsyncGenerator[list[dict[str, Any]], None]:
        cursor: Cursor | None = None
        while found := await self._store.refused_before(Which(person_id=person.id), cursor, PAGE):
            yield [refused_fields(each, person.name) for each in found]
            cursor = found[-1].first_at, found[-1].request_id

    async def _messages(self, person: Person) -> AsyncGenerator[list[dict[str, Any]], None]:
        cursor: Cursor | None = None
        while found := await self._store.deliveries_before(person.id, cursor, PAGE):
            yield [_with_times(asdict(each)) for each in found]
            cursor = found[-1].at, found[-1].id


async def _each(things: Iterable[dict[str, Any]]) -> AsyncGenerator[list[dict[str, Any]], None]:
    for thing in things:
        yield [thing]


def _entry(entry: Audit) -> dict[str, Any]:
    return _with_times(asdict(entry))


def _nameless(entry: Audit) -> Audit:
    """An entry without the names of a person and of their tokens."""
    return replace(entry, before=_overwritten(entry.before), after=_overwritten(entry.after))


def _overwritten(state: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if state is None:
        return None
    return {name: ERASED if name in CALLED and value else value for name, value in state.items()}


def _content(content: Content) -> dict[str, Any]:
    texts = {"asked": _text(content.asked), "answered": _text(content.answered)}
    return {**_with_times({"request_id": content.request_id, "group": content.group, "at": content.at}), **texts}


def _text(raw: bytes) -> str:
    """A text as it is; other contents, such as a sound, in base64."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()


def _with_times(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, with the times as ISO 8601."""
    return {
        name: iso(value) if value is not None and (name == "at" or name.endswith("_at")) else value
        for name, value in fields.items()
    }
