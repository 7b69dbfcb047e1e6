"""Who is calling: one account's story, without a framework.

A gatekeeper token is `fg_`, 32 random bytes in base64url (43 characters) and a checksum of 6 characters, so that a
secret scanner finds it by the pattern in `TOKEN_PATTERN` and tells a real one from a look-alike without asking us.
The checksum is no secret: it only spares the store the look-up of what cannot be a token.

Kept is the HMAC-SHA256 of a token under the *pepper*, a secret that is not in the database: whoever steals the database
can neither use a token nor test a guess. The random part has 256 bits, so a slow hash would protect nothing more. A
token is never compared, cut or used as text in a query: its digest is a key, found or not.

Every refusal is the same `InvalidKey`, raised in one place, and everything that is shaped like a token goes the same
way through digest and store before it is refused, whether it is unknown, revoked, expired or its person is disabled.

A valid answer is remembered for `cache_seconds`: a revocation in another process takes effect within that time, one in
this process at once. Only valid answers are kept, so that refusals take one path in time, too. While the store is away
an answer may be older, up to `outage_seconds`: people go on, and a revocation waits as long at most.

Failures are counted by address. From the 31st in a minute on, further *failures* are told to slow down; a valid token
from that address still passes, because a whole campus may share it and one broken script must not lock it out. The
limit is there for the logs and the database: guessing 256 bits is hopeless at any speed.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

from server.store.base import Caller, Credential, NameTaken, Person, Store, StoreError, Terms, Token
from server.store.pepper import pepper_for
from server.wire.errors import AccountingUnavailable, ClientError, InvalidKey, RateLimited

__all__ = ["AccountError", "Accounts", "Mode", "looks_like_token", "new_token", "pepper_for"]

Mode = Literal["user_token", "shared", "none"]

Lookup = Callable[[bytes], Awaitable[Credential | None]]

CACHE_ENTRIES = 10_000
ANY_TERMS = Terms()
FAILURES_ALLOWED = 30
FAILURE_SECONDS = 60.0
ADDRESSES_WATCHED = 10_000

PREFIX = "fg_"
TOKEN_PATTERN = r"fg_[A-Za-z0-9_-]{49}"  # noqa: S105 - a pattern for secret scanners, not a secret
_TOKEN = re.compile(TOKEN_PATTERN)

# Where no personal token is asked for, everybody is one person and so one flow. Both names are kept for that.
SHARED = Caller("shared", "shared", None)
EVERYONE = Caller("everyone", "everyone", None)
# Who holds ADMIN_KEY: the first administrator, before there are any people.
OPERATOR = Caller("operator", "operator", None, admin=True)
RESERVED = {caller.person_name for caller in (SHARED, EVERYONE, OPERATOR)}


class AccountError(ValueError):
    """The operator asked for what cannot be done; the text says what, without repeating what was typed."""


class Accounts:
    """People and their tokens: the question of every request, and the operator's verbs.

    `clock` gives monotonic seconds, `wall` milliseconds since 1970 (UTC). Call `prepare()` once the store is open.
    """

    def __init__(
        self,
        store: Store,
        mode: Mode,
        proxy_key: str,
        pepper: bytes,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        cache_seconds: float = 5.0,
        admin_key: str = "",
        lookup: Lookup | None = None,
        outage_seconds: float = 0.0,
    ) -> None:
        if mode == "shared" and not proxy_key:
            raise ValueError("a shared gatekeeper needs PROXY_KEY")
        if not pepper:
            raise ValueError("the pepper is empty")
        self._store, self._mode, self._pepper = store, mode, pepper
        self._lookup, self._outage_seconds = lookup or store.token_by_hash, outage_seconds
        self._clock, self._wall = clock, wall
        self._proxy_digest = self._digest(proxy_key)
        self._admin_digest = self._digest(admin_key) if admin_key else None
        self._cache = _Cache(cache_seconds)
        self._failures = _Failures()

    async def authenticate(self, authorization: str | None, api_key: str | None, address: str) -> Caller:
        """Who presents these headers: the whole `Authorization` and the whole `X-Api-Key`, None where absent.

        Raises `InvalidKey`; `RateLimited` instead, from the 31st failure in a minute of `address` on; and
        `AccountingUnavailable` if the store is out of reach and the token is not remembered.
        """
        presented = _presented(authorization, api_key)
        if presented is not None and self._is_operator(presented):
            return OPERATOR
        if self._mode == "none":
            return EVERYONE
        if presented is not None:
            caller = self._shared(presented) if self._mode == "shared" else await self._person_of(presented)
            if caller is not None:
                return caller
        raise self._refusal(address)

    async def person_named(self, name: str) -> Caller:
        """The person of a name that somebody trustworthy vouches for; new ones are welcome.

        Raises `InvalidKey` for one who is disabled or cannot be called so, and `AccountingUnavailable`.
        """
        try:
            person = await self._store.person_by_name(_checked(name)) or await self._welcomed(name)
        except AccountError:
            raise InvalidKey from None
        except StoreError as error:
            raise AccountingUnavailable from error
        if person.disabled:
            raise InvalidKey
        return Caller(person.id, person.name, None, groups=tuple(dict.fromkeys((*person.groups, *person.claimed))))

    async def _welcomed(self, name: str) -> Person:
        """A new person; the same one for two requests that are the first at once."""
        try:
            return await self.create_person(name)
        except AccountError:
            return await self._person(name)

    async def prepare(self) -> None:
        """See to it that the people exist whom nobody creates: the operator, and whom everybody is in this mode."""
        needed = {"user_token": [], "shared": [SHARED], "none": [EVERYONE]}[self._mode]
        if self._admin_digest is not None:
            needed.append(OPERATOR)
        for caller in needed:
            with suppress(NameTaken):
                await self._store.create_person(Person(caller.person_id, caller.person_name, False, self._wall()))

    async def create_person(self, name: str) -> Person:
        """Add a person. The name is unique and has 1 to 64 printable characters."""
        person = Person(f"usr_{secrets.token_hex(8)}", _checked(name), False, self._wall())
        try:
            await self._store.create_person(person)
        except NameTaken:
            raise AccountError("there is already a person of this name") from None
        return person

    async def people(self) -> list[Person]:
        """Everybody, by name."""
        return await self._store.people()

    async def disable(self, person_name: str) -> None:
        """Close the door for all tokens of a person, until `enable`."""
        await self._store.set_person_disabled((await self._person(person_name)).id, True)
        self._cache = _Cache(self._cache.seconds)

    async def enable(self, person_name: str) -> None:
        """Let a disabled person in again."""
        await self._store.set_person_disabled((await self._person(person_name)).id, False)

    async def create_token(
        self, person_name: str, name: str, expires_at: int | None = None, terms: Terms = ANY_TERMS
    ) -> tuple[Token, str]:
        """Make a token of a person; the text is the secret, which is shown now and never again.

        `expires_at` is in milliseconds since 1970, UTC; None is never.
        """
        now = self._wall()
        if expires_at is not None and expires_at <= now:
            raise AccountError("the expiry lies in the past")
        person = await self._person(person_name)
        secret = new_token()
        hint = f"{PREFIX}…{secret[-4:]}"
        token = Token(f"tok_{secrets.token_hex(8)}", person.id, _checked(name), hint, now, expires_at, terms=terms)
        await self._store.add_token(self._digest(secret), token)
        return token, secret

    async def tokens(self, person_name: str | None = None) -> list[Token]:
        """The tokens of one person, or all; the oldest first."""
        person_id = None if person_name is None else (await self._person(person_name)).id
        return await self._store.tokens(person_id)

    async def revoke(self, token_id: str) -> None:
        """Close the door for one token, for good."""
        if not await self._store.revoke_token(token_id, self._wall()):
            raise AccountError("there is no such token")
        self._cache = _Cache(self._cache.seconds)

    async def _person_of(self, presented: str) -> Caller | None:
        if not looks_like_token(presented):
            return None
        digest, asked_at = self._digest(presented), self._clock()
        remembered = self._cache.get(digest, asked_at)
        if remembered is not None and remembered.valid_at(self._wall()):
            return remembered.caller
        return await self._looked_up(digest, asked_at)

    async def _looked_up(self, digest: bytes, asked_at: float) -> Caller | None:
        cache = self._cache  # if a revocation replaces it meanwhile, this answer is not remembered
        try:
            credential = await self._lookup(digest)
        except StoreError as error:
            known = cache.get(digest, asked_at, self._outage_seconds)
            if known is not None and known.valid_at(self._wall()):
                return known.caller
            raise AccountingUnavailable from error
        if credential is None or not credential.valid_at(self._wall()):
            return None
        cache.put(digest, credential, asked_at)
        return credential.caller

    def _shared(self, presented: str) -> Caller | None:
        # Digests have one length, so that the comparison's time does not tell the key's.
        matches = presented.isascii() and hmac.compare_digest(self._digest(presented), self._proxy_digest)
        return SHARED if matches else None

    def _is_operator(self, presented: str) -> bool:
        return self._admin_digest is not None and hmac.compare_digest(self._digest(presented), self._admin_digest)

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._pepper, secret.encode(), "sha256")

    def _refusal(self, address: str) -> ClientError:
        wait = self._failures.count(address, self._clock())
        return InvalidKey() if wait is None else RateLimited(retry_after=wait)

    async def _person(self, name: str) -> Person:
        person = await self._store.person_by_name(_checked(name))
        if person is None:
            raise AccountError("there is no such person")
        return person


def new_token() -> str:
    """A fresh token, from the operating system's randomness."""
    body = PREFIX + _base64url(secrets.token_bytes(32))
    return body + _checksum(body)


def looks_like_token(text: str) -> bool:
    """Whether this has a token's shape and checksum. It says nothing about whether it is known."""
    return _TOKEN.fullmatch(text) is not None and _checksum(text[:-6]) == text[-6:]


def _checksum(body: str) -> str:
    return _base64url(zlib.crc32(body.encode()).to_bytes(4, "big"))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _presented(authorization: str | None, api_key: str | None) -> str | None:
    """The one credential of a request; None if there is none, it is no bearer, or the two headers disagree."""
    if authorization is None:
        return api_key
    scheme, _, credential = authorization.partition(" ")
    credential = credential.strip(" ")
    if scheme.lower() != "bearer" or (api_key is not None and api_key != credential):
        return None
    return credential


def _checked(name: str) -> str:
    if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise AccountError("a name has 1 to 64 printable characters, no blank at either end")
    if name in RESERVED:
        raise AccountError("this name is kept for the gateway itself")
    return name


class _Cache:
    """Credentials by digest, each for `seconds` from the moment the store was asked for it.

    When it is full, the one that was asked for first goes: it has the least time left.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._entries: dict[bytes, tuple[float, Credential]] = {}

    def get(self, digest: bytes, now: float, seconds: float | None = None) -> Credential | None:
        """What is remembered, if it is not older than `seconds`; than this cache's own, if that is not said."""
        entry = self._entries.get(digest)
        if entry is None or now - entry[0] >= (self.seconds if seconds is None else seconds):
            return None
        return entry[1]

    def put(self, digest: bytes, credential: Credential, asked_at: float) -> None:
        self._entries.pop(digest, None)
        self._entries[digest] = (asked_at, credential)
        if len(self._entries) > CACHE_ENTRIES:
            del self._entries[next(iter(self._entries))]


class _Failures:
    """Failures by address, in windows of `FAILURE_SECONDS` that begin with an address's first failure."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}  # by address: when it began, how many

    def count(self, address: str, now: float) -> float | None:
        """Count one more. None while that is tolerated, else the seconds until it will be again."""
        began, failures = self._windows.pop(address, (now, 0))
        if now - began >= FAILURE_SECONDS:
            began, failures = now, 0
        self._windows[address] = (began, failures + 1)
        if len(self._windows) > ADDRESSES_WATCHED:
            del self._windows[next(iter(self._windows))]
        return None if failures < FAILURES_ALLOWED else began + FAILURE_SECONDS - now
