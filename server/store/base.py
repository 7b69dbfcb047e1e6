"""The memory of fairgate, as a list of verbs.

A store writes what it is given and decides nothing: ids and times come from the caller, it asks no clock and rolls no
dice. No query language leaks out of it. Every implementation passes the one suite in `tests/store/test_contract.py`.

Rules that let very different databases keep the same promises:

* every verb is atomic to its callers, on MongoDB without a transaction over several documents;
* a verb that returned has been written durably; one that raised `StoreError` may or may not have been;
* `settle` is idempotent by request id, and so is `reserve`: they may be repeated after such a doubt;
* people and tokens are never deleted, only disabled and revoked: nothing dangles; an upstream key may go, since the
  ledger names it by its fingerprint alone;
* a change of a key or a wish changes `keys_version`, a change of a record changes `book_version`, and a change that
  may shut a person or a token out changes `versions().people`, none before it: a reader that reads the version first
  and the things then has nothing older than that version;
* a person or a token is changed by named fields, never written back whole: another caller's change meanwhile stays;
* all times are integers, milliseconds since 1970, UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from server.config.specs import UpstreamSpec
from server.store.cluster_verbs import ClusterVerbs, GatewayRecord, SharedDocument, Versions
from server.store.delivery_verbs import DeliveryVerbs
from server.store.history_verbs import HistoryVerbs
from server.store.ledger_verbs import LedgerVerbs, RecordVerbs, ReportVerbs
from server.store.records import (
    DONE,
    FAILED,
    PENDING,
    AddedKey,
    Audit,
    Caller,
    Content,
    Credential,
    IssuedObject,
    KeyTaken,
    KeyWish,
    NameTaken,
    Person,
    Record,
    Session,
    StoreError,
    Token,
    TokenTerms,
    Totals,
)
from server.store.refused_verbs import RefusedVerbs

__all__ = [
    "DONE",
    "FAILED",
    "PENDING",
    "AddedKey",
    "Audit",
    "Caller",
    "Content",
    "Credential",
    "GatewayRecord",
    "IssuedObject",
    "KeyTaken",
    "KeyWish",
    "NameTaken",
    "Person",
    "Record",
    "Session",
    "SharedDocument",
    "Store",
    "StoreError",
    "Token",
    "TokenTerms",
    "Totals",
    "Versions",
]


class PeopleVerbs(Protocol):
    """People, their tokens and their logins."""

    async def token_by_hash(self, digest: bytes) -> Credential | None:
        """The caller of the token with this digest: the look-up of every request.

        The caller's `groups` are the person's own and claimed ones together, in that order, without repetition.
        """

    async def create_person(self, person: Person) -> None:
        """Add a person; `NameTaken` if the name, the id, the login or the nickname is in use."""

    async def people(self) -> list[Person]:
        """All people, by name."""

    async def person(self, person_id: str) -> Person | None: ...

    async def person_by_name(self, name: str) -> Person | None: ...

    async def person_by_login(self, login: str) -> Person | None: ...

    async def set_person_disabled(self, person_id: str, disabled: bool) -> bool:
        """False if there is no such person."""

    async def update_person(self, person_id: str, changes: Mapping[str, Any]) -> bool:
        """Set these fields of `Person` (any but `id` and `created_at`); False if there is no such person.

        `NameTaken` if a name, a login or a nickname is in use.
        """

    async def add_token(self, digest: bytes, token: Token) -> None:
        """Add a token of an existing person. Its digest and its id are unique."""

    async def tokens(self, person_id: str | None = None) -> list[Token]:
        """The tokens of one person, or all; the oldest first."""

    async def revoke_token(self, token_id: str, revoked_at: int) -> bool:
        """False if there is no such token. The first revocation's time stays."""

    async def narrow_token(self, before: Token, after: Token) -> bool:
        """Write other terms and another end of a token; False if they are not, or no more, as `before` says."""

    async def forget_tokens(self, person_id: str, revoked_at: int) -> int:
        """Revoke all tokens of a person and forget how they were called and from where they were used; how many."""

    async def open_session(self, session: Session) -> None:
        """Remember a login."""

    async def session(self, digest: bytes) -> Session | None: ...

    async def sessions_of(self, person_id: str) -> list[Session]:
        """The logins of a person that are remembered, the oldest first."""

    async def close_session(self, digest: bytes) -> bool:
        """Forget a login; False if there is none."""

    async def close_sessions_of(self, person_id: str) -> int:
        """Forget all logins of a person; returns how many."""

    async def use_once(self, mark: str, expires_at: int) -> bool:
        """True the first time that a mark is used, False ever after; it may be forgotten when it has expired."""

    async def note_address(self, token_id: str, address: str, most: int) -> bool:
        """Note from where a token is used (a digest of the address). False if `most` other addresses are known."""

    async def forget_expired(self, now: int) -> int:
        """Forget sessions, marks and contents that expired before `now`; returns how many."""


class KeyVerbs(Protocol):
    """Upstream keys that were added at run time, wishes for any key, and what providers keep for us."""

    async def remember_issued(self, object_ids: Collection[str], issued: IssuedObject) -> None:
        """Note the maker of some kept objects. The first maker of an id wins: a later one does not take it over."""

    async def issued(self, object_ids: Collection[str]) -> dict[str, IssuedObject]:
        """The makers of some kept objects. Objects without a noted maker, or forgotten ones, are left out."""

    async def forget_issued(self, before: int) -> int:
        """Forget the objects that were made earlier than `before`; returns how many."""

    async def add_key(self, key: AddedKey) -> None:
        """Add an upstream key; `KeyTaken` if it is there already."""

    async def remove_key(self, key_id: str) -> bool:
        """Forget an added key. False if there is no such key."""

    async def reencrypt_key(self, key_id: str, old: bytes, new: bytes) -> bool:
        """Replace an added key's encrypted secret; False if it is not `old` any more."""

    async def set_key_terms(self, key_id: str, before: UpstreamSpec, after: UpstreamSpec) -> bool:
        """Give an added key other terms; False if they are not `before` any more, or there is no such key."""

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


class Store(
    PeopleVerbs,
    KeyVerbs,
    LedgerVerbs,
    ReportVerbs,
    RecordVerbs,
    HistoryVerbs,
    RefusedVerbs,
    DeliveryVerbs,
    ClusterVerbs,
    Protocol,
):
    """All verbs. All raise `StoreError` on an outage."""

    async def ping(self) -> None:
        """Write something and wait until it is durable: a store that only reads is not well."""

    async def scrub(self) -> bool:
        """Leave nothing on the disk of what was deleted or overwritten; False if others hold it up. May be repeated.

        A database server has its own ways with its files; there is nothing to do then.
        """

    async def open(self) -> None:
        """Connect and bring the schema up to date."""

    async def close(self) -> None:
        """Finish what was accepted, then let everything go. Closing twice is closing once."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
