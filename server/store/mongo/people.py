"""People, their tokens and their logins in MongoDB.

A person is one document and is changed by named fields. A login and a nickname are unique where there is one: they are
absent where there is none, and their indices are sparse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.store.base import Caller, Credential, NameTaken, Person, Session, Token, TokenTerms
from server.store.mongo.connect import Connected, Database, Document, verb
from server.store.mongo.keys import count
from server.store.records import LETS_IN

_PERSON = tuple(each.name for each in fields(Person) if each.name != "id")
_TOKEN = tuple(each.name for each in fields(Token) if each.name not in ("id", "terms"))
_CHANGEABLE = frozenset(_PERSON) - {"created_at"}
_ABSENT_IF_NONE = ("login", "nickname")
_LISTS = ("groups", "claimed")


async def index_people(db: Database) -> None:
    await db.people.create_index("name", unique=True)
    for name in _ABSENT_IF_NONE:
        await db.people.create_index(name, unique=True, sparse=True)
    await db.tokens.create_index("id", unique=True)
    await db.tokens.create_index("person_id")
    await db.sessions.create_index("person_id")
    for collection in (db.sessions, db.marks, db.contents):
        await collection.create_index("expires_at")


class MongoPeople(Connected):
    """The `PeopleVerbs`."""

    @verb
    async def token_by_hash(self, digest: bytes) -> Credential | None:
        token = await self._db.tokens.find_one({"_id": digest})
        person = None if token is None else await self._db.people.find_one({"_id": token["person_id"]})
        return None if token is None or person is None else _credential(_token(token), _person(person))

    @verb
    async def create_person(self, person: Person) -> None:
        values = {name: getattr(person, name) for name in _PERSON}
        present = {name: value for name, value in values.items() if value is not None or name not in _ABSENT_IF_NONE}
        try:
            await self._db.people.insert_one({"_id": person.id, **present})
        except DuplicateKeyError:
            raise NameTaken from None

    @verb
    async def people(self) -> list[Person]:
        return [_person(each) for each in await self._db.people.find().sort("name", ASCENDING).to_list(None)]

    @verb
    async def person(self, person_id: str) -> Person | None:
        return await self._person_where({"_id": person_id})

    @verb
    async def person_by_name(self, name: str) -> Person | None:
        return await self._person_where({"name": name})

    @verb
    async def person_by_login(self, login: str) -> Person | None:
        return await self._person_where({"login": login})

    @verb
    async def set_person_disabled(self, person_id: str, disabled: bool) -> bool:
        return await self._change_person(person_id, {"disabled": disabled})

    @verb
    async def update_person(self, person_id: str, changes: Mapping[str, Any]) -> bool:
        if unknown := changes.keys() - _CHANGEABLE:
            raise ValueError(f"a person's {', '.join(sorted(unknown))} cannot be changed")
        return await self._change_person(person_id, changes)

    @verb
    async def add_token(self, digest: bytes, token: Token) -> None:
        values = {name: getattr(token, name) for name in _TOKEN}
        terms = {each.name: getattr(token.terms, each.name) for each in fields(TokenTerms)}
        await self._db.tokens.insert_one({"_id": digest, "id": token.id, "terms": terms, **values})

    @verb
    async def tokens(self, person_id: str | None = None) -> list[Token]:
        which = {} if person_id is None else {"person_id": person_id}
        oldest_first = [("created_at", ASCENDING), ("id", ASCENDING)]
        return [_token(each) for each in await self._db.tokens.find(which).sort(oldest_first).to_list(None)]

    @verb
    async def revoke_token(self, token_id: str, revoked_at: int) -> bool:
        first = {"id": token_id, "revoked_at": None}
        await self._db.tokens.update_one(first, {"$set": {"revoked_at": revoked_at}})
        await count(self._db, "people")  # also when it is repeated: the first time may have ended before this
        return await self._db.tokens.find_one({"id": token_id}, {"id": 1}) is not None

    @verb
    async def narrow_token(self, before: Token, after: Token) -> bool:
        found = await self._db.tokens.find_one({"id": before.id})
        if found is None or (found["expires_at"], _token(found).terms) != (before.expires_at, before.terms):
            return False
        # As it was read, or it is left alone.
        same = {"id": before.id, "expires_at": before.expires_at, "terms": found["terms"]}
        narrower = {"expires_at": after.expires_at, "terms": _terms(after.terms)}
        narrowed = (await self._db.tokens.update_one(same, {"$set": narrower})).matched_count == 1
        await count(self._db, "people")
        return narrowed

    @verb
    async def forget_tokens(self, person_id: str, revoked_at: int) -> int:
        mine = {"person_id": person_id}
        await self._db.tokens.update_many({**mine, "revoked_at": None}, {"$set": {"revoked_at": revoked_at}})
        await count(self._db, "people")
        await self._db.tokens.update_many(mine, {"$set": {"name": "", "hint": ""}})
        ids = [token["id"] for token in await self._db.tokens.find(mine, {"id": 1}).to_list(None)]
        await self._db.addresses.delete_many({"_id": {"$in": ids}})
        return len(ids)

    @verb
    async def open_session(self, session: Session) -> None:
        values = {each.name: getattr(session, each.name) for each in fields(Session) if each.name != "digest"}
        await self._db.sessions.replace_one({"_id": session.digest}, values, upsert=True)

    @verb
    async def session(self, digest: bytes) -> Session | None:
        found = await self._db.sessions.find_one({"_id": digest})
        return None if found is None else Session(digest=found.pop("_id"), **found)

    @verb
    async def sessions_of(self, person_id: str) -> list[Session]:
        oldest_first = [("created_at", ASCENDING), ("_id", ASCENDING)]
        found = await self._db.sessions.find({"person_id": person_id}).sort(oldest_first).to_list(None)
        return [Session(digest=each.pop("_id"), **each) for each in found]

    @verb
    async def close_session(self, digest: bytes) -> bool:
        return (await self._db.sessions.delete_one({"_id": digest})).deleted_count == 1

    @verb
    async def close_sessions_of(self, person_id: str) -> int:
        return (await self._db.sessions.delete_many({"person_id": person_id})).deleted_count

    @verb
    async def use_once(self, mark: str, expires_at: int) -> bool:
        try:
            await self._db.marks.insert_one({"_id": mark, "expires_at": expires_at})
        except DuplicateKeyError:
            return False
        return True

    @verb
    async def note_address(self, token_id: str, address: str, most: int) -> bool:
        known = await self._db.addresses.find_one({"_id": token_id})
        addresses = [] if known is None else known["addresses"]
        if address in addresses or len(addresses) >= most:
            return address in addresses
        # Another address that was noted in between has moved the end: then this one is tried again, at its new place.
        place = {"_id": token_id, f"addresses.{len(addresses)}": {"$exists": False}}
        note = {"$addToSet": {"addresses": address}}
        try:
            await self._db.addresses.find_one_and_update(place, note, upsert=True, return_document=ReturnDocument.AFTER)
        except DuplicateKeyError:
            return await self.note_address(token_id, address, most)
        return True

    @verb
    async def forget_expired(self, now: int) -> int:
        expired = {"expires_at": {"$lt": now}}
        rooms = (self._db.sessions, self._db.marks, self._db.contents)
        return sum([(await room.delete_many(expired)).deleted_count for room in rooms])

    async def _person_where(self, condition: Document) -> Person | None:
        found = await self._db.people.find_one(condition)
        return None if found is None else _person(found)

    async def _change_person(self, person_id: str, changes: Mapping[str, Any]) -> bool:
        gone = {name: "" for name in changes if name in _ABSENT_IF_NONE and changes[name] is None}
        kept = {name: value for name, value in changes.items() if name not in gone}
        update = {word: named for word, named in (("$set", kept), ("$unset", gone)) if named}
        if not update:
            return await self._db.people.find_one({"_id": person_id}, {"_id": 1}) is not None
        try:
            changed = (await self._db.people.update_one({"_id": person_id}, update)).matched_count == 1
        except DuplicateKeyError:
            raise NameTaken from None
        if not changes.keys().isdisjoint(LETS_IN):
            await count(self._db, "people")
        return changed


def _person(found: Document) -> Person:
    values = {name: found[name] for name in _PERSON if name in found}
    return Person(id=found["_id"], **values | {name: tuple(values.get(name, ())) for name in _LISTS})


def _token(found: Document) -> Token:
    terms: Document = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found["terms"].items()
    }
    return Token(id=found["id"], terms=TokenTerms(**terms), **{name: found[name] for name in _TOKEN})


def _terms(terms: TokenTerms) -> Document:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(terms).items()}


def _credential(token: Token, person: Person) -> Credential:
    groups = tuple(dict.fromkeys((*person.groups, *person.claimed)))
    caller = Caller(
        person.id,
        person.name,
        token.id,
        groups=groups,
        admin=person.admin,
        terms=token.terms,
        ends_at=token.expires_at,
    )
    return Credential(caller, person.disabled, token.expires_at, token.revoked_at, person.last_login_at)
