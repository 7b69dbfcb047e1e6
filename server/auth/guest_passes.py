"""Guest passes: tokens for a short time and little money, which say themselves what they are good for.

A pass is a signed JWT (HS256, under a key made of the pepper), so that it is accepted while the store is away. What
is asked with it is booked on the person who issued it, within one of their groups: it takes part in their share of the
queue, and draws on their budgets. It may spend `usd` in all, if they have something left, and ends at `expires_at`.

Issued in one of the issuer's groups it can do what that group gives and no more. While the store is there, a pass is
refused that is not on record just as it reads, was revoked, or whose issuer is disabled, rests (`AFFILIATION_DAYS`) or
has left that group. While it is away the last answer holds, and a pass that is new here is let in: its signature, its
end and its money bound it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import jwt

from server.auth.token_terms import GUEST
from server.auth.tokens import Memory, has_lapsed
from server.crypto import derived
from server.ledger.money import MOST
from server.policy.authority import Means
from server.store.base import Caller, Record, Store, StoreError, TokenTerms
from server.store.breaker import Guarded

TYPE = "fairgate-pass"
KIND = "pass"  # the kind of record that says which passes were issued
REVOKED = "revoked_pass"  # the kind of record that names a pass which is good for nothing any more
LONGEST = 4096  # characters
LONGEST_MS = 30 * 86_400_000
KNOWN = 10_000  # passes whose standing is remembered

_SHAPE = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_ID = re.compile(r"[0-9a-f]{16}")
_REQUIRED = ["exp", "iat", "jti", "sub", "models", "usd", "group"]


@dataclass(frozen=True, slots=True)
class Pass:
    """The content of a pass. `usd` is micro-USD in all; times are UTC milliseconds, of whole seconds."""

    id: str
    issuer: str  # a person's id
    group: str  # of the issuer's; empty where an administrator has issued it for no group
    models: tuple[str, ...]  # names or patterns; empty is all that the group may use
    usd: int
    issued_at: int
    expires_at: int

    @property
    def caller(self) -> Caller:
        """Its caller: a guest of the issuer."""
        groups = (self.group,) if self.group else ()
        terms = TokenTerms(kind=GUEST, models=self.models)
        return Caller(
            self.issuer, f"guest:{self.id}", f"pass:{self.id}", groups=groups, terms=terms, spend=self.usd,
            means=Means.GUEST, ends_at=self.expires_at,
        )  # fmt: skip


class Passes:
    """Signs passes, and reads what was signed here."""

    def __init__(self, pepper: bytes) -> None:
        self._key = derived(pepper, "passes")

    def signed(self, what: Pass) -> str:
        """The pass as a guest presents it."""
        claims = {
            "jti": what.id,
            "sub": what.issuer,
            "group": what.group,
            "models": list(what.models),
            "usd": what.usd,
            "iat": what.issued_at // 1000,
            "exp": what.expires_at // 1000,
        }
        return jwt.encode(claims, self._key, "HS256", headers={"typ": TYPE})

    def read(self, text: str, now: int) -> Pass | None:
        """The pass in a text; None if it was not signed here, is no pass, or has expired."""
        options: Any = {"require": _REQUIRED, "verify_exp": False, "verify_iat": False}  # by `now`, below
        try:
            found = _pass(jwt.decode(text, self._key, algorithms=["HS256"], options=options))
        except (jwt.PyJWTError, ValueError):
            return None
        return found if now < found.expires_at else None


class PassCheck:
    """Lets guests in. `clock` gives monotonic seconds, `wall` UTC milliseconds."""

    def __init__(
        self,
        store: Store,
        guard: Guarded,
        passes: Passes,
        memory: Memory,
        clock: Callable[[], float],
        wall: Callable[[], int],
    ) -> None:
        self._store, self._guard, self._passes, self._memory = store, guard, passes, memory
        self._clock, self._wall = clock, wall
        self._known: dict[Pass, tuple[float, bool]] = {}  # when the store was asked, and whether it stands

    async def caller_of(self, text: str) -> Caller | None:
        """The caller of this pass; None if it is none, has expired, or is revoked."""
        found = self._passes.read(text, self._wall())
        return found.caller if found is not None and await self._stands(found) else None

    def forget(self) -> None:
        """Ask anew about every pass. What is on its way from the store now is not remembered."""
        self._known = {}

    async def _stands(self, what: Pass) -> bool:
        now, known = self._clock(), self._known
        asked_at, stood = known.get(what, (None, True))
        if asked_at is not None and now - asked_at < self._memory.cache_seconds:
            return stood
        try:
            stands = await self._guard.ask(lambda: self._asked(what))
        except StoreError:
            return stood
        known.pop(what, None)
        known[what] = (now, stands)
        if len(known) > KNOWN:
            del known[next(iter(known))]
        return stands

    async def _asked(self, what: Pass) -> bool:
        if any(record.id == what.id for record in await self._store.records(REVOKED)):
            return False
        if not any(recorded(record) == what for record in await self._store.records(KIND)):
            return False
        issuer = await self._store.person(what.issuer)
        if issuer is None or issuer.disabled:
            return False
        if has_lapsed(issuer.last_login_at, self._wall(), self._memory.affiliation_days):
            return False
        return issuer.admin or what.group in ("", *issuer.groups, *issuer.claimed)


def pass_body(what: Pass) -> dict[str, Any]:
    """The body of a pass's record; its id is the pass's."""
    body = asdict(what) | {"models": list(what.models)}
    del body["id"]
    return body


def recorded(record: Record) -> Pass:
    """The pass of a record."""
    return Pass(id=record.id, **{**record.body, "models": tuple(record.body["models"])})


def looks_like_pass(text: str) -> bool:
    """Whether this calls itself a guest pass. It says nothing about who has signed it."""
    if len(text) > LONGEST or not _SHAPE.fullmatch(text):
        return False
    try:
        return jwt.get_unverified_header(text).get("typ") == TYPE
    except jwt.PyJWTError:
        return False


def _pass(claims: Mapping[str, Any]) -> Pass:
    """The pass in claims that the gateway has signed. Raises `ValueError` for claims of another version."""
    texts, times, models = (
        [claims[it] for it in ("jti", "sub", "group")],
        [claims["iat"], claims["exp"]],
        claims["models"],
    )
    if not all(isinstance(it, str) for it in texts) or not isinstance(models, list) or not _ID.fullmatch(texts[0]):
        raise ValueError("a text is none")
    if not all(type(it) is int for it in (*times, claims["usd"])) or not all(isinstance(it, str) for it in models):
        raise ValueError("a number is none")
    found = Pass(texts[0], texts[1], texts[2], tuple(models), claims["usd"], times[0] * 1000, times[1] * 1000)
    if not 0 <= found.usd <= MOST or found.expires_at - found.issued_at > LONGEST_MS:
        raise ValueError("it is good for too much")
    return found
