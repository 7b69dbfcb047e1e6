"""What fairgate remembers, as a list of verbs.

A store writes what it is given and decides nothing: ids and times come from the caller, it asks no clock and rolls no
dice. No query language leaks out of it. Every implementation passes the one suite in `tests/store/test_contract.py`.

Rules that let very different databases keep the same promises:

* every verb touches one record, atomically; none needs a transaction over several;
* a verb that returned has been written durably; one that raised `StoreError` may or may not have been;
* `settle` is idempotent by request id, so that it may be repeated after such a doubt;
* people and tokens are never deleted, only disabled and revoked: nothing dangles; an upstream key may go, since the
  ledger names it by its fingerprint alone;
* what changes a key or a wish changes `keys_version`, too, not before it: who reads the version first and the keys
  then has nothing older than that version;
* all times are integers, milliseconds since 1970, UTC.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from server.ledger.usage import UsageRow
from server.specs import UpstreamSpec


class StoreError(Exception):
    """The store cannot be reached, opened or written."""


class NameTaken(Exception):
    """There is already a person of this name."""


class KeyTaken(Exception):
    """This upstream key has been added already."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may use the gateway. All tokens of one person are one flow in the queue."""

    id: str
    name: str  # unique
    disabled: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class Token:
    """A gatekeeper token as it may be shown: the secret itself is not kept, only its digest."""

    id: str
    person_id: str
    name: str
    hint: str  # prefix and last four characters, to recognise it by
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, once that is certain."""

    person_id: str
    person_name: str
    token_id: str | None  # None where no personal token is asked for
    weight: float = 1.0  # the person's share in the fair queue, relative to the others'


@dataclass(frozen=True, slots=True)
class Credential:
    """What a token's digest leads to: enough to decide without asking again."""

    caller: Caller
    disabled: bool
    expires_at: int | None
    revoked_at: int | None

    def valid_at(self, now: int) -> bool:
        """Whether this opens the door at `now`. A revocation holds from the moment it is read, whatever its date."""
        return not self.disabled and self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedKey:
    """An upstream key that was added at run time. Its secret is here only as the vault encrypted it."""

    id: str  # its fingerprint
    spec: UpstreamSpec  # what it may be used for; `keys` is empty
    hint: str  # the last four characters, to recognise it by
    encrypted: bytes = field(repr=False)
    added_at: int

    def __post_init__(self) -> None:
        if self.spec.keys:
            raise ValueError("a key's secret is kept encrypted only")


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What the operator wants of an upstream key, wherever it is named."""

    id: str  # the key's fingerprint
    paused: bool = False
    recheck_at: int | None = None  # when it was asked for last


@dataclass(frozen=True, slots=True)
class Issued:
    """Who made an object that a provider keeps, and with which upstream key: only that one knows it."""

    person_id: str
    key: str  # the key's fingerprint
    at: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over many usage rows. Tokens as in `Usage`: `input` includes the cached, `output` the reasoning."""

    requests: int
    people: int
    input: int
    output: int


class Store(Protocol):
    """The verbs. All raise `StoreError` on an outage."""

    async def token_by_hash(self, digest: bytes) -> Credential | None:
        """What the token of this digest may do: the look-up of every request."""

    def settle(self, row: UsageRow) -> Awaitable[bool]:
        """Write a request's row. The first of an id wins: True if it was this one, False if it was there already.

        The row is on its way when this returns: whoever does not wait for it loses the answer, not the row.
        """

    async def create_person(self, person: Person) -> None:
        """Add a person; `NameTaken` if the name or the id is in use."""

    async def people(self) -> list[Person]:
        """Everybody, by name."""

    async def person_by_name(self, name: str) -> Person | None: ...

    async def set_person_disabled(self, person_id: str, disabled: bool) -> bool:
        """False if there is no such person."""

    async def add_token(self, digest: bytes, token: Token) -> None:
        """Add a token of an existing person. Its digest and its id are unique."""

    async def tokens(self, person_id: str | None = None) -> list[Token]:
        """The tokens of one person, or all; the oldest first."""

    async def revoke_token(self, token_id: str, revoked_at: int) -> bool:
        """False if there is no such token. The first revocation's time stays."""

    async def usage(self, request_id: str) -> UsageRow | None: ...

    async def usage_rows(self, since: int, limit: int) -> list[UsageRow]:
        """At most `limit` rows that started at `since` or later, the newest first."""

    async def totals(self, since: int) -> Totals:
        """Sums of the rows that started at `since` or later."""

    async def remember_issued(self, object_id: str, person_id: str, key: str, at: int) -> None:
        """Note who made a kept object. The first of an id wins: nobody takes over what another one made."""

    async def issued(self, object_id: str) -> Issued | None:
        """Who made a kept object; None if nobody did, or it was forgotten."""

    async def forget_issued(self, before: int) -> int:
        """Forget the objects that were made earlier than `before`; returns how many."""

    async def add_key(self, key: AddedKey) -> None:
        """Add an upstream key; `KeyTaken` if it is there already."""

    async def remove_key(self, key_id: str) -> bool:
        """Forget an added key. False if there is no such key."""

    async def reencrypt_key(self, key_id: str, old: bytes, new: bytes) -> bool:
        """Replace an added key's encrypted secret; False if it is not `old` any more."""

    async def added_keys(self) -> list[AddedKey]:
        """The keys that were added, the oldest first."""

    async def set_key_paused(self, key_id: str, paused: bool) -> None:
        """Wish any key to be used or not, whether it is known here or not."""

    async def ask_key_recheck(self, key_id: str, asked_at: int) -> None:
        """Wish any key to be checked now."""

    async def forget_key_wish(self, key_id: str) -> None:
        """Wish nothing of a key any more."""

    async def key_wishes(self) -> list[KeyWish]:
        """All wishes, by the keys' ids."""

    async def keys_version(self) -> int:
        """A number that grows with every change of an added key or a wish; cheap enough to be asked every second."""

    async def ping(self) -> None:
        """Write something and wait until it is durable: a store that only reads is not well."""

    async def open(self) -> None:
        """Connect and bring the schema up to date."""

    async def close(self) -> None:
        """Finish what was accepted, then let everything go. Closing twice is closing once."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
