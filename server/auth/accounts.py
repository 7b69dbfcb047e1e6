"""Authentication of callers, and the verbs about people and their tokens: without a framework.

A caller is known by a gatekeeper token (`tokens`, `token_door`), by a guest pass (`passes`), or by what `bearer` knows:
the identity provider's own tokens. What each of these is worth stands there.

Every refusal is the same `InvalidKey`, raised in one place; a hint in it depends on what was presented alone.

Failures are counted by address. From the 31st in a minute on, further *failures* are slowed down; a valid token
from that address still passes, because a whole campus may share it and one broken script must not lock it out. The
limit is there for the logs and the database: guessing 256 bits is hopeless at any speed. `ADMIN_KEY` and `PROXY_KEY`
have less than that, and are slowed in earnest (`throttle`).
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, Literal, Protocol

from server.auth.guest_passes import PassCheck, Passes, looks_like_pass
from server.auth.throttle import Failures, Guesses
from server.auth.token_format import budget_id, hint, looks_like_token, new_id, new_token, next_id
from server.auth.token_terms import SPECIAL, checked_terms, place
from server.auth.tokens import Memory, TokenCheck
from server.ledger.limits import Limit, limit_body
from server.policy.authority import Means
from server.policy.commands import AlreadyThere, CommandError, NotThere, words_of
from server.single_flight import Away
from server.store import acts
from server.store.acts import Act
from server.store.audited import GATEWAY, AuditedStore
from server.store.base import Caller, NameTaken, Person, Record, Store, StoreError, Token, TokenTerms
from server.store.breaker import Guarded
from server.store.token_secret import pepper_for
from server.wire.errors import AccountingUnavailable, AdministratorsOnly, ClientError, InvalidKey, RateLimited
from web.wording import Wording

__all__ = ["AccountError", "Accounts", "Mode", "looks_like_token", "pepper_for"]

Mode = Literal["user_token", "shared", "none"]


class BearerTokens(Protocol):
    """The tokens of an identity provider."""

    async def caller_of(self, token: str) -> Caller | None:
        """The caller; None if this is no such token. Raises StoreError, Away."""

    def forget(self) -> None:
        """Look all callers up anew."""


ANY_TERMS = TokenTerms()
USUAL = Memory()
PATIENCE = 10.0  # seconds that the store may take, if no other number is given
MOST_LIVE = 50  # tokens of one person, made by themselves
LONGEST_GRACE = 30 * 86_400  # seconds
RETIRING = "retiring"  # the kind of record that says when a token that was rotated is to be revoked

# Without personal tokens all callers are one person and so one flow. Both names are reserved for that person.
SHARED = Caller("shared", "shared", None, means=Means.SHARED)
EVERYONE = Caller("everyone", "everyone", None, means=Means.SHARED)
# The holder of ADMIN_KEY: the first administrator, before there are any people.
OPERATOR = Caller("operator", "operator", None, admin=True, means=Means.OPERATOR)
RESERVED = {caller.person_name for caller in (SHARED, EVERYONE, OPERATOR)}


class AccountError(CommandError):
    """A command about a person or a token that cannot be done; the text says why, and does not repeat the input."""


class UnknownAccount(AccountError, NotThere):
    """There is no such person, or no such token."""


class NameInUse(AccountError, AlreadyThere):
    """Another person bears this name."""


LimitsOf = Callable[[str], Iterable[Limit]]  # of a token, by the subject that its limits have


def no_limits(_: str) -> Iterable[Limit]:
    return ()


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
        memory: Memory = USUAL,
        admin_key: str = "",
        guard: Guarded | None = None,
        bearer: BearerTokens | None = None,
    ) -> None:
        if mode == "shared" and not proxy_key:
            raise ValueError("a shared gatekeeper needs PROXY_KEY")
        if not pepper:
            raise ValueError("the pepper is empty")
        self._store, self._mode, self._clock, self._wall = store, mode, clock, wall
        self._audited = AuditedStore(store, wall)
        self._guard = guard = guard or Guarded(store, PATIENCE, clock)
        self.token_check = TokenCheck(store, guard, pepper, memory, clock, wall)
        self._guests = PassCheck(store, guard, Passes(pepper), memory, clock, wall)
        self._bearer = bearer
        # Digests have one length, so that the comparison's time does not tell the secret's.
        operator = [(OPERATOR, self.token_check.digest(admin_key))] if admin_key else []
        shared = [(SHARED, self.token_check.digest(proxy_key))] if mode == "shared" else []
        self._secrets = (*operator, *shared)
        self._failures, self._guesses = Failures(), Guesses()
        self._making = asyncio.Lock()  # the tokens of a person are counted, and then there is one more

    async def authenticate(self, authorization: str | None, api_key: str | None, address: str) -> Caller:
        """The caller of these headers: the whole `Authorization` and the whole `X-Api-Key`, None where absent.

        Raises `InvalidKey`; `RateLimited` instead, from the 31st failure in a minute of `address` on; and
        `AccountingUnavailable` if the store is out of reach and the token is not remembered.
        """
        presented = presented_credential(authorization, api_key)
        if presented is not None:
            caller = self._by_secret(presented, address)
            if caller is None and self._mode == "user_token":
                caller = await self._person_of(presented, address)
            if caller is not None:
                return caller
        if self._mode != "none":
            raise self._refusal(presented, address)
        if presented is not None:
            self._count_guess(presented, address)
        return EVERYONE

    async def in_session(self, person: Person, token: Token | None, address: str) -> Caller:
        """The caller of a browser's session, by no more than the token that began it.

        Raises InvalidKey where that token does not count from this address, and AccountingUnavailable.
        """
        if (caller := await self.token_check.in_session(person, token, address)) is None:
            raise InvalidKey
        return caller

    def denial(self, caller: Caller, authorization: str | None, api_key: str | None, address: str) -> ClientError:
        """The refusal of a caller who is no administrator, at a route for administrators.

        If the gateway asks for no credential, a credential that is presented all the same is a guess at `ADMIN_KEY`: it
        is counted and refused like any other failure.
        """
        presented = presented_credential(authorization, api_key)
        if caller is EVERYONE and presented is not None:
            return self._refusal(presented, address)
        return AdministratorsOnly()

    async def person_named(self, name: str) -> Caller:
        """The person of a name that a trusted proxy sends; a new name makes a new person.

        Raises `InvalidKey` for one who is disabled or cannot be called so, and `AccountingUnavailable`.
        """
        try:
            name = checked_name(name)
            found = await self._guard.ask(lambda: self._store.person_by_name(name))
            person = found or await self._welcomed(name)
        except AccountError:
            raise InvalidKey from None
        except StoreError as error:
            raise AccountingUnavailable from error
        if person.disabled:
            raise InvalidKey
        groups = tuple(dict.fromkeys((*person.groups, *person.claimed)))
        return Caller(person.id, person.name, None, groups=groups, means=Means.HEADER)

    async def _welcomed(self, name: str) -> Person:
        """A new person; the same one for two requests that are the first at once."""
        try:
            return await self.create_person(name)
        except AccountError:
            return await self._person(name)

    async def prepare(self) -> None:
        """Create the people that the mode needs: the operator, and the one person of all callers without tokens."""
        needed = {"user_token": [], "shared": [SHARED], "none": [EVERYONE]}[self._mode]
        if any(who is OPERATOR for who, _ in self._secrets):
            needed.append(OPERATOR)
        for caller in needed:
            with suppress(NameTaken):
                await self._store.create_person(Person(caller.person_id, caller.person_name, False, self._wall()))

    async def create_person(
        self, name: str, actor: str = GATEWAY, email: str | None = None, groups: Sequence[str] = (), note: str = ""
    ) -> Person:
        """Add a person. The name is unique and has 1 to 64 printable characters."""
        person = Person(
            f"usr_{secrets.token_hex(8)}",
            checked_name(name),
            False,
            self._wall(),
            tuple(groups),
            email=email,
            note=note,
        )
        after = {"name": name, "email": email, "note": note, "groups": list(groups)}
        try:
            await self._audited.change(actor, "person.create", person.id, None, after, acts.create_person(person))
        except NameTaken:
            raise NameInUse("there is already a person of this name") from None
        return person

    async def people(self) -> list[Person]:
        """All people, by name."""
        return await self._store.people()

    async def create_token(
        self,
        person_name: str,
        name: str,
        expires_at: int | None = None,
        terms: TokenTerms = ANY_TERMS,
        limits: LimitsOf = no_limits,
        actor: str = GATEWAY,
        also: Iterable[Act] = (),
    ) -> tuple[Token, str]:
        """Make a token of a person; the text is the secret, which is shown now and never again.

        `expires_at` is in milliseconds since 1970, UTC; None is never. `limits`: what it is limited by from its first
        moment on. `also`: what happens in the same step, before; raises Outdated if that cannot be any more.
        """
        now = self._wall()
        if expires_at is not None and expires_at <= now:
            raise AccountError(Wording("the expiry lies in the past"))
        person = await self._person(person_name)
        token, secret, adding = self._minted(
            Token(new_id(), person.id, checked_name(name), "", now, expires_at, terms=terms)
        )
        bounds = {each.id: limit_body(each) for each in limits(budget_id(token.id))}
        after = {"person": person.id, **token_body(token)} | ({"limits": bounds} if bounds else {})
        limiting = [acts.put_record(Record("limit", name, body)) for name, body in bounds.items()]
        await self._audited.change(actor, "token.create", token.id, None, after, *also, *limiting, adding)
        return token, secret

    async def create_own_token(
        self,
        person: Person,
        name: str,
        expires_at: int | None = None,
        terms: TokenTerms = ANY_TERMS,
        limits: LimitsOf = no_limits,
    ) -> tuple[Token, str]:
        """The same by the person: without special tokens, and at most `MOST_LIVE` of them live."""
        if terms.kind == SPECIAL:
            raise AccountError(Wording("only an administrator makes special tokens"))
        async with self._making:
            now = self._wall()
            tokens = await self._store.tokens(person.id)
            live = [it for it in tokens if it.revoked_at is None and (it.expires_at is None or now < it.expires_at)]
            if len(live) >= MOST_LIVE:
                raise AccountError(
                    Wording(
                        "a person has at most %(most_live)s tokens: revoke one that is not used any more",
                        most_live=MOST_LIVE,
                    )
                )
            return await self.create_token(person.name, name, expires_at, terms, limits, person.id)

    async def tokens(self, person_name: str | None = None) -> list[Token]:
        """The tokens of one person, or all; the oldest first."""
        person_id = None if person_name is None else (await self._person(person_name)).id
        return await self._store.tokens(person_id)

    async def revoke(self, token_id: str, owner: str | None = None, actor: str = GATEWAY) -> None:
        """Revoke one token, for good. With `owner`, a person's id, only if it is theirs."""
        token, now = await self._token(token_id, owner), self._wall()
        before, after = {"revoked_at": token.revoked_at}, {"revoked_at": token.revoked_at or now}
        await self._audited.change(actor, "token.revoke", token_id, before, after, acts.revoke_token(token_id, now))
        self.forget()

    async def rotate(
        self, token_id: str, owner: str | None = None, grace_seconds: int = 0, actor: str = GATEWAY
    ) -> tuple[Token, str]:
        """A new secret with the same name, terms and budgets; the old one ends now, or after a grace.

        With `owner`, a person's id, only if it is theirs. The grace ends by `retire`, some seconds late.
        """
        if not 0 <= grace_seconds <= LONGEST_GRACE:
            raise AccountError(
                Wording(
                    "the old token lasts %(longest_grace)s days longer at most", longest_grace=LONGEST_GRACE // 86400
                )
            )
        old, now = await self._token(token_id, owner), self._wall()
        if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
            raise AccountError(Wording("this token has ended: make a new one"))
        successor = next_id(old.id)
        if any(token.id == successor for token in await self._store.tokens(old.person_id)):
            raise AccountError(Wording("this token has been rotated already: rotate the one that took its place"))
        token, secret, adding = self._minted(replace(old, id=successor, created_at=now))
        ends = Record(RETIRING, old.id, {"at": now + grace_seconds * 1000})
        ending = acts.put_record(ends) if grace_seconds else acts.revoke_token(old.id, now)
        after = {"by": token.id, "grace_seconds": grace_seconds}
        await self._audited.change(actor, "token.rotate", old.id, None, after, adding, ending)
        self.forget()
        return token, secret

    async def retire(self) -> int:
        """Revoke the tokens whose grace is over; returns how many. To be called every minute or so."""
        now = self._wall()
        due = [record.id for record in await self._store.records(RETIRING) if record.body["at"] <= now]
        for token_id in due:
            ending = acts.revoke_token(token_id, now), acts.drop_record(RETIRING, token_id)
            await self._audited.change(GATEWAY, "token.retire", token_id, None, {"revoked_at": now}, *ending)
        if due:
            self.forget()
        return len(due)

    def forget(self) -> None:
        """Ask the store anew about all callers: a change must hold at once."""
        self.token_check.forget()
        self._guests.forget()
        if self._bearer is not None:
            self._bearer.forget()

    def _minted(self, token: Token) -> tuple[Token, str, Act]:
        """The token with its checked terms, its secret, and the act that adds it."""
        try:
            terms = checked_terms(token.terms, token.expires_at)
        except ValueError as error:
            raise AccountError(words_of(error)) from None
        secret = new_token()
        token = replace(token, hint=hint(secret), terms=terms)
        return token, secret, acts.add_token(self.token_check.digest(secret), token)

    async def _token(self, token_id: str, owner: str | None) -> Token:
        """A token by its id. Raises `UnknownAccount` if it does not exist or belongs to another person."""
        for token in await self._store.tokens(owner):
            if token.id == token_id:
                return token
        raise UnknownAccount(NO_SUCH_TOKEN)

    async def _person_of(self, presented: str, address: str) -> Caller | None:
        if looks_like_token(presented):
            return await self.token_check.caller_of(presented, address)
        if looks_like_pass(presented):
            return await self._guests.caller_of(presented)
        if self._bearer is None:
            return None
        try:
            return await self._bearer.caller_of(presented)
        except (StoreError, Away) as error:
            raise AccountingUnavailable from error

    def _by_secret(self, presented: str, address: str) -> Caller | None:
        """The caller of ADMIN_KEY or PROXY_KEY; None if it is neither, or the address has guessed too often."""
        if not self._secrets:
            return None
        digest = self.token_check.digest(presented)
        caller = next((who for who, known in self._secrets if hmac.compare_digest(digest, known)), None)
        if caller is None or self._guesses.wait(place(address), self._clock()) is not None:
            return None
        self._guesses.right(place(address), self._clock())
        return caller

    def _count_guess(self, presented: str, address: str) -> None:
        """Count what was wrong, where it can have been meant as one of these secrets: a token is no guess."""
        if self._secrets and not looks_like_token(presented):
            self._guesses.wrong(place(address), self.token_check.digest(presented), self._clock())

    def _refusal(self, presented: str | None, address: str) -> ClientError:
        if presented is not None:
            self._count_guess(presented, address)
        now, whence = self._clock(), place(address)
        wait = self._failures.count(whence, now) or self._guesses.wait(whence, now)
        if wait is not None:
            return RateLimited(retry_after=wait)
        is_provider_key = presented is not None and presented.startswith("sk-") and self._mode == "user_token"
        return InvalidKey(hint=A_PROVIDER_KEY) if is_provider_key else InvalidKey()

    async def _person(self, name: str) -> Person:
        person = await self._store.person_by_name(checked_name(name))
        if person is None:
            raise UnknownAccount("there is no such person")
        return person


def token_body(token: Token) -> dict[str, Any]:
    """A token as it may be noted."""
    terms = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(token.terms).items()}
    return {"name": token.name, "expires_at": token.expires_at, "terms": terms}


A_PROVIDER_KEY = "A key that begins with sk- is a provider's: this gateway wants a token of its own, fg_..."
NO_SUCH_TOKEN = "there is no such token"  # noqa: S105 - words


def presented_credential(authorization: str | None, api_key: str | None) -> str | None:
    """The one credential of a request; None if there is none, it is no bearer, or the two headers disagree."""
    if authorization is None:
        return api_key
    scheme, _, credential = authorization.partition(" ")
    credential = credential.strip(" ")
    if scheme.lower() != "bearer" or (api_key is not None and api_key != credential):
        return None
    return credential


def checked_name(name: str) -> str:
    """The name of a person or a token, if there can be one of it. Raises AccountError."""
    if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise AccountError(Wording("a name has 1 to 64 printable characters, no blank at either end"))
    if name in RESERVED:
        raise AccountError(Wording("this name is kept for the gateway itself"))
    return name
