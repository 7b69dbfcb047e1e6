"""The administrators' interface of OAI Reverse Proxy: `/admin/users`, in its words.

A "user" there is a token here; its person is found by the nickname. The token itself is shown once, when it is made:
afterwards it is named by its id. A field that our model has no place for is refused, not forgotten.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from server.admin.commands.tokens import WantedToken
from server.auth.token_format import budget_id
from server.http.compat.base import CompatHandler
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.reports import By, Days, Sum, Which
from server.policy.commands import CommandError, NotThere
from server.store.base import Caller, Person, Token, TokenTerms
from server.wire.errors import InvalidValue, MissingParameter, UnknownId

KINDS = ("normal", "special", "temporary")
LONGEST_NOTE = 1000
COUNTED = frozenset({"token", "ip", "promptCount", "tokenCounts", "createdAt", "lastUsedAt", "disabledReason", "meta"})
FIXED = ("nickname", "type", "tokenLimits", "expiresAt", "maxIps")


class AdminHandler(CompatHandler):
    """For administrators only."""

    caller: Caller

    async def admit(self) -> None:
        await super().admit()
        self.caller = await self.authenticate_admin()

    async def users(self, token_id: str | None = None) -> list[dict[str, Any]]:
        """All users, or the one of this token. Raises UnknownId."""
        store = self.services.store
        people = {person.id: person for person in await store.people()}
        used: dict[str | None, list[Sum]] = {}
        for each in await store.sums(Days(token_id=token_id), (By.TOKEN, By.MODEL)):
            used.setdefault(each.key[0], []).append(each)
        tokens = [each for each in await store.tokens() if token_id in (None, each.id)]
        if token_id is not None and not tokens:
            raise UnknownId
        limits = self.services.book.limits
        return [user_json(each, people[each.person_id], used.get(each.id, ()), limits) for each in tokens]

    async def change(self, token_id: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Change the note or disable; what else is in the document must be as it is. Raises InvalidValue, UnknownId."""
        (user,) = await self.users(token_id)
        check_change(user, document)
        (token,) = [each for each in await self.services.store.tokens() if each.id == token_id]
        if (note := document.get("adminNote", user["adminNote"])) != user["adminNote"]:
            await self.services.people.change(self.caller.person_id, token.person_id, {"note": note})
        if document.get("disabledAt") is not None and user["disabledAt"] is None:
            await self.revoke(token_id)
        return (await self.users(token_id))[0]

    async def revoke(self, token_id: str) -> None:
        try:
            await self.services.changes.revoke_token(self.caller.person_id, token_id)
        except NotThere:
            raise UnknownId from None


class AdminUsers(AdminHandler):
    """`/admin/users`"""

    async def get(self) -> None:
        users = await self.users()
        self.finish({"users": users, "count": len(users)})

    async def post(self) -> None:
        """A new user; answers with the token, which is shown only once, and its id."""
        document = self.document() if self._body is not None and self._body.came else {}
        services, actor, wanted = self.services, self.caller.person_id, wanted_user(document, self.services.wall())
        try:
            person = await self._person(wanted)
            made = WantedToken("admin", wanted.expires_at, wanted.terms, tokens=wanted.token_limits)
            token, secret = await services.tokens.create(self.maker(self.caller), actor, person.id, made)
        except CommandError:
            raise InvalidValue("nickname") from None
        await services.take_effect()
        self.set_header("Cache-Control", "no-store")
        self.finish({"token": secret, "id": token.id})

    async def _person(self, wanted: WantedUser) -> Person:
        """The person of the nickname, with the note; a new one if there is none. Raises CommandError."""
        people, actor = self.services.people, self.caller.person_id
        name = wanted.name or f"user-{secrets.token_hex(4)}"
        found = await self.services.store.person_by_name(name)
        if found is None:
            return await people.create(actor, name, note=wanted.note)
        return await people.change(actor, found.id, {"note": wanted.note}) if wanted.note else found

    async def put(self) -> None:
        """Change many: `{"users": [{"token": id, ...}]}`."""
        users = self.document().get("users")
        if not isinstance(users, list) or not all(isinstance(each, dict) for each in users):
            raise InvalidValue("users")
        changed = [await self.change(str(each.get("token")), each) for each in users]
        self.finish({"upserted_users": changed, "count": len(changed)})


class AdminUser(AdminHandler):
    """`/admin/users/{token id}`"""

    async def get(self, token_id: str) -> None:
        (user,) = await self.users(token_id)
        rows = await self.services.store.usage_before(Which(token_id=token_id), None, 1)
        self.finish(user | {"lastUsedAt": rows[0].started_at if rows else None})

    async def put(self, token_id: str) -> None:
        self.finish(await self.change(token_id, self.document()))

    async def delete(self, token_id: str) -> None:
        await self.revoke(token_id)
        self.finish((await self.users(token_id))[0])


class WantedUser:
    """The fields of a new user. Raises InvalidValue, MissingParameter."""

    def __init__(self, document: Mapping[str, Any], now: int) -> None:
        self.name = text_in(document, "nickname", 64)
        self.note = text_in(document, "adminNote", LONGEST_NOTE)
        self.expires_at = document.get("expiresAt")
        if self.expires_at is not None and not is_whole(self.expires_at, now + 1, 10**14):
            raise InvalidValue("expiresAt")
        self.terms = _terms(document)
        if self.terms.kind == "temporary" and self.expires_at is None:
            raise MissingParameter("expiresAt")
        self.token_limits = _token_limits(document)


def wanted_user(document: Mapping[str, Any], now: int) -> WantedUser:
    if not document.keys() <= {"nickname", "type", "expiresAt", "maxIps", "adminNote", "tokenLimits"}:
        raise InvalidValue("body")
    return WantedUser(document, now)


def _terms(document: Mapping[str, Any]) -> TokenTerms:
    kind, addresses = document.get("type", "normal"), document.get("maxIps") or 0
    if kind not in KINDS:
        raise InvalidValue("type")
    if not is_whole(addresses, 0, 1000):
        raise InvalidValue("maxIps")
    return TokenTerms(kind=kind, addresses=addresses)


def _token_limits(document: Mapping[str, Any]) -> dict[str, int]:
    """Tokens in all, by patterns of models; 0 is no limit, as there."""
    limits = document.get("tokenLimits") or {}
    if not isinstance(limits, dict) or not all(is_whole(amount, 0, 10**15) for amount in limits.values()):
        raise InvalidValue("tokenLimits")
    try:
        for family in limits:
            Limit("new", Scope.TOKEN, "new", Unit.TOKENS, LimitWindow.EVER, 0, family)
    except ValueError:
        raise InvalidValue("tokenLimits") from None
    return {family: amount for family, amount in limits.items() if amount}


def is_whole(value: object, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def text_in(document: Mapping[str, Any], name: str, longest: int) -> str:
    value = document.get(name) or ""
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise InvalidValue(name)
    return value


def check_change(user: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    """Raises InvalidValue for a change that is not possible. Counted fields may come back, and are ignored."""
    for name in FIXED:
        if name in document and document[name] != user[name]:
            raise InvalidValue(name)
    if not document.keys() <= {*COUNTED, *FIXED, "adminNote", "disabledAt"}:
        raise InvalidValue("body")
    text_in(document, "adminNote", LONGEST_NOTE)
    if user["disabledAt"] is not None and document.get("disabledAt", user["disabledAt"]) is None:
        raise InvalidValue("disabledAt")  # a revocation is final


def user_json(token: Token, person: Person, used: Iterable[Sum], limits: Iterable[Limit]) -> dict[str, Any]:
    """A token in the words of that interface. There are no addresses in it: they are not kept."""
    sums = list(used)
    return {
        "token": token.id,
        "ip": [],
        "nickname": person.name,
        "type": token.terms.kind,
        "promptCount": sum(each.requests for each in sums),
        "tokenCounts": {str(each.key[1]): each.input + each.output for each in sums},
        "tokenLimits": {
            limit.family: limit.amount
            for limit in limits
            if (limit.scope, limit.subject, limit.unit) == (Scope.TOKEN, budget_id(token.id), Unit.TOKENS)
        },
        "createdAt": token.created_at,
        "expiresAt": token.expires_at,
        "maxIps": token.terms.addresses or None,
        "adminNote": person.note,
        "disabledAt": token.revoked_at,
        "disabledReason": "revoked" if token.revoked_at else "the person is disabled" if person.disabled else None,
    }
