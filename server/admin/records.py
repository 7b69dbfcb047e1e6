"""The records that administrators write: of which kinds they are, how each is read, and how each may be shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from server.ledger.limits import limit_body, limit_of
from server.ledger.prices import price_body, price_of
from server.policy.aliases import alias_body, alias_of
from server.policy.groups import group_body, group_of
from server.policy.notices import notice_body, notice_of
from server.store.base import Record

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RecordKind(Generic[T]):
    """The records of one kind."""

    kind: str
    read: Callable[[str, Mapping[str, Any]], T]
    body: Callable[[T], dict[str, Any]]

    def readable(self, record: Record) -> T | None:
        """None for what a newer fairgate, or a hand, has written."""
        try:
            return self.read(record.id, record.body)
        except ValueError:
            return None


LIMITS = RecordKind("limit", limit_of, limit_body)
PRICES = RecordKind("price", price_of, price_body)
GROUPS = RecordKind("group", group_of, group_body)
NOTICES = RecordKind("notice", notice_of, notice_body)
ALIASES = RecordKind("alias", alias_of, alias_body)
KINDS: dict[str, RecordKind[Any]] = {each.kind: each for each in (LIMITS, PRICES, GROUPS, NOTICES, ALIASES)}


def shown(record: Record | None) -> dict[str, Any] | None:
    """A record as it may be noted: the digest of a join code could be guessed from."""
    if record is None:
        return None
    return {name: "***" if name == "join" and value else value for name, value in record.body.items()}
