"""Logins in browsers: the person, the end, and the check that a form was sent from our own page.

The cookie holds 32 random bytes; the store keeps their HMAC under a key made of the pepper, so that a stolen database
opens no session. A login always makes a new one, so that no one can prepare a session for another person. A session
ends by its time, by a logout, when its person is disabled, with the token that began it, and all of a person's at once
by `close_all`. The sessions that `ADMIN_KEY` began end when that key is changed.

The token of a form is an HMAC of the cookie: another site can neither read nor guess it.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from server.auth.accounts import OPERATOR
from server.config.specs import Secret
from server.crypto import derived
from server.store.base import Person, Session, Store, Token

ID_LETTERS = 16
LONGEST = 64  # characters of a cookie that is worth a look-up
OF_TOKEN = b"token:"  # before the id of the token that began a session


@dataclass(frozen=True, slots=True)
class Visit:
    """A person with a session. `sealed`: what the login keeps for the logout. `token`: the one that began it."""

    person: Person
    created_at: int
    expires_at: int
    sealed: bytes = field(default=b"", repr=False)
    token: Token | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A session as its person sees it. Its id is part of a digest and opens nothing. Times are UTC milliseconds."""

    id: str
    created_at: int
    expires_at: int


class Sessions:
    """The verbs of a login. `wall` gives UTC milliseconds; all raise StoreError on an outage."""

    def __init__(
        self, store: Store, pepper: bytes, wall: Callable[[], int], hours: int, admin_key: Secret | None = None
    ) -> None:
        self._store, self._wall, self.seconds = store, wall, hours * 3600
        self._digests, self._forms = derived(pepper, "sessions"), derived(pepper, "forms")
        self._operator = hmac.digest(self._digests, admin_key.reveal().encode(), "sha256") if admin_key else None

    async def open(
        self, person_id: str, sealed: bytes = b"", until: int | None = None, token_id: str | None = None
    ) -> str:
        """Begin a session, which ends at `until` at the latest; returns what the cookie holds.

        `token_id`: the token that begins it, and without which it is over.
        """
        now, cookie = self._wall(), new_cookie()
        expires_at = now + self.seconds * 1000 if until is None else min(now + self.seconds * 1000, until)
        if person_id == OPERATOR.person_id:
            sealed = self._operator or b""
        elif token_id is not None:
            sealed = OF_TOKEN + token_id.encode()
        await self._store.open_session(Session(self._digest(cookie), person_id, now, expires_at, sealed))
        return cookie

    async def visit(self, cookie: str | None) -> Visit | None:
        """The session of this cookie; None if there is none, or it has ended."""
        if not cookie or len(cookie) > LONGEST or not cookie.isascii():
            return None
        session = await self._store.session(self._digest(cookie))
        if session is None or self._wall() >= session.expires_at:
            return None
        person = await self._store.person(session.person_id)
        if person is None or person.disabled:
            return None
        if person.id != OPERATOR.person_id:
            return await self._visit(person, session)
        if self._operator is None or not hmac.compare_digest(self._operator, session.sealed):
            return None
        return Visit(replace(person, admin=True), session.created_at, session.expires_at)

    async def _visit(self, person: Person, session: Session) -> Visit | None:
        """A visit of this person; None if the token that began it opens nothing any more."""
        if not session.sealed.startswith(OF_TOKEN):
            return Visit(person, session.created_at, session.expires_at, session.sealed)
        token_id = session.sealed.removeprefix(OF_TOKEN).decode()
        for token in await self._store.tokens(person.id):
            if token.id == token_id and token.is_valid_at(self._wall()):
                return Visit(person, session.created_at, session.expires_at, session.sealed, token)
        return None

    async def person_of(self, cookie: str | None) -> Person | None:
        """The person of this cookie's session."""
        visit = await self.visit(cookie)
        return visit.person if visit else None

    async def close(self, cookie: str | None) -> None:
        """End a session, if it is one."""
        if cookie and len(cookie) <= LONGEST and cookie.isascii():
            await self._store.close_session(self._digest(cookie))

    async def of(self, person_id: str) -> list[Listed]:
        """The sessions of a person that have not ended, the oldest first."""
        found = await self._store.sessions_of(person_id)
        return [
            Listed(_id(each.digest), each.created_at, each.expires_at)
            for each in found
            if self._wall() < each.expires_at
        ]

    async def end(self, person_id: str, session_id: str) -> bool:
        """End one session of a person by its id; False if there is none."""
        for each in await self._store.sessions_of(person_id):
            if hmac.compare_digest(_id(each.digest).encode(), session_id.encode("utf-8", "replace")):
                return await self._store.close_session(each.digest)
        return False

    def id_of(self, cookie: str | None) -> str:
        """By which id the session of this cookie is listed."""
        return _id(self._digest(cookie or ""))

    async def close_all(self, person_id: str) -> int:
        """End all sessions of a person; returns how many."""
        return await self._store.close_sessions_of(person_id)

    def xsrf(self, cookie: str) -> str:
        """The XSRF token in the forms for the browser with this cookie."""
        return _text(hmac.digest(self._forms, cookie.encode(), "sha256"))

    def check(self, cookie: str | None, presented: str | None) -> bool:
        """Whether a form was shown to the browser with this cookie."""
        if not cookie or not presented:
            return False
        return hmac.compare_digest(self.xsrf(cookie).encode(), presented.encode("utf-8", "replace"))

    def _digest(self, cookie: str) -> bytes:
        return hmac.digest(self._digests, cookie.encode(), "sha256")


def new_cookie() -> str:
    """32 bytes of the operating system's randomness, as text."""
    return _text(secrets.token_bytes(32))


def _id(digest: bytes) -> str:
    return digest.hex()[:ID_LETTERS]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
