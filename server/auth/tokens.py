"""The check of a token: its person, and whether it counts now and from this address.

Kept is the HMAC-SHA256 of a token under the *pepper*, a secret that is not in the database: a thief of the database
can neither use a token nor test a guess. The random part has 256 bits, so a slow hash would protect nothing more. A
token is never compared, cut or used as text in a query: its digest is a key, found or not.

A valid answer is remembered for `cache_seconds`: a revocation in another process takes effect within that time, one in
this process at once. While the store is away an answer may be older, up to `outage_seconds`: people go on, and a
revocation waits as long at most. Only valid answers are kept, and what is remembered only opens. So every refusal has
asked the store, and they all take one way, whether the token is unknown, revoked, expired or resting, its person is
disabled, or it came from a network that it is not for.

A token for so many addresses counts those from which it was ever used; the store keeps their digests under a key, and
none that two tokens have in common. Only the holder of such a token can come upon that bound, whose question to
the store is one more.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace

from server.auth.token_format import budget_id
from server.auth.token_terms import in_networks, place
from server.crypto import derived
from server.policy.authority import Means
from server.policy.claims import lapsed
from server.store.base import Caller, Credential, Person, Store, StoreError, Token
from server.store.breaker import Guarded
from server.wire.errors import AccountingUnavailable

CACHE_ENTRIES = 10_000
ADDRESSES_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Memory:
    """For how long answers of the store hold, in seconds: usually, and while it is away.

    `affiliation_days`: after so many days without a login the tokens of who logs in elsewhere rest; 0 is never.
    """

    cache_seconds: float = 5.0
    outage_seconds: float = 0.0
    affiliation_days: int = 0


def has_lapsed(last_login_at: int | None, now: int, days: int) -> bool:
    """Whether a person's tokens rest until the next login. They never do for a person without a provider's login.

    Times are UTC milliseconds; 0 days is no such rule.
    """
    return last_login_at is not None and lapsed(last_login_at, "somewhere", now, days)


class TokenCheck:
    """Looks tokens up. `clock` gives monotonic seconds, `wall` UTC milliseconds."""

    def __init__(
        self,
        store: Store,
        guard: Guarded,
        pepper: bytes,
        memory: Memory,
        clock: Callable[[], float],
        wall: Callable[[], int],
    ) -> None:
        self._store, self._guard, self._pepper, self._memory = store, guard, pepper, memory
        self._clock, self._wall = clock, wall
        self._addresses = derived(pepper, "addresses")
        self._cache = Cache(memory.cache_seconds)
        self._seen: dict[str, None] = {}  # addresses that are noted, as digests

    async def caller_of(self, token: str, address: str) -> Caller | None:
        """The caller of this token; None if it does not count. Raises AccountingUnavailable."""
        digest, asked_at = self.digest(token), self._clock()
        remembered = self._cache.get(digest, asked_at)
        if remembered is not None and self._opens(remembered, address) and self._is_seen(remembered.caller, address):
            return remembered.caller
        return await self._looked_up(digest, asked_at, address)

    async def in_session(self, person: Person, token: Token | None, address: str) -> Caller | None:
        """The caller of a session that this token began; None if the token does not count from this address.

        A session that no token began has its person's authority. Raises AccountingUnavailable.
        """
        groups = tuple(dict.fromkeys((*person.groups, *person.claimed)))
        caller = Caller(person.id, person.name, None, groups=groups, admin=person.admin, means=Means.SESSION)
        if token is not None:
            caller = replace(caller, token_id=token.id, terms=token.terms, ends_at=token.expires_at)
            if has_lapsed(person.last_login_at, self._wall(), self._memory.affiliation_days):
                return None
        try:
            admitted = in_networks(caller.terms, address) and await self._note(caller, address)
        except StoreError as error:
            raise AccountingUnavailable from error
        return caller if admitted else None

    async def why_refused(self, digest: bytes, address: str) -> tuple[Caller, str] | None:
        """The caller of a digest whose token does not count, and the reason; None if there is none.

        Raises StoreError, AccountingUnavailable.
        """
        credential = await self._guard.token_by_hash(digest)
        if credential is None:
            return None
        caller, now = credential.caller, self._wall()
        if self._opens(credential, address):
            return None if self._is_seen(caller, address) else (caller, "addresses")
        reasons = {
            "disabled": credential.disabled,
            "revoked": credential.revoked_at is not None,
            "expired": credential.expires_at is not None and credential.expires_at <= now,
            "network": not in_networks(caller.terms, address),
        }
        return caller, next((reason for reason, holds in reasons.items() if holds), "rests")

    def digest(self, secret: str) -> bytes:
        """The digest under which a secret is stored."""
        return hmac.digest(self._pepper, secret.encode("utf-8", "surrogatepass"), "sha256")

    def forget(self) -> None:
        """Look all tokens up anew. An answer of the store that is under way is not remembered."""
        self._cache = Cache(self._cache.seconds)

    async def _looked_up(self, digest: bytes, asked_at: float, address: str) -> Caller | None:
        cache = self._cache  # if a revocation replaces it meanwhile, this answer is not remembered
        try:
            credential = await self._guard.token_by_hash(digest)
            if credential is None or not self._opens(credential, address):
                return None
            if not await self._note(credential.caller, address):
                return None
        except StoreError as error:
            known = cache.get(digest, asked_at, self._memory.outage_seconds)
            if known is not None and self._opens(known, address) and self._is_seen(known.caller, address):
                return known.caller
            raise AccountingUnavailable from error
        cache.put(digest, credential, asked_at)
        return credential.caller

    def _opens(self, credential: Credential, address: str) -> bool:
        now = self._wall()
        rests = has_lapsed(credential.last_login_at, now, self._memory.affiliation_days)
        return credential.valid_at(now) and not rests and in_networks(credential.caller.terms, address)

    def _is_seen(self, caller: Caller, address: str) -> bool:
        """Whether no question is needed about the number of addresses."""
        return not caller.terms.addresses or self._address(caller, address) in self._seen

    async def _note(self, caller: Caller, address: str) -> bool:
        """Note an address where they are counted; False if it is one too many."""
        if self._is_seen(caller, address):
            return True
        token_id, seen, most = budget_id(caller.token_id or ""), self._address(caller, address), caller.terms.addresses
        if not await self._guard.ask(lambda: self._store.note_address(token_id, seen, most)):
            return False
        self._seen[seen] = None
        if len(self._seen) > ADDRESSES_KNOWN:
            del self._seen[next(iter(self._seen))]
        return True

    def _address(self, caller: Caller, address: str) -> str:
        named = f"{budget_id(caller.token_id or '')} {place(address)}"
        return hmac.digest(self._addresses, named.encode(), "sha256").hex()


class Cache:
    """Credentials by digest, each for `seconds` from the moment the store was asked for it.

    When it is full, the one that was asked for first goes: it has the least time left.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._entries: dict[bytes, tuple[float, Credential]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes, now: float, seconds: float | None = None) -> Credential | None:
        """The entry, if it is not older than `seconds`; None there means the cache's own age."""
        entry = self._entries.get(digest)
        if entry is None or now - entry[0] >= (self.seconds if seconds is None else seconds):
            return None
        return entry[1]

    def put(self, digest: bytes, credential: Credential, asked_at: float) -> None:
        self._entries.pop(digest, None)
        self._entries[digest] = (asked_at, credential)
        if len(self._entries) > CACHE_ENTRIES:
            del self._entries[next(iter(self._entries))]
