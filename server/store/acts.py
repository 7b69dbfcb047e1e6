"""Acts: the writes that a change consists of. A change and its entry in the audit log are one step (`Store.change`).

An act names a verb of the store and what the verb is given. If the verb answers False, what the act needs is not
there, or not any more: the change is refused (`Outdated`), unless the act says `may_fail`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from server.config.specs import UpstreamSpec
from server.policy.notifications import Delivery
from server.store.records import AddedKey, Person, Record, Token


class Outdated(Exception):
    """The state that the change begins with has changed: the change was not made, and is not noted."""


@dataclass(frozen=True, slots=True)
class Act:
    """One write. The arguments may hold the digest of a token or an encrypted key, and are never shown."""

    verb: str
    arguments: tuple[Any, ...]
    may_fail: bool = False

    def __repr__(self) -> str:
        return f"Act({self.verb})"


def create_person(person: Person) -> Act:
    return Act("create_person", (person,))


def update_person(person_id: str, changes: Mapping[str, Any]) -> Act:
    return Act("update_person", (person_id, changes))


def close_sessions_of(person_id: str) -> Act:
    return Act("close_sessions_of", (person_id,))


def add_token(digest: bytes, token: Token) -> Act:
    return Act("add_token", (digest, token))


def revoke_token(token_id: str, revoked_at: int) -> Act:
    return Act("revoke_token", (token_id, revoked_at))


def narrow_token(before: Token, after: Token) -> Act:
    return Act("narrow_token", (before, after))


def swap_record(before: Record | None, after: Record | None) -> Act:
    """Write a record only if it is still as it was read; None is no record."""
    return Act("swap_record", (before, after))


def put_record(record: Record) -> Act:
    return Act("put_record", (record,))


def drop_record(kind: str, record_id: str) -> Act:
    """Forget a record, if there is one."""
    return Act("remove_record", (kind, record_id), may_fail=True)


def add_key(key: AddedKey) -> Act:
    return Act("add_key", (key,))


def remove_key(key_id: str) -> Act:
    return Act("remove_key", (key_id,))


def reencrypt_key(key_id: str, old: bytes, new: bytes) -> Act:
    return replace(Act("reencrypt_key", (key_id, old, new)), may_fail=True)


def set_key_terms(key_id: str, before: UpstreamSpec, after: UpstreamSpec) -> Act:
    return Act("set_key_terms", (key_id, before, after))


def set_key_paused(key_id: str, paused: bool) -> Act:
    return Act("set_key_paused", (key_id, paused))


def ask_key_recheck(key_id: str, asked_at: int) -> Act:
    return Act("ask_key_recheck", (key_id, asked_at))


def forget_key_wish(key_id: str) -> Act:
    return Act("forget_key_wish", (key_id,))


def add_deliveries(deliveries: Sequence[Delivery]) -> Act:
    """Those whose ids are there already stay as they are."""
    return Act("add_deliveries", (deliveries,))


def swap_delivery(before: Delivery, after: Delivery) -> Act:
    return Act("swap_delivery", (before, after))


VERBS = frozenset(
    {
        *("create_person", "update_person", "close_sessions_of", "add_token", "revoke_token", "narrow_token"),
        *("swap_record", "put_record", "remove_record"),
        *("add_deliveries", "swap_delivery"),
        *("add_key", "remove_key", "reencrypt_key", "set_key_terms"),
        *("set_key_paused", "ask_key_recheck", "forget_key_wish"),
    }
)
