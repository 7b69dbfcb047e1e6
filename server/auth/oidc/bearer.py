"""The provider's own tokens as keys to the API (`OIDC_BEARER=on`).

A token is verified, and its person looked up, once in a minute at most; a remembered caller is found by the SHA-256 of
the whole token. A decision in between (a person disabled, a group taken away) holds after that minute at the latest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from server.auth.oidc.id_tokens import LONGEST, TokenRefused, Verifier, is_id_token
from server.auth.oidc.provisioning import Provisioning, Reading
from server.policy.authority import Means
from server.store.base import Caller, Person

REMEMBERED_MS = 60_000
MOST = 10_000  # tokens
_SHAPE = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    until: int


class OidcBearer:
    """Finds the caller of an id token or an access token of the provider. `wall` gives UTC milliseconds."""

    def __init__(self, verifier: Verifier, reading: Reading, people: Provisioning, wall: Callable[[], int]) -> None:
        self._verifier, self._reading, self._people, self._wall = verifier, reading, people, wall
        self._known: dict[bytes, _Known] = {}

    async def caller_of(self, token: str) -> Caller | None:
        """The caller; None if this is no token of the provider for us, or its person is disabled.

        Raises StoreError; and Away if the provider's keys were never learnt, or it cannot say whose the token is.
        """
        if not looks_like_jwt(token):
            return None
        digest, now = hashlib.sha256(token.encode()).digest(), self._wall()
        remembered = self._known  # if `forget` is called meanwhile, this answer is not remembered
        known = remembered.get(digest)
        if known is not None and now < known.until:
            return known.caller
        remembered.pop(digest, None)
        try:
            claims = await self._verifier.bearer(token, now / 1000)
            if self._reading.lacks(claims) and not is_id_token(claims):
                claims = await self._verifier.completed(claims, token)
        except TokenRefused:
            return None
        person = await self._people.welcome(self._reading.profile(claims), int(claims["iat"]) * 1000)
        if person.disabled:
            return None
        ends_at = int(claims["exp"]) * 1000
        caller, until = caller_for(person, ends_at), min(now + REMEMBERED_MS, ends_at)
        remembered[digest] = _Known(caller, until)
        if len(remembered) > MOST:
            del remembered[next(iter(remembered))]
        return caller

    def forget(self) -> None:
        """Look all callers up anew. A look-up that is under way is not remembered."""
        self._known = {}


def looks_like_jwt(token: str) -> bool:
    """Whether this has the shape of a signed token, so that it is worth a look."""
    return len(token) <= LONGEST and _SHAPE.fullmatch(token) is not None


def caller_for(person: Person, ends_at: int) -> Caller:
    """The caller who presents a token of the provider. It ends at `ends_at` (UTC milliseconds)."""
    groups = tuple(dict.fromkeys((*person.groups, *person.claimed)))
    return Caller(person.id, person.name, None, groups=groups, admin=person.admin, means=Means.BEARER, ends_at=ends_at)
